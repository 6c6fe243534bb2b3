/* SPDX-License-Identifier: MIT
 * Network namespaces are a thread's own: a generator visits one and comes back (setns(2)). */
#include "netns.h"

#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

int netns_visit(int fd, struct netns_stay *stay, struct weir_why *why)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), err;

    if (home < 0)
        return why_set(why, -errno, "lab", "is /proc mounted?", "own network namespace: %s",
                       strerror(errno));
    if (setns(fd, CLONE_NEWNET) < 0) {
        err = -errno;
        close(home);
        return why_set(why, err, "lab", "run as root", "setns: %s", strerror(-err));
    }
    stay->home_fd = home;
    return 0;
}

void netns_leave(struct netns_stay *stay)
{
    int r;

    if (stay->home_fd < 0)
        return;
    r = setns(stay->home_fd, CLONE_NEWNET);
    assert(r == 0); /* whoever could leave its namespace can enter it again */
    (void)r;
    close(stay->home_fd);
    stay->home_fd = -1;
}
