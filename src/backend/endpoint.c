/* SPDX-License-Identifier: MIT
 * The table of endpoints, the lists through it, and what is told of a stream.
 *
 * Backends note what happened to a stream (connected, data, end, failure); endpoints_tell turns
 * the notes into events once a poll, so that a burst holds a stream's events side by side and in
 * the one order OPEN DATA EOF DRAIN CLOSED. Invariant: an endpoint is freed only when nothing of
 * it is in flight in the kernel; list membership (EP_ON_*) outlives the endpoint, so that a free
 * needs no search: whoever pops a link looks at the state. */
#include "backend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ON_LISTS (EP_ON_DIRTY | EP_ON_READY | EP_ON_OWED | EP_ON_LINGER)
#define ITEMS_NS 1000000u /* when all send items were taken: they come free with others' sends */
#define PAUSE_NS                                                                                   \
    10000000u /* a listener without descriptors tries again: often enough for a peer not to notice */

struct endpoint *endpoint_get(struct backend *b, weir_ep handle)
{
    uint32_t index = (uint32_t)handle - 1;
    if (unlikely(index >= b->eps_max))
        return NULL;
    struct endpoint *ep = &b->eps[index];
    bool alive = ep->state == EP_OPENING || ep->state == EP_OPEN;
    return likely(ep->handle == handle && alive) ? ep : NULL;
}

static weir_ep next_handle(const struct backend *b, const struct endpoint *ep)
{
    uint32_t generation = (uint32_t)(ep->handle >> 32) + 1;
    return (uint64_t)(generation ? generation : 1) << 32 | ((uint32_t)(ep - b->eps) + 1);
}

struct endpoint *endpoint_new(struct backend *b, unsigned kind, int fd, weir_handler *handler,
                              void *app)
{
    if (b->eps_free == NIL)
        return NULL;
    struct endpoint *ep = &b->eps[b->eps_free];
    assert(ep->state == EP_FREE);
    b->eps_free = ep->free_next;
    b->eps_used++;
    b->eps_other += kind != EP_UDP;
    struct endpoint fresh = {
        .handle = next_handle(b, ep),
        .handler = handler,
        .app = app,
        .fd = fd,
        .flags = ep->flags & ON_LISTS,
        .kind = (uint8_t)kind,
        .state = EP_OPENING,
        .tx_head = NIL,
        .tx_tail = NIL,
        .dirty_next = ep->dirty_next,
        .ready_next = ep->ready_next,
        .owed_next = ep->owed_next,
        .linger_next = ep->linger_next,
        .free_next = NIL,
    };
    *ep = fresh;
    return ep;
}

void endpoint_free(struct backend *b, struct endpoint *ep)
{
    assert(ep->state != EP_FREE && ep->in_flight == 0);
    if (ep->kind == EP_STREAM)
        COUNT(&b->counters, stream_closed, 1);
    b->eps_other -= ep->kind != EP_UDP;
    if (ep->tx_count) {
        COUNT(&b->counters, tx_dropped, ep->tx_count);
        txq_pop(b, ep, ep->tx_count);
    }
    if (ep->rx)
        weir_buf_drop(&ep->rx, 1);
    ep->rx = NULL;
    ep->fd = -1;
    ep->state = EP_FREE;
    ep->kind = EP_NONE;
    ep->flags &= ON_LISTS;
    ep->free_next = b->eps_free;
    b->eps_free = endpoint_index(ep);
    b->eps_used--;
}

/* ---- lists: one routine each for all, the link and the mark as arguments -------------------- */

#define LIST_PUSH(b, list, ep, link, mark)                                                         \
    do {                                                                                           \
        if ((ep)->flags & (mark))                                                                  \
            break;                                                                                 \
        (ep)->flags |= (mark);                                                                     \
        (ep)->link = NIL;                                                                          \
        if ((b)->list.tail == NIL)                                                                 \
            (b)->list.head = endpoint_index(ep);                                                   \
        else                                                                                       \
            (b)->eps[(b)->list.tail].link = endpoint_index(ep);                                    \
        (b)->list.tail = endpoint_index(ep);                                                       \
    } while (0)

