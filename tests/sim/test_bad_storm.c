/* SPDX-License-Identifier: MIT
 * Storms: frames damaged at random, and floods of ARP and neighbour discovery from addresses that nobody
 * has, while a good peer is served. Not one of its echoes may be lost, and who is in use stays known. */
#include "street.h"

#include <malloc.h>

/* ---- random ---------------------------------------------------------------------------------- */

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static uint32_t below(uint64_t *state, uint64_t n)
{
    return (uint32_t)(draw(state) % n);
}

/* ---- damage ---------------------------------------------------------------------------------- */

#define STORM 200000u
#define BATCH 50u

static void random_good(struct craft *c, uint64_t *state)
{
    uint32_t what = below(state, GOODS + 2);
    if (what < GOODS) {
        craft_good(c, (enum good)what);
        return;
    }
    uint8_t whole[256];
    int ip4 = what == GOODS;
    uint16_t from = (uint16_t)(below(state, 8) * 8), n = (uint16_t)(below(state, 8) * 8);
    craft_datagram(whole, ip4, 128, 7);
    craft_piece(c, ip4,
                &(struct piece){.id = (uint16_t)below(state, below(state, 2) ? 4 : 64),
                                .offset = from,
                                .bytes = n,
                                .more = (uint8_t)below(state, 2),
                                .protocol = 17},
                whole + from);
}

/* Bits turned, bytes that differ, bytes put in between or taken out, a tag, the end cut or padded. */
static void damage(struct craft *c, uint64_t *state)
{
    size_t at = below(state, c->n), n = 1 + below(state, 12);
    uint8_t bytes[12];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)draw(state);
    switch (below(state, 7)) {
    case 0: c->at[at] ^= (uint8_t)(1u << below(state, 8)); break;
    case 1: c->at[at] = below(state, 2) ? bytes[0] : below(state, 2) ? 0 : 0xff; break;
    case 2: craft_insert(c, at, bytes, n); break;
    case 3:
        n = n < c->n - at ? n : c->n - at;
        memmove(c->at + at, c->at + at + n, c->n - at - n);
        c->n -= n;
        break;
    case 4: c->n = at; break;
    case 5: craft_insert(c, 12, "\x81\0\0\x05", 4); break;
    default:
        memset(c->at + c->n, bytes[0], n);
        c->n += n;
        break;
    }
    c->n = c->n < ETHER ? ETHER : c->n;
}

static void random_frame(struct craft *c, uint64_t *state)
{
    random_good(c, state);
    for (uint32_t times = below(state, 4); times; times--)
        damage(c, state);
    if (below(state, 2))
        craft_sums(c);
    if (below(state, 8)) /* most reach the stack, whatever happened to the address */
        craft_set(c, 0, 4, 0x02000000), craft_set(c, 4, 2, 2);
}

static const char *const everywhere[] = {
    "drop_short",    "drop_mac",    "drop_vlan",    "drop_ethertype",   "dishonest_length",
    "bad_version",   "bad_options", "bad_source",   "bad_checksum",     "not_ours",
    "no_protocol",   "no_port",     "arp_bad",      "nd_bad",           "icmp_bad",
    "icmp_out",      "reassembled", "fragment_bad", "fragment_timeout", "rx_packets",
    "fragment_full",
};

static void every_damaged_frame_ends_in_a_counter(uint64_t seed)
{
    struct street s;
    struct craft c;
    uint64_t state = seed;
    street_open(&s, seed);
    struct weir_counters first = host_counters(&s.target), before = first, after;
    for (uint32_t i = 0; i < STORM; i++) {
        random_frame(&c, &state);
        street_strike(&s, &c);
        if (i % BATCH != BATCH - 1)
            continue;
        street_pass(&s, 100 * MS, 1);
        street_echo(&s, 1, (int)(i / BATCH & 1));
        after = host_counters(&s.target);
        assert_sum_rule(&before, &after, "damaged frames");
        assert_true(after.rx_frames - before.rx_frames >= BATCH + 1);
        before = after;
    }
    for (unsigned i = 0; i < array_len(everywhere); i++)
        if (counter_of(&after, everywhere[i]) == counter_of(&first, everywhere[i]))
            fail_msg("the storm did not reach %s", everywhere[i]);
    assert_int_equal(after.rx_ring_full + after.pool_empty, 0);
    street_close(&s);
}

/* ---- neighbours ------------------------------------------------------------------------------ */

#define FLOOD 100000u

struct flood {
    enum good from;
    uint32_t frames, sources, per_second; /* frames go around so many sources */
    int datagrams;                        /* each source asks for an echo as well */
};

static void from_source(struct craft *c, enum good what, uint32_t i)
{
    int ip4 = what == UDP4, arp = what == ARP_ASK || what == ARP_TELL;
    craft_good(c, what);
    craft_set(c, 8, 4, 0x00400000 + i); /* Ethernet */
    if (arp) {
        craft_set(c, 24, 4, 0x00400000 + i);
        craft_set(c, 28, 4, 0x0a400000 + i);
    } else {
        craft_set(c, ip4 ? 26 : 34, 4, (ip4 ? 0x0a400000 : 0x400000) + i);
    }
    if (what == SOLICIT || what == ADVERTISE)
        craft_set(c, 82, 4, 0x00400000 + i);
    if (what == ADVERTISE)
        craft_set(c, 74, 4, 0x400000 + i);
    craft_sums(c);
}

