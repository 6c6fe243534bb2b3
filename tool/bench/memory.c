/* SPDX-License-Identifier: MIT
 * A cell without a network: two engines over a wire in memory, on one thread.
 *
 *     client engine -- burst of 32 --> wire --> server engine (measured) -- echo --> wire --> client
 *
 * In the flow   measure.c -> measure_memory -> a sample of costs and counts.
 * Invariants    the cost is that of the measured engine's own polls, the client's and the wire's
 *               are outside of it; virtual time moves by one step a burst, so an impaired wire acts
 *               at the rate that RATE says; nothing here is a rate of this host.
 * Source        bench/method.md, "In memory". */
#include "bench/memory.h"
#include "bench/grants.h"
#include "bench/measure.h"
#include "bench/span.h"
#include "bench/stats.h"
#include "reply.h"

#include <weir/sim.h>

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define BURST 32u
#define RATE 1000000u    /* virtual packets a second without -r */
#define BYTES_MAX 1472u  /* of a datagram in one frame: MTU 1,500 - 20 (IPv4) - 8 (UDP) */
#define LOOKS_EVERY 64u  /* bursts between two looks at the clock */
#define WARM_BURSTS 256u /* slots, neighbours and caches are touched */
#define END_NS UINT64_C(1000000000) /* virtual: what an impaired wire still holds comes in this */
#define SERVER_PORT 7000
#define CLIENT_PORT 7001

struct memory {
    const struct cell *cell;
    struct weir_sim *sim;
    struct weir_engine *client, *server;
    weir_ep from;
    struct weir_addr to;
    struct reply got, served; /* the client's count of replies, and the server's handler */
    struct weir_why line[LINES_MAX];
    unsigned lines;
    uint64_t tried, sent, step_ns;
};

static struct weir_engine *open_engine(struct weir_sim_port *port, uint8_t host, const char *pcap,
                                       struct weir_why *why)
{
    struct weir_engine_opt opt = {.backend = "sim", .spin = 1, .no_coalesce = 1, .pcap = pcap};
    struct weir_addr addr = weir_addr_ip4(10, 99, 0, host, 0);
    opt.frames.sim = port;
    opt.frames.addresses = 1;
    memcpy(opt.frames.address[0].ip, addr.ip, sizeof addr.ip);
    opt.frames.address[0].prefix = 96 + 24;
    return weir_engine_open(&opt, why);
}

static int open_endpoints(struct memory *m, struct weir_why *why)
{
    struct weir_addr from = weir_addr_ip4(10, 99, 0, 1, CLIENT_PORT);
    bool echo = m->cell->load == WEIR_LOAD_ECHO;
    weir_ep served;
    m->to = weir_addr_ip4(10, 99, 0, 2, SERVER_PORT);
    int rc = weir_udp_open(m->client, &from, reply_count, &m->got, &m->from);
    rc = rc ? rc
            : weir_udp_open(m->server, &m->to, echo ? reply_udp : reply_count, &m->served, &served);
    if (rc)
        *why = (struct weir_why){.code = rc, .where = "sim", .what = "no endpoint"};
    return rc;
}

static void keep_line(const struct weir_why *why, void *arg)
{
    struct memory *m = arg;
    if (m->lines < LINES_MAX)
        m->line[m->lines++] = *why;
}

static int open_both(struct memory *m, struct weir_why *why)
{
    const struct weir_impair *impair = &m->cell->choice.impair;
    struct weir_sim_port *port[2];
    m->sim = weir_sim_open(&(struct weir_sim_opt){.seed = impair->seed}, why);
    if (!m->sim)
        return -ENOMEM;
    int rc = weir_sim_wire(m->sim, impair, impair, port);
    if (rc) {
        *why = (struct weir_why){.code = rc, .where = "sim", .what = "no wire"};
        return rc;
    }
    m->client = open_engine(port[0], 1, NULL, why);
    m->server = m->client ? open_engine(port[1], 2, m->cell->choice.pcap, why) : NULL;
    if (!m->server)
        return why->code ? why->code : -EIO;
    weir_engine_report(m->server, keep_line, m);
    return open_endpoints(m, why);
}

static void close_both(struct memory *m)
{
    if (m->client)
        weir_engine_close(m->client);
    if (m->server)
        weir_engine_close(m->server);
    if (m->sim)
        weir_sim_close(m->sim);
}

/* ---- the load
 * -------------------------------------------------------------------------------------- */

/* One burst, and the virtual time until the next. Returns 0 or -errno. */
static int turn(struct memory *m)
{
    struct weir_buf *bufs[BURST];
    unsigned n = weir_buf_take(weir_engine_pool(m->client), bufs, BURST);
    for (unsigned i = 0; i < n; i++) {
        memset(bufs[i]->data, (int)i, m->cell->bytes);
        bufs[i]->len = m->cell->bytes;
        bufs[i]->peer = m->to;
    }
    int took = weir_send(m->client, m->from, bufs, n);
    unsigned sent = took > 0 ? (unsigned)took : 0;
    weir_buf_drop(bufs + sent, n - sent);
    m->tried += n;
    m->sent += sent;
    int64_t rc = weir_sim_run(m->sim, weir_sim_now(m->sim) + m->step_ns);
    return rc < 0 ? (int)rc : 0;
}

