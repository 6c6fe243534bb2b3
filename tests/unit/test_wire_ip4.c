/* SPDX-License-Identifier: MIT
 * IPv4 headers: captured ones read as sent, values survive a round trip with any options, and each
 * way to be wrong has its reason. */
#include "wire.h"

#include "wire/eth.h"
#include "wire/ip4.h"

static int parse(const uint8_t *p, size_t n)
{
    struct ip4 ip;
    return ip4_parse(p, n, &ip);
}

/* The IP packet of a captured frame. */
static size_t packet(const char *hex, uint8_t *ret)
{
    uint8_t frame[FRAME_MAX];
    size_t n = unhex(hex, frame) - ETH_BYTES;
    memcpy(ret, frame + ETH_BYTES, n);
    return n;
}

/* Make the header's checksum right again. */
static void mend(uint8_t *p)
{
    uint16_t sum;
    memset(p + 10, 0, 2);
    sum = checksum_finish(checksum_add(0, p, (p[0] & 15u) * 4));
    memcpy(p + 10, &sum, 2);
}

static void a_captured_header_reads_as_sent(void **state)
{
    uint8_t p[FRAME_MAX], again[IP4_BYTES_MAX];
    size_t n = packet(FRAME_UDP, p);
    struct ip4 ip;

    (void)state;
    assert_int_equal(ip4_parse(p, n, &ip), IP4_BYTES);
    assert_int_equal(ip.header_bytes, IP4_BYTES);
    assert_int_equal(ip.total, 32);
    assert_int_equal(ip.id, 0x2e6d);
    assert_true(ip.dont && !ip.more && !ip4_is_fragment(&ip));
    assert_int_equal(ip.ttl, 64);
    assert_int_equal(ip.tos, 0);
    assert_int_equal(ip.protocol, IP_UDP);
    assert_int_equal(ip.option_bytes, 0);
    assert_memory_equal(ip.src, "\x0a\x09\0\1", 4);
    assert_memory_equal(ip.dst, "\x0a\x09\0\2", 4);
    assert_int_equal(ip4_emit(again, &ip), IP4_BYTES);
    assert_memory_equal(again, p, IP4_BYTES);
}

static void a_captured_header_with_options_reads_as_sent(void **state)
{
    uint8_t p[FRAME_MAX], again[IP4_BYTES_MAX];
    size_t n = packet(FRAME_OPTIONS, p);
    struct ip4 ip;

    (void)state;
    assert_int_equal(ip4_parse(p, n, &ip), 28);
    assert_int_equal(ip.header_bytes, 28);
    assert_int_equal(ip.option_bytes, 8);
    assert_memory_equal(ip.options, "\7\7\x08\x0a\x09\0\1\0", 8);
    assert_int_equal(ip4_emit(again, &ip), 28);
    assert_memory_equal(again, p, 28);
}

static void a_captured_fragment_reads_as_sent(void **state)
{
    uint8_t p[FRAME_MAX];
    size_t n = packet(FRAME_LAST_FRAGMENT, p);
    struct ip4 ip;

    (void)state;
    assert_int_equal(ip4_parse(p, n, &ip), IP4_BYTES);
    assert_true(ip4_is_fragment(&ip) && !ip.more && !ip.dont);
    assert_int_equal(ip.offset, 1480);
    p[6] |= 0x20;
    mend(p);
    assert_int_equal(ip4_parse(p, n, &ip), IP4_BYTES);
    assert_true(ip.more);
}

static struct ip4 random_ip4(struct rng *rng)
{
    struct ip4 ip = {.tos = (uint8_t)rng_next(rng),
                     .ttl = (uint8_t)rng_next(rng),
                     .protocol = (uint8_t)rng_next(rng),
                     .id = (uint16_t)rng_next(rng),
                     .offset = (uint16_t)(rng_below(rng, 8192) * 8),
                     .more = rng_below(rng, 2),
                     .dont = rng_below(rng, 2)};

