/* SPDX-License-Identifier: MIT
 * Moving a thread between network namespaces, and what the rooms of the lab know of each other. */
#ifndef WEIR_LAB_NETNS_H
#define WEIR_LAB_NETNS_H

#include <weir/lab.h>

/* Where a visiting thread came from. */
struct netns_stay {
    int home_fd;
};
#define NETNS_NOWHERE                                                                              \
    {                                                                                              \
        -1                                                                                         \
    }

/* Move the calling thread into the namespace `fd`; netns_leave brings it back. */
int netns_visit(int fd, struct netns_stay *stay, struct weir_why *why);
void netns_leave(struct netns_stay *stay);

/* A file of a side's namespace, owned by the lab. */
int lab_netns(const struct weir_lab *lab, enum weir_lab_side side);

/* What a frame needs to get from the client to the server. */
struct lab_ends {
    uint8_t mac[2][6]; /* by side */
    uint8_t ip[2][4];
    int ifindex[2];
};
uint32_t lab_mtu(const struct weir_lab *lab);
uint32_t lab_queues(const struct weir_lab *lab);
const struct lab_ends *lab_ends(const struct weir_lab *lab);

#endif
