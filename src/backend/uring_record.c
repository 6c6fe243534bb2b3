/* SPDX-License-Identifier: MIT
 * Send records: the msghdr, address, control data, vector and buffers of a send, which have to stay
 * where they are until its completion. All are allocated at open.
 *
 *     free --record_get--> filled --record_send--> in flight --record_completed--> free
 *                            ^------------- again_push: to be sent again ----'
 *
 * A zero-copy send completes twice: first its result (IORING_CQE_F_MORE), later a notification that
 * the kernel has let go of the pages, whose `res` says whether it copied them after all; it is told
 * by IORING_CQE_F_NOTIF, not by its sign.
 * Invariant: an endpoint counts one request for each record that it has, so it outlives them.
 * Source: io_uring_prep_sendmsg_zc(3), io_uring_enter(2) IORING_OP_SEND_ZC. */
#include "uring.h"

#include "base/base.h"

#include <errno.h>
#include <stdlib.h>

#define SHARE 8u         /* an endpoint's, while the last eighth is kept for the others */
#define ZC_COPIED_MAX 8u /* notifications of a copy after which this engine asks no more */

int records_open(struct backend *b, uint32_t n)
{
    struct uring *u = uring_of(b);
    u->records = calloc(n, sizeof *u->records);
    if (!u->records)
        return -ENOMEM;
    u->n_records = u->n_free = n;
    for (uint32_t i = 0; i < n; i++) {
        u->records[i].index = i;
        u->records[i].next = i + 1 < n ? i + 1 : NIL;
    }
    return 0;
}

static void let_go(struct record *r)
{
    if (r->at < r->n)
        buf_tx_done_many(&r->bufs[r->at], r->n - r->at);
    r->n = r->at = 0;
}

/* After the ring has been closed. What never completed gives its buffers back. */
void records_close(struct backend *b)
{
    struct uring *u = uring_of(b);
    for (uint32_t i = 0; i < u->n_records; i++)
        let_go(&u->records[i]);
    free(u->records);
    u->records = NULL;
    u->n_records = 0;
}

/* One endpoint whose sends do not complete must not stop the others. */
struct record *record_get(struct backend *b, struct endpoint *ep, enum record_kind kind)
{
    struct uring *u = uring_of(b);
    bool may = u->n_free > u->n_records / 8 || uring_ep(ep)->reqs < SHARE;
    if (u->records_free == NIL || !may)
        return NULL;
    struct record *r = &u->records[u->records_free];
    u->records_free = r->next;
    u->n_free--;
    uring_ep(ep)->reqs++;
    r->handle = ep->handle;
    r->kind = (uint8_t)kind;
    r->zc = r->cut = r->wait = false;
    r->n = r->at = 0;
    r->bytes = r->segment = 0;
    r->msg = (struct msghdr){.msg_iov = r->iov};
    return r;
}

static struct endpoint *endpoint_of(struct backend *b, const struct record *r)
{
    return endpoint_at(b, (uint32_t)r->handle - 1);
}

void record_put(struct backend *b, struct record *r)
{
    struct uring *u = uring_of(b);
    let_go(r);
    uring_ep(endpoint_of(b, r))->reqs--;
    r->next = u->records_free;
    u->records_free = r->index;
    u->n_free++;
}

/* ---- records to send again ------------------------------------------------------------------ */

void again_push(struct backend *b, struct endpoint *ep, struct record *r)
{
    struct uring_ep *x = uring_ep(ep);
    r->next = NIL;
    if (x->held_head == NIL)
        x->held_head = r->index;
    else
        uring_of(b)->records[x->held_tail].next = r->index;
    x->held_tail = r->index;
    uring_want(b, ep, WANT_SEND);
}

void again_front(struct backend *b, struct endpoint *ep, struct record *r)
{
    struct uring_ep *x = uring_ep(ep);
    r->next = x->held_head;
    if (x->held_head == NIL)
        x->held_tail = r->index;
    x->held_head = r->index;
    uring_want(b, ep, WANT_SEND);
}

struct record *again_pop(struct backend *b, struct endpoint *ep)
{
    struct uring_ep *x = uring_ep(ep);
    if (x->held_head == NIL)
        return NULL;
    struct record *r = &uring_of(b)->records[x->held_head];
    x->held_head = r->next;
    return r;
}

void again_drop(struct backend *b, struct endpoint *ep)
{
    struct record *r;
    while ((r = again_pop(b, ep)))
        uring_datagrams_sent(b, ep, r, -ECANCELED, false);
}

/* ---- submission ----------------------------------------------------------------------------- */

