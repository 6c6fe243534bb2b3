/* SPDX-License-Identifier: MIT
 * What completions of multishot requests bring: connections, bytes of streams, datagrams.
 *
 * A multishot request stays armed and completes once for each receive, with a slot of its group,
 * until a completion lacks IORING_CQE_F_MORE: then it is armed again, if its endpoint still wants
 * to receive. A stream at rx_max cancels its request; what landed before the cancel took effect is
 * held in order and given to the stream as it is consumed, and so is an end or an error that came
 * behind it. Nothing that landed is lost.
 * Sources: io_uring_prep_recv_multishot(3), io_uring_prep_recvmsg_multishot(3), udp(7) UDP_GRO. */
#include "uring.h"

#include "base/base.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The kernel's copy out of its socket buffer: bench/method.md. */
static void count_copies(struct backend *b, unsigned n, uint64_t bytes)
{
    COUNT(&b->counters, copies, n);
    COUNT(&b->counters, copied_bytes, bytes);
}

/* No error of the socket: cancelled, or the group has no slot now (counted where it cannot be
 * refilled). */
static bool passing(int res)
{
    return res == -ENOBUFS || res == -ECANCELED || res == -EINTR || res == -EAGAIN;
}

/* ---- connections ---------------------------------------------------------------------------- */

/* A multishot accept has one address for all its connections, so each is asked for its own. */
static bool ask_peer(struct backend *b, int fd, struct weir_addr *peer)
{
    struct sockaddr_storage name;
    socklen_t bytes = sizeof name;
    COUNT(&b->counters, syscalls, 1);
    if (getpeername(fd, (void *)&name, &bytes))
        return false;
    addr_from_sock(&name, peer);
    return true;
}

static void accepted(struct backend *b, struct endpoint *listener, int fd)
{
    struct weir_addr peer;
    if (!ask_peer(b, fd, &peer)) { /* already reset: what accept(2) calls ECONNABORTED */
        close(fd);
        COUNT(&b->counters, syscalls, 1);
        endpoint_accept_failed(b, listener, -ECONNABORTED);
        return;
    }
    struct endpoint *ep = endpoint_accepted(b, listener, fd, &peer);
    if (!ep)
        return;
    uring_ep_init(ep);
    uring_want(b, ep, WANT_ARM);
}

static void on_accept(struct backend *b, struct endpoint *ep, int res)
{
    if (res >= 0)
        accepted(b, ep, res);
    else if (res != -ECANCELED && res != -EINTR)
        endpoint_accept_failed(b, ep, res);
    if (!(uring_ep(ep)->has & HAS_RX))
        uring_want(b, ep, WANT_ARM); /* not while paused: resume does */
}

/* ---- streams -------------------------------------------------------------------------------- */

#define MERGE_MOST 4096u /* bytes whose copy costs about as much as a turn of the loop */
#define FULL_MANY 4u     /* small slots filled in a row: the stream comes in bulk */
#define LEAN_MANY 16u    /* big slots in a row that a small one could replace: no longer */

/* The end or the error, once nothing is held before it. */
static void tell_end(struct backend *b, struct endpoint *ep)
{
    struct uring_ep *x = uring_ep(ep);
    int late = x->late;
    x->late = 0;
    if (x->has & HAS_EOF) {
        stream_eof(b, ep);
        uring_want(b, ep, WANT_ARM); /* a watch, while our half is open */
    }
    x->has &= (uint16_t)~HAS_EOF;
    if (late)
        endpoint_fail(b, ep, late);
}

/* Bytes that no handler has seen stand before a slot that is large: next poll it is told by itself,
 * uncopied. */
static bool better_later(const struct endpoint *ep, const struct weir_buf *buf)
{
    return buf->section == WEIR_BIG && buf->len >= MERGE_MOST && ep->rx && ep->flags & EP_DATA_OWED;
}

void uring_unhold(struct backend *b, struct endpoint *ep)
{
    struct uring_ep *x = uring_ep(ep);
    struct weir_buf *buf;
    if (ep->state == EP_CLOSING)
        held_drop(b, ep);
    else if (ep->state != EP_OPEN)
        return;
    while (!(ep->flags & EP_RX_STOPPED) && (buf = held_pop(b, ep))) {
        if (!better_later(ep, buf) && stream_adopt(b, ep, buf))
            continue;
        held_front(b, ep, buf); /* or the pool is empty */
        uring_want(b, ep, WANT_HELD);
        return;
    }
    if (x->held_head != NIL)
        return;
    if (x->has & HAS_EOF || x->late)
        tell_end(b, ep);
    else if (!(x->has & HAS_RX))
        uring_want(b, ep, WANT_ARM);
}

/* Which size of slots suits the stream? When it changes, the receive is cancelled and armed for the
 * other group. */
