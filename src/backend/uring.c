/* SPDX-License-Identifier: MIT
 * io_uring: requests that stay armed, completions read from shared memory, one system call a poll.
 *
 *     rx      harvest completions; enter the kernel only when the ring says it has some to make
 *     submit  post slots, arm requests, hand over the poll's sends: one io_uring_enter
 *     wait    the same, and sleep
 *
 * The ring belongs to the thread that opened it (IORING_SETUP_SINGLE_ISSUER) and completes requests
 * only inside our own calls (DEFER_TASKRUN). Every request carries its endpoint's index and
 * generation; an endpoint is freed after its last completion, so none is ever about another.
 * Everything is allocated at open.
 * Sources: io_uring(7), io_uring_setup(2), io_uring_enter(2). */
#include "uring.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define STARVED_NS 1000000 /* a nap when slots may come home by other threads only */

/* ---- submission ----------------------------------------------------------------------------- */

/* What the ring cannot come back from; anything else is tried again. */
static bool fatal(int err)
{
    return err == -EBADF || err == -EBADFD || err == -ENXIO || err == -EEXIST || err == -EOPNOTSUPP;
}

void uring_enter(struct backend *b)
{
    struct uring *u = uring_of(b);
    if (u->sends)
        COUNT(&b->counters, tx_calls, 1);
    u->sends = false;
    COUNT(&b->counters, syscalls, 1);
    int rc = io_uring_submit_and_get_events(&u->ring);
    if (fatal(rc))
        u->broken = rc;
}

bool uring_space(struct backend *b, unsigned n)
{
    struct io_uring *ring = &uring_of(b)->ring;
    if (unlikely(io_uring_sq_space_left(ring) < n))
        uring_enter(b);
    return io_uring_sq_space_left(ring) >= n;
}

struct io_uring_sqe *uring_sqe(struct backend *b)
{
    return likely(uring_space(b, 1)) ? io_uring_get_sqe(&uring_of(b)->ring) : NULL;
}

/* The eventfd's edges: a multishot poll needs no read between them. */
void uring_arm_wake(struct backend *b)
{
    struct uring *u = uring_of(b);
    struct io_uring_sqe *sqe = u->wake_armed ? NULL : uring_sqe(b);
    if (!sqe)
        return;
    io_uring_prep_poll_multishot(sqe, b->wake_fd, POLLIN);
    sqe->user_data = OP_WAKE;
    u->wake_armed = true;
    u->reqs++;
}

/* All that has to stand in the queue before the next entry into the kernel. */
static void prepare(struct backend *b)
{
    struct uring *u = uring_of(b);
    group_fill(b, &u->small);
    group_fill(b, &u->bulk);
    group_fill(b, &u->big);
    if (u->todo.head != NIL)
        uring_todo(b);
    if (unlikely(!u->wake_armed))
        uring_arm_wake(b);
}

/* ---- completions ---------------------------------------------------------------------------- */

/* A completion of a closed endpoint: only what it brought is taken home. */
static void stale(struct backend *b, enum uring_op op, const struct io_uring_cqe *cqe,
                  struct weir_buf *buf)
{
    COUNT(&b->counters, stale_events, 1);
    if (buf)
        weir_buf_drop(&buf, 1);
    if (op == OP_ACCEPT && cqe->res >= 0) {
        COUNT(&b->counters, syscalls, 1);
        close(cqe->res);
    }
}

static void endpoint_completed(struct backend *b, enum uring_op op, const struct io_uring_cqe *cqe)
{
    struct uring *u = uring_of(b);
    struct endpoint *ep = endpoint_at(b, (uint32_t)cqe->user_data >> OP_BITS);
    struct uring_ep *x = uring_ep(ep);
    struct weir_buf *buf = group_take(group_of(u, op), cqe);
    assert(ep->handle >> 32 == cqe->user_data >> 32 && ep->state != EP_FREE);
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        u->reqs--;
        x->reqs--;
        if (op == OP_PLACE)
            x->has &= (uint16_t)~HAS_PLACING;
        else if (op == OP_WATCH)
            x->has &= (uint16_t)~HAS_WATCH;
        else if (op != OP_SEND)
            x->has &= (uint16_t) ~(HAS_RX | HAS_RX_BULK | HAS_STOPPING);
    }
    if (ep->state == EP_DYING)
        stale(b, op, cqe, buf);
    if (op == OP_PLACE)
        x->has |= cqe->res == 1 && ep->state != EP_DYING ? HAS_FIXED : 0;
    else if (op == OP_SEND)
        uring_stream_sent(b, ep, cqe->res, true);
    else if (op == OP_WATCH)
        uring_watched(b, ep, cqe->res);
    else if (ep->state != EP_DYING)
        uring_received(b, ep, op, cqe, buf);
    uring_release(b, ep);
}

static void completed(struct backend *b, const struct io_uring_cqe *cqe)
{
    struct uring *u = uring_of(b);
    enum uring_op op = cqe->user_data & OP_MASK;
    switch (op) {
    case OP_NONE: break; /* a cancel that found nothing */
    case OP_WAKE:
        if (cqe->flags & IORING_CQE_F_MORE)
            break;
        u->wake_armed = false;
        u->reqs--;
        break;
    case OP_RECORD: record_completed(b, (uint32_t)(cqe->user_data >> OP_BITS), cqe); break;
    default: endpoint_completed(b, op, cqe); break;
    }
}

