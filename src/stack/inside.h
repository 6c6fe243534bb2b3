/* SPDX-License-Identifier: MIT
 * What a stack is, for the files of this room.
 *
 *   in.c       frame -> eth, ip -> udp_in | arp_in | icmp4_in | icmp6_in | reassembly | handed list
 *   socket.c   port -> socket            route.c  destination -> our address, next hop
 *   flow.c     socket + peer -> headers ready to be copied
 *   out.c      datagram -> frames        park.c   packets that wait for a neighbour
 *   control.c  our answers and requests -> stack_push -> stack_out
 *
 * IPv4 addresses are mapped (::ffff:a.b.c.d) everywhere but in headers.
 *
 * Buffers: `*_in` functions take over the frame (state APP, refs 1): they answer in place, keep it,
 * or drop it. One whose pool is not s->pool is another worker's: it is only read, what is kept of
 * it is copied, and weir_buf_drop sends it home. */
#ifndef WEIR_STACK_INSIDE_H
#define WEIR_STACK_INSIDE_H

#include "base/base.h"
#include "stack/keys.h"
#include "stack/stack.h"
#include "wire/checksum.h"
#include "wire/eth.h"
#include "wire/ip6.h"
#include "wire/udp.h"

#define NO_SOCKET UINT32_MAX
#define IP_TTL 64u      /* RFC 1700 (ASSIGNED NUMBERS): the recommended default */
#define OUT_MAX 1024u   /* frames of our own that wait for stack_out; a power of two */
#define HANDED_MAX 256u /* frames that wait for stack_handed; a power of two */
#define WANTED_MAX 64u  /* next hops that wait for stack_wanted; a power of two */
#define LOOPED_MAX 256u /* datagrams to ourselves that wait for stack_looped; a power of two */
#define ID_PLACES 1024u /* counters of identifications; a power of two; 4 KiB */
#define IP4_HEAD (ETH_BYTES + IP4_BYTES + UDP_BYTES)
#define IP6_HEAD (ETH_BYTES + IP6_BYTES + UDP_BYTES)

/* One of our addresses. */
struct local {
    uint8_t ip[16];
    uint8_t prefix; /* of 128 */
    bool ip4;
    uint8_t broadcast[4]; /* of its IPv4 subnet; all zero where it has none (/31, /32: RFC 3021) */
};

/* Where a packet to some address goes. */
struct hop {
    uint8_t ip[16];           /* the next hop: the destination itself, or a gateway */
    const struct local *from; /* the address that we send from */
    bool self;                /* it is for ourselves */
    bool known;               /* multicast, broadcast: `mac` is right and nobody is asked */
    uint8_t mac[6];
};

struct sock {
    uint8_t ip[16];   /* as asked for: what is served; all zero: the IPv6 wildcard */
    uint8_t told[16]; /* as told: a wildcard with one meaning is that address */
    uint16_t port;    /* 0: not bound */
    uint8_t rank;   /* 0 one address, 1 all of IPv4, 2 all; the chain of a port is in this order */
    bool any;       /* rank > 0 */
    uint32_t next;  /* of the same port: socket number + 1, 0 = the last */
    uint32_t epoch; /* which of its uses this is */
    /* socket_serves of IPv4, in one step: where mask4 is set, the address is ip4, as it lies in
     * memory. Of one address of IPv6 that is 0, which no address of ours is. */
    uint32_t ip4, mask4;
};

struct flow;
struct reassembly;
struct park;
struct pmtu;

struct stack {
    /* What each datagram touches. */
    uint8_t mac[6];
    bool answers, tx_checksum;
    uint8_t locals, locals4;
    /* Our IPv4 addresses and their subnets' broadcasts, as they lie in memory. */
    uint32_t ip4[WEIR_NETS_MAX], broadcast4[WEIR_NETS_MAX];
    uint32_t sockets_max;
    uint32_t *port; /* 65,536: first socket number + 1 of a port, 0 = none */
    struct sock *sock;
    struct counters *counters;
    struct weir_pool *pool;
    struct flow *flow; /* FLOWS of them */
    uint64_t flow_seed[2];
    uint64_t *from;          /* FROM_SETS * FROM_WAYS: where peers' datagrams came to, flow.h */
    struct neighbours *near; /* own, or opt.shared */
    uint64_t generation;     /* of routes, sockets and path MTUs: flows of an older one are stale */
    struct local local[WEIR_NETS_MAX];

