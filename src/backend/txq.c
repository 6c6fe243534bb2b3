/* SPDX-License-Identifier: MIT
 * Send queues: items from one bounded pool, linked by index, first in first out at each endpoint.
 *
 * weir_send appends, a backend's flush takes from the head. Each item holds one tx reference of
 * its buffer, so one payload may stand in many queues (weir_send_many) and goes home with the last
 * of them. */
#include "backend.h"

#define GSO_BYTES_MAX                                                                              \
    65487u /* 65,535 less the IPv6 and UDP headers: the smaller of both families */

bool txq_push(struct backend *b, struct endpoint *ep, struct weir_buf *buf,
              const struct weir_addr *to)
{
    uint32_t index = b->items_free;
    if (unlikely(index == NIL))
        return false;
    struct tx_item *item = &b->items[index];
    b->items_free = item->next;
    b->items_used++;
    item->buf = buf;
    item->to = *to;
    item->next = NIL;
    if (ep->tx_tail == NIL)
        ep->tx_head = index;
    else
        b->items[ep->tx_tail].next = index;
    ep->tx_tail = index;
    ep->tx_count++;
    return true;
}

/* The free items are a list as a queue is: a burst takes its beginning as it is linked. */
unsigned txq_push_many(struct backend *b, struct endpoint *ep, struct weir_buf **bufs, unsigned n)
{
    const uint32_t first = b->items_free;
    uint32_t next = first, last = NIL;
    unsigned took = 0;
    for (; took < n && next != NIL; took++) {
        struct tx_item *item = &b->items[next];
        item->buf = bufs[took];
        item->to = bufs[took]->peer;
        last = next;
        next = item->next;
    }
    if (took == 0)
        return 0;
    b->items[last].next = NIL;
    b->items_free = next;
    b->items_used += took;
    if (ep->tx_tail == NIL)
        ep->tx_head = first;
    else
        b->items[ep->tx_tail].next = first;
    ep->tx_tail = last;
    ep->tx_count += took;
    return took;
}

void txq_detach_many(struct backend *b, struct endpoint *ep, unsigned n)
{
    const uint32_t first = ep->tx_head;
    uint32_t last = NIL, next = first;
    assert(n <= ep->tx_count);
    for (unsigned i = 0; i < n; i++) {
        last = next;
        next = b->items[next].next;
    }
    if (n == 0)
        return;
    b->items[last].next = b->items_free;
    b->items_free = first;
    b->items_used -= n;
    ep->tx_head = next;
    if (next == NIL)
        ep->tx_tail = NIL;
    ep->tx_count -= n;
}

struct weir_buf *txq_detach(struct backend *b, struct endpoint *ep, struct weir_addr *to)
{
    uint32_t index = ep->tx_head;
    assert(index != NIL);
    struct tx_item *item = &b->items[index];
    ep->tx_head = item->next;
    if (ep->tx_head == NIL)
        ep->tx_tail = NIL;
    ep->tx_count--;
    if (to)
        *to = item->to;
    item->next = b->items_free;
    b->items_free = index;
    b->items_used--;
    return item->buf;
}

void txq_pop(struct backend *b, struct endpoint *ep, unsigned n)
{
    struct weir_buf *home[64];
    while (n) {
        unsigned burst = min_of(n, (unsigned)array_len(home));
        for (unsigned i = 0; i < burst; i++)
            home[i] = txq_detach(b, ep, NULL);
        buf_tx_done_many(home, burst);
        n -= burst;
    }
}

void txq_advance(struct backend *b, struct endpoint *ep, size_t bytes)
{
    COUNT(&b->counters, tx_bytes, bytes);
    while (ep->tx_count) {
        size_t left = txq_head(b, ep)->buf->len - ep->tx_off;
        if (bytes < left)
            break;
        bytes -= left;
        ep->tx_off = 0;
        txq_pop(b, ep, 1);
    }
    ep->tx_off += (uint32_t)bytes;
    assert(ep->tx_count || !ep->tx_off);
}

unsigned txq_gather(struct backend *b, struct tx_item **next, struct weir_buf **bufs, unsigned max,
                    uint32_t *segment)
{
    struct tx_item *first = *next;
    uint32_t size = first->buf->len, bytes = size;
    unsigned n = 1;
    bufs[0] = first->buf;
    struct tx_item *item = txq_next(b, first);
    bool whole = size > 0; /* an empty datagram cannot be a segment */
    while (whole && item && n < max && addr_equal(&item->to, &first->to)) {
        uint32_t len = item->buf->len;
        if (len > size || len == 0 || bytes + len > GSO_BYTES_MAX)
            break;
        whole = len == size; /* a shorter one is the last */
        bufs[n++] = item->buf;
        bytes += len;
        item = txq_next(b, item);
    }
    *segment = n > 1 ? size : 0;
    *next = item;
    return n;
}
