/* SPDX-License-Identifier: MIT
 * The log-linear scheme, shared by histogram.c (record, ask) and histogram_text.c (export, store,
 * load).
 *
 * Bucket b holds SUBS sub-buckets of width 2^b; from the second bucket on only the upper half is
 * new, so an index is (b + 1) * HALF + sub - HALF. SUBS = 2048 is the least power of two that keeps
 * 3 significant digits: a value of at least 1024 sub-buckets is off by less than 1 / 1024
 * (HdrHistogram, "subBucketCount"). */
#ifndef WEIR_HISTOGRAM_H
#define WEIR_HISTOGRAM_H

#include "base/attr.h"

#include <weir/stat.h>

#define SUB_BITS 11
#define SUBS (1u << SUB_BITS)
#define HALF (SUBS / 2)

struct weir_histogram {
    uint64_t highest; /* larger values are recorded as this one */
    uint64_t total;
    uint64_t min, max; /* exact; min is UINT64_MAX when empty */
    uint64_t clamped;
    uint32_t buckets;
    uint32_t slots; /* (buckets + 1) * HALF */
    uint64_t counts[];
};

static inline uint32_t bucket_of(uint64_t value)
{
    return 64 - SUB_BITS - (uint32_t)__builtin_clzll(value | (SUBS - 1));
}

static inline uint32_t index_of(uint64_t value)
{
    uint32_t bucket = bucket_of(value);
    return (bucket + 1) * HALF + (uint32_t)(value >> bucket) - HALF;
}

static inline uint64_t width_at(uint32_t index)
{
    return index < SUBS ? 1 : UINT64_C(1) << (index / HALF - 1);
}

static inline uint64_t lowest_at(uint32_t index)
{
    return index < SUBS ? index : (uint64_t)(index % HALF + HALF) << (index / HALF - 1);
}

static inline uint64_t highest_at(uint32_t index)
{
    return lowest_at(index) + (width_at(index) - 1);
}

static inline double median_at(uint32_t index)
{
    uint64_t median = lowest_at(index) + width_at(index) / 2;
    return (double)median;
}

#endif
