/* SPDX-License-Identifier: MIT
 * The other end of every case. It runs on the same thread as the engine, between its turns, so
 * every call here returns at once. */
#include "net.h"
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h */
#endif
#define BUFFER_BYTES (8 << 20)

void pattern_fill(uint8_t *to, uint64_t at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = pattern_at(at + i);
}

bool pattern_holds(const uint8_t *from, uint64_t at, size_t bytes)
{
    uint8_t wrong = 0;
    for (size_t i = 0; i < bytes; i++)
        wrong |= (uint8_t)(from[i] ^ pattern_at(at + i));
    return wrong == 0;
}

struct weir_addr peer_loopback(uint16_t port, bool ip6)
{
    if (net_used())
        return net_engine_at(port, ip6);
    struct weir_addr addr = weir_addr_ip4(127, 0, 0, 1, port);
    if (ip6) {
        memset(addr.ip, 0, sizeof addr.ip);
        addr.ip[15] = 1;
    }
    return addr;
}

static socklen_t to_sock(const struct weir_addr *addr, struct sockaddr_storage *ret)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memset(ret, 0, sizeof *ret);
    if (memcmp(addr->ip, mapped, 12) == 0) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        in->sin_family = AF_INET;
        in->sin_port = htons(addr->port);
        memcpy(&in->sin_addr, addr->ip + 12, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)ret;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(addr->port);
    memcpy(&in->sin6_addr, addr->ip, 16);
    return sizeof *in;
}

static struct weir_addr from_sock(const struct sockaddr_storage *from)
{
    struct weir_addr addr = {0};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        addr.ip[10] = addr.ip[11] = 0xff;
        memcpy(addr.ip + 12, &in->sin_addr, 4);
        addr.port = ntohs(in->sin_port);
        return addr;
    }
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)from;
    memcpy(addr.ip, &in->sin6_addr, 16);
    addr.port = ntohs(in->sin6_port);
    return addr;
}

struct weir_addr peer_addr(int fd)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    return from_sock(&at);
}

/* The engine's own address is the peers' where the kernel has that too; else theirs is another. */
static struct weir_addr on_our_side(const struct weir_addr *at)
{
    for (int ip6 = 0; net_used() && ip6 < 2; ip6++) {
        struct weir_addr engine = net_engine_at(at->port, ip6);
        if (memcmp(&engine, at, sizeof engine) == 0)
            return net_peer_at(at->port, ip6);
    }
    return *at;
}

static int bound(int type, const struct weir_addr *asked)
{
    struct sockaddr_storage sock;
    struct weir_addr at = on_our_side(asked);
    socklen_t len = to_sock(&at, &sock);
    int fd = socket(sock.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail_msg("socket: %s", strerror(errno));
    int bytes = BUFFER_BYTES;
    if (type == SOCK_DGRAM && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (bind(fd, (struct sockaddr *)&sock, len) != 0)
        fail_msg("bind: %s", strerror(errno));
    return fd;
}

bool peer_has_ip6(void)
{
    struct sockaddr_in6 one = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&one, sizeof one) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

uint16_t peer_free_port(int type)
{
    struct weir_addr any = peer_loopback(0, false);
    int fd = bound(type, &any);
    uint16_t port = peer_addr(fd).port;
    close(fd);
    return port;
}

int peer_udp_at(const struct weir_addr *at)
{
    return bound(SOCK_DGRAM, at);
}

int peer_udp(void)
{
    struct weir_addr any = peer_loopback(0, false);
    return bound(SOCK_DGRAM, &any);
}

int peer_listen(void)
{
    struct weir_addr any = peer_loopback(0, false);
    int fd = bound(SOCK_STREAM, &any);
    assert_int_equal(listen(fd, 1024), 0);
    return fd;
}

int peer_accept(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int peer_connect(const struct weir_addr *to)
{
    struct sockaddr_storage sock;
    socklen_t len = to_sock(to, &sock);
    int fd = socket(sock.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail_msg("socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&sock, len) != 0 && errno != EINPROGRESS)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

bool peer_connected(int fd)
{
    struct sockaddr_storage sock;
    socklen_t len = sizeof sock;
    return getpeername(fd, (struct sockaddr *)&sock, &len) == 0;
}

void peer_reset(int *fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    peer_close(fd);
}

void peer_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void let_others_run(void *arg)
{
    (void)arg;
    usleep(1000);
}

void peer_send(int fd, const struct weir_addr *to, const void *data, size_t len)
{
    struct sockaddr_storage sock;
    socklen_t sock_len = to_sock(to, &sock);
    if (net_used())
        net_meet(let_others_run, NULL); /* a crew's engines; the bed's own has met us */
    ssize_t n = sendto(fd, data, len, 0, (struct sockaddr *)&sock, sock_len);
    if (n != (ssize_t)len)
        fail_msg("the peer could not send %zu bytes: %s", len, strerror(errno));
    net_carry();
}

bool peer_segments(int fd, const struct weir_addr *to, const void *data, size_t len,
                   uint16_t segment)
{
    struct sockaddr_storage sock;
    socklen_t sock_len = to_sock(to, &sock);
    int bytes = segment;
    if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &bytes, sizeof bytes) != 0)
        return false;
    ssize_t n = sendto(fd, data, len, 0, (struct sockaddr *)&sock, sock_len);
    bytes = 0;
    setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &bytes, sizeof bytes);
    net_carry();
    return n == (ssize_t)len;
}

ssize_t peer_recv(int fd, void *ret, size_t bytes, struct weir_addr *from)
{
    struct sockaddr_storage sock;
    socklen_t len = sizeof sock;
    net_carry();
    ssize_t n = recvfrom(fd, ret, bytes, 0, (struct sockaddr *)&sock, &len);
    if (n >= 0 && from)
        *from = from_sock(&sock);
    return n;
}
