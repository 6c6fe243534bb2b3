/* SPDX-License-Identifier: MIT
 * From rounds to a row: medians, spreads, ratios within the round, what is left out. */
#include "test.h"

#include "bench/stats.h"

#include <math.h>

#define UNKNOWN NAN

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || fabs(a - b) < 1e-9;
}

static void of_many_values(void **state)
{
    static const struct {
        double values[5];
        unsigned n;
        double median, spread, sum;
    } cases[] = {
        {{0}, 0, UNKNOWN, UNKNOWN, UNKNOWN},
        {{7}, 1, 7, UNKNOWN, 7},
        {{9, 1, 4}, 3, 4, 2, 14},
        {{1, 2, 3, 10}, 4, 2.5, 3.6, 16},
        {{UNKNOWN, 5, UNKNOWN, 3}, 4, 4, 0.5, 8},
        {{UNKNOWN, UNKNOWN}, 2, UNKNOWN, UNKNOWN, UNKNOWN},
        {{0, 0, 0}, 3, 0, UNKNOWN, 0},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(same(stat_median(cases[i].values, cases[i].n), cases[i].median));
        assert_true(same(stat_spread(cases[i].values, cases[i].n), cases[i].spread));
        assert_true(same(stat_sum(cases[i].values, cases[i].n), cases[i].sum));
    }
}

static void median_leaves_its_values_alone(void **state)
{
    double values[] = {3, 1, 2};
    (void)state;
    stat_median(values, 3);
    assert_true(values[0] == 3 && values[1] == 1 && values[2] == 2);
}

static void ratios_are_taken_within_the_round(void **state)
{
    /* the host was twice as fast in the second round: the ratio is 2 in each, the ratio of medians
     * is not */
    const double mine[] = {200, 400, 20}, naive[] = {100, 200, 10};
    const double gaps[] = {UNKNOWN, 400, 30}, zero[] = {0, 0, 10};
    (void)state;
    assert_true(same(stat_ratio_median(mine, naive, 3), 2));
    assert_true(same(stat_ratio_median(gaps, naive, 3), 2.5));
    assert_true(same(stat_ratio_median(mine, zero, 3), 2));
    assert_true(isnan(stat_ratio_median(gaps, zero, 2)));
    assert_true(isnan(stat_ratio(UNKNOWN, 1)) && isnan(stat_ratio(1, UNKNOWN)) &&
                isnan(stat_ratio(1, 0)));
}

static void percentiles_need_ten_samples_beyond(void **state)
{
    (void)state;
    assert_true(stat_enough(10000, 1 - 99.9 / 100));
    assert_false(stat_enough(9999, 1 - 99.9 / 100));
    assert_true(stat_enough(1000, 1 - 99. / 100));
    assert_false(stat_enough(999, 1 - 99. / 100));
}

static void runs_are_comparable_where_the_cores_stayed(void **state)
{
    static const struct {
        double before, after;
        bool same;
    } cases[] = {{50, 55, true},
                 {50, 100, false},
                 {100, 50, false},
                 {UNKNOWN, 50, true},
                 {50, UNKNOWN, true}};
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sample earlier = {.canary_after = cases[i].before},
                            later = {.canary_before = cases[i].after};
        assert_int_equal(stat_same_place(&earlier, &later), cases[i].same);
    }
}

/* ---- rows
 * ------------------------------------------------------------------------------------------ */

#define ROUNDS 3

/* A sample that carried `pps` at `cycles` a packet. */
static struct sample made(double pps, double cycles)
{
    struct sample s = {.bytes = sizeof s,
                       .ran = 1,
                       .valid = 1,
                       .canary_before = 50,
                       .canary_after = 50};
    for (unsigned i = 0; i < FIGURES_COUNT; i++)
        s.figure[i] = NAN;
    s.figure[FIG_pps] = pps;
    s.figure[FIG_cycles] = cycles;
    s.figure[FIG_sent] = 100;
    return s;
}

static struct sample doubted(struct sample s, const char *why)
{
    s.valid = 0;
    snprintf(s.reason, sizeof s.reason, "%s", why);
    return s;
}

static struct row built(enum weir_load load, const struct sample *mine, const struct sample *naive)
{
    struct row row = {.cell = {.backend = "epoll", .load = load}};
    row_build(&row, mine, naive, ROUNDS);
    return row;
}

static void row_is_the_median_and_the_sum(void **state)
{
    const struct sample mine[ROUNDS] = {made(100, 30), made(300, 10), made(200, 20)};
    const struct sample naive[ROUNDS] = {made(50, 60), made(100, 40), made(100, 20)};
    (void)state;
    struct row row = built(WEIR_LOAD_STREAM, mine, naive);
    assert_true(row.valid && row.used == 3 && row.rounds == 3 && row.reason[0] == 0 &&
                row.doubt[0] == 0);
    assert_true(same(row.figure[FIG_pps], 200));
    assert_true(same(row.figure[FIG_cycles], 20));
    assert_true(same(row.figure[FIG_sent], 300));
    assert_true(same(row.spread, 1));
    assert_true(same(row.vs_naive, 2));
    assert_true(same(row.cost_vs_naive, 0.5));
    assert_true(isnan(row.figure[FIG_errors]));
}

