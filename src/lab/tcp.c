/* SPDX-License-Identifier: MIT
 * tcp: requests and responses over standing connections.
 *
 * Without a rate the loop is closed: each connection sends its next request when the last
 * response is whole, as the known echo benchmarks do; the latency is then that of a patient
 * client and hides stalls. With a rate it is open: request k is intended at its time, waits for
 * an idle connection where there is none, and its latency counts from that time.
 *
 * One connection is polled directly; of several, epoll (edge-triggered, so that what was read is
 * not looked at again) says which have something. Idle connections wait in a ring, so that all
 * take their turn. */
#include "exchange.h"
#include "socket.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64
#define CONNECT_NS (UINT64_C(2) * 1000 * 1000 * 1000) /* lab.h: "2 s to connect" */

struct tcp {
    struct message m;
    struct exchange *conns; /* fd -1: dead */
    uint32_t *idle;         /* ring of o.connections: who waits for a request */
    uint64_t idle_head, idle_tail;
    uint32_t busy;
    int epoll;
};

static void be_idle(struct run *r, struct tcp *t, uint32_t i)
{
    t->idle[t->idle_head++ % r->o.connections] = i;
}

static void die(struct run *r, struct tcp *t, uint32_t i)
{
    close(t->conns[i].fd);
    t->conns[i].fd = -1;
    run_syscalls(r, 1);
}

/* Send the next request on an idle connection. */
static void request(struct run *r, struct tcp *t, uint32_t i, uint64_t now)
{
    struct exchange *x = &t->conns[i];
    int err;

    exchange_begin(x, r->k, r->o.rate ? r->next_ns : now);
    err = exchange_push(r, &t->m, x);
    run_tried(r, err == 0, -err, now);
    if (err) {
        r->part[r->phase].reset++;
        die(r, t, i);
    } else {
        t->busy++;
    }
}

static void request_due(struct run *r, struct tcp *t, uint64_t now)
{
    while (t->idle_tail != t->idle_head && run_due(r, now))
        request(r, t, t->idle[t->idle_tail++ % r->o.connections], now);
}

static void responded(struct run *r, struct tcp *t, uint32_t i, uint64_t now)
{
    struct exchange *x = &t->conns[i];
    unsigned part = run_part(r, x->k);

    r->part[part].received++;
    if (part == WINDOW && r->o.latency)
        weir_histogram_record(r->o.latency, now - x->since_ns, 1);
    t->busy--;
    be_idle(r, t, i);
}

static void broke(struct run *r, struct tcp *t, uint32_t i, int err)
{
    struct weir_load_counts *c = &r->part[run_part(r, t->conns[i].k)];

    if (err == -EBADMSG)
        c->corrupt++;
    else
        c->reset++;
    t->busy--;
    die(r, t, i);
}

/* Something happened on a connection, or may have. One without a request is looked at when it
 * gets one. */
static void advance(struct run *r, struct tcp *t, uint32_t i)
{
    struct exchange *x = &t->conns[i];
    int n = 0;

    if (x->fd < 0 || x->got == t->m.bytes)
        return;
    if (x->sent < t->m.bytes)
        n = exchange_push(r, &t->m, x);
    if (n == 0)
        n = exchange_pull(r, &t->m, x);
    if (n > 0)
        responded(r, t, i, weir_now_ns());
    else if (n < 0)
        broke(r, t, i, n);
}

/* With the window closed `now` is 0: take what comes, send nothing. */
static void turn(struct run *r, struct tcp *t, uint64_t now)
{
    struct epoll_event evs[BATCH];
    int n;

    if (now)
        request_due(r, t, now);
    if (t->epoll < 0) {
        advance(r, t, 0);
        return;
    }
    n = epoll_wait(t->epoll, evs, BATCH, 0);
    run_syscalls(r, 1);
    for (int i = 0; i < n; i++) {
        advance(r, t, evs[i].data.u32);
        if (now && !r->o.rate)
            request_due(r, t, weir_now_ns()); /* a closed loop goes on at once */
    }
}

static void tcp(struct run *r, struct tcp *t)
{
    uint64_t now;

    run_begin(r);
    while (run_on(r, now = weir_now_ns()) && (t->busy || t->idle_tail != t->idle_head))
        turn(r, t, now);
    if (!t->busy && t->idle_tail == t->idle_head)
        why_set(&r->ret->invalid, -ECONNRESET, "tcp", NULL, "every connection was lost");
    run_end(r);
    while (t->busy && run_draining(r, weir_now_ns()))
        turn(r, t, 0);
    run_drained(r);
}

static int await(struct run *r, int fd, uint64_t until_ns)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    uint64_t now = weir_now_ns();
    int err = 0;
    socklen_t len = sizeof err;

    if (poll(&p, 1, now < until_ns ? (int)((until_ns - now) / 1000000) : 0) == 0)
        err = ETIMEDOUT;
    else
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err)
        return socket_refuse(r, err, "connect to");
    return 0;
}

static int connect_one(struct run *r, struct tcp *t, uint32_t i, uint64_t until_ns)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i};
    int fd = socket_tcp(&r->o.target, 0);

    if (fd < 0)
        return socket_refuse(r, -fd, "connect to");
    t->conns[i].fd = fd;
    t->conns[i].got = t->m.bytes; /* nothing is asked for yet */
    be_idle(r, t, i);
    if (t->epoll >= 0 && epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        return socket_refuse(r, errno, "epoll of");
    return await(r, fd, until_ns);
}

static int open_tcp(struct run *r, struct tcp *t)
{
    uint64_t until_ns = weir_now_ns() + CONNECT_NS;
    int err = message_open(r, &t->m);

    t->conns = calloc(r->o.connections, sizeof *t->conns);
    t->idle = calloc(r->o.connections, sizeof *t->idle);
    if (err || !t->conns || !t->idle)
        return err ? err : socket_refuse(r, ENOMEM, "connections to");
    for (uint32_t i = 0; i < r->o.connections; i++)
        t->conns[i].fd = -1;
    if (r->o.connections > 1)
        t->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; !err && i < r->o.connections; i++)
        err = connect_one(r, t, i, until_ns);
    return err;
}

static void close_tcp(struct run *r, struct tcp *t)
{
    for (uint32_t i = 0; t->conns && i < r->o.connections; i++)
        if (t->conns[i].fd >= 0)
            close(t->conns[i].fd);
    if (t->epoll >= 0)
        close(t->epoll);
    free(t->conns);
    free(t->idle);
    message_close(&t->m);
}

int load_tcp(struct run *r)
{
    struct tcp t = {.epoll = -1};
    int err = open_tcp(r, &t);

    if (!err) {
        r->ret->closed_loop = !r->o.rate;
        snprintf(r->ret->mode, sizeof r->ret->mode, "%u connections, %s loop", r->o.connections,
                 r->o.rate ? "open" : "closed");
        tcp(r, &t);
    }
    close_tcp(r, &t);
    return err;
}
