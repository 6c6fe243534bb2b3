/* SPDX-License-Identifier: MIT
 * What control.c, arp.c, nd.c, icmp.c and icmp_error.c share. */
#ifndef WEIR_STACK_CONTROL_INSIDE_H
#define WEIR_STACK_CONTROL_INSIDE_H

#include "stack/control.h"
#include "stack/inside.h"
#include "wire/arp.h"
#include "wire/icmp.h"

#define ND_TTL 255u /* RFC 4861, 7.1: no router has forwarded it */

/* Answers to what anybody can make us say are limited by kind, so that a flood of one kind does not
 * silence the others. */
struct control {
    struct limit found;   /* answers of ARP and neighbour discovery */
    struct limit echo;    /* echo replies */
    struct limit errors;  /* ICMP errors in all */
    struct limit paths;   /* of others' errors those that may make a path narrower */
    struct limits *each;  /* and to each destination */
    struct limits *known; /* of `found`, to each neighbour in use */
};

/* A token for an answer; false: there is none, counted. */
static inline bool control_may(struct stack *s, struct limit *limit, uint64_t now_ns)
{
    if (likely(limit_take(limit, now_ns)))
        return true;
    COUNT(s->counters, icmp_limited, 1);
    return false;
}

/* A token for an answer of ARP or neighbour discovery. Who is in use here has a bucket of its own: a
 * flood by strangers cannot make it forget us. What is asked in its name only tells it once more. */
bool control_may_find(struct stack *s, const uint8_t ip[16], const uint8_t mac[6], uint64_t now_ns);

/* Is the frame ours to write to? Else it is another worker's, or shared. */
static inline bool control_is_own(const struct stack *s, const struct weir_buf *frame)
{
    return frame->pool == s->pool && frame->refs == 1 && frame->section != WEIR_VIEW;
}

/* Can it not be a card's? A group's, or none at all: what is sent there would come to everybody, or
 * nobody. Our own is not refused: a TAP's two ends have one address by default. */
static inline bool control_mac_is_bad(const uint8_t mac[6])
{
    static const uint8_t zero[6];
    return mac_is_multicast(mac) || mac_equal(mac, zero);
}

/* A buffer of `bytes` (at most a small one's) to write a packet into, len set: the frame itself
 * where it can be, which may be NULL; it is taken over in any case. NULL: none left, counted. */
struct weir_buf *control_blank(struct stack *s, struct weir_buf *frame, uint32_t bytes);
/* The frame, or a copy of it that may be written to. NULL: none left, counted. */
struct weir_buf *control_own(struct stack *s, struct weir_buf *frame);
/* Our Ethernet header at `p`. */
void control_eth(const struct stack *s, uint8_t *p, const uint8_t to[6], uint16_t type);
/* An IPv4 header of ours at `p`, for `bytes` of ICMP. */
void control_ip4(struct stack *s, uint8_t *p, const uint8_t src[4], const uint8_t dst[4],
                 uint32_t bytes);
void control_ip6(uint8_t *p, const uint8_t src[16], const uint8_t dst[16], uint32_t bytes,
                 uint8_t hop_limit);
/* A neighbour says something: the cache learns, what waits goes. Returns false: spoofed. */
bool control_learn(struct stack *s, const uint8_t ip[16], const uint8_t *mac, unsigned says,
                   uint64_t now_ns);

/* arp.c, nd.c: send a request from our address `from`; to `mac` alone, or (NULL) to all. False: no
 * buffer is left, counted. */
bool arp_ask(struct stack *s, const struct local *from, const uint8_t ip[16], const uint8_t *mac);
bool nd_ask(struct stack *s, const struct local *from, const uint8_t ip[16], const uint8_t *mac);
/* nd.c: a solicitation or an advertisement of `n` bytes at `at`. Takes the frame over. */
void nd_in(struct stack *s, struct weir_buf *frame, const struct ip6 *ip, const uint8_t *at,
           uint32_t n, uint64_t now_ns);

/* icmp_error.c: an error told us about a packet that begins at `p`, of which there are `n` bytes.
 * `mtu` not NULL: it was too big for a path of that MTU. Counts. */
void error4_in(struct stack *s, const uint8_t *p, uint32_t n, const uint32_t *mtu, uint64_t now_ns);
void error6_in(struct stack *s, const uint8_t *p, uint32_t n, const uint32_t *mtu, uint64_t now_ns);

#endif
