/* SPDX-License-Identifier: MIT
 * What a pool is, for the files of this room and the tests that plant damage in it.
 *
 *   slots   | small 0 1 2 ... | big 0 1 ... | run 0 1 2 ... |  slot = base + index * stride
 *   heads   | struct weir_pool | headers: small big run view | stacks | map | returns | seen |
 *
 * Conservation is kept by subtraction: each section knows how many of its slots are free, in
 * transmission and in a backend; the application has the rest. So taking and dropping, the hot
 * pair, moves one number only. */
#ifndef WEIR_POOL_INSIDE_H
#define WEIR_POOL_INSIDE_H

#include "base/base.h"
#include "buf/pool.h"

#define NO_BUF UINT32_MAX /* no index of a header */

struct section {
    struct weir_buf *bufs;   /* headers, `total` of them */
    struct weir_buf **stack; /* the free ones, last in first out; of WEIR_RUN the map instead */
    uint8_t *base;           /* first slot; NULL of WEIR_VIEW */
    uint32_t stride;         /* bytes of a slot; 0 of WEIR_VIEW */
    uint32_t total, free, tx, backend; /* in slots */
};

/* References to one buffer that other threads gave up and its own has not yet collected. */
struct returns {
    _Atomic uint32_t count; /* pairs with itself: see home.c */
    uint32_t next;          /* header after this one on the list, NO_BUF at its end */
};

struct weir_pool {
    /* Written at open: what other threads read when they drop. */
    uint32_t owner; /* thread_id of the thread that this pool belongs to */
    uint32_t headroom, small_bytes, small_shift;
    struct weir_buf *bufs;   /* headers of all sections */
    struct returns *returns; /* one a header */
    uint16_t *seen;          /* weir_pool_check's notes, one a header */
    uint64_t *map;           /* a bit a run slot, 1 = taken */
    uint32_t n_bufs;

    /* The owner's alone. */
    alignas(CACHE_PAIR) struct section section[WEIR_SECTIONS];
    uint64_t empty, returned, copied; /* as weir_pool_stats has them */
    uint32_t run_next;                /* where the next search for a run begins */
    struct weir_mem slots, heads;     /* the two regions */

    /* Written by any thread: first header of the list of returns. */
    alignas(CACHE_PAIR) _Atomic uint32_t away;
};

static inline bool at_home(const struct weir_pool *pool)
{
    return pool->owner == thread_id();
}

static inline bool run_taken(const struct weir_pool *pool, uint32_t slot)
{
    return pool->map[slot / 64] >> (slot % 64) & 1;
}

/* How many slots a buffer takes up. */
static inline uint32_t buf_slots(const struct weir_buf *buf)
{
    return buf->section == WEIR_RUN ? buf->room >> buf->pool->small_shift : 1;
}

/* run.c: `k` neighbours, one header with room for all; NULL when no such gap is left. */
struct weir_buf *run_take(struct weir_pool *pool, uint32_t k);
void run_free(struct weir_pool *pool, struct weir_buf *buf);

/* home.c: give up one reference to each of the first buffers of one pool, on a foreign thread.
 * Returns how many. */
unsigned home_send(struct weir_pool *pool, struct weir_buf **bufs, unsigned n);

#endif
