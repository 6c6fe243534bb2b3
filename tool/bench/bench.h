/* SPDX-License-Identifier: MIT
 * `weir bench`: the words that its parts share.
 *
 *     options -> plan of cells -> rounds -> child per run -> sample -> row (median) -> table, csv,
 *     json
 *
 * A cell is what is measured (backend, load, size, connections). A run is one cell in one round,
 * in a child process of its own; it gives a sample. The samples of a cell's rounds make its row. */
#ifndef WEIR_TOOL_BENCH_H
#define WEIR_TOOL_BENCH_H

#include "frames.h"
#include "options.h"

#include <weir/base.h>
#include <weir/engine.h>
#include <weir/lab.h>
#include <weir/probe.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define BACKENDS_MAX 16 /* rows of the table of backends that the tool can show */
#define WORKERS_MAX 64
#define CELLS_MAX 512 /* more than anybody waits for */
#define ROUNDS_MAX 99
#define TRIES_MAX 3      /* runs of one cell and round until one is undisturbed */
#define ABSENT_MAX 64    /* backend and load pairs that are left out */
#define LINES_MAX 24     /* what the host gave and refused, of one engine */
#define REASON_BYTES 192 /* one line for a person */

/* ---- figures: what a run is told in. Unknown is NAN, never 0
 * -------------------------------------- */

