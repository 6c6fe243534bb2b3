/* SPDX-License-Identifier: MIT
 * Endpoints in the ring: arming, stopping and ending their requests.
 *
 * What an endpoint needs from the kernel is noted (uring_want) and done in one pass before each
 * submission (uring_todo), so that whatever lacks now - a slot, a record, a submission entry - is
 * simply tried again. An endpoint is freed when its last request has completed: until then the
 * kernel may still write its slots.
 *
 * Accepted streams keep an ordinary descriptor and are not accepted straight into the table of
 * registered files, because the engine asks and shuts down by descriptor: getpeername (620 cycles a
 * connection, measured as what follows), getsockname, SO_LINGER, shutdown; a file without one would
 * first need IORING_OP_FIXED_FD_INSTALL (Linux 6.8). A receive looks its file up once in its life,
 * so only sends gain from the table: 150 of 7,500 cycles each. Going in and out costs 600 by
 * submission entries, so a stream goes in with its eighth send, and a short connection never.
 * Listeners and datagram sockets are few and live long: they go in at once, by a system call.
 * Sources: io_uring_register_files(3), io_uring_prep_cancel(3),
 * io_uring_prep_multishot_accept(3). */
#include "uring.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SENDS_FEW 8u   /* twice what a place in the table costs, in sends */
#define END_ENTRIES 6u /* at most: four cancels, two closes */

/* ---- the todo list: a first-in first-out list linked by index, like those of endpoint.c ----- */

void uring_want(struct backend *b, struct endpoint *ep, unsigned what)
{
    struct uring *u = uring_of(b);
    struct uring_ep *x = uring_ep(ep);
    x->want |= (uint16_t)what;
    if (x->has & HAS_TODO)
        return;
    x->has |= HAS_TODO;
    x->todo_next = NIL;
    if (u->todo.tail == NIL)
        u->todo.head = endpoint_index(ep);
    else
        uring_ep(endpoint_at(b, u->todo.tail))->todo_next = endpoint_index(ep);
    u->todo.tail = endpoint_index(ep);
}

static struct endpoint *todo_pop(struct backend *b)
{
    struct uring *u = uring_of(b);
    struct endpoint *ep = endpoint_at(b, u->todo.head);
    u->todo.head = uring_ep(ep)->todo_next;
    if (u->todo.head == NIL)
        u->todo.tail = NIL;
    uring_ep(ep)->has &= (uint16_t)~HAS_TODO;
    return ep;
}

void uring_ep_init(struct endpoint *ep)
{
    *uring_ep(ep) =
        (struct uring_ep){.todo_next = NIL, .held_head = NIL, .held_tail = NIL, .record = NIL};
}

void uring_release(struct backend *b, struct endpoint *ep)
{
    const struct uring_ep *x = uring_ep(ep);
    if (ep->state != EP_DYING || x->reqs || x->want || x->has & HAS_TODO)
        return;
    endpoint_free(b, ep);
}

/* ---- receiving ------------------------------------------------------------------------------ */

void uring_target(struct io_uring_sqe *sqe, struct endpoint *ep)
{
    if (!(uring_ep(ep)->has & HAS_FIXED))
        return;
    sqe->fd = (int)endpoint_index(ep);
    sqe->flags |= IOSQE_FIXED_FILE;
}

static bool may_receive(struct endpoint *ep)
{
    const struct uring_ep *x = uring_ep(ep);
    if (ep->kind == EP_STREAM) {
        unsigned closed = EP_PEER_EOF | EP_RX_STOPPED | EP_CLOSED_OWED;
        bool live = ep->state == EP_OPEN || ep->state == EP_CLOSING;
        return live && !(ep->flags & closed) && !(x->has & HAS_EOF) && !x->late &&
               x->held_head == NIL;
    }
    return ep->state == EP_OPEN && !(ep->flags & EP_PAUSED);
}

static enum uring_op op_of(const struct uring_ep *x, unsigned kind)
{
    if (kind == EP_STREAM)
        return x->has & HAS_BULK ? OP_BULK : OP_RECV;
    return kind == EP_UDP ? OP_RECVMSG : OP_ACCEPT;
}

static void prepare(struct uring *u, struct endpoint *ep, struct io_uring_sqe *sqe)
{
    switch (ep->kind) {
    case EP_LISTEN:
        /* Not SOCK_NONBLOCK: on such a socket the ring gives EAGAIN back instead of waiting for
         * it. */
        io_uring_prep_multishot_accept(sqe, ep->fd, NULL, NULL, SOCK_CLOEXEC);
        break;
    case EP_UDP: io_uring_prep_recvmsg_multishot(sqe, ep->fd, &u->rx_msg, 0); break;
    default: io_uring_prep_recv_multishot(sqe, ep->fd, NULL, 0, 0); break;
    }
}

