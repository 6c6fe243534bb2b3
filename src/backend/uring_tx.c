/* SPDX-License-Identifier: MIT
 * Sending: what weir_send queued becomes submission entries; the poll's one submission carries them
 * all.
 *
 * Datagrams leave the queue at once, each GSO batch in a record of its own. A stream has one send
 * in flight, because two could overtake each other after a short one; its items stay in the queue
 * until the kernel has taken their bytes.
 *
 * Batches ask not to wait. Where the socket buffer is full they come back with EAGAIN, and then one
 * send alone waits in the kernel for room: of datagrams the first that came back, the others behind
 * it, in order; of a stream the head of the queue, by a request that needs no record, so that peers
 * who never read hold none.
 * Sources: io_uring_prep_send(3), io_uring_prep_sendmsg(3), udp(7) UDP_SEGMENT. */
#include "uring.h"

#include "base/base.h"

#include <errno.h>
#include <string.h>

/* A datagram's pieces must fit one skb: MAX_SKB_FRAGS is 17 (include/linux/skbuff.h), less one
 * across a page. */
#define ZC_PIECES 16u

static bool sending(struct endpoint *ep)
{
    bool open = ep->state == EP_OPEN || ep->state == EP_CLOSING;
    bool ended = ep->flags & (EP_CLOSED_OWED | EP_TX_FAILED);
    return open && !ended && !(uring_ep(ep)->has & HAS_CONNECT);
}

/* The kernel lacks memory for the moment, or was interrupted. */
static bool passing(int res)
{
    return res == -ENOBUFS || res == -ENOMEM || res == -EAGAIN || res == -EINTR;
}

static void count_put_off(struct backend *b, int res)
{
    if (res == -EAGAIN)
        COUNT(&b->counters, tx_again, 1);
    else if (res != -EINTR)
        COUNT(&b->counters, tx_nobufs, 1);
}

static void count_copies(struct backend *b, unsigned n, uint64_t bytes)
{
    COUNT(&b->counters, copies, n);
    COUNT(&b->counters, copied_bytes, bytes);
}

/* ---- datagrams ------------------------------------------------------------------------------ */

static void set_segment(struct record *r)
{
    uint16_t size = (uint16_t)r->segment;
    struct cmsghdr *c = (struct cmsghdr *)r->ctl;
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(c), &size, sizeof size);
    r->msg.msg_control = r->ctl;
    r->msg.msg_controllen = CMSG_SPACE(sizeof size);
}

/* The head of the queue and its like move into the record. */
static void fill(struct backend *b, struct endpoint *ep, struct record *r)
{
    struct uring *u = uring_of(b);
    struct tx_item *item = txq_head(b, ep);
    bool merge = u->features & URING_GSO;
    r->msg.msg_name = &r->name;
    r->msg.msg_namelen = addr_to_sock(&item->to, ep->family, &r->name.any);
    r->n = (uint16_t)txq_gather(b, &item, r->bufs, merge ? SEGMENTS : 1, &r->segment);
    for (unsigned i = 0; i < r->n; i++) {
        r->iov[i] = (struct iovec){r->bufs[i]->data, r->bufs[i]->len};
        r->bytes += r->bufs[i]->len;
        txq_detach(b, ep, NULL);
    }
    r->msg.msg_iovlen = r->n;
    if (r->segment)
        set_segment(r);
    r->zc = r->n <= ZC_PIECES && record_zc(b, r, r->n);
}

/* What came back goes first. False: it is not through yet. */
static bool send_again(struct backend *b, struct endpoint *ep)
{
    struct uring_ep *x = uring_ep(ep);
    struct record *r;
    if (x->has & HAS_WAITER)
        return false;
    while ((r = again_pop(b, ep))) {
        r->wait = r->cut || x->has & HAS_BLOCKED;
        if (!record_send(b, r)) {
            again_front(b, ep, r);
            return false;
        }
        if (!r->wait)
            continue;
        x->has = (uint16_t)((x->has & ~HAS_BLOCKED) | HAS_WAITER);
        return false;
    }
    return true;
}

