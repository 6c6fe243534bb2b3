/* SPDX-License-Identifier: MIT
 * Take, keep, drop: FREE -> APP -> FREE, and to a transmission or a backend and home again.
 *
 * The hot path is a stack of pointers a section: what was dropped last is taken first, while its
 * header is still in the first-level cache. Taking writes 18 bytes of the header and dropping 5;
 * what never changes was written at open, and the application's share is counted by subtraction
 * (inside.h).
 *
 * Invariants: state TX while tx_refs > 0, else APP while refs > 0, else FREE; BACKEND has
 * exactly one reference. tx_refs <= refs. A free slot is poisoned. */
#include "buf/inside.h"

#include <string.h>

static inline void buf_ready(struct weir_buf *buf, uint32_t headroom)
{
    assert(buf->state == WEIR_FREE && buf->refs == 0);
    unpoison(buf->base, buf->room);
    buf->data = buf->base + headroom;
    buf->len = 0;
    buf->refs = 1;
    buf->tx_refs = 0;
    buf->state = WEIR_APP;
    buf->flags = 0;
}

unsigned pool_take(struct weir_pool *pool, unsigned section, struct weir_buf **ret, unsigned n)
{
    struct section *s = &pool->section[section];
    struct weir_buf **top = s->stack + s->free;
    const uint32_t headroom = pool->headroom;

    assert(at_home(pool) && section <= WEIR_BIG);
    n = min_of(n, s->free);
    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *buf = *--top;
        buf_ready(buf, headroom);
        ret[i] = buf;
    }
    s->free -= n;
    return n;
}

unsigned weir_buf_take(struct weir_pool *pool, struct weir_buf **ret, unsigned n)
{
    unsigned got = pool_take(pool, WEIR_SMALL, ret, n);

    pool->empty += got < n;
    return got;
}

/* A run for `bytes` behind the headroom, NULL when it is more than a run may be or no gap is
 * left. */
static struct weir_buf *take_run(struct weir_pool *pool, size_t bytes)
{
    uint64_t most =
        min_of((uint64_t)pool->section[WEIR_RUN].total << pool->small_shift, UINT32_MAX);
    struct weir_buf *buf;

    if (most < pool->headroom || bytes > most - pool->headroom)
        return NULL;
    buf = run_take(pool, (uint32_t)((bytes + pool->headroom + pool->small_bytes - 1) >>
                                    pool->small_shift));
    if (buf)
        buf_ready(buf, pool->headroom);
    return buf;
}

struct weir_buf *weir_buf_take_bytes(struct weir_pool *pool, size_t bytes)
{
    struct weir_buf *buf = NULL;

    assert(at_home(pool));
    for (unsigned s = WEIR_SMALL; s <= WEIR_BIG; s++)
        if (bytes <= pool->section[s].stride - pool->headroom && pool_take(pool, s, &buf, 1))
            return buf;
    buf = take_run(pool, bytes);
    pool->empty += buf == NULL;
    return buf;
}

static void buf_put(struct weir_buf *buf, unsigned n);

/* `n` views of one parent are gone. A parent of another thread's pool goes home (foreign.h). */
static void parent_put(struct weir_buf *parent, unsigned n)
{
    if (likely(at_home(parent->pool))) {
        buf_put(parent, n);
        return;
    }
    while (n-- > 0)
        home_send(parent->pool, &parent, 1);
}

/* The last reference is gone: back to the free slots, and a view lets go of its parent. */
static void buf_free(struct weir_buf *buf)
{
    struct weir_pool *pool = buf->pool;
    struct section *s = &pool->section[buf->section];

    buf->state = WEIR_FREE;
    if (buf->section != WEIR_VIEW)
        poison(buf->base, buf->room);
    if (buf->section == WEIR_RUN)
        run_free(pool, buf);
    else
        s->stack[s->free++] = buf;
    if (buf->section == WEIR_VIEW)
        parent_put(buf->parent, 1);
}

/* Give up `n` references that no transmission holds. */
static void buf_put(struct weir_buf *buf, unsigned n)
{
    assert(buf->state == WEIR_APP || buf->state == WEIR_TX);
    assert(buf->refs >= buf->tx_refs + n);
    buf->refs = (uint16_t)(buf->refs - n);
    if (buf->refs == 0)
        buf_free(buf);
}

/* Both counts of references as one word, and section and state as another: what is compared of each
 * buffer of a burst. Not flags, which may have been written a moment ago: a load of both would
 * wait for that store. */
static inline uint32_t refs_word(const struct weir_buf *buf)
{
    uint32_t word;

    memcpy(&word, (const char *)buf + offsetof(struct weir_buf, refs), sizeof word);
    return word;
}
static inline uint16_t kind_word(const struct weir_buf *buf)
{
    uint16_t word;

    memcpy(&word, (const char *)buf + offsetof(struct weir_buf, section), sizeof word);
    return word;
}

/* Of the usual kind: one reference, which is of the state of `like` and about to end; and of the same
 * pool, section and parent, so that what they share is settled once. */
static inline bool alike(const struct weir_buf *buf, const struct weir_buf *like)
{
    return refs_word(buf) == refs_word(like) && kind_word(buf) == kind_word(like) &&
           buf->pool == like->pool && (like->section != WEIR_VIEW || buf->parent == like->parent);
}

/* Free the first of `bufs`, as many as are alike. Returns how many: 0 when the first is not of
 * the usual kind. */
