/* SPDX-License-Identifier: MIT
 * Frames to mbufs, collected and sent.
 *
 *     tx_frame -> mbuf of its own buffer, or of a copy -> stage -> rte_eth_tx_burst
 *                 (+ body: an mbuf without memory, attached to the payload's)
 *
 * A stage goes to the device when a burst is full, when a poll left nothing more to receive, or
 * when its first frame has waited flush_ns. What the device has no room for stays and is offered
 * again, so the engine is told that there is no room; a device that takes nothing for STUCK_NS
 * (a peer that is gone) loses it. One that was removed, or whose interface is down, is not touched.
 *
 * Completion is the mbuf's way home: of a frame's own buffer into the mempool (dpdk_pool.c), of a
 * body by the callback below. A poll that sends nothing asks the device for it, ever more rarely
 * while it gives none. Source: DPDK's "Mbuf Library", rte_mbuf.h, rte_ethdev.h. */
#include "backend/dpdk.h"

#include <rte_ip.h>

#include <errno.h>
#include <string.h>

#define STUCK_NS 1000000u /* far more than a device with room takes, far less than a person sees */
#define REAP_NS 100000u   /* as long as a busy device leaves them; one call costs 1 us at most */
#define REAP_MAX_NS 10000000u /* a device that keeps the last few (a threshold) is asked rarely */
#define ETH_BYTES 14u         /* IEEE 802.3: two addresses and a type */
#define UDP_SUM_AT 6u         /* RFC 768: the checksum's place in the header */

/* ---- the stage ------------------------------------------------------------------------------ */

static unsigned drop_staged(struct dpdk *d)
{
    unsigned n = d->staged;
    rte_pktmbuf_free_bulk(d->stage, n);
    d->staged = 0;
    return n;
}

static inline bool removed(const struct dpdk *d)
{
    return atomic_load_explicit(&d->port->removed, memory_order_relaxed);
}

/* Offer all of it, a burst at a time, until the device takes less. */
static void flush(struct backend *b, struct dpdk *d)
{
    uint16_t sent = 0, want, took;
    if (unlikely(d->down || removed(d))) {
        COUNT(&b->counters, tx_device_errors, drop_staged(d));
        return;
    }
    if (unlikely(!atomic_load_explicit(&d->port->started, memory_order_acquire)))
        return;
    do {
        want = (uint16_t)min_of((unsigned)(d->staged - sent), DPDK_BURST);
        took = rte_eth_tx_burst(d->id, d->queue, d->stage + sent, want);
        COUNT(&b->counters, tx_calls, 1);
        sent = (uint16_t)(sent + took);
    } while (took == want && sent < d->staged);
    if (sent == 0)
        return;
    d->out = true;
    d->reap_gap_ns = REAP_NS;
    d->reap_ns = b->now_ns + (b->opt.spin ? REAP_NS : 0); /* else a sleep is near */
    d->took_ns = b->now_ns;
    d->staged = (uint16_t)(d->staged - sent);
    memmove(d->stage, d->stage + sent, d->staged * sizeof *d->stage);
}

/* Nothing is sent, and some drivers (net_af_xdp) look for what was only when something is. */
static void reap(struct backend *b, struct dpdk *d)
{
    if (unlikely(removed(d))) { /* what it has comes home when the port is closed */
        d->out = false;
        return;
    }
    if (!d->idle_reap && rte_eth_tx_done_cleanup(d->id, d->queue, 0) == -ENOTSUP)
        d->idle_reap = true;
    if (d->idle_reap)
        rte_eth_tx_burst(d->id, d->queue, d->stage, 0);
    d->out = pool_sent(d->pool) > 0;
    d->reap_gap_ns = min_of(2 * d->reap_gap_ns, (uint64_t)REAP_MAX_NS);
    d->reap_ns = b->now_ns + d->reap_gap_ns;
}

static void put(struct backend *b, struct dpdk *d, struct rte_mbuf *m)
{
    if (d->staged == 0)
        d->staged_ns = d->took_ns = b->now_ns;
    d->stage[d->staged++] = m;
    if (d->staged % DPDK_BURST == 0)
        flush(b, d);
}

