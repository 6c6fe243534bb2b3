/* SPDX-License-Identifier: MIT
 * AF_XDP by raw system calls (Documentation/networking/af_xdp.rst). Copy mode, because veth
 * refuses zero-copy.
 *
 *     fill: frames for the kernel to receive into   rx: received   tx: to send   done: were sent
 *
 * Each ring has one producer and one consumer. An index is stored with release after the slots
 * it covers were written (or read), and loaded with acquire before they are read (or written);
 * its partner is the kernel's smp_load_acquire and smp_store_release of the same index
 * (net/xdp/xsk_queue.h). */
#include "xsk.h"

#include "base/base.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BIND_TRIES                                                                                 \
    50 /* of 10 ms: a closed predecessor's queue is freed behind an RCU grace period */

static int refuse(struct weir_why *why, int err, const char *what)
{
    return why_set(why, err, "AF_XDP", err == -EPERM ? "run as root" : NULL, "%s: %s", what,
                   strerror(-err));
}

static uint32_t load_theirs(const uint32_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void store_own(uint32_t *at, uint32_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static int map_ring(int fd, struct xsk_ring *r, const struct xdp_ring_offset *off, uint64_t page,
                    size_t slot_bytes)
{
    size_t bytes = off->desc + XSK_RING * slot_bytes;
    uint8_t *map =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)page);

    if (map == MAP_FAILED)
        return -errno;
    *r = (struct xsk_ring){.producer = (uint32_t *)(void *)(map + off->producer),
                           .consumer = (uint32_t *)(void *)(map + off->consumer),
                           .flags = (uint32_t *)(void *)(map + off->flags),
                           .slots = map + off->desc,
                           .map = map,
                           .map_bytes = bytes};
    return 0;
}

static int map_rings(struct xsk *x)
{
    struct xdp_mmap_offsets off;
    socklen_t len = sizeof off;
    int err;

    if (getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len) < 0)
        return -errno;
    err = map_ring(x->fd, &x->fill, &off.fr, XDP_UMEM_PGOFF_FILL_RING, sizeof(uint64_t));
    if (!err)
        err = map_ring(x->fd, &x->done, &off.cr, XDP_UMEM_PGOFF_COMPLETION_RING, sizeof(uint64_t));
    if (!err)
        err = map_ring(x->fd, &x->rx, &off.rx, XDP_PGOFF_RX_RING, sizeof(struct xdp_desc));
    if (!err)
        err = map_ring(x->fd, &x->tx, &off.tx, XDP_PGOFF_TX_RING, sizeof(struct xdp_desc));
    return err;
}

static int register_memory(struct xsk *x)
{
    static const int rings[] = {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING,
                                XDP_TX_RING};
    const size_t bytes = (size_t)x->frames * x->frame_bytes;
    struct xdp_umem_reg reg = {.len = bytes, .chunk_size = x->frame_bytes};
    const int entries = XSK_RING;
    void *umem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (umem == MAP_FAILED)
        return -errno;
    x->umem = umem;
    reg.addr = (uintptr_t)umem;
    if (setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg) < 0)
        return -errno;
    for (unsigned i = 0; i < array_len(rings); i++)
        if (setsockopt(x->fd, SOL_XDP, rings[i], &entries, sizeof entries) < 0)
            return -errno;
    return 0;
}

static int bind_queue(struct xsk *x, int ifindex, uint32_t queue)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    const struct sockaddr_xdp to = {.sxdp_family = AF_XDP,
                                    .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
                                    .sxdp_ifindex = (uint32_t)ifindex,
                                    .sxdp_queue_id = queue};

    for (int i = 0; i < BIND_TRIES; i++) {
        if (bind(x->fd, (const struct sockaddr *)&to, sizeof to) == 0)
            return 0;
        if (errno != EBUSY)
            return -errno;
        nanosleep(&pause, NULL);
    }
    return -EBUSY;
}

