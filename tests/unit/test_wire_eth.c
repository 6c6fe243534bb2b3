/* SPDX-License-Identifier: MIT
 * Ethernet and ARP: what a kernel sent reads as it was meant, values survive a round trip, and each
 * way to be wrong has its reason. */
#include "wire.h"

#include "wire/arp.h"
#include "wire/eth.h"

static int parse_eth(const uint8_t *p, size_t n)
{
    struct eth eth;
    return eth_parse(p, n, &eth);
}
static int parse_arp(const uint8_t *p, size_t n)
{
    struct arp arp;
    return arp_parse(p, n, &arp);
}

static void a_captured_request_reads_as_sent(void **state)
{
    static const uint8_t all[6] = {255, 255, 255, 255, 255, 255}, mac[6] = {2, 0, 0, 0, 0, 10};
    uint8_t frame[FRAME_MAX], again[FRAME_MAX];
    size_t n = unhex(FRAME_ARP_REQUEST, frame);
    struct eth eth;
    struct arp arp;

    (void)state;
    assert_int_equal(eth_parse(frame, n, &eth), ETH_BYTES);
    assert_true(mac_equal(eth.dst, all) && mac_equal(eth.src, mac));
    assert_true(mac_is_multicast(eth.dst) && !mac_is_multicast(eth.src));
    assert_int_equal(eth.type, ETH_ARP);
    assert_int_equal(eth.vlans, 0);
    assert_int_equal(arp_parse(frame + ETH_BYTES, n - ETH_BYTES, &arp), ARP_BYTES);
    assert_int_equal(arp.op, ARP_REQUEST);
    assert_true(mac_equal(arp.src_mac, mac));
    assert_memory_equal(arp.src_ip, "\x0a\x09\0\1", 4);
    assert_memory_equal(arp.dst_ip, "\x0a\x09\0\2", 4);
    assert_int_equal(eth_emit(again, &eth) + arp_emit(again + ETH_BYTES, &arp), n);
    assert_memory_equal(again, frame, n);
}

static void a_captured_reply_reads_as_sent(void **state)
{
    uint8_t frame[FRAME_MAX];
    size_t n = unhex(FRAME_ARP_REPLY, frame);
    struct arp arp;

    (void)state;
    assert_int_equal(arp_parse(frame + ETH_BYTES, n - ETH_BYTES, &arp), ARP_BYTES);
    assert_int_equal(arp.op, ARP_REPLY);
    assert_memory_equal(arp.src_mac, "\2\0\0\0\0\x0b", 6);
    assert_memory_equal(arp.dst_mac, "\2\0\0\0\0\x0a", 6);
}

static struct eth random_eth(struct rng *rng)
{
    struct eth eth = {.vlans = (uint8_t)rng_below(rng, ETH_VLANS_MAX + 1)};

    rng_fill(rng, eth.dst, 6);
    rng_fill(rng, eth.src, 6);
    do
        eth.type = (uint16_t)(ETH_TYPE_MIN + rng_below(rng, 0x10000 - ETH_TYPE_MIN));
    while (eth_is_tag(eth.type));
    for (unsigned i = 0; i < eth.vlans; i++) {
        eth.vlan[i] = (uint16_t)rng_next(rng);
        eth.vlan_type[i] = rng_below(rng, 2) ? ETH_VLAN : ETH_QINQ;
    }
    return eth;
}

static bool eth_equal(const struct eth *a, const struct eth *b)
{
    return mac_equal(a->dst, b->dst) && mac_equal(a->src, b->src) && a->type == b->type &&
           a->vlans == b->vlans && memcmp(a->vlan, b->vlan, 2 * a->vlans) == 0 &&
           memcmp(a->vlan_type, b->vlan_type, 2 * a->vlans) == 0;
}

static void every_header_survives_a_round_trip(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        struct rng rng = {seed};
        struct eth eth = random_eth(&rng), back;
        uint8_t bytes[ETH_BYTES_MAX], *copy;
        size_t n = eth_emit(bytes, &eth);
        HOLDS(seed, n == ETH_BYTES + 4u * eth.vlans);
        copy = exact(bytes, n);
        memset(&back, 0xa5, sizeof back);
        HOLDS(seed, eth_parse(copy, n, &back) == (int)n && eth_equal(&eth, &back));
        exact_free(copy, n);
        HOLDS(seed, parse_exact(parse_eth, bytes, rng_below(&rng, n)) == -WIRE_SHORT);
    }
}

