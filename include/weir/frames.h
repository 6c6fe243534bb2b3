/* SPDX-License-Identifier: MIT
 * Frame backends: what an engine needs to be told where Weir's own stack does layers 2 to 4. */
#ifndef WEIR_FRAMES_H
#define WEIR_FRAMES_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_NETS_MAX 8
#define WEIR_ROUTES_MAX 16

/* An address with its prefix, or a network. IPv4 is mapped (::ffff:a.b.c.d), its /24 is 120. */
struct weir_net {
    uint8_t ip[16];
    uint8_t prefix;
};

struct weir_route {
    struct weir_net to; /* prefix 0 (of IPv4: 96): the default */
    uint8_t via[16];    /* the gateway; all zero: on the link */
};

/* "10.0.0.2/24", "fd00::2/64"; without a prefix /32 or /128. Errors  -EINVAL */
int weir_net_parse(const char *text, struct weir_net *ret);

/* Impairments of a link, by our own hand, for tests of what is sent over it. Shares are 0 .. 1. */
struct weir_impair {
    double loss, reorder, duplicate, corrupt;
    uint64_t delay_ns, jitter_ns; /* every packet: delay, plus or minus up to jitter */
    uint64_t rate_bits;           /* a second; 0 = unlimited */
    uint64_t seed;                /* the same seed makes the same decisions; 0 = 1 */
};

/* "loss=1%,delay=5ms,jitter=1ms,reorder=0.5%,dup=0.1%,corrupt=0.01%,rate=100mbit,seed=7", any of
 * them in any order. Errors  -EINVAL, `why` (may be NULL) names the word */
int weir_impair_parse(const char *text, struct weir_impair *ret, struct weir_why *why);
/* Whether anything is impaired at all. */
int weir_impair_any(const struct weir_impair *impair);

struct weir_sim_port;

struct weir_frames_opt {
    const char *device; /* xdp: an interface. dpdk: a port's name or PCI address; NULL: the first */
    const char *vdev;   /* dpdk: virtual devices, as EAL's --vdev takes them, ';' between them */
    const char *eal;    /* dpdk: further EAL arguments, words */
    struct weir_sim_port *sim; /* sim: our end of a wire */
    uint16_t queue;            /* of the device, which this engine alone uses; a crew counts it up */
    uint16_t queues;           /* that all engines use together; 0 = 1; a crew sets it */
    /* Own-address mode: these are ours, and we answer ARP, neighbour discovery and ping for them.
     * None: the interface's addresses are shared with the kernel, which keeps doing that; frames to
     * ports that nobody opened here stay the kernel's. */
    struct weir_net address[WEIR_NETS_MAX];
    uint32_t addresses;
    struct weir_route route[WEIR_ROUTES_MAX]; /* beside those that the addresses imply */
    uint32_t routes;
    uint8_t mac[6];          /* all zero: the device's */
    uint32_t mtu;            /* 0: the device's */
    uint32_t neighbours_max; /* 0 = 1,024 */
    uint32_t fragments_max;  /* datagrams that may be under reassembly at once; 0 = 64 */
    uint64_t reassembly_ns;  /* how long one may take; 0 = 30 s */
    uint64_t tx_flush_ns;    /* dpdk: how long an unfull burst may wait; 0 = 20 us */
    uint64_t seed;           /* of ports, IP identifications, hashes; 0 = the kernel's random
                                bytes; sim: from its network's seed */
    uint8_t promiscuous;
    uint8_t copy_mode;    /* xdp: do not ask for zero-copy */
    uint8_t generic_mode; /* xdp: the kernel's generic XDP, where the driver has none */
    uint8_t no_offload;   /* do all checksums ourselves */
    uint8_t fewer_queues; /* of `queues`, as many as the device has: a crew shares what there is */
};

#ifdef __cplusplus
}
#endif
#endif
