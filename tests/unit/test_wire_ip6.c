/* SPDX-License-Identifier: MIT
 * IPv6 headers: captured ones read as sent, and values survive a round trip. */
#include "wire.h"

#include "wire/eth.h"
#include "wire/ip6.h"

static int parse(const uint8_t *p, size_t n)
{
    struct ip6 ip;
    return ip6_parse(p, n, &ip);
}

static size_t packet(const char *hex, uint8_t *ret)
{
    uint8_t frame[FRAME_MAX];
    size_t n = unhex(hex, frame) - ETH_BYTES;
    memcpy(ret, frame + ETH_BYTES, n);
    return n;
}

static void a_captured_header_reads_as_sent(void **state)
{
    uint8_t p[FRAME_MAX], again[IP6_BYTES + IP6_FRAGMENT_BYTES];
    size_t n = packet(FRAME_UDP6, p);
    struct ip6 ip;

    (void)state;
    assert_int_equal(ip6_parse(p, n, &ip), IP6_BYTES);
    assert_int_equal(ip.protocol, IP_UDP);
    assert_int_equal(ip.bytes, 13);
    assert_int_equal(ip.flow, 0x532a0);
    assert_int_equal(ip.traffic_class, 0);
    assert_int_equal(ip.hop_limit, 64);
    assert_int_equal(ip.extension_bytes, 0);
    assert_true(!ip.fragmented && !ip6_is_fragment(&ip));
    assert_memory_equal(ip.src, "\xfd\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    assert_memory_equal(ip.dst, "\xfd\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
    assert_int_equal(ip6_emit(again, &ip), IP6_BYTES);
    assert_memory_equal(again, p, IP6_BYTES);
}

static void captured_extension_headers_are_walked(void **state)
{
    uint8_t p[FRAME_MAX];
    size_t n = packet(FRAME_HOP_BY_HOP, p);
    struct ip6 ip;

    (void)state;
    assert_int_equal(ip6_parse(p, n, &ip), 48);
    assert_int_equal(ip.protocol, IP_ICMP6);
    assert_int_equal(ip.extension_bytes, 8);
    n = packet(FRAME_DESTINATION, p);
    assert_int_equal(ip6_parse(p, n, &ip), 48);
    assert_int_equal(ip.protocol, IP_UDP);
    assert_int_equal(ip.bytes, 19);
    assert_truncations(parse, p, n, n);
}

static struct ip6 random_ip6(struct rng *rng)
{
    struct ip6 ip = {.traffic_class = (uint8_t)rng_next(rng),
                     .hop_limit = (uint8_t)rng_next(rng),
                     .flow = rng_next(rng) & 0xfffff,
                     .bytes = (uint16_t)rng_below(rng, 300),
                     .fragmented = rng_below(rng, 2)};

    rng_fill(rng, ip.src, 16);
    rng_fill(rng, ip.dst, 16);
    ip.protocol = (uint8_t)(61 + rng_below(rng, 190)); /* above all extension headers */
    if (rng_below(rng, 2))
        ip.protocol = rng_below(rng, 2) ? IP_UDP : IP_ICMP6;
    if (ip.fragmented) {
        ip.bytes += IP6_FRAGMENT_BYTES;
        ip.extension_bytes = IP6_FRAGMENT_BYTES;
        ip.offset = (uint16_t)(rng_below(rng, 8192) * 8);
        ip.more = rng_below(rng, 2);
        ip.id = (uint32_t)rng_next(rng);
    }
    return ip;
}

static bool ip6_equal(const struct ip6 *a, const struct ip6 *b)
{
    return memcmp(a->src, b->src, 16) == 0 && memcmp(a->dst, b->dst, 16) == 0 &&
           a->traffic_class == b->traffic_class && a->hop_limit == b->hop_limit &&
           a->protocol == b->protocol && a->flow == b->flow && a->bytes == b->bytes &&
           a->extension_bytes == b->extension_bytes && a->fragmented == b->fragmented &&
           a->more == b->more && a->offset == b->offset && a->id == b->id;
}

static void every_header_survives_a_round_trip(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        struct rng rng = {seed};
        struct ip6 ip = random_ip6(&rng), back;
        uint8_t bytes[IP6_BYTES + 320] = {0}, *copy;
        size_t n = IP6_BYTES + ip.bytes, head = ip6_emit(bytes, &ip);
        HOLDS(seed, head == IP6_BYTES + (ip.fragmented ? IP6_FRAGMENT_BYTES : 0));
        copy = exact(bytes, n);
        memset(&back, 0xa5, sizeof back);
        HOLDS(seed, ip6_parse(copy, n, &back) == (int)head && ip6_equal(&ip, &back));
        exact_free(copy, n);
        HOLDS(seed, parse_exact(parse, bytes, rng_below(&rng, n)) < 0);
    }
}

static void truncated_packets_are_refused(void **state)
{
    uint8_t p[FRAME_MAX];
    size_t n = packet(FRAME_UDP6, p);

    (void)state;
    assert_truncations(parse, p, n + 20, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(parse_exact(parse, p, i), i < IP6_BYTES ? -WIRE_SHORT : -WIRE_LENGTH);
    for (unsigned version = 0; version < 16; version++) {
        p[0] = (uint8_t)(version << 4);
        assert_int_equal(parse_exact(parse, p, n), version == 6 ? (int)IP6_BYTES : -WIRE_VERSION);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_captured_header_reads_as_sent),
        cmocka_unit_test(captured_extension_headers_are_walked),
        cmocka_unit_test(every_header_survives_a_round_trip),
        cmocka_unit_test(truncated_packets_are_refused),
    };
    return run_group(tests);
}
