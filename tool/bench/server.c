/* SPDX-License-Identifier: MIT
 * What is measured: a crew of engines that serves one load.
 *
 * In the flow   measure.c starts it, weir_load_run sends to it, marks read its counters.
 * Invariants    workers spin, each pinned; nothing but counters and wakes crosses threads while a
 *               load runs. Socket drops are an engine call, so the worker makes it, when it is
 *               woken for it.
 * Source        bench/method.md, "What a run is". */
#include "bench/server.h"
#include "bench/grants.h"
#include "reply.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUIET_NS 10000000u /* nothing for 10 ms: what is still under way would have come */
#define STEP_NS 1000000u
#define TELL_NS 200000000u /* a worker that does not answer for this long is stuck */
#define STREAMS_MAX                                                                                \
    8192u /* connections of one worker: 1,000 standing, or those of `connect` that are closing */

struct worker {
    struct reply reply;
    struct weir_engine *engine;
    weir_ep ep;
    clockid_t cpu;  /* the CPU time of its thread */
    uint64_t drops; /* at its socket, as of `told` */
    uint64_t told;  /* release: pairs with server_settle's acquire; counts answered wakes */
};

struct server {
    const struct cell *cell;
    struct weir_addr addr;
    struct weir_crew *crew;
    struct weir_why line[LINES_MAX];
    unsigned lines;
    char backend[32];
    struct worker worker[];
};

static void keep_line(const struct weir_why *why, void *arg)
{
    struct server *s = arg;
    if (s->lines < LINES_MAX)
        s->line[s->lines++] = *why;
}

/* WEIR_WAKE: look at the socket's drops and say so. */
static void woken(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct server *s = app;
    (void)events;
    (void)n;
    for (unsigned i = 0; i < s->cell->workers; i++) {
        struct worker *w = &s->worker[i];
        if (w->engine != engine)
            continue;
        int64_t drops = weir_ep_drops(engine, w->ep);
        w->drops = drops > 0 ? (uint64_t)drops : 0;
        __atomic_store_n(&w->told, w->told + 1, __ATOMIC_RELEASE);
    }
}

static int open_endpoint(struct server *s, struct worker *w, struct weir_engine *engine)
{
    enum weir_load load = s->cell->load;
    if (load_is_stream(load))
        return weir_tcp_listen(engine, &s->addr, reply_tcp, &w->reply.listener, &w->ep);
    return weir_udp_open(engine, &s->addr, load == WEIR_LOAD_ECHO ? reply_udp : reply_count,
                         &w->reply, &w->ep);
}

static void explain(const struct server *s, int rc, struct weir_why *why)
{
    char text[WEIR_ADDR_TEXT];
    *why = (struct weir_why){.code = rc};
    snprintf(why->where, sizeof why->where, "%s", s->cell->backend);
    snprintf(why->what, sizeof why->what, "cannot serve %s: %s", weir_addr_text(&s->addr, text),
             strerror(-rc));
}

static int start(struct weir_engine *engine, unsigned index, void *app, struct weir_why *why)
{
    struct server *s = app;
    struct worker *w = &s->worker[index];
    int rc = reply_open(&w->reply, s->cell->bytes, load_is_stream(s->cell->load) ? STREAMS_MAX : 0);
    w->engine = engine;
    rc = rc ? rc : -pthread_getcpuclockid(pthread_self(), &w->cpu);
    rc = rc ? rc : open_endpoint(s, w, engine);
    if (rc) {
        reply_close(&w->reply); /* `stop` is not called for a start that failed */
        explain(s, rc, why);
    } else if (index == 0) {
        snprintf(s->backend, sizeof s->backend, "%s", weir_engine_backend(engine));
        weir_engine_report(engine, keep_line, s);
    }
    return rc;
}

static void stop(struct weir_engine *engine, unsigned index, void *app)
{
    struct server *s = app;
    (void)engine;
    reply_close(&s->worker[index].reply);
}

uint64_t server_late_ns(const struct cell *cell)
{
    return cell->choice.impair.delay_ns + cell->choice.impair.jitter_ns;
}

struct weir_crew *server_crew(struct server *s)
{
    return s->crew;
}

