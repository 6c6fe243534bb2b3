/* SPDX-License-Identifier: MIT
 * Two private network namespaces joined by a veth pair, for one thread that visits both:
 *
 *     here: the engine, "s0" 10.9.0.1/24, fd09::1/64 ==== veth ==== there: kernel sockets, "c0" 10.9.0.2, fd09::2
 *
 * Sockets stay in the namespace where they were made. All of it ends with the process. Skipped with the
 * reason where it cannot be had. */
#ifndef WEIR_NET_H
#define WEIR_NET_H

#include "../unit/test.h"

#include <weir.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS 5000 /* of 1 ms at most: what does not happen until then does not happen */

struct net {
    int home, here, there; /* the namespace that we came from, and the two */
};

static inline int sh(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return system(text);
}

static inline void must(int rc, const char *what)
{
    if (rc)
        fail_msg("%s: %d (%s)", what, rc, strerror(errno));
}

static inline void enter(int ns)
{
    must(setns(ns, CLONE_NEWNET), "setns");
}

/* A namespace of its own for the calling thread. Not close-on-exec: ip names it by its number. */
static inline int own_namespace(void)
{
    int rc = unshare(CLONE_NEWNET);
    if (rc)
        SKIP("a private network namespace: %s; run as root", strerror(errno));
    return open("/proc/thread-self/ns/net", O_RDONLY);
}

static inline void net_open_as(struct net *n, unsigned mtu, unsigned queues)
{
    n->home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    n->there = own_namespace();
    must(sh("ip link set lo up"), "lo");
    n->here = own_namespace();
    if (sh("ip link add s0 mtu %u numrxqueues %u numtxqueues %u type veth peer name c0 mtu %u "
           "numrxqueues %u numtxqueues %u 2>/dev/null",
           mtu, queues, queues, mtu, queues, queues))
        SKIP("a veth pair: not on this host");
    must(sh("ip link set c0 netns /proc/self/fd/%d", n->there), "moving c0");
    must(sh("ip link set lo up; ip addr add 10.9.0.1/24 dev s0 && "
            "ip addr add fd09::1/64 dev s0 nodad && ip link set s0 up"),
         "s0");
    enter(n->there);
    must(sh("ip addr add 10.9.0.2/24 dev c0 && ip addr add fd09::2/64 dev c0 nodad && "
            "ip link set c0 up && ethtool -K c0 tx off >/dev/null"),
         "c0");
    enter(n->here);
}

static inline void net_open(struct net *n)
{
    net_open_as(n, 1500, 1);
}

static inline void net_close(struct net *n)
{
    enter(n->home);
    close(n->home);
    close(n->here);
    close(n->there);
}

/* ---- kernel sockets on the other side ------------------------------------------------------- */

static inline int there_socket(struct net *n, int family, int type)
{
    enter(n->there);
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    enter(n->here);
    assert_true(fd >= 0);
    return fd;
}

static inline socklen_t to_sock(const char *ip, uint16_t port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (void *)ret;
    struct sockaddr_in6 *v6 = (void *)ret;
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    assert_int_equal(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof *v6;
}

/* A datagram socket there, connected to an address here. */
static inline int there_udp(struct net *n, const char *ip, uint16_t port)
{
    struct sockaddr_storage to;
    socklen_t len = to_sock(ip, port, &to);
    int fd = there_socket(n, to.ss_family, SOCK_DGRAM);
    must(connect(fd, (struct sockaddr *)&to, len), "connect");
    return fd;
}

/* ---- an engine that echoes ------------------------------------------------------------------ */

struct echo {
    struct weir_engine *engine;
    weir_ep ep;
    uint64_t datagrams, stamped;
    int link_events, link_err;
};

static inline void echo_handler(struct weir_engine *e, struct weir_event *events, unsigned n,
                                void *app)
{
    struct echo *echo = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind == WEIR_LINK) {
            echo->link_events++;
            echo->link_err = events[i].err;
        }
        if (events[i].kind != WEIR_DATAGRAM)
            continue;
        echo->datagrams++;
        weir_send(e, events[i].ep, &events[i].buf, 1);
    }
}

static inline struct weir_engine_opt xdp_options(void)
{
    return (struct weir_engine_opt){.backend = "xdp", .frames.device = "s0"};
}

/* In own-address mode: 10.9.0.7 and fd09::7, which nobody else has. */
static inline struct weir_engine_opt own_options(void)
{
    struct weir_engine_opt opt = xdp_options();
    weir_net_parse("10.9.0.7/24", &opt.frames.address[0]);
    weir_net_parse("fd09::7/64", &opt.frames.address[1]);
    opt.frames.addresses = 2;
    return opt;
}

static inline void print_line(const struct weir_why *why, void *arg)
{
    char text[512];
    (void)arg;
    weir_why_text(why, text, sizeof text);
    printf("# %s\n", text);
}

static inline void echo_open(struct echo *echo, const struct weir_engine_opt *given,
                             const char *local)
{
    struct weir_engine_opt opt = *given;
    struct weir_why why = {0};
    struct weir_addr addr;
    *echo = (struct echo){.link_err = 1};
    opt.handler = echo_handler;
    opt.app = echo;
    echo->engine = weir_engine_open(&opt, &why);
    if (!echo->engine && why.code == -ENOSYS)
        SKIP("%s: %s; %s", why.where, why.what, why.fix);
    if (!echo->engine)
        fail_msg("%s: %s; %s", why.where, why.what, why.fix);
    weir_engine_report(echo->engine, print_line, NULL);
    must(weir_addr_parse(local, &addr), local);
    must(weir_udp_open(echo->engine, &addr, echo_handler, echo, &echo->ep), "weir_udp_open");
}

static inline void echo_turn(struct echo *echo, int64_t wait_ns)
{
    assert_true(weir_poll(echo->engine, weir_now_ns()) >= 0);
    if (wait_ns)
        weir_wait(echo->engine, wait_ns);
}

static inline void echo_close(struct echo *echo)
{
    assert_int_equal(weir_engine_close(echo->engine), 0);
}

static inline struct weir_counters counters_of(struct echo *echo)
{
    struct weir_counters c;
    weir_engine_counters(echo->engine, &c);
    return c;
}

static inline void print_counters(const struct weir_counters *c)
{
    const uint64_t *value = (const uint64_t *)(const void *)c;
    for (unsigned i = 0; i < weir_counter_count; i++)
        if (value[i])
            printf("#   %-20s %llu\n", weir_counter_names[i].name, (unsigned long long)value[i]);
}

/* Send and poll until it is back, whole; sends again now and then, for the first may be lost to an
 * unresolved neighbour. */
static inline void must_echo(struct echo *echo, int fd, size_t bytes)
{
    static uint8_t out[65536], in[65536];
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(i * 7 + bytes);
    for (int turn = 0; turn < TURNS; turn++) {
        if (turn % 200 == 0)
            send(fd, out, bytes, 0);
        echo_turn(echo, 1000000);
        ssize_t n = recv(fd, in, sizeof in, MSG_DONTWAIT);
        if (n < 0 || (size_t)n != bytes)
            continue;
        assert_memory_equal(in, out, bytes);
        return;
    }
    struct weir_counters c = counters_of(echo);
    print_counters(&c);
    fail_msg("%zu bytes did not come back", bytes);
}

#endif
