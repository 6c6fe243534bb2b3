/* SPDX-License-Identifier: MIT
 * The options of `weir bench`.
 *
 * In the flow   argv -> options.h's parser -> struct bench_opt -> plan.c.
 * Invariants    names of backends and loads come from the library's own tables, so that a new one
 *               needs no word here. */
#include "bench/plan.h"

static const char *const net_names[] = {"auto", "loopback", "lab", NULL}; /* enum bench_net */
const char *const format_names[] = {"table", "json", "csv", NULL};

static const char *backend_names[BACKENDS_MAX + 1];
static const char *load_names[WEIR_LOADS + 1];

#define O struct bench_opt

static const struct option_row rows[] = {
    OPT_LIST(O, backends, 'b', "backends", backend_names, NULL,
             "backends to measure; without it, all that this host offers"),
    OPT_LIST(O, loads, 'l', "loads", load_names, NULL,
             "loads to measure; without it flood, stream, echo and tcp"),
    OPT_UINT(O, workers, 'w', "workers", "N", "1", 1, WORKERS_MAX,
             "worker threads, each on a core of its own"),
    OPT_DURATION(O, time_ns, 't', "time", NULL, 50000000, UINT64_C(3600000000000),
                 "how long to measure a cell in each round; without it 0.5, and less where many "
                 "are measured"),
    OPT_UINT(O, port, 'p', "port", "PORT", NULL, 1, 65535,
             "port to serve at; without it a free one"),
    OPT_NUMBERS(O, sizes, 's', "bytes", "BYTES", NULL, 1, 65507,
                "payload of a datagram or request; without it 64"),
    OPT_RATE(O, rate, 'r', "rate", NULL, 1, 1000000000,
             "offered load; without it each load's own choice (see weir-bench(1))"),
    OPT_ENUM(O, net, 'n', "net", net_names, "auto",
             "lab is a private veth pair, made by root; loopback needs no privilege; auto takes "
             "the lab where it can be had"),
    OPT_STRING(O, frames.iface, 0, "iface", "NAME", NULL,
               "interface for xdp and dpdk; bench has no generator behind one and says what to do"),
    OPT_UINT(O, frames.queue, 0, "queue", "N", "0", 0, 65535,
             "receive queue for xdp and dpdk: a lab of N + 1 queues, whose frames arrive at that "
             "one"),
    OPT_STRING(O, frames.vdev, 0, "vdev", "DEVICE", NULL,
               "virtual device for dpdk, as EAL takes it; %i is the lab's interface, which it "
               "needs, "
               "and %q the queue; without it net_af_xdp"),
    OPT_IMPAIR(O, frames.impair, 0, "impair", NULL,
               "impair what the server receives and sends, and mark the rows"),
    OPT_STRING(O, frames.pcap, 0, "pcap", "FILE", NULL,
               "capture what the server of one cell receives and sends, as pcapng"),
    OPT_ENUM(O, format, 'f', "format", format_names, "table", "how to report"),
    OPT_STRING(O, output, 'o', "output", "FILE", NULL,
               "where to report; without it standard output"),
    OPT_UINT(O, rounds, 0, "rounds", "N", "3", 1, ROUNDS_MAX,
             "rounds; a row is the median of them"),
    OPT_FLAG(O, full, 0, "full", "all loads and sizes"),
    OPT_FLAG(O, no_coalesce, 0, "no-coalesce",
             "workers look at every poll and never let dense datagrams gather"),
    OPT_FLAG(O, live, 0, "live",
             "a line a second and worker on stderr: packets, drops, cycles, fill of pool and "
             "rings"),
    OPT_FLAG(O, list, 0, "list", "tell which backends this host has, why not, and what to do"),
    OPT_FLAG(O, claims, 0, "claims",
             "what is commonly claimed, beside what this host measured in this run"),
};

static const char *const examples[] = {
    "weir bench",
    "weir bench -b naive,epoll -l echo -t 2 --rounds 5",
    "weir bench -l flood -r 200k -f json -o flood.json",
    "weir bench -b xdp,dpdk -l echo",
    "weir bench -b sim",
    "weir bench --list",
    NULL,
};

static const struct option_table table = {
    .command = "bench",
    .summary = "Measure what each I/O path of this host costs.",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
    .examples = examples,
};

/* Names of static storage in the library; the descriptions go. */
static void fill_names(void)
{
    struct weir_backend_info info;
    for (unsigned i = 0; i < BACKENDS_MAX && weir_backend_info(i, &info) == 0; i++)
        backend_names[i] = info.name;
    for (unsigned i = 0; i < WEIR_LOADS; i++)
        load_names[i] = weir_load_name((enum weir_load)i);
}

const char *net_name(unsigned net)
{
    return net == NET_MEMORY ? "memory" : net_names[net];
}

int plan_options(int argc, char **argv, struct bench_opt *ret)
{
    fill_names();
    return options_parse(&table, argc, argv, ret);
}
