/* SPDX-License-Identifier: MIT
 * Histograms against a sorted array of the same values, merged and corrected ones against their
 * definitions. */
#include "test.h"

#include "stat/histogram.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>

#define MINUTE_NS UINT64_C(60000000000)
#define VALUES 5000

/* xorshift64 (Marsaglia 2003): the same values in every run. */
static uint64_t random_state;

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* What a sorted array of the same values says: rank ceil(permille * n / 1000), from 1. */
static uint64_t reference(const uint64_t *sorted, uint64_t n, unsigned permille)
{
    uint64_t rank = (n * permille + 999) / 1000;
    return sorted[rank ? rank - 1 : 0];
}

/* Never below the true value, above it by at most 0.1 %. */
static void assert_close(uint64_t got, uint64_t wanted)
{
    if (got < wanted || got - wanted > wanted / 1000)
        fail_msg("%" PRIu64 " is not within 0.1 %% of %" PRIu64, got, wanted);
}

static void assert_near(double got, double wanted)
{
    if (fabs(got - wanted) > 0.001 * fabs(wanted) + 1e-9)
        fail_msg("%f is not within 0.1 %% of %f", got, wanted);
}

static void assert_moments(const struct weir_histogram *h, const uint64_t *values, unsigned n)
{
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < n; i++)
        sum += (double)values[i];
    for (unsigned i = 0; i < n; i++)
        squares += ((double)values[i] - sum / n) * ((double)values[i] - sum / n);
    assert_near(weir_histogram_mean(h), sum / n);
    assert_near(weir_histogram_deviation(h), sqrt(squares / n));
}

/* Record all, ask all, compare all. Sorts `values`. */
static void assert_like_array(uint64_t highest, uint64_t *values, unsigned n)
{
    struct weir_histogram *h = weir_histogram_open(highest);
    assert_non_null(h);
    for (unsigned i = 0; i < n; i++)
        weir_histogram_record(h, values[i], 1);
    qsort(values, n, sizeof *values, by_value);
    for (unsigned permille = 0; permille <= 1000; permille++)
        assert_close(weir_histogram_percentile(h, permille / 10.0), reference(values, n, permille));
    assert_int_equal(weir_histogram_count(h), n);
    assert_int_equal(weir_histogram_min(h), values[0]);
    assert_int_equal(weir_histogram_max(h), values[n - 1]);
    assert_int_equal(weir_histogram_clamped(h), 0);
    assert_moments(h, values, n);
    weir_histogram_close(h);
}

static void random_values_agree_with_a_sorted_array(void **state)
{
    static uint64_t values[VALUES];
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
        for (unsigned i = 0; i < VALUES; i++)
            values[i] = random_word() % (MINUTE_NS + 1);
        assert_like_array(MINUTE_NS, values, VALUES);
        for (unsigned i = 0; i < VALUES; i++)
            values[i] = (random_word() >> (28 + random_word() % 36)) %
                        (MINUTE_NS + 1); /* every magnitude */
        assert_like_array(MINUTE_NS, values, VALUES);
        for (unsigned i = 0; i < VALUES; i++)
            values[i] = 1000 + random_word() % 50;
        assert_like_array(MINUTE_NS, values, 1 + (unsigned)(random_word() % VALUES));
    }
}

static void edges_of_every_magnitude_agree_too(void **state)
{
    uint64_t values[64 * 3];
    unsigned n = 0;
    (void)state;
    values[n++] = 0;
    for (unsigned bit = 0; bit < 64; bit++)
        for (int off = -1; off <= 1; off++)
            if (bit > 1 && n < 64 * 3)
                values[n++] = (UINT64_C(1) << bit) + (uint64_t)off;
    values[n++] = UINT64_MAX;
    assert_like_array(UINT64_MAX, values, n);
}

/* The index is a bijection of slots, in order, without gaps: what the property tests stand on. */
static void slots_follow_each_other(void **state)
{
    struct weir_histogram *h = weir_histogram_open(UINT64_MAX);
    (void)state;
    for (uint32_t i = 0; i < h->slots; i++) {
        assert_int_equal(index_of(lowest_at(i)), i);
        assert_int_equal(index_of(highest_at(i)), i);
        if (i + 1 < h->slots)
            assert_int_equal(highest_at(i) + 1, lowest_at(i + 1));
    }
    assert_int_equal(highest_at(h->slots - 1), UINT64_MAX);
    weir_histogram_close(h);
}

static void a_value_above_the_highest_is_clamped_and_counted(void **state)
{
    struct weir_histogram *h = weir_histogram_open(1000000);
    (void)state;
    weir_histogram_record(h, 1000000, 1);
    assert_int_equal(weir_histogram_clamped(h), 0);
    weir_histogram_record(h, 1000001, 2);
    weir_histogram_record(h, UINT64_MAX, 3);
    weir_histogram_record(h, UINT64_MAX, 0);
    assert_int_equal(weir_histogram_clamped(h), 5);
    assert_int_equal(weir_histogram_count(h), 6);
    assert_int_equal(weir_histogram_max(h), 1000000);
    assert_int_equal(weir_histogram_min(h), 1000000);
    assert_int_equal(weir_histogram_percentile(h, 100), 1000000);
    weir_histogram_close(h);
}

