/* SPDX-License-Identifier: MIT
 * The received bytes of a stream: one buffer, ep->rx, which holds all that was not consumed.
 *
 * Readiness backends read behind what is there (stream_room, stream_landed: no copy); completion
 * backends bring filled slots, of which the first becomes ep->rx and later ones are merged into it
 * (stream_adopt: a counted copy). It grows small -> big -> run of neighbours while the application
 * leaves bytes unconsumed, up to rx_max. While a handler borrows it (WEIR_BUF_BORROWED) nothing
 * lands. */
#include "backend.h"

#include <errno.h>
#include <string.h>

#define ROOM_LOW 256u /* below this much tailroom a read is not worth its call: make room first */

static uint32_t unconsumed(const struct endpoint *ep)
{
    return ep->rx ? ep->rx->len : 0;
}

static void count_copy(struct backend *b, size_t bytes)
{
    COUNT(&b->counters, copies, 1);
    COUNT(&b->counters, copied_bytes, bytes);
}

/* Streams leave a burst of big slots for datagrams: however many of them stand full, a datagram
 * is still received. Small buffers and runs are theirs. */
static bool spare(const struct backend *b, size_t bytes)
{
    size_t small = pool_small_bytes(b->pool) - pool_headroom(b->pool);
    return bytes <= small || bytes > WEIR_BIG_BYTES || pool_free(b->pool, WEIR_BIG) > b->opt.burst;
}

/* The unconsumed bytes move into a buffer with room for `bytes` in all. */
static bool grow(struct backend *b, struct endpoint *ep, size_t bytes)
{
    struct weir_buf *old = ep->rx,
                    *wide = spare(b, bytes) ? weir_buf_take_bytes(b->pool, bytes) : NULL;
    if (!wide)
        return false;
    if (old) {
        memcpy(wide->data, old->data, old->len);
        wide->len = old->len;
        if (old->len)
            count_copy(b, old->len);
        weir_buf_drop(&old, 1);
    }
    ep->rx = wide;
    return true;
}

static bool starve(struct backend *b)
{
    COUNT(&b->counters, pool_empty, 1);
    b->starved = true;
    return false;
}

/* Bytes that were consumed leave a gap in front: close it when that is cheaper than a new buffer.
 * */
static bool compact(struct backend *b, struct weir_buf *rx)
{
    uint32_t front = (uint32_t)(rx->data - rx->base), keep = pool_headroom(b->pool);
    if (front <= keep || front - keep < rx->len)
        return false;
    memmove(rx->base + keep, rx->data, rx->len);
    rx->data = rx->base + keep;
    if (rx->len)
        count_copy(b, rx->len);
    return true;
}

/* A bulk stream's next bytes go into a big slot where there is one, any stream's into a small
 * one. */
static bool begin(struct backend *b, struct endpoint *ep)
{
    uint32_t small = pool_small_bytes(b->pool) - pool_headroom(b->pool);
    if (ep->flags & EP_BULK && grow(b, ep, b->opt.rx_max))
        return true;
    ep->flags &= ~EP_BULK;
    return grow(b, ep, min_of(small, b->opt.rx_max));
}

static bool make_room(struct backend *b, struct endpoint *ep)
{
    if (!ep->rx)
        return begin(b, ep) || starve(b);
    uint32_t tail = weir_buf_tailroom(ep->rx);
    if (tail >= ROOM_LOW || compact(b, ep->rx))
        return true;
    if (tail && ep->rx->len + tail >= b->opt.rx_max)
        return true; /* the largest already */
    return grow(b, ep, b->opt.rx_max) || starve(b);
}

static void stop(struct backend *b, struct endpoint *ep)
{
    if (ep->flags & EP_RX_STOPPED)
        return;
    ep->flags |= EP_RX_STOPPED;
    COUNT(&b->counters, rx_stopped, 1);
}

size_t stream_room(struct backend *b, struct endpoint *ep, uint8_t **to)
{
    if (unconsumed(ep) >= b->opt.rx_max) {
        stop(b, ep);
        return 0;
    }
    if (!make_room(b, ep))
        return 0;
    struct weir_buf *rx = ep->rx;
    *to = rx->data + rx->len;
    return min_of(weir_buf_tailroom(rx), b->opt.rx_max - rx->len);
}

void stream_landed(struct backend *b, struct endpoint *ep, size_t n)
{
    COUNT(&b->counters, stream_reads, 1);
    if (n == 0) { /* nothing came: an empty buffer is not worth holding */
        if (ep->rx && !ep->rx->len) {
            weir_buf_drop(&ep->rx, 1);
            ep->rx = NULL;
        }
        return;
    }
    if (n == weir_buf_tailroom(ep->rx))
        ep->flags |= EP_BULK;
    else if (n < pool_small_bytes(b->pool) / 2)
        ep->flags &= ~EP_BULK;
    ep->rx->len += (uint32_t)n;
    COUNT(&b->counters, rx_bytes, n);
    endpoint_owe(b, ep, EP_DATA_OWED);
}