/* Has the group something to receive into? */
static bool stocked(struct backend *b, struct group *g)
{
    g->wanted = true;
    if (g->posted == 0)
        group_fill(b, g);
    if (g->posted)
        return true;
    COUNT(&b->counters, pool_empty, 1);
    b->starved = true;
    return false;
}

/* The peer's half is closed and ours is not: nothing is received any more, so only a poll hears of a
 * reset. A multishot one, because the kernel adds POLLRDHUP, which is true already, to every poll
 * (IO_POLL_UNMASK of io_uring/poll.c). */
static bool half_open(struct endpoint *ep)
{
    return ep->kind == EP_STREAM && ep->state == EP_OPEN && ep->flags & EP_PEER_EOF &&
           !(ep->flags & (EP_SHUT_DONE | EP_CLOSED_OWED));
}

static bool watch(struct backend *b, struct endpoint *ep)
{
    struct uring_ep *x = uring_ep(ep);
    if (x->has & HAS_WATCH)
        return true;
    struct io_uring_sqe *sqe = uring_sqe(b);
    if (!sqe)
        return false;
    io_uring_prep_poll_multishot(sqe, ep->fd, POLLERR | POLLHUP);
    sqe->user_data = uring_data(ep, OP_WATCH);
    x->has |= HAS_WATCH;
    x->reqs++;
    uring_of(b)->reqs++;
    return true;
}

void uring_watched(struct backend *b, struct endpoint *ep, int res)
{
    if (res > 0 && res & (POLLERR | POLLHUP) && half_open(ep))
        endpoint_fail(b, ep, socket_broken_by(ep->fd));
}

/* The endpoint's multishot request. False: try again. */
static bool arm(struct backend *b, struct endpoint *ep)
{
    struct uring *u = uring_of(b);
    struct uring_ep *x = uring_ep(ep);
    enum uring_op op = op_of(x, ep->kind);
    struct group *g = op == OP_ACCEPT ? NULL : group_of(u, op);
    if (half_open(ep))
        return watch(b, ep);
    if (x->has & HAS_RX || !may_receive(ep))
        return true;
    if (g && !stocked(b, g))
        return false;
    struct io_uring_sqe *sqe = uring_sqe(b);
    if (!sqe)
        return false;
    prepare(u, ep, sqe);
    uring_target(sqe, ep);
    if (g) {
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = g->id;
    }
    sqe->user_data = uring_data(ep, op);
    x->has |= op == OP_BULK ? HAS_RX | HAS_RX_BULK : HAS_RX;
    x->reqs++;
    u->reqs++;
    return true;
}

/* Cancel one request by its user_data: the kernel finds it in a hash. Nobody waits for the cancel's
 * own completion, so success makes none; a failure (it has just ended by itself) makes one of
 * OP_NONE. */
static void cancel(struct backend *b, uint64_t data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring_of(b)->ring);
    io_uring_prep_cancel64(sqe, data, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = OP_NONE;
}

static void cancel_rx(struct backend *b, struct endpoint *ep)
{
    cancel(b, uring_data(ep, uring_ep(ep)->has & HAS_RX_BULK ? OP_BULK : OP_RECV));
}

/* The stream is full, or wants slots of the other size. */
static bool stop(struct backend *b, struct endpoint *ep)
{
    struct uring_ep *x = uring_ep(ep);
    bool fits = !(x->has & HAS_BULK) == !(x->has & HAS_RX_BULK);
    if (!(x->has & HAS_RX) || x->has & HAS_STOPPING || (fits && may_receive(ep)))
        return true;
    if (!uring_space(b, 1))
        return false;
    x->has |= HAS_STOPPING;
    cancel_rx(b, ep);
    return true;
}

/* ---- the end -------------------------------------------------------------------------------- */

static void cancel_stream(struct backend *b, struct endpoint *ep)
{
    const struct uring_ep *x = uring_ep(ep);
    if (x->has & HAS_RX && !(x->has & HAS_STOPPING))
        cancel_rx(b, ep);
    if (x->has & HAS_WATCH)
        cancel(b, uring_data(ep, OP_WATCH));
    if (x->has & HAS_SEND && x->record == NIL)
        cancel(b, uring_data(ep, OP_SEND));
    if (x->record != NIL)
        cancel(b, (uint64_t)x->record << OP_BITS | OP_RECORD);
}

/* All requests on the descriptor, however many. The kernel walks its whole table for this: not for
 * streams. */
static void cancel_all(struct backend *b, struct endpoint *ep)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring_of(b)->ring);
    io_uring_prep_cancel_fd(sqe, ep->fd, IORING_ASYNC_CANCEL_ALL);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = OP_NONE;
}

static void close_entry(struct backend *b, int fd, bool fixed)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring_of(b)->ring);
    if (fixed)
        io_uring_prep_close_direct(sqe, (unsigned)fd);
    else
        io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = OP_NONE;
}

/* Entries are issued in order: cancels find the descriptor still open. The requests hold the file
 * until they have completed, which cancelled ones do within the same call; then the peer is
 * told. */
