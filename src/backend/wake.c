/* SPDX-License-Identifier: MIT
 * The wake descriptor: an eventfd that backends wait for by its edges.
 *
 * Every write is an edge, whatever the counter stands at, so nobody reads it. See weir_wait and
 * weir_wake for when it is rung at all. Source: eventfd(2), epoll(7). */
#include "backend.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int wake_open(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void wake_ring(int fd)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof one);
    (void)n; /* the counter can only be full after 2^64 wakes */
    errno = saved;
}
