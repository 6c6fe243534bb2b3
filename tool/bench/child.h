/* SPDX-License-Identifier: MIT
 * A run in a process of its own. */
#ifndef WEIR_TOOL_BENCH_CHILD_H
#define WEIR_TOOL_BENCH_CHILD_H

#include "bench/bench.h"

typedef void child_task(const struct cell *cell, struct sample *ret);

/* Run `task` in a child and fetch its sample. A child that dies, hangs beyond `limit_ns` or writes
 * nonsense gives a sample that says so. Returns 0, or -EINTR: a signal asked the command to stop,
 * and the child was killed. */
int child_run(child_task *task, const struct cell *cell, uint64_t limit_ns, struct sample *ret);

/* From here on SIGINT and SIGTERM ask the command to stop; they arrive only while it waits for a
 * child. */
void child_signals(void);

/* The signal that asked for it, or 0. */
int child_stopped(void);

#endif
