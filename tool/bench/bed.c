/* SPDX-License-Identifier: MIT
 * The bed of one run: a network (loopback or a lab of its own), a server in it, load runs against
 * it.
 *
 * In the flow   measure.c -> bed_open, bed_run (once, or once a rung), bed_close.
 * Invariants    a load run begins and ends when everything is quiet, so that totals reconcile; the
 *               window's counters are read on the generator's thread, at the marks. */
#include "bench/bed.h"
#include "bench/port.h"
#include "live.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HIGHEST_NS UINT64_C(10000000000) /* a latency above 10 s is a lost packet by any measure */
#define GREETINGS 5u        /* the first reply may be dropped while its neighbour is asked for */
#define GREET_US 50000      /* for each */
#define BYTES_MAX 1472      /* of a datagram in one frame */
#define DRAIN_NS 200000000u /* the load's own choice: lab.h */
#define SETTLE_NS UINT64_C(1000000000) /* 16 MiB of the smallest packets are read in far less */

/* Sockets' answers leave by any queue, and the generator sees one: they have a lab of one. */
static uint16_t bed_queue(const struct cell *cell)
{
    return cell->frames ? cell->choice.queue : 0;
}

/* A packet socket's frames leave by a queue of the core that sends. */
static int check_queue(const struct cell *cell, struct weir_why *why)
{
    if (!bed_queue(cell) || !cell->no_af_xdp || cell->load != WEIR_LOAD_ECHO)
        return 0;
    *why = (struct weir_why){.code = -EOPNOTSUPP,
                             .where = "queue",
                             .what = "net_af_packet answers by any queue, and one is looked at",
                             .fix = "leave out --queue"};
    return -EOPNOTSUPP;
}

/* Round trips are received in the softirq that follows each send, for all backends alike: waking a
 * NAPI thread on another core would be most of what is measured; method.md, "Loads". */
static int open_network(struct bed *b, struct weir_why *why)
{
    const struct weir_lab_opt opt = {.server_core = b->cell->cores[0],
                                     .queues = bed_queue(b->cell) + 1u,
                                     .no_threaded_napi = b->cell->load == WEIR_LOAD_ECHO};
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

/* `text` with each %i replaced by the interface, and each %q by the queue. */
static void expand(const char *text, const char *ifname, uint16_t queue, char *ret, size_t bytes)
{
    char number[8];
    size_t used = 0;
    snprintf(number, sizeof number, "%u", queue);
    for (; *text && used + 1 < bytes; text++) {
        const char *put = text[0] != '%'   ? NULL
                          : text[1] == 'i' ? ifname
                          : text[1] == 'q' ? number
                                           : NULL;
        used += (size_t)snprintf(ret + used, bytes - used, "%.*s", put ? (int)strlen(put) : 1,
                                 put ? put : text);
        text += put != NULL;
    }
    ret[used < bytes ? used : bytes - 1] = 0;
}

/* One queue, which the workers share. net_af_packet: frames of 2,048 bytes hold an MTU of 1,500;
 * 4,096 of them are 8 MiB. */
static const char *default_vdev(const struct cell *cell)
{
    return cell->no_af_xdp ? "net_af_packet0,iface=%i,blocksz=65536,framesz=2048,framecnt=4096,"
                             "qdisc_bypass=1"
                           : "net_af_xdp0,iface=%i,start_queue=%q";
}

/* xdp shares the interface's address with the kernel; dpdk takes the device, so it brings the
 * address, and its MAC is the one that the generator sends to. */
static void lab_device(struct bed *b, struct weir_engine_opt *opt)
{
    const struct cell *cell = b->cell;
    const char *ifname = weir_lab_ifname(b->lab, WEIR_LAB_SERVER);
    if (!is_dpdk(cell->backend)) {
        opt->frames.device = ifname;
        return;
    }
    expand(cell->choice.vdev ? cell->choice.vdev : default_vdev(cell), ifname, cell->choice.queue,
           b->vdev, sizeof b->vdev);
    opt->frames.vdev = b->vdev;
    opt->frames.queue = 0; /* of the virtual device, which has one: the lab's queue N */
    opt->frames.addresses = 1;
    memcpy(opt->frames.address[0].ip, b->target.ip, sizeof b->target.ip);
    opt->frames.address[0].prefix = 96 + 24; /* IPv4 mapped: the lab's /24 */
}

/* One exchange from the client's side. No checksum: a veth would leave it to an offload that
 * nobody does. */
static void *greet(void *arg)
{
    struct bed *b = arg;
    const struct timeval wait = {.tv_usec = GREET_US};
    char payload[BYTES_MAX] = {0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(b->target.port)};
    int on = 1, fd = -1;
    memcpy(&to.sin_addr, b->target.ip + 12, 4);
    if (weir_lab_enter(b->lab, WEIR_LAB_CLIENT, NULL) == 0)
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    for (unsigned i = 0; i < GREETINGS; i++) {
        sendto(fd, payload, b->cell->bytes, 0, (struct sockaddr *)&to, sizeof to);
        if (recv(fd, payload, sizeof payload, 0) >= 0)
            break;
    }
    close(fd);
    return NULL;
}

/* The lab's neighbours are static, but those of our own stack are not: who owns its address and
 * answers asks for the generator's once, before anything is measured, as a kernel that knows it
 * need not. */
static void meet(struct bed *b)
{
    pthread_t thread;
    bool asks = b->lab && is_dpdk(b->cell->backend) && b->cell->load == WEIR_LOAD_ECHO;
    if (asks && b->cell->bytes <= BYTES_MAX && pthread_create(&thread, NULL, greet, b) == 0)
        pthread_join(thread, NULL);
}

static int open_server(struct bed *b, struct weir_why *why)
{
    struct weir_engine_opt opt = {0};
    uint16_t port = b->cell->port ? b->cell->port : port_free();
    b->target =
        b->lab ? weir_lab_addr(b->lab, WEIR_LAB_SERVER, port) : weir_addr_ip4(127, 0, 0, 1, port);
    frames_engine(&b->cell->choice, b->cell->frames, &opt);
    if (b->lab && b->cell->frames)
        lab_device(b, &opt);
    b->server = server_start(b->cell, &b->target, &opt, why);
    if (!b->server)
        return why->code ? why->code : -EIO;
    meet(b);
    if (b->cell->live)
        b->live = live_start(server_crew(b->server), b->cell->backend, NULL);
    server_settle(b->server, SETTLE_NS, &b->rest);
    b->net_known = net_drops(b, &b->net);
    return 0;
}

int bed_open(struct bed *b, const struct cell *cell, struct weir_why *why)
{
    *b = (struct bed){.cell = cell};
    int rc = open_histograms(b, why);
    rc = rc ? rc : check_queue(cell, why);
    rc = rc ? rc : open_network(b, why);
    return rc ? rc : open_server(b, why);
}

void bed_close(struct bed *b)
{
    live_stop(b->live);
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

/* An impaired wire gives its last packets late: there and back. */
static uint64_t drain_ns(const struct bed *b, uint64_t ns)
{
    uint64_t late = 2 * server_late_ns(b->cell);
    return late ? late + (ns ? ns : DRAIN_NS) : ns;
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
        .drain_ns = drain_ns(b, run->drain_ns),
        .connections = b->cell->connections,
        .core = b->cell->generator_core,
        .lab = b->lab,
        .queue = bed_queue(b->cell),
        .live_frames = b->lab && b->cell->load == WEIR_LOAD_FLOOD && run->rate == 0 &&
                       bed_queue(b->cell) == 0, /* one of several cannot be chosen for those */
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
