/* SPDX-License-Identifier: MIT
 * One line on a terminal that is rewritten while the command runs; nothing where stderr is no
 * terminal. */
#ifndef WEIR_TOOL_BENCH_PROGRESS_H
#define WEIR_TOOL_BENCH_PROGRESS_H

#include "bench/bench.h"

/* What runs now, as run number `done` + 1 of about `total`. */
void progress_show(const struct bench *bench, const struct cell *cell, const char *what,
                   unsigned done, unsigned total);
void progress_clear(void);

#endif
