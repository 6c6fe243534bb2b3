/* SPDX-License-Identifier: MIT
 * Token buckets: the burst, the rate, and that one destination does not use up another's. */
#include "stack_tables.h"

#include "stack/limit.h"

static void a_full_bucket_gives_its_burst_and_no_more(void **state)
{
    (void)state;
    struct limit l = limit_of(1000, 50);
    for (unsigned i = 0; i < 50; i++)
        assert_true(limit_take(&l, START));
    assert_false(limit_take(&l, START));
    assert_int_equal(limit_next_ns(&l, START), START + MS);
}

static void then_it_gives_its_rate(void **state)
{
    (void)state;
    struct limit l = limit_of(1000, 50);
    uint64_t taken = 0;
    for (uint64_t now = START; now < START + 10 * SECOND; now += MS / 10)
        taken += limit_take(&l, now);
    assert_in_range(taken, 10000, 10051);
}

static void it_fills_up_again_but_not_above_the_burst(void **state)
{
    (void)state;
    struct limit l = limit_of(1000, 50);
    while (limit_take(&l, START))
        ;
    unsigned n = 0;
    while (limit_take(&l, START + 3600 * SECOND))
        n++;
    assert_int_equal(n, 50);
}

static void it_says_when_to_come_again(void **state)
{
    (void)state;
    struct limit l = limit_of(7, 3);
    uint64_t now = START;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t next = limit_next_ns(&l, now);
        if (next > now) {
            assert_false(limit_take(&l, next - 1));
            now = next;
        }
        assert_true(limit_take(&l, now));
    }
}

static void a_bucket_of_one_gives_one_a_turn(void **state)
{
    (void)state;
    struct limit l = limit_of(1, 1);
    assert_true(limit_take(&l, START));
    assert_false(limit_take(&l, START + SECOND - 1));
    assert_true(limit_take(&l, START + SECOND));
}

static void a_flood_of_one_leaves_the_others_their_own(void **state)
{
    (void)state;
    struct limits *l = limits_open(1, 6, 42, NULL);
    struct ip loud = ip4_of(1);
    unsigned taken = 0, others = 0;
    for (unsigned i = 0; i < 100000; i++)
        taken += limits_take(l, loud.at, START);
    assert_int_equal(taken, 6);
    for (unsigned i = 2; i < 66; i++) {
        struct ip other = ip4_of(i);
        others += limits_take(l, other.at, START);
    }
    assert_in_range(others, 60, 64); /* by chance a few share the loud one's bucket */
    limits_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_gives_its_burst_and_no_more),
        cmocka_unit_test(then_it_gives_its_rate),
        cmocka_unit_test(it_fills_up_again_but_not_above_the_burst),
        cmocka_unit_test(it_says_when_to_come_again),
        cmocka_unit_test(a_bucket_of_one_gives_one_a_turn),
        cmocka_unit_test(a_flood_of_one_leaves_the_others_their_own),
    };
    return run_group(tests);
}