/* Good asks for an echo every 10 ms of it. The target has asked for good's address in all as often as
 * good's entry was to be confirmed, which good answered. */
static void neighbour_flood(uint64_t seed, const struct flood *f)
{
    struct street s;
    struct craft c;
    uint32_t batch = f->per_second / 1000, batches = 0;
    street_open(&s, seed);
    struct weir_counters before = host_counters(&s.target), good = host_counters(&s.good), after;
    for (uint32_t i = 0; i < f->frames; i++) {
        from_source(&c, f->from, i % f->sources);
        street_strike(&s, &c);
        if (f->datagrams) {
            from_source(&c, f->from == ARP_ASK ? UDP4 : UDP6, i % f->sources);
            street_strike(&s, &c);
        }
        if (i % batch != batch - 1)
            continue;
        street_settle(&s); /* what good asked meanwhile comes after the flood, to an empty bucket */
        if (batches++ % 10 == 0)
            street_echo(&s, 1, (int)(batches / 10 & 1));
        assert_true(weir_sim_run(s.sim, weir_sim_now(s.sim) + MS) >= 0);
    }
    after = host_counters(&s.target);
    assert_sum_rule(&before, &after, "a flood of neighbours");
    assert_int_equal(after.rx_ring_full + after.pool_empty, 0);
    assert_int_equal(after.arp_bad + after.nd_bad, before.arp_bad + before.nd_bad);
    struct weir_counters now = host_counters(&s.good);
    assert_int_equal(now.neighbour_failed + now.park_full + now.neighbour_full,
                     good.neighbour_failed + good.park_full + good.neighbour_full);
    assert_int_equal(s.good.got, s.asked);
    street_close(&s);
}

/* In a few seconds nobody's entry has to be confirmed: a question would mean that it was evicted. */
static void a_short_storm_evicts_nobody(uint64_t seed, enum good what)
{
    struct street s;
    struct craft c;
    street_open(&s, seed);
    struct weir_counters before = host_counters(&s.target), good = host_counters(&s.good);
    size_t allocated = mallinfo2().uordblks;
    for (uint32_t i = 0; i < FLOOD; i++) {
        from_source(&c, what, i);
        street_strike(&s, &c);
        if (i % 250 != 249)
            continue;
        street_pass(&s, 10 * MS, 1);
        street_echo(&s, 1, (int)(i / 250 & 1));
    }
    struct weir_counters after = host_counters(&s.target), now = host_counters(&s.good);
    assert_int_equal(after.neighbour_requests, before.neighbour_requests);
    assert_int_equal(now.neighbour_requests, good.neighbour_requests);
    assert_sum_rule(&before, &after, "a storm");
    if (what == ARP_ASK || what == SOLICIT)
        assert_true(after.icmp_limited - before.icmp_limited > FLOOD / 2);
    assert_int_equal(mallinfo2().uordblks, allocated);
    street_close(&s);
}

static void arp_requests_evict_nobody(uint64_t seed)
{
    a_short_storm_evicts_nobody(seed, ARP_ASK);
}
static void arp_answers_evict_nobody(uint64_t seed)
{
    a_short_storm_evicts_nobody(seed, ARP_TELL);
}
static void solicitations_evict_nobody(uint64_t seed)
{
    a_short_storm_evicts_nobody(seed, SOLICIT);
}
static void advertisements_evict_nobody(uint64_t seed)
{
    a_short_storm_evicts_nobody(seed, ADVERTISE);
}

/* Longer than entries live unconfirmed, at five times the rate that answers are limited to: who is in
 * use is answered all the same, and stays. */
static void a_long_arp_storm_silences_nobody(uint64_t seed)
{
    neighbour_flood(seed, &(struct flood){ARP_ASK, 5 * FLOOD / 2, FLOOD, 5000, 0});
}
static void a_long_storm_of_solicitations_silences_nobody(uint64_t seed)
{
    neighbour_flood(seed, &(struct flood){SOLICIT, 5 * FLOOD / 2, FLOOD, 5000, 0});
}
/* Sources that are learned, and then make us send to them, so that they are in use as well. */
static void strangers_in_use_push_nobody_out(uint64_t seed)
{
    neighbour_flood(seed, &(struct flood){ARP_ASK, FLOOD * 3 / 5, 4000, 2000, 1});
    neighbour_flood(seed, &(struct flood){SOLICIT, FLOOD * 3 / 5, 4000, 2000, 1});
}

int main(int argc, char **argv)
{
    static const struct sim_case cases[] = {
        CASE(every_damaged_frame_ends_in_a_counter),
        CASE(arp_requests_evict_nobody),
        CASE(arp_answers_evict_nobody),
        CASE(solicitations_evict_nobody),
        CASE(advertisements_evict_nobody),
        CASE(a_long_arp_storm_silences_nobody),
        CASE(a_long_storm_of_solicitations_silences_nobody),
        CASE(strangers_in_use_push_nobody_out),
    };
    return bed_main(argc, argv, cases, array_len(cases));
}
