/* SPDX-License-Identifier: MIT
 * Impairments around the datagrams of a socket backend. Inward: the WEIR_DATAGRAM events of a harvest
 * are sifted before anybody sees them. Outward: the new items of a queue are sifted before the
 * backend flushes it; what leaves later joins its queue at the end of a poll.
 *
 * Invariant: an item is judged once, however often a full kernel leaves it in its queue. */
#include "backend/wrap_fault.h"

static const struct backend_ops *inner(const struct backend *b)
{
    return b->fault->inner;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void tell_due(struct backend *b)
{
    struct fault_packet p;
    while (backend_room(b) && fault_due(b, FAULT_IN, &p)) {
        struct endpoint *ep = endpoint_get(b, p.ep);
        if (!ep) {
            COUNT(&b->counters, stale_events, 1);
            fault_drop(b, FAULT_IN, &p);
            continue;
        }
        COUNT(&b->counters, rx_packets, 1);
        COUNT(&b->counters, rx_bytes, p.frame.buf->len);
        backend_emit(b, ep, WEIR_DATAGRAM, p.frame.buf);
    }
}

static struct weir_event event_of(const struct backend *b, const struct fault_packet *p)
{
    return (struct weir_event){.kind = WEIR_DATAGRAM,
                               .ep = p->ep,
                               .buf = p->frame.buf,
                               .rx_ns = b->now_ns};
}

/* The events from `from` on; the counters then say what was told. */
static void sift_events(struct backend *b, uint32_t from)
{
    uint64_t packets = 0, bytes = 0; /* told less than received: they wrap, and so does the sum */
    uint32_t k = from, end = b->n_events;
    for (uint32_t i = from; i < end; i++) {
        struct weir_event *event = &b->events[i];
        struct fault_packet p = {.frame.buf = event->buf, .ep = event->ep}, go[FAULT_GO];
        if (event->kind != WEIR_DATAGRAM) {
            b->events[k++] = *event;
            continue;
        }
        packets--;
        bytes -= event->buf->len;
        unsigned n = fault_judge(b, FAULT_IN, &p, go);
        for (unsigned j = 0; j < n; j++) {
            if (k > i) {
                fault_hold(b, FAULT_IN, &go[j], b->now_ns);
                continue;
            }
            packets++;
            bytes += go[j].frame.buf->len;
            b->events[k++] = event_of(b, &go[j]);
        }
    }
    b->n_events = k;
    COUNT(&b->counters, rx_packets, packets);
    COUNT(&b->counters, rx_bytes, bytes);
}

static int fault_harvest(struct backend *b)
{
    tell_due(b);
    uint32_t from = b->n_events;
    int rc = inner(b)->rx(b);
    if (b->n_events > from)
        sift_events(b, from);
    return rc;
}

/* ---- sending -------------------------------------------------------------------------------- */

/* Into the queue of its endpoint, whose items are all judged. False: it stays the caller's. */
static bool queue(struct backend *b, struct endpoint *ep, const struct fault_packet *p)
{
    return txq_push(b, ep, p->frame.buf, &p->to);
}

static void sift_item(struct backend *b, struct endpoint *ep, struct fault_packet *p)
{
    struct fault_packet go[FAULT_GO];
    unsigned n = fault_judge(b, FAULT_OUT, p, go);
    for (unsigned j = 0; j < n; j++)
        if (go[j].ep != ep->handle || !queue(b, ep, &go[j]))
            fault_hold(b, FAULT_OUT, &go[j], b->now_ns);
}

/* Every item goes round once; those that were judged before go back as they are. */
static void sift_queue(struct backend *b, struct endpoint *ep)
{
    uint32_t total = ep->tx_count, judged = fault_of(b)->judged[endpoint_index(ep)];
    for (uint32_t i = 0; i < total; i++) {
        struct fault_packet p = {.ep = ep->handle};
        p.frame.buf = txq_detach(b, ep, &p.to);
        if (i >= judged)
            sift_item(b, ep, &p);
        else if (!queue(b, ep, &p))
            fault_hold(b, FAULT_OUT, &p, b->now_ns);
    }
}

static void flush(struct backend *b, struct endpoint *ep)
{
    uint32_t index = endpoint_index(ep);
    inner(b)->flush(b, ep);
    fault_of(b)->judged[index] = ep->tx_count; /* 0 of one that ended meanwhile */
}

static void fault_flush(struct backend *b, struct endpoint *ep)
{
    if (ep->kind != EP_UDP) {
        inner(b)->flush(b, ep);
        return;
    }
    sift_queue(b, ep);
    flush(b, ep);
}

/* Now all queues are judged: what is due joins them. */
static void fault_submit(struct backend *b)
{
    struct fault_packet p;
    while (fault_due(b, FAULT_OUT, &p)) {
        struct endpoint *ep = endpoint_at(b, (uint32_t)p.ep - 1); /* held: it waits for this */
        assert(ep->handle == p.ep && (ep->state == EP_OPEN || ep->state == EP_CLOSING));
        if (!queue(b, ep, &p)) {
            fault_hold(b, FAULT_OUT, &p, b->now_ns + FAULT_RETRY_NS);
            break;
        }
        flush(b, ep);
    }
    if (inner(b)->submit)
        inner(b)->submit(b);
}

static void fault_del(struct backend *b, struct endpoint *ep)
{
    fault_of(b)->judged[endpoint_index(ep)] = 0;
    fault_forget(b, ep->handle);
    inner(b)->del(b, ep);
}

static uint64_t fault_sockets_next_ns(const struct backend *b)
{
    uint64_t next = fault_next_ns(b);
    return inner(b)->next_ns ? min_of(next, inner(b)->next_ns(b)) : next;
}

void fault_around_sockets(struct fault *f)
{
    f->wrap.ops.rx = fault_harvest;
    f->wrap.ops.flush = fault_flush;
    f->wrap.ops.submit = fault_submit;
    f->wrap.ops.del = fault_del;
    f->wrap.ops.next_ns = fault_sockets_next_ns;
}