/* Room behind ep->rx for `n` bytes that are already here, beyond rx_max if must be. */
static bool room_for(struct backend *b, struct endpoint *ep, size_t n)
{
    if (ep->rx && weir_buf_tailroom(ep->rx) >= n)
        return true;
    if (ep->rx && compact(b, ep->rx) && weir_buf_tailroom(ep->rx) >= n)
        return true;
    size_t bytes = unconsumed(ep) + n;
    size_t ample = ep->rx ? min_of(2 * bytes, (size_t)b->opt.rx_max) : bytes;
    return grow(b, ep, max_of(bytes, ample)) || starve(b);
}

bool stream_append(struct backend *b, struct endpoint *ep, const void *from, size_t n)
{
    if (!room_for(b, ep, n))
        return false;
    memcpy(ep->rx->data + ep->rx->len, from, n);
    stream_landed(b, ep, n);
    if (unconsumed(ep) >= b->opt.rx_max)
        stop(b, ep);
    return true;
}

/* How many of `n` bytes that are already here may be merged now: as many as rx_max and the room
 * allow. A whole slot need not fit: what is left of it waits for the application to consume. */
static uint32_t mergeable(struct backend *b, struct endpoint *ep, uint32_t n)
{
    if (unconsumed(ep) >= b->opt.rx_max) {
        stop(b, ep);
        return 0;
    }
    n = min_of(n, b->opt.rx_max - unconsumed(ep));
    if (weir_buf_tailroom(ep->rx) < n)
        compact(b, ep->rx);
    if (weir_buf_tailroom(ep->rx) < n)
        grow(b, ep, min_of(2 * (unconsumed(ep) + n), b->opt.rx_max));
    return min_of(n, weir_buf_tailroom(ep->rx));
}

static bool merge(struct backend *b, struct endpoint *ep, struct weir_buf *buf)
{
    uint32_t n = mergeable(b, ep, buf->len);
    if (n == 0)
        return ep->flags & EP_RX_STOPPED ? false : starve(b);
    memcpy(ep->rx->data + ep->rx->len, buf->data, n);
    stream_landed(b, ep, n);
    if (unconsumed(ep) >= b->opt.rx_max)
        stop(b, ep);
    COUNT(&b->counters, merged, 1);
    count_copy(b, n);
    buf->data += n;
    buf->len -= n;
    if (buf->len)
        return false;
    weir_buf_drop(&buf, 1);
    return true;
}

bool stream_adopt(struct backend *b, struct endpoint *ep, struct weir_buf *buf)
{
    if (ep->rx)
        return merge(b, ep, buf);
    ep->rx = buf;
    COUNT(&b->counters, stream_reads, 1);
    COUNT(&b->counters, rx_bytes, buf->len);
    endpoint_owe(b, ep, EP_DATA_OWED);
    if (buf->len >= b->opt.rx_max)
        stop(b, ep);
    return true;
}

void stream_eof(struct backend *b, struct endpoint *ep)
{
    if (ep->flags & EP_PEER_EOF)
        return;
    if (ep->flags & EP_TX_FAILED) {
        endpoint_fail(b, ep, ep->err);
        return;
    }
    ep->flags |= EP_PEER_EOF;
    if (ep->state == EP_CLOSING && ep->flags & EP_DISCARD) {
        endpoint_end(b, ep);
        return;
    }
    endpoint_owe(b, ep, EP_EOF_OWED);
    if (ep->flags & EP_SHUT_DONE)
        endpoint_owe(b, ep, EP_CLOSED_OWED);
}

static void may_read_again(struct backend *b, struct endpoint *ep)
{
    if (!(ep->flags & EP_RX_STOPPED) || unconsumed(ep) >= b->opt.rx_max)
        return;
    ep->flags &= ~EP_RX_STOPPED;
    b->ops->resume(b, ep);
}

struct weir_buf *stream_lend(struct backend *b, struct endpoint *ep)
{
    (void)b;
    if (!unconsumed(ep))
        return NULL;
    ep->flags |= EP_LENT;
    ep->rx->flags |= WEIR_BUF_BORROWED;
    return ep->rx;
}

/* A buffer that was sent or kept is the application's: all of it counts as consumed. */
static bool was_taken(const struct weir_buf *buf)
{
    return !(buf->flags & WEIR_BUF_BORROWED) || buf->refs > 1;
}

void stream_returned(struct backend *b, struct endpoint *ep)
{
    struct weir_buf *buf = ep->rx;
    bool sent = !(buf->flags & WEIR_BUF_BORROWED);
    ep->flags &= ~EP_LENT;
    if (was_taken(buf) || buf->len == 0)
        ep->rx = NULL;
    if (!sent) {
        buf->flags &= (uint8_t)~WEIR_BUF_BORROWED;
        if (!ep->rx)
            weir_buf_drop(&buf, 1);
    }
    may_read_again(b, ep);
}

int stream_consume(struct backend *b, struct endpoint *ep, size_t bytes)
{
    if (bytes > unconsumed(ep))
        return -EINVAL;
    bool lent = ep->flags & EP_LENT;
    if (bytes == 0 || (lent && was_taken(ep->rx)))
        return 0;
    ep->rx->data += bytes;
    ep->rx->len -= (uint32_t)bytes;
    if (lent)
        return 0; /* stream_returned goes on */
    if (ep->rx->len == 0) {
        weir_buf_drop(&ep->rx, 1);
        ep->rx = NULL;
    }
    may_read_again(b, ep);
    return 0;
}