static inline unsigned free_alike(struct weir_buf **bufs, unsigned n, unsigned state)
{
    const struct weir_buf like = {.refs = 1,
                                  .tx_refs = state == WEIR_TX,
                                  .section = bufs[0]->section,
                                  .state = (uint8_t)state,
                                  .parent = bufs[0]->parent,
                                  .pool = bufs[0]->pool};
    struct section *s = &like.pool->section[like.section];
    struct weir_buf **top = s->stack + s->free;
    unsigned i;

    if (unlikely(like.section == WEIR_RUN))
        return 0;
    for (i = 0; i < n && alike(bufs[i], &like); i++) {
        struct weir_buf *buf = bufs[i];
        if (like.section != WEIR_VIEW)
            poison(buf->base, buf->room);
        buf->refs = buf->tx_refs = 0;
        buf->state = WEIR_FREE;
        top[i] = buf;
    }
    s->free += i;
    s->tx -= state == WEIR_TX ? i : 0;
    if (like.section == WEIR_VIEW && i > 0)
        parent_put(like.parent, i);
    return i;
}

_Static_assert(offsetof(struct weir_buf, tx_refs) == offsetof(struct weir_buf, refs) + 2 &&
                   offsetof(struct weir_buf, state) == offsetof(struct weir_buf, section) + 1,
               "neighbours: two words");

/* One burst's beginning, at home. Returns how many were dropped. */
static inline unsigned drop_home(struct weir_buf **bufs, unsigned n)
{
    unsigned done = free_alike(bufs, n, WEIR_APP);

    if (done > 0)
        return done;
    buf_put(bufs[0], 1);
    return 1;
}

void weir_buf_drop(struct weir_buf **bufs, unsigned n)
{
    const uint32_t self = thread_id();

    for (unsigned i = 0; i < n;) {
        struct weir_pool *pool = bufs[i]->pool;
        if (likely(pool->owner == self))
            i += drop_home(bufs + i, n - i);
        else
            i += home_send(pool, bufs + i, n - i);
    }
}

bool buf_ref(struct weir_buf *buf, unsigned n)
{
    assert(at_home(buf->pool));
    assert(buf->state == WEIR_APP || buf->state == WEIR_TX);
    if (n > (unsigned)(UINT16_MAX - buf->refs))
        return false;
    buf->refs = (uint16_t)(buf->refs + n);
    return true;
}

void buf_to_backend(struct weir_buf *buf)
{
    assert(at_home(buf->pool) && buf->section != WEIR_VIEW);
    assert(buf->state == WEIR_APP && buf->refs == 1);
    buf->state = WEIR_BACKEND;
    buf->pool->section[buf->section].backend += buf_slots(buf);
}

void buf_from_backend(struct weir_buf *buf)
{
    assert(at_home(buf->pool) && buf->state == WEIR_BACKEND);
    buf->state = WEIR_APP;
    buf->pool->section[buf->section].backend -= buf_slots(buf);
}

void buf_to_backend_many(struct weir_buf **bufs, unsigned n)
{
    unsigned big = 0;

    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *buf = bufs[i];
        assert(at_home(buf->pool) && buf->pool == bufs[0]->pool && buf->section <= WEIR_BIG);
        assert(buf->state == WEIR_APP && buf->refs == 1);
        buf->state = WEIR_BACKEND;
        big += buf->section;
    }
    if (n == 0)
        return;
    bufs[0]->pool->section[WEIR_SMALL].backend += n - big;
    bufs[0]->pool->section[WEIR_BIG].backend += big;
}

void buf_from_backend_many(struct weir_buf **bufs, unsigned n)
{
    unsigned big = 0;

    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *buf = bufs[i];
        assert(at_home(buf->pool) && buf->pool == bufs[0]->pool && buf->section <= WEIR_BIG);
        assert(buf->state == WEIR_BACKEND);
        buf->state = WEIR_APP;
        big += buf->section;
    }
    if (n == 0)
        return;
    bufs[0]->pool->section[WEIR_SMALL].backend -= n - big;
    bufs[0]->pool->section[WEIR_BIG].backend -= big;
}

_Static_assert(WEIR_SMALL == 0 && WEIR_BIG == 1, "a sum of sections counts the big ones");

void buf_to_tx(struct weir_buf *buf)
{
    assert(at_home(buf->pool) && buf->tx_refs < buf->refs);
    assert(buf->state == WEIR_APP || buf->state == WEIR_TX);
    if (buf->tx_refs++ > 0)
        return;
    buf->state = WEIR_TX;
    buf->pool->section[buf->section].tx += buf_slots(buf);
}

void buf_to_tx_many(struct weir_buf **bufs, unsigned n)
{
    struct section *like = n ? &bufs[0]->pool->section[bufs[0]->section] : NULL;
    uint32_t slots = 0;

    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *buf = bufs[i];
        assert(at_home(buf->pool) && buf->tx_refs < buf->refs);
        assert(buf->state == WEIR_APP || buf->state == WEIR_TX);
        buf->flags &= (uint8_t)~WEIR_BUF_BORROWED;
        if (unlikely(buf->tx_refs++ > 0))
            continue;
        buf->state = WEIR_TX;
        if (likely(&buf->pool->section[buf->section] == like))
            slots += buf_slots(buf);
        else
            buf->pool->section[buf->section].tx += buf_slots(buf);
    }
    if (n)
        like->tx += slots;
}

void buf_tx_done(struct weir_buf *buf)
{
    assert(at_home(buf->pool) && buf->state == WEIR_TX);
    if (--buf->tx_refs == 0) {
        buf->state = WEIR_APP;
        buf->pool->section[buf->section].tx -= buf_slots(buf);
    }
    buf_put(buf, 1);
}

void buf_tx_done_many(struct weir_buf **bufs, unsigned n)
{
    assert(n == 0 || at_home(bufs[0]->pool));
    for (unsigned i = 0; i < n;) {
        unsigned done = free_alike(bufs + i, n - i, WEIR_TX);
        if (done == 0)
            buf_tx_done(bufs[i]);
        i += done ? done : 1;
    }
}
