/* SPDX-License-Identifier: MIT
 * epoll: kernel sockets, readiness by edges, datagrams in bursts of recvmmsg and sendmmsg.
 *
 * rx: edges put endpoints on the ready list; each is read until the kernel has no more or the
 * poll's share is spent, so one system call serves a burst. A spinning engine with few datagram
 * sockets asks those sockets directly and epoll only now and then: an empty recvmmsg costs no more
 * than an empty epoll_wait and saves the second call when there is something. What UDP GRO merged
 * is cut into views (epoll_udp.c).
 * Sources: epoll(7), udp(7) (UDP_GRO, UDP_SEGMENT),
 * Documentation/networking/segmentation-offloads.rst. */
#include "epoll.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STREAM_READS 4u /* reads of one stream in one poll: then the others' turn */
#define ACCEPTS 64u     /* accepts of one listener in one poll */
#define EPOLL_EVERY 8u  /* spinning: polls between two looks at epoll while only datagrams come */

static int epoll_probe(char *modes, size_t bytes, struct weir_why *why)
{
    (void)why; /* every Linux has it */
    bool gro, gso;
    epoll_udp_features(&gro, &gso);
    snprintf(modes, bytes, "recvmmsg and sendmmsg; UDP GRO %s; UDP GSO %s; edge-triggered TCP",
             gro ? "yes" : "no (kernel 5.0 has it)", gso ? "yes" : "no (kernel 4.18 has it)");
    return 0;
}

