/* SPDX-License-Identifier: MIT
 * The bed of one run: a network (loopback or a lab of its own), a server in it, load runs against
 * it.
 *
 * In the flow   measure.c -> bed_open, bed_run (once, or once a rung), bed_close.
 * Invariants    a load run begins and ends when everything is quiet, so that totals reconcile; the
 *               window's counters are read on the generator's thread, at the marks. */
#include "bench/bed.h"
#include "bench/port.h"

#include <errno.h>
#include <string.h>

#define HIGHEST_NS UINT64_C(10000000000) /* a latency above 10 s is a lost packet by any measure */
#define SETTLE_NS UINT64_C(1000000000)   /* 16 MiB of the smallest packets are read in far less */

static int open_network(struct bed *b, struct weir_why *why)
{
    const struct weir_lab_opt opt = {.server_core = b->cell->cores[0]};
    if (b->cell->net != NET_LAB)
        return 0;
    int rc = weir_lab_open(&b->lab, &opt, why);
    return rc ? rc : weir_lab_enter(b->lab, WEIR_LAB_SERVER, why);
}

static int open_histograms(struct bed *b, struct weir_why *why)
{
    b->latency = weir_histogram_open(HIGHEST_NS);
    b->setup = weir_histogram_open(HIGHEST_NS);
    b->teardown = weir_histogram_open(HIGHEST_NS);
    if (b->latency && b->setup && b->teardown)
        return 0;
    *why = (struct weir_why){.code = -ENOMEM, .where = "bench", .what = "no memory for histograms"};
    return -ENOMEM;
}

static void add_drops(struct weir_net_drops *sum, const struct weir_net_drops *one)
{
#define X(name, text) sum->name += one->name;
    WEIR_NET_DROPS(X)
#undef X
}

/* Both ends of a lab together; on loopback there is one end. */
static bool net_drops(const struct bed *b, struct weir_net_drops *ret)
{
    struct weir_net_drops client;
    if (!b->lab)
        return weir_net_drops("lo", ret, NULL) == 0;
    if (weir_lab_drops(b->lab, WEIR_LAB_SERVER, ret, NULL) != 0 ||
        weir_lab_drops(b->lab, WEIR_LAB_CLIENT, &client, NULL) != 0)
        return false;
    client.softnet_dropped = 0; /* one file for all namespaces: not twice */
    add_drops(ret, &client);
    return true;
}

static int open_server(struct bed *b, struct weir_why *why)
{
    uint16_t port = b->cell->port ? b->cell->port : port_free();
    b->target =
        b->lab ? weir_lab_addr(b->lab, WEIR_LAB_SERVER, port) : weir_addr_ip4(127, 0, 0, 1, port);
    b->server = server_start(b->cell, &b->target, why);
    if (!b->server)
        return why->code ? why->code : -EIO;
    server_settle(b->server, SETTLE_NS, &b->rest);
    b->net_known = net_drops(b, &b->net);
    return 0;
}

int bed_open(struct bed *b, const struct cell *cell, struct weir_why *why)
{
    *b = (struct bed){.cell = cell};
    int rc = open_histograms(b, why);
    rc = rc ? rc : open_network(b, why);
    return rc ? rc : open_server(b, why);
}

void bed_close(struct bed *b)
{
    if (b->server)
        server_stop(b->server);
    weir_lab_close(b->lab);
    weir_histogram_close(b->latency);
    weir_histogram_close(b->setup);
    weir_histogram_close(b->teardown);
}

struct marking {
    struct bed *bed;
    struct span *span;
};

static void on_mark(enum weir_load_mark mark, uint64_t now_ns, void *arg)
{
    struct marking *m = arg;
    (void)now_ns;
    if (mark == WEIR_MARK_START)
        server_mark(m->bed->server, &m->span->start);
    else if (mark == WEIR_MARK_END)
        server_mark(m->bed->server, &m->span->end);
    m->span->marks |= (uint8_t)(1u << mark);
}

/* A tenth of the run, but enough to fault everything in and not so much that it costs. */
static uint64_t warmup_ns(uint64_t ns)
{
    uint64_t tenth = ns / 10;
    return tenth < 5000000 ? 5000000 : tenth > 200000000 ? 200000000 : tenth;
}

static void settle(struct bed *b, struct span *span)
{
    struct weir_net_drops net = b->net;
    span->before = b->rest;
    server_settle(b->server, SETTLE_NS, &b->rest);
    span->after = b->rest;
    span->net_known = net_drops(b, &b->net) && b->net_known;
    if (span->net_known)
        weir_net_drops_since(&b->net, &net, &span->net);
}

int bed_run(struct bed *b, const struct bed_run *run, struct span *ret, struct weir_why *why)
{
    struct marking marking = {.bed = b, .span = ret};
    struct weir_load_opt opt = {
        .load = b->cell->load,
        .target = b->target,
        .bytes = b->cell->bytes,
        .rate = run->rate,
        .duration_ns = run->ns,
        .warmup_ns = warmup_ns(run->ns),
        .drain_ns = run->drain_ns,
        .connections = b->cell->connections,
        .core = b->cell->generator_core,
        .lab = b->lab,
        .live_frames = b->lab && b->cell->load == WEIR_LOAD_FLOOD && run->rate == 0,
        .mark = on_mark,
        .mark_arg = &marking,
    };
    if (run->record) {
        opt.latency = b->latency;
        opt.setup = b->setup;
        opt.teardown = b->teardown;
    }
    memset(ret, 0, sizeof *ret);
    int rc = weir_load_run(&opt, &ret->load, why);
    if (rc == 0)
        settle(b, ret);
    return rc;
}
