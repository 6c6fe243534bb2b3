/* SPDX-License-Identifier: MIT
 * One namespace of the lab, made by unshare(2) on a passing thread and held by open files alone:
 * no name, no mount, so that the kernel takes everything down when the process dies, however it
 * dies.
 *
 * Its sysfs is mounted on nothing: fsmount(2) gives a file of the mount, and openat(2) works
 * from there. */
#include "side.h"

#include "base/base.h"
#include "netlink.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/mount.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux 5.2; glibc 2.36 has wrappers, but older ones are still about. */
static int mount_sysfs(void)
{
    int fs = (int)syscall(SYS_fsopen, "sysfs", FSOPEN_CLOEXEC), fd = -1;

    if (fs < 0)
        return -1;
    if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
    close(fs);
    return fd;
}

int side_open(struct side *s, struct weir_why *why)
{
    if (unshare(CLONE_NEWNET) < 0)
        return why_set(why, -errno, "lab",
                       errno == EPERM ? "run as root, or measure over loopback (-n loopback)"
                                      : NULL,
                       "a network namespace: %s", strerror(errno));
    s->netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (s->netns < 0)
        return why_set(why, -errno, "lab", "is /proc mounted?", "the namespace's file: %s",
                       strerror(errno));
    s->nl = netlink_open(why);
    s->sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s->nl < 0 || s->sock < 0)
        return s->nl < 0 ? s->nl
                         : why_set(why, -errno, "lab", NULL, "a socket: %s", strerror(errno));
    s->sys = mount_sysfs();
    return netlink_up(s->nl, 1, why); /* lo is always number 1 */
}

void side_close(struct side *s)
{
    const int fds[] = {s->netns, s->nl, s->sock, s->sys};

    for (unsigned i = 0; i < array_len(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static int ask_interface(struct side *s, unsigned long request, struct ifreq *req)
{
    memcpy(req->ifr_name, s->ifname, sizeof req->ifr_name);
    return ioctl(s->sock, request, req);
}

int side_find(struct side *s, struct weir_why *why)
{
    struct ifreq req = {0};

    if (ask_interface(s, SIOCGIFINDEX, &req) < 0)
        return why_set(why, -errno, "lab", NULL, "interface %s: %s", s->ifname, strerror(errno));
    s->ifindex = req.ifr_ifindex;
    return 0;
}

static int set_feature(struct side *s, uint32_t cmd, uint32_t on)
{
    struct ethtool_value value = {.cmd = cmd, .data = on};
    struct ifreq req = {.ifr_data = (void *)&value};

    return ask_interface(s, SIOCETHTOOL, &req) < 0 ? -errno : 0;
}

int side_receives_by_napi(struct side *receiver, struct side *sender, struct weir_why *why)
{
    int err = set_feature(receiver, ETHTOOL_SGRO, 1);

    if (!err)
        err = set_feature(sender, ETHTOOL_STSO, 0);
    if (!err)
        return 0;
    return why_set(why, err, "lab", "receive work will run on the sender's core",
                   "GRO on %s, or TSO off on %s: %s", receiver->ifname, sender->ifname,
                   strerror(-err));
}

static int write_sys(struct side *s, const char *file, const char *value)
{
    char path[64];
    int fd, err = 0;

    snprintf(path, sizeof path, "class/net/%s/%s", s->ifname, file);
    fd = s->sys < 0 ? -1 : openat(s->sys, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        err = s->sys < 0 ? -ENOSYS : -errno;
    if (fd >= 0)
        close(fd);
    return err;
}

/* Whether /proc/PID is a NAPI thread of this interface: "napi/IFNAME-ID" (net/core/dev.c,
 * napi_kthread_create). */
static bool is_napi(const struct side *s, const char *pid)
{
    char path[64], comm[64] = "", want[32];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    snprintf(want, sizeof want, "napi/%s-", s->ifname);
    f = fopen(path, "re");
    if (!f)
        return false;
    if (!fgets(comm, sizeof comm, f))
        comm[0] = '\0';
    fclose(f);
    return strncmp(comm, want, strlen(want)) == 0;
}

static int place(pid_t pid, int core, int fifo)
{
    const struct sched_param param = {.sched_priority = fifo};
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((unsigned)core, &set);
    if (sched_setaffinity(pid, sizeof set, &set) < 0)
        return -errno;
    if (fifo && sched_setscheduler(pid, SCHED_FIFO, &param) < 0)
        return -errno;
    return 0;
}

int side_threaded_napi(struct side *s, int core, int fifo, struct weir_why *why)
{
    int err = write_sys(s, "threaded", "1"), found = 0;
    DIR *proc = err || core < 0 ? NULL : opendir("/proc");
    struct dirent *entry;

    if (err)
        return why_set(why, err, "lab", "receive work will run on the sender's core",
                       "threaded NAPI on %s: %s", s->ifname, strerror(-err));
    if (!proc)
        return 0;
    while (!err && (entry = readdir(proc)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !is_napi(s, entry->d_name))
            continue;
        err = place((pid_t)atoi(entry->d_name), core, fifo);
        found++;
    }
    closedir(proc);
    if (err)
        return why_set(why, err, "lab", NULL, "NAPI thread of %s to core %d: %s", s->ifname, core,
                       strerror(-err));
    if (!found)
        return why_set(why, -ESRCH, "lab", "is this a container with a PID namespace of its own?",
                       "NAPI thread of %s is not to be seen, so it is not pinned", s->ifname);
    return 0;
}
