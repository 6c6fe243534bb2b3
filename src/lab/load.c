/* SPDX-License-Identifier: MIT
 * A load's run around its generator: options checked, the thread pinned (and moved into the
 * lab), the clock and the marks, and afterwards the self-check. The generators themselves are in
 * the files of their names.
 *
 * Invariant: whatever the generator does, the thread comes back with the cores and the namespace
 * it had. */
#include "load.h"
#include "netns.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define SENDS_MAX                                                                                  \
    (UINT64_C(1)                                                                                   \
     << 36) /* numbers that fit a payload beside the run's own (echo.h), an hour at 19 M/s */
#define PLAN_KEPT 0.995 /* bench/method.md: sent as planned to 99.5 %, or the row is invalid */
#define CORE_HAD 0.95 /* less is a neighbour on its core; interrupts and the tick take below 1 % */
#define LOSS_SEEN 0.001     /* bench/method.md: loss above 0.1 % spoils a row */
#define UDP_BYTES_MAX 65507 /* 65,535 - 20 (IPv4) - 8 (UDP) */
#define STREAM_BYTES_MAX                                                                           \
    (1u << 20) /* of a request; 1,000 connections share two buffers of this size */

static const char *const names[WEIR_LOADS] = {"flood", "stream", "echo", "tcp", "connect"};

