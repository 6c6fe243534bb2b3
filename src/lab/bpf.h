/* SPDX-License-Identifier: MIT
 * The two XDP programs of the generators, assembled by hand, so that neither clang nor libbpf is
 * needed. All of it goes away with its descriptors. */
#ifndef WEIR_LAB_BPF_H
#define WEIR_LAB_BPF_H

#include <weir/lab.h>

/* Receive for the echo generator: frames of IPv4 and UDP from `server_port` go to the AF_XDP
 * socket that is entered in the map, all others to the kernel. Of the calling thread's
 * namespace; `queue` is that which the socket is bound to. */
struct bpf_receive {
    int map, prog, link;
};
struct bpf_receive_opt {
    int ifindex, xsk;
    uint16_t server_port, queue;
};
int bpf_receive_open(struct bpf_receive *b, const struct bpf_receive_opt *opt,
                     struct weir_why *why);
void bpf_receive_close(struct bpf_receive *b);

/* Flood by live frames: give each the next of `flows` source ports from `first_port`, finish its
 * checksum from `sum` (frame_sum_without_port) and send it out of `ifindex`. */
struct bpf_flood {
    int map, prog;
};
int bpf_flood_open(struct bpf_flood *b, int ifindex, uint16_t first_port, uint32_t flows,
                   uint16_t sum, struct weir_why *why);
void bpf_flood_close(struct bpf_flood *b);

/* Run it on `count` copies of `frame`. 0 or -errno. */
int bpf_flood_run(const struct bpf_flood *b, const void *frame, size_t len, uint32_t count);

#endif
