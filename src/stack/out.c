/* SPDX-License-Identifier: MIT
 * UDP out: a queued datagram becomes a frame, or fragments, or waits for its neighbour.
 *
 *   flow known? -> headers in front of data, in place | a copy behind fresh ones | header + body
 *   else route, neighbour, path MTU -> flow           -> one frame | fragment.c | park.c | loop.c
 *
 * In place only where the buffer is ours alone: one reference, which is the transmission's, no
 * view, headroom enough. Invariant: on -ENOBUFS and on errors the datagram is as it was.
 * Sources: RFC 768, RFC 8200 section 8.1 (a checksum of 0 is sent as 0xffff). */
#include "stack/out.h"
#include "stack/control.h"

#include <errno.h>

#define PAYLOAD_MAX4 (65535u - IP4_BYTES - UDP_BYTES) /* RFC 791: total length in 16 bits */
#define PAYLOAD_MAX6 (65535u - UDP_BYTES)             /* RFC 8200: payload length in 16 bits */

/* The UDP checksum's field, over all or for a device to complete. */
static inline uint16_t udp_sum(const struct flow *f, const uint8_t *payload, uint32_t len,
                               bool partial)
{
    uint64_t bytes = __builtin_bswap16((uint16_t)(len + UDP_BYTES));
    uint64_t sum = f->pseudo + bytes;
    if (partial)
        return checksum_fold(sum);
    uint16_t field = checksum_finish(checksum_add(sum + f->rest_sum + bytes, payload, len));
    return field ? field : UINT16_MAX;
}

/* The headers of one packet to `head`, whose payload lies anywhere. */
static inline void put_head(const struct flow *f, uint8_t *head, const uint8_t *payload,
                            uint32_t len, bool partial)
{
    uint8_t *udp;
    if (likely(f->head_bytes == IP4_HEAD)) {
        uint16_t total = __builtin_bswap16((uint16_t)(len + IP4_BYTES + UDP_BYTES));
        uint32_t sum = f->ip_sum + total; /* at most 0x1fffe: one carry */
        uint16_t field = (uint16_t) ~(sum + (sum >> 16));
        memcpy(head, f->head, IP4_HEAD);
        memcpy(head + ETH_BYTES + 2, &total, 2);
        memcpy(head + ETH_BYTES + 10, &field, 2);
        udp = head + IP4_HEAD - UDP_BYTES;
    } else {
        memcpy(head, f->head, IP6_HEAD);
        be16_store(head + ETH_BYTES + 4, (uint16_t)(len + UDP_BYTES));
        udp = head + IP6_HEAD - UDP_BYTES;
    }
    uint16_t field = udp_sum(f, payload, len, partial);
    be16_store(udp + 4, (uint16_t)(len + UDP_BYTES));
    memcpy(udp + 6, &field, 2);
}

static inline void tell(const struct flow *f, struct weir_buf *buf, struct weir_buf *body,
                        bool partial, struct tx_frame *ret)
{
    ret->buf = buf;
    ret->body = body;
    ret->csum_start = partial ? (uint16_t)(f->head_bytes - UDP_BYTES) : 0;
    ret->csum_offset = partial ? 6 : 0; /* the field's place in a UDP header */
    ret->bytes = buf->len + (body ? body->len : 0);
}

struct weir_buf *out_take(struct stack *s, uint32_t head, uint32_t len)
{
    uint32_t headroom = pool_headroom(s->pool), more = head > headroom ? head - headroom : 0;
    struct weir_buf *buf = weir_buf_take_bytes(s->pool, len + more);
    if (buf)
        buf->data += more;
    return buf;
}

/* A header of its own, and the datagram as the frame's body. */
static noinline int send_gathered(struct stack *s, const struct flow *f, struct weir_buf *body,
                                  bool partial, struct tx_frame *ret)
{
    struct weir_buf *buf = out_take(s, f->head_bytes, 0);
    if (!buf)
        return -ENOBUFS;
    buf->data -= f->head_bytes;
    buf->len = f->head_bytes;
    put_head(f, buf->data, body->data, body->len, partial);
    buf_to_tx(buf);
    tell(f, buf, body, partial, ret);
    return 1;
}

/* Somebody else still reads the payload: it is copied. Where no slot is large enough just now,
 * fragments always find one: a pool may have a single large slot, and the payload lies in it. */
