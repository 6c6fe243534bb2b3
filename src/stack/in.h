/* SPDX-License-Identifier: MIT
 * A burst of frames on its way in, and what both ways of UDP (in.c, udp.c) have in common. */
#ifndef WEIR_STACK_IN_H
#define WEIR_STACK_IN_H

#include "stack/flow.h"

struct arrival {
    struct stack *s;
    struct stack_datagram *ret;
    unsigned n; /* of them filled */
    uint64_t now_ns;
};

/* UDP from its header on, and how many bytes the IP packet has from there. */
struct udp_packet {
    const uint8_t *at;
    uint32_t bytes;
};

/* ethernet.c: takes the frame over. */
void ethernet_in(struct arrival *a, struct weir_buf *frame);
/* udp.c: takes the frame over, but for false: nobody opened its port, which is counted. */
bool udp_in(struct arrival *a, struct weir_buf *frame, const struct ends *ends,
            const struct udp_packet *p);
/* udp.c: the peer's datagrams come to this address of ours: a wildcard socket answers from there. */
void udp_note(struct stack *s, uint32_t socket, const struct ends *ends, uint16_t port);

static inline uint16_t half_at(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}
static inline uint32_t word_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static inline uint64_t long_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* Of a sum over data and its right checksum: its value is 0xffff's (checksum.h), and not 0, as not
 * all of the data is. */
static inline bool sum_is_whole(uint64_t sum)
{
    /* A multiple times the inverse of 0xffff modulo 2^64 is the quotient; of others it is more than
     * any quotient can be (Granlund and Montgomery, 1994, section 9). */
    return sum * 0xfffefffefffeffffu <= UINT64_MAX / 0xffff;
}

enum udp_sum {
    SUM_GOOD,
    SUM_TOLD,    /* the device says that a local sender left it to an offload */
    SUM_PARTIAL, /* so it seems: there is only the pseudo-header's */
    SUM_BAD
};

/* The pseudo-header's sum; a mapped prefix would be part of it, so only what is IPv4's. */
static inline uint64_t udp_pseudo(const struct ends *ends, uint32_t bytes)
{
    uint64_t sum = (uint64_t)__builtin_bswap16(IP_UDP) + __builtin_bswap16((uint16_t)bytes);
    sum += (uint64_t)word_at(ends->src + 12) + word_at(ends->dst + 12);
    if (likely(ip_is_4(ends->dst)))
        return sum;
    for (unsigned i = 0; i < 12; i += 4)
        sum += (uint64_t)word_at(ends->src + i) + word_at(ends->dst + i);
    return sum;
}

static inline enum udp_sum udp_verdict(const struct ends *ends, const uint8_t *at, uint32_t bytes,
                                       unsigned flags)
{
    uint16_t field = half_at(at + 6);
    if (field == 0) /* none: IPv4 may, RFC 768; IPv6 may not, RFC 8200, 8.1 */
        return ip_is_4(ends->dst) ? SUM_GOOD : SUM_BAD;
    if (likely(flags & FRAME_CSUM_OK))
        return SUM_GOOD;
    if (flags & FRAME_CSUM_PARTIAL)
        return SUM_TOLD;
    uint64_t pseudo = udp_pseudo(ends, bytes);
    if (likely(sum_is_whole(checksum_add(pseudo, at, bytes))))
        return SUM_GOOD;
    return field == checksum_fold(pseudo) ? SUM_PARTIAL : SUM_BAD;
}

/* The frame becomes the socket's datagram; frame_meta and peer share their place. */
static inline void udp_deliver(struct arrival *a, struct weir_buf *frame, const struct ends *ends,
                               const uint8_t *at, uint32_t bytes, uint32_t socket)
{
    const struct frame_meta *meta = frame_meta(frame);
    struct stack_datagram *d = &a->ret[a->n++];
    uint16_t port = be16_load(at);
    d->rx_ns = meta->flags & FRAME_TIME ? meta->rx_ns : 0;
    d->buf = frame;
    d->socket = socket;
    frame->data += at + UDP_BYTES - frame->data;
    frame->len = bytes - UDP_BYTES;
    memcpy(frame->peer.ip, ends->src, 16);
    frame->peer.port = port;
    frame->peer.scope = 0;
    unsigned could = ip_is_4(ends->src) ? a->s->locals4 : a->s->locals - a->s->locals4;
    if (unlikely(could > 1 && a->s->sock[socket].any))
        udp_note(a->s, socket, ends, port);
}

#endif
