/* SPDX-License-Identifier: MIT
 * Ladders of offered rates. */
#ifndef WEIR_TOOL_BENCH_CLIMB_H
#define WEIR_TOOL_BENCH_CLIMB_H

#include "bench/bed.h"

/* stream: the best goodput, with that rung's figures. */
void climb_stream(struct bed *bed, struct sample *sample);

/* echo: the throughput of a sample that was taken at the set rate becomes the highest that loses
 * nothing. */
void climb_echo(struct bed *bed, struct sample *sample);

/* The highest rate of the cell's load that loses nothing, with that rung's figures. */
void climb_lossless(struct bed *bed, struct sample *sample);

#endif
