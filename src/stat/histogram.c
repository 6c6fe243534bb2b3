/* SPDX-License-Identifier: MIT
 * A latency histogram: fixed memory, a few cycles a value, 3 significant digits at every magnitude.
 *
 * In the flow   bench workers record; their histograms are merged and asked after they have
 *               stopped.
 * Invariants    total is the sum of counts; min and max are exact; a value above `highest` is
 *               counted at `highest` and in `clamped`, never lost; nothing is allocated after open.
 * Source        HdrHistogram (Gil Tene), AbstractHistogram.java: countsArrayIndex,
 *               getValueAtPercentile, recordSingleValueWithExpectedInterval, getMean,
 *               getStdDeviation. */
#include "histogram.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct weir_histogram *weir_histogram_open(uint64_t highest)
{
    uint64_t top = highest ? highest : 1;
    uint32_t buckets = bucket_of(top) + 1;
    uint32_t slots = (buckets + 1) * HALF;
    struct weir_histogram *h = malloc(sizeof *h + slots * sizeof h->counts[0]);
    if (!h)
        return NULL;
    h->highest = top;
    h->buckets = buckets;
    h->slots = slots;
    weir_histogram_reset(h); /* writes every page, so that recording never faults */
    return h;
}

void weir_histogram_close(struct weir_histogram *h)
{
    free(h);
}

void weir_histogram_reset(struct weir_histogram *h)
{
    h->total = 0;
    h->clamped = 0;
    h->max = 0;
    h->min = UINT64_MAX;
    memset(h->counts, 0, h->slots * sizeof h->counts[0]);
}

void weir_histogram_record(struct weir_histogram *h, uint64_t value, uint64_t count)
{
    if (unlikely(count == 0))
        return;
    if (unlikely(value > h->highest)) {
        value = h->highest;
        h->clamped += count;
    }
    h->counts[index_of(value)] += count;
    h->total += count;
    h->min = min_of(h->min, value);
    h->max = max_of(h->max, value);
}

/* Record value, value - interval, ... down to interval. Those above `highest` all go to one slot,
 * so they are counted by division: the cost is bounded by highest / interval. */
void weir_histogram_record_corrected(struct weir_histogram *h, uint64_t value, uint64_t interval)
{
    weir_histogram_record(h, value, 1);
    if (interval == 0 || value < interval)
        return;
    uint64_t missing = value - interval;
    if (missing > h->highest && missing >= interval) {
        uint64_t floor = max_of(h->highest, interval - 1);
        uint64_t above = (missing - floor - 1) / interval + 1;
        weir_histogram_record(h, missing, above);
        missing -= above * interval;
    }
    for (; missing >= interval; missing -= interval)
        weir_histogram_record(h, missing, 1);
}

int weir_histogram_merge(struct weir_histogram *h, const struct weir_histogram *from)
{
    if (h->highest != from->highest)
        return -EINVAL;
    for (uint32_t i = 0; i < h->slots; i++)
        h->counts[i] += from->counts[i];
    h->total += from->total;
    h->clamped += from->clamped;
    h->min = min_of(h->min, from->min);
    h->max = max_of(h->max, from->max);
    return 0;
}

uint64_t weir_histogram_count(const struct weir_histogram *h)
{
    return h->total;
}

uint64_t weir_histogram_clamped(const struct weir_histogram *h)
{
    return h->clamped;
}

uint64_t weir_histogram_min(const struct weir_histogram *h)
{
    return h->total ? h->min : 0;
}

uint64_t weir_histogram_max(const struct weir_histogram *h)
{
    return h->max;
}

double weir_histogram_mean(const struct weir_histogram *h)
{
    double sum = 0;
    for (uint32_t i = 0; i < h->slots; i++)
        if (h->counts[i])
            sum += median_at(i) * (double)h->counts[i];
    return h->total ? sum / (double)h->total : 0;
}

double weir_histogram_deviation(const struct weir_histogram *h)
{
    double mean = weir_histogram_mean(h), sum = 0;
    for (uint32_t i = 0; i < h->slots; i++) {
        double off = median_at(i) - mean;
        if (h->counts[i])
            sum += off * off * (double)h->counts[i];
    }
    return h->total ? sqrt(sum / (double)h->total) : 0;
}

/* How many samples `percent` of all are, rounded up. One step below `percent`, because 99.9 as a
 * double may lie above 99.9 and would then ask for one sample too many (HdrHistogram issue 124). */
static uint64_t rank_of(const struct weir_histogram *h, double percent)
{
    if (!(percent > 0))
        return 1;
    double below = nextafter(percent < 100 ? percent : 100, 0);
    uint64_t rank = (uint64_t)ceil(below * (double)h->total / 100);
    return rank < 1 ? 1 : min_of(rank, h->total);
}

uint64_t weir_histogram_percentile(const struct weir_histogram *h, double percent)
{
    if (h->total == 0)
        return 0;
    if (!(percent > 0))
        return h->min;
    uint64_t rank = rank_of(h, percent), seen = 0;
    for (uint32_t i = 0; i < h->slots; i++) {
        seen += h->counts[i];
        if (seen >= rank)
            return min_of(highest_at(i), h->max);
    }
    return h->max;
}
