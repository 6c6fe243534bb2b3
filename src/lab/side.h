/* SPDX-License-Identifier: MIT
 * One namespace of the lab: what is kept open of it. */
#ifndef WEIR_LAB_SIDE_H
#define WEIR_LAB_SIDE_H

#include <weir/lab.h>

struct side {
    int netns; /* holds the namespace */
    int nl;    /* rtnetlink inside */
    int sock;  /* for interface ioctls inside */
    int sys;   /* a sysfs of its own, mounted nowhere; -1 where the kernel cannot */
    int ifindex;
    char ifname[16]; /* IFNAMSIZ */
};

/* Make a namespace. Moves the calling thread into it, so call it on a thread that ends soon. */
int side_open(struct side *s, struct weir_why *why);
void side_close(struct side *s);

/* The index of s->ifname, into s->ifindex. */
int side_find(struct side *s, struct weir_why *why);
/* Make what `sender` sends go through a NAPI instance of the receiver's end. That takes GRO
 * there, and at the sender no TSO: veth believes that what a TSO sender sends needs no GRO, and
 * puts it into the backlog of the sender's core (drivers/net/veth.c,
 * veth_skb_is_eligible_for_gro). UDP_SEGMENT is another feature, and stays. */
int side_receives_by_napi(struct side *receiver, struct side *sender, struct weir_why *why);
/* Each receive queue's NAPI instance gets a kernel thread, pinned to `core`, of real-time
 * priority `fifo` (0: none). */
int side_threaded_napi(struct side *s, int core, int fifo, struct weir_why *why);

#endif
