/* SPDX-License-Identifier: MIT
 * An engine's birth and death, its report, and what other threads may ask of it.
 *
 * Everything is allocated here; close ends all endpoints, waits for what is in flight and gives
 * all back. */
#include "backend/frames.h"
#include "engine/frames.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SPARE_EVENTS                                                                               \
    (5u + ENGINE_EVENTS +                                                                          \
     8u) /* one endpoint's at the brink of room, the engine's own, the link's */
#define CLOSE_POLLS                                                                                \
    1000u /* turns that completions in flight get to come home, 1 ms apart at most */

static void link_free(struct backend *b)
{
    for (uint32_t i = 0; i < b->eps_max; i++) {
        b->eps[i].fd = -1;
        b->eps[i].free_next = i + 1 < b->eps_max ? i + 1 : NIL;
    }
    for (uint32_t i = 0; i < b->items_max; i++)
        b->items[i].next = i + 1 < b->items_max ? i + 1 : NIL;
    b->eps_free = b->items_free = 0;
    b->dirty = b->ready = b->owed = b->linger = (struct ep_list){NIL, NIL};
    b->linger_next_ns = UINT64_MAX;
}

static int allocate(struct weir_engine *e)
{
    struct backend *b = &e->b;
    b->eps_max = b->opt.endpoints_max;
    b->items_max = config_items(&b->opt);
    b->max_events = b->opt.poll_events;
    b->eps = calloc(b->eps_max, sizeof *b->eps);
    b->items = calloc(b->items_max, sizeof *b->items);
    b->events = calloc(b->max_events + b->max_events / 4 + SPARE_EVENTS, sizeof *b->events);
    if (!b->eps || !b->items || !b->events)
        return -ENOMEM;
    link_free(b);
    b->wake_fd = wake_open();
    return b->wake_fd < 0 ? b->wake_fd : timers_open(&e->timers, b->opt.timers_max);
}

static int release(struct weir_engine *e)
{
    struct backend *b = &e->b;
    if (!b->frames) {
        wrap_fault_close(b);
        wrap_pcap_close(b);
    }
    if (b->priv)
        b->ops->close(b);
    int rc = b->pool ? weir_pool_close(b->pool) : 0;
    timers_close(&e->timers);
    if (b->wake_fd >= 0)
        socket_close(b->wake_fd);
    free(b->eps);
    free(b->items);
    free(b->events);
    free(e);
    return rc;
}

static int open_parts(struct weir_engine *e, struct weir_why *why)
{
    struct backend *b = &e->b;
    int rc = allocate(e);
    if (rc)
        return why_set(why, rc, "engine",
                       "ask for fewer endpoints, or raise the limit of open files",
                       "cannot allocate");
    b->pool = b->device->pool ? b->device->pool(b, why) : weir_pool_open(&b->opt.pool, why);
    if (!b->pool)
        return -ENOMEM;
    rc = b->ops->open(b, why);
    if (rc || b->frames) /* the wrappers of frames stand below the stack: frames.c */
        return rc;
    rc = wrap_pcap_open(b, why);
    return rc ? rc : wrap_fault_open(b, why);
}

/* What is on its way to other workers is out of this one's pool. */
static int resolve(struct weir_engine *e, struct weir_why *why)
{
    struct weir_engine_opt *opt = &e->b.opt;
    bool sized = opt->pool.small;
    int rc = config_resolve(opt, e->b.frames != NULL, why);
    if (!sized)
        opt->pool.small += fleet_held(e);
    return rc;
}

struct weir_engine *engine_open_in(const struct weir_engine_opt *opt, struct fleet *fleet,
                                   unsigned index, struct weir_why *why)
{
    const struct backend_ops *row = backend_find(opt->backend, why);
    struct weir_engine *e = row ? aligned_alloc(CACHE_PAIR, sizeof *e) : NULL;
    if (!e)
        return NULL;
    *e = (struct weir_engine){.b = {.opt = *opt, .wake_fd = -1, .now_ns = weir_now_ns()},
                              .opened_ns = weir_now_ns(),
                              .fleet = row->frames ? fleet : NULL,
                              .fleet_index = fleet && row->frames ? index : 0};
    e->b.device = fleet_row(e, row);
    e->b.frames = e->b.device->frames;
    e->b.ops = e->b.frames ? &frames_table : row;
    e->b.opt.no_coalesce |= row->plain;
    if (resolve(e, why) == 0 && open_parts(e, why) == 0)
        return e;
    release(e);
    return NULL;
}

