/* SPDX-License-Identifier: MIT
 * ICMP, ICMPv6 and neighbour discovery: captured messages read as sent, values survive a round
 * trip, and each way to be wrong has its reason. */
#include "wire.h"

#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip6.h"

static uint64_t pseudo; /* of the message at hand */

static int parse_icmp(const uint8_t *p, size_t n)
{
    struct icmp icmp;
    return icmp_parse(p, n, pseudo, &icmp);
}
static int parse_nd(const uint8_t *p, size_t n)
{
    struct nd nd;
    return nd_parse(p, n, pseudo, &nd);
}

/* The message in a captured frame; sets its pseudo-header's sum. */
static size_t message(const char *hex, uint8_t *ret)
{
    uint8_t frame[FRAME_MAX], *ip = frame + ETH_BYTES;
    size_t n = unhex(hex, frame) - ETH_BYTES, head = IP4_BYTES;

    pseudo = 0;
    if (ip[0] >> 4 == 6) {
        head = ip[6] == IP6_HOP_BY_HOP ? IP6_BYTES + 8 : IP6_BYTES;
        pseudo = checksum_pseudo6(ip + 8, ip + 24, IP_ICMP6, (uint32_t)(n - head));
    }
    memcpy(ret, ip + head, n - head);
    return n - head;
}

/* Make the checksum right again. */
static void mend(uint8_t *p, size_t n)
{
    uint16_t sum;
    memset(p + 2, 0, 2);
    sum = checksum_finish(checksum_add(pseudo, p, n));
    memcpy(p + 2, &sum, 2);
}

static void assert_captured(const char *hex, uint8_t type, uint8_t code, uint32_t rest)
{
    uint8_t p[FRAME_MAX], again[FRAME_MAX];
    size_t n = message(hex, p);
    struct icmp icmp;

    assert_int_equal(icmp_parse(p, n, pseudo, &icmp), ICMP_BYTES);
    assert_int_equal(icmp.type, type);
    assert_int_equal(icmp.code, code);
    assert_int_equal(icmp.rest, rest);
    memset(again, 0xa5, ICMP_BYTES);
    memcpy(again + ICMP_BYTES, p + ICMP_BYTES, n - ICMP_BYTES);
    assert_int_equal(icmp_emit(again, n, pseudo, &icmp), ICMP_BYTES);
    assert_memory_equal(again, p, n);
}

static void captured_messages_read_as_sent(void **state)
{
    (void)state;
    assert_captured(FRAME_ECHO, ICMP_ECHO, 0, 0x12340001);
    assert_captured(FRAME_ECHO_REPLY, ICMP_ECHO_REPLY, 0, 0x12340001);
    assert_captured(FRAME_UNREACHABLE, ICMP_UNREACHABLE, ICMP_PORT_UNREACHABLE, 0);
    assert_captured(FRAME_ECHO6, ICMP6_ECHO, 0, 0x12340001);
    assert_captured(FRAME_UNREACHABLE6, ICMP6_UNREACHABLE, ICMP6_PORT_UNREACHABLE, 0);
    assert_captured(FRAME_HOP_BY_HOP, 143, 0, 2); /* listener report: RFC 3810 */
}