unsigned dpdk_tx_room(struct backend *b, unsigned n)
{
    struct dpdk *d = b->priv;
    unsigned room = DPDK_STAGE - d->staged;
    if (unlikely(room < n && d->staged))
        flush(b, d);
    return min_of(n, DPDK_STAGE - d->staged);
}

void dpdk_submit(struct backend *b)
{
    struct dpdk *d = b->priv;
    if (unlikely(d->out && d->staged == 0 && b->now_ns >= d->reap_ns))
        reap(b, d);
    if (d->staged == 0)
        return;
    if (!b->more || b->now_ns >= d->staged_ns + d->flush_ns)
        flush(b, d);
    if (d->staged && b->now_ns > d->took_ns + STUCK_NS)
        COUNT(&b->counters, tx_ring_full, drop_staged(d));
}

uint64_t dpdk_next_ns(const struct backend *b)
{
    const struct dpdk *d = b->priv;
    if (d->staged)
        return b->now_ns + d->flush_ns;
    return d->out ? d->reap_ns : UINT64_MAX;
}

void dpdk_tx_close(struct dpdk *d)
{
    rte_pktmbuf_free_bulk(d->stage, d->staged);
    rte_pktmbuf_free_bulk(d->arrived, d->early);
    d->staged = d->early = 0;
}

/* ---- one frame ------------------------------------------------------------------------------ */

static inline void describe(struct rte_mbuf *m, uint16_t off, uint32_t len, uint32_t bytes)
{
    m->data_off = off;
    m->data_len = (uint16_t)len;
    m->pkt_len = bytes;
    m->ol_flags = 0;
}

/* A buffer that may be the mbuf itself: one of our small slots, in one transmission, nobody
 * else's. */
static inline bool plain(const struct dpdk *d, const struct weir_buf *buf)
{
    return buf->pool == d->pool && buf->section == WEIR_SMALL && buf->refs == 1 &&
           buf->tx_refs == 1;
}

/* An empty segment of our own, and how much it takes. */
static struct rte_mbuf *segment(struct dpdk *d, uint32_t *room)
{
    struct weir_buf *buf;
    if (!pool_take(d->pool, WEIR_SMALL, &buf, 1))
        return NULL;
    buf_to_tx(buf);
    struct rte_mbuf *m = dpdk_mbuf(buf);
    describe(m, (uint16_t)(buf->data - buf->base), 0, 0);
    *room = weir_buf_tailroom(buf);
    return m;
}

/* Append bytes to a chain, in further segments where the last one is full. */
static bool append(struct dpdk *d, struct rte_mbuf *head, const uint8_t *from, uint32_t len)
{
    struct rte_mbuf *last = rte_pktmbuf_lastseg(head);
    uint32_t room = rte_pktmbuf_tailroom(last);
    while (len > 0) {
        if (room == 0) {
            struct rte_mbuf *next = segment(d, &room);
            if (!next)
                return false;
            last->next = next;
            last = next;
            head->nb_segs++;
        }
        uint32_t n = min_of(len, room);
        memcpy(rte_pktmbuf_mtod_offset(last, void *, last->data_len), from, n);
        last->data_len = (uint16_t)(last->data_len + n);
        head->pkt_len += n;
        from += n;
        len -= n;
        room -= n;
    }
    return true;
}

static void copied(struct backend *b, uint32_t bytes)
{
    COUNT(&b->counters, copies, 1);
    COUNT(&b->counters, copied_bytes, bytes);
}

/* A frame in memory that the device may not have, or in a buffer that others hold as well. */
static struct rte_mbuf *copy(struct backend *b, struct dpdk *d, const struct tx_frame *f)
{
    uint32_t room;
    struct rte_mbuf *m = segment(d, &room);
    if (!m || (f->bytes > room && !(d->port->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)) ||
        !append(d, m, f->buf->data, f->buf->len) ||
        (f->body && !append(d, m, f->body->data, f->body->len))) {
        rte_pktmbuf_free(m);
        return NULL;
    }
    copied(b, f->bytes);
    return m;
}

