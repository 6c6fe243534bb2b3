/* SPDX-License-Identifier: MIT
 * What a pool is, for the files of this room and the tests that plant damage in it.
 *
 *   slots   | small 0 1 2 ... | big 0 1 ... | run 0 1 2 ... |  slot = base + index * stride
 *   heads   | struct weir_pool | headers: small big run view | stacks | map | returns | seen |
 *
 * Conservation is kept by subtraction: each section knows how many of its slots are free, in
 * transmission and in a backend; the application has the rest. So taking and dropping, the hot
 * pair, moves one number only.
 *
 * Of a pool over another's memory (pool_open_over) the small section has no slots and no headers in
 * these regions, but a table of headers, each with its slot right behind it. A header's *number*,
 * for the return list and the audit, counts through all sections in both cases. */
#ifndef WEIR_POOL_INSIDE_H
#define WEIR_POOL_INSIDE_H

#include "base/base.h"
#include "buf/pool.h"

#define NO_BUF UINT32_MAX /* no index of a header */

struct section {
    struct weir_buf *bufs;   /* headers, `total` of them; NULL: in the pool's table */
    struct weir_buf **stack; /* the free ones, last in first out; of WEIR_RUN the map instead */
    uint8_t *base;           /* first slot; NULL of WEIR_VIEW */
    uint32_t stride;         /* bytes of a slot; 0 of WEIR_VIEW */
    uint32_t total, free, tx, backend; /* in slots */
};

/* References to one buffer that other threads gave up and its own has not yet collected. */
struct returns {
    _Atomic uint32_t count; /* drops, and 65,536 a transmission; pairs with itself: see home.c */
    uint32_t next;          /* header after this one on the list, NO_BUF at its end */
};

struct weir_pool {
    /* Written at open: what other threads read when they drop. */
    uint32_t owner; /* thread_id of the thread that this pool belongs to */
    uint32_t headroom, small_bytes, small_shift;
    struct weir_buf **table; /* headers of another's memory: numbers 0 .. n_table - 1, ascending */
    struct weir_buf *bufs;   /* headers of the other sections: numbers from n_table on */
    struct returns *returns; /* one a header */
    uint16_t *seen;          /* weir_pool_check's notes, one a header */
    uint64_t *map;           /* a bit a run slot, 1 = taken */
    uint32_t n_bufs, n_table;
    uint32_t first[WEIR_SECTIONS]; /* number of the section's slot 0 */

    /* The owner's alone. */
    alignas(CACHE_PAIR) struct section section[WEIR_SECTIONS];
    uint64_t empty, returned, copied; /* as weir_pool_stats has them */
    uint32_t run_next;                /* where the next search for a run begins */
    struct weir_mem slots, heads;     /* the two regions */
    struct pool_memory over;          /* whose memory the small slots are, see pool.h */

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

/* A header's number, and the header of one.  Thread any: what they read is written at open. */
static inline uint32_t buf_number(const struct weir_buf *buf)
{
    return buf->pool->first[buf->section] + buf->slot;
}
static inline struct weir_buf *buf_numbered(const struct weir_pool *pool, uint32_t number)
{
    return likely(number >= pool->n_table) ? &pool->bufs[number - pool->n_table]
                                           : pool->table[number];
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
/* The same of one buffer that a device had: a transmission's reference, or what was lent to it. */
void home_done(struct weir_buf *buf);

#endif
