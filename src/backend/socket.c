/* SPDX-License-Identifier: MIT
 * Making kernel sockets and asking them: what every socket backend shares.
 *
 * A granted value that is less than what was asked is a line of the report, once, never an error.
 * */
#include "backend.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#define DISCARD_BYTES (1u << 20) /* of one call: then others' turn */

#ifndef UDP_GRO
#define UDP_GRO 104 /* linux/udp.h */
#endif

static int set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) ? -errno : 0;
}

static int get_int(int fd, int level, int option, int *ret)
{
    socklen_t bytes = sizeof *ret;
    return getsockopt(fd, level, option, ret, &bytes) ? -errno : 0;
}

/* The engine batches by itself: what is sent at the end of a poll shall leave. */
static void no_delay(int fd)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

static bool reported(const struct backend *b, const char *where)
{
    for (uint32_t i = 0; i < b->n_lesser; i++)
        if (!__builtin_strcmp(b->lesser[i].where, where))
            return true;
    return false;
}

/* FORCE passes the host's limit where we may (CAP_NET_ADMIN). The kernel books twice what is
 * asked: socket(7). */
static void set_buffer(struct backend *b, int fd, int force, int plain, const char *name,
                       const char *sysctl)
{
    int granted = 0, asked = (int)b->opt.sock_bytes;
    if (set_int(fd, SOL_SOCKET, force, asked))
        set_int(fd, SOL_SOCKET, plain, asked);
    get_int(fd, SOL_SOCKET, plain, &granted);
    if (granted / 2 < asked && !reported(b, name))
        backend_lesser(b, -EPERM, name, sysctl, "%d of %d bytes granted", granted / 2, asked);
}

/* A socket of the address's family; the wildcard is IPv6 for both, or IPv4 where the host has no
 * IPv6. */
static int make_socket(const struct weir_addr *addr, int type, uint8_t *family)
{
    *family = addr_is_ip4(addr) ? AF_INET : AF_INET6;
    int fd = socket(*family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno == EAFNOSUPPORT && addr_is_any(addr)) {
        *family = AF_INET;
        fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (fd >= 0 && *family == AF_INET6)
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    return fd < 0 ? -errno : fd;
}

static int bind_to(int fd, const struct weir_addr *local, uint8_t family)
{
    struct sockaddr_storage name;
    unsigned bytes = addr_to_sock(local, family, &name);
    return bind(fd, (void *)&name, bytes) ? -errno : 0;
}

static int ready_or_close(int fd, int rc)
{
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int socket_datagram(struct backend *b, const struct weir_addr *local, uint8_t *family)
{
    int fd = make_socket(local, SOCK_DGRAM, family);
    if (fd < 0)
        return fd;
    set_buffer(b, fd, SO_RCVBUFFORCE, SO_RCVBUF, "SO_RCVBUF", "raise sysctl net.core.rmem_max");
    set_buffer(b, fd, SO_SNDBUFFORCE, SO_SNDBUF, "SO_SNDBUF", "raise sysctl net.core.wmem_max");
    if (b->opt.reuse_port)
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (b->opt.busy_poll) {
        int rc = set_int(fd, SOL_SOCKET, SO_BUSY_POLL,
                         50); /* microseconds: Documentation/networking/napi.rst */
        if (rc && !reported(b, "SO_BUSY_POLL"))
            backend_lesser(b, rc, "SO_BUSY_POLL", "run with CAP_NET_ADMIN", "refused");
    }
    return ready_or_close(fd, bind_to(fd, local, *family));
}

int socket_listen(struct backend *b, const struct weir_addr *local, uint8_t *family)
{
    int fd = make_socket(local, SOCK_STREAM, family);
    if (fd < 0)
        return fd;
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* a restarted server need not wait out TIME_WAIT */
    if (b->opt.reuse_port)
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    no_delay(fd); /* accepted streams inherit it */
    int rc = bind_to(fd, local, *family);
    if (rc == 0 && listen(fd, SOMAXCONN))
        rc = -errno;
    return ready_or_close(fd, rc);
}

int socket_stream(struct backend *b, const struct weir_addr *remote, uint8_t *family)
{
    (void)b;
    int fd = make_socket(remote, SOCK_STREAM, family);
    if (fd >= 0)
        no_delay(fd);
    return fd;
}

int socket_accept(int fd, struct weir_addr *peer)
{
    struct sockaddr_storage name;
    socklen_t bytes = sizeof name;
    int got = accept4(fd, (void *)&name, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (got < 0)
        return -errno;
    addr_from_sock(&name, peer);
    return got;
}

int socket_connect(const struct endpoint *ep)
{
    struct sockaddr_storage name;
    unsigned bytes = addr_to_sock(&ep->peer, ep->family, &name);
    return connect(ep->fd, (void *)&name, bytes) && errno != EINPROGRESS ? -errno : 0;
}

/* With MSG_TRUNC TCP drops the bytes without a copy: tcp(7). */
int socket_discard(int fd)
{
    ssize_t n = recv(fd, NULL, DISCARD_BYTES, MSG_TRUNC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return n > 0 ? 1 : -1;
}

void socket_shutdown(int fd)
{
    shutdown(fd, SHUT_WR);
}

int socket_local(int fd, struct weir_addr *ret)
{
    struct sockaddr_storage name;
    socklen_t bytes = sizeof name;
    if (getsockname(fd, (void *)&name, &bytes))
        return -errno;
    addr_from_sock(&name, ret);
    return 0;
}

int socket_error(int fd)
{
    int err = 0;
    int rc = get_int(fd, SOL_SOCKET, SO_ERROR, &err);
    return rc ? rc : -err;
}

int socket_broken_by(int fd)
{
    int err = socket_error(fd);
    return err ? err : -EPIPE;
}

int64_t socket_drops(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t bytes = sizeof info;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &bytes))
        return -errno;
    return bytes > SK_MEMINFO_DROPS * sizeof *info ? (int64_t)info[SK_MEMINFO_DROPS] : -EOPNOTSUPP;
}

/* SO_LINGER of zero seconds: close sends a reset and drops what is queued (socket(7)). */
void socket_reset(int fd)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void socket_close(int fd)
{
    close(fd);
}

bool socket_gro(int fd)
{
    return set_int(fd, IPPROTO_UDP, UDP_GRO, 1) == 0;
}

bool socket_send_failed(struct backend *b, struct endpoint *ep, int err)
{
    switch (-err) {
    case EAGAIN:
        COUNT(&b->counters, tx_again, 1);
        ep->flags |= EP_BLOCKED;
        return false;
    case ENOBUFS:
    case ENOMEM: /* no event tells when there is memory again: the next poll tries */
        COUNT(&b->counters, tx_nobufs, 1);
        endpoint_dirty(b, ep);
        return false;
    case EMSGSIZE: COUNT(&b->counters, tx_oversize, 1); return true;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN: COUNT(&b->counters, tx_unreachable, 1); return true;
    default: COUNT(&b->counters, tx_error, 1); return true;
    }
}