/* What every server has in common: it spins, and asks for all that helps a socket. */
static void complete(struct weir_engine_opt *opt, struct server *s)
{
    const struct cell *cell = s->cell;
    opt->backend = cell->backend;
    opt->handler = woken;
    opt->app = s;
    opt->spin = opt->busy_poll = 1;
    opt->no_coalesce = cell->no_coalesce;
    opt->sock_bytes = GRANTS_SOCK_BYTES;
    opt->endpoints_max = load_is_stream(cell->load) ? STREAMS_MAX : 0;
}

struct server *server_start(const struct cell *cell, const struct weir_addr *addr,
                            const struct weir_engine_opt *opt, struct weir_why *why)
{
    size_t bytes = sizeof(struct server) + cell->workers * sizeof(struct worker);
    struct server *s = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!s) {
        *why = (struct weir_why){.code = -ENOMEM,
                                 .where = "bench",
                                 .what = "no memory for the workers"};
        return NULL;
    }
    memset(s, 0, bytes);
    s->cell = cell;
    s->addr = *addr;
    struct weir_crew_opt crew = {.engine = *opt,
                                 .workers = cell->workers,
                                 .cores = cell->cores,
                                 .start = start,
                                 .stop = stop,
                                 .app = s};
    complete(&crew.engine, s);
    s->crew = weir_crew_start(&crew, why);
    if (s->crew)
        return s;
    free(s);
    return NULL;
}

static void add_counters(struct weir_counters *sum, const struct weir_counters *one)
{
#define X(name, text) sum->name += one->name;
    WEIR_COUNTERS(X)
#undef X
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts = {0};
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void server_mark(struct server *s, struct server_mark *ret)
{
    *ret = (struct server_mark){.ns = weir_now_ns(), .cycles = weir_cycles()};
    for (unsigned i = 0; i < s->cell->workers; i++) {
        struct worker *w = &s->worker[i];
        struct weir_counters c;
        weir_engine_counters(w->engine, &c);
        add_counters(&ret->engine, &c);
        ret->cpu_ns += clock_ns(w->cpu);
        ret->packets += reply_get(&w->reply.packets);
        ret->bytes += reply_get(&w->reply.bytes);
        ret->errors += reply_get(&w->reply.errors);
        ret->refused += reply_get(&w->reply.refused);
    }
}

static void pause_ns(uint64_t ns)
{
    for (uint64_t until = weir_now_ns() + ns; weir_now_ns() < until;)
        weir_pause();
}

static uint64_t arrived(struct server *s)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->cell->workers; i++)
        sum += reply_get(&s->worker[i].reply.packets) + reply_get(&s->worker[i].reply.bytes);
    return sum;
}

/* Each worker looks at its own socket. One that does not answer leaves its last number. */
static uint64_t ask_drops(struct server *s)
{
    uint64_t sum = 0, until = weir_now_ns() + TELL_NS;
    for (unsigned i = 0; i < s->cell->workers; i++) {
        struct worker *w = &s->worker[i];
        uint64_t before = __atomic_load_n(&w->told, __ATOMIC_ACQUIRE);
        weir_wake(w->engine);
        while (__atomic_load_n(&w->told, __ATOMIC_ACQUIRE) == before && weir_now_ns() < until)
            weir_pause();
        sum += w->drops;
    }
    return sum;
}

void server_settle(struct server *s, uint64_t limit_ns, struct server_mark *ret)
{
    uint64_t now = weir_now_ns(), still = now, seen = arrived(s);
    uint64_t late = 2 * server_late_ns(s->cell), until = now + limit_ns + late;
    while (now < until && now - still < QUIET_NS + late) {
        pause_ns(STEP_NS);
        uint64_t more = arrived(s);
        now = weir_now_ns();
        still = more == seen ? still : now;
        seen = more;
    }
    uint64_t drops = load_is_stream(s->cell->load) ? 0 : ask_drops(s);
    server_mark(s, ret);
    ret->socket_drops = drops;
}

unsigned server_report(const struct server *s, struct weir_why ret[LINES_MAX])
{
    unsigned n = s->lines;
    memcpy(ret, s->line, n * sizeof *ret);
    n = grants_complete(s->cell, ret, n);
    for (unsigned i = 0; i < s->cell->workers && n < LINES_MAX; i++)
        if (weir_crew_refused(s->crew, i)->code)
            ret[n++] = *weir_crew_refused(s->crew, i);
    return n;
}

const char *server_backend(const struct server *s)
{
    return s->backend;
}

int server_stop(struct server *s)
{
    int rc = weir_crew_stop(s->crew);
    free(s);
    return rc;
}
