/* SPDX-License-Identifier: MIT
 * The judge of impaired packets and the heap of what is under way: exact for a seed, bounded, and
 * each decision independent of the others. */
#include "test.h"

#include "backend/due.h"
#include "backend/gather.h"
#include "backend/impair.h"

#define MANY 100000u
#define MS UINT64_C(1000000)

static struct impair with(struct weir_impair opt)
{
    struct impair i;
    impair_open(&i, &opt, 1);
    return i;
}

/* Vigna's splitmix64.c, seed 1234567: its first five outputs. */
static void numbers_are_those_of_splitmix64(void **state)
{
    static const uint64_t first[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                     UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                     UINT64_C(16408922859458223821)};
    (void)state;
    for (unsigned n = 0; n < array_len(first); n++)
        assert_int_equal(impair_draw(1234567, n), first[n]);
}

static uint64_t fold(uint64_t hash, const struct verdict *v)
{
    hash = hash * 31 + v->due_ns;
    hash = hash * 31 + v->flip;
    return hash * 31 + (uint64_t)(v->copies * 8 + v->swap * 4 + v->early * 2 + v->changed);
}

static uint64_t history(uint64_t seed)
{
    struct impair i = with((struct weir_impair){.loss = 0.1,
                                                .reorder = 0.1,
                                                .duplicate = 0.1,
                                                .corrupt = 0.1,
                                                .delay_ns = 5 * MS,
                                                .jitter_ns = MS,
                                                .seed = seed});
    uint64_t hash = 0;
    for (uint64_t n = 0; n < 1000; n++) {
        struct verdict v = impair_judge(&i, n * 1000, 64);
        hash = fold(hash, &v);
    }
    return hash;
}

static void the_same_seed_makes_the_same_decisions(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 50; seed++) {
        assert_int_equal(history(seed), history(seed));
        assert_int_not_equal(history(seed), history(seed + 1));
    }
}

static void a_seed_of_zero_is_the_given_one(void **state)
{
    struct weir_impair opt = {.loss = 0.5};
    struct impair a, b;
    (void)state;
    impair_open(&a, &opt, 77);
    opt.seed = 77;
    impair_open(&b, &opt, 1);
    for (unsigned n = 0; n < 1000; n++)
        assert_int_equal(impair_judge(&a, 0, 1).copies, impair_judge(&b, 0, 1).copies);
}

struct tally {
    unsigned lost, twice, flipped, early;
};

static struct tally count(struct weir_impair opt)
{
    struct impair i = with(opt);
    struct tally t = {0};
    for (unsigned n = 0; n < MANY; n++) {
        struct verdict v = impair_judge(&i, n, 100);
        t.lost += v.copies == 0;
        t.twice += v.copies == 2;
        t.flipped += v.flip != 0;
        t.early += v.early;
    }
    return t;
}

/* Exact for this seed; and within five standard deviations (47 packets each) of the tenth that was
 * asked for, which a wrong scale or a shared draw would miss. */
static void shares_are_kept(void **state)
{
    (void)state;
    struct tally t = count((struct weir_impair){.loss = 0.05, .duplicate = 0.05, .seed = 7});
    struct tally again = count((struct weir_impair){.loss = 0.05, .duplicate = 0.05, .seed = 7});
    assert_memory_equal(&t, &again, sizeof t);
    assert_in_range(t.lost, 5000 - 345, 5000 + 345);
    assert_in_range(t.twice, 4750 - 345, 4750 + 345); /* of those that were not lost */
    t = count((struct weir_impair){.corrupt = 0.1, .reorder = 0.1, .delay_ns = MS, .seed = 8});
    assert_in_range(t.flipped, 10000 - 475, 10000 + 475);
    assert_in_range(t.early, 10000 - 475, 10000 + 475);
    assert_int_equal(t.lost, 0);
}

static void none_is_never_and_all_is_always(void **state)
{
    (void)state;
    struct tally t = count((struct weir_impair){.delay_ns = 1, .seed = 3});
    assert_int_equal(t.lost + t.twice + t.flipped + t.early, 0);
    assert_int_equal(count((struct weir_impair){.loss = 1}).lost, MANY);
    assert_int_equal(count((struct weir_impair){.duplicate = 1}).twice, MANY);
    assert_int_equal(count((struct weir_impair){.corrupt = 1}).flipped, MANY);
}