static noinline int send_copied(struct stack *s, const struct flow *f, struct weir_buf *from,
                                bool partial, struct tx_frame *ret, unsigned room)
{
    struct weir_buf *buf = out_take(s, f->head_bytes, from->len);
    if (!buf && from->len + IP6_HEAD > s->small_room)
        return out_fragments(s, f, from, ret, room);
    if (!buf)
        return -ENOBUFS;
    memcpy(buf->data, from->data, from->len);
    buf->data -= f->head_bytes;
    buf->len = from->len + f->head_bytes;
    put_head(f, buf->data, buf->data + f->head_bytes, from->len, partial);
    COUNT(s->counters, copies, 1);
    COUNT(s->counters, copied_bytes, from->len);
    buf_to_tx(buf);
    buf_tx_done(from);
    tell(f, buf, NULL, partial, ret);
    return 1;
}

static inline bool in_place(const struct weir_buf *buf, uint32_t head)
{
    return buf->refs == 1 && buf->tx_refs == 1 && weir_buf_headroom(buf) >= head;
}

static inline int send_one(struct stack *s, const struct flow *f, struct weir_buf *buf,
                           struct tx_frame *ret, unsigned room)
{
    bool partial = s->tx_checksum;
    if (likely(in_place(buf, f->head_bytes))) {
        put_head(f, buf->data - f->head_bytes, buf->data, buf->len, partial);
        buf->data -= f->head_bytes;
        buf->len += f->head_bytes;
        tell(f, buf, NULL, partial, ret);
        return 1;
    }
    if (s->opt.gather_bytes && buf->len >= s->opt.gather_bytes)
        return send_gathered(s, f, buf, partial, ret);
    return send_copied(s, f, buf, partial, ret, room);
}

/* ---- the first of a flow, and what needs more than one frame --------------------------------- */

static int check(const struct stack *s, uint32_t socket, const struct weir_buf *buf,
                 const struct weir_addr *to)
{
    const struct sock *own = &s->sock[socket];
    bool ip4 = ip_is_4(to->ip);
    if (socket >= s->sockets_max || own->port == 0 || to->port == 0)
        return -EINVAL;
    if ((own->rank == 0 && ip_is_4(own->ip) != ip4) || (own->rank == 1 && !ip4))
        return -EAFNOSUPPORT;
    return buf->len > (ip4 ? PAYLOAD_MAX4 : PAYLOAD_MAX6) ? -EMSGSIZE : 0;
}

/* The address that the socket is bound to; of a wildcard the one that the peer's datagram came to,
 * where that is known. */
static const struct local *source_of(const struct stack *s, uint32_t socket,
                                     const struct weir_addr *to)
{
    if (s->sock[socket].rank == 0)
        return local_find(s, s->sock[socket].ip);
    uint8_t from = flow_noted(s, socket, to->ip, to->port);
    if (from)
        return &s->local[from - 1];
    return local_find(s, to->ip); /* to ourselves: from there as well */
}

static uint32_t path_mtu(const struct stack *s, const uint8_t ip[16])
{
    uint32_t told = pmtu_find(s, ip, s->now_ns);
    return told ? min_of(told, s->opt.mtu) : s->opt.mtu;
}

/* A transmission's buffer becomes a packet that waits: APP, from its IP header on. */
static struct weir_buf *as_packet(const struct tx_frame *frame)
{
    struct weir_buf *buf = frame->buf;
    buf_ref(buf, 1); /* the transmission's becomes ours; it had the only one */
    buf_tx_done(buf);
    buf->data += ETH_BYTES;
    buf->len -= ETH_BYTES;
    return buf;
}

/* The neighbour is not known: the packets wait, whole, for nobody knows which device path they
 * take. Those of another worker than 0 wait with it. */
static int park(struct stack *s, const struct flow *f, const struct hop *hop, struct weir_buf *buf,
                struct tx_frame *frames, unsigned room, uint64_t now_ns)
{
    int n;
    if (buf->len > f->fit) {
        n = out_fragments(s, f, buf, frames, room);
    } else if (in_place(buf, f->head_bytes)) {
        put_head(f, buf->data - f->head_bytes, buf->data, buf->len, false);
        buf->data -= f->head_bytes;
        buf->len += f->head_bytes;
        frames[0].buf = buf;
        n = 1;
    } else {
        n = send_copied(s, f, buf, false, frames, room);
    }
    for (int i = 0; i < n; i++) {
        struct weir_buf *packet = as_packet(&frames[i]);
        if (s->opt.worker == 0) {
            park_put(s, hop->ip, packet, now_ns);
            continue;
        }
        *frame_meta(packet) = (struct frame_meta){.flags = FRAME_OUTWARD};
        stack_hand(s, packet);
    }
    return min_of(n, 0);
}