/* The last use of a body's memory ended. */
static void body_done(void *addr, void *body)
{
    struct weir_buf *buf = body;
    (void)addr;
    pool_return(&buf, 1);
}

/* Let an mbuf without memory point to a body that lies in memory of EAL's. */
static struct rte_mbuf *attach(struct dpdk *d, struct weir_buf *body)
{
    struct rte_mbuf *m = d->bodies && buf_over(body) ? rte_pktmbuf_alloc(d->bodies) : NULL;
    if (!m)
        return NULL;
    struct weir_buf *whole = body->section == WEIR_VIEW ? body->parent : body;
    struct rte_mbuf_ext_shared_info *info = rte_mbuf_to_priv(m);
    rte_iova_t iova = rte_mbuf_iova_get(dpdk_mbuf(whole)) + (rte_iova_t)(body->data - whole->base);
    info->free_cb = body_done;
    info->fcb_opaque = body;
    rte_mbuf_ext_refcnt_set(info, 1);
    rte_pktmbuf_attach_extbuf(m, body->data, iova, (uint16_t)body->len, info);
    m->data_len = (uint16_t)body->len;
    return m;
}

/* Put a body behind the frame's head: attached, else copied behind it. */
static bool gather(struct backend *b, struct dpdk *d, struct rte_mbuf *m, const struct tx_frame *f)
{
    struct rte_mbuf *body = attach(d, f->body);
    if (body) {
        m->next = body;
        m->nb_segs = 2;
        m->pkt_len = f->bytes;
        return true;
    }
    m->pkt_len = m->data_len;
    uint32_t room = rte_pktmbuf_tailroom(m);
    bool chain = d->port->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    if ((f->body->len > room && !chain) || !append(d, m, f->body->data, f->body->len))
        return false;
    copied(b, f->body->len);
    pool_return((struct weir_buf *[]){f->body}, 1);
    return true;
}

/* Sums that the device completes; those that it does not know are ours. */
static void offload(struct rte_mbuf *m, const struct tx_frame *f)
{
    const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
    bool ip4 = eth[12] == 0x08; /* IEEE 802: 0x0800, against 0x86dd */
    uint16_t sum = 0;
    if (likely(f->csum_offset == UDP_SUM_AT)) {
        m->l2_len = ETH_BYTES;
        m->l3_len = f->csum_start - ETH_BYTES;
        m->l4_len = 8;
        m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM | (ip4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
        return;
    }
    rte_raw_cksum_mbuf(m, f->csum_start, m->pkt_len - f->csum_start, &sum);
    sum = (uint16_t)~sum;
    memcpy(rte_pktmbuf_mtod_offset(m, void *, f->csum_start + f->csum_offset), &sum, sizeof sum);
}

/* A frame's tx references end here. */
static void give_back(const struct tx_frame *f)
{
    pool_return((struct weir_buf *[]){f->buf}, 1);
    if (f->body)
        pool_return((struct weir_buf *[]){f->body}, 1);
}

static struct rte_mbuf *make(struct backend *b, struct dpdk *d, const struct tx_frame *f)
{
    struct rte_mbuf *m;
    if (unlikely(!plain(d, f->buf))) {
        m = copy(b, d, f);
        give_back(f);
        return m;
    }
    m = dpdk_mbuf(f->buf);
    describe(m, (uint16_t)(f->buf->data - f->buf->base), f->buf->len, f->bytes);
    if (f->body && !gather(b, d, m, f)) {
        pool_return((struct weir_buf *[]){f->body}, 1);
        rte_pktmbuf_free(m);
        return NULL;
    }
    return m;
}

void dpdk_tx(struct backend *b, const struct tx_frame *frames, unsigned n)
{
    struct dpdk *d = b->priv;
    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *m = make(b, d, &frames[i]);
        if (unlikely(!m || d->staged == DPDK_STAGE)) {
            rte_pktmbuf_free(m);
            COUNT(&b->counters, tx_ring_full, 1);
            continue;
        }
        if (frames[i].csum_start)
            offload(m, &frames[i]);
        put(b, d, m);
    }
}