static void another_impairment_changes_no_decision(void **state)
{
    (void)state;
    struct impair a = with((struct weir_impair){.loss = 0.3, .seed = 5});
    struct impair b = with((struct weir_impair){.loss = 0.3,
                                                .corrupt = 0.5,
                                                .duplicate = 0.2,
                                                .delay_ns = MS,
                                                .jitter_ns = MS,
                                                .seed = 5});
    for (uint64_t n = 0; n < 10000; n++)
        assert_int_equal(impair_judge(&a, n, 64).copies == 0,
                         impair_judge(&b, n * 777, 1500).copies == 0);
}

static void a_perfect_link_changes_nothing(void **state)
{
    struct impair i;
    (void)state;
    impair_open(&i, NULL, 9);
    struct verdict v = impair_judge(&i, 12345, 64);
    assert_int_equal(v.due_ns, 12345);
    assert_int_equal(v.copies, 1);
    assert_false(v.changed || v.swap || v.early || v.flip);
}

/* 1,250 bytes at 10 Mbit/s are 1 ms. */
static void a_rate_is_exact(void **state)
{
    struct impair i = with((struct weir_impair){.rate_bits = 10000000, .delay_ns = 7});
    (void)state;
    for (uint64_t n = 1; n <= 100; n++)
        assert_int_equal(impair_judge(&i, 0, 1250).due_ns, n * MS + 7);
    assert_int_equal(impair_judge(&i, 500 * MS, 1250).due_ns, 501 * MS + 7); /* the line was idle */
}

static void a_rate_loses_nothing_to_rounding(void **state)
{
    struct impair i = with((struct weir_impair){.rate_bits = UINT64_C(7000000001)});
    uint64_t due_ns = 0, bits = 0;
    (void)state;
    for (unsigned n = 0; n < 100000; n++) {
        due_ns = impair_judge(&i, 0, 65).due_ns;
        bits += 65 * 8;
    }
    assert_int_equal(due_ns, (uint64_t)((double)bits * 1e9 / 7000000001.0));
}

/* 100 ms stand before the line: what comes then is lost, until some of it has left. */
static void the_queue_of_a_rate_is_bounded(void **state)
{
    struct impair i = with((struct weir_impair){.rate_bits = 10000000});
    unsigned taken = 0;
    (void)state;
    while (taken < 1000 && impair_judge(&i, 0, 1250).copies)
        taken++;
    assert_int_equal(taken, 101);
    assert_int_equal(impair_judge(&i, MS - 1, 1250).copies, 0);
    assert_int_equal(impair_judge(&i, MS, 1250).due_ns, 102 * MS);
}

static void jitter_lies_on_both_sides_of_the_delay(void **state)
{
    struct impair i = with((struct weir_impair){.delay_ns = 5 * MS, .jitter_ns = MS});
    uint64_t least = UINT64_MAX, most = 0;
    (void)state;
    for (unsigned n = 0; n < MANY; n++) {
        uint64_t due_ns = impair_judge(&i, 0, 64).due_ns;
        least = min_of(least, due_ns);
        most = max_of(most, due_ns);
    }
    assert_in_range(least, 4 * MS, 4 * MS + MS / 100);
    assert_in_range(most, 6 * MS - MS / 100, 6 * MS);
    i = with((struct weir_impair){.jitter_ns = MS}); /* never before now */
    for (unsigned n = 0; n < 1000; n++)
        assert_in_range(impair_judge(&i, 50, 64).due_ns, 50, 50 + MS);
}

static void what_is_reordered_leaves_without_the_delay(void **state)
{
    struct impair i = with((struct weir_impair){.delay_ns = MS, .reorder = 0.5, .seed = 4});
    unsigned at_once = 0;
    (void)state;
    for (unsigned n = 0; n < 1000; n++) {
        struct verdict v = impair_judge(&i, n, 64);
        assert_true(v.due_ns == n || v.due_ns == n + MS);
        assert_false(v.swap);
        assert_true(v.due_ns == n || !v.early);
        at_once += v.due_ns == n;
    }
    assert_in_range(at_once, 500 - 80, 500 + 80);
}

static void without_a_delay_it_waits_for_the_next(void **state)
{
    struct impair i = with((struct weir_impair){.reorder = 1});
    (void)state;
    struct verdict v = impair_judge(&i, 10, 64);
    assert_true(v.swap);
    assert_int_equal(v.line_ns, 10);
    assert_int_equal(v.due_ns, 10 + MS);
}

