/* SPDX-License-Identifier: MIT
 * What the host gave and refused, made complete: what the engine reports, and what the tool knows
 * besides. */
#ifndef WEIR_TOOL_BENCH_GRANTS_H
#define WEIR_TOOL_BENCH_GRANTS_H

#include "bench/bench.h"

#define GRANTS_SOCK_BYTES (16u << 20) /* SO_RCVBUF and SO_SNDBUF that the server asks for */
#define NOT_ASKED 1 /* `code` of a line that is neither given (0) nor refused (-errno) */

/* line[0 .. n) is what the engine and the crew told of a server of `cell`. Drops what is not so
 * without a UDP socket, adds what is missing. Returns how many lines there are now, at most
 * LINES_MAX. */
unsigned grants_complete(const struct cell *cell, struct weir_why line[LINES_MAX], unsigned n);

/* Is line `k` of a row to be shown? All lines of one row of each backend, of datagrams where there
 * is one; of its other rows only what was refused nowhere before. */
bool grants_shown(const struct bench *bench, unsigned row, unsigned k);

#endif
