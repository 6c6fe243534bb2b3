/* SPDX-License-Identifier: MIT
 * One AF_XDP socket in copy mode, by raw system calls: what the frame generators send and
 * receive by. */
#ifndef WEIR_LAB_XSK_H
#define WEIR_LAB_XSK_H

#include <weir/lab.h>

#include <linux/if_xdp.h>
#include <stdbool.h>

#define XSK_RING                                                                                   \
    4096 /* entries of each ring, a power of two: 20 ms of replies at 200,000 a second */

struct xsk_ring {
    uint32_t *producer,
        *consumer; /* shared with the kernel; which side is ours is told by the ring's kind */
    uint32_t *flags;
    void *slots;
    uint32_t own;    /* our index */
    uint32_t theirs; /* the kernel's, as we last saw it */
    void *map;
    size_t map_bytes;
};

struct xsk {
    int fd;
    uint8_t *umem;
    uint32_t frames, frame_bytes;
    struct xsk_ring fill, done, rx, tx;
};

/* A socket on one queue of `ifindex` with `frames` frames of `frame_bytes` (2,048 or 4,096) each,
 * of the calling thread's namespace. Retries for a while where the queue is still busy with a
 * predecessor. */
int xsk_open(struct xsk *x, int ifindex, uint32_t queue, uint32_t frames, uint32_t frame_bytes,
             struct weir_why *why);
void xsk_close(struct xsk *x);

static inline uint8_t *xsk_frame(const struct xsk *x, uint64_t address)
{
    return x->umem + address;
}

/* Room for transmit descriptors, up to n. */
uint32_t xsk_tx_room(struct xsk *x, uint32_t n);
/* Put one descriptor into the room; xsk_tx_submit makes all of them the kernel's. */
void xsk_tx_put(struct xsk *x, uint64_t address, uint32_t len);
void xsk_tx_submit(struct xsk *x);
/* Whether descriptors wait that the kernel has not looked at. */
bool xsk_tx_waits(struct xsk *x);
/* Make the kernel look: at most 32 descriptors a call (net/xdp/xsk.c, TX_BATCH_SIZE). 0 or
 * -errno. */
int xsk_tx_kick(struct xsk *x);

/* Addresses of frames that were sent, up to n; NULL: forget them. */
uint32_t xsk_done(struct xsk *x, uint64_t *ret, uint32_t n);

/* Give a frame to receive into. */
void xsk_fill(struct xsk *x, uint64_t address);
void xsk_fill_submit(struct xsk *x);
/* Received descriptors, up to n. */
uint32_t xsk_receive(struct xsk *x, struct xdp_desc *ret, uint32_t n);
/* Frames dropped since the start because we did not keep up. */
uint64_t xsk_dropped(const struct xsk *x);

#endif
