/* SPDX-License-Identifier: MIT
 * `weir echo`: serve echoes over UDP and TCP on one port, for other tools (sockperf, iperf,
 * netcat) to measure.
 *
 * In the flow   main.c -> cmd_echo: a crew whose every worker opens both endpoints; reply.c's
 *               handlers. A backend without streams serves UDP alone, and says so.
 * Invariants    nothing is printed on stdout while it serves; SIGINT and SIGTERM end it cleanly, with what
 *               it counted, and so does a worker that ends by itself (its device is gone): exit code 1.
 *               What a person should know meanwhile stands on stderr: links, stalled workers. */
#include "cmd.h"
#include "frames.h"
#include "live.h"
#include "options.h"
#include "reply.h"
#include "watch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 16384u /* connections of one worker */
#define WORKERS_MAX 64
#define PORT_TRIES 16 /* somebody else may have one for UDP */

struct echo_opt {
    uint32_t backend, workers;
    uint16_t port;
    bool spin, no_coalesce, live;
    struct frames_choice frames;
};

static const char *backend_names[17]; /* "best", then those of the library */

#define O struct echo_opt

static const struct option_row rows[] = {
    OPT_ENUM(O, backend, 'b', "backend", backend_names, "best", "I/O path to serve through"),
    OPT_STRING(O, frames.iface, 0, "iface", "NAME", NULL,
               "xdp: the interface to serve through; dpdk: a port's name or PCI address"),
    OPT_UINT(O, frames.queue, 0, "queue", "N", "0", 0, 65535,
             "first receive queue of that device; each worker has one"),
    OPT_STRING(O, frames.vdev, 0, "vdev", "DEVICE", NULL,
               "dpdk: a virtual device, as EAL takes it"),
    OPT_STRING(O, frames.eal, 0, "eal", "WORDS", NULL,
               "dpdk: further arguments of its environment (EAL), words between blanks"),
    OPT_FLAG(O, frames.promiscuous, 0, "promiscuous",
             "xdp and dpdk: take frames to any Ethernet address"),
    OPT_NETS(O, frames.address, 0, "address", NULL,
             "addresses of our own over frames; without any, xdp shares the interface's with the "
             "kernel"),
    OPT_IMPAIR(O, frames.impair, 0, "impair", NULL, "impair datagrams or frames, both ways"),
    OPT_STRING(O, frames.pcap, 0, "pcap", "FILE", NULL, "capture datagrams or frames, as pcapng"),
    OPT_UINT(O, port, 'p', "port", "PORT", "7000", 0, 65535,
             "UDP and TCP port; 0 takes a free one"),
    OPT_UINT(O, workers, 'w', "workers", "N", "1", 1, WORKERS_MAX,
             "worker threads, each pinned to a core"),
    OPT_FLAG(O, spin, 0, "spin",
             "poll without ever sleeping: lowest latency, a whole core a worker"),
    OPT_FLAG(O, no_coalesce, 0, "no-coalesce",
             "never let dense datagrams gather; an engine that listens for TCP, as here, does not"),
    OPT_FLAG(O, live, 0, "live",
             "a line a second and worker on stderr: packets, drops, cycles, fill of pool and "
             "rings"),
};

static const char *const examples[] = {
    "weir echo",
    "weir echo -b uring -p 9000 --spin",
    "weir echo -b xdp --iface eth1",
    "weir echo -b dpdk --vdev net_af_packet0,iface=eth1 --address 192.0.2.7/24",
    NULL,
};

static const struct option_table table = {
    .command = "echo",
    .summary = "Serve echoes over UDP and TCP until interrupted.",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
    .examples = examples,
};

struct echo {
    struct echo_opt opt;
    struct weir_addr addr;
    struct weir_backend_info info; /* of the backend that was named; of "best": sockets */
    struct weir_crew *crew;
    struct watch *watch;
    struct reply reply[WORKERS_MAX];
};

static void fill_names(void)
{
    struct weir_backend_info info;
    backend_names[0] = "best";
    for (unsigned i = 0; i < 15 && weir_backend_info(i, &info) == 0; i++)
        backend_names[i + 1] = info.name;
}

