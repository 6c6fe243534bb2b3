/* SPDX-License-Identifier: MIT
 * From the command line to the cells that are to be measured.
 *
 * In the flow   plan_options -> plan_cells -> rounds.c.
 * Invariants    every refusal is one line on stderr, before anything runs. What a backend cannot do
 *               is left out with a note, unless nothing else was asked for. */
#include "bench/plan.h"
#include "bench/port.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define ECHO_BYTES_MIN 16 /* the generator's number and time: lab.h */

static const uint32_t sizes_udp[] = {64, 512, 1200, 0};
static const uint32_t sizes_tcp[] = {64, 8192, 0};
static const uint32_t sizes_one[] = {64, 0};
static const uint32_t tcp_connections[] = {1, 64, 1000, 0};
static const uint32_t connect_flight[] = {64, 0};
static const uint32_t no_connections[] = {0, 0};

struct load_plan {
    bool by_default;
    const uint32_t *full_sizes;
    const uint32_t *connections; /* ends with 0, but has at least one entry */
};

static const struct load_plan load_plans[WEIR_LOADS] = {
    [WEIR_LOAD_FLOOD] = {true, sizes_udp, no_connections},
    [WEIR_LOAD_STREAM] = {true, sizes_udp, no_connections},
    [WEIR_LOAD_ECHO] = {true, sizes_udp, no_connections},
    [WEIR_LOAD_TCP] = {true, sizes_tcp, tcp_connections},
    [WEIR_LOAD_CONNECT] = {false, sizes_one, connect_flight},
};

bool load_is_stream(enum weir_load load)
{
    return load == WEIR_LOAD_TCP || load == WEIR_LOAD_CONNECT;
}

bool load_is_one_way(enum weir_load load)
{
    return load == WEIR_LOAD_FLOOD || load == WEIR_LOAD_STREAM;
}

void cell_place(struct cell *cell)
{
    unsigned cores = weir_cores();
    for (unsigned i = 0; i < cell->workers; i++)
        cell->cores[i] = weir_core(i % cores);
    cell->generator_core = weir_core(cores - 1);
}

bool cell_crowded(const struct cell *cell)
{
    return cell->workers + 1 > weir_cores();
}

bool is_naive(const char *backend)
{
    return strcmp(backend, "naive") == 0;
}

bool cell_alone(const struct cell *cell)
{
    return cell->net == NET_MEMORY || !frames_plain(&cell->choice);
}