static void captured_neighbours_read_as_sent(void **state)
{
    uint8_t p[FRAME_MAX], again[ND_BYTES_MAX];
    size_t n = message(FRAME_SOLICITATION, p);
    struct nd nd;

    (void)state;
    assert_int_equal(nd_parse(p, n, pseudo, &nd), n);
    assert_int_equal(nd.type, ICMP6_SOLICITATION);
    assert_true(nd.has_mac && !nd.router && !nd.solicited && !nd.override);
    assert_memory_equal(nd.mac, "\2\0\0\0\0\x0a", 6);
    assert_memory_equal(nd.target, "\xfd\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
    assert_int_equal(nd_emit(again, pseudo, &nd), n);
    assert_memory_equal(again, p, n);
    n = message(FRAME_ADVERTISEMENT, p);
    assert_int_equal(nd_parse(p, n, pseudo, &nd), n);
    assert_int_equal(nd.type, ICMP6_ADVERTISEMENT);
    assert_true(nd.has_mac && !nd.router && nd.solicited && nd.override);
    assert_memory_equal(nd.mac, "\2\0\0\0\0\x0b", 6);
    assert_int_equal(nd_emit(again, pseudo, &nd), n);
    assert_memory_equal(again, p, n);
    n = message(FRAME_SOLICITATION_NONCE, p); /* an option that we do not know */
    assert_int_equal(nd_parse(p, n, pseudo, &nd), n);
    assert_false(nd.has_mac);
}

static void every_message_survives_a_round_trip(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        struct rng rng = {seed};
        struct icmp icmp = {.type = (uint8_t)rng_next(&rng),
                            .code = (uint8_t)rng_next(&rng),
                            .rest = (uint32_t)rng_next(&rng)},
                    back;
        uint8_t p[200];
        size_t n = ICMP_BYTES + rng_below(&rng, sizeof p - ICMP_BYTES);
        pseudo = seed % 2 ? rng_next(&rng) >> 28 | 1 : 0; /* of v6, of v4 */
        rng_fill(&rng, p, n);
        HOLDS(seed, icmp_emit(p, n, pseudo, &icmp) == ICMP_BYTES);
        HOLDS(seed, parse_exact(parse_icmp, p, n) == (int)ICMP_BYTES);
        HOLDS(seed, icmp_parse(p, n, pseudo, &back) == (int)ICMP_BYTES);
        HOLDS(seed, back.type == icmp.type && back.code == icmp.code && back.rest == icmp.rest);
        p[rng_below(&rng, n)] ^= (uint8_t)(1 << rng_below(&rng, 8));
        HOLDS(seed, parse_exact(parse_icmp, p, n) == -WIRE_CHECKSUM);
    }
}

static struct nd random_nd(struct rng *rng)
{
    struct nd nd = {.has_mac = rng_below(rng, 2), .type = ICMP6_SOLICITATION};

    if (rng_below(rng, 2)) {
        nd.type = ICMP6_ADVERTISEMENT;
        nd.router = rng_below(rng, 2);
        nd.solicited = rng_below(rng, 2);
        nd.override = rng_below(rng, 2);
    }
    rng_fill(rng, nd.target, 16);
    nd.target[0] &= 0x7f;
    if (nd.has_mac)
        rng_fill(rng, nd.mac, 6);
    return nd;
}

static void every_neighbour_survives_a_round_trip(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        struct rng rng = {seed};
        struct nd nd = random_nd(&rng), back;
        uint8_t p[ND_BYTES_MAX];
        size_t n;
        pseudo = rng_next(&rng) >> 28;
        n = nd_emit(p, pseudo, &nd);
        HOLDS(seed, n == nd_bytes(&nd) && parse_exact(parse_nd, p, n) == (int)n);
        memset(&back, 0xa5, sizeof back);
        HOLDS(seed, nd_parse(p, n, pseudo, &back) == (int)n);
        HOLDS(seed, back.type == nd.type && back.router == nd.router &&
                        back.solicited == nd.solicited && back.override == nd.override &&
                        back.has_mac == nd.has_mac && memcmp(back.mac, nd.mac, 6) == 0 &&
                        memcmp(back.target, nd.target, 16) == 0);
        HOLDS(seed, parse_exact(parse_nd, p, rng_below(&rng, n)) < 0);
    }
}

