/* SPDX-License-Identifier: MIT
 * Frames in. Nearly all are of one kind: a whole UDP packet to our MAC and address, without options,
 * from a good source, to an open port. Those are recognized in one look at their first line;
 * everything else, and all that is wrong, goes the long way (ethernet.c), which knows the reason
 * to count.
 *
 * Invariant: what is not usual is not touched here, and nothing is counted of it.
 * Sources: RFC 1122 sections 3.2.1 and 4.1.3, RFC 8200, RFC 768. */
#include "stack/in.h"

/* ---- IPv4 ------------------------------------------------------------------------------------ */

/* With several addresses of IPv4, or none. */
static noinline bool good_ends4_of(const struct stack *s, uint32_t src, uint32_t dst)
{
    bool ours = false, bad = false;
    for (unsigned i = 0; i < s->locals4; i++) {
        ours |= s->ip4[i] == dst;
        bad |= s->ip4[i] == src || s->broadcast4[i] == src;
    }
    return ours && !bad;
}

/* For us, and from somebody else than us, a broadcast, loopback or nobody. */
static inline bool good_ends4(const struct stack *s, uint32_t src, uint32_t dst)
{
    uint8_t net;
    memcpy(&net, &src, 1); /* memory order: the first byte of the address */
    if (unlikely(net == 0 || net == 127 || net >= 224))
        return false;
    if (unlikely(s->locals4 != 1))
        return good_ends4_of(s, src, dst);
    return dst == s->ip4[0] && src != s->ip4[0] && src != s->broadcast4[0];
}

/* To our MAC; IPv4, version and header size; no fragment; UDP. One test: it is nearly always so. */
static inline bool says_usual4(const struct stack *s, const uint8_t *p)
{
    uint32_t differ = word_at(p) ^ word_at(s->mac);
    differ |= (uint32_t)(half_at(p + 4) ^ half_at(s->mac + 4));
    differ |=
        (word_at(p + ETH_BYTES - 2) ^ be32(ETH_IP4 << 16 | IP4_PLAIN << 8)) & be32(0xffffff00);
    differ |= (word_at(p + ETH_BYTES + 6) ^ be32(IP_UDP)) & be32(0x3fff00ff);
    return differ == 0;
}

/* The header's own sum. */
static inline bool sound4(const uint8_t *ip)
{
    uint64_t low = long_at(ip), high = long_at(ip + 8), sum = low + high, last = word_at(ip + 16);
    sum += sum < low;
    sum += last;
    return sum_is_whole(sum + (sum < last));
}

/* The checksum of these `bytes` from the UDP header on, where it is known to be right. */
static inline bool sum4(const struct weir_buf *frame, const uint8_t *udp, uint32_t bytes)
{
    unsigned flags = frame_meta((struct weir_buf *)frame)->flags;
    if (half_at(udp + 6) == 0 || flags & FRAME_CSUM_OK)
        return true;
    uint64_t sum = (uint64_t)word_at(udp - 8) + word_at(udp - 4);
    sum += (uint64_t)be16(IP_UDP) + half_at(udp + 4);
    return !(flags & FRAME_CSUM_PARTIAL) && sum_is_whole(checksum_add(sum, udp, bytes));
}

/* Where several addresses are ours, a wildcard socket answers from the one that was asked. */
static noinline void note4(struct stack *s, uint32_t socket, const uint8_t *ip, uint16_t port)
{
    struct ends ends = {.unicast = true};
    if (!s->sock[socket].any)
        return;
    ip_from_4(ends.src, ip + 12);
    ip_from_4(ends.dst, ip + 16);
    udp_note(s, socket, &ends, port);
}

