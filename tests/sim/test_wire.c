/* SPDX-License-Identifier: MIT
 * Wires alone, between ports without an engine: when a frame arrives, in which order, and that every
 * one is accounted for. */
#include "bed.h"

#include <math.h>

#define BYTES 100u

static void put(struct bed *bed, unsigned from, unsigned number, size_t bytes)
{
    uint8_t frame[10000] = {0};
    memcpy(frame + 20, &number, sizeof number);
    assert_int_equal(weir_sim_send(bed->port[from], frame, bytes), 0);
}

static void put_many(struct bed *bed, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put(bed, 0, i, BYTES);
}

/* The number of the frame that came to port 1, or -1. */
static int take(struct bed *bed)
{
    uint8_t frame[10000];
    unsigned number;
    int rc = weir_sim_receive(bed->port[1], frame, sizeof frame);
    memcpy(&number, frame + 20, sizeof number);
    return rc < 0 ? -1 : (int)number;
}

static unsigned take_all(struct bed *bed)
{
    uint8_t frame[10000]; /* what it says may be corrupted */
    unsigned n = 0;
    while (weir_sim_receive(bed->port[1], frame, sizeof frame) > 0)
        n++;
    return n;
}

static void a_perfect_wire_delivers_at_once_and_in_order(uint64_t seed)
{
    struct bed bed;
    bed_open(&bed, seed, NULL);
    put_many(&bed, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(take(&bed), i);
    assert_int_equal(take(&bed), -1);
    assert_int_equal(weir_sim_now(bed.sim), S);
    bed_close(&bed);
}

static void both_directions_have_their_own_impairments(uint64_t seed)
{
    struct weir_impair lost = {.loss = 1};
    struct weir_sim_opt opt = {.seed = seed};
    struct bed bed;
    uint8_t frame[64] = {1};
    bed_open_with(&bed, &opt, &lost, NULL);
    assert_int_equal(weir_sim_send(bed.port[0], frame, sizeof frame), 0);
    assert_int_equal(weir_sim_send(bed.port[1], frame, sizeof frame), 0);
    assert_int_equal(weir_sim_receive(bed.port[1], frame, sizeof frame), -EAGAIN);
    assert_int_equal(weir_sim_receive(bed.port[0], frame, sizeof frame), 64);
    bed_close(&bed);
}

static void delay_is_exact(uint64_t seed)
{
    struct weir_impair slow = {.delay_ns = 5 * MS};
    struct bed bed;
    bed_open(&bed, seed, &slow);
    for (unsigned i = 0; i < 10; i++) {
        put(&bed, 0, i, BYTES);
        bed_run(&bed, 1);
    }
    bed_run(&bed, 5 * MS - 11);
    assert_int_equal(take(&bed), -1);
    for (int i = 0; i < 10; i++) {
        bed_run(&bed, 1);
        assert_int_equal(take(&bed), i);
        assert_int_equal(take(&bed), -1);
    }
    bed_close(&bed);
}

static void jitter_stays_within_its_bounds(uint64_t seed)
{
    struct weir_impair shaky = {.delay_ns = 5 * MS, .jitter_ns = MS};
    struct bed bed;
    bed_open(&bed, seed, &shaky);
    put_many(&bed, 1000);
    bed_run(&bed, 4 * MS - 1);
    assert_int_equal(take_all(&bed), 0);
    bed_run(&bed, MS);
    unsigned early = take_all(&bed);
    assert_in_range(early, 300, 700);
    bed_run(&bed, MS + 1);
    assert_int_equal(early + take_all(&bed), 1000);
    assert_true(bed_counts(&bed).reordered > 100);
    bed_close(&bed);
}

/* 1,250 bytes at 10 Mbit/s are 1 ms, and 100 ms may queue. */
static void a_rate_spaces_frames_and_bounds_its_queue(uint64_t seed)
{
    struct weir_impair narrow = {.rate_bits = 10000000};
    struct bed bed;
    bed_open(&bed, seed, &narrow);
    for (unsigned i = 0; i < 150; i++)
        put(&bed, 0, i, 1250);
    assert_int_equal(bed_counts(&bed).lost, 150 - 101);
    bed_run(&bed, MS - 1);
    assert_int_equal(take(&bed), -1);
    bed_run(&bed, 1);
    for (int i = 0; i < 101; i++) {
        assert_int_equal(take(&bed), i);
        assert_int_equal(take(&bed), -1);
        bed_run(&bed, MS);
    }
    bed_assert_balance(&bed);
    bed_close(&bed);
}

static void every_frame_is_accounted_for(uint64_t seed)
{
    struct weir_impair bad = {.loss = 0.1,
                              .duplicate = 0.1,
                              .reorder = 0.1,
                              .corrupt = 0.1,
                              .delay_ns = MS,
                              .jitter_ns = MS / 2};
    struct bed bed;
    unsigned got = 0;
    bed_open(&bed, seed, &bad);
    for (unsigned turn = 0; turn < 20; turn++) {
        put_many(&bed, 500);
        bed_run(&bed, 2 * MS);
        got += take_all(&bed);
    }
    struct weir_sim_counts c = bed_counts(&bed);
    bed_assert_balance(&bed);
    assert_int_equal(c.delivered, got);
    assert_int_equal(c.sent, 10000);
    assert_in_range(c.lost, 850, 1150); /* five standard deviations */
    assert_in_range(c.duplicated, 750, 1050);
    assert_in_range(c.corrupted, 750, 1050);
    assert_true(c.reordered > 500);
    assert_int_equal(c.overrun, 0);
    bed_close(&bed);
}

static void corruption_turns_one_bit_behind_the_ethernet_header(uint64_t seed)
{
    struct weir_impair bad = {.corrupt = 1};
    struct bed bed;
    bed_open(&bed, seed, &bad);
    for (unsigned i = 0; i < 500; i++) {
        uint8_t sent[BYTES] = {0}, got[BYTES];
        unsigned bits = 0;
        assert_int_equal(weir_sim_send(bed.port[0], sent, sizeof sent), 0);
        assert_int_equal(weir_sim_receive(bed.port[1], got, sizeof got), BYTES);
        for (unsigned k = 0; k < BYTES; k++)
            bits += (unsigned)__builtin_popcount(got[k]);
        assert_int_equal(bits, 1);
        assert_memory_equal(got, sent, 14);
    }
    bed_close(&bed);
}

static void duplicates_come_one_behind_the_other(uint64_t seed)
{
    struct weir_impair twice = {.duplicate = 1};
    struct bed bed;
    bed_open(&bed, seed, &twice);
    put_many(&bed, 100);
    for (int i = 0; i < 200; i++)
        assert_int_equal(take(&bed), i / 2);
    bed_assert_balance(&bed);
    bed_close(&bed);
}

static void without_a_delay_reordering_swaps_neighbours(uint64_t seed)
{
    struct weir_impair swap = {.reorder = 1};
    struct bed bed;
    bed_open(&bed, seed, &swap);
    put_many(&bed, 101);
    for (int i = 0; i < 100; i++)
        assert_int_equal(take(&bed), i ^ 1);
    assert_int_equal(take(&bed), -1);
    assert_int_equal(bed_counts(&bed).reordered, 50);
    bed_run(&bed, MS - 1);
    assert_int_equal(take(&bed), -1);
    bed_run(&bed, 1); /* nobody overtook the last one: it comes by itself */
    assert_int_equal(take(&bed), 100);
    bed_run(&bed, S); /* and once only */
    assert_int_equal(take(&bed), -1);
    bed_assert_balance(&bed);
    bed_close(&bed);
}

/* A frame that swaps on a line with a rate follows the next one's arrival. */
static void a_swap_follows_the_line(uint64_t seed)
{
    struct weir_impair swap = {.reorder = 1, .rate_bits = 1000000000};
    struct bed bed;
    bed_open(&bed, seed, &swap);
    put(&bed, 0, 0, 1250); /* 10 us each */
    put(&bed, 0, 1, 1250);
    bed_run(&bed, 20 * US - 1);
    assert_int_equal(take(&bed), -1);
    bed_run(&bed, 1);
    assert_int_equal(take(&bed), 1);
    assert_int_equal(take(&bed), 0);
    bed_run(&bed, S);
    assert_int_equal(take(&bed), -1);
    bed_close(&bed);
}

static uint64_t trace_of(uint64_t seed)
{
    struct weir_impair bad = {.loss = 0.1,
                              .duplicate = 0.1,
                              .reorder = 0.1,
                              .corrupt = 0.1,
                              .delay_ns = MS,
                              .jitter_ns = MS / 2};
    struct bed bed;
    bed_open(&bed, seed, &bad);
    for (unsigned turn = 0; turn < 10; turn++) {
        put_many(&bed, 200);
        put(&bed, 1, turn, 1514);
        bed_run(&bed, 100 * US);
    }
    bed_run(&bed, S);
    uint64_t trace = weir_sim_trace(bed.sim);
    bed_close(&bed);
    return trace;
}

static void the_same_seed_gives_the_same_trace(uint64_t seed)
{
    for (uint64_t i = seed; i < seed + 10; i++) {
        assert_int_equal(trace_of(i), trace_of(i));
        assert_int_not_equal(trace_of(i), trace_of(i + 1));
    }
}

static uint64_t trace_of_one(uint64_t delay_ns, unsigned number)
{
    struct weir_impair slow = {.delay_ns = delay_ns};
    struct bed bed;
    bed_open(&bed, 1, &slow);
    put(&bed, 0, number, BYTES);
    bed_run(&bed, S);
    uint64_t trace = weir_sim_trace(bed.sim);
    bed_close(&bed);
    return trace;
}

static void a_trace_tells_times_and_bytes_apart(uint64_t seed)
{
    (void)seed;
    assert_int_equal(trace_of_one(5, 1), trace_of_one(5, 1));
    assert_int_not_equal(trace_of_one(5, 1), trace_of_one(6, 1));
    assert_int_not_equal(trace_of_one(5, 1), trace_of_one(5, 2));
}

static void unplugging_loses_what_is_under_way(uint64_t seed)
{
    struct weir_impair slow = {.delay_ns = MS};
    struct bed bed;
    bed_open(&bed, seed, &slow);
    put_many(&bed, 10);
    weir_sim_plug(bed.port[1], 0);
    put_many(&bed, 5);
    bed_run(&bed, 2 * MS);
    assert_int_equal(take(&bed), -1);
    assert_int_equal(bed_counts(&bed).lost, 15);
    weir_sim_plug(bed.port[0], 1);
    put_many(&bed, 7);
    bed_run(&bed, 2 * MS);
    assert_int_equal(take_all(&bed), 7);
    bed_assert_balance(&bed);
    bed_close(&bed);
}

static void an_inbox_is_bounded(uint64_t seed)
{
    struct bed bed;
    bed_open(&bed, seed, NULL);
    put_many(&bed, 1024);
    assert_int_equal(bed_counts(&bed).overrun, 0);
    put_many(&bed, 10);
    assert_int_equal(bed_counts(&bed).overrun, 10);
    assert_int_equal(take_all(&bed), 1024);
    bed_assert_balance(&bed);
    bed_close(&bed);
}

static void what_is_under_way_is_bounded(uint64_t seed)
{
    struct weir_sim_opt opt = {.seed = seed, .frames_max = 100};
    struct weir_impair slow = {.delay_ns = MS};
    struct bed bed;
    uint8_t frame[9014] = {0};
    bed_open_with(&bed, &opt, &slow, NULL);
    put_many(&bed, 100);
    assert_int_equal(weir_sim_send(bed.port[0], frame, BYTES), -ENOBUFS);
    for (unsigned i = 0; i < 64; i++) /* large frames have slots of their own */
        assert_int_equal(weir_sim_send(bed.port[0], frame, sizeof frame), 0);
    assert_int_equal(weir_sim_send(bed.port[0], frame, sizeof frame), -ENOBUFS);
    assert_int_equal(bed_counts(&bed).overrun, 2);
    bed_run(&bed, MS);
    assert_int_equal(take_all(&bed), 164);
    put_many(&bed, 100);
    bed_run(&bed, MS);
    assert_int_equal(take_all(&bed), 100);
    bed_close(&bed);
}

static void sizes_that_cannot_be_are_refused(uint64_t seed)
{
    struct bed bed;
    uint8_t frame[9015] = {0};
    bed_open(&bed, seed, NULL);
    assert_int_equal(weir_sim_send(bed.port[0], frame, 13), -EMSGSIZE);
    assert_int_equal(weir_sim_send(bed.port[0], frame, 9015), -EMSGSIZE);
    assert_int_equal(weir_sim_send(bed.port[0], frame, 9014), 0);
    assert_int_equal(weir_sim_receive(bed.port[1], frame, 9013), -EMSGSIZE);
    assert_int_equal(weir_sim_receive(bed.port[1], frame, 9014), 9014);
    bed_close(&bed);
}

static void a_wire_can_be_changed_while_it_is_used(uint64_t seed)
{
    struct weir_impair lost = {.loss = 1};
    struct bed bed;
    bed_open(&bed, seed, NULL);
    put(&bed, 0, 1, BYTES);
    weir_sim_impair(bed.port[0], &lost);
    put(&bed, 0, 2, BYTES);
    weir_sim_impair(bed.port[0], NULL);
    put(&bed, 0, 3, BYTES);
    assert_int_equal(take(&bed), 1);
    assert_int_equal(take(&bed), 3);
    bed_close(&bed);
}

static void ports_are_bounded(uint64_t seed)
{
    struct weir_sim_opt opt = {.seed = seed, .ports_max = 5};
    struct weir_sim_port *port[2];
    struct bed bed;
    bed_open_with(&bed, &opt, NULL, NULL);
    assert_int_equal(weir_sim_wire(bed.sim, NULL, NULL, port), 0);
    assert_int_equal(weir_sim_wire(bed.sim, NULL, NULL, port), -ENOSPC);
    bed_close(&bed);
}

static void the_clock_stands_where_it_was_sent(uint64_t seed)
{
    struct weir_sim_opt opt = {.seed = seed, .start_ns = 42};
    struct weir_impair slow = {.delay_ns = 10};
    struct bed bed;
    bed_open_with(&bed, &opt, &slow, NULL);
    assert_int_equal(weir_sim_now(bed.sim), 42);
    put(&bed, 0, 1, BYTES);
    assert_int_equal(weir_sim_step(bed.sim, 100), 1); /* to the frame's arrival */
    assert_int_equal(weir_sim_now(bed.sim), 52);
    assert_int_equal(weir_sim_step(bed.sim, 100), 0); /* nothing more: to the end */
    assert_int_equal(weir_sim_now(bed.sim), 100);
    assert_int_equal(weir_sim_run(bed.sim, 50), 0); /* never back */
    assert_int_equal(weir_sim_now(bed.sim), 100);
    assert_int_equal(take(&bed), 1);
    bed_close(&bed);
}

static void for_ever_ends_when_nothing_is_left(uint64_t seed)
{
    struct weir_impair slow = {.delay_ns = 10};
    struct bed bed;
    bed_open(&bed, seed, &slow);
    uint64_t start_ns = weir_sim_now(bed.sim);
    put(&bed, 0, 1, BYTES);
    assert_int_equal(weir_sim_run(bed.sim, UINT64_MAX), 1);
    assert_int_equal(weir_sim_now(bed.sim), start_ns + 10);
    put(&bed, 0, 2, BYTES); /* time goes on from there */
    assert_int_equal(weir_sim_run(bed.sim, start_ns + 1000), 1);
    assert_int_equal(take(&bed), 1);
    assert_int_equal(take(&bed), 2);
    bed_close(&bed);
}

static void a_share_is_one_of_a_whole(uint64_t seed)
{
    const struct weir_impair wrong[] = {{.loss = -0.1},
                                        {.reorder = 1.5},
                                        {.duplicate = NAN},
                                        {.corrupt = INFINITY}};
    struct weir_impair all = {.loss = 1};
    struct weir_sim_port *port[2];
    struct bed bed;
    bed_open(&bed, seed, NULL);
    for (unsigned i = 0; i < array_len(wrong); i++) {
        assert_int_equal(weir_sim_wire(bed.sim, &wrong[i], NULL, port), -EINVAL);
        assert_int_equal(weir_sim_wire(bed.sim, NULL, &wrong[i], port), -EINVAL);
        assert_int_equal(weir_sim_impair(bed.port[0], &wrong[i]), -EINVAL);
    }
    put(&bed, 0, 1, BYTES); /* nothing changed */
    assert_int_equal(take(&bed), 1);
    assert_int_equal(weir_sim_impair(bed.port[0], &all), 0);
    bed_close(&bed);
}

int main(int argc, char **argv)
{
    static const struct sim_case cases[] = {
        CASE(a_perfect_wire_delivers_at_once_and_in_order),
        CASE(both_directions_have_their_own_impairments),
        CASE(delay_is_exact),
        CASE(jitter_stays_within_its_bounds),
        CASE(a_rate_spaces_frames_and_bounds_its_queue),
        CASE(every_frame_is_accounted_for),
        CASE(corruption_turns_one_bit_behind_the_ethernet_header),
        CASE(duplicates_come_one_behind_the_other),
        CASE(without_a_delay_reordering_swaps_neighbours),
        CASE(a_swap_follows_the_line),
        CASE(the_same_seed_gives_the_same_trace),
        CASE(a_trace_tells_times_and_bytes_apart),
        CASE(unplugging_loses_what_is_under_way),
        CASE(an_inbox_is_bounded),
        CASE(what_is_under_way_is_bounded),
        CASE(sizes_that_cannot_be_are_refused),
        CASE(a_wire_can_be_changed_while_it_is_used),
        CASE(ports_are_bounded),
        CASE(the_clock_stands_where_it_was_sent),
        CASE(for_ever_ends_when_nothing_is_left),
        CASE(a_share_is_one_of_a_whole),
    };
    return bed_main(argc, argv, cases, array_len(cases));
}
