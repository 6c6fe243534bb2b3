/* SPDX-License-Identifier: MIT
 * The loop: rx -> dispatch -> timers -> tx -> maybe wait. This file is the picture of
 * ARCHITECTURE.md.
 *
 * Work in a poll is bounded: the backend harvests at most poll_events, handlers are called after,
 * and what they sent leaves at the end. A handler may open, send to and close any endpoint:
 * handles are checked at every step. */
#include "engine/frames.h"

#include <errno.h>

static void emit_engine(struct weir_engine *e, unsigned kind, uint64_t token)
{
    e->b.events[e->b.n_events++] =
        (struct weir_event){.kind = (uint8_t)kind, .token = token, .rx_ns = e->b.now_ns};
}

/* Debug builds: free + app + tx + in_backend == total, in the counts after every poll and in the
 * headers, which is slow, now and then. */
static void check_pool(struct weir_engine *e)
{
#ifndef NDEBUG
    struct weir_pool_stats stats;
    struct weir_why why;
    weir_pool_stats(e->b.pool, &stats);
    for (unsigned s = 0; s < WEIR_SECTIONS; s++) {
        uint64_t sum = 0;
        for (unsigned state = 0; state < WEIR_STATES; state++)
            sum += stats.count[s][state];
        assert(sum == stats.total[s]);
    }
    if (e->b.counters.polls % 64 == 0)
        assert(weir_pool_check(e->b.pool, &why) == 0);
#else
    (void)e;
#endif
}

/* Wakes coalesce: the exchange pairs with weir_wake's, so what the waker wrote before is seen by
 * the handler. */
static void own_events(struct weir_engine *e)
{
    uint64_t token;
    unsigned n = 0;
    if (atomic_load_explicit(&e->wake_pending, memory_order_relaxed) &&
        atomic_exchange(&e->wake_pending, false)) {
        emit_engine(e, WEIR_WAKE, 0);
        COUNT(&e->b.counters, wakes, 1);
        n++;
    }
    for (; n < ENGINE_EVENTS && timers_pop(&e->timers, e->b.now_ns, &token); n++) {
        emit_engine(e, WEIR_TIMER, token);
        COUNT(&e->b.counters, timers, 1);
    }
}

/* Lend the burst's buffers to the handler. False: the endpoint is gone; its datagrams go home. */
static bool lend(struct weir_engine *e, struct weir_event *events, unsigned n)
{
    struct endpoint *ep = endpoint_get(&e->b, events->ep);
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind == WEIR_DATAGRAM) {
            if (likely(ep))
                events[i].buf->flags |= WEIR_BUF_BORROWED;
            else
                weir_buf_drop(&events[i].buf, 1);
        } else if (events[i].kind == WEIR_DATA && ep) {
            events[i].buf = stream_lend(&e->b, ep); /* another's handler may have consumed it */
            if (!events[i].buf)
                events[i].kind = WEIR_NONE;
        }
    }
    return ep;
}

/* What the handler neither sent nor kept comes home; a stream's unconsumed bytes stay with the
 * stream. */
static void take_back(struct weir_engine *e, struct weir_event *events, unsigned n)
{
    struct weir_buf *home[64];
    unsigned h = 0;
    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *buf = events[i].buf;
        if (!buf)
            continue;
        struct endpoint *ep =
            events[i].kind == WEIR_DATA ? endpoint_get(&e->b, events[i].ep) : NULL;
        if (ep && ep->rx == buf) {
            stream_returned(&e->b, ep);
        } else if (buf->flags & WEIR_BUF_BORROWED) {
            buf->flags &= (uint8_t)~WEIR_BUF_BORROWED;
            home[h++] = buf;
        }
        if (h < array_len(home))
            continue;
        weir_buf_drop(home, h);
        h = 0;
    }
    weir_buf_drop(home, h);
}

/* The handler has seen WEIR_CLOSED: the handle becomes stale, unless it closed by itself. */
static void bury(struct weir_engine *e, struct weir_event *events, unsigned n)
{
    struct endpoint *ep =
        events[n - 1].kind == WEIR_CLOSED ? endpoint_get(&e->b, events->ep) : NULL;
    if (ep)
        endpoint_close(&e->b, ep, false);
}

static void call_back(struct weir_engine *e, struct weir_event *events, unsigned n)
{
    if (events->ep == 0) {
        if (e->b.opt.handler)
            e->b.opt.handler(e, events, n, e->b.opt.app);
        return;
    }
    if (!lend(e, events, n))
        return;
    struct endpoint *ep = endpoint_get(&e->b, events->ep);
    e->burst = events;
    e->burst_n = n;
    ep->handler(e, events, n, ep->app);
    e->burst_n = 0;
    take_back(e, events, n);
    bury(e, events, n);
}

/* Neighbouring events of one endpoint are one burst. */
static void dispatch(struct weir_engine *e)
{
    struct weir_event *events = e->b.events;
    unsigned end;
    for (unsigned at = 0; at < e->b.n_events; at = end) {
        for (end = at + 1; end < e->b.n_events && events[end].ep == events[at].ep; end++) {}
        call_back(e, &events[at], end - at);
    }
}

