/* SPDX-License-Identifier: MIT
 * What one receive of a datagram socket brought: a datagram, or several that UDP GRO merged.
 *
 * The merged ones are told as views of the one buffer, as far as the poll has room; the rest
 * waits, in order, for the next poll. Every backend that gets merged receives tells them here.
 * Source: udp(7), UDP_GRO. */
#include "backend.h"

#define VIEWS 64u /* of one cut: a usual merged receive whole */

static void count_rx(struct backend *b, unsigned packets, uint64_t bytes)
{
    COUNT(&b->counters, rx_packets, packets);
    COUNT(&b->counters, rx_bytes, bytes);
    COUNT(&b->counters, copies, packets); /* the kernel's, out of its socket buffer */
    COUNT(&b->counters, copied_bytes, bytes);
}

/* The next views, as far as there is room. False: no view header is free. */
static bool cut(struct backend *b, struct endpoint *ep, struct received *r)
{
    struct weir_buf *views[VIEWS];
    unsigned room = min_of(b->max_events - b->n_events, VIEWS);
    uint32_t left = r->buf->len - r->done;
    unsigned n = buf_views(r->buf, r->buf->data + r->done, left, r->segment, views, room);
    if (n == 0) {
        COUNT(&b->counters, pool_empty, 1);
        b->starved = true;
        return false;
    }
    uint32_t bytes = min_of(left, n * r->segment);
    for (unsigned i = 0; i < n; i++)
        backend_emit(b, ep, WEIR_DATAGRAM, views[i]);
    count_rx(b, n, bytes);
    r->done += bytes;
    return true;
}

static bool tell_merged(struct backend *b, struct endpoint *ep, struct received *r)
{
    while (r->done < r->buf->len && backend_room(b))
        if (!cut(b, ep, r))
            return false;
    return r->done >= r->buf->len;
}

bool received_tell(struct backend *b, struct received *r)
{
    struct endpoint *ep = endpoint_get(b, r->handle);
    bool merged = r->segment && r->segment < r->buf->len;
    if (ep && merged && !tell_merged(b, ep, r))
        return false;
    if (ep && !merged) {
        if (!backend_room(b))
            return false;
        count_rx(b, 1, r->buf->len);
        backend_emit(b, ep, WEIR_DATAGRAM, r->buf);
    } else {
        weir_buf_drop(&r->buf, 1); /* the views hold it; or its endpoint was closed */
    }
    r->buf = NULL;
    return true;
}
