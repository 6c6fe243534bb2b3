/* SPDX-License-Identifier: MIT
 * The kernel's view of the interface, through rtnetlink(7).
 *
 * At opening it is read: the link and, where its addresses are shared with the kernel, those and the
 * routes through it. After that it is heard of: the link that goes up, down or away, and neighbours,
 * all of which the kernel is asked for once at the start and again when more was told than the
 * socket could hold. Looked for once a millisecond, or at once when wait was woken by it.
 *
 * Addresses and routes that change later are not followed: a device's engines have the addresses of
 * the first one's opening, and each the routes of its own. */
#include "backend/xdp.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int refuse(struct weir_why *why, int err, const char *what)
{
    return why_set(why, err, "rtnetlink", "", "%s: %s", what, strerror(-err));
}

/* 4 or 16 bytes of an attribute, IPv4 mapped. */
static bool take_ip(const struct rtattr *a, unsigned family, uint8_t ret[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t bytes = family == AF_INET ? 4 : 16;
    if (!a || RTA_PAYLOAD(a) < bytes || (family != AF_INET && family != AF_INET6))
        return false;
    memcpy(ret, mapped, sizeof mapped);
    memcpy(ret + 16 - bytes, RTA_DATA(a), bytes);
    return true;
}

static uint8_t mapped_prefix(unsigned family, unsigned prefix)
{
    return (uint8_t)min_of(family == AF_INET ? 96 + prefix : prefix, 128u);
}

/* ---- the link ------------------------------------------------------------------------------- */

static bool is_up(unsigned flags)
{
    return flags & IFF_UP && flags & IFF_RUNNING;
}

static void read_link(const struct nlmsghdr *m, struct xdp_reading *r)
{
    struct frame_port *port = r->port;
    const struct ifinfomsg *link = nl_head(m, sizeof *link);
    const struct rtattr *mac = nl_attr(m, sizeof *link, IFLA_ADDRESS);
    if (!link || link->ifi_index != r->ifindex)
        return;
    port->up = is_up(link->ifi_flags);
    port->mtu = nl_u32(nl_attr(m, sizeof *link, IFLA_MTU));
    port->queues = (uint16_t)nl_u32(nl_attr(m, sizeof *link, IFLA_NUM_RX_QUEUES));
    if (mac && RTA_PAYLOAD(mac) == sizeof port->mac)
        memcpy(port->mac, RTA_DATA(mac), sizeof port->mac);
}

static int ask_link(int fd, struct xdp_reading *r)
{
    const struct ifinfomsg head = {.ifi_index = r->ifindex};
    struct xdp_request request;
    nl_begin(&request, RTM_GETLINK, 0, &head, sizeof head);
    return nl_ask(fd, &request, xdp_view_take, r);
}

/* ---- addresses and routes ------------------------------------------------------------------- */

static void read_address(const struct nlmsghdr *m, struct xdp_reading *r)
{
    struct frame_port *port = r->port;
    const struct ifaddrmsg *head = nl_head(m, sizeof *head);
    const struct rtattr *a = nl_attr(m, sizeof *head, IFA_LOCAL);
    struct weir_net net;
    if (!a) /* the peer's only on a point-to-point link */
        a = nl_attr(m, sizeof *head, IFA_ADDRESS);
    bool usable = head && (int)head->ifa_index == r->ifindex &&
                  !(head->ifa_flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED));
    if (!usable || !take_ip(a, head->ifa_family, net.ip))
        return;
    if (port->addresses == WEIR_NETS_MAX) {
        r->addresses_cut++;
        return;
    }
    net.prefix = mapped_prefix(head->ifa_family, head->ifa_prefixlen);
    port->address[port->addresses++] = net;
}

