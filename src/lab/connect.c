/* SPDX-License-Identifier: MIT
 * connect: set up a connection, exchange one request and response over it, tear it down; three
 * histograms.
 *
 *     connect --set-up--> writable, send --exchange--> response, shutdown --tear-down--> end
 *
 * Our side closes first, so the TIME_WAIT is ours: on loopback and in the lab sources are spread
 * over tens of thousands of addresses, and no pair of addresses comes again before all others
 * did. */
#include "exchange.h"
#include "socket.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64
#define SPREAD_LOOPBACK                                                                            \
    65536u /* 127.0.0.1 + 256 k: one source a third byte, well inside of 127.0.0.0/8 */
#define SPREAD_LAB 32768u /* 10.99.128.0/17, which the lab routes back to its client */

enum stage { IDLE, CONNECTING, EXCHANGING, CLOSING };

struct slot {
    struct exchange x;
    enum stage stage;
    uint64_t stage_ns; /* when the stage began, or was intended to */
};

struct connects {
    struct message m;
    struct slot *slots;
    uint32_t *idle; /* stack */
    uint32_t idle_count;
    int epoll;
    uint32_t source_base, source_count; /* host order; 0: the kernel's choice */
};

static uint32_t next_source(const struct connects *c, uint64_t k)
{
    if (!c->source_count)
        return 0;
    if (c->source_count == SPREAD_LOOPBACK)
        return htonl(c->source_base + (uint32_t)(k % SPREAD_LOOPBACK) * 256);
    return htonl(c->source_base + (uint32_t)(k % c->source_count));
}

static void record(struct run *r, struct weir_histogram *h, const struct slot *s, uint64_t now)
{
    if (h && run_part(r, s->x.k) == WINDOW)
        weir_histogram_record(h, now - s->stage_ns, 1);
}

static void finish(struct run *r, struct connects *c, uint32_t i)
{
    close(c->slots[i].x.fd);
    run_syscalls(r, 1);
    c->slots[i].stage = IDLE;
    c->idle[c->idle_count++] = i;
}

static void start(struct run *r, struct connects *c, uint64_t now)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
    uint32_t i = c->idle[c->idle_count - 1];
    struct slot *s = &c->slots[i];
    uint64_t k = r->k, since_ns = r->o.rate ? r->next_ns : now;
    int fd = socket_tcp(&r->o.target, next_source(c, k));

    run_syscalls(r, c->source_count ? 6 : 4); /* socket, options, bind, connect, epoll_ctl */
    ev.data.u32 = i;
    if (fd >= 0 && epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
        int err = errno;

        close(fd);
        fd = -err;
    }
    run_tried(r, fd >= 0, fd < 0 ? -fd : 0, now);
    if (fd < 0)
        return;
    c->idle_count--;
    s->x.fd = fd;
    exchange_begin(&s->x, k, since_ns);
    s->stage = CONNECTING;
    s->stage_ns = since_ns;
}

/* Established: the request leaves at once. */
static int established(struct run *r, struct connects *c, struct slot *s)
{
    uint64_t now = weir_now_ns();

    record(r, r->o.setup, s, now);
    s->stage = EXCHANGING;
    s->stage_ns = now;
    return exchange_push(r, &c->m, &s->x);
}

static int exchanging(struct run *r, struct connects *c, struct slot *s)
{
    int n = 0;

    if (s->x.sent < c->m.bytes)
        n = exchange_push(r, &c->m, &s->x);
    if (n == 0)
        n = exchange_pull(r, &c->m, &s->x);
    if (n <= 0)
        return n;
    record(r, r->o.latency, s, weir_now_ns());
    s->stage = CLOSING;
    s->stage_ns = weir_now_ns();
    run_syscalls(r, 1);
    return shutdown(s->x.fd, SHUT_WR) < 0 ? -errno : 0;
}

/* 1: the peer's end of stream has come. */
static int closing(struct run *r, struct connects *c, struct slot *s)
{
    ssize_t n = recv(s->x.fd, c->m.rx, 1, MSG_DONTWAIT);

    run_syscalls(r, 1);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n > 0)
        return -EBADMSG;
    record(r, r->o.teardown, s, weir_now_ns());
    r->part[run_part(r, s->x.k)].received++;
    return 1;
}