/* As udp_deliver; `bytes` from the UDP header on. */
static inline void deliver4(struct stack *s, struct weir_buf *frame, uint32_t bytes,
                            uint32_t socket, struct stack_datagram *ret)
{
    const struct frame_meta *meta = frame_meta(frame);
    const uint8_t *ip = frame->data + ETH_BYTES;
    uint16_t port = be16_load(ip + IP4_BYTES);
    ret->rx_ns = meta->flags & FRAME_TIME ? meta->rx_ns : 0;
    ret->buf = frame;
    ret->socket = socket;
    frame->data += IP4_HEAD;
    frame->len = bytes - UDP_BYTES;
    uint32_t peer[4] = {0, 0, be32(0xffff), word_at(ip + 12)};
    memcpy(frame->peer.ip, peer, sizeof peer);
    frame->peer.port = port;
    frame->peer.scope = 0;
    if (unlikely(s->locals4 > 1))
        note4(s, socket, ip, port);
}

static inline bool usual4_in(struct stack *s, struct weir_buf *frame, struct stack_datagram *ret)
{
    const uint8_t *p = frame->data, *ip = p + ETH_BYTES, *udp = ip + IP4_BYTES;
    if (unlikely(frame->len < IP4_HEAD || !says_usual4(s, p)))
        return false;
    uint32_t total = be16_load(ip + 2), bytes = be16_load(udp + 4);
    if (unlikely(bytes < UDP_BYTES || bytes + IP4_BYTES > total || total + ETH_BYTES > frame->len ||
                 !sound4(ip) || !good_ends4(s, word_at(ip + 12), word_at(ip + 16)) ||
                 !sum4(frame, udp, bytes)))
        return false;
    uint32_t socket = socket_find4(s, word_at(ip + 16), be16_load(udp + 2));
    if (unlikely(socket == NO_SOCKET))
        return false;
    deliver4(s, frame, bytes, socket, ret);
    return true;
}

/* ---- IPv6 ------------------------------------------------------------------------------------ */

/* No trouble with the datagram itself either: it is delivered. */
static inline bool udp_usual(struct arrival *a, struct weir_buf *frame, const struct ends *ends,
                             const struct udp_packet *p)
{
    uint32_t bytes = be16_load(p->at + 4);
    if (bytes < UDP_BYTES || bytes > p->bytes ||
        udp_verdict(ends, p->at, bytes, frame_meta(frame)->flags) != SUM_GOOD)
        return false;
    uint32_t socket = socket_find(a->s, ends->dst, be16_load(p->at + 2));
    if (unlikely(socket == NO_SOCKET))
        return false;
    udp_deliver(a, frame, ends, p->at, bytes, socket);
    return true;
}

/* UDP over IPv6 without extension headers. */
static inline bool usual6_in(struct arrival *a, struct weir_buf *frame)
{
    const uint8_t *p = frame->data, *ip = p + ETH_BYTES;
    struct udp_packet udp = {.at = ip + IP6_BYTES};
    struct ends ends;
    if (frame->len < IP6_HEAD || !mac_equal(p, a->s->mac) || be16_load(p + 12) != ETH_IP6 ||
        ip[0] >> 4 != 6 || ip[6] != IP_UDP)
        return false;
    udp.bytes = be16_load(ip + 4);
    memcpy(ends.src, ip + 8, 16);
    memcpy(ends.dst, ip + 24, 16);
    ends.unicast = true;
    if (udp.bytes > frame->len - ETH_BYTES - IP6_BYTES || udp.bytes < UDP_BYTES ||
        ip_is_4(ends.dst) || ip_is_4(ends.src) || !local_find(a->s, ends.dst) ||
        !source_is_good(a->s, ends.src))
        return false;
    return udp_usual(a, frame, &ends, &udp);
}

static noinline void other_in(struct arrival *a, struct weir_buf *frame)
{
    if (!usual6_in(a, frame))
        ethernet_in(a, frame);
}

unsigned stack_in(struct stack *s, struct weir_buf **frames, unsigned n, struct stack_datagram *ret,
                  uint64_t now_ns)
{
    struct arrival a = {.s = s, .ret = ret, .now_ns = now_ns};
    s->now_ns = now_ns;
    for (unsigned i = 0; i < n; i++) {
        if (i + 4 < n) /* the header was written just now; far enough ahead for memory */
            __builtin_prefetch(frames[i + 4]->data);
        if (likely(usual4_in(s, frames[i], &ret[a.n])))
            a.n++;
        else
            other_in(&a, frames[i]);
    }
    return a.n;
}
