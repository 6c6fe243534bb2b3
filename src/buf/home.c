/* SPDX-License-Identifier: MIT
 * The way home for what other threads drop: a list of headers, linked through an array beside
 * them, with the number of references that were given up. Any thread adds; the owner takes the
 * whole list at once.
 *
 * What a device gives back on a foreign thread comes the same way, counted by itself: the upper half
 * of the number. Neither half can run over, as a buffer has at most 65,535 references.
 *
 * It cannot be too small: each header is on the list at most once, however many references come
 * home, and has its place there from the start. The thread that raises a header's count from 0
 * is the one that links it.
 *
 * Two edges, each an atomic that pairs with itself in this file:
 *   R1  returns.count   what a thread did with the buffer happens before its owner reuses it, and
 *                       the owner's read of `next` before the write of who counts from 0 again
 *   R2  pool.away       the links of a chain are written before the owner follows them */
#include "buf/inside.h"

#define DONE 65536u /* one that a device gave back, in returns.count */

/* Put a chain first on the list. Only pushes and a take of all: so there is no ABA to fear. */
static void push(struct weir_pool *pool, uint32_t first, uint32_t last)
{
    uint32_t head = atomic_load_explicit(&pool->away, memory_order_relaxed);

    do
        pool->returns[last].next = head;
    while (!atomic_compare_exchange_weak_explicit(&pool->away, &head, first, memory_order_release,
                                                  memory_order_relaxed)); /* R2 */
}

/* True: the count was 0, and the caller links the header. */
static bool give_up(struct weir_pool *pool, uint32_t at, uint32_t n)
{
    return atomic_fetch_add_explicit(&pool->returns[at].count, n, memory_order_acq_rel) ==
           0; /* R1 */
}

unsigned home_send(struct weir_pool *pool, struct weir_buf **bufs, unsigned n)
{
    uint32_t first = NO_BUF, last = NO_BUF;
    unsigned i;

    for (i = 0; i < n && bufs[i]->pool == pool; i++) {
        uint32_t at = buf_number(bufs[i]);
        if (!give_up(pool, at, 1))
            continue; /* whoever counted from 0 has linked it, or is about to */
        pool->returns[at].next = first;
        first = at;
        last = last == NO_BUF ? at : last;
    }
    if (first != NO_BUF)
        push(pool, first, last);
    return i;
}

void home_done(struct weir_buf *buf)
{
    struct weir_pool *pool = buf->pool;
    uint32_t at = buf_number(buf);

    if (give_up(pool, at, DONE))
        push(pool, at, at);
}

/* Give up what one header collected. */
static void home_take(struct weir_pool *pool, uint32_t at)
{
    uint32_t count =
        atomic_exchange_explicit(&pool->returns[at].count, 0, memory_order_acq_rel); /* R1 */
    struct weir_buf *buf = buf_numbered(pool, at);
    uint32_t done = count / DONE, dropped = count % DONE;

    pool->returned += done + dropped;
    while (dropped-- > 0)
        weir_buf_drop(&buf, 1);
    while (done-- > 0)
        pool_return(&buf, 1);
}

void pool_collect(struct weir_pool *pool)
{
    uint32_t at, next;

    assert(at_home(pool));
    if (likely(atomic_load_explicit(&pool->away, memory_order_relaxed) == NO_BUF))
        return;
    at = atomic_exchange_explicit(&pool->away, NO_BUF, memory_order_acquire); /* R2 */
    for (; at != NO_BUF; at = next) {
        next = pool->returns[at].next;
        home_take(pool, at);
    }
}