int plan_refuse(const char *format, ...)
{
    va_list args;
    fputs("weir bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return -EINVAL;
}

static void choose_loads(struct bench *bench)
{
    struct option_list *list = &bench->opt.loads;
    if (list->count)
        return;
    for (unsigned i = 0; i < WEIR_LOADS; i++)
        if (bench->opt.full || load_plans[i].by_default)
            list->value[list->count++] = i;
}

/* ---- cells
 * ----------------------------------------------------------------------------------------- */

static void fill_cell(struct bench *bench, const struct weir_backend_info *info,
                      enum weir_load load, uint32_t bytes, uint32_t connections)
{
    const struct bench_opt *opt = &bench->opt;
    struct cell *cell = &bench->cells[bench->cell_count++];
    *cell = (struct cell){.backend = info->name,
                          .load = load,
                          .bytes = bytes,
                          .workers = is_sim(info->name) ? 1 : opt->workers,
                          .connections = connections,
                          .time_ns = opt->time_ns,
                          .rate = opt->rate,
                          .port = opt->port,
                          .net = is_sim(info->name) ? NET_MEMORY : opt->net,
                          .no_coalesce = opt->no_coalesce,
                          .live = opt->live,
                          .frames = info->frames,
                          .choice = opt->frames};
    cell_place(cell);
}

static int add_cell(struct bench *bench, enum weir_load load, uint32_t bytes, uint32_t connections)
{
    const struct option_list *list = &bench->opt.backends;
    for (unsigned b = 0; b < list->count; b++) {
        const struct weir_backend_info *info = &bench->backends[list->value[b]];
        if (bench->cell_count == CELLS_MAX)
            return plan_refuse("more than %d cells: ask for fewer sizes or loads", CELLS_MAX);
        const char *why = backends_absent(bench, info, load);
        if (why)
            backends_leave_out(bench, info->name, load, why);
        else
            fill_cell(bench, info, load, bytes, connections);
    }
    return 0;
}

static int add_connections(struct bench *bench, enum weir_load load, uint32_t bytes)
{
    const uint32_t *connections = load_plans[load].connections;
    int rc = 0;
    do
        rc = add_cell(bench, load, bytes, *connections++);
    while (rc == 0 && *connections);
    return rc;
}

static int check_size(enum weir_load load, uint64_t bytes)
{
    if (load == WEIR_LOAD_ECHO && bytes < ECHO_BYTES_MIN)
        return plan_refuse("echo needs at least %d bytes for a number and a time (-s)",
                           ECHO_BYTES_MIN);
    return 0;
}

static int add_load(struct bench *bench, enum weir_load load)
{
    const struct bench_opt *opt = &bench->opt;
    const uint32_t *size = opt->full ? load_plans[load].full_sizes : sizes_one;
    int rc = 0;
    for (unsigned i = 0; i < opt->sizes.count && rc == 0; i++) {
        rc = check_size(load, opt->sizes.value[i]);
        rc = rc ? rc : add_connections(bench, load, (uint32_t)opt->sizes.value[i]);
    }
    for (; opt->sizes.count == 0 && *size && rc == 0; size++)
        rc = add_connections(bench, load, *size);
    return rc;
}

/* ---- what the host must allow
 * ---------------------------------------------------------------------- */

static int check_port(const struct bench_opt *opt)
{
    const char *what;
    if (opt->port == 0 || opt->net != NET_LOOPBACK)
        return 0;
    int rc = port_check(opt->port, &what);
    return rc ? plan_refuse("port %u (%s): %s", opt->port, what, strerror(-rc)) : 0;
}

/* What was asked for by name leaves nothing: told as the refusal that it is. */
static int check_cells(const struct bench *bench)
{
    const struct absent *a = &bench->absent[0];
    if (bench->cell_count)
        return 0;
    return plan_refuse("%s cannot be measured with %s: %s", a->backend, weir_load_name(a->load),
                       a->why);
}

/* ---- time
 * ------------------------------------------------------------------------------------------ */

#define TIME_NS UINT64_C(500000000)
#define TIME_LEAST_NS UINT64_C(200000000)
/* 10,000 round trips at the set rate, and some: what the 99.9th percentile needs. */
#define TIME_ECHO_NS UINT64_C(420000000)
#define TIME_MEMORY_NS UINT64_C(100000000) /* millions of packets: nothing there waits */
#define ALL_NS UINT64_C(47000000000)       /* for all first tries: some are run again */
/* A run without its windows, as measured on a virtual machine of two cores: server, lab, canary,
 * quiet; and what DPDK's environment takes to start. */
#define AROUND_NS UINT64_C(160000000)
#define AROUND_DPDK_NS UINT64_C(600000000)

static uint64_t echo_ns(const struct cell *cell, uint64_t ns)
{
    return cell->load == WEIR_LOAD_ECHO && ns < TIME_ECHO_NS ? TIME_ECHO_NS : ns;
}

/* How long all runs take, once, with windows of `ns`. An echo has two: its rate, and a ladder. */
static uint64_t all_take(const struct bench *bench, uint64_t ns)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < bench->cell_count; i++) {
        const struct cell *cell = &bench->cells[i];
        if (cell->net == NET_MEMORY)
            sum += TIME_MEMORY_NS;
        else
            sum += (is_dpdk(cell->backend) ? AROUND_DPDK_NS : AROUND_NS) +
                   (cell->load == WEIR_LOAD_ECHO ? 2 * echo_ns(cell, ns) : ns);
    }
    return sum * bench->opt.rounds;
}

/* Without -t: half a second a cell, and less where many are measured, so that all of it takes a
 * minute. --full takes the time that it needs. */
static void choose_time(struct bench *bench)
{
    struct bench_opt *opt = &bench->opt;
    if (opt->time_ns)
        return;
    opt->time_ns = TIME_NS;
    while (!opt->full && opt->time_ns > TIME_LEAST_NS && all_take(bench, opt->time_ns) > ALL_NS)
        opt->time_ns -= 10000000;
    for (unsigned i = 0; i < bench->cell_count; i++) {
        struct cell *cell = &bench->cells[i];
        cell->time_ns = cell->net == NET_MEMORY ? TIME_MEMORY_NS : echo_ns(cell, opt->time_ns);
    }
}

int plan_cells(struct bench *bench)
{
    choose_loads(bench);
    int rc = backends_choose(bench);
    rc = rc ? rc : check_port(&bench->opt);
    bench->cell_count = 0;
    for (unsigned i = 0; i < bench->opt.loads.count && rc == 0; i++)
        rc = add_load(bench, (enum weir_load)bench->opt.loads.value[i]);
    rc = rc ? rc : check_cells(bench);
    if (rc == 0)
        choose_time(bench);
    return rc;
}
