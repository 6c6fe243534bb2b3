/* SPDX-License-Identifier: MIT
 * Frames in. Nearly all are of one kind: a whole UDP packet to our MAC and address, without options,
 * from a good source, to an open port. Those are recognized in one look at their first line;
 * everything else, and all that is wrong, goes the long way (ethernet.c), which knows the reason
 * to count.
 *
 * Invariant: what is not usual is not touched here, and nothing is counted of it.
 * Sources: RFC 1122 sections 3.2.1 and 4.1.3, RFC 8200, RFC 768. */
#include "stack/in.h"

/* For us, and from somebody else than us, a broadcast, loopback or nobody. */
static inline bool good_ends4(const struct stack *s, uint32_t src, uint32_t dst)
{
    uint8_t net;
    memcpy(&net, &src, 1); /* memory order: the first byte of the address */
    bool ours = false, bad = net == 0 || net == 127 || net >= 224;
    for (unsigned i = 0; i < s->locals4; i++) {
        ours |= s->ip4[i] == dst;
        bad |= s->ip4[i] == src || s->broadcast4[i] == src;
    }
    return ours && !bad;
}

/* UDP over IPv4 without options or fragments, its header sound: the bytes behind that header. */
static inline bool usual4(const struct stack *s, const struct weir_buf *frame, uint32_t *bytes)
{
    const uint8_t *p = frame->data, *ip = p + ETH_BYTES;
    if (frame->len < IP4_HEAD || word_at(p) != word_at(s->mac) ||
        half_at(p + 4) != half_at(s->mac + 4))
        return false;
    /* The type with version, header size and service; more fragments and offset with protocol */
    if (half_at(p + 12) != __builtin_bswap16(ETH_IP4) || ip[0] != 0x45 ||
        half_at(ip + 6) & __builtin_bswap16(0x3fff) || ip[9] != IP_UDP)
        return false;
    uint32_t total = be16_load(ip + 2);
    uint64_t low = long_at(ip), high = long_at(ip + 8), sum = low + high;
    sum += (sum < low) + (uint64_t)word_at(ip + 16);
    sum += sum < word_at(ip + 16);
    *bytes = total - IP4_BYTES;
    return total >= IP4_BYTES + UDP_BYTES && total <= frame->len - ETH_BYTES &&
           checksum_fold(sum) == 0xffff && good_ends4(s, word_at(ip + 12), word_at(ip + 16));
}

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

static inline bool usual4_in(struct arrival *a, struct weir_buf *frame)
{
    struct udp_packet p = {.at = frame->data + ETH_BYTES + IP4_BYTES};
    struct ends ends;
    if (!usual4(a->s, frame, &p.bytes))
        return false;
    ip_from_4(ends.src, frame->data + ETH_BYTES + 12);
    ip_from_4(ends.dst, frame->data + ETH_BYTES + 16);
    ends.unicast = true;
    return udp_usual(a, frame, &ends, &p);
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

unsigned stack_in(struct stack *s, struct weir_buf **frames, unsigned n, struct stack_datagram *ret,
                  uint64_t now_ns)
{
    struct arrival a = {.s = s, .ret = ret, .now_ns = now_ns};
    s->now_ns = now_ns;
    for (unsigned i = 0; i < n; i++) {
        if (i + 8 < n) /* far enough ahead for memory, near enough for the first-level cache */
            __builtin_prefetch(frames[i + 8], 1);
        if (i + 4 < n)
            __builtin_prefetch(frames[i + 4]->data);
        if (unlikely(!usual4_in(&a, frames[i])) && !usual6_in(&a, frames[i]))
            ethernet_in(&a, frames[i]);
    }
    return a.n;
}