static void one_bit_is_turned_and_every_one_is_reached(void **state)
{
    uint8_t seen[8] = {0};
    (void)state;
    for (uint64_t n = 0; n < 2000; n++) {
        uint8_t data[8] = {0};
        unsigned bits = 0;
        impair_flip(data, sizeof data, impair_draw(1, n) | 1);
        for (unsigned b = 0; b < sizeof data; b++) {
            bits += (unsigned)__builtin_popcount(data[b]);
            seen[b] |= data[b];
        }
        assert_int_equal(bits, 1);
    }
    for (unsigned b = 0; b < sizeof seen; b++)
        assert_int_equal(seen[b], 0xff);
}

/* ---- what is under way ---------------------------------------------------------------------- */

static void items_come_by_time_and_equal_ones_in_order(void **state)
{
    struct due d;
    struct due_item it, last = {0};
    uint64_t order;
    (void)state;
    assert_int_equal(due_open(&d, 1000), 0);
    for (uint32_t n = 0; n < 1000; n++)
        assert_true(due_add(&d, impair_draw(3, n) % 50, n, &order));
    assert_false(due_add(&d, 0, 1, &order));
    unsigned n = 0;
    for (; due_pop(&d, 49, &it); n++, last = it) {
        assert_int_equal(it.at_ns, impair_draw(3, it.item) % 50);
        assert_true(n == 0 || it.at_ns > last.at_ns ||
                    (it.at_ns == last.at_ns && it.item > last.item));
    }
    assert_int_equal(n, 1000);
    due_close(&d);
}

static void nothing_comes_before_its_time(void **state)
{
    struct due d;
    struct due_item it;
    uint64_t order;
    (void)state;
    assert_int_equal(due_open(&d, 2), 0);
    assert_int_equal(due_next_ns(&d), UINT64_MAX);
    assert_true(due_add(&d, 100, 5, &order));
    assert_int_equal(due_next_ns(&d), 100);
    assert_false(due_pop(&d, 99, &it));
    assert_true(due_pop(&d, 100, &it));
    assert_int_equal(it.item, 5);
    assert_int_equal(it.order, order);
    due_close(&d);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* The example of RFC 1071, 3: 00 01 f2 03 f4 f5 f6 f7 sum to ddf2. */
static void a_checksum_is_completed_where_it_belongs(void **state)
{
    uint8_t frame[] = {0xaa, 0xbb, 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0, 0};
    uint8_t odd[] = {0, 0, 0xff, 0xff, 0};
    (void)state;
    gather_checksum(frame, sizeof frame, 2, 8);
    assert_int_equal(frame[10] << 8 | frame[11], 0xffff & ~0xddf2);
    assert_int_equal(frame[0] << 8 | frame[1], 0xaabb);
    gather_checksum(odd, sizeof odd, 0, 0); /* all ones and not zero, which means none */
    assert_int_equal(odd[0] << 8 | odd[1], 0xffff);
    gather_checksum(frame, sizeof frame, 8, 3); /* would be outside: left as it is */
    assert_int_equal(frame[11], 0xff & ~0xf2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_splitmix64),
        cmocka_unit_test(the_same_seed_makes_the_same_decisions),
        cmocka_unit_test(a_seed_of_zero_is_the_given_one),
        cmocka_unit_test(shares_are_kept),
        cmocka_unit_test(none_is_never_and_all_is_always),
        cmocka_unit_test(another_impairment_changes_no_decision),
        cmocka_unit_test(a_perfect_link_changes_nothing),
        cmocka_unit_test(a_rate_is_exact),
        cmocka_unit_test(a_rate_loses_nothing_to_rounding),
        cmocka_unit_test(the_queue_of_a_rate_is_bounded),
        cmocka_unit_test(jitter_lies_on_both_sides_of_the_delay),
        cmocka_unit_test(what_is_reordered_leaves_without_the_delay),
        cmocka_unit_test(without_a_delay_it_waits_for_the_next),
        cmocka_unit_test(one_bit_is_turned_and_every_one_is_reached),
        cmocka_unit_test(items_come_by_time_and_equal_ones_in_order),
        cmocka_unit_test(nothing_comes_before_its_time),
        cmocka_unit_test(a_checksum_is_completed_where_it_belongs),
    };
    return run_group(tests);
}
