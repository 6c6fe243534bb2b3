/* SPDX-License-Identifier: MIT
 * One run of one cell, from the first canary to the last. */
#ifndef WEIR_TOOL_BENCH_MEASURE_H
#define WEIR_TOOL_BENCH_MEASURE_H

#include "bench/bed.h"

#define ECHO_RATE 25000u /* round trips a second: 12,500 in half a second, enough for p99.9 */

/* Measure a cell. Everything that goes wrong is in the sample.
 * Thread  the child's main one: it is pinned, may change its namespace, and runs the generator */
void measure(const struct cell *cell, struct sample *ret);

/* The highest rate of the cell's load that loses nothing: figure[FIG_pps]. */
void measure_lossless(const struct cell *cell, struct sample *ret);

/* How long a run may take before it counts as hung. */
uint64_t measure_limit_ns(const struct cell *cell);

void sample_init(struct sample *sample);

/* Mark a sample as not valid, if it is not already, with a reason as of printf. */
__attribute__((format(printf, 2, 3))) void sample_refuse(struct sample *sample, const char *format,
                                                         ...);

void sample_refuse_why(struct sample *sample, int rc, const struct weir_why *why);

/* The figures of one load run, and its doubts. */
void sample_take_span(const struct bed *bed, const struct span *span, struct sample *sample);

#endif