/* The generation is read first: what another worker changes meanwhile makes the flow stale. */
static int out_slow(struct stack *s, uint32_t socket, struct weir_buf *buf,
                    const struct weir_addr *to, struct tx_frame *ret, unsigned room)
{
    uint64_t generation = flow_generation(s), until_ns = UINT64_MAX;
    struct hop hop;
    int rc = check(s, socket, buf, to);
    rc = rc ? rc : route_find(s, to->ip, source_of(s, socket, to), &hop);
    if (rc)
        return rc;
    if (hop.self)
        return out_looped(s, socket, buf, to, hop.from);
    bool known = hop.known || neighbour_find(s, hop.ip, hop.mac, &until_ns, s->now_ns);
    if (!known && neighbour_failed(s, hop.ip, s->now_ns))
        return -EHOSTUNREACH;
    if (room == 0)
        return -ENOBUFS;
    struct flow *f = flow_take(s, socket, to->ip, to->port);
    flow_make(s, f, &hop, hop.mac, path_mtu(s, to->ip));
    f->generation = known ? generation : 0;
    f->until_ns = until_ns;
    if (!known)
        return park(s, f, &hop, buf, ret, room, s->now_ns);
    return buf->len > f->fit ? out_fragments(s, f, buf, ret, room) : send_one(s, f, buf, ret, room);
}

/* What flows are compared with, of one burst. */
struct bound {
    uint64_t generation, now_ns;
    uint32_t socket, epoch;
};

static inline struct bound bound_of(const struct stack *s, uint32_t socket, uint64_t now_ns)
{
    uint32_t epoch = socket < s->sockets_max ? s->sock[socket].epoch : 0; /* of no flow */
    return (struct bound){flow_generation(s), now_ns, socket, epoch};
}

/* The flow by which it leaves in one frame, or NULL. */
static inline const struct flow *flow_ready(const struct stack *s, const struct bound *own,
                                            uint32_t len, const struct weir_addr *to)
{
    const struct flow *f = flow_place(s, own->socket, to->ip, to->port);
    bool is = f->generation == own->generation && f->socket == own->socket && f->port == to->port &&
              f->epoch == own->epoch && ip_equal(f->ip, to->ip) && own->now_ns < f->until_ns &&
              len <= f->fit;
    return likely(is) ? f : NULL;
}

struct stack_sent stack_udp_burst(struct stack *s, uint32_t socket, const struct stack_send *send,
                                  unsigned n, struct tx_frame *ret, uint64_t now_ns)
{
    const struct bound own = bound_of(s, socket, now_ns);
    uint64_t bytes = 0;
    unsigned i;
    for (i = 0; i < n; i++) {
        uint32_t len = send[i].buf->len;
        const struct flow *f = flow_ready(s, &own, len, send[i].to);
        if (unlikely(!f || send_one(s, f, send[i].buf, &ret[i], 1) != 1))
            break;
        bytes += len;
    }
    return (struct stack_sent){.packets = i, .bytes = bytes};
}

int stack_udp_out(struct stack *s, uint32_t socket, struct weir_buf *buf,
                  const struct weir_addr *to, struct tx_frame *ret, unsigned room, uint64_t now_ns)
{
    const struct bound own = bound_of(s, socket, now_ns);
    const struct flow *f = flow_ready(s, &own, buf->len, to);
    if (likely(f && room))
        return send_one(s, f, buf, ret, room);
    s->now_ns = now_ns;
    return out_slow(s, socket, buf, to, ret, room);
}

uint32_t stack_udp_fit(const struct stack *s, const struct weir_addr *to)
{
    uint32_t head = ip_is_4(to->ip) ? IP4_BYTES : IP6_BYTES;
    return path_mtu(s, to->ip) - head - UDP_BYTES;
}

/* ---- packets of another worker --------------------------------------------------------------- */

void out_take_over(struct stack *s, const struct weir_buf *from, uint64_t now_ns)
{
    struct hop hop;
    uint8_t to[16];
    bool ip4 = from->len >= IP4_BYTES && from->data[0] >> 4 == 4;
    if (ip4)
        ip_from_4(to, from->data + 16);
    else
        memcpy(to, from->data + 24, 16);
    if (route_find(s, to, NULL, &hop)) { /* the routes are the same there, but who knows */
        COUNT(s->counters, no_route, 1);
        return;
    }
    struct weir_buf *buf = out_take(s, ETH_BYTES, from->len);
    if (!buf) {
        COUNT(s->counters, park_full, 1);
        return;
    }
    memcpy(buf->data, from->data, from->len);
    buf->len = from->len;
    COUNT(s->counters, copies, 1);
    COUNT(s->counters, copied_bytes, from->len);
    park_put(s, hop.ip, buf, now_ns);
}
