/* SPDX-License-Identifier: MIT
 * rtnetlink by hand (rtnetlink(7)): one request, one answer. Each message is built in a bounded
 * buffer, sent, and the kernel's answer awaited: an error number, or for a question the reply
 * itself. Attributes are appended with their padding; a nest's length is set when it is closed. */
#include "netlink.h"

#include "base/base.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MESSAGE_BYTES 1024 /* the largest of ours, the veth pair, is below 300 */
#define REPLY_BYTES 32768  /* as libnetlink: a link's description grows with every kernel */

struct message {
    struct nlmsghdr head;
    uint8_t body[MESSAGE_BYTES];
};

int netlink_open(struct weir_why *why)
{
    const struct timeval patience = {.tv_sec = 2}; /* the kernel answers at once, or never */
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        return why_set(why, -errno, "rtnetlink", NULL, "%s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void *tail(struct message *m)
{
    return (uint8_t *)m + NLMSG_ALIGN(m->head.nlmsg_len);
}

static void *append(struct message *m, size_t bytes)
{
    void *at = tail(m);

    assert(NLMSG_ALIGN(m->head.nlmsg_len) + bytes <= sizeof *m);
    m->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->head.nlmsg_len) + bytes);
    return at;
}

static void begin(struct message *m, uint16_t type, uint16_t flags, const void *header,
                  size_t bytes)
{
    memset(m, 0, sizeof *m);
    m->head.nlmsg_type = type;
    m->head.nlmsg_flags = NLM_F_REQUEST | flags;
    m->head.nlmsg_len = NLMSG_HDRLEN;
    memcpy(append(m, bytes), header, bytes);
}

static struct rtattr *attr(struct message *m, uint16_t type, const void *data, size_t bytes)
{
    struct rtattr *a = append(m, RTA_LENGTH(bytes));

    a->rta_type = type;
    a->rta_len = (uint16_t)RTA_LENGTH(bytes);
    if (bytes)
        memcpy(RTA_DATA(a), data, bytes);
    return a;
}

static void attr_u32(struct message *m, uint16_t type, uint32_t value)
{
    attr(m, type, &value, sizeof value);
}

static void attr_text(struct message *m, uint16_t type, const char *text)
{
    attr(m, type, text, strlen(text) + 1);
}

static void nest_end(struct message *m, struct rtattr *nest)
{
    nest->rta_len = (uint16_t)((uint8_t *)tail(m) - (uint8_t *)nest);
}

/* Ask, and return the length of the answer in `reply`, or the kernel's -errno. */
static ssize_t ask(int nl, struct message *m, void *reply, size_t bytes)
{
    const struct nlmsghdr *head = reply;
    const struct nlmsgerr *error;
    ssize_t n = send(nl, m, m->head.nlmsg_len, 0);

    if (n >= 0)
        n = recv(nl, reply, bytes, MSG_TRUNC);
    if (n < 0)
        return -errno;
    if ((size_t)n > bytes || !NLMSG_OK(head, (size_t)n))
        return -EBADMSG;
    error = NLMSG_DATA(head);
    return head->nlmsg_type == NLMSG_ERROR && error->error ? error->error : n;
}

static int tell(int nl, struct message *m, const char *what, struct weir_why *why)
{
    uint8_t reply[REPLY_BYTES];
    ssize_t r;

    m->head.nlmsg_flags |= NLM_F_ACK;
    r = ask(nl, m, reply, sizeof reply);
    if (r >= 0)
        return 0;
    return why_set(why, (int)r, "lab", r == -EOPNOTSUPP ? "load the kernel module veth" : NULL,
                   "%s: %s", what, strerror((int)-r));
}

/* What both ends of the pair are described by. */
static void describe(struct message *m, const char *name, const uint8_t *mac,
                     const struct netlink_veth *v)
{
    attr_text(m, IFLA_IFNAME, name);
    attr(m, IFLA_ADDRESS, mac, 6);
    attr_u32(m, IFLA_MTU, v->mtu);
    if (v->queues == 1) /* what is not said can still be changed: veth is made for more then */
        return;
    attr_u32(m, IFLA_NUM_TX_QUEUES, v->queues);
    attr_u32(m, IFLA_NUM_RX_QUEUES, v->queues);
}

