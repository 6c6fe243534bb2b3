/* SPDX-License-Identifier: MIT
 * The walk along IPv6 extension headers ends, within the packet, for the reasons that RFC 8200
 * gives. */
#include "wire.h"

#include "wire/ip6.h"

static int parse(const uint8_t *p, size_t n)
{
    struct ip6 ip;
    return ip6_parse(p, n, &ip);
}

/* A packet under construction: extension headers, then `rest` bytes of payload. */
struct chain {
    uint8_t p[FRAME_MAX];
    size_t n, next; /* where the next kind of header is told */
};

static struct chain chain(void)
{
    struct chain c = {.n = IP6_BYTES, .next = 6};
    struct ip6 ip = {.hop_limit = 64};
    ip6_emit(c.p, &ip);
    return c;
}
/* Append an extension header: `bytes` from `body` on, after the two that all have in common. */
static void append(struct chain *c, uint8_t kind, const char *body, size_t bytes)
{
    c->p[c->next] = kind;
    c->next = c->n;
    c->p[c->n + 1] = (uint8_t)((bytes + 2) / 8 - 1);
    memcpy(c->p + c->n + 2, body, bytes);
    c->n += bytes + 2;
}
static int walk(struct chain *c, uint8_t protocol, size_t rest, struct ip6 *ret)
{
    uint8_t *copy;
    int r;
    c->p[c->next] = protocol;
    memset(c->p + c->n, 0, rest);
    be16_store(c->p + 4, (uint16_t)(c->n + rest - IP6_BYTES));
    copy = exact(c->p, c->n + rest);
    r = ip6_parse(copy, c->n + rest, ret);
    exact_free(copy, c->n + rest);
    return r;
}
/* What the parser says of one such header in front of UDP. */
static int one(uint8_t kind, const char *body, size_t bytes)
{
    struct chain c = chain();
    struct ip6 ip;
    append(&c, kind, body, bytes);
    return walk(&c, IP_UDP, 8, &ip);
}

#define PADDING "\1\4\0\0\0\0"   /* PadN of 6 bytes: a header of 8 */
#define SKIPPED "\x1e\4\1\2\3\4" /* unknown, to be skipped: RFC 4727 has it for experiments */
#define FRAGMENT "\0\0\x12\x34\x56\x78" /* offset and more, identification */

static void hop_by_hop_comes_first_or_never(void **state)
{
    struct chain c = chain();
    struct ip6 ip;

    (void)state;
    append(&c, IP6_HOP_BY_HOP, PADDING, 6);
    append(&c, IP6_DESTINATION, SKIPPED, 6);
    append(&c, IP6_ROUTING, "\0\0\0\0\0\0", 6);
    append(&c, IP6_DESTINATION, PADDING, 6);
    assert_int_equal(walk(&c, IP_UDP, 20, &ip), IP6_BYTES + 32);
    assert_int_equal(ip.extension_bytes, 32);
    assert_int_equal(ip.protocol, IP_UDP);
    append(&c, IP6_HOP_BY_HOP, PADDING, 6);
    assert_int_equal(walk(&c, IP_UDP, 20, &ip), -WIRE_OPTIONS);
    assert_int_equal(ip6_extensions(c.p + IP6_BYTES, 8, IP6_HOP_BY_HOP, false, &ip), -WIRE_OPTIONS);
}

static void a_chain_is_bounded(void **state)
{
    struct chain c = chain();
    struct ip6 ip;

    (void)state;
    for (unsigned i = 0; i < IP6_EXTENSIONS_MAX; i++)
        append(&c, IP6_DESTINATION, PADDING, 6);
    assert_int_equal(walk(&c, IP_UDP, 0, &ip), IP6_BYTES + 8 * IP6_EXTENSIONS_MAX);
    append(&c, IP6_DESTINATION, PADDING, 6);
    assert_int_equal(walk(&c, IP_UDP, 0, &ip), -WIRE_OPTIONS);
}

static void a_chain_ends_within_the_payload(void **state)
{
    struct chain c = chain();
    struct ip6 ip;

    (void)state;
    append(&c, IP6_DESTINATION, PADDING, 6);
    for (size_t missing = 1; missing <= 8; missing++) {
        be16_store(c.p + 4, (uint16_t)(8 - missing));
        c.p[c.next] = IP_UDP;
        assert_int_equal(parse_exact(parse, c.p, c.n - missing), -WIRE_LENGTH);
        assert_int_equal(parse_exact(parse, c.p, c.n), -WIRE_LENGTH);
    }
    assert_int_equal(walk(&c, IP6_DESTINATION, 0, &ip), -WIRE_LENGTH);
    c.p[IP6_BYTES + 1] = 1;
    assert_int_equal(walk(&c, IP_UDP, 7, &ip), -WIRE_LENGTH);
    assert_int_equal(walk(&c, IP6_NONE, 0, &ip), -WIRE_LENGTH);
}

