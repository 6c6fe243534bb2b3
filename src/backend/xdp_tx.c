/* SPDX-License-Identifier: MIT
 * Frames out, from where they lie: a small slot of the pool is a UMEM chunk. What lies elsewhere (a
 * big slot, a run, a view, another worker's pool) is copied into small slots first, counted.
 *
 *     frame, state TX -> tx ring -> kernel -> done ring -> home
 *
 * Every descriptor holds one tx reference of the buffer whose chunk it names, and its completion
 * gives it up. In copy mode the kernel sends inside of sendto; else the driver is woken where it
 * asks for it. */
#include "backend/xdp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define REAP 64u

/* ---- home ----------------------------------------------------------------------------------- */

static void reap(struct xdp *x)
{
    struct weir_buf *bufs[REAP];
    uint32_t n;
    while ((n = ring_ready(&x->done, REAP))) {
        for (uint32_t i = 0; i < n; i++)
            bufs[i] = &x->bufs[*ring_address(&x->done, x->done.own + i) >> x->chunk_shift];
        x->done.own += n;
        ring_consumed(&x->done);
        buf_tx_done_many(bufs, n);
    }
}

unsigned xdp_tx_room(struct backend *b, unsigned n)
{
    struct xdp *x = xdp_of(b);
    reap(x);
    if (unlikely(x->link_err))
        return n; /* tx drops: what waited for a link that is gone would be stale */
    return ring_room(&x->tx, n * x->tx_parts) / x->tx_parts;
}

/* ---- out ------------------------------------------------------------------------------------ */

/* The kernel can send it from where it lies: all of it, with what it reads in front, in one chunk. */
static bool in_umem(const struct backend *b, const struct xdp *x, const struct weir_buf *buf)
{
    return likely(buf->section == WEIR_SMALL && buf->pool == b->pool &&
                  buf->data >= buf->base + x->tx_front);
}

static void put(struct xdp *x, const uint8_t *data, uint32_t len, uint32_t options)
{
    *ring_desc(&x->tx, x->tx.own++) =
        (struct xdp_desc){.addr = (uint64_t)(data - x->umem), .len = len, .options = options};
}

/* In front of the frame: the device is to complete its checksum. */
static uint32_t request(uint8_t *data, const struct tx_frame *frame)
{
    const struct tx_request request = {.flags = XDP_TXMD_FLAGS_CHECKSUM,
                                       .csum_start = frame->csum_start,
                                       .csum_offset = frame->csum_offset};
    memcpy(data - sizeof request, &request, sizeof request);
    return XDP_TX_METADATA;
}

static void drop(const struct tx_frame *frame)
{
    buf_tx_done(frame->buf);
    if (frame->body)
        buf_tx_done(frame->body);
}

/* Bytes at .. of the two together. */
static void copy_range(const struct tx_frame *frame, uint32_t at, uint8_t *to, uint32_t bytes)
{
    const uint32_t head = frame->buf->len;
    uint32_t first = at < head ? min_of(bytes, head - at) : 0;
    memcpy(to, frame->buf->data + at, first);
    if (bytes > first)
        memcpy(to + first, frame->body->data + (at + first - head), bytes - first);
}

/* Into chunks of our own, each as full as may be. False: too few buffers, or more chunks than one
 * where a frame must be in one. */