/* Until `wall_ns` of this host's time are over, at least one look's worth. */
static int turns(struct memory *m, uint64_t wall_ns)
{
    uint64_t until = weir_now_ns() + wall_ns;
    int rc = 0;
    do
        for (unsigned i = 0; i < LOOKS_EVERY && rc == 0; i++)
            rc = turn(m);
    while (rc == 0 && weir_now_ns() < until);
    return rc;
}

static uint64_t cpu_ns(void)
{
    struct timespec ts = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void mark(struct memory *m, struct server_mark *ret)
{
    *ret = (struct server_mark){.ns = weir_now_ns(),
                                .cpu_ns = cpu_ns(),
                                .cycles = weir_cycles(),
                                .packets = reply_get(&m->served.packets),
                                .errors = reply_get(&m->served.errors),
                                .refused = reply_get(&m->served.refused)};
    weir_engine_counters(m->server, &ret->engine);
}

/* ---- what it means
 * --------------------------------------------------------------------------------- */

/* Where the missing ones went: the wire knows, and what it delivered the engine counted. */
static void losses(struct memory *m, struct span *span)
{
    struct weir_sim_counts wire;
    struct weir_counters client;
    weir_sim_counts(m->sim, &wire);
    weir_engine_counters(m->client, &client);
    span->after.engine.fault_dropped += wire.lost;
    span->after.engine.rx_ring_full += wire.overrun;
#define X(name, text) span->after.engine.name += client.name;
    WEIR_COUNTERS(X)
#undef X
}

static void figures(struct memory *m, struct span *span, struct sample *s)
{
    char reason[REASON_BYTES];
    span->load.all.tried = m->tried;
    span->load.all.tx_full = m->tried - m->sent;
    span->load.all.received = reply_get(&m->got.packets);
    losses(m, span);
    span_figures(span, m->cell, weir_cycles_hz(), s->figure);
    s->figure[FIG_offered_pps] = s->figure[FIG_pps] = s->figure[FIG_gbps] = NAN;
    s->figure[FIG_busy] = NAN;
    s->ran = 1;
    if (span_doubt(span, m->cell, s->figure, reason))
        sample_refuse(s, "%s", reason);
}

static int run(struct memory *m, struct span *span, struct weir_why *why)
{
    int rc = turns(m, 0);
    for (unsigned i = 0; i < WARM_BURSTS && rc == 0; i++)
        rc = turn(m);
    mark(m, &span->start);
    rc = rc ? rc : turns(m, m->cell->time_ns);
    mark(m, &span->end);
    span->load.start_ns = span->start.ns;
    span->load.end_ns = span->end.ns;
    int64_t late = rc ? rc : weir_sim_run(m->sim, weir_sim_now(m->sim) + END_NS);
    mark(m, &span->after);
    if (late < 0)
        *why = (struct weir_why){.code = (int)late, .where = "sim", .what = "an engine gave up"};
    return late < 0 ? (int)late : 0;
}

static void refuse(struct sample *s, const struct weir_why *why)
{
    char text[REASON_BYTES];
    weir_why_text(why, text, sizeof text);
    sample_refuse(s, "%s", text);
    s->fatal = 1;
}

static int check_size(const struct cell *cell, struct weir_why *why)
{
    if (cell->bytes <= BYTES_MAX)
        return 0;
    *why = (struct weir_why){.code = -EMSGSIZE, .where = "sim", .fix = "use fewer bytes"};
    snprintf(why->what, sizeof why->what, "a datagram of %u bytes needs more than one frame",
             cell->bytes);
    return -EMSGSIZE;
}

void measure_memory(const struct cell *cell, struct sample *ret)
{
    static struct memory m; /* a run is one process: too large for a stack */
    struct span span = {.net_known = true, .marks = 1u << WEIR_MARK_START | 1u << WEIR_MARK_END};
    struct weir_why why = {0};
    uint64_t rate = cell->rate && cell->rate != OPTION_RATE_MAX ? cell->rate : RATE;
    m = (struct memory){.cell = cell, .step_ns = BURST * UINT64_C(1000000000) / rate};
    reply_open(&m.got, cell->bytes, 0);
    reply_open(&m.served, cell->bytes, 0);
    weir_pin(cell->cores[0], NULL);
    int rc = check_size(cell, &why);
    rc = rc ? rc : open_both(&m, &why);
    rc = rc ? rc : run(&m, &span, &why);
    if (rc == 0) {
        figures(&m, &span, ret);
        snprintf(ret->mode, sizeof ret->mode, "in memory, bursts of %u", BURST);
        memcpy(ret->line, m.line, m.lines * sizeof *m.line);
        ret->lines = (uint8_t)grants_complete(cell, ret->line, m.lines);
    } else {
        refuse(ret, &why);
    }
    close_both(&m);
}
