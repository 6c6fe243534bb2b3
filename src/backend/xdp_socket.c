/* SPDX-License-Identifier: MIT
 * The AF_XDP socket: the pool's small slots as UMEM, four rings, bound to a queue.
 *
 * By raw system calls and not through libxdp's xsk.h: that library does not know the metadata in
 * front of frames to send, and gives the rings back when one way of binding is refused, so that
 * trying zero-copy first would mean registering the memory twice.
 *
 * Small slot i is UMEM chunk i, so a buffer's address is its distance from the first slot. Big
 * slots, runs and other pools' buffers are not in the UMEM. Closing frees the queue behind an RCU
 * grace period: a bind right after it is tried again for a while.
 * Source  Documentation/networking/af_xdp.rst; net/xdp/xsk.c */
#include "backend/xdp.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BIND_TRIES 100      /* of 10 ms */
#define BUSY_POLL_US 20     /* as Documentation/networking/napi.rst's example */
#define BUSY_POLL_BUDGET 64 /* packets of one busy poll: the kernel's NAPI weight */
#define TX_BUDGET 32        /* TX_BATCH_SIZE of net/xdp/xsk.c */
#define TX_BUDGET_ASKED XDP_RING

static int refuse(struct weir_why *why, int err, const char *what)
{
    const char *fix = err == -EPERM     ? "run as root, or with CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF"
                      : err == -ENOBUFS ? "raise the limit of locked memory (ulimit -l)"
                      : err == -EBUSY   ? "end the process that has this queue, or use another"
                                        : "";
    return why_set(why, err, "AF_XDP", fix, "%s: %s", what, strerror(-err));
}

/* ---- memory and rings ----------------------------------------------------------------------- */

/* With room for requests in front of frames to send where the device takes any. */
static int register_memory(struct backend *b, struct xdp *x)
{
    struct umem_reg reg = {.addr = (uintptr_t)x->umem,
                           .len = x->umem_bytes,
                           .chunk_size = pool_small_bytes(b->pool)};
    if (x->tx_checksum) {
        reg.flags = XDP_UMEM_TX_METADATA_LEN;
        reg.tx_metadata_len = TX_REQUEST_BYTES;
        x->tx_front = TX_REQUEST_BYTES;
        if (setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg) == 0)
            return 0;
        backend_lesser(b, -errno, "checksums", "use kernel 6.8 or later",
                       "the device's transmit checksums are not used: %s", strerror(errno));
        x->tx_checksum = false;
        x->tx_front = 0;
        reg.flags = reg.tx_metadata_len = 0;
    }
    return setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg) ? -errno : 0;
}

static int size_rings(struct xdp *x)
{
    static const int rings[] = {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING,
                                XDP_TX_RING};
    const int entries = XDP_RING;
    for (unsigned i = 0; i < array_len(rings); i++)
        if (setsockopt(x->fd, SOL_XDP, rings[i], &entries, sizeof entries))
            return -errno;
    return 0;
}

static int map_ring(int fd, struct xdp_ring *r, const struct xdp_ring_offset *off, uint64_t page,
                    size_t slot_bytes)
{
    size_t bytes = off->desc + XDP_RING * slot_bytes;
    uint8_t *map =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)page);
    if (map == MAP_FAILED)
        return -errno;
    *r = (struct xdp_ring){.producer = (uint32_t *)(void *)(map + off->producer),
                           .consumer = (uint32_t *)(void *)(map + off->consumer),
                           .flags = (uint32_t *)(void *)(map + off->flags),
                           .slots = map + off->desc,
                           .map = map,
                           .map_bytes = bytes};
    return 0;
}