    struct stack_opt opt; /* zero fields resolved; address and route point to copies */
    void *flow_memory;
    struct weir_net address[WEIR_NETS_MAX];
    struct weir_route route[WEIR_ROUTES_MAX];
    uint32_t small_room;  /* bytes behind the headroom of a small buffer */
    uint64_t now_ns;      /* the latest that we were told */
    struct secret secret; /* what nobody else may know comes from it: keys.h */
    struct secret id_key, id_place;
    uint64_t drawn;          /* numbers that stack_random gave */
    uint32_t ids[ID_PLACES]; /* RFC 7739, 5.2: counters of identifications */

    /* Rings of one thread: `head` is where the next is put, `tail` where it is taken. */
    uint32_t out_head, out_tail, handed_head, handed_tail, wanted_head, wanted_tail, looped_head,
        looped_tail;
    struct weir_buf *out[OUT_MAX]; /* complete frames, state TX */
    struct weir_buf *handed[HANDED_MAX];
    uint8_t wanted[WANTED_MAX][16];
    struct stack_datagram looped[LOOPED_MAX];

    /* Of neighbour.c, park.c, pmtu.c, reassembly.c, limit.c. */
    struct park *park;
    struct pmtu *pmtu;
    struct reassembly *parts;
    struct control *control; /* whatever control.c keeps: buckets and the like */
};

static inline bool ip_is_4(const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(ip, mapped, 12) == 0;
}
static inline void ip_from_4(uint8_t ret[16], const uint8_t ip4[4])
{
    memset(ret, 0, 10);
    ret[10] = ret[11] = 0xff;
    memcpy(ret + 12, ip4, 4);
}
static inline bool ip_equal(const uint8_t a[16], const uint8_t b[16])
{
    return memcmp(a, b, 16) == 0;
}
static inline bool ip_is_zero(const uint8_t ip[16])
{
    static const uint8_t zero[16];
    return ip_equal(ip, zero);
}

/* The same seed makes the same ports and keys. */
static inline uint64_t stack_random(struct stack *s)
{
    return secret_number(&s->secret, KEY_NUMBERS, s->drawn++);
}

/* The identification of the next packet from `src` to `dst` that is, or may be, fragmented: a keyed
 * hash of the two, and a counter, so that one's do not tell another's: RFC 7739, 5.2; RFC 6274,
 * 3.5.2.1 (IPv4). */
static inline uint32_t stack_id(struct stack *s, const uint8_t src[16], const uint8_t dst[16])
{
    uint8_t ends[32];
    memcpy(ends, src, 16);
    memcpy(ends + 16, dst, 16);
    uint64_t place = siphash(&s->id_place, ends, sizeof ends) % ID_PLACES;
    return (uint32_t)siphash(&s->id_key, ends, sizeof ends) + s->ids[place]++;
}
static inline uint32_t stack_id4(struct stack *s, const uint8_t src[4], const uint8_t dst[4])
{
    uint8_t from[16], to[16];
    ip_from_4(from, src);
    ip_from_4(to, dst);
    return stack_id(s, from, to);
}

/* Routes, or a path's MTU changed: cached headers are looked up anew. Not for neighbours, whose
 * cache has a generation of its own (neighbours_generation), because other workers read it. */
static inline void stack_changed(struct stack *s)
{
    s->generation++;
}

/* ---- stack.c -------------------------------------------------------------------------------- */

/* A complete frame (state APP, refs 1) leaves with the next stack_out; dropped, and counted as
 * tx_ring_full, where too many wait. Takes it over. */
void stack_push(struct stack *s, struct weir_buf *frame);
/* Not worker 0: what is worker 0's affair waits for stack_handed, or is dropped and counted. */
void stack_hand(struct stack *s, struct weir_buf *buf);
/* Not opt.answers: somebody else has to resolve `ip`. The caller limits how often. */
void stack_want(struct stack *s, const uint8_t ip[16]);

