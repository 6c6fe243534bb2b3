/* SPDX-License-Identifier: MIT
 * What is measured: a crew of engines that serves one load. Its counters are read from the
 * generator's thread. */
#ifndef WEIR_TOOL_BENCH_SERVER_H
#define WEIR_TOOL_BENCH_SERVER_H

#include "bench/bench.h"

struct server;

/* All workers together, at one moment. */
struct server_mark {
    uint64_t ns, cycles;         /* when: the clock, and weir_cycles */
    uint64_t packets, bytes;     /* the handlers': datagrams, or bytes of streams */
    uint64_t errors;             /* the handlers': wrong lengths, sends that were refused */
    uint64_t refused;            /* of those, datagrams that were not sent back */
    uint64_t socket_drops;       /* at our sockets; read only by server_settle */
    uint64_t cpu_ns;             /* CPU time of the workers' threads */
    struct weir_counters engine; /* summed */
};

/* How late an impaired path may give a packet, one way. */
uint64_t server_late_ns(const struct cell *cell);
struct weir_crew *server_crew(struct server *server);

/* Start cell->workers workers on their cores, serving cell->load at `addr`; `opt` has the device,
 * the impairment and the capture, if any.
 * Errors  NULL with `why`.  Thread  the child's main one, in the namespace that the server is to
 *         be in */
struct server *server_start(const struct cell *cell, const struct weir_addr *addr,
                            const struct weir_engine_opt *opt, struct weir_why *why);
void server_mark(struct server *server, struct server_mark *ret);

/* Wait until nothing has arrived for 10 ms, at most `limit_ns`, and mark, socket drops included. */
void server_settle(struct server *server, uint64_t limit_ns, struct server_mark *ret);

/* Lines of weir_engine_report of the first worker, made complete (grants.h), and refused
 * privileges. Returns how many. */
unsigned server_report(const struct server *server, struct weir_why ret[LINES_MAX]);
const char *server_backend(const struct server *server); /* what really runs */

/* Returns 0 or the first worker's -errno. */
int server_stop(struct server *server);

#endif
