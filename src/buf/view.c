/* SPDX-License-Identifier: MIT
 * Views: the datagrams of one GRO receive, each a header without a slot, its bytes in the
 * parent's.
 *
 *     parent  | headroom | datagram | datagram | datagr |        refs = its own + one a view
 *     views              ^          ^          ^
 *
 * The last view that goes frees the parent (buf.c). A view that is to outlive its handler is
 * copied out, so that one small datagram does not pin 64 KiB. A parent is never a view itself. */
#include "buf/inside.h"

#include <string.h>

static void view_make(struct weir_buf *view, struct weir_buf *parent, const uint8_t *data,
                      uint32_t len)
{
    assert(view->state == WEIR_FREE && view->refs == 0);
    view->data = parent->data + (data - parent->data); /* const of the caller's pointer ends here */
    view->len = view->room = len;
    view->peer = parent->peer;
    view->parent = parent;
    view->refs = 1;
    view->tx_refs = 0;
    view->state = WEIR_APP;
    view->flags = 0;
}

/* How many views there may be: of `bytes`, of the headers left, of the references that a parent
 * counts. */
static uint32_t views_max(const struct weir_buf *parent, uint32_t bytes, uint32_t segment,
                          unsigned max)
{
    uint32_t most = bytes / segment + (bytes % segment != 0);

    most = min_of(most, max);
    most = min_of(most, parent->pool->section[WEIR_VIEW].free);
    return min_of(most, (uint32_t)(UINT16_MAX - parent->refs));
}

unsigned buf_views(struct weir_buf *parent, const uint8_t *data, uint32_t bytes, uint32_t segment,
                   struct weir_buf **ret, unsigned max)
{
    struct section *s = &parent->pool->section[WEIR_VIEW];

    assert(at_home(parent->pool) && parent->section != WEIR_VIEW && segment > 0);
    uint32_t n = views_max(parent, bytes, segment, max);
    assert(parent->state == WEIR_APP || parent->state == WEIR_TX);
    assert(data >= parent->base && bytes <= parent->room - (uint32_t)(data - parent->base));
    for (uint32_t i = 0; i < n; i++) {
        ret[i] = s->stack[--s->free];
        view_make(ret[i], parent, data, min_of(segment, bytes));
        data += ret[i]->len;
        bytes -= ret[i]->len;
    }
    parent->refs = (uint16_t)(parent->refs + n);
    return n;
}

static struct weir_buf *view_copy(const struct weir_buf *view)
{
    struct weir_buf *copy = weir_buf_take_bytes(view->pool, view->len);

    if (!copy)
        return NULL;
    memcpy(copy->data, view->data, view->len);
    copy->len = view->len;
    copy->peer = view->peer;
    view->pool->copied++;
    return copy;
}

struct weir_buf *weir_buf_keep(struct weir_buf *buf)
{
    assert(at_home(buf->pool));
    assert(buf->state == WEIR_APP || buf->state == WEIR_TX);
    if (buf->section == WEIR_VIEW)
        return view_copy(buf);
    return buf_ref(buf, 1) ? buf : NULL;
}
