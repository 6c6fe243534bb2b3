/* SPDX-License-Identifier: MIT
 * The device's clock (a PTP hardware clock, /dev/ptpN) against the monotonic one, so that its time
 * stamps become ours. Read between two readings of ours, now and then, because the two drift.
 * Source  Documentation/driver-api/ptp.rst */
#include "backend/xdp.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define COMPARE_NS 100000000u /* 10 us of drift at 100 ppm, and ten system calls a second */

/* A descriptor as a clock: FD_TO_CLOCKID of tools/testing/selftests/ptp/testptp.c, ~fd << 3 | 3. */
static clockid_t clock_of(int fd)
{
    return (clockid_t)(~(unsigned)fd << 3 | 3u);
}

static bool compare(struct xdp_clock *c)
{
    struct timespec ts;
    uint64_t before = weir_now_ns();
    if (clock_gettime(clock_of(c->fd), &ts))
        return false;
    uint64_t after = weir_now_ns();
    uint64_t theirs = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    c->offset = before + (after - before) / 2 - theirs;
    c->compared_ns = after;
    return true;
}

void xdp_clock_open(struct xdp_clock *c, int number)
{
    char path[32];
    c->fd = -1;
    if (number < 0)
        return;
    snprintf(path, sizeof path, "/dev/ptp%d", number);
    c->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (c->fd >= 0 && !compare(c))
        xdp_clock_close(c);
}

void xdp_clock_close(struct xdp_clock *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void xdp_clock_follow(struct xdp_clock *c, uint64_t now_ns)
{
    if (c->fd >= 0 && now_ns - c->compared_ns >= COMPARE_NS)
        compare(c);
}
