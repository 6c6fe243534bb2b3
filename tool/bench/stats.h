/* SPDX-License-Identifier: MIT
 * From rounds to a row: medians, spreads, ratios. Pure functions: no clock, no printing, no host.
 * NAN is "not known": it is left out of a median and never becomes 0. */
#ifndef WEIR_TOOL_BENCH_STATS_H
#define WEIR_TOOL_BENCH_STATS_H

#include "bench/bench.h"

/* The middle value, or the mean of the two in the middle; NAN of none. `values` is not changed; at
 * most ROUNDS_MAX are known, further NANs aside. */
double stat_median(const double *values, unsigned n);

/* (largest - smallest) / median; NAN of fewer than two, or of a median of 0. */
double stat_spread(const double *values, unsigned n);

/* NAN of none. */
double stat_sum(const double *values, unsigned n);

/* a / b, or NAN where either is not known or b is 0. */
double stat_ratio(double a, double b);

/* The median of a[i] / b[i]: each ratio is taken within its round. */
double stat_ratio_median(const double *a, const double *b, unsigned n);

/* A percentile needs ten samples beyond it: 10,000 for p99.9 (share 0.001), 1,000 for p99. */
bool stat_enough(double samples, double share_beyond);

/* Were the cores where they were, between the end of the earlier run and the begin of the later
 * one? Where a canary is missing nothing says otherwise. */
bool stat_same_place(const struct sample *earlier, const struct sample *later);

/* The row of one cell from its samples[round]; `naive` are those of the naive cell of the same
 * load, or NULL. A row without a valid sample is invalid, and shows what ran all the same. */
void row_build(struct row *row, const struct sample *samples, const struct sample *naive,
               unsigned rounds);

/* What a row is about: pps, but cycles a packet where all are offered the same rate (a flood that
 * is not unpaced, or -r). */
enum figure row_subject(const struct cell *cell);

#endif