static void prepare(const struct record *r, struct io_uring_sqe *sqe, int fd)
{
    unsigned flags = MSG_NOSIGNAL | (r->wait ? 0 : MSG_DONTWAIT);
    if (r->kind == RECORD_CONNECT) {
        io_uring_prep_connect(sqe, fd, (const struct sockaddr *)&r->name, r->msg.msg_namelen);
    } else if (r->zc) {
        io_uring_prep_sendmsg_zc(sqe, fd, &r->msg, flags);
        sqe->ioprio |= IORING_SEND_ZC_REPORT_USAGE;
    } else {
        io_uring_prep_sendmsg(sqe, fd, &r->msg, flags);
    }
}

bool record_zc(struct backend *b, const struct record *r, unsigned n)
{
    const struct uring *u = uring_of(b);
    return u->zc && r->bytes >= b->opt.zerocopy_bytes && u->zc_held + n <= u->zc_max;
}

bool record_send(struct backend *b, struct record *r)
{
    struct uring *u = uring_of(b);
    struct endpoint *ep = endpoint_of(b, r);
    struct io_uring_sqe *sqe = uring_sqe(b);
    if (!sqe)
        return false;
    prepare(r, sqe, ep->fd);
    uring_target(sqe, ep);
    sqe->user_data = (uint64_t)r->index << OP_BITS | OP_RECORD;
    if (r->zc) {
        COUNT(&b->counters, zerocopy_sends, 1);
        u->zc_held += r->n;
    }
    u->sends = true;
    u->reqs++;
    return true;
}

static void note_copied(struct backend *b)
{
    struct uring *u = uring_of(b);
    COUNT(&b->counters, zerocopy_copied, 1);
    if (!u->zc || ++u->zc_copied < ZC_COPIED_MAX)
        return;
    u->zc = false;
    backend_lesser(b, 0, "SEND_ZC", "", "switched off: the kernel copied all the same");
}

static void connected(struct backend *b, struct endpoint *ep, int res)
{
    uring_ep(ep)->has &= (uint16_t)~HAS_CONNECT;
    if (ep->state == EP_OPENING || ep->state == EP_CLOSING)
        endpoint_connected(b, ep, res);
    if (ep->state == EP_OPEN || ep->state == EP_CLOSING)
        uring_want(b, ep, WANT_ARM);
}

/* The result of what the record sent. A record of datagrams goes home, or out again, by itself. */
static void result(struct backend *b, struct endpoint *ep, struct record *r, int res, bool copied)
{
    if (r->kind == RECORD_DATAGRAMS) {
        uring_datagrams_sent(b, ep, r, res, copied);
        return;
    }
    uring_ep(ep)->record = NIL;
    if (r->kind == RECORD_STREAM)
        uring_stream_sent(b, ep, res, copied);
    else
        connected(b, ep, res);
}

static void finish(struct backend *b, struct endpoint *ep, struct record *r, int res)
{
    bool datagrams = r->kind == RECORD_DATAGRAMS;
    result(b, ep, r, res, true);
    if (!datagrams)
        record_put(b, r);
    uring_release(b, ep);
}

/* A zero-copy stream goes on at the first completion, because the notification may take a round
 * trip: its buffers were held twice. Datagrams wait for the notification, which harms nobody. */
static void zero_copy_stream(struct backend *b, struct endpoint *ep, struct record *r,
                             const struct io_uring_cqe *cqe, bool copied)
{
    if (!(cqe->flags & IORING_CQE_F_NOTIF)) {
        r->bytes = cqe->res > 0 ? (uint32_t)cqe->res : 0;
        result(b, ep, r, cqe->res, false);
    }
    if (copied) {
        COUNT(&b->counters, copies, 1);
        COUNT(&b->counters, copied_bytes, r->bytes);
    }
    if (!(cqe->flags & IORING_CQE_F_MORE))
        record_put(b, r);
}

static void zero_copy(struct backend *b, struct endpoint *ep, struct record *r,
                      const struct io_uring_cqe *cqe)
{
    bool notification = cqe->flags & IORING_CQE_F_NOTIF;
    bool copied = notification && (uint32_t)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED;
    if (copied)
        note_copied(b);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        uring_of(b)->zc_held -= r->n;
    if (r->kind == RECORD_STREAM) {
        zero_copy_stream(b, ep, r, cqe, copied);
        return;
    }
    if (!notification)
        r->res = cqe->res;
    if (!(cqe->flags & IORING_CQE_F_MORE))
        uring_datagrams_sent(b, ep, r, r->res, copied);
}

void record_completed(struct backend *b, uint32_t index, const struct io_uring_cqe *cqe)
{
    struct uring *u = uring_of(b);
    assert(index < u->n_records);
    struct record *r = &u->records[index];
    struct endpoint *ep = endpoint_of(b, r);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        u->reqs--;
    if (ep->state == EP_DYING)
        COUNT(&b->counters, stale_events, 1);
    if (!r->zc) {
        finish(b, ep, r, cqe->res);
        return;
    }
    zero_copy(b, ep, r, cqe);
    uring_release(b, ep);
}