#define LIST_POP(b, list, link, mark, ret)                                                         \
    do {                                                                                           \
        (ret) = (b)->list.head == NIL ? NULL : &(b)->eps[(b)->list.head];                          \
        if (!(ret))                                                                                \
            break;                                                                                 \
        (b)->list.head = (ret)->link;                                                              \
        if ((b)->list.head == NIL)                                                                 \
            (b)->list.tail = NIL;                                                                  \
        (ret)->flags &= ~(uint32_t)(mark);                                                         \
    } while (0)

void endpoint_dirty(struct backend *b, struct endpoint *ep)
{
    LIST_PUSH(b, dirty, ep, dirty_next, EP_ON_DIRTY);
}

struct endpoint *endpoint_pop_dirty(struct backend *b)
{
    struct endpoint *ep;
    LIST_POP(b, dirty, dirty_next, EP_ON_DIRTY, ep);
    return ep;
}

void endpoint_ready(struct backend *b, struct endpoint *ep)
{
    LIST_PUSH(b, ready, ep, ready_next, EP_ON_READY);
}

struct endpoint *endpoint_pop_ready(struct backend *b)
{
    struct endpoint *ep;
    LIST_POP(b, ready, ready_next, EP_ON_READY, ep);
    return ep;
}

void endpoint_owe(struct backend *b, struct endpoint *ep, unsigned what)
{
    if (ep->state != EP_OPENING && ep->state != EP_OPEN)
        return; /* deaf */
    ep->flags |= what;
    LIST_PUSH(b, owed, ep, owed_next, EP_ON_OWED);
}

void endpoint_linger(struct backend *b, struct endpoint *ep, uint64_t until_ns)
{
    ep->until_ns = until_ns;
    if (until_ns < b->linger_next_ns)
        b->linger_next_ns = until_ns;
    LIST_PUSH(b, linger, ep, linger_next, EP_ON_LINGER);
}

/* ---- what a backend tells ------------------------------------------------------------------- */

struct endpoint *endpoint_accepted(struct backend *b, struct endpoint *listener, int fd,
                                   const struct weir_addr *peer)
{
    struct endpoint *ep = endpoint_new(b, EP_STREAM, fd, listener->handler, listener->app);
    if (!ep) {
        COUNT(&b->counters, accept_full, 1);
        socket_close(fd);
        return NULL;
    }
    ep->state = EP_OPEN;
    ep->family = listener->family;
    ep->local = listener->local; /* the exact one is asked from the socket when somebody wants it */
    ep->peer = *peer;
    COUNT(&b->counters, stream_opened, 1);
    endpoint_owe(b, ep, EP_OPEN_OWED);
    return ep;
}

void endpoint_connected(struct backend *b, struct endpoint *ep, int err)
{
    if (err) {
        endpoint_fail(b, ep, err);
        return;
    }
    if (ep->state == EP_OPENING)
        ep->state = EP_OPEN;
    COUNT(&b->counters, stream_opened, 1);
    endpoint_owe(b, ep, EP_OPEN_OWED);
    if (ep->tx_count || ep->flags & (EP_SHUT_ASKED | EP_REFUSED) || ep->state == EP_CLOSING)
        endpoint_dirty(b, ep);
}

void endpoint_fail(struct backend *b, struct endpoint *ep, int err)
{
    if (ep->flags & EP_CLOSED_OWED || ep->state == EP_DYING || ep->state == EP_FREE)
        return;
    if (!(ep->flags & EP_DISCARD))
        COUNT(&b->counters, stream_reset, 1);
    if (ep->state == EP_CLOSING) {
        endpoint_end(b, ep);
        return;
    }
    ep->err = (int16_t)err;
    endpoint_owe(b, ep, EP_CLOSED_OWED);
}

void endpoint_send_failed(struct backend *b, struct endpoint *ep, int err)
{
    if (ep->state != EP_OPEN || ep->flags & EP_PEER_EOF) {
        endpoint_fail(b, ep, err);
        return;
    }
    ep->err = (int16_t)err;
    ep->flags |= EP_TX_FAILED | EP_HUNG;
    COUNT(&b->counters, tx_dropped, ep->tx_count);
    txq_pop(b, ep, ep->tx_count);
    ep->tx_off = 0;
    endpoint_ready(b, ep);
}

