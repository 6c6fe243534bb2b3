/* SPDX-License-Identifier: MIT
 * The bed of the sim suite: networks in virtual time, on include/weir alone.
 *
 *     host 0 (10.0.0.1, fd00::1) ---- wire ---- host 1 (10.0.0.2, fd00::2)      bed_open_hosts
 *     port 0 ---------------------- wire ---------------------- port 1          bed_open
 *
 * Every case runs from a seed, WEIR_SEED or 1; a case that fails prints it and how to run it again:
 *     WEIR_SEED=7 tests/sim/sim_wire -case delay_is_exact */
#ifndef WEIR_SIM_BED_H
#define WEIR_SIM_BED_H

#include "test.h"

#include <weir.h>

#include <errno.h>
#include <stdbool.h>

#define array_len(a) (sizeof(a) / sizeof((a)[0]))
#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)
#define ECHO_PORT 7u /* RFC 862 */

struct sim_case {
    const char *name;
    void (*run)(uint64_t seed);
};
#define CASE(fn)                                                                                   \
    {                                                                                              \
#fn, fn                                                                                    \
    }
/* Run the cases, or the one that `-case NAME` says. Returns main's. */
int bed_main(int argc, char **argv, const struct sim_case *cases, unsigned n);

/* ---- two ports ------------------------------------------------------------------------------ */

struct bed {
    struct weir_sim *sim;
    struct weir_sim_port *port[2];
};

/* A network of one wire; NULL: perfect. */
void bed_open_with(struct bed *bed, const struct weir_sim_opt *opt, const struct weir_impair *there,
                   const struct weir_impair *back);
void bed_open(struct bed *bed, uint64_t seed, const struct weir_impair *there);
void bed_close(struct bed *bed);
void bed_run(struct bed *bed, uint64_t ns); /* for so long */
struct weir_sim_counts bed_counts(const struct bed *bed);
/* sent + duplicated = delivered + lost + overrun, when nothing is under way. */
void bed_assert_balance(const struct bed *bed);

/* ---- hosts ---------------------------------------------------------------------------------- */

struct host {
    struct weir_engine *engine;
    weir_ep ep;
    unsigned number;         /* 0: 10.0.0.1 */
    unsigned got, wrong;     /* datagrams, and those of them that are not pattern */
    uint64_t bytes, last_ns; /* payload received, and when last */
    unsigned links;          /* WEIR_LINK events */
    int link_err;            /* of the last one */
    unsigned timers;
    uint64_t timer_ns;           /* when the last one was told */
    struct weir_buf *kept[4096]; /* with `keep`: what came stays here */
    unsigned n_kept;
    int echo, keep;
};

struct weir_engine_opt host_opt(struct weir_sim_port *port, unsigned number);
/* An engine with an endpoint at port 7 of 10.0.0.(number + 1) and of fd00::(number + 1); where
 * opt->frames.sim is NULL, at any port of 127.0.0.1. */
void host_open(struct host *host, struct weir_sim_port *port, unsigned number);
void host_open_with(struct host *host, const struct weir_engine_opt *opt, unsigned number);
void host_close(struct host *host);
struct weir_addr host_addr(unsigned number);
struct weir_addr host_addr6(unsigned number);
/* Queue `n` datagrams of `bytes` (the pattern that receivers check). Returns how many were taken. */
unsigned host_send(struct host *host, const struct weir_addr *to, unsigned n, size_t bytes);
struct weir_counters host_counters(const struct host *host);

#endif