/* A payload of 0 bytes with a hop-by-hop header is a jumbogram (RFC 2675). */
static void jumbograms_are_refused(void **state)
{
    struct chain c = chain();

    (void)state;
    append(&c, IP6_HOP_BY_HOP, "\xc2\4\0\1\0\0", 6);
    c.p[c.next] = IP_UDP;
    be16_store(c.p + 4, 0);
    assert_int_equal(parse_exact(parse, c.p, c.n), -WIRE_LENGTH);
    assert_int_equal(one(IP6_HOP_BY_HOP, "\xc2\4\0\1\0\0", 6), -WIRE_OPTIONS);
}

static void nothing_may_follow(void **state)
{
    struct chain c = chain();
    struct ip6 ip;

    (void)state;
    assert_int_equal(walk(&c, IP6_NONE, 0, &ip), IP6_BYTES);
    assert_int_equal(ip.protocol, IP6_NONE);
    append(&c, IP6_DESTINATION, PADDING, 6);
    assert_int_equal(walk(&c, IP6_NONE, 5, &ip), IP6_BYTES + 8);
    assert_int_equal(ip.protocol, IP6_NONE);
    assert_int_equal(walk(&c, IP6_AUTH, 5, &ip), IP6_BYTES + 8);
    assert_int_equal(ip.protocol, IP6_AUTH);
}

static void the_upper_bits_of_an_option_say_whether_to_go_on(void **state)
{
    char option[6] = {0, 4};

    (void)state;
    for (unsigned type = 2; type < 256; type++) {
        int says = type >> 6 == 0 ? (int)IP6_BYTES + 8 : -WIRE_OPTIONS;
        option[0] = (char)type;
        assert_int_equal(one(IP6_HOP_BY_HOP, option, 6), says);
        assert_int_equal(one(IP6_DESTINATION, option, 6), says);
    }
}

static void options_fit_their_header(void **state)
{
    (void)state;
    assert_int_equal(one(IP6_DESTINATION, "\0\0\0\0\0\0", 6), 48);
    assert_int_equal(one(IP6_DESTINATION, "\1\0\1\0\1\0", 6), 48);
    assert_int_equal(one(IP6_DESTINATION, "\x1e\5\0\0\0\0", 6), -WIRE_OPTIONS);
    assert_int_equal(one(IP6_DESTINATION, "\x1e\xff\0\0\0\0", 6), -WIRE_OPTIONS);
    assert_int_equal(one(IP6_DESTINATION, "\x1e\3\0\0\0\x1e", 6), -WIRE_OPTIONS); /* no length */
    assert_int_equal(one(IP6_DESTINATION, "\1\5\0\0\0\0", 6), -WIRE_OPTIONS);
}

/* The header is the last of the packet, and its last byte the type of an option. */
static void an_option_without_a_length_is_not_read_past(void **state)
{
    struct chain c = chain();
    struct ip6 ip;

    (void)state;
    append(&c, IP6_DESTINATION, "\x1e\3\0\0\0\x1e", 6);
    assert_int_equal(walk(&c, IP6_NONE, 0, &ip), -WIRE_OPTIONS);
}

static void padding_and_options_are_bounded(void **state)
{
    char many[22];

    (void)state;
    assert_int_equal(one(IP6_DESTINATION, "\x1e\5\0\0\0\0\0\1\5\0\0\0\0\0", 14), 56);
    /* 6 bytes of padding on either side of an option are not 12 in a row */
    assert_int_equal(one(IP6_DESTINATION, "\1\4\0\0\0\0\x1e\0\1\4\0\0\0\0", 14), 56);
    assert_int_equal(one(IP6_DESTINATION, "\x1e\4\0\0\0\0\1\6\0\0\0\0\0\0", 14), -WIRE_OPTIONS);
    assert_int_equal(one(IP6_DESTINATION, "\x1e\4\0\0\0\0\0\0\0\0\0\0\0\0", 14), -WIRE_OPTIONS);
    for (unsigned i = 0; i < sizeof many; i++)
        many[i] = i % 2 ? 0 : 0x1e;
    memset(many + 2 * IP6_OPTIONS_MAX, 0, sizeof many - 2 * IP6_OPTIONS_MAX);
    assert_int_equal(one(IP6_DESTINATION, many, sizeof many), 64);
    many[2 * IP6_OPTIONS_MAX] = 0x1e;
    assert_int_equal(one(IP6_DESTINATION, many, sizeof many), -WIRE_OPTIONS);
}

