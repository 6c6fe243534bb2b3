/* SPDX-License-Identifier: MIT
 * What the XDP program (xdp.bpf.c) and the process that loads it (xdp_prog.c) have in common: the
 * shapes of their maps. Compiled for the host and for BPF, so only linux/types.h. */
#ifndef WEIR_XDP_SHARED_H
#define WEIR_XDP_SHARED_H

#include <linux/types.h>

#define XDP_ADDRESSES 8 /* WEIR_NETS_MAX */

/* The one element of map `config`. */
struct xdp_config {
    __u32 addresses;
    __u32 own; /* own-address mode: all that is for these addresses is ours */
    union {
        __u8 ip[16]; /* IPv4 is mapped */
        __u64 half[2];
    } address[XDP_ADDRESSES];
};

/* Map `ports`, an element a UDP port: bit i says that datagrams to address i are ours. */
typedef __u32 xdp_port_mask;

/* Map `fragments`: the datagrams whose first fragment was ours, so that the others are. */
struct xdp_datagram {
    __u64 from[2], to[2];
    __u32 id, zero;
};

/* What the program of xdp_meta.bpf.o puts in front of a frame (Documentation/networking/
 * xdp-rx-metadata.rst). */
#define XDP_META_TIME 1u
#define XDP_META_HASH 2u
struct xdp_meta {
    __u64 time_ns; /* of the device's clock */
    __u32 hash;
    __u32 flags; /* XDP_META_* */
};

#endif
