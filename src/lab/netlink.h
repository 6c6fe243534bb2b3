/* SPDX-License-Identifier: MIT
 * The few rtnetlink messages that the lab needs. A socket belongs to the namespace in which it
 * was opened, whoever uses it later. */
#ifndef WEIR_LAB_NETLINK_H
#define WEIR_LAB_NETLINK_H

#include <weir/lab.h>

int netlink_open(struct weir_why *why); /* a descriptor; NETLINK_ROUTE */

struct netlink_veth {
    const char *name, *peer;
    int peer_netns;
    const uint8_t *mac, *peer_mac;
    uint32_t mtu;
    uint32_t queues; /* of each end, both ways. A generator's AF_XDP socket is bound to number 0 */
};
int netlink_veth(int nl, const struct netlink_veth *v, struct weir_why *why);
int netlink_up(int nl, int ifindex, struct weir_why *why);
int netlink_address(int nl, int ifindex, const uint8_t ip[4], uint8_t prefix, struct weir_why *why);
/* A permanent neighbour. */
int netlink_neighbour(int nl, int ifindex, const uint8_t ip[4], const uint8_t mac[6],
                      struct weir_why *why);
/* `net`/`prefix` via `gateway`; NULL: these addresses are this host's own (RTN_LOCAL on
 * `ifindex`). */
int netlink_route(int nl, int ifindex, const uint8_t net[4], uint8_t prefix, const uint8_t *gateway,
                  struct weir_why *why);
/* The interface's counters into the nic_ fields. */
int netlink_stats(int nl, const char *ifname, struct weir_net_drops *ret, struct weir_why *why);

#endif