static void failed(struct run *r, const struct slot *s, int err)
{
    struct weir_load_counts *counts = &r->part[run_part(r, s->x.k)];

    if (err == -EBADMSG)
        counts->corrupt++;
    else if (s->stage == CONNECTING)
        counts->connect_error++;
    else
        counts->reset++;
}

static int socket_error(struct run *r, int fd)
{
    int err = 0;
    socklen_t len = sizeof err;

    run_syscalls(r, 1);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    return err ? -err : -ECONNRESET;
}

static void advance(struct run *r, struct connects *c, uint32_t i, uint32_t events)
{
    struct slot *s = &c->slots[i];
    int n = 0;

    if (events & EPOLLERR)
        n = socket_error(r, s->x.fd);
    else if (s->stage == CONNECTING && (events & EPOLLOUT))
        n = established(r, c, s);
    else if (s->stage == EXCHANGING)
        n = exchanging(r, c, s);
    else if (s->stage == CLOSING)
        n = closing(r, c, s);
    if (n < 0)
        failed(r, s, n);
    if (n != 0)
        finish(r, c, i);
}

static void take(struct run *r, struct connects *c)
{
    struct epoll_event evs[BATCH];
    int n = epoll_wait(c->epoll, evs, BATCH, 0);

    run_syscalls(r, 1);
    for (int i = 0; i < n; i++)
        advance(r, c, evs[i].data.u32, evs[i].events);
}

static void abandon(struct run *r, struct connects *c)
{
    const struct linger now = {.l_onoff = 1}; /* reset: no connection outlives the run */

    for (uint32_t i = 0; i < r->o.connections; i++) {
        struct slot *s = &c->slots[i];

        if (s->stage == IDLE)
            continue;
        r->part[run_part(r, s->x.k)].unfinished++;
        setsockopt(s->x.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        finish(r, c, i);
    }
}

static void connects(struct run *r, struct connects *c)
{
    uint64_t now;

    run_begin(r);
    while (run_on(r, now = weir_now_ns())) {
        if (c->idle_count && run_due(r, now))
            start(r, c, now);
        take(r, c);
    }
    run_end(r);
    while (c->idle_count < r->o.connections && run_draining(r, weir_now_ns()))
        take(r, c);
    abandon(r, c);
    run_drained(r);
}

static void choose_sources(const struct run *r, struct connects *c)
{
    struct weir_addr client;

    if (r->o.lab) {
        client = weir_lab_addr(r->o.lab, WEIR_LAB_CLIENT, 0);
        c->source_base = (uint32_t)client.ip[12] << 24 | (uint32_t)client.ip[13] << 16 | 128u << 8;
        c->source_count = SPREAD_LAB;
    } else if (addr_is_ip4(&r->o.target) && r->o.target.ip[12] == 127) {
        c->source_base = 127u << 24 | 1;
        c->source_count = SPREAD_LOOPBACK;
    }
}

static int open_connects(struct run *r, struct connects *c)
{
    int err = message_open(r, &c->m);

    if (err)
        return err;
    choose_sources(r, c);
    c->slots = calloc(r->o.connections, sizeof *c->slots);
    c->idle = calloc(r->o.connections, sizeof *c->idle);
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!c->slots || !c->idle || c->epoll < 0)
        return socket_refuse(r, c->epoll < 0 ? errno : ENOMEM, "connections to");
    while (c->idle_count < r->o.connections) {
        c->idle[c->idle_count] = c->idle_count;
        c->idle_count++;
    }
    return 0;
}

int load_connect(struct run *r)
{
    struct connects c = {.epoll = -1};
    int err = open_connects(r, &c);

    if (!err) {
        r->ret->closed_loop = !r->o.rate;
        snprintf(r->ret->mode, sizeof r->ret->mode, "at most %u at once, sources %s",
                 r->o.connections, c.source_count ? "spread" : "the kernel's choice");
        connects(r, &c);
    }
    if (c.epoll >= 0)
        close(c.epoll);
    free(c.slots);
    free(c.idle);
    message_close(&c.m);
    return err;
}
