/* SPDX-License-Identifier: MIT
 * Fragmentation on transmit: a datagram that the path cannot take whole becomes copies in small
 * slots, each with an IP header of its own.
 *
 *   UDP header, payload  ->  [ETH IP | UDP header, bytes] [ETH IP | bytes] ... [ETH IP | rest]
 *
 * All but the last carry a multiple of 8 bytes. The checksum is ours to compute, because no device
 * sums over several frames. Sources: RFC 791 section 3.2, RFC 8200 section 4.5, RFC 6864, RFC 7739. */
#include "stack/out.h"

#include <errno.h>

struct cut {
    uint8_t udp[UDP_BYTES];
    const uint8_t *payload;
    uint32_t bytes; /* UDP header and payload */
    uint32_t unit;  /* bytes of them in all fragments but the last */
    uint32_t id;
    bool ip4;
};

static void cut_begin(struct stack *s, const struct flow *f, const struct weir_buf *buf,
                      struct cut *ret)
{
    uint32_t head, more, bytes = buf->len + UDP_BYTES;
    ret->ip4 = f->head_bytes == IP4_HEAD;
    head = ret->ip4 ? IP4_BYTES : IP6_BYTES + IP6_FRAGMENT_BYTES;
    more = head + ETH_BYTES > pool_headroom(s->pool) ? head + ETH_BYTES : 0;
    ret->unit = min_of(f->mtu - head, s->small_room - more) & ~7u;
    ret->bytes = bytes;
    ret->payload = buf->data;
    memcpy(ret->udp, f->head + f->head_bytes - UDP_BYTES, 4);
    be16_store(ret->udp + 4, (uint16_t)bytes);
    memset(ret->udp + 6, 0, 2);
    uint64_t sum = f->pseudo + (uint64_t)__builtin_bswap16((uint16_t)bytes);
    sum = checksum_add(checksum_add(sum, ret->udp, UDP_BYTES), buf->data, buf->len);
    uint16_t field = checksum_finish(sum);
    field = field ? field : UINT16_MAX;
    memcpy(ret->udp + 6, &field, 2);
}

/* Where the header ends. */
static uint8_t *put_ip4(const struct flow *f, const struct cut *c, uint8_t *at, uint32_t offset,
                        uint32_t bytes)
{
    struct ip4 ip = {.ttl = f->head[ETH_BYTES + 8],
                     .protocol = IP_UDP,
                     .id = (uint16_t)c->id,
                     .offset = (uint16_t)offset,
                     .more = offset + bytes < c->bytes,
                     .total = (uint16_t)(IP4_BYTES + bytes)};
    memcpy(ip.src, f->head + ETH_BYTES + 12, 4);
    memcpy(ip.dst, f->head + ETH_BYTES + 16, 4);
    return at + ip4_emit(at, &ip);
}

static uint8_t *put_ip6(const struct flow *f, const struct cut *c, uint8_t *at, uint32_t offset,
                        uint32_t bytes)
{
    struct ip6 ip = {.hop_limit = f->head[ETH_BYTES + 7],
                     .protocol = IP_UDP,
                     .id = c->id,
                     .offset = (uint16_t)offset,
                     .more = offset + bytes < c->bytes,
                     .fragmented = true,
                     .bytes = (uint16_t)(IP6_FRAGMENT_BYTES + bytes)};
    memcpy(ip.src, f->head + ETH_BYTES + 8, 16);
    memcpy(ip.dst, f->head + ETH_BYTES + 24, 16);
    return at + ip6_emit(at, &ip);
}

/* The datagram's bytes from `offset` on. */
static void put_bytes(const struct cut *c, uint8_t *at, uint32_t offset, uint32_t bytes)
{
    if (offset == 0) {
        memcpy(at, c->udp, UDP_BYTES);
        at += UDP_BYTES;
        bytes -= UDP_BYTES;
        offset = UDP_BYTES;
    }
    memcpy(at, c->payload + offset - UDP_BYTES, bytes);
}

static void put_fragment(struct stack *s, const struct flow *f, const struct cut *c,
                         struct weir_buf *buf, uint32_t offset)
{
    uint32_t bytes = min_of(c->unit, c->bytes - offset);
    uint32_t head = ETH_BYTES + (c->ip4 ? IP4_BYTES : IP6_BYTES + IP6_FRAGMENT_BYTES);
    uint32_t headroom = pool_headroom(s->pool);
    buf->data = buf->base + (headroom >= head ? headroom - head : 0);
    memcpy(buf->data, f->head, ETH_BYTES);
    uint8_t *at = c->ip4 ? put_ip4(f, c, buf->data + ETH_BYTES, offset, bytes)
                         : put_ip6(f, c, buf->data + ETH_BYTES, offset, bytes);
    put_bytes(c, at, offset, bytes);
    buf->len = head + bytes;
}

/* Never enough, or only not now? */
static int too_few(const struct stack *s, uint32_t need)
{
    struct weir_pool_stats stats;
    weir_pool_stats(s->pool, &stats);
    return stats.total[WEIR_SMALL] < need ? -EMSGSIZE : -ENOBUFS;
}

int out_fragments(struct stack *s, const struct flow *f, struct weir_buf *buf, struct tx_frame *ret,
                  unsigned room)
{
    struct cut c;
    struct weir_buf *piece;
    cut_begin(s, f, buf, &c);
    uint32_t n = (c.bytes + c.unit - 1) / c.unit;
    if (n > pool_free(s->pool, WEIR_SMALL))
        return too_few(s, n);
    if (n > room)
        return -ENOBUFS;
    const uint8_t *ip = f->head + ETH_BYTES;
    c.id = c.ip4 ? stack_id4(s, ip + 12, ip + 16) : stack_id(s, ip + 8, ip + 24);
    for (uint32_t i = 0; i < n; i++) {
        pool_take(s->pool, WEIR_SMALL, &piece, 1);
        put_fragment(s, f, &c, piece, i * c.unit);
        buf_to_tx(piece);
        ret[i] = (struct tx_frame){.buf = piece, .bytes = piece->len};
    }
    COUNT(s->counters, fragments_out, n);
    COUNT(s->counters, copies, 1);
    COUNT(s->counters, copied_bytes, buf->len);
    buf_tx_done(buf);
    return (int)n;
}
