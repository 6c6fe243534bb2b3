/* SPDX-License-Identifier: MIT
 * What the files of the DPDK backend know of each other.
 *
 *   dpdk_eal.c    the library's start, once a process; virtual devices come and go
 *   dpdk_pool.c   a pool whose small slots are mbufs: header = the mbuf's private area
 *   dpdk_port.c   a port shared by the engines of its queues: configured, started, closed
 *   dpdk_xsk.c    sockets that net_af_xdp leaves open
 *   dpdk_flow.c   rules that steer UDP ports to our queues
 *   dpdk_link.c   whether the link is up, down or gone
 *   dpdk_tx.c     frames to mbufs, collected and sent
 *   dpdk.c        the table of operations: receiving, the slow look, the report */
#ifndef WEIR_BACKEND_DPDK_H
#define WEIR_BACKEND_DPDK_H

#include "backend/frames.h"

#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#define DPDK_QUEUES_MAX 64u
#define DPDK_BURST 32u  /* DPDK's usual burst: what its vector receive functions give at most */
#define DPDK_STAGE 256u /* frames collected for a device that takes them slowly */
#define DPDK_RULES_MAX 64u
#define DPDK_ORPHANS_MAX (2u * DPDK_QUEUES_MAX) /* each queue's engine may close and come again */

/* Rules for one UDP port. */
struct dpdk_rule {
    bool used;
    uint16_t port;
    struct rte_flow *flow[2]; /* IPv4, IPv6; NULL: refused */
};

/* An AF_XDP socket of net_af_xdp's; inode 0: none. */
struct dpdk_xsk {
    uint64_t inode;
    int fd;
};
struct dpdk_xsks {
    unsigned n;
    struct dpdk_xsk xsk[2 * DPDK_QUEUES_MAX];
};

/* One port of DPDK, shared by the engines of its queues. All under dpdk_lock but what is atomic. */
struct dpdk_port {
    struct dpdk_port *next;
    char name[RTE_ETH_NAME_MAX_LEN];
    uint16_t id, queues;
    unsigned engines, ready; /* that hold it; whose queue is set up */
    uint64_t taken;          /* queues with an engine, a bit each */
    struct rte_eth_dev_info info;
    uint64_t rx_offloads, tx_offloads; /* granted */
    uint64_t rss_types;
    uint16_t rx_entries, tx_entries;
    uint32_t mtu;
    uint8_t mac[6];
    uint32_t steered[UINT16_MAX + 1]; /* of each UDP port: endpoints that hold it */
    struct dpdk_rule rule[DPDK_RULES_MAX];
    struct dpdk_xsk xsk[DPDK_QUEUES_MAX];
    struct weir_pool *orphan[DPDK_ORPHANS_MAX]; /* of engines that closed before the port did */
    unsigned orphans;
    int link_fd, link_index; /* to ask for the interface below; -1: there is none */
    bool configured;
    atomic_bool started; /* pairs: written by the last engine to open, read by the others */
    atomic_bool removed; /* pairs: written by a thread of EAL's or an engine, read by engines */
};

/* The device's clock against ours, for receive timestamps. */
struct dpdk_clock {
    uint64_t ticks, ns; /* the same moment */
    double ns_a_tick;   /* 0: not known yet */
};

/* An engine's part: b->priv. */
struct dpdk {
    struct dpdk_port *port; /* NULL until the engine holds one */
    uint16_t id, queue;
    bool set_up;
    bool down; /* the interface below takes no frames: its ring would fill, its driver wait */
    struct rte_mempool *mempool, *bodies;
    struct weir_pool *pool;
    char *vdevs; /* that this engine holds */

    uint16_t staged; /* frames waiting for the device */
    struct rte_mbuf *stage[DPDK_STAGE];
    uint64_t staged_ns, took_ns; /* the oldest one's time; when the device last took one */
    uint64_t flush_ns;
    bool out, idle_reap;           /* buffers may be with the device; it has no tx_done_cleanup */
    uint64_t reap_ns, reap_gap_ns; /* when they are asked for next */

    uint16_t early; /* frames that a sleep ended with, for the next rx */
    struct rte_mbuf *arrived[DPDK_BURST];

    int time_at; /* offset of the timestamp in an mbuf, -1: none */
    uint64_t time_flag;
    struct dpdk_clock clock;
    uint64_t look_ns, arrived_ns; /* the next slow look; the last frame */
    struct rte_eth_stats seen;    /* as counted last */
    struct rte_eth_xstat_name *names;
    struct rte_eth_xstat *values;
    unsigned n_values;
    int epoll_fd;
    int16_t told_link; /* as the last notice said */
    bool tell_link;
};