static int watch(struct backend *b, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    COUNT(&b->counters, syscalls, 1);
    return epoll_ctl(epoll_of(b)->fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int epoll_open(struct backend *b, struct weir_why *why)
{
    struct epoll *p = calloc(1, sizeof *p);
    if (!p)
        return why_set(why, -ENOMEM, "epoll", "", "no memory");
    b->priv = p;
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    int rc = p->fd < 0 ? -errno : watch(b, b->wake_fd, EPOLLIN | EPOLLET, 0);
    if (rc == 0)
        rc = epoll_udp_open(b);
    if (rc)
        return why_set(why, rc, "epoll", "", "epoll_create1 or its buffers failed");
    return 0;
}

static void epoll_close(struct backend *b)
{
    struct epoll *p = epoll_of(b);
    if (!p)
        return;
    epoll_udp_close(b);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
    b->priv = NULL;
}

static void epoll_modes(const struct backend *b, char *text, size_t bytes)
{
    const struct epoll *p = b->priv;
    snprintf(text, bytes, "bursts of %u; UDP GRO %s, GSO %s", b->opt.burst, p->gro ? "on" : "off",
             p->gso ? "on" : "off");
}

/* ---- endpoints ------------------------------------------------------------------------------ */

static void hot_add(struct epoll *p, struct endpoint *ep)
{
    if (p->n_udp < HOT_MAX)
        p->hot[p->n_udp] = endpoint_index(ep);
    p->n_udp++;
}

static void hot_find_all(struct backend *b, struct epoll *p)
{
    p->n_udp = 0;
    for (uint32_t i = 0; i < b->eps_max; i++)
        if (b->eps[i].kind == EP_UDP && b->eps[i].state >= EP_OPEN)
            hot_add(p, &b->eps[i]);
}

/* Searches the table only when the sockets become few enough to be hot again. */
static void hot_del(struct backend *b, struct epoll *p, uint32_t index)
{
    if (--p->n_udp >= HOT_MAX) {
        if (p->n_udp == HOT_MAX)
            hot_find_all(b, p);
        return;
    }
    for (unsigned i = 0; i < p->n_udp; i++)
        if (p->hot[i] == index)
            p->hot[i] = p->hot[p->n_udp];
}

static bool is_hot(const struct backend *b, const struct epoll *p)
{
    return b->opt.spin && p->n_udp && p->n_udp <= HOT_MAX;
}

static int epoll_add(struct backend *b, struct endpoint *ep)
{
    bool connects = ep->kind == EP_STREAM && ep->state == EP_OPENING;
    int rc = connects ? socket_connect(ep) : 0;
    uint32_t events = EPOLLIN | EPOLLET | (ep->kind == EP_LISTEN ? 0 : EPOLLOUT | EPOLLRDHUP);
    if (rc == 0)
        rc = watch(b, ep->fd, events, ep->handle);
    if (rc)
        return rc;
    if (ep->kind == EP_UDP) {
        if (!b->opt.no_gro)
            epoll_of(b)->gro |= socket_gro(ep->fd);
        hot_add(epoll_of(b), ep);
    }
    if (!connects)
        ep->state = EP_OPEN;
    return 0;
}

static void epoll_del(struct backend *b, struct endpoint *ep)
{
    bool udp = ep->kind == EP_UDP;
    if (udp)
        epoll_udp_forget(b, ep);
    close(ep->fd); /* leaves the epoll set by itself: nobody duplicated it */
    COUNT(&b->counters, syscalls, 1);
    endpoint_free(b, ep);
    if (udp)
        hot_del(b, epoll_of(b), (uint32_t)(ep - b->eps));
}

static void epoll_resume(struct backend *b, struct endpoint *ep)
{
    endpoint_ready(b, ep);
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* One accept. False: nothing more is waiting, or the listener pauses. */
static bool accept_one(struct backend *b, struct endpoint *listener)
{
    struct weir_addr peer;
    int fd = socket_accept(listener->fd, &peer);
    COUNT(&b->counters, syscalls, 1);
    if (fd == -EAGAIN || fd == -EINTR)
        return fd == -EINTR;
    if (fd < 0) {
        endpoint_accept_failed(b, listener, fd);
        return !(listener->flags & EP_PAUSED);
    }
    struct endpoint *ep = endpoint_accepted(b, listener, fd, &peer);
    if (!ep)
        return true;
    int rc = watch(b, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, ep->handle);
    if (rc)
        endpoint_fail(b, ep, rc);
    return true;
}

static bool accept_ready(struct backend *b, struct endpoint *listener)
{
    if (listener->flags & EP_PAUSED)
        return false;
    for (unsigned i = 0; i < ACCEPTS; i++)
        if (!accept_one(b, listener))
            return false;
    return true;
}

/* One read behind what is there. False: nothing more now. */
static bool read_once(struct backend *b, struct endpoint *ep)
{
    uint8_t *to;
    size_t room = stream_room(b, ep, &to);
    if (room == 0)
        return !(ep->flags & EP_RX_STOPPED); /* starved: again next poll */
    ssize_t n = recv(ep->fd, to, room, MSG_DONTWAIT);
    int err = errno;
    COUNT(&b->counters, syscalls, 1);
    stream_landed(b, ep, n > 0 ? (size_t)n : 0);
    if (n > 0) {
        COUNT(&b->counters, copies, 1);
        COUNT(&b->counters, copied_bytes, n);
        COUNT(&b->counters, rx_calls, 1);
        return (size_t)n == room || ep->flags & EP_HUNG;
    }
    if (n == 0)
        stream_eof(b, ep);
    else if (err == EINTR)
        return true;
    else if (err != EAGAIN)
        endpoint_fail(b, ep, -err);
    return false;
}

static bool discard(struct backend *b, struct endpoint *ep)
{
    int more = socket_discard(ep->fd);
    COUNT(&b->counters, syscalls, 1);
    if (more < 0)
        endpoint_end(b, ep);
    return more > 0;
}

static bool read_stream(struct backend *b, struct endpoint *ep)
{
    if (ep->state == EP_CLOSING && ep->flags & EP_DISCARD)
        return discard(b, ep);
    if (ep->state != EP_OPEN || ep->flags & (EP_PEER_EOF | EP_RX_STOPPED | EP_CLOSED_OWED))
        return false;
    for (unsigned i = 0; i < STREAM_READS; i++)
        if (!read_once(b, ep))
            return false;
        else if (b->starved)
            return true;
    return true;
}

/* Read one endpoint. True: there may be more, keep it on the ready list. */
static bool read_endpoint(struct backend *b, struct endpoint *ep)
{
    switch (ep->kind) {
    case EP_UDP: return ep->state == EP_OPEN && epoll_udp_rx(b, ep);
    case EP_LISTEN: return ep->state == EP_OPEN && accept_ready(b, ep);
    case EP_STREAM: return read_stream(b, ep);
    default: return false;
    }
}

static void writable(struct backend *b, struct endpoint *ep)
{
    if (ep->state == EP_OPENING)
        endpoint_connected(b, ep, socket_error(ep->fd));
    ep->flags &= ~EP_BLOCKED;
    if (ep->tx_count)
        endpoint_dirty(b, ep);
}

static void edge(struct backend *b, const struct epoll_event *event)
{
    if (event->data.u64 == 0)
        return; /* the wake descriptor: it has woken us, which is all */
    struct endpoint *ep = endpoint_at(b, (uint32_t)event->data.u64 - 1);
    if (ep->handle != event->data.u64 || ep->state == EP_FREE) {
        COUNT(&b->counters, stale_events, 1);
        return;
    }
    if (ep->kind != EP_UDP)
        epoll_of(b)->quiet = 0;
    bool broken = event->events & (EPOLLERR | EPOLLHUP);
    if (broken && ep->state == EP_CLOSING && ep->kind == EP_STREAM && !(ep->flags & EP_DISCARD)) {
        endpoint_fail(b, ep, -EPIPE);
        return;
    }
    if (broken && ep->flags & EP_PEER_EOF && !(ep->flags & EP_SHUT_DONE))
        endpoint_fail(b, ep,
                      socket_broken_by(
                          ep->fd)); /* nobody reads it any more, so nobody else tells */
    if (broken || event->events & EPOLLRDHUP)
        ep->flags |= EP_HUNG;
    if (event->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        writable(b, ep);
    if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
        endpoint_ready(b, ep);
}

static void look(struct backend *b)
{
    struct epoll *p = epoll_of(b);
    if (p->n_edges == 0) {
        int n = epoll_wait(p->fd, p->edges, array_len(p->edges), 0);
        COUNT(&b->counters, syscalls, 1);
        p->n_edges = n > 0 ? (unsigned)n : 0;
    }
    p->quiet = 1; /* unless an edge tells of something that is not hot anyway */
    for (unsigned i = 0; i < p->n_edges; i++)
        edge(b, &p->edges[i]);
    p->n_edges = 0;
}

static bool look_due(const struct backend *b, struct epoll *p)
{
    return !is_hot(b, p) || p->n_edges || !p->quiet || ++p->turn % EPOLL_EVERY == 0;
}

static int epoll_rx(struct backend *b)
{
    struct epoll *p = epoll_of(b);
    b->starved = false;
    if (look_due(b, p))
        look(b);
    if (is_hot(b, p))
        for (unsigned i = 0; i < p->n_udp; i++)
            endpoint_ready(b, endpoint_at(b, p->hot[i]));
    epoll_udp_stash(b);
    uint32_t last = b->ready.tail, turns = b->max_events / STREAM_READS + 1;
    while (b->ready.head != NIL && backend_room(b) && turns--) {
        struct endpoint *ep = endpoint_pop_ready(b);
        uint32_t index = (uint32_t)(ep - b->eps);
        if (read_endpoint(b, ep))
            endpoint_ready(b, ep);
        if (index == last)
            break;
    }
    return 0;
}

/* ---- sending -------------------------------------------------------------------------------- */

static bool stream_send(struct backend *b, struct endpoint *ep)
{
    struct iovec iov[64];
    unsigned n = 0;
    size_t asked = 0, off = ep->tx_off;
    for (struct tx_item *item = txq_head(b, ep); item && n < array_len(iov);
         item = txq_next(b, item)) {
        iov[n] = (struct iovec){item->buf->data + off, item->buf->len - off};
        asked += iov[n++].iov_len;
        off = 0;
    }
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
    ssize_t sent = sendmsg(ep->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    int err = errno;
    COUNT(&b->counters, syscalls, 1);
    COUNT(&b->counters, tx_calls, 1);
    if (sent < 0 && err == EINTR)
        return true;
    if (sent < 0) {
        if (err == EAGAIN || err == ENOBUFS || err == ENOMEM)
            socket_send_failed(b, ep, -err);
        else
            endpoint_send_failed(b, ep, -err);
        return false;
    }
    COUNT(&b->counters, stream_writes, 1);
    COUNT(&b->counters, copies, 1);
    COUNT(&b->counters, copied_bytes, sent);
    txq_advance(b, ep, (size_t)sent);
    return (size_t)sent == asked; /* else the next call tells EAGAIN, or an edge came in between */
}

static void epoll_flush(struct backend *b, struct endpoint *ep)
{
    bool open = ep->state == EP_OPEN || ep->state == EP_CLOSING;
    if (!open || ep->flags & (EP_BLOCKED | EP_CLOSED_OWED))
        return;
    if (ep->kind == EP_UDP)
        epoll_udp_tx(b, ep);
    else
        while (ep->tx_count && stream_send(b, ep)) {}
    if (ep->state == EP_OPEN || ep->state == EP_CLOSING)
        endpoint_tx_moved(b, ep);
}

static int wait_in_ms(struct epoll *p, int64_t timeout_ns)
{
    int64_t ms = min_of((timeout_ns + 999999) / 1000000, INT64_C(60000));
    return epoll_wait(p->fd, p->edges, array_len(p->edges), timeout_ns < 0 ? -1 : (int)ms);
}

static int wait_in_ns(struct epoll *p, int64_t timeout_ns)
{
    struct timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    int n = epoll_pwait2(p->fd, p->edges, array_len(p->edges), timeout_ns < 0 ? NULL : &ts, NULL);
    /* before kernel 5.11; EPERM is what older container filters answer to a call they do not
     * know */
    p->no_pwait2 = n < 0 && (errno == ENOSYS || errno == EPERM);
    return p->no_pwait2 ? wait_in_ms(p, timeout_ns) : n;
}

/* What epoll tells here is kept for the rx that follows, which then needs no second call. */
static int epoll_backend_wait(struct backend *b, int64_t timeout_ns)
{
    struct epoll *p = epoll_of(b);
    if (p->n_edges)
        return 0; /* an earlier wait's are not harvested yet: edges come only once */
    int n = p->no_pwait2 ? wait_in_ms(p, timeout_ns) : wait_in_ns(p, timeout_ns);
    COUNT(&b->counters, syscalls, 1);
    if (n < 0)
        return -errno;
    p->n_edges = (unsigned)n;
    return 0;
}

const struct backend_ops backend_epoll = {
    .name = "epoll",
    .title = "kernel sockets, bursts of recvmmsg and sendmmsg",
    .kind = BACKEND_SOCKETS,
    .probe = epoll_probe,
    .open = epoll_open,
    .close = epoll_close,
    .modes = epoll_modes,
    .add = epoll_add,
    .del = epoll_del,
    .rx = epoll_rx,
    .flush = epoll_flush,
    .resume = epoll_resume,
    .wait = epoll_backend_wait,
};
