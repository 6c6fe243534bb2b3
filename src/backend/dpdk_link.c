/* SPDX-License-Identifier: MIT
 * Whether a port's link is up, down, or gone for good.
 *
 *     look (dpdk.c), every 100 ms -> dpdk_link_look -> PORT_LINK
 *
 * A device that is pulled tells so by an interrupt. net_af_packet and net_af_xdp stand on a kernel
 * interface and tell nothing: neither that it was deleted nor that it is down. So it is asked for by
 * the index that it had when the port was found, for its name may change, or be another one's
 * later; through a socket of that moment, for the thread may be in another network namespace later.
 *
 * Sources: netdevice(7); drivers/net/af_packet, drivers/net/af_xdp: eth_link_update. */
#include "backend/dpdk.h"

#include <rte_dev.h>
#include <rte_devargs.h>

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What "iface=" says among a device's arguments. */
static bool interface_of(const struct dpdk_port *p, char name[IFNAMSIZ])
{
    const struct rte_devargs *given = rte_dev_devargs(p->info.device);
    const char *at = given ? given->args : NULL;
    if (strcmp(p->info.driver_name, "net_af_packet") != 0 &&
        strcmp(p->info.driver_name, "net_af_xdp") != 0)
        return false;
    while (at && strncmp(at, "iface=", 6) != 0)
        at = (at = strchr(at, ',')) ? at + 1 : NULL;
    size_t n = at ? strcspn(at + 6, ",") : 0;
    if (n == 0 || n >= IFNAMSIZ)
        return false;
    memcpy(name, at + 6, n);
    name[n] = '\0';
    return true;
}

int dpdk_link_open(struct dpdk_port *p)
{
    struct ifreq r = {0};
    p->link_fd = -1;
    if (!interface_of(p, r.ifr_name))
        return 0;
    p->link_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (p->link_fd < 0)
        return -errno;
    if (ioctl(p->link_fd, SIOCGIFINDEX, &r) < 0)
        atomic_store(&p->removed, true);
    p->link_index = r.ifr_ifindex;
    return 0;
}

void dpdk_link_close(struct dpdk_port *p)
{
    if (p->link_fd >= 0)
        close(p->link_fd);
    p->link_fd = -1;
}

/* Its name now, then its flags by that name. */
static int interface_look(struct backend *b, const struct dpdk_port *p, bool *down)
{
    struct ifreq r = {.ifr_ifindex = p->link_index};
    COUNT(&b->counters, syscalls, 2);
    if (ioctl(p->link_fd, SIOCGIFNAME, &r) < 0 || ioctl(p->link_fd, SIOCGIFFLAGS, &r) < 0)
        return -ENODEV;
    *down = !(r.ifr_flags & IFF_UP);
    return !*down && r.ifr_flags & IFF_RUNNING ? 0 : -ENETDOWN;
}

static int device_look(const struct dpdk *d)
{
    struct rte_eth_link link = {0};
    bool up = rte_eth_link_get_nowait(d->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
    return up ? 0 : -ENETDOWN;
}

int dpdk_link_look(struct backend *b, struct dpdk *d)
{
    struct dpdk_port *p = d->port;
    int err = 0;
    if (p->link_fd >= 0 && !atomic_load(&p->removed))
        err = interface_look(b, p, &d->down);
    if (err == -ENODEV)
        atomic_store(&p->removed, true);
    if (atomic_load(&p->removed))
        return -ENODEV;
    if (!atomic_load(&p->started))
        return -ENETDOWN;
    return err ? err : device_look(d);
}