static void flush_datagrams(struct backend *b, struct endpoint *ep)
{
    if (!send_again(b, ep))
        return;
    while (ep->tx_count) {
        struct record *r = record_get(b, ep, RECORD_DATAGRAMS);
        if (!r) {
            uring_want(b, ep, WANT_SEND);
            return;
        }
        fill(b, ep, r);
        ep->in_flight += r->n;
        if (record_send(b, r))
            continue;
        again_push(b, ep, r);
        return;
    }
}

/* `n` of the record's buffers are done with. */
static void home(struct backend *b, struct endpoint *ep, struct record *r, unsigned n)
{
    buf_tx_done_many(&r->bufs[r->at], n);
    ep->in_flight -= n;
    r->at = (uint16_t)(r->at + n);
    if (r->at < r->n)
        return;
    record_put(b, r);
    if (sending(ep))
        endpoint_tx_moved(b, ep);
}

/* A refused batch goes out one by one; each piece before anything behind it. */
static void cut(struct backend *b, struct endpoint *ep, struct record *r)
{
    r->cut = true;
    r->segment = 0;
    r->msg.msg_control = NULL;
    r->msg.msg_controllen = 0;
    r->msg.msg_iov = &r->iov[r->at];
    r->msg.msg_iovlen = 1;
    again_front(b, ep, r);
}

static void count_sent(struct backend *b, unsigned n, int res, bool copied)
{
    COUNT(&b->counters, tx_packets, n);
    COUNT(&b->counters, tx_bytes, res);
    if (copied)
        count_copies(b, n, (uint64_t)res);
}

/* udp(7): segments must fit the path's MTU, and the device must know checksums (EIO). Nothing is
 * concluded for later batches: a single bad destination is refused alike. */
static bool refuses_batch(const struct record *r, int res)
{
    return r->segment && (res == -EINVAL || res == -EMSGSIZE || res == -EIO);
}

/* It did not leave, and will be tried again in its place. */
static bool came_back(struct backend *b, struct endpoint *ep, struct record *r, int res)
{
    bool first = r->wait, plain = r->zc && (res == -EMSGSIZE || res == -EOPNOTSUPP);
    if (!plain && !passing(res) && !refuses_batch(r, res))
        return false;
    if (passing(res)) {
        count_put_off(b, res);
        uring_ep(ep)->has |= HAS_BLOCKED;
    } else if (!plain) {
        cut(b, ep, r);
        return true;
    }
    r->zc = false;
    if (first)
        again_front(b, ep, r);
    else
        again_push(b, ep, r);
    return true;
}

void uring_datagrams_sent(struct backend *b, struct endpoint *ep, struct record *r, int res,
                          bool copied)
{
    bool dying = ep->state == EP_DYING;
    unsigned n = r->cut ? 1 : r->n;
    if (r->wait)
        uring_ep(ep)->has &= (uint16_t)~HAS_WAITER;
    if (res < 0 && !dying && came_back(b, ep, r, res))
        return;
    if (res >= 0)
        count_sent(b, n, res, copied);
    else if (!dying)
        socket_send_failed(b, ep, res);
    if (dying) {
        COUNT(&b->counters, tx_dropped, r->n - r->at - (res < 0 ? 0 : n));
        n = r->n - r->at;
    }
    bool more = r->at + n < r->n;
    if (uring_ep(ep)->held_head != NIL || ep->tx_count)
        uring_want(b, ep, WANT_SEND);
    home(b, ep, r, n);
    if (more)
        cut(b, ep, r);
}

/* ---- streams -------------------------------------------------------------------------------- */

static unsigned gather(struct backend *b, struct endpoint *ep, struct record *r)
{
    size_t off = ep->tx_off;
    unsigned n = 0;
    for (struct tx_item *item = txq_head(b, ep); item && n < SEGMENTS; item = txq_next(b, item)) {
        r->bufs[n] = item->buf;
        r->iov[n] = (struct iovec){item->buf->data + off, item->buf->len - off};
        r->bytes += (uint32_t)r->iov[n++].iov_len;
        off = 0;
    }
    return n;
}

/* Zero-copy: the queue lets go of its references at the result, the kernel of the pages only at the
 * notification, so there is one more of each until then. A view may not be held (weir_buf_keep
 * would copy it). */
