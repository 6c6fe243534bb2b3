/* SPDX-License-Identifier: MIT
 * Fragments that nobody honest sends, each story over IPv4 and over IPv6: which counters it ends in. And
 * floods of them: the table has its bound, and a datagram that is under way is not pushed out.
 * Source: RFC 791, 3.2; RFC 1858 (tiny); RFC 3128; RFC 5722 (overlaps); RFC 8200, 4.5. */
#include "street.h"

#define WHOLE 48u /* bytes of UDP header and payload that most stories are about */
#define LAST 0
#define MORE 1
#define ID 0 /* each story gets one of its own */

struct story {
    const char *name, *ends;
    struct piece piece[5]; /* until one of no protocol */
    uint16_t port;         /* of the datagram; 0: 7 */
    int spoil;             /* the datagram's checksum is wrong; another byte in piece 2 */
};

#define P(offset, bytes, more)                                                                     \
    {                                                                                              \
        ID, offset, bytes, more, 17                                                                \
    }

static const struct story stories[] = {
    {.name = "in order",
     .ends = "rx_packets fragments_in*2 reassembled",
     .piece = {P(0, 24, MORE), P(24, 24, LAST)}},
    {.name = "backwards",
     .ends = "rx_packets fragments_in*3 reassembled",
     .piece = {P(32, 16, LAST), P(16, 16, MORE), P(0, 16, MORE)}},
    {.name = "the first is missing", .ends = "fragments_in", .piece = {P(24, 24, LAST)}},
    {.name = "the last is missing", .ends = "fragments_in", .piece = {P(0, 24, MORE)}},
    {.name = "the middle is missing",
     .ends = "fragments_in*2",
     .piece = {P(0, 16, MORE), P(32, 16, LAST)}},
    {.name = "one comes twice",
     .ends = "rx_packets fragments_in*3 reassembled fragment_again",
     .piece = {P(0, 24, MORE), P(0, 24, MORE), P(24, 24, LAST)}},
    {.name = "one comes twice and differs",
     .ends = "fragments_in*2 fragment_bad*2",
     .piece = {P(0, 24, MORE), P(0, 24, MORE)},
     .spoil = 2},
    {.name = "they overlap",
     .ends = "fragments_in*2 fragment_bad*2",
     .piece = {P(0, 24, MORE), P(16, 32, LAST)}},
    {.name = "teardrop: the second within the first",
     .ends = "fragments_in*2 fragment_bad*2",
     .piece = {P(0, 40, MORE), P(24, 4, LAST)}},
    {.name = "the first again, larger",
     .ends = "fragments_in*2 fragment_bad*2",
     .piece = {P(0, 16, MORE), P(0, 32, MORE)}},
    {.name = "an overlap, and then the rest",
     .ends = "fragments_in*4 fragment_bad*4",
     .piece = {P(0, 24, MORE), P(16, 16, MORE), P(24, 24, LAST), P(0, 24, MORE)}},
    {.name = "two ends",
     .ends = "fragments_in*2 fragment_bad*2",
     .piece = {P(16, 8, LAST), P(24, 8, LAST)}},
    {.name = "one behind the end",
     .ends = "fragments_in*2 fragment_bad*2",
     .piece = {P(16, 8, LAST), P(24, 8, MORE)}},
    {.name = "an end before what came",
     .ends = "fragments_in*2 fragment_bad*2",
     .piece = {P(24, 24, MORE), P(8, 8, LAST)}},
    {.name = "no bytes, the first", .ends = "fragments_in fragment_bad", .piece = {P(0, 0, MORE)}},
    {.name = "no bytes, the last", .ends = "fragments_in fragment_bad", .piece = {P(24, 0, LAST)}},
    {.name = "a length that is no multiple of 8",
     .ends = "fragments_in fragment_bad",
     .piece = {P(0, 20, MORE)}},
    {.name = "tiny: 4 bytes of UDP's header",
     .ends = "fragments_in fragment_bad",
     .piece = {P(0, 4, MORE)}},
    {.name = "ping of death: past 65,535 bytes",
     .ends = "fragments_in fragment_bad",
     .piece = {P(65528, 40, LAST)}},
    {.name = "the same, and more to come",
     .ends = "fragments_in fragment_bad",
     .piece = {P(65528, 8, MORE)}},
    {.name = "to a port that nobody opened",
     .ends = "no_port fragments_in*2 reassembled",
     .piece = {P(0, 24, MORE), P(24, 24, LAST)},
     .port = 9},
    {.name = "a wrong checksum in pieces",
     .ends = "bad_checksum fragments_in*2 reassembled",
     .piece = {P(0, 24, MORE), P(24, 24, LAST)},
     .spoil = 2},
    {.name = "a length past the end",
     .ends = "dishonest_length fragments_in*2 reassembled",
     .piece = {P(0, 24, MORE), P(24, 16, LAST)}},
    {.name = "shorter than a UDP header",
     .ends = "fragments_in fragment_bad",
     .piece = {P(0, 6, MORE)}},
    {.name = "TCP in pieces",
     .ends = "no_protocol fragments_in*2 reassembled",
     .piece = {{ID, 0, 24, MORE, 6}, {ID, 24, 24, LAST, 6}}},
    {.name = "a ping in pieces",
     .ends = "no_protocol fragments_in*2 reassembled",
     .piece = {{ID, 0, 24, MORE, 1}, {ID, 24, 24, LAST, 1}}},
};

