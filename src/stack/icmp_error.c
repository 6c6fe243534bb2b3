/* SPDX-License-Identifier: MIT
 * ICMP errors: what others tell us about our packets, and what we tell about theirs.
 *
 * Anybody can send an error, so one is believed only where the packet that it quotes could be ours:
 * from an address of ours and a port that is open here. It is then counted; and that a packet was too
 * big makes its path narrower (pmtu.c) where we do send to that peer, beyond the link, packets that
 * may not be fragmented on their way.
 *
 * We say one thing: port unreachable, quoting the packet, which stays where it is in its buffer while
 * the headers are written in front of it. Never about a broadcast, a multicast, an error, or a
 * fragment but the first: only UDP to our own address comes here.
 * Source: RFC 792, RFC 1122 section 3.2.2, RFC 1191, RFC 1812 section 4.3.2.3 (how much is quoted),
 * RFC 4443 sections 2.4 and 3.1, RFC 5927 (attacks). */
#include "stack/control_inside.h"
#include "stack/flow.h"

#define FRONT4 (ETH_BYTES + IP4_BYTES + ICMP_BYTES)
#define FRONT6 (ETH_BYTES + IP6_BYTES + ICMP_BYTES)
#define QUOTE4 (576u - IP4_BYTES - ICMP_BYTES)        /* RFC 1812, 4.3.2.3 */
#define QUOTE6 (IP6_MTU_MIN - IP6_BYTES - ICMP_BYTES) /* RFC 4443, 3.1 */
#define PORTS_BYTES 4u                                /* of the UDP header: both ports */

/* ---- in -------------------------------------------------------------------------------------- */

/* What an error quotes. */
struct quote {
    uint8_t src[16], dst[16];
    uint32_t bytes; /* of the whole packet */
    uint16_t port;  /* its source's */
    uint16_t peer_port;
    bool may_be_cut; /* by routers: then none says that it is too big */
};

/* The packet is cut short, so its lengths say nothing about what is there. */
static bool quote4(const uint8_t *p, uint32_t n, struct quote *ret)
{
    uint32_t head = n >= IP4_BYTES ? (p[0] & 15u) * 4u : 0;
    if (head < IP4_BYTES || p[0] >> 4 != 4 || n < head + PORTS_BYTES)
        return false;
    if (p[9] != IP_UDP || be16_load(p + 6) & IP4_OFFSET)
        return false;
    ip_from_4(ret->src, p + 12);
    ip_from_4(ret->dst, p + 16);
    ret->bytes = be16_load(p + 2);
    ret->port = be16_load(p + head);
    ret->peer_port = be16_load(p + head + 2);
    ret->may_be_cut = !(be16_load(p + 6) & IP4_DONT);
    return true;
}

/* We send no extension header but a fragment's. */
static bool quote6(const uint8_t *p, uint32_t n, struct quote *ret)
{
    uint32_t head = IP6_BYTES;
    if (n < IP6_BYTES + IP6_FRAGMENT_BYTES || p[0] >> 4 != 6)
        return false;
    uint8_t protocol = p[6];
    if (protocol == IP6_FRAGMENT) {
        if (be16_load(p + 42) & 0xfff8)
            return false;
        protocol = p[40];
        head += IP6_FRAGMENT_BYTES;
    }
    if (protocol != IP_UDP || n < head + PORTS_BYTES)
        return false;
    memcpy(ret->src, p + 8, 16);
    memcpy(ret->dst, p + 24, 16);
    ret->bytes = IP6_BYTES + be16_load(p + 4);
    ret->port = be16_load(p + head);
    ret->peer_port = be16_load(p + head + 2);
    ret->may_be_cut = false;
    return true;
}

static bool is_ours(const struct stack *s, const struct quote *q)
{
    return local_find(s, q->src) && socket_find(s, q->src, q->port) != NO_SOCKET;
}

/* Do we send to that peer? Other workers' headers are not ours to read: where there are any, it may
 * be one of theirs. */
static bool is_sent_to(const struct stack *s, const struct quote *q)
{
    uint32_t socket = socket_find(s, q->src, q->port);
    const struct flow *f = flow_place(s, socket, q->dst, q->peer_port);
    bool ours = f->generation && flow_is(s, f, socket, q->dst, q->peer_port);
    return ours || neighbours_shared(s->near);
}

/* Is there a router on the way? The link itself takes what our MTU says. */
static bool is_beyond_link(const struct stack *s, const struct quote *q)
{
    const uint8_t *ip = q->dst;
    bool group = ip_is_4(ip) ? ip[12] >= 224 : ip[0] == 0xff; /* multicast, limited broadcast */
    return !group && !local_on_link(s, ip);
}

