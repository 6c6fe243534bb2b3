/* SPDX-License-Identifier: MIT
 * From the command line to the cells that are to be measured. */
#ifndef WEIR_TOOL_BENCH_PLAN_H
#define WEIR_TOOL_BENCH_PLAN_H

#include "bench/bench.h"

/* Options into bench->opt. Returns the first operand's index or a negative of options_parse. */
int plan_options(int argc, char **argv, struct bench_opt *ret);

/* Check the options against this host and list the cells. Returns 0, or -EINVAL: said on stderr, in
 * one line. */
int plan_cells(struct bench *bench);

extern const char *const net_names[];
extern const char *const format_names[];

#endif
