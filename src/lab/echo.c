/* SPDX-License-Identifier: MIT
 * echo over sockets: open-loop round trips. One spinning thread sends what is due and takes what
 * has come; a receive is tried only while something is outstanding, and batches are used only
 * where there is more than one to send or to take, so that a lone round trip costs one send and
 * the receives that wait for it.
 *
 *     turn:  due? send(s) -> anything outstanding? receive(s) -> book
 *
 * One flow is polled directly. Of several, epoll says which have something. */
#include "book.h"
#include "socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 32

struct echo {
    struct book book;
    int *fds;
    int epoll; /* -1 with one flow */
    uint8_t *tx, *rx;
    uint32_t rx_bytes; /* one more than a reply: a longer one is seen */
    struct mmsghdr tx_msgs[BATCH], rx_msgs[BATCH];
    struct iovec tx_iov[BATCH], rx_iov[BATCH];
};

static void lay_out(struct run *r, struct echo *e)
{
    for (unsigned i = 0; i < BATCH; i++) {
        uint8_t *tx = e->tx + (size_t)i * r->o.bytes;

        memcpy(tx, e->book.pattern, r->o.bytes);
        e->tx_iov[i] = (struct iovec){tx, r->o.bytes};
        e->rx_iov[i] = (struct iovec){e->rx + (size_t)i * e->rx_bytes, e->rx_bytes};
        e->tx_msgs[i].msg_hdr = (struct msghdr){.msg_iov = &e->tx_iov[i], .msg_iovlen = 1};
        e->rx_msgs[i].msg_hdr = (struct msghdr){.msg_iov = &e->rx_iov[i], .msg_iovlen = 1};
    }
}

static int watch(struct run *r, struct echo *e)
{
    if (r->o.flows == 1)
        return 0;
    e->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (e->epoll < 0)
        return why_set(r->why, -errno, "echo", NULL, "epoll: %s", strerror(errno));
    for (uint32_t i = 0; i < r->o.flows; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = e->fds[i]};

        if (epoll_ctl(e->epoll, EPOLL_CTL_ADD, e->fds[i], &ev) < 0)
            return why_set(r->why, -errno, "echo", NULL, "epoll: %s", strerror(errno));
    }
    return 0;
}

/* Due sends of the next flow: a batch where there is but one flow, else one. */
static void send_due(struct run *r, struct echo *e, unsigned n, uint64_t now)
{
    int fd = e->fds[r->k % r->o.flows], sent, err;

    for (unsigned i = 0; i < n; i++)
        book_stamp(&e->book, e->tx_iov[i].iov_base, r->k + i);
    if (n == 1)
        sent = send(fd, e->tx, r->o.bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 1;
    else
        sent = sendmmsg(fd, e->tx_msgs, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    err = sent < 0 ? errno : 0;
    run_syscalls(r, 1);
    run_tried(r, err ? 0 : (unsigned)sent, err, now);
}

static void take_from(struct run *r, struct echo *e, int fd)
{
    int n = recvmmsg(fd, e->rx_msgs, BATCH, MSG_DONTWAIT, NULL);
    uint64_t now = weir_now_ns();

    run_syscalls(r, 1);
    for (int i = 0; i < n; i++)
        book_reply(r, &e->book, e->rx_iov[i].iov_base, e->rx_msgs[i].msg_len, now);
}

/* One outstanding reply: recv, which costs less than recvmmsg. */
static void take_one(struct run *r, struct echo *e)
{
    ssize_t n = recv(e->fds[0], e->rx, e->rx_bytes, MSG_DONTWAIT);

    run_syscalls(r, 1);
    if (n >= 0)
        book_reply(r, &e->book, e->rx, (size_t)n, weir_now_ns());
}

static void take_ready(struct run *r, struct echo *e)
{
    struct epoll_event evs[BATCH];
    int n = epoll_wait(e->epoll, evs, BATCH, 0);

    run_syscalls(r, 1);
    for (int i = 0; i < n; i++)
        take_from(r, e, evs[i].data.fd);
}

static void take(struct run *r, struct echo *e)
{
    uint64_t open = book_open_sends(r, &e->book);

    if (open == 0)
        weir_pause();
    else if (e->epoll >= 0)
        take_ready(r, e);
    else if (open == 1)
        take_one(r, e);
    else
        take_from(r, e, e->fds[0]);
}

static void echo(struct run *r, struct echo *e)
{
    unsigned batch = r->o.flows == 1 ? BATCH : 1;
    uint64_t now;

    run_begin(r);
    while (run_on(r, now = weir_now_ns())) {
        unsigned n = run_due_many(r, now, batch);

        if (n)
            send_due(r, e, n, now);
        take(r, e);
    }
    run_end(r);
    while (book_open_sends(r, &e->book) && run_draining(r, weir_now_ns()))
        take(r, e);
    for (uint32_t i = 0; i < r->o.flows; i++)
        r->part[WINDOW].rx_full += lab_socket_drops(e->fds[i]);
    run_drained(r);
}

static int open_echo(struct run *r, struct echo *e)
{
    int err = book_open(r, &e->book);

    if (err)
        return err;
    e->rx_bytes = r->o.bytes + 1;
    e->fds = calloc(r->o.flows, sizeof *e->fds);
    e->tx = calloc(BATCH, r->o.bytes);
    e->rx = calloc(BATCH, e->rx_bytes);
    if (!e->fds || !e->tx || !e->rx)
        return why_set(r->why, -ENOMEM, "echo", NULL, "no memory for %u flows", r->o.flows);
    lay_out(r, e);
    return socket_udp_many(r, e->fds, r->o.flows);
}

int load_echo(struct run *r)
{
    struct echo e = {.epoll = -1};
    int err = open_echo(r, &e);

    if (!err) {
        err = watch(r, &e);
        if (!err) {
            snprintf(r->ret->mode, sizeof r->ret->mode, "%u sockets, open loop", r->o.flows);
            echo(r, &e);
        }
        socket_close_many(e.fds, r->o.flows);
    }
    if (e.epoll >= 0)
        close(e.epoll);
    free(e.fds);
    free(e.tx);
    free(e.rx);
    book_close(&e.book);
    return err;
}