static void doubtful_rounds_do_not_count(void **state)
{
    const struct sample mine[ROUNDS] = {made(100, 1), doubted(made(900, 1), "a core moved"),
                                        made(120, 1)};
    const struct sample naive[ROUNDS] = {doubted(made(1, 1), "x"), made(10, 1), made(60, 1)};
    (void)state;
    struct row row = built(WEIR_LOAD_STREAM, mine, naive);
    assert_true(row.valid && row.used == 2);
    assert_true(same(row.figure[FIG_pps], 110));
    assert_true(same(row.vs_naive, 2)); /* the one round that both have */
    assert_string_equal(row.doubt, "a core moved");
}

static void row_without_a_valid_round_shows_what_ran(void **state)
{
    const struct sample mine[ROUNDS] = {doubted(made(100, 1), "first"),
                                        doubted(made(300, 1), "last")};
    const struct sample naive[ROUNDS] = {made(1, 1), made(1, 1), made(1, 1)};
    (void)state;
    struct row row = built(WEIR_LOAD_STREAM, mine, naive);
    assert_false(row.valid);
    assert_true(row.rounds == 2 && row.used == 0);
    assert_string_equal(row.reason, "last");
    assert_true(same(row.figure[FIG_pps], 200));
    assert_true(isnan(row.vs_naive) && isnan(row.cost_vs_naive));
}

static void row_that_never_ran_is_unknown_and_not_zero(void **state)
{
    const struct sample none[ROUNDS] = {{0}};
    (void)state;
    struct row row = built(WEIR_LOAD_ECHO, none, NULL);
    assert_false(row.valid);
    assert_string_equal(row.reason, "not run");
    assert_null(row.last);
    for (unsigned i = 0; i < FIGURES_COUNT; i++)
        assert_true(isnan(row.figure[i]));
}

static void generator_bound_gives_no_ratio(void **state)
{
    struct sample mine[ROUNDS] = {made(100, 1), made(100, 1), made(100, 1)}, naive[ROUNDS];
    (void)state;
    memcpy(naive, mine, sizeof naive);
    mine[0].generator_bound = mine[1].generator_bound = 1;
    struct row row = built(WEIR_LOAD_STREAM, mine, naive);
    assert_true(row.generator_bound && isnan(row.vs_naive));
    assert_true(same(row.cost_vs_naive, 1)); /* cost is cost, whoever was the limit */
    mine[1].generator_bound = 0;
    row = built(WEIR_LOAD_STREAM, mine, naive);
    assert_true(!row.generator_bound && same(row.vs_naive, 1));
}

static void naive_that_was_bound_gives_no_ratio_either(void **state)
{
    struct sample mine[ROUNDS] = {made(100, 1), made(100, 1), made(100, 1)}, naive[ROUNDS];
    (void)state;
    memcpy(naive, mine, sizeof naive);
    for (unsigned i = 0; i < ROUNDS; i++)
        naive[i].generator_bound = 1;
    assert_true(isnan(built(WEIR_LOAD_STREAM, mine, naive).vs_naive));
}

static void cores_that_moved_between_the_runs_give_no_ratio(void **state)
{
    struct sample mine[ROUNDS] = {made(300, 1), made(200, 1), made(900, 1)};
    const struct sample naive[ROUNDS] = {made(100, 1), made(100, 1), made(100, 1)};
    (void)state;
    mine[2].canary_before = 100;
    struct row row = built(WEIR_LOAD_STREAM, mine, naive);
    assert_true(row.used == 3 && same(row.vs_naive, 2.5));
    mine[0].canary_before = mine[1].canary_before = 100;
    row = built(WEIR_LOAD_STREAM, mine, naive);
    assert_true(row.valid && isnan(row.vs_naive) && isnan(row.cost_vs_naive));
    assert_non_null(strstr(row.doubt, "no ratio"));
}

static void equal_rate_compares_cost_only(void **state)
{
    const struct sample mine[ROUNDS] = {made(100, 30), made(100, 10), made(100, 20)};
    const struct sample naive[ROUNDS] = {made(100, 60), made(100, 40), made(100, 50)};
    struct row row = {.cell = {.backend = "epoll", .load = WEIR_LOAD_FLOOD, .equal_rate = 100}};
    (void)state;
    row_build(&row, mine, naive, ROUNDS);
    assert_true(isnan(row.vs_naive));
    assert_true(same(row.cost_vs_naive, 0.4));
    assert_true(same(row.spread, 1)); /* of the cycles */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_many_values),
        cmocka_unit_test(median_leaves_its_values_alone),
        cmocka_unit_test(ratios_are_taken_within_the_round),
        cmocka_unit_test(percentiles_need_ten_samples_beyond),
        cmocka_unit_test(runs_are_comparable_where_the_cores_stayed),
        cmocka_unit_test(row_is_the_median_and_the_sum),
        cmocka_unit_test(doubtful_rounds_do_not_count),
        cmocka_unit_test(row_without_a_valid_round_shows_what_ran),
        cmocka_unit_test(row_that_never_ran_is_unknown_and_not_zero),
        cmocka_unit_test(generator_bound_gives_no_ratio),
        cmocka_unit_test(naive_that_was_bound_gives_no_ratio_either),
        cmocka_unit_test(cores_that_moved_between_the_runs_give_no_ratio),
        cmocka_unit_test(equal_rate_compares_cost_only),
    };
    return run_group(tests);
}