    rng_fill(rng, ip.src, 4);
    rng_fill(rng, ip.dst, 4);
    while (rng_below(rng, 3) && ip.option_bytes < 38) {
        uint8_t bytes = (uint8_t)(2 + rng_below(rng, 39u - ip.option_bytes));
        rng_fill(rng, ip.options + ip.option_bytes, bytes);
        ip.options[ip.option_bytes] = (uint8_t)(2 + rng_below(rng, 127)); /* not end, nop, routes */
        ip.options[ip.option_bytes + 1] = bytes;
        ip.option_bytes = (uint8_t)(ip.option_bytes + bytes);
    }
    for (; ip.option_bytes % 4; ip.option_bytes++)
        ip.options[ip.option_bytes] = 1;
    ip.header_bytes = (uint8_t)(IP4_BYTES + ip.option_bytes);
    ip.total = (uint16_t)(ip.header_bytes + rng_below(rng, 200));
    return ip;
}

static bool ip4_equal(const struct ip4 *a, const struct ip4 *b)
{
    return memcmp(a->src, b->src, 4) == 0 && memcmp(a->dst, b->dst, 4) == 0 && a->tos == b->tos &&
           a->ttl == b->ttl && a->protocol == b->protocol && a->header_bytes == b->header_bytes &&
           a->total == b->total && a->id == b->id && a->offset == b->offset && a->more == b->more &&
           a->dont == b->dont && a->option_bytes == b->option_bytes &&
           memcmp(a->options, b->options, a->option_bytes) == 0;
}

static void every_header_survives_a_round_trip(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        struct rng rng = {seed};
        struct ip4 ip = random_ip4(&rng), back;
        uint8_t bytes[IP4_BYTES_MAX + 200] = {0}, *copy;
        HOLDS(seed, ip4_emit(bytes, &ip) == ip.header_bytes);
        copy = exact(bytes, ip.total);
        memset(&back, 0xa5, sizeof back);
        HOLDS(seed, ip4_parse(copy, ip.total, &back) == ip.header_bytes);
        HOLDS(seed, ip4_equal(&ip, &back));
        memset(&back, 0xa5, sizeof back);
        HOLDS(seed, ip4_parse_any(copy, ip.total, &back) == ip.header_bytes);
        HOLDS(seed, ip4_equal(&ip, &back));
        exact_free(copy, ip.total);
        HOLDS(seed, parse_exact(parse, bytes, rng_below(&rng, ip.total)) < 0);
    }
}