static void tell(struct street *s, const struct story *story, int ip4, uint16_t id)
{
    uint8_t whole[WHOLE];
    struct weir_counters before = host_counters(&s->target), after;
    struct craft c;
    char what[96];
    craft_datagram(whole, ip4, WHOLE, story->port ? story->port : 7);
    for (unsigned i = 0; i < array_len(story->piece) && story->piece[i].protocol; i++) {
        struct piece piece = story->piece[i];
        piece.id = id;
        craft_piece(&c, ip4, &piece, piece.offset < WHOLE ? whole + piece.offset : NULL);
        if (story->spoil && i + 1 == (unsigned)story->spoil)
            c.at[c.n - 1] ^= 0x55;
        street_strike(s, &c);
    }
    assert_true(weir_sim_run(s->sim, weir_sim_now(s->sim)) >= 0);
    after = host_counters(&s->target);
    snprintf(what, sizeof what, "IPv%d fragments: %s", ip4 ? 4 : 6, story->name);
    assert_ends(&before, &after, story->ends, what);
    street_settle(s);
}

static void every_story_has_its_end(uint64_t seed)
{
    struct street s;
    uint16_t id = 1;
    street_open(&s, seed);
    for (unsigned i = 0; i < array_len(stories); i++) {
        for (int ip4 = 0; ip4 < 2; ip4++) {
            tell(&s, &stories[i], ip4, id++);
            street_echo(&s, 1, ip4);
        }
        street_pass(&s, 5 * S, 5);
    }
    street_close(&s);
}

/* What never becomes whole is dropped in time, told once a datagram, and its place is free again. */
static void what_does_not_become_whole_ends_in_time(uint64_t seed)
{
    struct street s;
    struct craft c;
    uint8_t whole[WHOLE] = {0};
    street_open(&s, seed);
    struct weir_counters before = host_counters(&s.target);
    for (uint16_t id = 1; id <= 10; id++) {
        craft_piece(&c, id & 1, &(struct piece){id, 0, 24, MORE, 17}, whole);
        street_strike(&s, &c);
    }
    street_pass(&s, 29 * S, 29);
    assert_int_equal(host_counters(&s.target).fragment_timeout - before.fragment_timeout, 0);
    street_pass(&s, 2 * S, 2);
    assert_int_equal(host_counters(&s.target).fragment_timeout - before.fragment_timeout, 10);
    street_close(&s);
}

/* ---- floods ---------------------------------------------------------------------------------- */

#define FLOOD 50000u
#define BATCH 100u
#define PLACES 64u /* weir_frames_opt.fragments_max: its default */

/* First fragments of datagrams that have no second, from as many sources as there are frames. */
static void flood_piece(struct craft *c, uint32_t i, int ip4, int spoofed)
{
    uint8_t whole[1400] = {0};
    craft_piece(c, ip4, &(struct piece){(uint16_t)i, 0, 1400, MORE, 17}, whole);
    if (spoofed)
        craft_set(c, ip4 ? 26 : 34, 4, (ip4 ? 0x0a400000u : 0x10000u) + i);
    craft_sums(c);
}

static uint64_t slots_out(const struct host *host, unsigned section)
{
    struct weir_pool_stats stats;
    weir_pool_stats(weir_engine_pool(host->engine), &stats);
    return stats.count[section][WEIR_APP] + stats.count[section][WEIR_TX];
}

/* One third of an honest datagram, of a source of its own. Its checksum is that of another source: what
 * matters is that it is put together. */
static void honest_third(struct street *s, uint16_t offset, int more)
{
    struct craft c;
    uint8_t whole[WHOLE];
    craft_datagram(whole, 1, WHOLE, 7);
    craft_piece(&c, 1, &(struct piece){7, offset, 16, (uint8_t)more, 17}, whole + offset);
    craft_set(&c, 26, 4, 0x0a000043);
    craft_sums(&c);
    street_strike(s, &c);
}

/* Two thirds come before the flood, so that it is under way; the last a second later, in the middle. */
static void fragment_flood(uint64_t seed, int spoofed)
{
    struct street s;
    struct craft c;
    uint32_t most =
        spoofed ? PLACES : PLACES / 4 * 2; /* a quarter a source, of which there are two */
    street_open(&s, seed);
    struct weir_counters before = host_counters(&s.target);
    honest_third(&s, 0, MORE);
    honest_third(&s, 16, MORE);
    for (uint32_t i = 0; i < FLOOD; i++) {
        flood_piece(&c, i, (int)(i & 1), spoofed);
        street_strike(&s, &c);
        if (i == 100 * BATCH)
            honest_third(&s, 32, LAST);
        if (i % BATCH != BATCH - 1)
            continue;
        street_pass(&s, 10 * MS, 1);
        street_echo(&s, 1, (int)(i / BATCH & 1));
        assert_true(slots_out(&s.target, WEIR_BIG) <= most + 1);
    }
    struct weir_counters after = host_counters(&s.target);
    assert_int_equal(after.fragments_in - before.fragments_in, FLOOD + 3);
    assert_int_equal(after.reassembled - before.reassembled, 1);
    assert_true(after.fragment_full - before.fragment_full > FLOOD / 2);
    assert_sum_rule(&before, &after, "a flood of fragments");
    street_close(&s);
}

static void a_flood_from_two_sources_gets_its_share(uint64_t seed)
{
    fragment_flood(seed, 0);
}

static void a_flood_from_spoofed_sources_is_bounded(uint64_t seed)
{
    fragment_flood(seed, 1);
}

int main(int argc, char **argv)
{
    static const struct sim_case cases[] = {
        CASE(every_story_has_its_end),
        CASE(what_does_not_become_whole_ends_in_time),
        CASE(a_flood_from_two_sources_gets_its_share),
        CASE(a_flood_from_spoofed_sources_is_bounded),
    };
    return bed_main(argc, argv, cases, array_len(cases));
}
