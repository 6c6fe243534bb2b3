/* SPDX-License-Identifier: MIT
 * UDP: captured datagrams read as sent over both families, values survive a round trip, and a zero
 * checksum is what RFC 768 says. */
#include "wire.h"

#include "wire/eth.h"
#include "wire/ip6.h"
#include "wire/udp.h"

static int parse(const uint8_t *p, size_t n)
{
    struct udp udp;
    return udp_parse(p, n, &udp);
}

static size_t datagram(uint8_t *ret, uint64_t *pseudo)
{
    uint8_t frame[FRAME_MAX], *ip = frame + ETH_BYTES;
    size_t n = unhex(FRAME_UDP, frame) - ETH_BYTES - IP4_BYTES;

    *pseudo = checksum_pseudo4(ip + 12, ip + 16, IP_UDP, (uint32_t)n);
    memcpy(ret, ip + IP4_BYTES, n);
    return n;
}

static void a_captured_datagram_reads_as_sent(void **state)
{
    uint8_t p[FRAME_MAX], again[FRAME_MAX];
    uint64_t pseudo;
    size_t n = datagram(p, &pseudo);
    struct udp udp;

    (void)state;
    assert_int_equal(udp_parse(p, n, &udp), UDP_BYTES);
    assert_int_equal(udp.src, 0xc354);
    assert_int_equal(udp.dst, 7000);
    assert_int_equal(udp.bytes, 12);
    assert_true(udp_checksum_ok(p, &udp, pseudo));
    assert_false(udp_checksum_ok(p, &udp, pseudo + 1));
    memcpy(again + UDP_BYTES, p + UDP_BYTES, n - UDP_BYTES);
    assert_int_equal(udp_emit(again, &udp, pseudo), UDP_BYTES);
    assert_memory_equal(again, p, n);
}

static void a_captured_datagram_over_ip6_reads_as_sent(void **state)
{
    uint8_t frame[FRAME_MAX], again[FRAME_MAX];
    uint8_t *ip = frame + ETH_BYTES, *p = ip + IP6_BYTES;
    size_t n = unhex(FRAME_UDP6, frame) - ETH_BYTES - IP6_BYTES;
    uint64_t pseudo = checksum_pseudo6(ip + 8, ip + 24, IP_UDP, (uint32_t)n);
    struct udp udp;

    (void)state;
    assert_int_equal(udp_parse(p, n, &udp), UDP_BYTES);
    assert_int_equal(udp.dst, 7000);
    assert_int_equal(udp.bytes, 13);
    assert_true(udp_checksum_ok(p, &udp, pseudo));
    memcpy(again + UDP_BYTES, p + UDP_BYTES, n - UDP_BYTES);
    assert_int_equal(udp_emit(again, &udp, pseudo), UDP_BYTES);
    assert_memory_equal(again, p, n);
}

static bool udp_equal(const struct udp *a, const struct udp *b)
{
    return a->src == b->src && a->dst == b->dst && a->bytes == b->bytes;
}

/* Both ways to emit: with the whole checksum, and with a part that a device completes. */
static void every_datagram_survives_a_round_trip(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        struct rng rng = {seed};
        struct udp udp = {(uint16_t)rng_next(&rng), (uint16_t)rng_next(&rng),
                          (uint16_t)(UDP_BYTES + rng_below(&rng, 300)), 0},
                   back = {0}, part = {0};
        uint64_t pseudo = rng_next(&rng) >> 28 | 1;
        uint8_t p[UDP_BYTES + 300], *copy;
        uint16_t completed;
        rng_fill(&rng, p, sizeof p);
        HOLDS(seed, udp_emit(p, &udp, pseudo) == UDP_BYTES);
        copy = exact(p, udp.bytes);
        HOLDS(seed, udp_parse(copy, udp.bytes, &back) == (int)UDP_BYTES && udp_equal(&udp, &back));
        HOLDS(seed, back.checksum != 0 && udp_checksum_ok(copy, &back, pseudo));
        copy[rng_below(&rng, 6)] ^= (uint8_t)(1 << rng_below(&rng, 8));
        HOLDS(seed, !udp_checksum_ok(copy, &back, pseudo));
        exact_free(copy, udp.bytes);
        HOLDS(seed, udp_emit_partial(p, &udp, pseudo) == UDP_BYTES);
        HOLDS(seed, udp_parse(p, udp.bytes, &part) == (int)UDP_BYTES && udp_equal(&udp, &part));
        completed = checksum_finish(checksum_add(0, p, udp.bytes));
        HOLDS(seed, (completed ? completed : 0xffff) == back.checksum);
    }
}

/* A payload that makes the sum all ones: its complement, 0, would say that there is none. */
static void a_zero_checksum_is_sent_as_ones(void **state)
{
    struct udp udp = {1, 2, UDP_BYTES + 2, 0}, back;
    uint8_t p[UDP_BYTES + 2] = {0};
    uint16_t rest;

    (void)state;
    udp_emit(p, &udp, 17);
    memcpy(&rest, p + 6, 2); /* what the sum lacks of all ones */
    memcpy(p + 8, &rest, 2);
    udp_emit(p, &udp, 17);
    assert_int_equal(udp_parse(p, sizeof p, &back), UDP_BYTES);
    assert_int_equal(back.checksum, 0xffff);
    assert_true(udp_checksum_ok(p, &back, 17));
}

static void no_checksum_is_right(void **state)
{
    uint8_t p[FRAME_MAX];
    uint64_t pseudo;
    size_t n = datagram(p, &pseudo);
    struct udp udp;

    (void)state;
    memset(p + 6, 0, 2);
    assert_int_equal(udp_parse(p, n, &udp), UDP_BYTES);
    assert_int_equal(udp.checksum, 0);
    assert_true(udp_checksum_ok(p, &udp, pseudo));
}

static void truncated_datagrams_are_refused(void **state)
{
    uint8_t p[FRAME_MAX];
    uint64_t pseudo;
    size_t n = datagram(p, &pseudo);

    (void)state;
    assert_truncations(parse, p, n + 10, n); /* with padding behind it */
    for (size_t i = 0; i < n; i++)
        assert_int_equal(parse_exact(parse, p, i), i < UDP_BYTES ? -WIRE_SHORT : -WIRE_LENGTH);
}

static void lengths_below_the_header_are_refused(void **state)
{
    uint8_t p[FRAME_MAX];
    uint64_t pseudo;
    size_t n = datagram(p, &pseudo);

    (void)state;
    for (uint16_t bytes = 0; bytes <= n + 1; bytes++) {
        be16_store(p + 4, bytes);
        assert_int_equal(parse_exact(parse, p, n),
                         bytes < UDP_BYTES || bytes > n ? -WIRE_LENGTH : (int)UDP_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_captured_datagram_reads_as_sent),
        cmocka_unit_test(a_captured_datagram_over_ip6_reads_as_sent),
        cmocka_unit_test(every_datagram_survives_a_round_trip),
        cmocka_unit_test(a_zero_checksum_is_sent_as_ones),
        cmocka_unit_test(no_checksum_is_right),
        cmocka_unit_test(truncated_datagrams_are_refused),
        cmocka_unit_test(lengths_below_the_header_are_refused),
    };
    return run_group(tests);
}