static const struct io_uring_cqe *next_of(const struct uring *u)
{
    return &u->ring.cq.cqes[*u->ring.cq.khead & u->ring.cq.ring_mask];
}

/* Copied out and given back before it is handled, because that may lead to a submission, which
 * makes new completions. io_uring_cq_advance's release store pairs with the kernel's load of the
 * head. */
static void complete_next(struct backend *b)
{
    struct uring *u = uring_of(b);
    struct io_uring_cqe cqe = *next_of(u);
    io_uring_cq_advance(&u->ring, 1);
    completed(b, &cqe);
}

/* At most what is visible now. */
unsigned uring_harvest(struct backend *b)
{
    struct uring *u = uring_of(b);
    unsigned n = 0, ready = io_uring_cq_ready(&u->ring);
    while (n < ready && backend_room(b) && !u->stash.buf) {
        complete_next(b);
        n++;
    }
    return n;
}

/* Most sends complete while they are submitted: their buffers come home before the poll ends, still
 * in the cache. What needs room among the events waits for rx. */
static void settle(struct backend *b)
{
    struct uring *u = uring_of(b);
    for (unsigned ready = io_uring_cq_ready(&u->ring); ready; ready--) {
        enum uring_op op = next_of(u)->user_data & OP_MASK;
        if (op != OP_SEND && op != OP_RECORD && op != OP_PLACE && op != OP_NONE)
            break;
        complete_next(b);
    }
}

static void submit(struct backend *b)
{
    prepare(b);
    if (!io_uring_sq_ready(&uring_of(b)->ring))
        return;
    uring_enter(b);
    settle(b);
}

/* Flags that the kernel writes and we only read; relaxed, because they are hints: what they
 * announce is fetched by a system call, which orders everything. */
static void reap(struct backend *b)
{
    struct uring *u = uring_of(b);
    unsigned flags = IO_URING_READ_ONCE(*u->ring.sq.kflags);
    if (!(flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)))
        return;
    if (flags & IORING_SQ_CQ_OVERFLOW)
        COUNT(&b->counters, overflows, 1);
    COUNT(&b->counters, syscalls, 1);
    int rc = io_uring_get_events(&u->ring);
    if (fatal(rc))
        u->broken = rc;
}

/* Streams whose read side is to be looked at, because a send failed: by an armed receive. */
static void look(struct backend *b)
{
    struct endpoint *ep;
    while ((ep = endpoint_pop_ready(b)))
        if (ep->state == EP_OPEN)
            uring_want(b, ep, WANT_ARM);
}

/* A multishot receive brings at most 32 completions a run of its task work (MULTISHOT_MAX_RETRY of
 * io_uring/net.c): as many as half of that may not be all that waits. */
#define MANY 16u

static int rx(struct backend *b)
{
    struct uring *u = uring_of(b);
    b->starved = false;
    if (unlikely(b->ready.head != NIL))
        look(b);
    if (!uring_stash(b))
        return u->broken;
    if (!io_uring_cq_ready(&u->ring))
        reap(b);
    unsigned n = uring_harvest(b);
    if (n)
        COUNT(&b->counters, rx_calls, 1);
    b->more = n >= MANY || u->stash.buf || io_uring_cq_ready(&u->ring);
    return u->broken;
}

/* ---- sleeping ------------------------------------------------------------------------------- */

/* Completions are at hand, but there is no view header to tell the first of them with. */
static void nap(void)
{
    struct timespec ts = {.tv_nsec = STARVED_NS};
    nanosleep(&ts, NULL);
}

int uring_wait(struct backend *b, int64_t timeout_ns)
{
    struct uring *u = uring_of(b);
    struct io_uring_cqe *cqe;
    if (u->stash.buf && b->starved)
        nap();
    if (u->stash.buf || io_uring_cq_ready(&u->ring))
        return 0;
    prepare(b);
    /* What is left to do waits for slots, records or entries, which no completion may announce. */
    if (u->todo.head != NIL && (timeout_ns < 0 || timeout_ns > STARVED_NS))
        timeout_ns = STARVED_NS;
    struct __kernel_timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    if (u->sends)
        COUNT(&b->counters, tx_calls, 1);
    u->sends = false;
    COUNT(&b->counters, syscalls, 1);
    int rc = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, timeout_ns < 0 ? NULL : &ts, NULL);
    if (fatal(rc))
        u->broken = rc;
    return rc == -EINTR || fatal(rc) ? rc : 0;
}

const struct backend_ops backend_uring = {
    .name = "uring",
    .title = "kernel sockets, io_uring with multishot receives into the pool's slots",
    .kind = BACKEND_SOCKETS,
    .probe = uring_probe,
    .open = uring_open,
    .close = uring_close,
    .modes = uring_modes,
    .add = uring_add,
    .del = uring_del,
    .rx = rx,
    .flush = uring_flush,
    .submit = submit,
    .resume = uring_resume,
    .wait = uring_wait,
};
