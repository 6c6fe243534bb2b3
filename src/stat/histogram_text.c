/* SPDX-License-Identifier: MIT
 * A histogram as text for HdrHistogram's plotter, and as bytes for another process.
 *
 * In the flow   a bench child stores, its parent loads, merges and exports.
 * Invariants    load takes bytes from elsewhere: everything is checked before anything is changed,
 *               and what it accepts obeys histogram.c's invariants.
 * Source        text: AbstractHistogram.outputPercentileDistribution and PercentileIterator, 5
 *               ticks a half distance, which plotFiles.html reads. Bytes: little-endian 64-bit
 *               words, our own. */
#include "histogram.h"

#include <errno.h>
#include <inttypes.h>

#define TICKS 5 /* lines a halving of the distance to 100 %: HdrHistogram's default */

/* The next level of PercentileIterator: the step halves each time that the distance to 100 % does.
 * Every level is a dyadic fraction of 100, so this is exact. */
static double next_level(double level)
{
    double ticks = TICKS * 2;
    for (double rest = 100 - level; rest <= 50 && rest > 0; rest *= 2)
        ticks *= 2;
    return level + 100 / ticks;
}

struct line {
    FILE *out;
    double scale;
};

static void print_line(const struct line *line, uint64_t value, double level, uint64_t seen)
{
    fprintf(line->out, "%12.3f %2.12f %10" PRIu64, (double)value / line->scale, level / 100, seen);
    if (level < 100)
        fprintf(line->out, " %14.2f", 1 / (1 - level / 100));
    fputc('\n', line->out);
}

/* As PercentileIterator goes: each slot prints every level that it reaches, the last slot only one,
 * and then comes 100 %. */
static void print_levels(const struct weir_histogram *h, const struct line *line)
{
    uint64_t seen = 0;
    double level = 0;
    for (uint32_t i = 0; i < h->slots && seen < h->total; i++) {
        seen += h->counts[i];
        while (h->counts[i] && 100.0 * (double)seen / (double)h->total >= level) {
            print_line(line, min_of(highest_at(i), h->max), level, seen);
            level = next_level(level);
            if (seen == h->total)
                break;
        }
    }
    if (h->total)
        print_line(line, h->max, 100, h->total);
}

int weir_histogram_export(const struct weir_histogram *h, FILE *out, double scale)
{
    struct line line = {out, scale};
    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    print_levels(h, &line);
    fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", weir_histogram_mean(h) / scale,
            weir_histogram_deviation(h) / scale);
    fprintf(out, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n", (double)h->max / scale,
            h->total);
    fprintf(out, "#[Buckets = %12" PRIu32 ", SubBuckets     = %12u]\n", h->buckets, SUBS);
    return fflush(out) || ferror(out) ? -EIO : 0;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

enum { MAGIC, HIGHEST, TOTAL, CLAMPED, MIN, MAX, WORDS }; /* then the counts */

#define MAGIC_WORD UINT64_C(0x31747369685f7277) /* "wr_hist1" as its bytes stand in memory */

static void put_word(uint8_t *at, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(word >> 8 * i);
}

static uint64_t get_word(const uint8_t *at)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; i++)
        word |= (uint64_t)at[i] << 8 * i;
    return word;
}

size_t weir_histogram_bytes(const struct weir_histogram *h)
{
    return (WORDS + (size_t)h->slots) * 8;
}

int weir_histogram_store(const struct weir_histogram *h, void *ret, size_t bytes)
{
    uint8_t *at = ret;
    const uint64_t head[WORDS] =
        {[MAGIC] = MAGIC_WORD,   [HIGHEST] = h->highest,        [TOTAL] = h->total,
         [CLAMPED] = h->clamped, [MIN] = weir_histogram_min(h), [MAX] = h->max};
    if (bytes < weir_histogram_bytes(h))
        return -EINVAL;
    for (unsigned i = 0; i < WORDS; i++, at += 8)
        put_word(at, head[i]);
    for (uint32_t i = 0; i < h->slots; i++, at += 8)
        put_word(at, h->counts[i]);
    return 0;
}

/* The sum of the counts and the first and last slot that is not empty. */
static int scan_counts(const uint8_t *at, uint32_t slots, uint64_t *sum, uint32_t *first,
                       uint32_t *last)
{
    *sum = 0;
    for (uint32_t i = 0; i < slots; i++) {
        uint64_t count = get_word(at + (size_t)8 * i);
        if (count == 0)
            continue;
        if (*sum == 0)
            *first = i;
        *last = i;
        if (__builtin_add_overflow(*sum, count, sum))
            return -EINVAL;
    }
    return 0;
}

/* Do the words of the head agree with each other and with the counts? */
static bool head_agrees(const uint64_t head[WORDS], const uint8_t *counts, uint32_t slots)
{
    uint64_t sum;
    uint32_t first = 0, last = 0;
    if (scan_counts(counts, slots, &sum, &first, &last) || sum != head[TOTAL])
        return false;
    if (sum == 0)
        return head[MIN] == 0 && head[MAX] == 0 && head[CLAMPED] == 0;
    if (head[MIN] > head[MAX] || head[MAX] > head[HIGHEST])
        return false;
    if (head[CLAMPED] && head[MAX] != head[HIGHEST])
        return false;
    return index_of(head[MIN]) == first && index_of(head[MAX]) == last &&
           head[CLAMPED] <= get_word(counts + (size_t)8 * last);
}

int weir_histogram_load(struct weir_histogram *h, const void *from, size_t bytes)
{
    const uint8_t *at = from;
    uint64_t head[WORDS];
    if (bytes != weir_histogram_bytes(h))
        return -EINVAL;
    for (unsigned i = 0; i < WORDS; i++, at += 8)
        head[i] = get_word(at);
    if (head[MAGIC] != MAGIC_WORD || head[HIGHEST] != h->highest ||
        !head_agrees(head, at, h->slots))
        return -EINVAL;
    for (uint32_t i = 0; i < h->slots; i++)
        h->counts[i] = get_word(at + (size_t)8 * i);
    h->total = head[TOTAL];
    h->clamped = head[CLAMPED];
    h->min = h->total ? head[MIN] : UINT64_MAX;
    h->max = head[MAX];
    return 0;
}