static noinline bool put_copy(struct backend *b, struct xdp *x, const struct tx_frame *frame)
{
    struct weir_buf *own[XDP_PARTS_MAX];
    const uint32_t most = pool_small_bytes(b->pool) - pool_headroom(b->pool);
    const uint32_t bytes = frame->bytes, parts = (bytes + most - 1) / most;
    unsigned got = parts <= x->tx_parts ? pool_take(b->pool, WEIR_SMALL, own, parts) : 0;
    if (got < parts) {
        weir_buf_drop(own, got);
        COUNT(&b->counters, pool_empty, parts <= x->tx_parts);
        return false;
    }
    uint32_t options = 0;
    for (uint32_t i = 0, at = 0; i < parts; i++, at += most) {
        own[i]->len = min_of(most, bytes - at);
        copy_range(frame, at, own[i]->data, own[i]->len);
        options = i == 0 && frame->csum_start ? request(own[i]->data, frame) : 0;
        put(x, own[i]->data, own[i]->len, options | (i + 1 < parts ? XDP_PKT_CONTD : 0));
        buf_to_tx(own[i]);
    }
    COUNT(&b->counters, copies, 1);
    COUNT(&b->counters, copied_bytes, bytes);
    drop(frame);
    return true;
}

static bool put_frame(struct backend *b, struct xdp *x, const struct tx_frame *frame)
{
    struct weir_buf *buf = frame->buf, *body = frame->body;
    if (unlikely(!in_umem(b, x, buf) || (body && (!x->gather || !in_umem(b, x, body)))))
        return put_copy(b, x, frame);
    uint32_t options = unlikely(frame->csum_start) ? request(buf->data, frame) : 0;
    put(x, buf->data, buf->len, options | (body ? XDP_PKT_CONTD : 0));
    if (body)
        put(x, body->data, body->len, 0);
    return true;
}

/* The link is down: nobody will send these. */
static void drop_all(struct backend *b, const struct tx_frame *frames, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        drop(&frames[i]);
    COUNT(&b->counters, tx_device_errors, n);
}

void xdp_tx(struct backend *b, const struct tx_frame *frames, unsigned n)
{
    struct xdp *x = xdp_of(b);
    uint64_t bytes = 0;
    if (unlikely(x->link_err)) {
        drop_all(b, frames, n);
        return;
    }
    unsigned sent = 0;
    for (unsigned i = 0; i < n; i++) {
        if (unlikely(!put_frame(b, x, &frames[i]))) {
            drop(&frames[i]);
            COUNT(&b->counters, tx_ring_full, 1);
            continue;
        }
        bytes += frames[i].bytes;
        sent++;
    }
    ring_produced(&x->tx);
    x->tx_waits = true;
    if (!x->zerocopy) { /* from our memory into the kernel's */
        COUNT(&b->counters, copies, sent);
        COUNT(&b->counters, copied_bytes, bytes);
    }
}

/* ---- making it leave ------------------------------------------------------------------------ */

static int kick(struct backend *b, struct xdp *x)
{
    int rc = sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ? -errno : 0;
    COUNT(&b->counters, syscalls, 1);
    COUNT(&b->counters, tx_calls, 1);
    return rc;
}

/* Copying, sendto takes only so many; it is over when one took none. */
static void send_copies(struct backend *b, struct xdp *x)
{
    uint32_t left = x->tx.own - __atomic_load_n(x->tx.consumer, __ATOMIC_ACQUIRE);
    while (left) {
        kick(b, x);
        x->tx.theirs = __atomic_load_n(x->tx.consumer, __ATOMIC_ACQUIRE);
        if (x->tx.own - x->tx.theirs >= left)
            break;
        left = x->tx.own - x->tx.theirs;
    }
    x->tx_waits = left;
}

void xdp_submit(struct backend *b)
{
    struct xdp *x = xdp_of(b);
    reap(x); /* also when nothing is sent any more: what was sent is somebody's */
    if (!x->tx_waits || x->link_err)
        return;
    if (!x->zerocopy) {
        send_copies(b, x);
        return;
    }
    if (ring_needs_wakeup(&x->tx))
        kick(b, x); /* refused, it is repeated: the driver has not looked */
    else
        COUNT(&b->counters, tx_calls, x->tx_told != x->tx.own);
    x->tx_told = x->tx.own;
    x->tx_waits = x->tx.own != __atomic_load_n(x->tx.consumer, __ATOMIC_ACQUIRE);
}