static void weigh(struct backend *b, struct endpoint *ep, uint32_t bytes)
{
    struct uring_ep *x = uring_ep(ep);
    uint32_t small = uring_of(b)->small.bytes;
    bool bulk = x->has & HAS_BULK, misfit = bulk ? bytes < small : bytes == small;
    x->misfit = misfit ? (uint16_t)(x->misfit + 1) : 0;
    if (likely(x->misfit < (bulk ? LEAN_MANY : FULL_MANY)))
        return;
    x->misfit = 0;
    x->has ^= HAS_BULK;
    uring_want(b, ep, WANT_STOP);
}

static void landed(struct backend *b, struct endpoint *ep, struct weir_buf *buf, int res)
{
    buf->len = (uint32_t)res;
    count_copies(b, 1, buf->len);
    held_push(b, ep, buf);
    if (ep->state != EP_OPEN) { /* closing: deaf */
        held_drop(b, ep);
        return;
    }
    uring_unhold(b, ep);
    if (uring_ep(ep)->held_head != NIL || ep->flags & EP_RX_STOPPED)
        uring_want(b, ep, WANT_STOP);
    weigh(b, ep, (uint32_t)res);
}

static void on_stream(struct backend *b, struct endpoint *ep, int res, struct weir_buf *buf)
{
    struct uring_ep *x = uring_ep(ep);
    if (ep->state != EP_OPEN)
        held_drop(b, ep);
    if (res > 0 && buf) {
        landed(b, ep, buf, res);
        buf = NULL;
    } else if (res == 0) {
        x->has |= HAS_EOF;
    } else if (res < 0 && !passing(res)) {
        x->late = res;
    }
    if (buf)
        weir_buf_drop(&buf, 1);
    if (x->held_head == NIL && (x->has & HAS_EOF || x->late))
        tell_end(b, ep);
    else if (!(x->has & HAS_RX))
        uring_want(b, ep, WANT_ARM);
}

/* ---- datagrams ------------------------------------------------------------------------------ */

/* The size of the merged datagrams, 0 for a single one. Copied out: the control data is not
 * aligned. */
static uint32_t gro_segment(const uint8_t *ctl, uint32_t bytes)
{
    struct cmsghdr c;
    int segment;
    if (bytes < RX_CTL)
        return 0;
    memcpy(&c, ctl, sizeof c);
    memcpy(&segment, ctl + CMSG_LEN(0), sizeof segment);
    bool gro = c.cmsg_level == IPPROTO_UDP && c.cmsg_type == UDP_GRO && segment > 0;
    return gro ? (uint32_t)segment : 0;
}

bool uring_stash(struct backend *b)
{
    struct received *r = &uring_of(b)->stash;
    return !r->buf || received_tell(b, r);
}

/* `res` bytes lie in the slot: RX_FRONT bytes about the datagram, then its payload. */
static void datagram(struct backend *b, struct endpoint *ep, struct weir_buf *buf, uint32_t res)
{
    uint8_t *at = buf->data; /* where group_fill had it written to: the headroom */
    struct io_uring_recvmsg_out out;
    memcpy(&out, at, sizeof out);
    if (unlikely(res < RX_FRONT || out.flags & MSG_TRUNC)) {
        COUNT(&b->counters, rx_truncated, 1);
        weir_buf_drop(&buf, 1);
        return;
    }
    buf->data = at + RX_FRONT;
    buf->len = res - RX_FRONT;
    addr_from_sock(at + sizeof out, &buf->peer);
    uint32_t segment = gro_segment(at + sizeof out + RX_NAME, out.controllen);
    uring_of(b)->stash = (struct received){.buf = buf, .handle = ep->handle, .segment = segment};
    uring_stash(b);
}

/* These say that the socket cannot receive at all: arming it again would spin. */
static bool hopeless(int err)
{
    return err == -EBADF || err == -EINVAL || err == -ENOTSOCK || err == -EOPNOTSUPP ||
           err == -EFAULT;
}

static void on_datagram(struct backend *b, struct endpoint *ep, int res, struct weir_buf *buf)
{
    if (res >= 0 && buf) {
        datagram(b, ep, buf, (uint32_t)res);
        buf = NULL;
    } else if (!passing(res)) {
        COUNT(&b->counters, rx_error, 1); /* an ICMP error was told instead of a datagram: go on */
    }
    if (buf)
        weir_buf_drop(&buf, 1);
    if (!(uring_ep(ep)->has & HAS_RX) && !hopeless(res))
        uring_want(b, ep, WANT_ARM);
}

void uring_received(struct backend *b, struct endpoint *ep, enum uring_op op,
                    const struct io_uring_cqe *cqe, struct weir_buf *buf)
{
    switch (op) {
    case OP_ACCEPT: on_accept(b, ep, cqe->res); break;
    case OP_RECV:
    case OP_BULK: on_stream(b, ep, cqe->res, buf); break;
    default: on_datagram(b, ep, cqe->res, buf); break;
    }
}