static int explain(struct weir_why *why, const char *what, int rc, const struct weir_addr *addr)
{
    char text[WEIR_ADDR_TEXT];
    *why = (struct weir_why){.code = rc};
    snprintf(why->where, sizeof why->where, "%s", what);
    snprintf(why->what, sizeof why->what, "%s: %s", weir_addr_text(addr, text), strerror(-rc));
    return rc;
}

static int open_both(struct echo *e, struct weir_engine *engine, struct reply *r,
                     struct weir_why *why)
{
    weir_ep udp, tcp;
    int rc = reply_open(r, 0, STREAMS_MAX);
    if (rc)
        return explain(why, "memory", rc, &e->addr);
    rc = weir_udp_open(engine, &e->addr, reply_udp, r, &udp);
    if (rc)
        return explain(why, "UDP", rc, &e->addr);
    if (!e->info.streams)
        return 0;
    rc = weir_tcp_listen(engine, &e->addr, reply_tcp, &r->listener, &tcp);
    return rc ? explain(why, "TCP", rc, &e->addr) : 0;
}

static int start(struct weir_engine *engine, unsigned worker, void *app, struct weir_why *why)
{
    struct echo *e = app;
    watch_engine(e->watch, worker, engine);
    int rc = open_both(e, engine, &e->reply[worker], why);
    if (rc)
        reply_close(&e->reply[worker]); /* `stop` is not called for a start that failed */
    return rc;
}

static void stop(struct weir_engine *engine, unsigned worker, void *app)
{
    struct echo *e = app;
    (void)engine;
    watch_device(e->watch, worker);
    reply_close(&e->reply[worker]);
}

static void print_start(const struct echo *e)
{
    char text[WEIR_ADDR_TEXT], udp_only[64];
    const char *backend = weir_engine_backend(weir_crew_engine(e->crew, 0));
    snprintf(udp_only, sizeof udp_only, "UDP only (%s has no TCP)", backend);
    printf("echo on %s, %s, through %s, %u worker%s%s%s\n", weir_addr_text(&e->addr, text),
           e->info.streams ? "UDP and TCP" : udp_only, backend, e->opt.workers,
           e->opt.workers == 1 ? "" : "s", e->opt.spin ? ", spinning" : "",
           frames_plain(&e->opt.frames)             ? ""
           : weir_impair_any(&e->opt.frames.impair) ? ", impaired"
                                                    : ", captured");
    fflush(stdout);
}

static void print_end(const struct echo *e)
{
    uint64_t packets = 0, bytes = 0, streams = 0, errors = 0;
    for (unsigned i = 0; i < e->opt.workers; i++) {
        packets += reply_get(&e->reply[i].packets);
        bytes += reply_get(&e->reply[i].bytes);
        streams += reply_get(&e->reply[i].streams);
        errors += reply_get(&e->reply[i].errors);
    }
    printf("echoed %llu datagrams, %llu streams, %llu bytes; %llu errors\n",
           (unsigned long long)packets, (unsigned long long)streams, (unsigned long long)bytes,
           (unsigned long long)errors);
}

static void print_devices(const struct echo *e)
{
    char text[WATCH_STATS_BYTES];
    for (unsigned i = 0; i < e->opt.workers; i++) {
        watch_device_text(e->watch, i, text, sizeof text);
        if (text[0])
            printf("device of worker %u: %s\n", i, text);
    }
}

