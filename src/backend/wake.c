/* SPDX-License-Identifier: MIT
 * The wake descriptor: an eventfd that backends wait for by its edges.
 *
 * Every write is an edge, whatever the counter stands at, so nobody reads it. See weir_wait and
 * weir_wake for when it is rung at all. Source: eventfd(2), epoll(7). */
#include "backend.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int wake_open(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Nobody but its owner waits for it here, so it may be read: poll tells levels, not edges. */
int wake_wait(int fd, int64_t timeout_ns)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    uint64_t rung;
    if (ppoll(&p, 1, timeout_ns < 0 ? NULL : &ts, NULL) < 0)
        return -errno;
    ssize_t n = p.revents ? read(fd, &rung, sizeof rung) : 0;
    (void)n; /* it was rung: how often does not matter */
    return 0;
}

void wake_ring(int fd)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof one);
    (void)n; /* the counter can only be full after 2^64 wakes */
    errno = saved;
}
