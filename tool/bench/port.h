/* SPDX-License-Identifier: MIT
 * Ports of this host: one that is free, and whether a given one is. */
#ifndef WEIR_TOOL_BENCH_PORT_H
#define WEIR_TOOL_BENCH_PORT_H

#include <stdint.h>

/* A port that is free for UDP and TCP on all addresses, in host order; 0 where there is none. */
uint16_t port_free(void);

/* Returns 0, or -errno: why UDP or TCP cannot be bound to it. `what` is set to the one that could
 * not. */
int port_check(uint16_t port, const char **what);

#endif