/* X(name, how): MEDIAN over the rounds that count, or their SUM */
#define LATENCY_FIGURES(X, of)                                                                     \
    X(of##_min, MEDIAN)                                                                            \
    X(of##_mean, MEDIAN)                                                                           \
    X(of##_p50, MEDIAN)                                                                            \
    X(of##_p90, MEDIAN)                                                                            \
    X(of##_p99, MEDIAN)                                                                            \
    X(of##_p999, MEDIAN)                                                                           \
    X(of##_max, MEDIAN)                                                                            \
    X(of##_samples, MEDIAN)

#define LOSS_FIGURES(X)                                                                            \
    X(tx, SUM)                                                                                     \
    X(impair, SUM)                                                                                 \
    X(nic, SUM)                                                                                    \
    X(softnet, SUM)                                                                                \
    X(socket, SUM)                                                                                 \
    X(ring, SUM)                                                                                   \
    X(pool, SUM)                                                                                   \
    X(stack, SUM)                                                                                  \
    X(app, SUM)                                                                                    \
    X(unexplained, SUM)

#define FIGURES(X)                                                                                 \
    X(offered_pps, MEDIAN)                                                                         \
    X(pps, MEDIAN)                                                                                 \
    X(gbps, MEDIAN)                                                                                \
    X(latency_pps, MEDIAN)                                                                         \
    X(sent, SUM)                                                                                   \
    X(received, SUM)                                                                               \
    X(errors, SUM)                                                                                 \
    X(cpu_ns, MEDIAN)                                                                              \
    X(cycles, MEDIAN)                                                                              \
    X(busy, MEDIAN)                                                                                \
    X(host_cpu_ns, MEDIAN)                                                                         \
    X(syscalls, MEDIAN)                                                                            \
    X(copies, MEDIAN)                                                                              \
    X(copied_bytes, MEDIAN)                                                                        \
    LATENCY_FIGURES(X, latency)                                                                    \
    LATENCY_FIGURES(X, setup)                                                                      \
    LATENCY_FIGURES(X, teardown)                                                                   \
    LOSS_FIGURES(X)

enum figure {
#define X(name, how) FIG_##name,
    FIGURES(X)
#undef X
        FIGURES_COUNT
};

#define LATENCY_COUNT 8 /* members of one LATENCY_FIGURES */
#define LOSS_FIRST FIG_tx
#define LOSS_COUNT 10

extern const char *const latency_names[LATENCY_COUNT]; /* "min", "mean" ... "samples" */
extern const char *const loss_names[LOSS_COUNT];       /* "tx", "impair" ... "unexplained" */

/* ---- what is measured
 * ------------------------------------------------------------------------------ */

/* AUTO is an option only: a lab where this host gives one, else loopback. MEMORY is sim's. */
enum bench_net { NET_AUTO, NET_LOOPBACK, NET_LAB, NET_MEMORY };

struct bench_opt {
    struct option_list backends, loads, sizes;
    uint64_t time_ns, rate;
    uint32_t workers, rounds;
    uint16_t port;
    uint8_t net;    /* enum bench_net */
    uint8_t format; /* index in format_names */
    const char *output;
    bool full, list, claims, no_coalesce, live;
    struct frames_choice frames;
};

/* One cell, with everything that a run needs to know. Plain data: the child gets it by fork. */
struct cell {
    const char *backend;
    enum weir_load load;
    uint32_t bytes, workers, connections; /* connections 0: the load has none */
    uint64_t time_ns;                     /* the measured time of a run */
    uint64_t rate;                        /* 0 = the load's own choice, OPTION_RATE_MAX = unpaced */
    uint64_t equal_rate;                  /* flood: what all backends are offered; 0 = -r said */
    uint16_t port;                        /* 0 = a free one */
    uint8_t net;
    bool no_coalesce, live;
    bool frames;           /* the backend's: our own stack does layers 2 to 4 */
    const char *no_af_xdp; /* dpdk in the lab: why it is over AF_PACKET; NULL: it is not */
    struct frames_choice choice;
    int cores[WORKERS_MAX]; /* the workers' */
    int generator_core;
};

/* The pinned cores of a cell, and whether each thread has one for itself. */
void cell_place(struct cell *cell);
bool cell_crowded(const struct cell *cell);
bool load_is_stream(
    enum weir_load load); /* tcp and connect: a packet reads as a request or connection */
bool load_is_one_way(enum weir_load load); /* flood and stream */
bool is_naive(const char *backend);        /* the yardstick of every ratio */
/* Impaired, captured, or in memory: never compared with another. */
bool cell_alone(const struct cell *cell);
const char *net_name(unsigned net); /* "lab" */

/* What one run gave. Plain data: it crosses the pipe as bytes. */
struct sample {
    uint32_t bytes; /* sizeof(struct sample): a short write shows */
    uint8_t ran;    /* the figures are there */
    uint8_t valid;  /* and can be trusted */
    uint8_t moved;  /* a core moved or was taken: why it is left out */
    uint8_t generator_bound;
    uint8_t fatal; /* trying again will not help: this host cannot run the cell */
    uint8_t lines;
    double canary_before, canary_after; /* ns */
    double steal;                       /* share of the machine's time */
    double figure[FIGURES_COUNT];
    char reason[REASON_BYTES];       /* why not valid */
    char mode[96];                   /* how the generator sent */
    struct weir_why line[LINES_MAX]; /* what the host gave and refused */
};

/* A row of the report: the samples of one cell put together. */
struct row {
    struct cell cell;
    uint8_t valid, generator_bound;
    uint32_t rounds, used; /* rounds that ran, and those in the row */
    uint32_t left_out;     /* runs that were not good enough, those that were run again included */
    double figure[FIGURES_COUNT];
    double vs_naive;           /* throughput, within the round */
    double cost_vs_naive;      /* busy cycles a packet, within the round: below 1 is cheaper */
    double spread;             /* (max - min) / median of what the row is about */
    char reason[REASON_BYTES]; /* why not valid */
    char doubt
        [REASON_BYTES]; /* of a valid row: why the last of the rounds that do not count does not */
    const struct sample *last; /* for lines and modes; NULL: nothing ran */
};

/* A load that a backend cannot do, or that says nothing of it. */
struct absent {
    const char *backend, *why; /* static */
    enum weir_load load;
};

/* All runs of one command: cells in the order of the report, samples[cell][round]. */
struct bench {
    struct bench_opt opt;
    struct cell cells[CELLS_MAX];
    unsigned cell_count;
    struct sample *samples;       /* cell_count * opt.rounds of them */
    uint32_t left_out[CELLS_MAX]; /* as of struct row */
    uint32_t moved; /* of all those, the runs that a core that moved or was taken disturbed */
    uint32_t runs;  /* so far, all of them */
    uint64_t start_ns, end_ns;
    struct row *rows; /* of each cell, after bench_rows */
    struct weir_host host;
    struct weir_backend_info backends[BACKENDS_MAX]; /* as probed at the start */
    unsigned backend_count;
    struct absent absent[ABSENT_MAX];
    unsigned absent_count;
    char note[REASON_BYTES]; /* of options: what they are not for, of what is measured; or "" */
    char hint[REASON_BYTES]; /* what more this host could measure, and how; "" where nothing */
    int stopped;             /* the signal that ended it early, 0 = none */
};

/* samples[round] of a cell; its `bytes` are 0 where nothing ran yet. */
struct sample *bench_samples(const struct bench *bench, unsigned cell);

/* Of the same load, size and connections, or -1 where naive is not measured. */
int bench_naive(const struct bench *bench, unsigned cell);

/* Run every cell in every round, and make the rows of what ran. Returns 0, or -ENOMEM: said on
 * stderr. */
int bench_run(struct bench *bench);
void bench_rows(struct bench *bench);
#endif
