/* SPDX-License-Identifier: MIT
 * A histogram's bytes come back the same or are refused, and its text is HdrHistogram's. */
#include "test.h"

#include "stat/histogram.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define MINUTE_NS UINT64_C(60000000000)

/* xorshift64 (Marsaglia 2003): the same values in every run. */
static uint64_t random_state;

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void assert_near(double got, double wanted)
{
    if (fabs(got - wanted) > 0.001 * fabs(wanted) + 1e-9)
        fail_msg("%f is not within 0.1 %% of %f", got, wanted);
}

static void assert_same(const struct weir_histogram *a, const struct weir_histogram *b)
{
    assert_int_equal(weir_histogram_bytes(a), weir_histogram_bytes(b));
    assert_memory_equal(a, b, sizeof *a + a->slots * sizeof a->counts[0]);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

struct stored {
    struct weir_histogram *h, *other; /* of one range; `other` is what load is tried on */
    uint8_t *bytes;
    size_t size;
};

static struct stored store_some(void)
{
    struct stored s = {weir_histogram_open(50000), weir_histogram_open(50000), NULL, 0};
    random_state = 3;
    for (unsigned i = 0; i < 100; i++)
        weir_histogram_record(s.h, 20 + random_word() % 70000, 2);
    weir_histogram_record(s.other, 12345, 3);
    s.size = weir_histogram_bytes(s.h);
    s.bytes = malloc(s.size);
    assert_int_equal(weir_histogram_store(s.h, s.bytes, s.size), 0);
    return s;
}

static void drop_stored(struct stored *s)
{
    weir_histogram_close(s->h);
    weir_histogram_close(s->other);
    free(s->bytes);
}

static void what_was_stored_loads_the_same(void **state)
{
    struct stored s = store_some();
    (void)state;
    assert_int_equal(weir_histogram_load(s.other, s.bytes, s.size), 0);
    assert_same(s.h, s.other);
    weir_histogram_reset(s.h);
    assert_int_equal(weir_histogram_store(s.h, s.bytes, s.size), 0);
    assert_int_equal(weir_histogram_load(s.other, s.bytes, s.size), 0);
    assert_same(s.h, s.other);
    assert_int_equal(weir_histogram_store(s.h, s.bytes, s.size - 1), -EINVAL);
    drop_stored(&s);
}

/* Refused, and `other` still holds its three values. */
static void assert_refused(struct stored *s, size_t size)
{
    assert_int_equal(weir_histogram_load(s->other, s->bytes, size), -EINVAL);
    assert_int_equal(weir_histogram_count(s->other), 3);
    assert_int_equal(weir_histogram_min(s->other), 12345);
}

static void hostile_bytes_are_refused(void **state)
{
    struct stored s = store_some();
    uint32_t counts = 6 * 8;
    (void)state;
    for (size_t size = 0; size < s.size; size += size < 100 ? 1 : 997)
        assert_refused(&s, size);
    for (unsigned bit = 0; bit < 3 * 64; bit++) { /* magic, highest, total: every bit counts */
        s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_refused(&s, s.size);
        s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t at = counts; at < s.size; at += 8) { /* a count that the total does not have */
        s.bytes[at]++;
        assert_refused(&s, s.size);
        s.bytes[at]--;
    }
    assert_int_equal(weir_histogram_load(s.other, s.bytes, s.size), 0);
    drop_stored(&s);
}

static void put(struct stored *s, unsigned word, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        s->bytes[8 * word + i] = (uint8_t)(value >> 8 * i);
}

static void counts_whose_sum_overflows_are_refused(void **state)
{
    struct stored s = store_some();
    (void)state;
    memset(s.bytes + 2 * 8, 0, s.size - 2 * 8);
    put(&s, 6 + 20, UINT64_MAX);
    put(&s, 6 + 21, 2);
    put(&s, 2, 1); /* the total modulo 2^64 */
    put(&s, 4, 20);
    put(&s, 5, 21);
    assert_refused(&s, s.size);
    drop_stored(&s);
}

static void ends_and_clamped_that_the_counts_deny_are_refused(void **state)
{
    static const struct {
        unsigned word;
        uint64_t value;
    } lies[] = {{3, 2000},  {3, UINT64_MAX}, {4, 0}, {4, 50000},
                {5, 49000}, {5, 50001},      {5, 0}, {5, UINT64_MAX}};
    (void)state;
    for (unsigned i = 0; i < array_len(lies); i++) {
        struct stored s = store_some();
        put(&s, lies[i].word, lies[i].value);
        assert_refused(&s, s.size);
        drop_stored(&s);
    }
}

/* ---- text ------------------------------------------------------------------------------------ */

/* Until the next call. */
static const char *exported(const struct weir_histogram *h, double scale)
{
    static char text[1 << 16];
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_non_null(out);
    assert_int_equal(weir_histogram_export(h, out, scale), 0);
    fclose(out);
    return text;
}

/* The values 1, 2, 3 and 1000, worked out by hand from HdrHistogram's PercentileIterator (5 ticks)
 * and format strings: it has no C package to compare with. */
static void the_text_is_hdrhistograms(void **state)
{
    struct weir_histogram *h = weir_histogram_open(3600000000);
    (void)state;
    for (uint64_t value = 1; value <= 3; value++)
        weir_histogram_record(h, value, 1);
    weir_histogram_record(h, 1000, 1);
    const char *text = exported(h, 1);
    assert_string_equal(text, "       Value     Percentile TotalCount 1/(1-Percentile)\n"
                              "\n"
                              "       1.000 0.000000000000          1           1.00\n"
                              "       1.000 0.100000000000          1           1.11\n"
                              "       1.000 0.200000000000          1           1.25\n"
                              "       2.000 0.300000000000          2           1.43\n"
                              "       2.000 0.400000000000          2           1.67\n"
                              "       2.000 0.500000000000          2           2.00\n"
                              "       3.000 0.550000000000          3           2.22\n"
                              "       3.000 0.600000000000          3           2.50\n"
                              "       3.000 0.650000000000          3           2.86\n"
                              "       3.000 0.700000000000          3           3.33\n"
                              "       3.000 0.750000000000          3           4.00\n"
                              "    1000.000 0.775000000000          4           4.44\n"
                              "    1000.000 1.000000000000          4\n"
                              "#[Mean    =      251.500, StdDeviation   =      432.147]\n"
                              "#[Max     =     1000.000, Total count    =            4]\n"
                              "#[Buckets =           22, SubBuckets     =         2048]\n");
    weir_histogram_close(h);
}

/* One line as plotFiles.html takes it: four columns, or three on the last. */
struct row {
    double value, level, inverse;
    uint64_t seen;
    int columns;
};

static const char *read_row(const char *text, struct row *row)
{
    row->columns = sscanf(text, "%lf %lf %" SCNu64 "%*1[ ]%lf", &row->value, &row->level,
                          &row->seen, &row->inverse);
    return strchr(text, '\n') + 1;
}

static void assert_rows(const struct weir_histogram *h, const char *text, struct row *last)
{
    struct row row, before = {0};
    text = strchr(strchr(text, '\n') + 1, '\n') + 1;
    while (*text != '#') {
        text = read_row(text, &row);
        assert_true(row.value >= before.value && row.seen >= before.seen);
        assert_true(row.level > before.level || before.columns == 0);
        double asked = (double)weir_histogram_percentile(h, row.level * 100) / 1000;
        assert_true(asked <= row.value + 0.0006); /* printed with three digits */
        assert_true((double)row.seen >= row.level * (double)weir_histogram_count(h) - 1e-6);
        if (row.columns == 4)
            assert_true(fabs(row.inverse * (1 - row.level) - 1) < 0.006); /* two digits */
        before = row;
    }
    *last = before;
}

#define FOOTER "#[Mean = %lf, StdDeviation = %lf] #[Max = %lf, Total count = %" SCNu64 "]"

static void the_text_says_what_the_histogram_says(void **state)
{
    struct weir_histogram *h = weir_histogram_open(MINUTE_NS);
    struct row last;
    double mean, deviation, max;
    uint64_t count;
    (void)state;
    random_state = 11;
    for (unsigned i = 0; i < 100000; i++)
        weir_histogram_record(h, random_word() >> (28 + random_word() % 36), 1);
    const char *text = exported(h, 1000);
    assert_rows(h, text, &last);
    assert_int_equal(last.columns, 3);
    assert_true(last.level == 1);
    assert_int_equal(last.seen, 100000);
    assert_int_equal(sscanf(strstr(text, "#[Mean"), FOOTER, &mean, &deviation, &max, &count), 4);
    assert_near(mean, weir_histogram_mean(h) / 1000);
    assert_near(deviation, weir_histogram_deviation(h) / 1000);
    assert_near(max, (double)weir_histogram_max(h) / 1000);
    assert_int_equal(count, 100000);
    weir_histogram_close(h);
}

static void a_full_disk_is_an_error(void **state)
{
    FILE *full = fopen("/dev/full", "w");
    (void)state;
    if (!full)
        SKIP("this system has no /dev/full");
    struct weir_histogram *h = weir_histogram_open(1000);
    assert_int_equal(weir_histogram_export(h, full, 1), -EIO);
    fclose(full);
    weir_histogram_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_stored_loads_the_same),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(counts_whose_sum_overflows_are_refused),
        cmocka_unit_test(ends_and_clamped_that_the_counts_deny_are_refused),
        cmocka_unit_test(the_text_is_hdrhistograms),
        cmocka_unit_test(the_text_says_what_the_histogram_says),
        cmocka_unit_test(a_full_disk_is_an_error),
    };
    return run_group(tests);
}
