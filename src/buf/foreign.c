/* SPDX-License-Identifier: MIT
 * Buffers between pools of two threads; the picture is in foreign.h.
 *
 * Whoever hands the pointer over (a ring) makes what was written before visible to who takes it.
 * Of a foreign header only this is read: pool, section, base, room, which never change while it is
 * out, and the peer, which its owner wrote before it left. */
#include "buf/foreign.h"
#include "buf/inside.h"

/* A view goes and its parent's reference stays ours to give. */
static struct weir_buf *view_shed(struct weir_buf *view)
{
    struct section *s = &view->pool->section[WEIR_VIEW];
    struct weir_buf *parent = view->parent;

    assert(view->refs == 1);
    view->refs = 0;
    view->state = WEIR_FREE;
    s->stack[s->free++] = view;
    return parent;
}

void buf_leave(struct weir_buf *buf, struct away *ret)
{
    assert(at_home(buf->pool) && buf->refs > buf->tx_refs);
    ret->data = buf->data;
    ret->len = buf->len;
    if (buf->section != WEIR_VIEW) {
        ret->buf = buf;
        ret->whole = buf->refs == 1;
        return;
    }
    ret->whole = buf->flags & WEIR_BUF_WHOLE;
    ret->buf = view_shed(buf);
}

/* The reference that came is the view's; the parent's count does not change. */
static struct weir_buf *wrap(struct weir_pool *pool, const struct away *from, bool write)
{
    struct section *s = &pool->section[WEIR_VIEW];
    struct weir_buf *view;

    if (s->free == 0)
        return NULL;
    view = s->stack[--s->free];
    assert(view->state == WEIR_FREE && view->refs == 0);
    view->data = from->data;
    view->len = view->room = from->len;
    view->peer = from->buf->peer;
    view->parent = from->buf;
    view->refs = 1;
    view->tx_refs = 0;
    view->state = WEIR_APP;
    view->flags = from->whole && write ? WEIR_BUF_WHOLE : 0;
    view->flags |= from->buf->pool != pool ? BUF_FOREIGN : 0;
    return view;
}

struct weir_buf *buf_arrive(struct weir_pool *pool, const struct away *from, bool write)
{
    struct weir_buf *buf = from->buf;

    assert(at_home(pool));
    if (buf->pool != pool || !from->whole)
        return wrap(pool, from, write);
    assert(buf->state == WEIR_APP && buf->refs == 1);
    buf->data = from->data;
    buf->len = from->len;
    return buf;
}

void away_drop(const struct away *away)
{
    struct weir_buf *buf = away->buf;

    weir_buf_drop(&buf, 1);
}

void buf_from_tx(struct weir_buf *buf)
{
    assert(at_home(buf->pool) && buf->state == WEIR_TX);
    if (--buf->tx_refs > 0)
        return;
    buf->state = WEIR_APP;
    buf->pool->section[buf->section].tx -= buf_slots(buf);
}