/* Blocked in every thread, the workers included, and fetched with sigtimedwait. */
static void block(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* A port of TCP's choice, if UDP has it free as well; closing the engine gives both back. */
static int try_port(uint16_t *ret, struct weir_why *why)
{
    struct weir_addr any = {.port = 0};
    struct weir_engine_opt opt = {.backend = "epoll"};
    struct weir_engine *engine = weir_engine_open(&opt, why);
    weir_ep tcp, udp;
    int rc = engine ? weir_tcp_listen(engine, &any, reply_tcp, NULL, &tcp) : -EIO;
    rc = rc ? rc : weir_ep_local(engine, tcp, &any);
    rc = rc ? rc : weir_udp_open(engine, &any, reply_udp, NULL, &udp);
    *ret = any.port;
    if (engine)
        weir_engine_close(engine);
    return rc;
}

/* 0 is a free port: chosen here, so that every worker opens the same. */
static int free_port(uint16_t *ret, struct weir_why *why)
{
    int rc = -EADDRINUSE;
    for (unsigned i = 0; i < PORT_TRIES && rc == -EADDRINUSE; i++)
        rc = try_port(ret, why);
    return rc;
}

static int usage(const struct weir_why *why)
{
    char text[512];
    weir_why_text(why, text, sizeof text);
    fprintf(stderr, "weir echo: %s\n", text);
    return EXIT_USAGE;
}

/* Until a signal, or until a worker is over. --live tells of stalls itself. */
static bool wait_for_end(struct echo *e, const sigset_t *set)
{
    const struct timespec look = {.tv_nsec = WATCH_LOOK_NS};
    bool sound = true;
    while (sound && sigtimedwait(set, NULL, &look) < 0)
        sound = watch_look(e->watch, e->crew, !e->opt.live);
    return sound;
}

static int serve(struct echo *e)
{
    sigset_t set;
    struct live *live = NULL;
    block(&set);
    print_start(e);
    if (e->opt.live)
        live = live_start(e->crew, weir_engine_backend(weir_crew_engine(e->crew, 0)), e->watch);
    bool sound = wait_for_end(e, &set);
    live_stop(live);
    int rc = weir_crew_stop(e->crew);
    print_end(e);
    print_devices(e);
    if (rc)
        fprintf(stderr, "weir echo: a worker failed: %s\n", strerror(-rc));
    return rc || !sound ? 1 : 0;
}

/* What is known of the backend before it opens; "best" is always one of sockets. */
static bool refused(struct echo *e)
{
    char text[FRAMES_REFUSAL_BYTES];
    e->info = (struct weir_backend_info){.name = backend_names[e->opt.backend], .streams = 1};
    if (e->opt.backend)
        weir_backend_info(e->opt.backend - 1, &e->info);
    if (e->opt.backend && !e->info.available) {
        usage(&e->info.why);
        return true;
    }
    if (!frames_refused(&e->opt.frames, &e->info, text))
        return false;
    fprintf(stderr, "weir echo: %s\n", text);
    return true;
}

static struct weir_crew *start_crew(struct echo *e, struct weir_why *why)
{
    struct weir_crew_opt opt = {
        .engine = {.backend = e->opt.backend ? e->info.name : NULL,
                   .handler = watch_events,
                   .app = e->watch,
                   .endpoints_max = e->info.streams ? STREAMS_MAX : 0,
                   .spin = e->opt.spin,
                   .busy_poll = e->opt.spin,
                   .no_coalesce = e->opt.no_coalesce},
        .workers = e->opt.workers,
        .stall_ns = e->opt.live ? 0 : WATCH_LOOK_NS, /* shorter ones end before the next look */
        .start = start,
        .stop = stop,
        .app = e,
    };
    frames_engine(&e->opt.frames, e->info.frames, &opt.engine);
    return weir_crew_start(&opt, why);
}

static int run(struct echo *e)
{
    struct weir_why why = {0};
    sigset_t set;
    if (refused(e))
        return EXIT_USAGE;
    block(&set);
    if (e->opt.port == 0 && free_port(&e->opt.port, &why))
        return usage(&why);
    e->addr = (struct weir_addr){.port = e->opt.port}; /* the wildcard, which serves IPv4 as well */
    e->crew = start_crew(e, &why);
    return e->crew ? serve(e) : usage(&why);
}

int cmd_echo(int argc, char **argv)
{
    struct echo *e = aligned_alloc(64, sizeof *e);
    if (!e) {
        fprintf(stderr, "weir echo: no memory\n");
        return 1;
    }
    memset(e, 0, sizeof *e);
    fill_names();
    int first = options_parse(&table, argc, argv, &e->opt);
    int code = first < 0 ? options_exit(first) : 1;
    if (first >= 0) {
        e->watch = watch_open("weir echo");
        if (e->watch)
            code = run(e);
        else
            fprintf(stderr, "weir echo: no memory\n");
    }
    watch_close(e->watch);
    free(e);
    return code;
}