/* The header in an mbuf's private area, and back. */
static inline struct weir_buf *dpdk_buf(struct rte_mbuf *m)
{
    return (struct weir_buf *)(void *)(m + 1);
}
static inline struct rte_mbuf *dpdk_mbuf(const struct weir_buf *buf)
{
    return (struct rte_mbuf *)(uintptr_t)buf - 1;
}
_Static_assert(sizeof(struct rte_mbuf) == 128, "the header is on a cache line of its own");

/* ---- dpdk_eal.c ----------------------------------------------------------------------------- */

/* Of ports, rules and virtual devices. Never held in rx or tx. */
void dpdk_lock(void);
void dpdk_unlock(void);
/* Start EAL, or find it started. 0 or -errno with `why`. */
int dpdk_eal_start(struct backend *b, struct weir_why *why);
/* Make this thread known to DPDK, and forget it again; nests. */
int dpdk_thread_enter(struct weir_why *why);
void dpdk_thread_leave(void);
/* Create the virtual devices of a list, or find them. Gives the first one's name. Locked. */
int dpdk_vdevs_hold(const char *list, char *first, size_t bytes, struct weir_why *why);
void dpdk_vdevs_release(const char *list);
/* Remove the one that is called `name` and create it again. Locked.  0 or -errno */
int dpdk_vdev_renew(const char *list, const char *name);
/* What DPDK logged first since the last question: a reason, where it gives no other. */
const char *dpdk_first_log(void);
/* What memory a start would use: a text, and free hugepages in bytes. */
uint64_t dpdk_huge_free(void);
const char *dpdk_memory_text(void);

/* ---- dpdk_pool.c ---------------------------------------------------------------------------- */

struct weir_pool *dpdk_pool_open(struct dpdk *d, const struct weir_pool_opt *opt, int node,
                                 struct weir_why *why);
/* Lend `n` buffers beforehand: what other threads may take for the device, when the port starts. */
void dpdk_pool_stash(struct dpdk *d, unsigned n);
void dpdk_pool_unstash(struct dpdk *d);
/* Mbufs without memory of their own, for the bodies of frames. */
int dpdk_bodies_open(struct dpdk *d, unsigned n, int node, struct weir_why *why);

/* Make the operations of our mempools known; once a process. */
int dpdk_pool_register(void);

/* ---- dpdk_port.c ---------------------------------------------------------------------------- */

/* Hold the port that the options name. Locked. */
int dpdk_port_hold(struct backend *b, struct dpdk *d, struct weir_why *why);
/* Give a pool that is too small what the device keeps of it. */
void dpdk_port_share(struct backend *b, const struct dpdk *d);
/* Configure it (the first engine), set up our queue, start it (the last one). Locked. */
int dpdk_port_open(struct backend *b, struct dpdk *d, struct weir_why *why);
/* Let go; the last engine closes it. Locked. */
void dpdk_port_release(struct backend *b, struct dpdk *d);

/* ---- dpdk_xsk.c ----------------------------------------------------------------------------- */

/* Those of the process; the one that appeared since; close it, if it is still open. Locked. */
void dpdk_xsk_list(struct dpdk_xsks *ret);
struct dpdk_xsk dpdk_xsk_new(const struct dpdk_xsks *before);
void dpdk_xsk_close(struct dpdk_xsk *one);

/* ---- dpdk_flow.c ---------------------------------------------------------------------------- */

int dpdk_steer(struct backend *b, const struct weir_addr *local, bool on, struct weir_why *why);
/* The port started: what was asked for before becomes rules. Locked. */
void dpdk_steer_all(struct backend *b, struct dpdk_port *p);

/* ---- dpdk_link.c ---------------------------------------------------------------------------- */

int dpdk_link_open(struct dpdk_port *p); /* 0 or -errno. Locked. */
void dpdk_link_close(struct dpdk_port *p);
/* 0: up, -ENETDOWN, -ENODEV: gone for good. */
int dpdk_link_look(struct backend *b, struct dpdk *d);

/* ---- dpdk_tx.c ------------------------------------------------------------------------------ */

unsigned dpdk_tx_room(struct backend *b, unsigned n);
void dpdk_tx(struct backend *b, const struct tx_frame *frames, unsigned n);
void dpdk_submit(struct backend *b);
uint64_t dpdk_next_ns(const struct backend *b);
void dpdk_tx_close(struct dpdk *d); /* what was not sent, and what a sleep found, is dropped */

#endif
