/* SPDX-License-Identifier: MIT
 * Sockets of the generators. Buffers are raised as far as the host allows: replies that wait for
 * a spinning generator must not be lost in its own socket and then be blamed on the server. */
#include "socket.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES (16 << 20) /* as the engine asks for its own */

static int target_family(const struct weir_addr *target)
{
    return addr_is_ip4(target) ? AF_INET : AF_INET6;
}

/* SO_RCVBUFFORCE passes net.core.rmem_max but wants CAP_NET_ADMIN; without it the limit holds. */
static void raise_buffer(int fd, int force, int plain)
{
    int bytes = BUFFER_BYTES;

    if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) < 0)
        setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
}

int socket_refuse(struct run *r, int err, const char *what)
{
    char text[WEIR_ADDR_TEXT];

    return why_set(r->why, -err, weir_load_name(r->o.load),
                   err == EMFILE || err == ENFILE
                       ? "raise ulimit -n, or ask for fewer flows or connections"
                       : NULL,
                   "%s %s: %s", what, weir_addr_text(&r->o.target, text), strerror(err));
}

int socket_udp(struct run *r)
{
    int family = target_family(&r->o.target);
    struct sockaddr_storage to;
    unsigned len = addr_to_sock(&r->o.target, family, &to);
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err;

    if (fd < 0)
        return socket_refuse(r, errno, "a UDP socket to");
    if (connect(fd, (struct sockaddr *)&to, len) < 0) {
        err = errno;
        close(fd);
        return socket_refuse(r, err, "connect to");
    }
    raise_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    raise_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    return fd;
}

void socket_close_many(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
}

int socket_udp_many(struct run *r, int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fds[i] = socket_udp(r);
        if (fds[i] < 0) {
            socket_close_many(fds, i);
            return fds[i];
        }
    }
    return 0;
}

uint32_t lab_socket_drops(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof info;

    getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len);
    return info[SK_MEMINFO_DROPS];
}

/* IP_BIND_ADDRESS_NO_PORT: the port is chosen at connect, when the whole four-tuple is known, so
 * that one source address serves as many connections as there are ports. */
static void bind_source(int fd, uint32_t source_be32)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = source_be32};
    int on = 1;

    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    /* Refused, the kernel chooses the usual source: fewer ports, nothing else changes. */
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
        return;
}

int socket_tcp(const struct weir_addr *target, uint32_t source_be32)
{
    int family = target_family(target), on = 1, err;
    struct sockaddr_storage to;
    unsigned len = addr_to_sock(target, family, &to);
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (source_be32)
        bind_source(fd, source_be32);
    if (connect(fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS) {
        err = errno;
        close(fd);
        return -err;
    }
    return fd;
}
