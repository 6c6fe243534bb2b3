/* SPDX-License-Identifier: MIT
 * From the command line to the cells that are to be measured.
 *
 * In the flow   plan_options -> plan_cells -> rounds.c.
 * Invariants    every refusal is one line on stderr, before anything runs; a backend that was
 *               asked for by name and is not there is a refusal, one that was not asked for is
 *               left out. */
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

__attribute__((format(printf, 1, 2))) static int refuse(const char *format, ...)
{
    va_list args;
    fputs("weir bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return -EINVAL;
}

static int refuse_why(const char *what, const struct weir_why *why)
{
    char text[512];
    weir_why_text(why, text, sizeof text);
    return refuse("%s %s", what, text);
}

/* ---- backends
 * -------------------------------------------------------------------------------------- */

static int backend_usable(const struct bench *bench, const struct weir_backend_info *info)
{
    if (!info->available)
        return refuse_why("this host cannot run", &info->why);
    if (info->frames && bench->opt.net != NET_LAB)
        return refuse("%s speaks frames and needs a network of its own: add -n lab", info->name);
    return 0;
}

/* The sockets that are there, the yardstick first. */
static void default_backends(struct option_list *list)
{
    struct weir_backend_info info;
    for (unsigned naive = 0; naive < 2; naive++)
        for (unsigned i = 0; i < BACKENDS_MAX && weir_backend_info(i, &info) == 0; i++)
            if (info.available && !info.frames && is_naive(info.name) != naive)
                list->value[list->count++] = i;
}

/* Asked by name: each must be there. */
static int choose_backends(struct bench *bench)
{
    struct option_list *list = &bench->opt.backends;
    struct weir_backend_info info;
    bool asked = list->count > 0;
    if (!asked)
        default_backends(list);
    for (unsigned i = 0; i < list->count; i++) {
        int rc = weir_backend_info((unsigned)list->value[i], &info);
        rc = rc ? refuse("no such backend") : backend_usable(bench, &info);
        if (rc)
            return rc;
    }
    return list->count ? 0 : refuse("no backend is available; see weir bench --list");
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

static int add_cell(struct bench *bench, enum weir_load load, uint32_t bytes, uint32_t connections)
{
    const struct bench_opt *opt = &bench->opt;
    for (unsigned b = 0; b < opt->backends.count; b++) {
        struct weir_backend_info info;
        if (bench->cell_count == CELLS_MAX)
            return refuse("more than %d cells: ask for fewer sizes or loads", CELLS_MAX);
        weir_backend_info((unsigned)opt->backends.value[b], &info);
        struct cell *cell = &bench->cells[bench->cell_count++];
        *cell = (struct cell){.backend = info.name,
                              .load = load,
                              .bytes = bytes,
                              .workers = opt->workers,
                              .connections = connections,
                              .time_ns = opt->time_ns,
                              .rate = opt->rate,
                              .port = opt->port,
                              .net = opt->net,
                              .no_coalesce = opt->no_coalesce};
        cell_place(cell);
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
        return refuse("echo needs at least %d bytes for a number and a time (-s)", ECHO_BYTES_MIN);
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
    if (opt->port == 0 || opt->net == NET_LAB)
        return 0;
    int rc = port_check(opt->port, &what);
    return rc ? refuse("port %u (%s): %s", opt->port, what, strerror(-rc)) : 0;
}

/* A lab that cannot be had is told now, not once a cell. */
static int check_lab(const struct bench_opt *opt)
{
    const struct weir_lab_opt lab_opt = {.server_core = -1};
    struct weir_lab *lab = NULL;
    struct weir_why why = {0};
    if (opt->net != NET_LAB)
        return 0;
    if (weir_lab_open(&lab, &lab_opt, &why) != 0)
        return refuse_why("-n lab:", &why);
    weir_lab_close(lab);
    return 0;
}

int plan_cells(struct bench *bench)
{
    int rc = choose_backends(bench);
    rc = rc ? rc : check_port(&bench->opt);
    rc = rc ? rc : check_lab(&bench->opt);
    choose_loads(bench);
    bench->cell_count = 0;
    for (unsigned i = 0; i < bench->opt.loads.count && rc == 0; i++)
        rc = add_load(bench, (enum weir_load)bench->opt.loads.value[i]);
    return rc;
}