/* ---- route.c -------------------------------------------------------------------------------- */

int routes_open(struct stack *s, struct weir_why *why);
/* Our address `ip`, or NULL. */
const struct local *local_find(const struct stack *s, const uint8_t ip[16]);
/* The address of ours whose prefix `ip` lies in, or NULL: is it on the link? */
const struct local *local_on_link(const struct stack *s, const uint8_t ip[16]);
/* IPv4: limited or one of our subnets' broadcast. */
bool local_is_broadcast(const struct stack *s, const uint8_t ip4[4]);
/* Next hop and our source towards `to`; `from` not NULL: that is the source.
 * Returns 0, -ENETUNREACH, -EINVAL (no destination: zero, loopback) */
int route_find(const struct stack *s, const uint8_t to[16], const struct local *from,
               struct hop *ret);
/* Does an Ethernet destination that is not our MAC belong to one of our groups? */
bool mac_is_our_group(const struct stack *s, const uint8_t mac[6]);
/* IPv6: all nodes, or the solicited-node group of an address of ours. */
bool group_is_ours(const struct stack *s, const uint8_t ip[16]);
/* May a packet come from `ip`? Not from multicast, broadcast, loopback, nowhere, ourselves. */
bool source_is_good(const struct stack *s, const uint8_t ip[16]);

/* ---- socket.c ------------------------------------------------------------------------------- */

static inline bool socket_serves(const struct sock *sock, const uint8_t ip[16])
{
    return sock->rank == 2 || (sock->rank == 1 ? ip_is_4(ip) : ip_equal(sock->ip, ip));
}
/* Who serves `ip` and `port`: the most specific; NO_SOCKET. */
static inline uint32_t socket_find(const struct stack *s, const uint8_t ip[16], uint16_t port)
{
    for (uint32_t at = s->port[port]; at; at = s->sock[at - 1].next)
        if (socket_serves(&s->sock[at - 1], ip))
            return at - 1;
    return NO_SOCKET;
}

/* The same for the IPv4 address `ip4`, as it lies in memory, which is one of ours. */
static inline uint32_t socket_find4(const struct stack *s, uint32_t ip4, uint16_t port)
{
    for (uint32_t at = s->port[port]; at; at = s->sock[at - 1].next)
        if (((ip4 ^ s->sock[at - 1].ip4) & s->sock[at - 1].mask4) == 0)
            return at - 1;
    return NO_SOCKET;
}

/* ---- out.c ---------------------------------------------------------------------------------- */

/* Datagrams to ourselves that nobody took yet, of a socket that is no more: dropped. */
void looped_forget(struct stack *s, uint32_t socket);

/* ---- in.c ----------------------------------------------------------------------------------- */

/* Source and destination of a packet, mapped, and whether it is for us alone. */
struct ends {
    uint8_t src[16], dst[16];
    bool unicast;
};

static inline void frame_drop(struct weir_buf *buf)
{
    weir_buf_drop(&buf, 1);
}

/* ---- control.c: takes each frame over; `l3` is where in it the IP header begins -------------- */

void arp_in(struct stack *s, struct weir_buf *frame, const struct eth *eth, uint64_t now_ns);
void icmp4_in(struct stack *s, struct weir_buf *frame, const struct ip4 *ip, size_t l3,
              uint64_t now_ns);
void icmp6_in(struct stack *s, struct weir_buf *frame, const struct ip6 *ip, size_t l3,
              uint64_t now_ns);
/* Nobody opened the port of this UDP packet to our own (unicast) address, and it is counted
 * already: tell the sender, by its limit. Takes the frame over. */
void icmp4_no_port(struct stack *s, struct weir_buf *frame, const struct ip4 *ip, size_t l3,
                   uint64_t now_ns);
void icmp6_no_port(struct stack *s, struct weir_buf *frame, const struct ip6 *ip, size_t l3,
                   uint64_t now_ns);

/* Of a datagram of 65,507 bytes 45 packets wait at an MTU of 1,500, 119 at 576: park.h should let
 * one neighbour have that many, or the first large datagram to a new peer is always lost. */

#endif