const char *weir_load_name(enum weir_load load)
{
    return (unsigned)load < WEIR_LOADS ? names[load] : NULL;
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void tell(struct run *r, enum weir_load_mark mark, uint64_t now)
{
    if (r->o.mark)
        r->o.mark(mark, now, r->o.mark_arg);
}

void run_begin(struct run *r)
{
    r->start_ns = weir_now_ns();
    r->from_ns = r->start_ns + r->o.warmup_ns;
    r->to_ns = r->from_ns + r->o.duration_ns;
    r->first = r->o.rate ? weir_pace_due(r->o.rate, r->o.warmup_ns) : UINT64_MAX;
    r->last = UINT64_MAX;
    if (r->o.rate) {
        r->last = weir_pace_due(r->o.rate, r->o.warmup_ns + r->o.duration_ns);
        r->next_ns = r->start_ns;
    }
}

void run_open_window(struct run *r, uint64_t now)
{
    r->phase = WINDOW;
    if (!r->o.rate)
        r->first = r->k;
    r->cpu_ns = thread_cpu_ns();
    r->ret->start_ns = now;
    tell(r, WEIR_MARK_START, now);
}

bool run_stopped(struct run *r, uint64_t now)
{
    uint64_t due = r->o.rate ? weir_pace_due(r->o.rate, now - r->start_ns) : r->k;

    r->ret->stopped = 1;
    r->last = max_of(r->k, min_of(due, r->last));
    r->first = min_of(r->first, r->last);
    return true;
}

void run_end(struct run *r)
{
    uint64_t now = weir_now_ns();

    if (r->phase == WARMUP)
        run_open_window(r, now); /* stopped early: the caller still gets its marks in pairs */
    r->ret->cpu_ns = thread_cpu_ns() - r->cpu_ns;
    r->ret->end_ns = now;
    r->drain_to_ns = now + r->o.drain_ns;
    tell(r, WEIR_MARK_END, now);
}

void run_drained(struct run *r)
{
    tell(r, WEIR_MARK_DRAINED, weir_now_ns());
}

void run_count_error(struct weir_load_counts *c, int err)
{
    if (err == EAGAIN || err == ENOBUFS)
        c->tx_full++;
    else if (err == ECONNREFUSED || err == EHOSTUNREACH || err == ENETUNREACH)
        c->tx_refused++;
    else
        c->tx_error++;
}

static void fill_defaults(struct weir_load_opt *o)
{
    uint32_t flows = o->load == WEIR_LOAD_FLOOD ? 1000 : 1;

    o->bytes = o->bytes ? o->bytes : 64;
    o->duration_ns = o->duration_ns ? o->duration_ns : NS_PER_S;
    o->drain_ns = o->drain_ns ? o->drain_ns : NS_PER_S / 5;
    o->late_ns = o->late_ns ? o->late_ns : 50 * 1000;
    o->flows = o->flows ? o->flows : flows;
    o->connections = o->connections ? o->connections : o->load == WEIR_LOAD_CONNECT ? 64 : 1;
}

static int check_opt(const struct weir_load_opt *o, struct weir_why *why)
{
    bool datagrams = o->load <= WEIR_LOAD_ECHO;
    uint32_t bytes_max = datagrams ? UDP_BYTES_MAX : STREAM_BYTES_MAX;
    uint64_t run_ns = o->warmup_ns + o->duration_ns;

    if ((unsigned)o->load >= WEIR_LOADS)
        return why_set(why, -EINVAL, "load", NULL, "there is no load number %d", (int)o->load);
    if (o->bytes > bytes_max || (o->load == WEIR_LOAD_ECHO && o->bytes < 16))
        return why_set(why, -EINVAL, names[o->load], NULL, "%u bytes: it takes %u to %u", o->bytes,
                       o->load == WEIR_LOAD_ECHO ? 16u : 1u, bytes_max);
    if (o->load == WEIR_LOAD_ECHO && !o->rate)
        return why_set(why, -EINVAL, "echo", "set a rate, or climb a ladder of them",
                       "round trips are open-loop: without a rate there is no intended time");
    if (o->load == WEIR_LOAD_FLOOD && o->flows < 2)
        return why_set(why, -EINVAL, "flood", "use stream", "one flow would be merged");
    if (o->rate > NS_PER_S || run_ns > 86400 * NS_PER_S ||
        o->rate * (run_ns / NS_PER_S + 1) > SENDS_MAX)
        return why_set(why, -EINVAL, names[o->load], "lower the rate or the duration",
                       "more than 2^36 sends, or 10^9 a second, or a day");
    return 0;
}

static int dispatch(struct run *r)
{
    switch (r->o.load) {
    case WEIR_LOAD_FLOOD:
        if (r->o.lab && r->o.live_frames && !r->o.rate)
            return load_live_flood(r);
        return r->o.lab ? load_frames_flood(r) : load_flood(r);
    case WEIR_LOAD_STREAM: return load_stream(r);
    case WEIR_LOAD_ECHO: return r->o.lab ? load_frames_echo(r) : load_echo(r);
    case WEIR_LOAD_TCP: return load_tcp(r);
    default: return load_connect(r);
    }
}

/* The self-check: did it keep its plan, have its core, and take what came back? */
static void check_self(const struct run *r, const struct weir_load_counts *w,
                       struct weir_load_result *ret)
{
    double had = (double)ret->cpu_ns / (double)max_of(ret->end_ns - ret->start_ns, 1);

    if (ret->invalid.code)
        return;
    if (ret->achieved < PLAN_KEPT)
        why_set(&ret->invalid, -ERANGE, "generator", "lower the rate",
                "it sent %.2f %% of its plan of %llu a second", 100 * ret->achieved,
                (unsigned long long)r->o.rate);
    else if (had < CORE_HAD)
        why_set(&ret->invalid, -EBUSY, "generator", "leave its core to it",
                "it spins, but had its core for only %.0f %% of the window", 100 * had);
    else if ((double)w->rx_full > LOSS_SEEN * (double)w->sent)
        why_set(&ret->invalid, -ENOBUFS, "generator", "lower the rate",
                "it had no room for %llu replies", (unsigned long long)w->rx_full);
    else if (!w->sent && !ret->stopped)
        why_set(&ret->invalid, -ENODATA, "generator", NULL, "nothing was sent in the window");
}

/* What was planned, what got no reply, and the sum of both parts. */
static void settle(struct run *r)
{
    struct weir_load_result *ret = r->ret;
    struct weir_load_counts *w = &r->part[WINDOW], *u = &r->part[WARMUP];

    w->planned = r->o.rate ? r->last - min_of(r->first, r->last) : w->tried;
    u->planned = r->o.rate ? min_of(r->first, r->last) : u->tried;
    for (unsigned i = 0; i < PARTS && r->o.load >= WEIR_LOAD_ECHO; i++)
        r->part[i].lost = r->part[i].sent - min_of(r->part[i].sent, r->part[i].received);
    ret->window = *w;
#define X(name, text) ret->all.name = w->name + u->name;
    WEIR_LOAD_COUNTS(X)
#undef X
    ret->achieved = w->planned && r->o.rate ? (double)w->sent / (double)w->planned : 1.0;
    check_self(r, w, ret);
}

/* Pinned, and in the lab's namespace where there is one; both undone afterwards. */
static int run_there(struct run *r)
{
    struct netns_stay stay = NETNS_NOWHERE;
    cpu_set_t before;
    bool known = pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0;
    int err = 0;

    if (r->o.core >= 0)
        err = weir_pin(r->o.core, r->why);
    if (!err && r->o.lab)
        err = netns_visit(lab_netns(r->o.lab, WEIR_LAB_CLIENT), &stay, r->why);
    if (!err)
        err = dispatch(r);
    netns_leave(&stay);
    if (known && r->o.core >= 0)
        pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    return err;
}

int weir_load_run(const struct weir_load_opt *opt, struct weir_load_result *ret,
                  struct weir_why *why)
{
    struct run r = {.o = *opt, .ret = ret, .why = why};
    int err;

    *ret = (struct weir_load_result){0};
    fill_defaults(&r.o);
    err = check_opt(&r.o, why);
    if (!err)
        err = run_there(&r);
    if (!err)
        settle(&r);
    return err;
}
