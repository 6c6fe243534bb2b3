/* SPDX-License-Identifier: MIT
 * The engine's own state around its backend. */
#ifndef WEIR_ENGINE_INTERNAL_H
#define WEIR_ENGINE_INTERNAL_H

#include "backend/backend.h"

#define ENGINE_EVENTS 64u /* of the engine itself in one poll: timers and the wake */

struct timer {
    uint64_t at_ns, token;
    uint32_t slot; /* of its id */
};

/* A 4-ary heap of timers, and where each id stands in it. */
struct timers {
    struct timer *heap;
    uint32_t *place;      /* slot -> index in heap; free slots: the next free one */
    uint32_t *generation; /* slot -> how often it was used */
    uint32_t n, max, free;
};

/* How dense datagrams come to a spinning engine. */
struct coalesce {
    uint64_t looked_ns, got_ns; /* the last look at the backend, and the last that was not idle */
    uint64_t gap_ns;            /* between two datagrams, smoothed */
    uint64_t sent_ns;           /* the last poll that sent something */
    bool more;                  /* the last look did not take all */
};

struct weir_engine {
    struct backend b;    /* first: the backend sees nothing else */
    struct stack *stack; /* of a frame backend, else NULL */
    struct fleet *fleet; /* the workers of its device together, or NULL */
    unsigned fleet_index;
    int16_t link_err; /* as WEIR_LINK told it last */
    uint64_t opened_ns;
    uint64_t frames_moved; /* in and out, up to the last poll */
    struct timers timers;
    struct coalesce coalesce;
    struct weir_event *burst; /* that the handler has now, for blanking */
    unsigned burst_n;
    /* Other threads write these: a line of their own. */
    alignas(CACHE_PAIR) atomic_bool wake_pending; /* weir_wake was called and not yet told */
    atomic_bool nudged;                           /* a lane to this worker got something */
    atomic_bool sleeping;                         /* in weir_wait: a wake needs the descriptor */
    atomic_bool stop;
    /* This thread writes these and others read them, each by itself (health.c). */
    alignas(CACHE_PAIR) _Atomic uint64_t polled_ns; /* when the last poll began */
    _Atomic uint32_t pool_free;                     /* small buffers, then */
    _Atomic uint8_t stage;                          /* enum stage */
};

/* What a worker is about, for the watchdog to say. */
enum stage { STAGE_IDLE, STAGE_RECEIVE, STAGE_HANDLERS, STAGE_SEND };

/* Relaxed: the watchdog looks at each by itself, and a moment late does no harm (health.c). */
static inline void health_stage(struct weir_engine *e, enum stage stage)
{
    atomic_store_explicit(&e->stage, (uint8_t)stage, memory_order_relaxed);
}
static inline void health_poll(struct weir_engine *e, uint64_t now_ns)
{
    atomic_store_explicit(&e->polled_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&e->pool_free, pool_free(e->b.pool, WEIR_SMALL), memory_order_relaxed);
    health_stage(e, STAGE_RECEIVE);
}
/* What other threads may know of an engine: everything of weir_health but the crew's own. */
void health_of(const struct weir_engine *e, uint64_t now_ns, uint64_t stall_ns,
               struct weir_health *ret);

/* ---- open.c --------------------------------------------------------------------------------- */
struct fleet;
/* weir_engine_open for worker `index` of a fleet (NULL: of none). */
struct weir_engine *engine_open_in(const struct weir_engine_opt *opt, struct fleet *fleet,
                                   unsigned index, struct weir_why *why);

/* ---- timer.c -------------------------------------------------------------------------------- */
int timers_open(struct timers *t, uint32_t max);
void timers_close(struct timers *t);
int64_t timers_add(struct timers *t, uint64_t at_ns, uint64_t token);
int timers_cancel(struct timers *t, int64_t id);
/* The next timer that is due; false: none. */
bool timers_pop(struct timers *t, uint64_t now_ns, uint64_t *token);
static inline uint64_t timers_next_ns(const struct timers *t)
{
    return t->n ? t->heap[0].at_ns : UINT64_MAX;
}

/* ---- coalesce.c ---- */
/* This poll looked at the backend and found b->n_events datagrams. */
void coalesce_learn(struct weir_engine *e);
/* Datagrams come dense and the last look is not long ago: let them gather. */
bool coalesce_waits(const struct weir_engine *e);

/* ---- config.c ------------------------------------------------------------------------------- */
/* Resolve the zero fields and refuse what cannot be. 0 or -EINVAL. */
int config_resolve(struct weir_engine_opt *opt, bool frames, struct weir_why *why);
uint32_t config_items(const struct weir_engine_opt *opt);

#endif
