/* SPDX-License-Identifier: MIT
 * naive: the yardstick. One event a readiness, one datagram an event, one system call a packet,
 * four copies:
 *
 *     kernel -recvfrom-> stack buffer -> malloc'd message -> packet struct -> locked queue's cell
 *
 * as servers are commonly written first. The queue's cell is the buffer that the handler gets, so
 * that popping is not a fifth. A stream goes the same way, its last copy behind the stream's
 * unconsumed bytes. A reply is one sendto. naive_rx.c has the copies. Honest: nothing sleeps,
 * nothing is done twice, only the bytes that came are copied; what epoll_wait told while waiting is
 * used by the next poll. Level-triggered: interest that cannot be served is taken out of the set
 * (arm). bench/method.md counts the copies; weakening this file to flatter another is a defect. */
#include "naive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int naive_probe(char *modes, size_t bytes, struct weir_why *why)
{
    (void)why; /* every Linux has it */
    snprintf(modes, bytes, "a recvfrom, four copies, a lock and a sendto for each packet");
    return 0;
}

static void naive_modes(const struct backend *b, char *text, size_t bytes)
{
    struct weir_why why;
    (void)b;
    naive_probe(text, bytes, &why);
}

static int control(struct backend *b, int op, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    COUNT(&b->counters, syscalls, 1);
    return epoll_ctl(naive_of(b)->fd, op, fd, &event) ? -errno : 0;
}

static int naive_open(struct backend *b, struct weir_why *why)
{
    struct naive *p = calloc(1, sizeof *p);
    if (!p)
        return why_set(why, -ENOMEM, "naive", "", "no memory");
    b->priv = p;
    pthread_mutex_init(&p->lock, NULL);
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    int rc = p->fd < 0 ? -errno : control(b, EPOLL_CTL_ADD, b->wake_fd, EPOLLIN | EPOLLET, 0);
    return rc ? why_set(why, rc, "naive", "raise the limit of open files", "epoll_create1 failed")
              : 0;
}

static void naive_close(struct backend *b)
{
    struct naive *p = naive_of(b);
    naive_rx_close(b);
    if (p->fd >= 0)
        close(p->fd);
    pthread_mutex_destroy(&p->lock);
    free(p);
    b->priv = NULL;
}

/* ---- interest ------------------------------------------------------------------------------- */

static bool wants_in(const struct endpoint *ep)
{
    const uint32_t deaf = EP_PAUSED | EP_RX_STOPPED | EP_PEER_EOF | EP_CLOSED_OWED | EP_ON_READY;
    bool discards = ep->state == EP_CLOSING && ep->flags & EP_DISCARD;
    return discards || (ep->state == EP_OPEN && !(ep->flags & deaf));
}

static bool wants_out(const struct endpoint *ep)
{
    return ep->state == EP_OPENING || ep->flags & EP_BLOCKED;
}

/* The peer's half is closed and ours is not: only a reset can come, which epoll tells unasked, and
 * once is enough. */
static bool half_open(const struct endpoint *ep)
{
    return ep->state == EP_OPEN && ep->flags & EP_PEER_EOF &&
           !(ep->flags & (EP_SHUT_DONE | EP_CLOSED_OWED));
}

/* Tell epoll what an endpoint waits for; priv[0] is what it was told last. An endpoint that waits
 * for nothing leaves the set, for EPOLLHUP and EPOLLERR cannot be masked and would come again and
 * again. */
static int arm(struct backend *b, struct endpoint *ep)
{
    uint32_t want = (wants_in(ep) ? EPOLLIN : 0u) | (wants_out(ep) ? EPOLLOUT : 0u);
    uint32_t told = (uint32_t)ep->priv[0];
    if (!want && half_open(ep))
        want = EPOLLET;
    if (want == told)
        return 0;
    ep->priv[0] = want;
    int op = !told ? EPOLL_CTL_ADD : !want ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    return control(b, op, ep->fd, want, ep->handle);
}