static void truncated_messages_are_refused(void **state)
{
    uint8_t p[FRAME_MAX];
    size_t n = message(FRAME_ECHO, p);

    (void)state;
    assert_truncations(parse_icmp, p, n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(parse_exact(parse_icmp, p, i), i < 8 ? -WIRE_SHORT : -WIRE_CHECKSUM);
    n = message(FRAME_ADVERTISEMENT, p);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(parse_exact(parse_nd, p, i), i < 24 ? -WIRE_SHORT : -WIRE_CHECKSUM);
    for (size_t i = ND_BYTES + 1; i < n; i++) { /* an option that is cut off in honest ones */
        mend(p, i);
        assert_int_equal(parse_exact(parse_nd, p, i), -WIRE_OPTIONS);
    }
}

/* All zeros sum up to zero, which no complement ever makes right. */
static void zeros_are_no_message(void **state)
{
    static const uint8_t zeros[64];

    (void)state;
    pseudo = 0;
    assert_int_equal(parse_icmp(zeros, sizeof zeros), -WIRE_CHECKSUM);
}

static void each_wrong_field_has_its_reason(void **state)
{
    static const struct {
        uint8_t at, value;
        int says;
    } cases[] = {{0, 133, -WIRE_VERSION}, {0, 134, -WIRE_VERSION}, {0, 128, -WIRE_VERSION},
                 {1, 1, -WIRE_VALUE},     {8, 0xff, -WIRE_VALUE},  {25, 0, -WIRE_OPTIONS},
                 {25, 2, -WIRE_OPTIONS},  {25, 255, -WIRE_OPTIONS}};
    uint8_t p[FRAME_MAX];

    (void)state;
    for (size_t i = 0; i < array_len(cases); i++) {
        size_t n = message(FRAME_ADVERTISEMENT, p);
        p[cases[i].at] = cases[i].value;
        assert_int_equal(parse_exact(parse_nd, p, n), -WIRE_CHECKSUM);
        mend(p, n);
        assert_int_equal(parse_exact(parse_nd, p, n), cases[i].says);
    }
}

/* Options `text` behind a solicitation, or an advertisement. */
static int with_options(uint8_t type, const char *text, size_t bytes, struct nd *ret)
{
    struct nd nd = {.type = type};
    uint8_t p[FRAME_MAX];
    size_t n = nd_emit(p, pseudo, &nd) + bytes;

    memcpy(p + ND_BYTES, text, bytes);
    mend(p, n);
    assert_int_equal(parse_exact(parse_nd, p, n), nd_parse(p, n, pseudo, ret));
    return nd_parse(p, n, pseudo, ret);
}

static void options_are_walked(void **state)
{
    struct nd nd;

    (void)state;
    /* the first of two addresses, behind an option of 16 bytes that is not known */
    assert_int_equal(with_options(ICMP6_ADVERTISEMENT, "\x0e\2zzzzzzzzzzzzzz\2\1mac--1\2\1mac--2",
                                  32, &nd),
                     ND_BYTES + 32);
    assert_memory_equal(nd.mac, "mac--1", 6);
    /* the other's option is not for this message */
    assert_int_equal(with_options(ICMP6_SOLICITATION, "\2\1mac--1", 8, &nd), ND_BYTES + 8);
    assert_false(nd.has_mac);
    assert_int_equal(with_options(ICMP6_ADVERTISEMENT, "\1\1mac--1", 8, &nd), ND_BYTES + 8);
    assert_false(nd.has_mac);
    /* an address that is longer than Ethernet's */
    assert_int_equal(with_options(ICMP6_SOLICITATION, "\1\2mac--1zzzzzzzz", 16, &nd),
                     -WIRE_OPTIONS);
    assert_int_equal(with_options(ICMP6_SOLICITATION, "\1\1mac--1\1", 9, &nd), -WIRE_OPTIONS);
    /* of others, no length and one past the end */
    assert_int_equal(with_options(ICMP6_SOLICITATION, "\x0e\0zzzzzz", 8, &nd), -WIRE_OPTIONS);
    assert_int_equal(with_options(ICMP6_SOLICITATION, "\x0e\2zzzzzz", 8, &nd), -WIRE_OPTIONS);
}

/* What is a flag of an advertisement is reserved in a solicitation, and ignored (RFC 4861, 4.3). */
static void a_solicitation_has_no_flags(void **state)
{
    uint8_t p[FRAME_MAX];
    size_t n = message(FRAME_SOLICITATION, p);
    struct nd nd;

    (void)state;
    memset(p + 4, 0xff, 4);
    mend(p, n);
    assert_int_equal(nd_parse(p, n, pseudo, &nd), n);
    assert_true(!nd.router && !nd.solicited && !nd.override);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_messages_read_as_sent),
        cmocka_unit_test(captured_neighbours_read_as_sent),
        cmocka_unit_test(every_message_survives_a_round_trip),
        cmocka_unit_test(every_neighbour_survives_a_round_trip),
        cmocka_unit_test(truncated_messages_are_refused),
        cmocka_unit_test(zeros_are_no_message),
        cmocka_unit_test(each_wrong_field_has_its_reason),
        cmocka_unit_test(options_are_walked),
        cmocka_unit_test(a_solicitation_has_no_flags),
    };
    return run_group(tests);
}
