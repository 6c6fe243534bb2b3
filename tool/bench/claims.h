/* SPDX-License-Identifier: MIT
 * Measurements that only --claims makes. */
#ifndef WEIR_TOOL_BENCH_CLAIMS_H
#define WEIR_TOOL_BENCH_CLAIMS_H

#include <stdbool.h>

/* How many times more 8-byte elements a second an SPSC ring carries from core to core than a queue
 * of a mutex and a condition. */
struct ring_ratio {
    bool done;
    double burst_1, burst_32; /* medians of ratios, each taken within a round */
    char why[96];             /* not "": could not be measured */
};
void claim_rings(int core_a, int core_b, struct ring_ratio *ret);

#endif
