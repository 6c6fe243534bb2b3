/* SPDX-License-Identifier: MIT
 * One load run against one server, with the readings around it, and what they mean: pure
 * functions. */
#ifndef WEIR_TOOL_BENCH_SPAN_H
#define WEIR_TOOL_BENCH_SPAN_H

#include "bench/bench.h"
#include "bench/server.h"

/*   before ......... start ============ end ......... after
 *          warm-up          the window        drained     */
struct span {
    struct weir_load_result load;
    struct server_mark before, start, end, after;
    struct weir_net_drops net; /* after - before, both ends of a lab together */
    bool net_known;
    uint8_t marks; /* bit of each weir_load_mark that came */
};

/* Requests or packets that the server handled in the window: what costs are divided by. */
double span_handled(const struct span *span, const struct cell *cell);

/* The share of the window in which the workers found work, 0 .. 1; NAN where nothing was marked. */
double span_busy(const struct span *span, unsigned workers);

/* Everything but latency into figure[]: rates, costs, counts, losses. `hz` are ticks of weir_cycles
 * a second. */
void span_figures(const struct span *span, const struct cell *cell, uint64_t hz,
                  double figure[FIGURES_COUNT]);

/* Where every packet that is missing went: loss[LOSS_COUNT], which sum to what was sent - received.
 * Unknown layers are NAN. Source  bench/method.md, "Loss by layer" */
void span_loss(const struct span *span, const struct cell *cell, double loss[LOSS_COUNT]);

/* One histogram as LATENCY_COUNT figures from `first` on. Percentiles of too few samples are NAN.
 * */
void latency_figures(const struct weir_histogram *h, double *first);

/* Why the span cannot be trusted, into `reason`; false where it can. */
bool span_doubt(const struct span *span, const struct cell *cell,
                const double figure[FIGURES_COUNT], char reason[REASON_BYTES]);

#endif
