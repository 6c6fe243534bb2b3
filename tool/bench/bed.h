/* SPDX-License-Identifier: MIT
 * The bed of one run: a network, a server in it, and load runs against it. */
#ifndef WEIR_TOOL_BENCH_BED_H
#define WEIR_TOOL_BENCH_BED_H

#include "bench/bench.h"
#include "bench/server.h"
#include "bench/span.h"

struct bed {
    const struct cell *cell;
    struct weir_lab *lab; /* NULL on loopback */
    struct server *server;
    struct live *live; /* NULL without --live */
    char vdev[256];    /* of dpdk */
    struct weir_addr target;
    struct server_mark rest; /* how it all stood when it was quiet last */
    struct weir_net_drops net;
    bool net_known;
    struct weir_histogram *latency, *setup, *teardown;
};

/* Returns 0 or -errno with `why`; then bed_close is still to be called. */
int bed_open(struct bed *bed, const struct cell *cell, struct weir_why *why);
void bed_close(struct bed *bed);

/* One load run: rate 0 as fast as possible; into the histograms when `record`. */
struct bed_run {
    uint64_t rate, ns, drain_ns;
    bool record;
};
int bed_run(struct bed *bed, const struct bed_run *run, struct span *ret, struct weir_why *why);

#endif