/* Only those through a gateway: the addresses imply the others. */
static void read_route(const struct nlmsghdr *m, struct xdp_reading *r)
{
    struct frame_port *port = r->port;
    const struct rtmsg *head = nl_head(m, sizeof *head);
    const size_t bytes = sizeof *head;
    struct weir_route route = {0};
    bool usable = head && head->rtm_type == RTN_UNICAST && head->rtm_table == RT_TABLE_MAIN &&
                  (int)nl_u32(nl_attr(m, bytes, RTA_OIF)) == r->ifindex;
    if (!usable || !take_ip(nl_attr(m, bytes, RTA_GATEWAY), head->rtm_family, route.via))
        return;
    if (port->routes == WEIR_ROUTES_MAX) {
        r->routes_cut++;
        return;
    }
    if (!take_ip(nl_attr(m, bytes, RTA_DST), head->rtm_family, route.to.ip) &&
        head->rtm_family == AF_INET)
        route.to.ip[10] = route.to.ip[11] = 0xff; /* the default: no RTA_DST */
    route.to.prefix = mapped_prefix(head->rtm_family, head->rtm_dst_len);
    port->route[port->routes++] = route;
}

void xdp_view_take(const struct nlmsghdr *m, void *arg)
{
    switch (m->nlmsg_type) {
    case RTM_NEWLINK: read_link(m, arg); break;
    case RTM_NEWADDR: read_address(m, arg); break;
    case RTM_NEWROUTE: read_route(m, arg); break;
    default: break;
    }
}

static int ask_all(int fd, struct xdp_reading *r)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    int rc = 0;
    for (unsigned i = 0; i < array_len(families) && rc == 0; i++) {
        const struct ifaddrmsg address = {.ifa_family = families[i]};
        const struct rtmsg route = {.rtm_family = families[i]};
        struct xdp_request request;
        nl_begin(&request, RTM_GETADDR, NLM_F_DUMP, &address, sizeof address);
        rc = nl_ask(fd, &request, xdp_view_take, r);
        nl_begin(&request, RTM_GETROUTE, NLM_F_DUMP, &route, sizeof route);
        if (rc == 0)
            rc = nl_ask(fd, &request, xdp_view_take, r);
        if (rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT) /* a kernel without IPv6 */
            rc = 0;
    }
    return rc;
}

int xdp_view_read(struct xdp_reading *r, struct weir_why *why)
{
    const struct frame_port *port = r->port;
    int fd = nl_open(NETLINK_ROUTE, 0);
    int rc = fd < 0 ? fd : ask_link(fd, r);
    if (rc == 0 && port->shared)
        rc = ask_all(fd, r);
    if (fd >= 0)
        close(fd);
    if (rc)
        return refuse(why, rc, "the interface's link, addresses and routes");
    if (port->shared && port->addresses == 0)
        return why_set(why, -EADDRNOTAVAIL, "xdp", "give it one (ip address add), or own addresses",
                       "the interface has no address to share");
    return 0;
}

/* ---- notices -------------------------------------------------------------------------------- */

static int ask_neighbours(struct xdp_view *v)
{
    const struct ndmsg head = {.ndm_ifindex = v->ifindex};
    struct xdp_request request;
    nl_begin(&request, RTM_GETNEIGH, NLM_F_DUMP, &head, sizeof head);
    return nl_send(v->fd, &request);
}

int xdp_view_open(struct xdp_view *v, int ifindex, bool shared, struct weir_why *why)
{
    v->ifindex = ifindex;
    v->shared = shared;
    v->due = true;
    v->fd = nl_open(NETLINK_ROUTE, RTMGRP_LINK | (shared ? RTMGRP_NEIGH : 0));
    if (v->fd < 0)
        return refuse(why, v->fd, "a socket for notices");
    int rc = shared ? ask_neighbours(v) : 0;
    return rc ? refuse(why, rc, "neighbours") : 0;
}

void xdp_view_close(struct xdp_view *v)
{
    if (v->fd >= 0)
        close(v->fd);
    v->fd = -1;
}

static bool tell_link(int ifindex, const struct nlmsghdr *m, struct port_notice *ret)
{
    const struct ifinfomsg *link = nl_head(m, sizeof *link);
    if (!link || link->ifi_index != ifindex || link->ifi_family == AF_BRIDGE)
        return false;
    bool gone = m->nlmsg_type == RTM_DELLINK;
    *ret = (struct port_notice){.kind = PORT_LINK,
                                .err = gone                     ? -ENODEV
                                       : is_up(link->ifi_flags) ? 0
                                                                : -ENETDOWN};
    return true;
}