static bool hold(struct record *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (r->bufs[i]->section == WEIR_VIEW || r->bufs[i]->refs == UINT16_MAX)
            return false;
    for (unsigned i = 0; i < n; i++)
        buf_to_tx(weir_buf_keep(r->bufs[i]));
    r->n = (uint16_t)n;
    return true;
}

static bool send_batch(struct backend *b, struct endpoint *ep, struct record *r)
{
    unsigned n = gather(b, ep, r);
    r->msg.msg_iovlen = n;
    r->zc = record_zc(b, r, n) && hold(r, n);
    if (!record_send(b, r)) {
        record_put(b, r);
        return false;
    }
    uring_ep(ep)->record = r->index;
    return true;
}

/* The head alone, by a request that waits for room in the socket buffer. */
static bool send_head(struct backend *b, struct endpoint *ep)
{
    struct uring *u = uring_of(b);
    struct io_uring_sqe *sqe = uring_sqe(b);
    if (!sqe)
        return false;
    const struct weir_buf *buf = txq_head(b, ep)->buf;
    io_uring_prep_send(sqe, ep->fd, buf->data + ep->tx_off, buf->len - ep->tx_off, MSG_NOSIGNAL);
    uring_target(sqe, ep);
    sqe->user_data = uring_data(ep, OP_SEND);
    u->sends = true;
    u->reqs++;
    uring_ep(ep)->reqs++;
    return true;
}

static bool worth_a_record(struct backend *b, struct endpoint *ep)
{
    if (uring_ep(ep)->has & HAS_BLOCKED)
        return false;
    size_t bytes = b->items[ep->tx_head].buf->len;
    return ep->tx_count > 1 || (uring_of(b)->zc && bytes >= b->opt.zerocopy_bytes);
}

static void flush_stream(struct backend *b, struct endpoint *ep)
{
    struct uring_ep *x = uring_ep(ep);
    if (x->has & HAS_SEND || !ep->tx_count)
        return;
    uring_settle_in(b, ep);
    struct record *r = worth_a_record(b, ep) ? record_get(b, ep, RECORD_STREAM) : NULL;
    if (r ? !send_batch(b, ep, r) : !send_head(b, ep)) {
        uring_want(b, ep, WANT_SEND);
        return;
    }
    x->has &= (uint16_t)~HAS_BLOCKED;
    x->has |= HAS_SEND;
    ep->in_flight = 1;
}

static void taken(struct backend *b, struct endpoint *ep, int res, bool copied)
{
    COUNT(&b->counters, stream_writes, 1);
    if (copied)
        count_copies(b, 1, (uint64_t)res);
    txq_advance(b, ep, (size_t)res);
}

void uring_stream_sent(struct backend *b, struct endpoint *ep, int res, bool copied)
{
    struct uring_ep *x = uring_ep(ep);
    x->has &= (uint16_t)~HAS_SEND;
    ep->in_flight = 0;
    if (res >= 0)
        taken(b, ep, res, copied);
    if (!sending(ep))
        return;
    if (res >= 0) {
        flush_stream(b, ep);
        endpoint_tx_moved(b, ep);
    } else if (passing(res)) {
        count_put_off(b, res);
        if (res == -EAGAIN)
            x->has |= HAS_BLOCKED;
        uring_want(b, ep, WANT_SEND);
    } else {
        endpoint_send_failed(b, ep, res);
    }
}

/* ---- both ----------------------------------------------------------------------------------- */

void uring_flush(struct backend *b, struct endpoint *ep)
{
    if (ep->state == EP_CLOSING && ep->flags & EP_TX_FAILED)
        endpoint_tx_moved(b, ep); /* nothing will be sent any more: this ends it */
    if (!sending(ep))
        return;
    if (ep->kind == EP_UDP)
        flush_datagrams(b, ep);
    else
        flush_stream(b, ep);
    endpoint_tx_moved(b, ep);
}

bool uring_connect(struct backend *b, struct endpoint *ep)
{
    struct record *r = record_get(b, ep, RECORD_CONNECT);
    if (!r)
        return false;
    r->msg.msg_namelen = addr_to_sock(&ep->peer, ep->family, &r->name.any);
    if (!record_send(b, r)) {
        record_put(b, r);
        return false;
    }
    uring_ep(ep)->record = r->index;
    return true;
}
