/* SPDX-License-Identifier: MIT
 * Frames in: descriptors of the rx ring are buffers that were posted to the fill ring.
 *
 *     pool -post-> fill ring -> kernel -> rx ring -> frame, state APP
 *
 * Frames of one descriptor pass as they lie. One in several is put together in a buffer that is
 * large enough, because the stack reads straight on; counted as `linearized` and as a copy.
 * Invariant: x->posted buffers are in state BACKEND, at most x->lent of them. */
#include "backend/xdp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define AHEAD 6u /* frames that are fetched in advance: about what a core has line buffers for */
#define POST_MIN 64u /* buffers that are posted together: the ring's index is shared */

static inline uint32_t together(const struct xdp *x)
{
    return min_of(POST_MIN, (x->lent + 1) / 2);
}

void xdp_post(struct backend *b, struct xdp *x)
{
    struct weir_buf *bufs[POST_MIN];
    const uint32_t some = together(x);
    for (uint32_t want = x->lent - x->posted; want >= some; want -= some) {
        unsigned got = pool_take(b->pool, WEIR_SMALL, bufs, some);
        for (unsigned i = 0; i < got; i++) {
            buf_to_backend(bufs[i]);
            *ring_address(&x->fill, x->fill.own++) = (uint64_t)bufs[i]->slot << x->chunk_shift;
        }
        x->posted += got;
        if (got < some) {
            COUNT(&b->counters, pool_empty, 1);
            break;
        }
    }
    ring_produced(&x->fill);
}

static struct weir_buf *received(struct xdp *x, const struct xdp_desc *desc)
{
    struct weir_buf *buf = &x->bufs[desc->addr >> x->chunk_shift];
    buf_from_backend(buf);
    buf->data = x->umem + desc->addr;
    buf->len = desc->len;
    return buf;
}

/* What the program put in front of the frame. */
static void describe(struct xdp *x, struct weir_buf *buf)
{
    struct frame_meta *ret = frame_meta(buf);
    struct xdp_meta told;
    *ret = (struct frame_meta){0};
    if (!x->meta)
        return;
    memcpy(&told, buf->data - sizeof told, sizeof told);
    if (told.flags & XDP_META_HASH) {
        ret->hash = told.hash;
        ret->flags = FRAME_HASH;
    }
    if (told.flags & XDP_META_TIME && x->clock.fd >= 0) {
        ret->rx_ns = told.time_ns + x->clock.offset;
        ret->flags |= FRAME_TIME;
    }
}

/* The parts in one buffer; NULL: there is none so large. */
static struct weir_buf *put_together(struct backend *b, struct xdp *x)
{
    struct weir_buf *whole = weir_buf_take_bytes(b->pool, x->parts_bytes);
    if (!whole) {
        COUNT(&b->counters, pool_empty, 1);
        COUNT(&b->counters, rx_ring_full, 1);
        return NULL;
    }
    for (unsigned i = 0; i < x->parts; i++) {
        memcpy(whole->data + whole->len, x->part[i]->data, x->part[i]->len);
        whole->len += x->part[i]->len;
    }
    *frame_meta(whole) = *frame_meta(x->part[0]);
    COUNT(&b->counters, linearized, 1);
    COUNT(&b->counters, copies, 1);
    COUNT(&b->counters, copied_bytes, whole->len);
    return whole;
}

/* One part more. The frame when it was the last and all is well, else NULL. */
static noinline struct weir_buf *gather(struct backend *b, struct xdp *x, struct weir_buf *buf,
                                        bool last)
{
    struct weir_buf *whole = NULL;
    bool fits = x->parts < XDP_PARTS_MAX;
    x->parts_bytes = (x->parts ? x->parts_bytes : 0) + buf->len;
    if (fits)
        x->part[x->parts++] = buf;
    else
        weir_buf_drop(&buf, 1);
    if (!last)
        return NULL;
    if (fits)
        whole = put_together(b, x);
    else
        COUNT(&b->counters, rx_truncated, 1);
    weir_buf_drop(x->part, x->parts);
    x->parts = 0;
    return whole;
}

/* What is about to be received: its header, and the frame, which another core wrote. Beyond the ring's
 * end it is an older frame's address, which does no harm. */
static inline void prefetch(const struct xdp *x, const struct xdp_desc *desc)
{
    __builtin_prefetch(&x->bufs[desc->addr >> x->chunk_shift], 1);
    __builtin_prefetch(x->umem + desc->addr);
}

static unsigned harvest(struct backend *b, struct xdp *x, struct weir_buf **ret, uint32_t n)
{
    unsigned got = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct xdp_desc *desc = ring_desc(&x->rx, x->rx.own + i);
        prefetch(x, ring_desc(&x->rx, x->rx.own + i + AHEAD));
        bool more = desc->options & XDP_PKT_CONTD;
        struct weir_buf *buf = received(x, desc);
        bytes += buf->len;
        if (!x->parts)
            describe(x, buf);
        if (unlikely(more || x->parts))
            buf = gather(b, x, buf, !more);
        if (likely(buf))
            ret[got++] = buf;
    }
    x->rx.own += n;
    x->posted -= n;
    ring_consumed(&x->rx);
    if (!x->zerocopy) { /* from the driver's memory into ours */
        COUNT(&b->counters, copies, n);
        COUNT(&b->counters, copied_bytes, bytes);
    }
    return got;
}

/* Only a driver without copies waits for this, or one that we poll ourselves. */
static void wake_driver(struct backend *b, struct xdp *x)
{
    recvfrom(x->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
    COUNT(&b->counters, syscalls, 1);
}

/* With the first frames the kernel knows which NAPI brings them. A device without a number (veth has
 * none) cannot be polled by us, and asking would be a system call a poll for nothing. */
static noinline void look_for_napi(struct backend *b, struct xdp *x)
{
    unsigned id = 0;
    socklen_t bytes = sizeof id;
    x->napi_known = true;
    if (getsockopt(x->fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &id, &bytes) == 0 && id > 0)
        return;
    x->busy_poll = false;
    backend_lesser(b, -EOPNOTSUPP, "busy polling", "nothing to do: its frames come by themselves",
                   "the device's receive queue has no NAPI number to poll by");
}

unsigned xdp_rx(struct backend *b, struct weir_buf **ret, unsigned n)
{
    struct xdp *x = xdp_of(b);
    uint32_t ready = ring_ready(&x->rx, n);
    if (ready == 0 && x->busy_poll) {
        wake_driver(b, x);
        ready = ring_ready(&x->rx, n);
    }
    unsigned got = ready ? harvest(b, x, ret, ready) : 0;
    if (unlikely(got && x->busy_poll && !x->napi_known))
        look_for_napi(b, x);
    if (x->lent - x->posted >= together(x))
        xdp_post(b, x);
    if (unlikely(x->zerocopy && ring_needs_wakeup(&x->fill)))
        wake_driver(b, x);
    return got;
}