/* In a state in which the kernel would send to it (NUD_VALID of net/neighbour.h). */
static bool usable_state(unsigned state)
{
    return state & (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY);
}

static bool tell_neighbour(int ifindex, const struct nlmsghdr *m, struct port_notice *ret)
{
    const struct ndmsg *head = nl_head(m, sizeof *head);
    const struct rtattr *mac = nl_attr(m, sizeof *head, NDA_LLADDR);
    *ret = (struct port_notice){.kind = PORT_NEIGHBOUR};
    if (!head || head->ndm_ifindex != ifindex ||
        !take_ip(nl_attr(m, sizeof *head, NDA_DST), head->ndm_family, ret->ip))
        return false;
    ret->known = m->nlmsg_type == RTM_NEWNEIGH && usable_state(head->ndm_state) && mac &&
                 RTA_PAYLOAD(mac) == sizeof ret->mac;
    if (ret->known)
        memcpy(ret->mac, RTA_DATA(mac), sizeof ret->mac);
    return ret->known || m->nlmsg_type == RTM_DELNEIGH || head->ndm_state & NUD_FAILED;
}

/* The answer to a request of ours. The interface is gone; or a neighbour cannot be asked for, then it
 * stays unknown. */
static bool tell_error(const struct nlmsghdr *m, struct port_notice *ret)
{
    *ret = (struct port_notice){.kind = PORT_LINK, .err = -ENODEV};
    return nl_error(m) == -ENODEV;
}

static bool tell(int ifindex, const struct nlmsghdr *m, struct port_notice *ret)
{
    switch (m->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: return tell_link(ifindex, m, ret);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: return tell_neighbour(ifindex, m, ret);
    case NLMSG_ERROR: return tell_error(m, ret);
    default: return false;
    }
}

unsigned xdp_view_tell(int ifindex, const uint8_t *bytes, uint32_t end, uint32_t *at,
                       struct port_notice *ret, unsigned n)
{
    const struct nlmsghdr *m;
    unsigned told = 0;
    while (told < n && (m = nl_next(bytes, end, at)))
        told += tell(ifindex, m, &ret[told]);
    return told;
}

/* More happened than the socket held: how does it stand? */
static bool ask_again(struct xdp_view *v)
{
    const struct ifinfomsg head = {.ifi_index = v->ifindex};
    struct xdp_request request;
    nl_begin(&request, RTM_GETLINK, 0, &head, sizeof head);
    int rc = nl_send(v->fd, &request);
    return rc == 0 && (!v->shared || ask_neighbours(v) == 0);
}

/* One datagram more. False: there is none. */
static bool read_more(struct xdp_view *v, struct counters *c)
{
    ssize_t n = nl_receive(v->fd, v->bytes, sizeof v->bytes, MSG_DONTWAIT);
    COUNT(c, syscalls, 1);
    v->at = 0;
    v->end = n > 0 ? (uint32_t)n : 0;
    if (n == -ENOBUFS || n == -EMSGSIZE)
        return ask_again(v);
    return n >= 0;
}

unsigned xdp_view_notices(struct xdp_view *v, struct counters *c, struct port_notice *ret,
                          unsigned n)
{
    unsigned told = 0;
    do {
        told += xdp_view_tell(v->ifindex, v->bytes, v->end, &v->at, &ret[told], n - told);
    } while (told < n && read_more(v, c));
    v->due = v->at < v->end;
    return told;
}

void xdp_view_resolve(struct xdp_view *v, struct counters *c, const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool ip4 = memcmp(ip, mapped, sizeof mapped) == 0;
    const struct ndmsg head = {.ndm_family = ip4 ? AF_INET : AF_INET6,
                               .ndm_ifindex = v->ifindex,
                               .ndm_flags = NTF_USE};
    struct xdp_request request;
    nl_begin(&request, RTM_NEWNEIGH, NLM_F_CREATE, &head, sizeof head);
    nl_put(&request, NDA_DST, ip4 ? ip + 12 : ip, ip4 ? 4 : 16);
    nl_send(v->fd, &request); /* not taken now: the stack asks again */
    COUNT(c, syscalls, 1);
    v->due = true;
}