/* Endpoints that are dirty now; one that must try again later is dirty for the next poll. */
static unsigned flush(struct weir_engine *e)
{
    struct backend *b = &e->b;
    uint32_t last = b->dirty.tail;
    unsigned n = 0;
    while (b->dirty.head != NIL) {
        struct endpoint *ep = endpoint_pop_dirty(b);
        bool end = (uint32_t)(ep - b->eps) == last;
        if (ep->state != EP_FREE && ep->state != EP_DYING)
            b->ops->flush(b, ep);
        n++;
        if (end)
            break;
    }
    if (b->ops->submit)
        b->ops->submit(b);
    return n;
}

/* Frames are work, whatever became of them: dropped, answered, another worker's. */
static bool moved_frames(struct weir_engine *e)
{
    const struct counters *c = &e->b.counters; /* our own: no order */
    uint64_t moved = atomic_load_explicit(&c->rx_frames, memory_order_relaxed) +
                     atomic_load_explicit(&c->taken_over, memory_order_relaxed) +
                     atomic_load_explicit(&c->tx_frames, memory_order_relaxed);
    bool is = moved != e->frames_moved;
    e->frames_moved = moved;
    return is;
}

static void account(struct weir_engine *e, uint64_t since, unsigned work)
{
    COUNT(&e->b.counters, polls, 1);
    if (!moved_frames(e) && !work)
        return;
    COUNT(&e->b.counters, polls_busy, 1);
    COUNT(&e->b.counters, busy_cycles, weir_cycles() - since);
}

static int receive(struct weir_engine *e)
{
    struct backend *b = &e->b;
    if (!b->opt.spin || !b->opt.coalesce_ns)
        return b->ops->rx(b);
    if (coalesce_waits(e))
        return 0;
    int rc = b->ops->rx(b);
    coalesce_learn(e);
    return rc;
}

int weir_poll(struct weir_engine *e, uint64_t now_ns)
{
    struct backend *b = &e->b;
    uint64_t since = weir_cycles();
    health_poll(e, now_ns);
    b->now_ns = now_ns;
    b->n_events = 0;
    pool_collect(b->pool);
    int rc = receive(e);
    if (unlikely(rc < 0))
        return rc;
    if (now_ns >= b->linger_next_ns)
        endpoints_expire(b);
    endpoints_tell(b);
    own_events(e);
    health_stage(e, STAGE_HANDLERS);
    dispatch(e);
    health_stage(e, STAGE_SEND);
    unsigned events = b->n_events;
    unsigned sent = flush(e);
    if (sent)
        e->coalesce.sent_ns = now_ns;
    account(e, since, events + sent);
    health_stage(e, STAGE_IDLE);
    check_pool(e);
    return (int)events;
}

/* What could not be done for want of a buffer is tried again after this: buffers come home by
 * other polls' work. */
#define STARVED_NS 1000000u

uint64_t weir_next_ns(const struct weir_engine *e)
{
    const struct backend *b = &e->b;
    bool now = b->dirty.head != NIL || b->owed.head != NIL ||
               atomic_load_explicit(&e->wake_pending, memory_order_relaxed);
    if (now || (b->ready.head != NIL && !b->starved))
        return 0;
    uint64_t next = min_of(b->linger_next_ns, timers_next_ns(&e->timers));
    if (e->stack)
        next = min_of(next, frames_next_ns(e));
    if (b->ops->next_ns)
        next = min_of(next, b->ops->next_ns(b));
    return b->ready.head != NIL ? min_of(next, b->now_ns + STARVED_NS) : next;
}

/* The store of `sleeping` and the load of `wake_pending` are sequentially consistent, as are
 * weir_wake's store of `wake_pending` and load of `sleeping`: one of both sides sees the other
 * (Dekker), so no wake is slept through. The same of `nudged`, by which another worker of the fleet
 * says that there is something in a lane (fleet_lane.c). */
int weir_wait(struct weir_engine *e, int64_t timeout_ns)
{
    uint64_t next = weir_next_ns(e), now = weir_now_ns();
    if (next <= now)
        return 0;
    if (next != UINT64_MAX && (timeout_ns < 0 || next - now < (uint64_t)timeout_ns))
        timeout_ns = (int64_t)(next - now);
    atomic_store(&e->sleeping, true);
    int rc = 0;
    if (!atomic_load(&e->wake_pending) && !atomic_load(&e->nudged)) {
        COUNT(&e->b.counters, waits, 1);
        rc = e->b.ops->wait(&e->b, timeout_ns);
    }
    atomic_store(&e->sleeping, false);
    return rc;
}

int weir_run(struct weir_engine *e)
{
    int rc = e->b.device->virtual_time ? -EOPNOTSUPP : 0; /* weir_sim_run is its loop */
    while (rc >= 0 && !atomic_load_explicit(&e->stop, memory_order_relaxed)) {
        rc = weir_poll(e, weir_now_ns());
        if (rc < 0)
            break;
        if (e->b.opt.spin) {
            if (rc == 0)
                weir_pause();
            continue;
        }
        if (rc == 0)
            rc = weir_wait(e, -1);
        if (rc == -EINTR)
            rc = 0;
    }
    atomic_store(&e->stop, false); /* it may run again */
    return rc < 0 ? rc : 0;
}