static int naive_add(struct backend *b, struct endpoint *ep)
{
    bool connects = ep->kind == EP_STREAM;
    int rc = connects ? socket_connect(ep) : 0;
    if (rc)
        return rc;
    if (!connects)
        ep->state = EP_OPEN;
    return arm(b, ep);
}

static void naive_del(struct backend *b, struct endpoint *ep)
{
    close(ep->fd); /* leaves the epoll set by itself: nobody duplicated it */
    COUNT(&b->counters, syscalls, 1);
    endpoint_free(b, ep);
}

static void naive_resume(struct backend *b, struct endpoint *ep)
{
    arm(b, ep);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void accept_one(struct backend *b, struct endpoint *listener)
{
    struct weir_addr peer;
    int fd = socket_accept(listener->fd, &peer);
    COUNT(&b->counters, syscalls, 1);
    if (fd < 0) {
        if (fd != -EAGAIN && fd != -EINTR)
            endpoint_accept_failed(b, listener, fd);
        return;
    }
    struct endpoint *ep = endpoint_accepted(b, listener, fd, &peer);
    int rc = ep ? arm(b, ep) : 0;
    if (rc)
        endpoint_fail(b, ep, rc);
}

static void readable(struct backend *b, struct endpoint *ep)
{
    if (!wants_in(ep))
        return;
    switch (ep->kind) {
    case EP_UDP: naive_datagram(b, ep); break;
    case EP_LISTEN: accept_one(b, ep); break;
    case EP_STREAM: naive_stream(b, ep); break;
    default: break;
    }
}

static void writable(struct backend *b, struct endpoint *ep)
{
    if (ep->state == EP_OPENING)
        endpoint_connected(b, ep, socket_error(ep->fd));
    ep->flags &= ~(uint32_t)EP_BLOCKED;
    if (ep->tx_count)
        endpoint_dirty(b, ep);
}

static void discard(struct backend *b, struct endpoint *ep)
{
    COUNT(&b->counters, syscalls, 1);
    if (socket_discard(ep->fd) < 0)
        endpoint_end(b, ep);
}

/* One event: at most one receive of it. */
static void handle(struct backend *b, const struct epoll_event *event)
{
    if (event->data.u64 == 0)
        return; /* the wake descriptor: it has woken us, which is all */
    struct endpoint *ep = endpoint_at(b, (uint32_t)event->data.u64 - 1);
    if (ep->handle != event->data.u64 || ep->state == EP_FREE) {
        COUNT(&b->counters, stale_events, 1);
        return;
    }
    bool broken = event->events & (EPOLLERR | EPOLLHUP);
    if (ep->state == EP_CLOSING && ep->flags & EP_DISCARD) {
        discard(b, ep);
        return;
    }
    if (broken && ep->state == EP_CLOSING && ep->kind == EP_STREAM) {
        endpoint_fail(b, ep, -EPIPE);
        return;
    }
    if (broken && half_open(ep))
        endpoint_fail(b, ep, socket_broken_by(ep->fd));
    if (broken || event->events & EPOLLOUT)
        writable(b, ep);
    if (broken || event->events & EPOLLIN)
        readable(b, ep);
    arm(b, ep);
}

/* Endpoints that starved, and those only, are on the ready list. */
static void feed_the_starved(struct backend *b)
{
    struct endpoint *ep;
    b->starved = false;
    while ((ep = endpoint_pop_ready(b)))
        if (ep->state == EP_OPEN)
            arm(b, ep);
}

/* The textbook's loop makes one epoll_wait a turn. So when this turn's events came from naive_wait,
 * the next looks no further: a loop that sleeps finds nothing to do, waits, and is told there. */
static void look(struct backend *b, struct naive *p)
{
    bool waits_next = p->waits_next;
    p->waits_next = p->n_told > 0 && !b->opt.spin;
    if (p->n_told > 0 || waits_next)
        return;
    p->n_told = epoll_wait(p->fd, p->told, array_len(p->told), 0);
    COUNT(&b->counters, syscalls, 1);
}

static int naive_rx(struct backend *b)
{
    struct naive *p = naive_of(b);
    feed_the_starved(b);
    look(b, p);
    for (int i = 0; i < p->n_told && backend_room(b); i++)
        handle(b, &p->told[i]); /* what finds no room is told again: level-triggered */
    p->n_told = 0;
    return 0;
}

/* ---- sending -------------------------------------------------------------------------------- */

static ssize_t send_one(struct backend *b, struct endpoint *ep, struct tx_item *item)
{
    COUNT(&b->counters, syscalls, 1);
    COUNT(&b->counters, tx_calls, 1);
    if (ep->kind == EP_STREAM)
        return send(ep->fd, item->buf->data + ep->tx_off, item->buf->len - ep->tx_off,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    struct sockaddr_storage name;
    unsigned bytes = addr_to_sock(&item->to, ep->family, &name);
    return sendto(ep->fd, item->buf->data, item->buf->len, MSG_DONTWAIT | MSG_NOSIGNAL,
                  (void *)&name, bytes);
}

static void sent(struct backend *b, struct endpoint *ep, size_t bytes)
{
    naive_copied(b, bytes);
    if (ep->kind == EP_STREAM) {
        COUNT(&b->counters, stream_writes, 1);
        txq_advance(b, ep, bytes);
        return;
    }
    COUNT(&b->counters, tx_packets, 1);
    COUNT(&b->counters, tx_bytes, bytes);
    txq_pop(b, ep, 1);
}

/* True: go on with the next, or with the same again. */
static bool refused(struct backend *b, struct endpoint *ep, int err)
{
    if (err == EINTR)
        return true;
    bool full = err == EAGAIN || err == ENOBUFS || err == ENOMEM;
    if (ep->kind == EP_STREAM && !full) {
        endpoint_send_failed(b, ep, -err);
        return false;
    }
    if (!socket_send_failed(b, ep, -err))
        return false;
    txq_pop(b, ep, 1);
    return true;
}

static void naive_flush(struct backend *b, struct endpoint *ep)
{
    bool open = ep->state == EP_OPEN || ep->state == EP_CLOSING;
    if (!open || ep->flags & (EP_BLOCKED | EP_CLOSED_OWED))
        return;
    while (ep->tx_count) {
        ssize_t n = send_one(b, ep, txq_head(b, ep));
        if (n >= 0)
            sent(b, ep, (size_t)n);
        else if (!refused(b, ep, errno))
            break;
    }
    if (ep->state == EP_OPEN || ep->state == EP_CLOSING)
        endpoint_tx_moved(b, ep);
    if (ep->state == EP_OPEN || ep->state == EP_CLOSING)
        arm(b, ep);
}

/* What epoll tells here is kept for the rx that follows. */
static int naive_wait(struct backend *b, int64_t timeout_ns)
{
    struct naive *p = naive_of(b);
    struct timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    int64_t ms = timeout_ns < 0 ? -1 : min_of((timeout_ns + 999999) / 1000000, INT64_C(60000));
    int n = epoll_pwait2(p->fd, p->told, array_len(p->told), timeout_ns < 0 ? NULL : &ts, NULL);
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) /* before kernel 5.11, or a filter of then */
        n = epoll_wait(p->fd, p->told, array_len(p->told), (int)ms);
    COUNT(&b->counters, syscalls, 1);
    p->n_told = n > 0 ? n : 0;
    return n < 0 ? -errno : 0;
}

const struct backend_ops backend_naive = {
    .name = "naive",
    .title = "the yardstick: event by event, four copies a packet",
    .kind = BACKEND_SOCKETS,
    .plain = 1,
    .probe = naive_probe,
    .open = naive_open,
    .close = naive_close,
    .modes = naive_modes,
    .add = naive_add,
    .del = naive_del,
    .rx = naive_rx,
    .flush = naive_flush,
    .resume = naive_resume,
    .wait = naive_wait,
};