int netlink_veth(int nl, const struct netlink_veth *v, struct weir_why *why)
{
    const struct ifinfomsg none = {0};
    struct rtattr *info, *data, *peer;
    struct message m;

    begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &none, sizeof none);
    describe(&m, v->name, v->mac, v);
    info = attr(&m, IFLA_LINKINFO, NULL, 0);
    attr(&m, IFLA_INFO_KIND, "veth", 4);
    data = attr(&m, IFLA_INFO_DATA, NULL, 0);
    peer = attr(&m, VETH_INFO_PEER, &none, sizeof none);
    describe(&m, v->peer, v->peer_mac, v);
    attr_u32(&m, IFLA_NET_NS_FD, (uint32_t)v->peer_netns);
    nest_end(&m, peer);
    nest_end(&m, data);
    nest_end(&m, info);
    return tell(nl, &m, "a veth pair", why);
}

int netlink_up(int nl, int ifindex, struct weir_why *why)
{
    const struct ifinfomsg link = {.ifi_index = ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct message m;

    begin(&m, RTM_NEWLINK, 0, &link, sizeof link);
    return tell(nl, &m, "interface up", why);
}

int netlink_address(int nl, int ifindex, const uint8_t ip[4], uint8_t prefix, struct weir_why *why)
{
    const struct ifaddrmsg address = {.ifa_family = AF_INET,
                                      .ifa_prefixlen = prefix,
                                      .ifa_index = (uint32_t)ifindex};
    struct message m;

    begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address, sizeof address);
    attr(&m, IFA_LOCAL, ip, 4);
    attr(&m, IFA_ADDRESS, ip, 4);
    return tell(nl, &m, "address", why);
}

int netlink_neighbour(int nl, int ifindex, const uint8_t ip[4], const uint8_t mac[6],
                      struct weir_why *why)
{
    const struct ndmsg neighbour = {.ndm_family = AF_INET,
                                    .ndm_ifindex = ifindex,
                                    .ndm_state = NUD_PERMANENT};
    struct message m;

    begin(&m, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &neighbour, sizeof neighbour);
    attr(&m, NDA_DST, ip, 4);
    attr(&m, NDA_LLADDR, mac, 6);
    return tell(nl, &m, "neighbour", why);
}

int netlink_route(int nl, int ifindex, const uint8_t net[4], uint8_t prefix, const uint8_t *gateway,
                  struct weir_why *why)
{
    const struct rtmsg route = {.rtm_family = AF_INET,
                                .rtm_dst_len = prefix,
                                .rtm_table = gateway ? RT_TABLE_MAIN : RT_TABLE_LOCAL,
                                .rtm_protocol = RTPROT_STATIC,
                                .rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_HOST,
                                .rtm_type = gateway ? RTN_UNICAST : RTN_LOCAL};
    struct message m;

    begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
    attr(&m, RTA_DST, net, 4);
    attr_u32(&m, RTA_OIF, (uint32_t)ifindex);
    if (gateway)
        attr(&m, RTA_GATEWAY, gateway, 4);
    return tell(nl, &m, "route", why);
}

static void take_stats(const struct rtattr *a, struct weir_net_drops *d)
{
    struct rtnl_link_stats64 s = {0};

    memcpy(&s, RTA_DATA(a),
           min_of(sizeof s, (size_t)RTA_PAYLOAD(a))); /* its end grew over the years */
    d->nic_rx_packets = s.rx_packets;
    d->nic_tx_packets = s.tx_packets;
    d->nic_rx_dropped = s.rx_dropped;
    d->nic_tx_dropped = s.tx_dropped;
    d->nic_rx_errors = s.rx_errors;
    d->nic_tx_errors = s.tx_errors;
    d->nic_rx_missed = s.rx_missed_errors;
}

int netlink_stats(int nl, const char *ifname, struct weir_net_drops *ret, struct weir_why *why)
{
    const struct ifinfomsg none = {0};
    union {
        struct nlmsghdr head;
        uint8_t bytes[REPLY_BYTES];
    } reply = {0};
    struct rtattr *a;
    struct message m;
    ssize_t n;
    int left;

    begin(&m, RTM_GETLINK, 0, &none, sizeof none);
    attr_text(&m, IFLA_IFNAME, ifname);
    n = ask(nl, &m, &reply, sizeof reply);
    if (n < 0)
        return why_set(why, (int)n, "drops", NULL, "interface %s: %s", ifname, strerror((int)-n));
    left = (int)IFLA_PAYLOAD(&reply.head);
    for (a = IFLA_RTA(NLMSG_DATA(&reply.head)); RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type == IFLA_STATS64)
            take_stats(a, ret);
    return 0;
}