void endpoint_accept_failed(struct backend *b, struct endpoint *listener, int err)
{
    bool lack = err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
    if (!lack) {
        COUNT(&b->counters, accept_error,
              1); /* the peer gave up, a firewall: accept(2), "Error handling" */
        return;
    }
    COUNT(&b->counters, accept_nofile, 1);
    listener->flags |= EP_PAUSED;
    endpoint_linger(b, listener, b->now_ns + PAUSE_NS);
}

static void half_close(struct backend *b, struct endpoint *ep)
{
    ep->flags |= EP_SHUT_DONE;
    socket_shutdown(ep->fd);
    COUNT(&b->counters, syscalls, 1);
    if (ep->flags & EP_PEER_EOF)
        endpoint_owe(b, ep, EP_CLOSED_OWED);
}

/* All that was queued is with the kernel. To close now would answer bytes that nobody has read,
 * or that come later, with a reset, which destroys what is still on its way (RFC 1122,
 * 4.2.2.13). So our half is closed first, and what the peer still sends is thrown away until its
 * own end comes. */
static void finish(struct backend *b, struct endpoint *ep)
{
    if (ep->flags & EP_DISCARD)
        return;
    if (ep->kind != EP_STREAM || ep->flags & (EP_PEER_EOF | EP_TX_FAILED)) {
        endpoint_end(b, ep);
        return;
    }
    ep->flags |= EP_DISCARD;
    ep->flags &= ~EP_RX_STOPPED;
    if (!(ep->flags & EP_SHUT_DONE))
        half_close(b, ep);
    b->ops->resume(b, ep);
}

/* A send was refused: there is room again, or other endpoints hold all items and it waits a
 * little. */
static void drain(struct backend *b, struct endpoint *ep)
{
    if (ep->tx_count > b->opt.tx_max / 2)
        return;
    if (b->items_free == NIL) {
        endpoint_linger(b, ep, b->now_ns + ITEMS_NS);
        return;
    }
    ep->flags &= ~EP_REFUSED;
    /* what it could not answer before is told again */
    endpoint_owe(b, ep, EP_DRAIN_OWED | (ep->rx && ep->rx->len ? EP_DATA_OWED : 0u));
}

void endpoint_tx_moved(struct backend *b, struct endpoint *ep)
{
    if (ep->flags & EP_REFUSED && ep->state == EP_OPEN)
        drain(b, ep);
    if (ep->tx_count || ep->in_flight)
        return;
    if (ep->state == EP_CLOSING)
        finish(b, ep);
    else if (ep->state == EP_OPEN && (ep->flags & (EP_SHUT_ASKED | EP_SHUT_DONE)) == EP_SHUT_ASKED)
        half_close(b, ep);
}

/* ---- events --------------------------------------------------------------------------------- */

struct weir_event *backend_emit(struct backend *b, struct endpoint *ep, unsigned kind,
                                struct weir_buf *buf)
{
    struct weir_event *event = &b->events[b->n_events++];
    *event = (struct weir_event){.kind = (uint8_t)kind,
                                 .ep = ep->handle,
                                 .buf = buf,
                                 .rx_ns = b->now_ns};
    return event;
}

/* At most five events: b->events has that many to spare. */
static void tell(struct backend *b, struct endpoint *ep)
{
    unsigned owed = ep->flags & EP_OWED;
    ep->flags &= ~(owed & ~EP_CLOSED_OWED); /* that one stays: it refuses sends */
    if (owed & EP_OPEN_OWED)
        backend_emit(b, ep, WEIR_OPEN, NULL);
    if (owed & EP_DATA_OWED && ep->rx && ep->rx->len)
        backend_emit(b, ep, WEIR_DATA, ep->rx);
    if (owed & EP_EOF_OWED)
        backend_emit(b, ep, WEIR_EOF, NULL);
    if (owed & EP_DRAIN_OWED && !(owed & EP_CLOSED_OWED))
        backend_emit(b, ep, WEIR_DRAIN, NULL);
    if (owed & EP_CLOSED_OWED)
        backend_emit(b, ep, WEIR_CLOSED, NULL)->err = ep->err;
}