static void too_big(struct stack *s, const struct quote *q, uint32_t mtu, uint64_t now_ns)
{
    if (mtu >= s->opt.mtu || q->bytes > s->opt.mtu || q->may_be_cut || !is_beyond_link(s, q) ||
        !is_sent_to(s, q)) { /* no packet of ours was */
        COUNT(s->counters, icmp_bad, 1);
        return;
    }
    COUNT(s->counters, icmp_too_big, 1);
    if (!control_may(s, &s->control->paths, now_ns))
        return;
    if (pmtu_learn(s->pmtu, q->dst, mtu, q->bytes, now_ns)) {
        neighbours_changed(s->near);
        stack_changed(s);
    }
}

static void error_in(struct stack *s, const struct quote *q, const uint32_t *mtu, uint64_t now_ns)
{
    if (!q || !is_ours(s, q))
        COUNT(s->counters, icmp_bad, 1);
    else if (mtu)
        too_big(s, q, *mtu, now_ns);
    else
        COUNT(s->counters, icmp_unreachable, 1);
}

void error4_in(struct stack *s, const uint8_t *p, uint32_t n, const uint32_t *mtu, uint64_t now_ns)
{
    struct quote q;
    error_in(s, quote4(p, n, &q) ? &q : NULL, mtu, now_ns);
}

void error6_in(struct stack *s, const uint8_t *p, uint32_t n, const uint32_t *mtu, uint64_t now_ns)
{
    struct quote q;
    error_in(s, quote6(p, n, &q) ? &q : NULL, mtu, now_ns);
}

/* ---- out ------------------------------------------------------------------------------------- */

/* May we tell `to`? Each has a bucket, and all have one. */
static bool may_tell(struct stack *s, const struct weir_buf *frame, const uint8_t to[16],
                     uint64_t now_ns)
{
    if (mac_is_multicast(frame->data))
        return false;
    if (!limits_take(s->control->each, to, now_ns)) {
        COUNT(s->counters, icmp_limited, 1);
        return false;
    }
    return control_may(s, &s->control->errors, now_ns);
}

/* The first `n` bytes of the packet at `l3`, with `front` bytes before them. Takes the frame over.
 * NULL: no buffer left, counted. */
static struct weir_buf *quoting(struct stack *s, struct weir_buf *frame, size_t l3, uint32_t n,
                                uint32_t front)
{
    struct weir_buf *buf = frame;
    if (control_is_own(s, frame) && weir_buf_headroom(frame) + l3 >= front) {
        buf->data += l3;
        buf->data -= front;
        buf->len = front + n;
        return buf;
    }
    buf = control_blank(s, NULL, front + n);
    if (buf) {
        memcpy(buf->data + front, frame->data + l3, n);
        COUNT(s->counters, copies, 1);
        COUNT(s->counters, copied_bytes, n);
    }
    frame_drop(frame);
    return buf;
}

void icmp4_no_port(struct stack *s, struct weir_buf *frame, const struct ip4 *ip, size_t l3,
                   uint64_t now_ns)
{
    static const struct icmp icmp = {ICMP_UNREACHABLE, ICMP_PORT_UNREACHABLE, 0};
    uint32_t n = min_of((uint32_t)ip->total, QUOTE4);
    uint8_t to[16], mac[6];
    ip_from_4(to, ip->src);
    memcpy(mac, frame->data + 6, 6);
    if (ip->offset || !may_tell(s, frame, to, now_ns)) {
        frame_drop(frame);
        return;
    }
    struct weir_buf *buf = quoting(s, frame, l3, n, FRONT4);
    if (!buf)
        return;
    control_eth(s, buf->data, mac, ETH_IP4);
    control_ip4(s, buf->data + ETH_BYTES, ip->dst, ip->src, ICMP_BYTES + n);
    icmp_emit(buf->data + ETH_BYTES + IP4_BYTES, ICMP_BYTES + n, 0, &icmp);
    COUNT(s->counters, icmp_out, 1);
    stack_push(s, buf);
}

void icmp6_no_port(struct stack *s, struct weir_buf *frame, const struct ip6 *ip, size_t l3,
                   uint64_t now_ns)
{
    static const struct icmp icmp = {ICMP6_UNREACHABLE, ICMP6_PORT_UNREACHABLE, 0};
    uint32_t n = min_of(IP6_BYTES + (uint32_t)ip->bytes, QUOTE6), bytes = ICMP_BYTES + n;
    uint8_t mac[6];
    memcpy(mac, frame->data + 6, 6);
    if (ip->offset || !may_tell(s, frame, ip->src, now_ns)) {
        frame_drop(frame);
        return;
    }
    struct weir_buf *buf = quoting(s, frame, l3, n, FRONT6);
    if (!buf)
        return;
    control_eth(s, buf->data, mac, ETH_IP6);
    control_ip6(buf->data + ETH_BYTES, ip->dst, ip->src, bytes, IP_TTL);
    icmp_emit(buf->data + ETH_BYTES + IP6_BYTES, bytes,
              checksum_pseudo6(ip->dst, ip->src, IP_ICMP6, bytes), &icmp);
    COUNT(s->counters, icmp_out, 1);
    stack_push(s, buf);
}
