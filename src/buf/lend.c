/* SPDX-License-Identifier: MIT
 * The pool as the allocator of a library whose devices take and give buffers themselves (DPDK):
 *
 *     FREE -> BACKEND   a device posts slots to receive into          pool_lend
 *     BACKEND -> APP    it received into one                          pool_landed
 *     BACKEND -> FREE   it was stopped and gives back what it posted  pool_return
 *     TX -> FREE        it gives back what it sent: the completion    pool_return
 *
 * Devices have threads of their own (links that come and go), so a return may come on any thread;
 * then it goes home through the return list (home.c). The usual kind is settled here in bursts, as
 * takes and drops are in buf.c. */
#include "buf/inside.h"

bool pool_lend(struct weir_pool *pool, struct weir_buf **ret, unsigned n)
{
    struct section *s = &pool->section[WEIR_SMALL];
    struct weir_buf **top = s->stack + s->free;

    assert(at_home(pool));
    if (unlikely(n > s->free))
        return false;
    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *buf = *--top;
        assert(buf->state == WEIR_FREE && buf->refs == 0);
        unpoison(buf->base, buf->room);
        buf->data = buf->base;
        buf->len = 0;
        buf->refs = 1;
        buf->state = WEIR_BACKEND;
        ret[i] = buf;
    }
    s->free -= n;
    s->backend += n;
    return true;
}

void pool_landed(struct weir_pool *pool, struct weir_buf **bufs, unsigned n)
{
    struct section *s = &pool->section[WEIR_SMALL];
    unsigned sent = 0;

    for (unsigned i = 0; i < n; i++) {
        assert(bufs[i]->pool == pool && bufs[i]->refs == 1);
        sent += bufs[i]->state == WEIR_TX;
        bufs[i]->tx_refs = 0;
        bufs[i]->state = WEIR_APP;
        bufs[i]->flags = 0;
    }
    s->tx -= sent;
    s->backend -= n - sent;
}

void pool_reclaim(struct weir_pool *pool, bool sent)
{
    pool_collect(pool);
    for (uint32_t i = 0; i < pool->section[WEIR_SMALL].total; i++) {
        struct weir_buf *buf = pool_buf(pool, WEIR_SMALL, i);
        if (buf->state == WEIR_BACKEND)
            pool_return(&buf, 1);
        for (unsigned n = sent ? buf->tx_refs : 0; n > 0; n--)
            buf_tx_done(buf);
    }
}

uint32_t pool_sent(const struct weir_pool *pool)
{
    return pool->section[WEIR_SMALL].tx;
}

bool pool_at_home(const struct weir_pool *pool)
{
    return at_home(pool);
}

bool buf_over(const struct weir_buf *buf)
{
    const struct weir_buf *whole = buf->section == WEIR_VIEW ? buf->parent : buf;

    return whole->section == WEIR_SMALL && whole->pool->n_table > 0;
}

/* One that the device alone has: most are, and the stack of free ones is all that changes. */
static inline bool sole(const struct weir_buf *buf, const struct weir_pool *pool)
{
    return buf->refs == 1 && buf->pool == pool && buf->section == WEIR_SMALL &&
           (buf->state == WEIR_BACKEND || (buf->state == WEIR_TX && buf->tx_refs == 1));
}

static unsigned return_sole(struct weir_pool *pool, struct weir_buf **bufs, unsigned n)
{
    struct section *s = &pool->section[WEIR_SMALL];
    struct weir_buf **top = s->stack + s->free;
    unsigned i, sent = 0;

    for (i = 0; i < n && sole(bufs[i], pool); i++) {
        struct weir_buf *buf = bufs[i];
        poison(buf->base, buf->room);
        sent += buf->state == WEIR_TX;
        buf->refs = buf->tx_refs = 0;
        buf->state = WEIR_FREE;
        *top++ = buf;
    }
    s->free += i;
    s->tx -= sent;
    s->backend -= i - sent;
    return i;
}

void pool_return(struct weir_buf **bufs, unsigned n)
{
    const uint32_t self = thread_id();

    for (unsigned i = 0; i < n;) {
        struct weir_pool *pool = bufs[i]->pool;
        unsigned done = pool->owner == self ? return_sole(pool, bufs + i, n - i) : 0;
        if (done == 0 && pool->owner == self)
            buf_tx_done(bufs[i]); /* shared: others hold it still */
        else if (done == 0)
            home_done(bufs[i]);
        i += done ? done : 1;
    }
}