static int map_rings(struct xdp *x)
{
    const size_t address = sizeof(uint64_t), desc = sizeof(struct xdp_desc);
    struct xdp_mmap_offsets off;
    socklen_t len = sizeof off;
    if (getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len))
        return -errno;
    int rc = map_ring(x->fd, &x->fill, &off.fr, XDP_UMEM_PGOFF_FILL_RING, address);
    rc = rc ? rc : map_ring(x->fd, &x->done, &off.cr, XDP_UMEM_PGOFF_COMPLETION_RING, address);
    rc = rc ? rc : map_ring(x->fd, &x->rx, &off.rx, XDP_PGOFF_RX_RING, desc);
    return rc ? rc : map_ring(x->fd, &x->tx, &off.tx, XDP_PGOFF_TX_RING, desc);
}

/* ---- binding -------------------------------------------------------------------------------- */

static int bind_as(struct xdp *x, unsigned flags)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    const struct sockaddr_xdp to = {.sxdp_family = AF_XDP,
                                    .sxdp_flags = (uint16_t)(flags | XDP_USE_NEED_WAKEUP),
                                    .sxdp_ifindex = (uint32_t)x->view.ifindex,
                                    .sxdp_queue_id = x->queue};
    for (int i = 0; i < BIND_TRIES; i++) {
        if (bind(x->fd, (const struct sockaddr *)(const void *)&to, sizeof to) == 0)
            return 0;
        if (errno != EBUSY)
            return -errno;
        nanosleep(&pause, NULL);
    }
    return -EBUSY;
}

/* A kernel before 6.6: a frame is one buffer. */
static void without_parts(struct backend *b, struct xdp *x)
{
    uint32_t most = pool_small_bytes(b->pool) - XDP_PACKET_HEADROOM - XDP_ETH_BYTES;
    backend_lesser(b, -EOPNOTSUPP, "multi-buffer", "kernel 6.6, or larger slots (pool.small_bytes)",
                   "the MTU is %u instead of %u: a frame has one buffer", most, x->port.mtu);
    x->frames_more = false;
    x->port.mtu = most;
}

/* Zero-copy with frames in several descriptors, without, and copying. The kernel refuses what the
 * driver cannot do. */
static int bind_best(struct backend *b, struct xdp *x)
{
    const unsigned parts = x->frames_more ? XDP_USE_SG : 0;
    int rc = -EOPNOTSUPP;
    if (!b->opt.frames.copy_mode && !xdp_prog_generic(x->prog)) {
        rc = bind_as(x, XDP_ZEROCOPY | XDP_USE_SG);
        x->gather = rc == 0;
        if (rc && rc != -EBUSY && !parts)
            rc = bind_as(x, XDP_ZEROCOPY);
        x->zerocopy = rc == 0;
        if (rc && rc != -EBUSY)
            backend_lesser(b, -rc, "zero-copy",
                           "nothing to do on this driver; one with AF_XDP zero-copy avoids it",
                           "the kernel copies each frame: the driver of %s has no AF_XDP zero-copy",
                           b->opt.frames.device);
    }
    if (rc && rc != -EBUSY)
        rc = bind_as(x, XDP_COPY | parts);
    if ((rc == -EINVAL || rc == -EOPNOTSUPP) && parts) {
        without_parts(b, x);
        rc = bind_as(x, XDP_COPY);
    }
    return rc;
}

/* Refused to whoever may not take the processor away from others. */
static void ask_busy_poll(struct backend *b, struct xdp *x)
{
    const int on = 1, us = BUSY_POLL_US, budget = BUSY_POLL_BUDGET;
    if (!b->opt.busy_poll)
        return;
    x->busy_poll = setsockopt(x->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof on) == 0 &&
                   setsockopt(x->fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof us) == 0 &&
                   setsockopt(x->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof budget) == 0;
    if (!x->busy_poll)
        backend_lesser(b, -errno, "busy polling", "run as root; kernel 5.11 has it",
                       "not granted: %s", strerror(errno));
}

static void ask_tx_budget(struct xdp *x)
{
    const int asked = TX_BUDGET_ASKED;
    x->tx_budget = TX_BUDGET;
    if (setsockopt(x->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &asked, sizeof asked) == 0)
        x->tx_budget = TX_BUDGET_ASKED;
}

