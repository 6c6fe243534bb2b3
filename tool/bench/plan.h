/* SPDX-License-Identifier: MIT
 * From the command line to the cells that are to be measured. */
#ifndef WEIR_TOOL_BENCH_PLAN_H
#define WEIR_TOOL_BENCH_PLAN_H

#include "bench/bench.h"

/* Options into bench->opt. Returns the first operand's index or a negative of options_parse. */
int plan_options(int argc, char **argv, struct bench_opt *ret);

/* One line on stderr, as of printf. Returns -EINVAL. */
__attribute__((format(printf, 1, 2))) int plan_refuse(const char *format, ...);

/* The network and the backends into bench->opt, and bench->hint. Returns 0, or -EINVAL: said. */
int backends_choose(struct bench *bench);

/* Why a backend is not measured with this load, or NULL where it is; and the note of it. */
const char *backends_absent(const struct bench *bench, const struct weir_backend_info *info,
                            enum weir_load load);
void backends_leave_out(struct bench *bench, const char *backend, enum weir_load load,
                        const char *why);

/* Check the options against this host and list the cells. Returns 0, or -EINVAL: said on stderr, in
 * one line. */
int plan_cells(struct bench *bench);

extern const char *const format_names[];

#endif
