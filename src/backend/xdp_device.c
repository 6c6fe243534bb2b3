/* SPDX-License-Identifier: MIT
 * What the device can do: queues through the ethtool ioctl (ethtool(8)), metadata through generic
 * netlink's family "netdev" (Documentation/netlink/specs/netdev.yaml, Linux 6.3; xsk-features 6.8).
 * What cannot be found out is taken as absent. */
#include "backend/xdp.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

/* include/uapi/linux/netdev.h, which the kernel headers 6.1 do not have */
#define NETDEV_CMD_DEV_GET 1
#define NETDEV_A_DEV_IFINDEX 1
#define NETDEV_A_DEV_XDP_RX_METADATA_FEATURES 5
#define NETDEV_A_DEV_XSK_FEATURES 6
#define NETDEV_XDP_RX_METADATA_TIMESTAMP 1
#define NETDEV_XDP_RX_METADATA_HASH 2
#define NETDEV_XSK_FLAGS_TX_CHECKSUM 2

static int ethtool(const char *name, void *command)
{
    struct ifreq ifr = {.ifr_data = command};
    snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = fd < 0 || ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static void read_channels(const char *name, struct xdp_device *ret)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    if (ethtool(name, &channels) == 0)
        ret->queues = (uint16_t)(channels.rx_count + channels.combined_count);
}

static void read_clock(const char *name, struct xdp_device *ret)
{
    struct ethtool_ts_info info = {.cmd = ETHTOOL_GET_TS_INFO};
    ret->clock = ethtool(name, &info) == 0 ? info.phc_index : -1;
}

/* ---- generic netlink ------------------------------------------------------------------------ */

static void read_family(const struct nlmsghdr *m, void *arg)
{
    const struct rtattr *a = nl_attr(m, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID);
    uint16_t *id = arg;
    if (a && RTA_PAYLOAD(a) >= sizeof *id)
        memcpy(id, RTA_DATA(a), sizeof *id);
}

static void read_features(const struct nlmsghdr *m, void *arg)
{
    struct xdp_device *ret = arg;
    uint64_t rx = nl_u64(nl_attr(m, GENL_HDRLEN, NETDEV_A_DEV_XDP_RX_METADATA_FEATURES));
    uint64_t xsk = nl_u64(nl_attr(m, GENL_HDRLEN, NETDEV_A_DEV_XSK_FEATURES));
    ret->rx_time = rx & NETDEV_XDP_RX_METADATA_TIMESTAMP;
    ret->rx_hash = rx & NETDEV_XDP_RX_METADATA_HASH;
    ret->tx_checksum = xsk & NETDEV_XSK_FLAGS_TX_CHECKSUM;
}

static void read_netdev(int fd, int ifindex, struct xdp_device *ret)
{
    const struct genlmsghdr family = {.cmd = CTRL_CMD_GETFAMILY, .version = 1};
    const struct genlmsghdr get = {.cmd = NETDEV_CMD_DEV_GET, .version = 1};
    const uint32_t index = (uint32_t)ifindex;
    struct xdp_request request;
    uint16_t id = 0;
    nl_begin(&request, GENL_ID_CTRL, 0, &family, sizeof family);
    nl_put(&request, CTRL_ATTR_FAMILY_NAME, "netdev", sizeof "netdev");
    if (nl_ask(fd, &request, read_family, &id) || id == 0)
        return;
    nl_begin(&request, id, 0, &get, sizeof get);
    nl_put(&request, NETDEV_A_DEV_IFINDEX, &index, sizeof index);
    nl_ask(fd, &request, read_features, ret);
}

void xdp_device_read(const char *name, int ifindex, struct xdp_device *ret)
{
    *ret = (struct xdp_device){.clock = -1};
    read_channels(name, ret);
    read_clock(name, ret);
    int fd = nl_open(NETLINK_GENERIC, 0);
    if (fd < 0)
        return;
    read_netdev(fd, ifindex, ret);
    close(fd);
}

/* What no device can have under this kernel; whether a driver has zero-copy is known when one is
 * named: veth and virtual functions mostly have none. */
void xdp_lesser(struct weir_why *why)
{
    struct utsname host;
    unsigned major = 0, minor = 0;
    if (!why || uname(&host) || sscanf(host.release, "%u.%u", &major, &minor) != 2)
        return;
    unsigned kernel = major * 1000 + minor;
    const char *old = kernel < 5011   ? "; no busy polling"
                      : kernel < 6003 ? "; no device metadata"
                      : kernel < 6006 ? "; one buffer a frame"
                      : kernel < 6008 ? "; no transmit checksums"
                                      : "";
    snprintf(why->where, sizeof why->where, "xdp");
    snprintf(why->what, sizeof why->what, "copy mode on drivers without zero-copy, as veth%s", old);
    snprintf(why->fix, sizeof why->fix, "a NIC's driver may have it%s",
             old[0] ? ", use Linux 6.8 or later" : "");
}