/* Streams have a share of their own, so that a flood of datagrams cannot silence them. */
void endpoints_tell(struct backend *b)
{
    uint32_t end = max_of(b->max_events, b->n_events + b->max_events / 4 + 1);
    while (b->n_events < end && b->owed.head != NIL) {
        struct endpoint *ep;
        LIST_POP(b, owed, owed_next, EP_ON_OWED, ep);
        if (ep->state == EP_OPENING || ep->state == EP_OPEN)
            tell(b, ep);
    }
}

/* ---- closing -------------------------------------------------------------------------------- */

void endpoint_close(struct backend *b, struct endpoint *ep, bool abort)
{
    if (ep->rx && !(ep->flags & EP_LENT))
        weir_buf_drop(&ep->rx, 1);
    ep->rx = NULL; /* a lent one is dropped when its handler returns */
    ep->flags &= ~(uint32_t)EP_OWED | EP_CLOSED_OWED;
    bool broken = ep->flags & EP_CLOSED_OWED && ep->err;
    if (abort && ep->kind == EP_STREAM && !broken)
        socket_reset(ep->fd);
    bool talks = ep->kind == EP_STREAM && ep->state == EP_OPEN && !(ep->flags & EP_PEER_EOF);
    if (abort || broken || !(ep->tx_count || ep->in_flight || talks)) {
        endpoint_end(b, ep);
        return;
    }
    ep->state = EP_CLOSING;
    bool asks = !b->device || !b->device->virtual_time; /* it may be called long after a poll */
    uint64_t now_ns = asks ? max_of(b->now_ns, weir_now_ns()) : b->now_ns;
    ep->end_ns = now_ns + b->opt.linger_ns;
    endpoint_linger(b, ep, ep->end_ns);
    endpoint_dirty(b, ep); /* its flush finds out when all is sent: endpoint_tx_moved */
}

void endpoint_end(struct backend *b, struct endpoint *ep)
{
    ep->state = EP_DYING;
    b->ops->del(b, ep);
}

static void expire(struct backend *b, struct endpoint *ep)
{
    if (ep->state == EP_CLOSING && b->now_ns < ep->end_ns) {
        endpoint_linger(b, ep, ep->end_ns); /* it waited for room only */
        endpoint_dirty(b, ep);
    } else if (ep->state == EP_CLOSING) {
        bool sent = ep->flags & EP_DISCARD; /* only the peer's end is missing */
        if (!sent)
            COUNT(&b->counters, linger_expired, 1);
        if (!sent && ep->kind == EP_STREAM)
            socket_reset(ep->fd);
        endpoint_end(b, ep);
    } else if (ep->state == EP_OPEN && ep->flags & EP_PAUSED) {
        ep->flags &= ~EP_PAUSED;
        b->ops->resume(b, ep);
    } else if (ep->state == EP_OPEN && ep->flags & (EP_REFUSED | EP_BLOCKED)) {
        endpoint_dirty(b, ep); /* its flush finds out whether there is room */
    }
}

/* Walk the list once; what is not due goes back to its end. */
void endpoints_expire(struct backend *b)
{
    uint32_t last = b->linger.tail;
    b->linger_next_ns = UINT64_MAX;
    for (struct endpoint *ep = NULL; b->linger.head != NIL;) {
        LIST_POP(b, linger, linger_next, EP_ON_LINGER, ep);
        bool waits = ep->state == EP_CLOSING || ep->flags & (EP_PAUSED | EP_REFUSED | EP_BLOCKED);
        if (waits && ep->until_ns > b->now_ns)
            endpoint_linger(b, ep, ep->until_ns);
        else
            expire(b, ep);
        if (endpoint_index(ep) == last)
            break;
    }
}

void backend_lesser(struct backend *b, int code, const char *where, const char *fix,
                    const char *what, ...)
{
    if (b->n_lesser == array_len(b->lesser))
        return;
    struct weir_why *why = &b->lesser[b->n_lesser++];
    va_list args;
    va_start(args, what);
    vsnprintf(why->what, sizeof why->what, what, args);
    va_end(args);
    why->code = code;
    snprintf(why->where, sizeof why->where, "%s", where);
    snprintf(why->fix, sizeof why->fix, "%s", fix);
}
