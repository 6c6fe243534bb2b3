/* SPDX-License-Identifier: MIT
 * Ports of this host: one that is free, and whether a given one is.
 *
 * In the flow   options: -p is checked before anything runs; without it each run takes a free one.
 * Invariants    nothing stays open. Between this look and the use somebody may take the port: then
 *               the run says so, as it would for any other refusal. */
#include "bench/port.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIES 64

/* Bind and, for TCP, listen: SO_REUSEADDR lets a port through whose last connections are still
 * dying. */
static int try_bind(int type, uint16_t port, uint16_t *ret)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t bytes = sizeof in;
    int on = 1, fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int rc = bind(fd, (struct sockaddr *)&in, sizeof in);
    if (rc == 0 && type == SOCK_STREAM)
        rc = listen(fd, 1);
    rc = rc ? -errno : 0;
    if (rc == 0 && getsockname(fd, (struct sockaddr *)&in, &bytes) == 0)
        *ret = ntohs(in.sin_port);
    close(fd);
    return rc;
}

uint16_t port_free(void)
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint16_t port = 0, same;
        if (try_bind(SOCK_DGRAM, 0, &port) == 0 && try_bind(SOCK_STREAM, port, &same) == 0)
            return port;
    }
    return 0;
}

int port_check(uint16_t port, const char **what)
{
    uint16_t same;
    *what = "UDP";
    int rc = try_bind(SOCK_DGRAM, port, &same);
    if (rc)
        return rc;
    *what = "TCP";
    return try_bind(SOCK_STREAM, port, &same);
}