static void an_empty_histogram_answers_zero(void **state)
{
    struct weir_histogram *h = weir_histogram_open(0);
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(weir_histogram_count(h), 0);
        assert_int_equal(weir_histogram_min(h), 0);
        assert_int_equal(weir_histogram_max(h), 0);
        assert_int_equal(weir_histogram_percentile(h, 99), 0);
        assert_true(weir_histogram_mean(h) == 0);
        assert_true(weir_histogram_deviation(h) == 0);
        weir_histogram_record(h, 1, 7);
        assert_int_equal(weir_histogram_percentile(h, 0), 1);
        weir_histogram_reset(h);
    }
    weir_histogram_close(h);
    weir_histogram_close(NULL);
}

static void a_percentage_outside_of_its_range_is_its_nearest_end(void **state)
{
    struct weir_histogram *h = weir_histogram_open(1000);
    (void)state;
    weir_histogram_record(h, 3, 1);
    weir_histogram_record(h, 900, 1);
    assert_int_equal(weir_histogram_percentile(h, -1), 3);
    assert_int_equal(weir_histogram_percentile(h, NAN), 3);
    assert_int_equal(weir_histogram_percentile(h, 50), 3);
    assert_int_equal(weir_histogram_percentile(h, 50.0001), 900);
    assert_int_equal(weir_histogram_percentile(h, 1e9), 900);
    weir_histogram_close(h);
}

/* ---- several histograms ---------------------------------------------------------------------- */

static void assert_same(const struct weir_histogram *a, const struct weir_histogram *b)
{
    assert_int_equal(weir_histogram_bytes(a), weir_histogram_bytes(b));
    assert_memory_equal(a, b, sizeof *a + a->slots * sizeof a->counts[0]);
}

static void a_merge_is_as_if_one_had_recorded_all(void **state)
{
    struct weir_histogram *a = weir_histogram_open(MINUTE_NS), *b = weir_histogram_open(MINUTE_NS);
    struct weir_histogram *all = weir_histogram_open(MINUTE_NS);
    (void)state;
    random_state = 42;
    for (unsigned i = 0; i < VALUES; i++) {
        uint64_t value = random_word() >> (random_word() % 64); /* clamped ones as well */
        weir_histogram_record(i % 3 ? a : b, value, i % 5);
        weir_histogram_record(all, value, i % 5);
    }
    assert_int_equal(weir_histogram_merge(a, b), 0);
    assert_same(a, all);
    weir_histogram_reset(b);
    assert_int_equal(weir_histogram_merge(a, b), 0);
    assert_same(a, all);
    weir_histogram_close(a);
    weir_histogram_close(b);
    weir_histogram_close(all);
}

static void a_merge_of_another_range_is_refused(void **state)
{
    struct weir_histogram *a = weir_histogram_open(1000), *b = weir_histogram_open(1001);
    (void)state;
    weir_histogram_record(b, 5, 1);
    assert_int_equal(weir_histogram_merge(a, b), -EINVAL);
    assert_int_equal(weir_histogram_count(a), 0);
    weir_histogram_close(a);
    weir_histogram_close(b);
}

/* HdrHistogram, recordSingleValueWithExpectedInterval: the value, then every missing one down to
 * the interval. */
static void record_by_definition(struct weir_histogram *h, uint64_t value, uint64_t interval)
{
    weir_histogram_record(h, value, 1);
    if (interval == 0)
        return;
    for (int64_t missing = (int64_t)(value - interval); missing >= (int64_t)interval;
         missing -= (int64_t)interval)
        weir_histogram_record(h, (uint64_t)missing, 1);
}

static void corrected_recording_adds_what_the_stall_hid(void **state)
{
    struct weir_histogram *got = weir_histogram_open(100000), *wanted = weir_histogram_open(100000);
    (void)state;
    random_state = 7;
    for (unsigned i = 0; i < VALUES; i++) {
        uint64_t value = random_word() % 300000, interval = random_word() % 200000;
        if (i % 2)
            interval %= 2000;
        weir_histogram_record_corrected(got, value, interval);
        record_by_definition(wanted, value, interval);
        assert_int_equal(got->total, wanted->total);
    }
    assert_same(got, wanted);
    weir_histogram_close(got);
    weir_histogram_close(wanted);
}

static void correcting_an_absurd_value_ends(void **state)
{
    struct weir_histogram *h = weir_histogram_open(1000);
    (void)state;
    weir_histogram_record_corrected(h, UINT64_MAX, 1);
    assert_int_equal(weir_histogram_count(h), UINT64_MAX);
    assert_int_equal(weir_histogram_clamped(h), UINT64_MAX - 1000);
    assert_int_equal(weir_histogram_min(h), 1);
    weir_histogram_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_values_agree_with_a_sorted_array),
        cmocka_unit_test(edges_of_every_magnitude_agree_too),
        cmocka_unit_test(slots_follow_each_other),
        cmocka_unit_test(a_value_above_the_highest_is_clamped_and_counted),
        cmocka_unit_test(an_empty_histogram_answers_zero),
        cmocka_unit_test(a_percentage_outside_of_its_range_is_its_nearest_end),
        cmocka_unit_test(a_merge_is_as_if_one_had_recorded_all),
        cmocka_unit_test(a_merge_of_another_range_is_refused),
        cmocka_unit_test(corrected_recording_adds_what_the_stall_hid),
        cmocka_unit_test(correcting_an_absurd_value_ends),
    };
    return run_group(tests);
}