static void every_arp_packet_survives_a_round_trip(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        struct rng rng = {seed};
        struct arp arp, back;
        uint8_t bytes[ARP_BYTES];
        rng_fill(&rng, &arp, sizeof arp);
        arp.op = arp.op % 2 ? ARP_REQUEST : ARP_REPLY;
        HOLDS(seed, arp_emit(bytes, &arp) == ARP_BYTES);
        HOLDS(seed, arp_parse(bytes, ARP_BYTES, &back) == (int)ARP_BYTES);
        HOLDS(seed, memcmp(&arp, &back, sizeof arp) == 0); /* it has no padding */
    }
}

static void truncated_headers_are_short(void **state)
{
    uint8_t frame[FRAME_MAX];
    size_t n = unhex(FRAME_ARP_REQUEST, frame);

    (void)state;
    assert_truncations(parse_eth, frame, n, ETH_BYTES);
    assert_truncations(parse_arp, frame + ETH_BYTES, n - ETH_BYTES, ARP_BYTES);
    for (size_t i = 0; i < ARP_BYTES; i++)
        assert_int_equal(parse_exact(parse_arp, frame + ETH_BYTES, i), -WIRE_SHORT);
}

static void tags_are_read_and_a_third_is_refused(void **state)
{
    uint8_t p[ETH_BYTES_MAX + 8] = {0};
    struct eth eth;

    (void)state;
    be16_store(p + 12, ETH_QINQ);
    be16_store(p + 14, 0x2064); /* priority 1, 100 */
    be16_store(p + 16, ETH_VLAN);
    be16_store(p + 18, 0x0fff);
    be16_store(p + 20, ETH_IP6);
    assert_int_equal(eth_parse(p, sizeof p, &eth), ETH_BYTES_MAX);
    assert_int_equal(eth.vlans, 2);
    assert_int_equal(eth.vlan_type[0], ETH_QINQ);
    assert_int_equal(eth.vlan[0], 0x2064);
    assert_int_equal(eth.vlan[1], 0x0fff);
    assert_int_equal(eth.type, ETH_IP6);
    assert_truncations(parse_eth, p, sizeof p, ETH_BYTES_MAX);
    be16_store(p + 20, ETH_VLAN);
    be16_store(p + 24, ETH_IP4);
    assert_int_equal(parse_exact(parse_eth, p, sizeof p), -WIRE_OPTIONS);
}

static void a_length_is_not_a_type(void **state)
{
    uint8_t p[ETH_BYTES_MAX] = {0};

    (void)state;
    for (unsigned type = 0; type < ETH_TYPE_MIN; type++) {
        be16_store(p + 12, (uint16_t)type);
        assert_int_equal(parse_eth(p, sizeof p), -WIRE_LENGTH);
        be16_store(p + 12, ETH_VLAN);
        be16_store(p + 16, (uint16_t)type);
        assert_int_equal(parse_eth(p, sizeof p), -WIRE_LENGTH);
    }
    be16_store(p + 12, ETH_TYPE_MIN);
    assert_int_equal(parse_eth(p, sizeof p), ETH_BYTES);
}

static void each_way_to_be_no_arp_has_its_reason(void **state)
{
    static const struct {
        uint8_t at, value;
        int says;
    } cases[] = {{1, 6, -WIRE_VERSION}, {0, 1, -WIRE_VERSION}, {2, 0x86, -WIRE_VERSION},
                 {3, 1, -WIRE_VERSION}, {4, 8, -WIRE_LENGTH},  {5, 16, -WIRE_LENGTH},
                 {4, 0, -WIRE_LENGTH},  {7, 0, -WIRE_VALUE},   {7, 3, -WIRE_VALUE},
                 {6, 1, -WIRE_VALUE}};
    uint8_t frame[FRAME_MAX], *arp = frame + ETH_BYTES;

    (void)state;
    for (size_t i = 0; i < array_len(cases); i++) {
        unhex(FRAME_ARP_REQUEST, frame);
        assert_int_equal(parse_exact(parse_arp, arp, ARP_BYTES), ARP_BYTES);
        arp[cases[i].at] = cases[i].value;
        assert_int_equal(parse_exact(parse_arp, arp, ARP_BYTES), cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_captured_request_reads_as_sent),
        cmocka_unit_test(a_captured_reply_reads_as_sent),
        cmocka_unit_test(every_header_survives_a_round_trip),
        cmocka_unit_test(every_arp_packet_survives_a_round_trip),
        cmocka_unit_test(truncated_headers_are_short),
        cmocka_unit_test(tags_are_read_and_a_third_is_refused),
        cmocka_unit_test(a_length_is_not_a_type),
        cmocka_unit_test(each_way_to_be_no_arp_has_its_reason),
    };
    return run_group(tests);
}
