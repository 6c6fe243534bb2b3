/* SPDX-License-Identifier: MIT
 * What the tests of the room lab share: a small server on plain sockets, on a thread of its own.
 * It is honest, or it misbehaves by count, so that a test knows exactly what the generator must
 * have seen. */
#ifndef WEIR_TEST_LAB_H
#define WEIR_TEST_LAB_H

#include "test.h"

#include <weir/lab.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define CONNS_MAX 64

struct server {
    uint8_t ip[4];
    int udp, tcp; /* set one of them before server_start */
    int echo;     /* UDP: reply */
    unsigned drop, twice,
        spoil;            /* of the datagrams each drop-th is not answered, and so on; 0: none */
    unsigned die;         /* TCP: close the connection after so many bytes; 0: never */
    struct weir_lab *lab; /* serve on its server side */
    /* results, once server_stop returned */
    uint64_t datagrams, bytes, accepted, in_a_row, wrong_bytes;
    uint32_t kernel_drops;
    uint8_t ports[65536]; /* source ports seen */
    /* its own */
    uint32_t expect_bytes; /* 0: any */
    int fd, stop, failed;
    uint16_t port, last_port;
    pthread_t thread;
    pthread_barrier_t ready;
};

static inline void server_datagram(struct server *s, uint8_t *data, size_t len,
                                   struct sockaddr_in *from)
{
    uint64_t n = ++s->datagrams;
    uint16_t port = ntohs(from->sin_port);

    s->bytes += len;
    s->wrong_bytes += s->expect_bytes && len != s->expect_bytes;
    s->in_a_row += port == s->last_port;
    s->last_port = port;
    s->ports[port] = 1;
    if (!s->echo || (s->drop && n % s->drop == 0))
        return;
    if (s->spoil && n % s->spoil == 0)
        data[len - 1] ^= 1;
    for (int i = 0; i < (s->twice && n % s->twice == 0 ? 2 : 1); i++)
        sendto(s->fd, data, len, 0, (struct sockaddr *)from, sizeof *from);
}

static inline void server_udp(struct server *s)
{
    static uint8_t data[65536];
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    ssize_t n;

    while ((n = recvfrom(s->fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &len)) >=
           0)
        server_datagram(s, data, (size_t)n, &from);
}

static inline void server_tcp(struct server *s, struct pollfd *p, unsigned *count, uint64_t *served)
{
    static uint8_t data[65536];

    if (p[0].revents && *count <= CONNS_MAX) {
        p[*count] = (struct pollfd){.fd = accept(s->fd, NULL, NULL), .events = POLLIN};
        served[*count] = 0;
        s->accepted += p[*count].fd >= 0;
        *count += p[*count].fd >= 0;
    }
    for (unsigned i = *count - 1; i > 0; i--) {
        ssize_t n = p[i].revents ? recv(p[i].fd, data, sizeof data, MSG_DONTWAIT) : -1;

        for (ssize_t at = 0, r; at<n; at += r> 0 ? r : n)
            r = send(p[i].fd, data + at, (size_t)(n - at), MSG_NOSIGNAL);
        served[i] += n > 0 ? (uint64_t)n : 0;
        if (n == 0 || (s->die && served[i] >= s->die)) {
            close(p[i].fd);
            p[i] = p[--*count];
            served[i] = served[*count];
        }
    }
}

static inline void server_serve(struct server *s)
{
    struct pollfd p[CONNS_MAX + 1] = {{.fd = s->fd, .events = POLLIN}};
    uint64_t served[CONNS_MAX + 1];
    unsigned count = 1;

    while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
        for (unsigned i = 1; i < count; i++)
            p[i].revents = 0;
        if (poll(p, count, 5) > 0)
            s->tcp ? server_tcp(s, p, &count, served) : server_udp(s);
    }
    if (s->udp)
        server_udp(s); /* what still waits */
    while (count > 1)
        close(p[--count].fd);
}

static inline void *server_thread(void *arg)
{
    struct server *s = arg;
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    uint32_t info[SK_MEMINFO_VARS] = {0};
    const int bytes = 16 << 20;

    memcpy(&at.sin_addr, s->ip, 4);
    s->failed = s->lab && weir_lab_enter(s->lab, WEIR_LAB_SERVER, NULL) < 0;
    s->fd = socket(AF_INET, s->udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    s->failed |= bind(s->fd, (struct sockaddr *)&at, len) < 0 || (s->tcp && listen(s->fd, 512) < 0);
    s->failed |= getsockname(s->fd, (struct sockaddr *)&at, &len) < 0;
    s->port = ntohs(at.sin_port);
    pthread_barrier_wait(&s->ready);
    if (!s->failed)
        server_serve(s);
    len = sizeof info;
    getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, info, &len);
    s->kernel_drops = info[SK_MEMINFO_DROPS];
    close(s->fd);
    return NULL;
}

/* Returns the address that it serves. */
static inline struct weir_addr server_start(struct server *s)
{
    if (!s->lab)
        memcpy(s->ip, (uint8_t[]){127, 0, 0, 1}, 4);
    else
        memcpy(s->ip, weir_lab_addr(s->lab, WEIR_LAB_SERVER, 0).ip + 12, 4);
    pthread_barrier_init(&s->ready, NULL, 2);
    assert_int_equal(pthread_create(&s->thread, NULL, server_thread, s), 0);
    pthread_barrier_wait(&s->ready);
    assert_false(s->failed);
    return weir_addr_ip4(s->ip[0], s->ip[1], s->ip[2], s->ip[3], s->port);
}

static inline void server_stop(struct server *s)
{
    __atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
    pthread_join(s->thread, NULL);
    pthread_barrier_destroy(&s->ready);
}

static inline unsigned server_ports(const struct server *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 65536; i++)
        n += s->ports[i];
    return n;
}

/* Run a load that must go well; the counts that always agree are checked. */
static inline struct weir_load_result run_load(const struct weir_load_opt *opt)
{
    struct weir_load_result r;
    struct weir_why why = {0};
    const struct weir_load_counts *c = &r.all;

    if (weir_load_run(opt, &r, &why) != 0)
        fail_msg("%s: %s", why.where, why.what);
    assert_int_equal(c->tried, c->sent + c->tx_full + c->tx_refused + c->tx_error);
    assert_true(c->planned >= c->tried);
    assert_true(r.window.planned <= c->planned && r.window.sent <= c->sent);
    assert_true(r.end_ns >= r.start_ns);
    assert_true(strlen(r.mode) > 0);
    if (opt->load >= WEIR_LOAD_ECHO)
        assert_int_equal(c->received + c->lost, c->sent);
    return r;
}

#endif
