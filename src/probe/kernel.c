/* SPDX-License-Identifier: MIT
 * The kernel: its release, what its lockdown forbids, and whether io_uring may be used.
 *
 * In the flow   weir_host_probe -> probe_kernel.
 * Invariants    io_uring is asked by opening a ring, because a sysctl does not tell what a
 *               container's seccomp filter refuses; the ring is closed at once and never used.
 * Source        kernel_lockdown(7), io_uring_setup(2),
 *               Documentation/admin-guide/sysctl/kernel.rst. */
#include "probe.h"
#include "text.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define URING_DISABLED "/proc/sys/kernel/io_uring_disabled"
#define LOCKDOWN "/sys/kernel/security/lockdown"

static void probe_release(struct weir_host *ret)
{
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(ret->kernel, sizeof ret->kernel, "%s", name.release);
}

/* Two entries: as small as a ring that somebody could use. */
static int try_ring(void)
{
    struct io_uring_params params = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 2, &params);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

void probe_kernel(struct weir_host *ret)
{
    char text[128];
    probe_release(ret);
    text_read(LOCKDOWN, text, sizeof text);
    text_choice(text, ret->lockdown, sizeof ret->lockdown);
    ret->uring_disabled = (int16_t)text_read_number(URING_DISABLED);
    ret->uring_errno = (int16_t)try_ring();
}