static void routing_headers_have_no_segments_left(void **state)
{
    (void)state;
    for (int type = 0; type < 5; type++) {
        char body[6] = {(char)type};
        assert_int_equal(one(IP6_ROUTING, body, 6), IP6_BYTES + 8);
        body[1] = 1;
        assert_int_equal(one(IP6_ROUTING, body, 6), -WIRE_VALUE);
    }
}

/* Behind the header of a real fragment lies a part of something, which nobody may read as headers
 * before it is whole. */
static void the_walk_ends_at_a_fragment(void **state)
{
    struct chain c = chain();
    struct ip6 ip;

    (void)state;
    append(&c, IP6_DESTINATION, PADDING, 6);
    append(&c, IP6_FRAGMENT, "\0\1\x12\x34\x56\x78", 6);
    c.p[c.n - 7] = 0xff; /* reserved: ignored */
    assert_int_equal(walk(&c, IP6_DESTINATION, 3, &ip), IP6_BYTES + 16);
    assert_int_equal(ip.protocol, IP6_DESTINATION);
    assert_true(ip.fragmented && ip.more && ip.offset == 0 && ip6_is_fragment(&ip));
    assert_int_equal(ip.id, 0x12345678);
    be16_store(c.p + c.n - 6, 0x0108);
    assert_int_equal(walk(&c, IP6_HOP_BY_HOP, 3, &ip), IP6_BYTES + 16);
    assert_true(!ip.more && ip.offset == 0x108);
}

static void a_lone_fragment_is_walked_through(void **state)
{
    struct chain c = chain();
    struct ip6 ip;

    (void)state;
    append(&c, IP6_FRAGMENT, FRAGMENT, 6);
    c.p[IP6_BYTES + 1] = 0;
    append(&c, IP6_DESTINATION, PADDING, 6);
    assert_int_equal(walk(&c, IP_UDP, 8, &ip), IP6_BYTES + 16);
    assert_true(ip.fragmented && !ip6_is_fragment(&ip));
    assert_int_equal(ip.protocol, IP_UDP);
    append(&c, IP6_FRAGMENT, FRAGMENT, 6);
    assert_int_equal(walk(&c, IP_UDP, 8, &ip), -WIRE_OPTIONS);
}

/* Any bytes at all: what is taken lies within the packet, and nothing beyond it is read. */
static void noise_is_taken_or_refused(void **state)
{
    static const uint8_t kinds[] = {0, 43, 44, 60, 17, 59};
    unsigned taken = 0;

    (void)state;
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        struct rng rng = {seed};
        uint8_t p[128];
        size_t n = IP6_BYTES + rng_below(&rng, sizeof p - IP6_BYTES);
        int r;
        rng_fill(&rng, p, n);
        for (size_t at = IP6_BYTES; at + 8 <= n; at += 8) {
            p[at] = kinds[rng_below(&rng, array_len(kinds))];
            p[at + 1] &= 1;
            if (rng_below(&rng, 2))
                memcpy(p + at + 2, PADDING, 6);
        }
        p[0] = 0x60;
        p[6] = kinds[rng_below(&rng, 4)];
        be16_store(p + 4, (uint16_t)(n - IP6_BYTES));
        r = parse_exact(parse, p, n);
        HOLDS(seed, r < 0 ? r >= -WIRE_VALUE : r >= (int)IP6_BYTES && r <= (int)n);
        taken += r >= 0;
    }
    assert_in_range(taken, TRIALS / 100, TRIALS - TRIALS / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hop_by_hop_comes_first_or_never),
        cmocka_unit_test(a_chain_is_bounded),
        cmocka_unit_test(a_chain_ends_within_the_payload),
        cmocka_unit_test(jumbograms_are_refused),
        cmocka_unit_test(nothing_may_follow),
        cmocka_unit_test(the_upper_bits_of_an_option_say_whether_to_go_on),
        cmocka_unit_test(options_fit_their_header),
        cmocka_unit_test(an_option_without_a_length_is_not_read_past),
        cmocka_unit_test(padding_and_options_are_bounded),
        cmocka_unit_test(routing_headers_have_no_segments_left),
        cmocka_unit_test(the_walk_ends_at_a_fragment),
        cmocka_unit_test(a_lone_fragment_is_walked_through),
        cmocka_unit_test(noise_is_taken_or_refused),
    };
    return run_group(tests);
}