static bool end(struct backend *b, struct endpoint *ep)
{
    struct uring_ep *x = uring_ep(ep);
    if (!uring_space(b, END_ENTRIES))
        return false;
    if (x->reqs && ep->kind == EP_STREAM)
        cancel_stream(b, ep);
    else if (x->reqs)
        cancel_all(b, ep);
    if (x->has & (HAS_FIXED | HAS_PLACING))
        close_entry(b, (int)endpoint_index(ep), true);
    x->has &= (uint16_t)~HAS_FIXED;
    close_entry(b, ep->fd, false);
    ep->fd = -1;
    return true;
}

/* The part of `want` that could not be done. */
static unsigned work_on(struct backend *b, struct endpoint *ep, unsigned want)
{
    unsigned left = 0;
    if (want & WANT_END)
        return end(b, ep) ? 0 : WANT_END;
    if (want & WANT_CONNECT && !uring_connect(b, ep))
        left |= WANT_CONNECT;
    if (want & WANT_HELD)
        uring_unhold(b, ep); /* notes itself again */
    if (want & WANT_STOP && !stop(b, ep))
        left |= WANT_STOP;
    if (want & WANT_ARM && !arm(b, ep))
        left |= WANT_ARM;
    if (want & WANT_SEND)
        uring_flush(b, ep); /* as well */
    return left;
}

void uring_todo(struct backend *b)
{
    struct uring *u = uring_of(b);
    uint32_t last = u->todo.tail, index = NIL;
    while (u->todo.head != NIL && index != last) {
        struct endpoint *ep = todo_pop(b);
        unsigned want = uring_ep(ep)->want;
        index = endpoint_index(ep);
        uring_ep(ep)->want = 0;
        unsigned left = work_on(b, ep, want);
        if (left && (ep->state != EP_DYING || left == WANT_END))
            uring_want(b, ep, left);
        uring_release(b, ep);
    }
}

/* ---- operations of the seam ----------------------------------------------------------------- */

/* Into the table at the endpoint's index. Not possible: the descriptor serves as well. */
static void place_file(struct backend *b, struct endpoint *ep)
{
    struct uring *u = uring_of(b);
    uint32_t index = endpoint_index(ep);
    if (index >= u->files)
        return;
    if (io_uring_sq_ready(&u->ring))
        uring_enter(b); /* a predecessor's entry may still be leaving this place */
    if (io_uring_sq_ready(&u->ring))
        return;
    COUNT(&b->counters, syscalls, 1);
    if (io_uring_register_files_update(&u->ring, index, &ep->fd, 1) == 1)
        uring_ep(ep)->has |= HAS_FIXED;
}

/* The entry points at ep->fd until it is issued: a descriptor that is closed before reads as -1,
 * "no file". */
void uring_settle_in(struct backend *b, struct endpoint *ep)
{
    struct uring *u = uring_of(b);
    struct uring_ep *x = uring_ep(ep);
    if (likely(x->sends >= SENDS_FEW) || ++x->sends < SENDS_FEW)
        return;
    if (endpoint_index(ep) >= u->files)
        return;
    struct io_uring_sqe *sqe = uring_sqe(b);
    if (!sqe)
        return;
    io_uring_prep_files_update(sqe, &ep->fd, 1, (int)endpoint_index(ep));
    sqe->user_data = uring_data(ep, OP_PLACE);
    x->has |= HAS_PLACING;
    x->reqs++;
    u->reqs++;
}

int uring_add(struct backend *b, struct endpoint *ep)
{
    int off = 0;
    bool connects = ep->kind == EP_STREAM && ep->state == EP_OPENING;
    uring_ep_init(ep);
    COUNT(&b->counters, syscalls, 1);
    if (ioctl(ep->fd, FIONBIO, &off))
        return -errno; /* as in prepare(): the ring waits for us */
    if (ep->kind == EP_UDP && uring_of(b)->features & URING_GRO)
        socket_gro(ep->fd);
    if (ep->kind != EP_STREAM)
        place_file(b, ep);
    if (!connects)
        ep->state = EP_OPEN;
    else
        uring_ep(ep)->has |= HAS_CONNECT;
    uring_want(b, ep, connects ? WANT_CONNECT : WANT_ARM);
    return 0;
}

/* Streams end with the next submission. Others end now: they are few, and whoever closes one may
 * bind its port again in the next line. */
void uring_del(struct backend *b, struct endpoint *ep)
{
    if (ep->kind == EP_STREAM)
        held_drop(b, ep);
    else
        again_drop(b, ep);
    uring_ep(ep)->want = 0;
    if (ep->kind == EP_STREAM || !end(b, ep)) {
        uring_want(b, ep, WANT_END);
        return;
    }
    uring_enter(b);
    uring_release(b, ep);
}

void uring_resume(struct backend *b, struct endpoint *ep)
{
    if (ep->kind == EP_STREAM)
        uring_unhold(b, ep);
    uring_want(b, ep, WANT_ARM);
}
