/* SPDX-License-Identifier: MIT
 * Limits of this process and of its network namespace.
 *
 * In the flow   weir_host_probe -> probe_limits.
 * Source        getrlimit(2), socket(7), Documentation/admin-guide/sysctl/net.rst. */
#include "probe.h"
#include "text.h"

#include <sys/resource.h>

#define NET "/proc/sys/net/core/"

static int64_t limit(rlim_t value)
{
    return value == RLIM_INFINITY || value > INT64_MAX ? WEIR_UNLIMITED : (int64_t)value;
}

static void read_limit(int resource, int64_t *soft, int64_t *hard)
{
    struct rlimit r;
    bool known = getrlimit((__typeof__(RLIMIT_NOFILE))resource, &r) == 0;
    *soft = known ? limit(r.rlim_cur) : WEIR_UNKNOWN;
    *hard = known ? limit(r.rlim_max) : WEIR_UNKNOWN;
}

void probe_limits(struct weir_host *ret)
{
    read_limit(RLIMIT_NOFILE, &ret->nofile, &ret->nofile_hard);
    read_limit(RLIMIT_MEMLOCK, &ret->memlock_bytes, &ret->memlock_hard_bytes);
    ret->rmem_max_bytes = text_read_number(NET "rmem_max");
    ret->wmem_max_bytes = text_read_number(NET "wmem_max");
    ret->busy_read_us = text_read_number(NET "busy_read");
    ret->busy_poll_us = text_read_number(NET "busy_poll");
}
