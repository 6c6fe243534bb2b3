/* SPDX-License-Identifier: MIT
 * Headers ready to be copied: one entry a socket and peer.
 *
 * Direct-mapped: two peers that share a place take turns, which costs a look-up and is never wrong,
 * because which of our addresses a peer asked is not kept here alone: where there are several, a table
 * of its own has it (flow_note), eight peers a set, of which the one longest unheard of makes room.
 * Both are keyed by what strangers do not know, so nobody can aim at another's place.
 * An entry is right while its generation is the present one; a socket's number that is used again
 * has another epoch. */
#ifndef WEIR_STACK_FLOW_H
#define WEIR_STACK_FLOW_H

#include "stack/inside.h"
#include "stack/neighbour.h"

#define FLOW_BITS 14u /* 16,384 entries, 2 MiB: more than 10,000 players */
#define FLOWS (1u << FLOW_BITS)
#define FROM_BITS 12u /* 4,096 sets of a cache line, 256 KiB: of 10,000 peers few sets overflow */
#define FROM_SETS (1u << FROM_BITS)
#define FROM_WAYS 8u

struct flow {
    uint8_t head[64]; /* Ethernet, IP, UDP; lengths and checksums 0 */
    uint8_t ip[16];   /* the key: peer, socket */
    uint16_t port;
    uint8_t from; /* number in s->local + 1 of the head's source; 0: not made */
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

/* As cells_key. Port and socket change what an address's owner cannot choose: its first bytes. */
static inline uint64_t flow_hash(const struct stack *s, uint32_t socket, const uint8_t ip[16],
                                 uint16_t port)
{
    uint64_t a, b;
    memcpy(&a, ip, 8);
    memcpy(&b, ip + 8, 8);
    __extension__ typedef unsigned __int128 u128;
    a ^= (uint64_t)socket << 16 | port;
    u128 product = (u128)(a ^ s->flow_seed[0]) * (b ^ s->flow_seed[1]);
    uint64_t h = (uint64_t)product ^ (uint64_t)(product >> 64);
    return (h ^ h >> 32) * 0xff51afd7ed558ccdull; /* MurmurHash3: ports in order spread as well */
}

static inline struct flow *flow_place(const struct stack *s, uint32_t socket, const uint8_t ip[16],
                                      uint16_t port)
{
    return &s->flow[flow_hash(s, socket, ip, port) >> (64 - FLOW_BITS)];
}

static inline bool flow_is(const struct stack *s, const struct flow *f, uint32_t socket,
                           const uint8_t ip[16], uint16_t port)
{
    return f->socket == socket && f->port == port && ip_equal(f->ip, ip) &&
           f->epoch == s->sock[socket].epoch;
}

/* The peer's datagrams come to our address number `from` (in s->local, + 1): a wildcard answers from
 * there. */
void flow_note(struct stack *s, uint32_t socket, const uint8_t ip[16], uint16_t port, uint8_t from);
/* Which it was; 0: not known. */
uint8_t flow_noted(const struct stack *s, uint32_t socket, const uint8_t ip[16], uint16_t port);
/* The entry of `socket` and peer, evicting another. */
struct flow *flow_take(struct stack *s, uint32_t socket, const uint8_t ip[16], uint16_t port);
/* The headers from hop->from to the peer over `mac`; `mtu` is the path's. */
void flow_make(struct stack *s, struct flow *f, const struct hop *hop, const uint8_t mac[6],
               uint32_t mtu);

#endif