int xdp_socket_open(struct backend *b, struct xdp *x, struct weir_why *why)
{
    const char *what = "socket";
    int rc = 0;
    x->bufs = pool_buf(b->pool, WEIR_SMALL, 0);
    x->umem = x->bufs->base;
    x->umem_bytes = (uint64_t)b->opt.pool.small * pool_small_bytes(b->pool);
    x->lent = max_of(min_of(XDP_RING, b->opt.pool.small / 2), 1u);
    x->chunk_shift = (uint32_t)__builtin_ctz(pool_small_bytes(b->pool));
    x->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (x->fd < 0)
        rc = -errno;
    if (rc == 0)
        what = "memory", rc = register_memory(b, x);
    if (rc == 0)
        what = "rings", rc = size_rings(x);
    if (rc == 0)
        what = "rings", rc = map_rings(x);
    if (rc == 0)
        what = "queue", rc = bind_best(b, x);
    if (rc)
        return refuse(why, rc, what);
    ask_busy_poll(b, x);
    ask_tx_budget(x);
    return 0;
}

/* Closed, the kernel neither receives into our memory nor sends from it (a copy was made, or the
 * driver has stopped); and whoever else sends is closed before us. So what is still in state
 * BACKEND or TX is what the rings had. */
static void take_all_home(struct backend *b, struct xdp *x)
{
    for (uint32_t i = 0; i < b->opt.pool.small; i++) {
        struct weir_buf *buf = &x->bufs[i];
        if (buf->state == WEIR_BACKEND) {
            buf_from_backend(buf);
            weir_buf_drop(&buf, 1);
        }
        while (buf->state == WEIR_TX)
            buf_tx_done(buf);
    }
}

void xdp_socket_close(struct backend *b, struct xdp *x)
{
    struct xdp_ring *rings[] = {&x->fill, &x->done, &x->rx, &x->tx};
    weir_buf_drop(x->part, x->parts);
    x->parts = 0;
    for (unsigned i = 0; i < array_len(rings); i++)
        if (rings[i]->map)
            munmap(rings[i]->map, rings[i]->map_bytes);
    if (x->fd >= 0)
        close(x->fd);
    x->fd = -1;
    if (x->bufs)
        take_all_home(b, x);
}

void xdp_socket_stats(struct backend *b, struct xdp *x)
{
    struct xdp_statistics s = {0};
    socklen_t len = sizeof s;
    COUNT(&b->counters, syscalls, 1);
    if (getsockopt(x->fd, SOL_XDP, XDP_STATISTICS, &s, &len))
        return;
    /* rx_fill_ring_empty_descs counts again what rx_dropped has */
    COUNT(&b->counters, rx_ring_full,
          s.rx_dropped - x->stats.rx_dropped + s.rx_ring_full - x->stats.rx_ring_full);
    COUNT(&b->counters, rx_device_errors, s.rx_invalid_descs - x->stats.rx_invalid_descs);
    COUNT(&b->counters, tx_device_errors, s.tx_invalid_descs - x->stats.tx_invalid_descs);
    x->stats = s;
}

void xdp_socket_tell(const struct xdp *x, void (*line)(const char *name, uint64_t value, void *),
                     void *arg)
{
    struct xdp_statistics s = {0};
    socklen_t len = sizeof s;
    if (getsockopt(x->fd, SOL_XDP, XDP_STATISTICS, &s, &len))
        return;
    line("xdp rx_dropped", s.rx_dropped, arg);
    line("xdp rx_invalid_descs", s.rx_invalid_descs, arg);
    line("xdp tx_invalid_descs", s.tx_invalid_descs, arg);
    line("xdp rx_ring_full", s.rx_ring_full, arg);
    line("xdp rx_fill_ring_empty_descs", s.rx_fill_ring_empty_descs, arg);
    line("xdp tx_ring_empty_descs", s.tx_ring_empty_descs, arg);
}