/* One wrong bit of a header, wherever, is seen: by the checksum at the latest. */
static void every_wrong_bit_is_seen(void **state)
{
    uint8_t p[FRAME_MAX];
    size_t n = packet(FRAME_OPTIONS, p);

    (void)state;
    for (unsigned bit = 0; bit < 28 * 8; bit++) {
        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(parse_exact(parse, p, n) < 0);
        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(parse_exact(parse, p, n), 28);
}

static void truncated_packets_are_refused(void **state)
{
    uint8_t p[FRAME_MAX];
    size_t n = packet(FRAME_OPTIONS, p);

    (void)state;
    assert_truncations(parse, p, n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(parse_exact(parse, p, i), i < 28 ? -WIRE_SHORT : -WIRE_LENGTH);
    n = packet(FRAME_UDP, p);
    assert_truncations(parse, p, n + 14, n); /* padding behind it */
}

static void each_wrong_field_has_its_reason(void **state)
{
    static const struct {
        uint8_t at, value;
        int says;
    } cases[] = {{0, 0x65, -WIRE_VERSION}, {0, 0x05, -WIRE_VERSION}, {0, 0x44, -WIRE_VERSION},
                 {0, 0x40, -WIRE_VERSION}, {0, 0x4f, -WIRE_SHORT},   {3, 19, -WIRE_LENGTH},
                 {3, 0, -WIRE_LENGTH},     {3, 33, -WIRE_LENGTH},    {2, 1, -WIRE_LENGTH},
                 {8, 63, -WIRE_CHECKSUM},  {10, 0, -WIRE_CHECKSUM},  {19, 3, -WIRE_CHECKSUM}};
    uint8_t p[FRAME_MAX];

    (void)state;
    for (size_t i = 0; i < array_len(cases); i++) {
        size_t n = packet(FRAME_UDP, p);
        p[cases[i].at] = cases[i].value;
        assert_int_equal(parse_exact(parse, p, n), cases[i].says);
    }
}

/* A header of 28 bytes with these as its options. */
static int with_options(const char *options)
{
    uint8_t p[FRAME_MAX];
    size_t n = packet(FRAME_OPTIONS, p);

    memcpy(p + IP4_BYTES, options, 8);
    mend(p);
    return parse_exact(parse, p, n);
}

/* The header is all there is, and its last byte the first of an option: nothing behind it is read.
 * A total that ends within the options is no length. */
static void options_end_with_their_header(void **state)
{
    uint8_t p[FRAME_MAX];

    (void)state;
    packet(FRAME_OPTIONS, p);
    be16_store(p + 2, 28);
    mend(p);
    assert_int_equal(parse_exact(parse, p, 28), 28);
    p[20] = 1;
    memset(p + 21, 1, 6);
    p[27] = 7;
    mend(p);
    assert_int_equal(parse_exact(parse, p, 28), -WIRE_OPTIONS);
    for (uint16_t total = IP4_BYTES; total < 28; total++) {
        be16_store(p + 2, total);
        mend(p);
        assert_int_equal(parse_exact(parse, p, 28), -WIRE_LENGTH);
    }
}

static void options_are_walked(void **state)
{
    (void)state;
    assert_int_equal(with_options("\0\0\0\0\0\0\0\0"), 28);
    assert_int_equal(with_options("\0\xff\xff\xff\xff\xff\xff\xff"), 28); /* behind the end */
    assert_int_equal(with_options("\1\1\1\1\1\1\1\1"), 28);
    assert_int_equal(with_options("\x94\4\0\0\x94\4\0\0"), 28); /* router alert: RFC 2113 */
    assert_int_equal(with_options("\7\10\4\0\0\0\0\0"), 28);
    assert_int_equal(with_options("\7\11\4\0\0\0\0\0"), -WIRE_OPTIONS); /* one too long */
    assert_int_equal(with_options("\7\1\0\0\0\0\0\0"), -WIRE_OPTIONS);
    assert_int_equal(with_options("\7\0\0\0\0\0\0\0"), -WIRE_OPTIONS);
    assert_int_equal(with_options("\1\1\1\1\1\1\1\7"), -WIRE_OPTIONS); /* no length byte */
    assert_int_equal(with_options("\7\6\0\0\0\0\x94\3"), -WIRE_OPTIONS);
}

/* Options whose length is no multiple of 4 are padded with their end. */
/* Who gives a packet its route goes around filters. */
static void source_routes_are_refused(void **state)
{
    (void)state;
    static const uint8_t route[] = {131, 137};
    for (unsigned i = 0; i < 2; i++) {
        struct ip4 ip = {.ttl = 64, .protocol = 17, .total = 28, .option_bytes = 8}, back;
        uint8_t p[64] = {0};
        memcpy(ip.options, (const uint8_t[8]){1, route[i], 7, 4, 10, 0, 0, 1}, 8);
        assert_int_equal(ip4_emit(p, &ip), 28);
        assert_int_equal(ip4_parse(p, 28, &back), -WIRE_OPTIONS);
        p[21] = 7; /* the record of a route: nobody obeys it */
        mend(p);
        assert_int_equal(ip4_parse(p, 28, &back), 28);
    }
}

static void options_are_padded(void **state)
{
    struct ip4 ip = {.total = 24, .ttl = 1, .option_bytes = 2, .options = {0x88, 2}}, back;
    uint8_t bytes[IP4_BYTES_MAX];

    (void)state;
    memset(bytes, 0xa5, sizeof bytes);
    assert_int_equal(ip4_emit(bytes, &ip), 24);
    assert_int_equal(ip4_parse(bytes, 24, &back), 24);
    assert_memory_equal(back.options, "\x88\2\0\0", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_captured_header_reads_as_sent),
        cmocka_unit_test(a_captured_header_with_options_reads_as_sent),
        cmocka_unit_test(a_captured_fragment_reads_as_sent),
        cmocka_unit_test(every_header_survives_a_round_trip),
        cmocka_unit_test(every_wrong_bit_is_seen),
        cmocka_unit_test(truncated_packets_are_refused),
        cmocka_unit_test(each_wrong_field_has_its_reason),
        cmocka_unit_test(options_end_with_their_header),
        cmocka_unit_test(options_are_walked),
        cmocka_unit_test(options_are_padded),
        cmocka_unit_test(source_routes_are_refused),
    };
    return run_group(tests);
}
