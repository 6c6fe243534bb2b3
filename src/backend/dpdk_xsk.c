/* SPDX-License-Identifier: MIT
 * AF_XDP sockets that net_af_xdp leaves open.
 *
 * DPDK 22.11's driver counts the users of its UMEM down to the wrong number when a port is closed, so
 * the UMEM's descriptor, which is the socket of the queue, stays open until the process ends, and
 * with it the queue: nobody can open it again. So the socket that appeared while a queue was set up
 * is remembered, and closed after the port, if it is still the same (a driver that closes it itself
 * leaves nothing to do). Where other threads opened some at that moment, none is remembered: a leak is
 * better than a stranger's socket closed.
 *
 * All under dpdk_lock. Source: drivers/net/af_xdp/rte_eth_af_xdp.c, eth_dev_close; libxdp's xsk.c. */
#include "backend/dpdk.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef AF_XDP
#define AF_XDP 44 /* include/linux/socket.h */
#endif

static bool is_xsk(int fd, struct dpdk_xsk *ret)
{
    struct stat st;
    int domain;
    socklen_t bytes = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0 || domain != AF_XDP ||
        fstat(fd, &st) < 0)
        return false;
    *ret = (struct dpdk_xsk){.inode = st.st_ino, .fd = fd};
    return true;
}

void dpdk_xsk_list(struct dpdk_xsks *ret)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    struct dpdk_xsk one;
    ret->n = 0;
    while (dir && (entry = readdir(dir)) && ret->n < array_len(ret->xsk))
        if (entry->d_name[0] != '.' && is_xsk(atoi(entry->d_name), &one))
            ret->xsk[ret->n++] = one;
    if (dir)
        closedir(dir);
}

static bool has(const struct dpdk_xsks *list, const struct dpdk_xsk *one)
{
    for (unsigned i = 0; i < list->n; i++)
        if (list->xsk[i].inode == one->inode)
            return true;
    return false;
}

struct dpdk_xsk dpdk_xsk_new(const struct dpdk_xsks *before)
{
    struct dpdk_xsks now;
    struct dpdk_xsk one = {0};
    unsigned n = 0;
    dpdk_xsk_list(&now);
    for (unsigned i = 0; i < now.n; i++) {
        if (has(before, &now.xsk[i]))
            continue;
        one = now.xsk[i];
        n++;
    }
    return n == 1 && now.n < array_len(now.xsk) ? one : (struct dpdk_xsk){0};
}

void dpdk_xsk_close(struct dpdk_xsk *one)
{
    struct dpdk_xsk now;
    if (one->inode && is_xsk(one->fd, &now) && now.inode == one->inode)
        close(one->fd);
    *one = (struct dpdk_xsk){0};
}