int xsk_open(struct xsk *x, int ifindex, uint32_t queue, uint32_t frames, uint32_t frame_bytes,
             struct weir_why *why)
{
    const char *what = "socket";
    int err = 0;

    *x = (struct xsk){.frames = frames, .frame_bytes = frame_bytes};
    x->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (x->fd < 0)
        err = -errno;
    if (!err)
        what = "memory", err = register_memory(x);
    if (!err)
        what = "rings", err = map_rings(x);
    if (!err)
        what = "bind", err = bind_queue(x, ifindex, queue);
    if (!err)
        return 0;
    xsk_close(x);
    return refuse(why, err, what);
}

void xsk_close(struct xsk *x)
{
    struct xsk_ring *rings[] = {&x->fill, &x->done, &x->rx, &x->tx};

    for (unsigned i = 0; i < array_len(rings); i++)
        if (rings[i]->map)
            munmap(rings[i]->map, rings[i]->map_bytes);
    if (x->fd >= 0)
        close(x->fd);
    if (x->umem)
        munmap(x->umem, (size_t)x->frames * x->frame_bytes);
    *x = (struct xsk){.fd = -1};
}

/* How many slots of a ring that we produce are free; own counts what was put, submitted or not. */
static uint32_t room(struct xsk_ring *r, uint32_t n)
{
    if (XSK_RING - (r->own - r->theirs) < n)
        r->theirs = load_theirs(r->consumer);
    return min_of(n, XSK_RING - (r->own - r->theirs));
}

/* How many slots of a ring that we consume are ready. */
static uint32_t ready(struct xsk_ring *r, uint32_t n)
{
    if (r->theirs - r->own < n)
        r->theirs = load_theirs(r->producer);
    return min_of(n, r->theirs - r->own);
}

uint32_t xsk_tx_room(struct xsk *x, uint32_t n)
{
    return room(&x->tx, n);
}

void xsk_tx_put(struct xsk *x, uint64_t address, uint32_t len)
{
    struct xdp_desc *slots = x->tx.slots;

    slots[x->tx.own++ & (XSK_RING - 1)] = (struct xdp_desc){.addr = address, .len = len};
}

void xsk_tx_submit(struct xsk *x)
{
    store_own(x->tx.producer, x->tx.own);
}

bool xsk_tx_waits(struct xsk *x)
{
    x->tx.theirs = load_theirs(x->tx.consumer);
    return x->tx.theirs != x->tx.own;
}

int xsk_tx_kick(struct xsk *x)
{
    return sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ? -errno : 0;
}

uint32_t xsk_done(struct xsk *x, uint64_t *ret, uint32_t n)
{
    const uint64_t *slots = x->done.slots;
    uint32_t got = ready(&x->done, n);

    for (uint32_t i = 0; ret && i < got; i++)
        ret[i] = slots[(x->done.own + i) & (XSK_RING - 1)];
    x->done.own += got;
    store_own(x->done.consumer, x->done.own);
    return got;
}

void xsk_fill(struct xsk *x, uint64_t address)
{
    uint64_t *slots = x->fill.slots;

    slots[x->fill.own++ & (XSK_RING - 1)] = address;
}

void xsk_fill_submit(struct xsk *x)
{
    store_own(x->fill.producer, x->fill.own);
}

uint32_t xsk_receive(struct xsk *x, struct xdp_desc *ret, uint32_t n)
{
    const struct xdp_desc *slots = x->rx.slots;
    uint32_t got = ready(&x->rx, n);

    for (uint32_t i = 0; i < got; i++)
        ret[i] = slots[(x->rx.own + i) & (XSK_RING - 1)];
    x->rx.own += got;
    store_own(x->rx.consumer, x->rx.own);
    return got;
}

uint64_t xsk_dropped(const struct xsk *x)
{
    struct xdp_statistics s = {0};
    socklen_t len = sizeof s;

    getsockopt(x->fd, SOL_XDP, XDP_STATISTICS, &s, &len);
    return s.rx_dropped + s.rx_ring_full; /* rx_fill_ring_empty_descs counts rx_dropped's again */
}
