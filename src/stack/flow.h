/* SPDX-License-Identifier: MIT
 * Headers ready to be copied: one entry a socket and peer.
 *
 * Direct-mapped: two peers that share a place take turns, which costs a look-up and is never wrong.
 * An entry is right while its generation is the present one; a socket's number that is used again
 * has another epoch. */
#ifndef WEIR_STACK_FLOW_H
#define WEIR_STACK_FLOW_H

#include "stack/inside.h"
#include "stack/neighbour.h"

#define FLOW_BITS 14u /* 16,384 entries, 2 MiB: more than 10,000 players */
#define FLOWS (1u << FLOW_BITS)

struct flow {
    uint8_t head[64]; /* Ethernet, IP, UDP; lengths and checksums 0 */
    uint8_t ip[16];   /* the key: peer, socket */
    uint16_t port;
    uint8_t from; /* number in s->local + 1 of where the peer's last datagram came to; 0: none */
    uint8_t head_bytes;
    uint32_t socket;
    uint64_t generation; /* 0: the head is not made */
    uint64_t until_ns;   /* then the neighbour's use is to be noticed */
    uint32_t epoch;
    uint16_t fit;      /* largest payload that needs no fragments */
    uint16_t mtu;      /* of the path */
    uint32_t pseudo;   /* sum of addresses and protocol */
    uint32_t rest_sum; /* of the ports; and, for IPv4, ... */
    uint32_t ip_sum;   /* ... of the IP header without its length */
    uint32_t reserved;
};

_Static_assert(sizeof(struct flow) == 2 * CACHE_LINE, "a pair of lines");

static inline uint64_t flow_generation(const struct stack *s)
{
    return s->generation + neighbours_generation(s->near); /* both only grow */
}

static inline struct flow *flow_place(const struct stack *s, uint32_t socket, const uint8_t ip[16],
                                      uint16_t port)
{
    uint64_t a, b;
    memcpy(&a, ip, 8);
    memcpy(&b, ip + 8, 8);
    uint64_t h = a ^ (b * 0x9e3779b97f4a7c15ull); /* Knuth's multiplicative hashing, 2^64 / phi */
    h = (h ^ ((uint64_t)port << 32 | socket) ^ s->flow_seed) *
        0xff51afd7ed558ccdull; /* MurmurHash3 */
    return &s->flow[h >> (64 - FLOW_BITS)];
}

static inline bool flow_is(const struct stack *s, const struct flow *f, uint32_t socket,
                           const uint8_t ip[16], uint16_t port)
{
    return f->socket == socket && f->port == port && ip_equal(f->ip, ip) &&
           f->epoch == s->sock[socket].epoch;
}

/* The entry of `socket` and peer, evicting another. */
struct flow *flow_take(struct stack *s, uint32_t socket, const uint8_t ip[16], uint16_t port);
/* The headers from hop->from to the peer over `mac`; `mtu` is the path's. */
void flow_make(struct stack *s, struct flow *f, const struct hop *hop, const uint8_t mac[6],
               uint32_t mtu);

#endif