struct weir_engine *weir_engine_open(const struct weir_engine_opt *opt, struct weir_why *why)
{
    return engine_open_in(opt, NULL, 0, why);
}

int weir_engine_close(struct weir_engine *e)
{
    struct backend *b = &e->b;
    for (uint32_t i = 0; i < b->eps_max; i++) {
        struct endpoint *ep = endpoint_at(b, i);
        if (ep->state == EP_FREE || ep->state == EP_DYING)
            continue;
        if (ep->kind == EP_STREAM)
            socket_reset(ep->fd);
        ep->state = EP_DYING;
        b->ops->del(b, ep);
    }
    for (unsigned turn = 0; b->eps_used && turn < CLOSE_POLLS; turn++) {
        b->n_events = 0;
        b->ops->rx(b);
        if (b->ops->submit)
            b->ops->submit(b);
        if (b->eps_used)
            b->ops->wait(b, 1000000);
    }
    pool_collect(b->pool);
    return release(e);
}

struct weir_pool *weir_engine_pool(struct weir_engine *e)
{
    return e->b.pool;
}

const char *weir_engine_backend(const struct weir_engine *e)
{
    return e->b.device->name;
}

static void report_memory(const struct weir_engine *e,
                          void (*line)(const struct weir_why *, void *), void *arg)
{
    const struct weir_mem *mem = pool_mem(e->b.pool);
    struct weir_why why = {0};
    snprintf(why.where, sizeof why.where, "buffers");
    snprintf(why.what, sizeof why.what, "%zu KiB on %s, %s", mem->bytes >> 10,
             weir_pages_name(mem->pages), mem->locked ? "locked" : "not locked");
    line(&why, arg);
    if (mem->lesser.code)
        line(&mem->lesser, arg);
}

static void report_coalesce(const struct weir_engine *e,
                            void (*line)(const struct weir_why *, void *), void *arg)
{
    struct weir_why why = {.where = "coalescing"};
    if (!e->b.opt.spin || !e->b.opt.coalesce_ns)
        return;
    snprintf(why.what, sizeof why.what, "dense datagrams gather for up to %llu us",
             (unsigned long long)e->b.opt.coalesce_ns / 1000);
    line(&why, arg);
}

void weir_engine_report(const struct weir_engine *e, void (*line)(const struct weir_why *, void *),
                        void *arg)
{
    struct weir_why why = {0};
    snprintf(why.where, sizeof why.where, "%s", e->b.device->name);
    e->b.ops->modes(&e->b, why.what, sizeof why.what);
    line(&why, arg);
    report_memory(e, line, arg);
    report_coalesce(e, line, arg);
    for (uint32_t i = 0; i < e->b.n_lesser; i++)
        line(&e->b.lesser[i], arg);
}

void weir_engine_device_stats(const struct weir_engine *e,
                              void (*line)(const char *name, uint64_t value, void *), void *arg)
{
    const struct frame_ops *frames = e->b.frames;
    if (frames && frames->stats)
        frames->stats(&e->b, line, arg);
}

void weir_engine_counters(const struct weir_engine *e, struct weir_counters *ret)
{
    counters_snapshot(&e->b.counters, ret);
}

int64_t weir_timer(struct weir_engine *e, uint64_t at_ns, uint64_t token)
{
    return timers_add(&e->timers, at_ns, token);
}

int weir_timer_cancel(struct weir_engine *e, int64_t id)
{
    return timers_cancel(&e->timers, id);
}

/* See weir_wait for the other half of this handshake. Only the first of several wakes goes on, and
 * only a sleeping engine costs a system call. Safe in a signal handler. */
void weir_wake(struct weir_engine *e)
{
    if (!atomic_exchange(&e->wake_pending, true) && atomic_load(&e->sleeping))
        wake_ring(e->b.wake_fd);
}

void weir_stop(struct weir_engine *e)
{
    atomic_store(&e->stop, true);
    weir_wake(e);
}
