/* SPDX-License-Identifier: MIT
 * A cell without a network: two engines over a wire in memory. */
#ifndef WEIR_TOOL_BENCH_MEMORY_H
#define WEIR_TOOL_BENCH_MEMORY_H

#include "bench/bench.h"

/* What our own stack and engine cost a packet: cycles, copies, losses, and no rate, because a wire
 * in memory has none.
 * Thread  the child's main one, which runs both engines */
void measure_memory(const struct cell *cell, struct sample *ret);

#endif
