/* SPDX-License-Identifier: MIT
 * Our own UDP/IP stack: frames in, datagrams out, and the other way.
 *
 *     frame -> stack_in -> datagram of a socket           (the engine emits it)
 *                     \-> our answers, in the out queue -> stack_out
 *     datagram -> stack_udp_out -> frames                 (or parked until a neighbour is known)
 *
 * No system call and no clock: now_ns comes in, so that all of it runs in virtual time. Everything
 * is allocated by stack_open; every table is bounded; every frame that ends here ends in a counter.
 *
 * Several workers of one device have a stack each. That of worker 0 answers, resolves and
 * reassembles; the others give it what is its affair (stack_handed) and read its neighbours
 * (stack_opt.shared). */
#ifndef WEIR_STACK_H
#define WEIR_STACK_H

#include "buf/frame.h"
#include "buf/pool.h"
#include "stat/counter.h"

#include <weir/frames.h>

struct stack;
struct neighbours; /* stack/neighbour.h: the cache; one writer, any number of readers */

struct stack_opt {
    struct weir_pool *pool;
    struct counters *counters;
    uint8_t mac[6];
    uint32_t mtu; /* bytes of an IP packet: 576 .. 65,535; below 1,280 there is no IPv6 */
    const struct weir_net *address;
    uint32_t addresses;
    const struct weir_route *route;
    uint32_t routes;
    /* Own-address mode: we answer ARP, neighbour discovery and echo requests, say that a port is
     * unreachable, and resolve neighbours. Else the kernel does, and the backend tells what it
     * knows (stack_neighbour); what is not known is asked for by stack_wanted. */
    bool answers;
    bool tx_checksum;        /* the device completes transport checksums */
    uint32_t gather_bytes;   /* payloads that may not be written to and are at least this long leave
                                as header + body; 0 = never: always copied behind fresh headers */
    uint32_t sockets_max;    /* numbers of sockets are 0 .. this - 1 */
    uint32_t neighbours_max; /* 0 = 1,024 */
    uint32_t fragments_max;  /* 0 = 64 */
    uint64_t reassembly_ns;  /* 0 = 30 s: RFC 1122, 3.3.2 says 60 to 120; Linux 30 */
    uint64_t seed;           /* not 0 */
    unsigned worker;         /* 0, or one that hands over */
    struct neighbours *shared; /* worker 0's; NULL: this stack makes its own */
    /* A port that is not bound here: may be at another worker. NULL datagram: is it? Else it takes
     * the datagram (as in stack_datagram) over and returns true, though the port may be closed by
     * then. NULL: there are no others. */
    bool (*elsewhere)(void *arg, const struct weir_addr *local, struct weir_buf *datagram);
    void *elsewhere_arg;
};

/* Errors  NULL with `why`: -EINVAL addresses, routes, mtu; -ENOMEM.  Cost allocates everything */
struct stack *stack_open(const struct stack_opt *opt, struct weir_why *why);
/* Parked and half reassembled packets are dropped. */
void stack_close(struct stack *s);

/* ---- sockets -------------------------------------------------------------------------------- */

/* Bind UDP socket number `socket` to `local`: one of our addresses or a wildcard (the IPv6 wildcard
 * serves IPv4 as well); port 0 takes a free one of 32,768 .. 60,999. *ret gets the address: a
 * wildcard with exactly one of our addresses it could mean, is that address.
 * Errors  -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL */
int stack_bind(struct stack *s, uint32_t socket, const struct weir_addr *local,
               struct weir_addr *ret);
void stack_unbind(struct stack *s, uint32_t socket);
/* Is `ip` one of our addresses? */
bool stack_owns(const struct stack *s, const uint8_t ip[16]);
/* The socket that serves this address of ours and port. False: none does. */
bool stack_whose(const struct stack *s, const struct weir_addr *at, uint32_t *socket);

/* ---- frames in ------------------------------------------------------------------------------ */

struct stack_datagram {
    struct weir_buf *buf; /* data: the payload, peer: the source; state APP, refs 1 */
    uint32_t socket;
    uint32_t reserved;
    uint64_t rx_ns; /* the device's time, 0: none */
};

/* Take over `n` frames (state APP, refs 1, frame_meta set). Returns how many datagrams are in
 * `ret`, at most n; the other frames were dropped (each counted), answered in place, parked, or wait
 * in stack_handed.
 * Cost  below 60 cycles a UDP frame with a valid checksum told by the device, in bursts */
unsigned stack_in(struct stack *s, struct weir_buf **frames, unsigned n, struct stack_datagram *ret,
                  uint64_t now_ns);

/* ---- frames out ----------------------------------------------------------------------------- */

/* Frames for one queued datagram of `socket`, whose tx reference is the caller's; `ret` has room
 * for `room` frames.
 * Shape   buf->len <= 65,507 (IPv6: 65,527). Headers go in front of data where the buffer is ours
 *         alone (one reference, no view) and has the headroom; else the payload is copied behind
 *         fresh ones (counted) or follows as body; larger than the path's MTU: fragments, copied
 * Returns the number of frames: the tx reference went with them. 0: it was taken over and parked
 *         for a neighbour, or handed to worker 0.
 * Errors  -ENOBUFS `room` or the pool is too small just now (nothing changed); else the datagram
 *         cannot be sent: -ENETUNREACH, -EHOSTUNREACH, -EMSGSIZE, -EAFNOSUPPORT, -EINVAL; not
 *         taken, and not counted: the caller does both
 * Cost    below 60 cycles, neighbour known */
int stack_udp_out(struct stack *s, uint32_t socket, struct weir_buf *buf,
                  const struct weir_addr *to, struct tx_frame *ret, unsigned room, uint64_t now_ns);

/* The same of the first of a burst, as long as each needs one frame only and its way is known; room
 * for `n` of them. Where it stops, stack_udp_out says why. */
struct stack_send {
    struct weir_buf *buf;
    const struct weir_addr *to;
};
struct stack_sent {
    uint64_t packets, bytes; /* of payload */
};
struct stack_sent stack_udp_burst(struct stack *s, uint32_t socket, const struct stack_send *send,
                                  unsigned n, struct tx_frame *ret, uint64_t now_ns);

/* Frames of the stack's own: answers, requests, parked packets whose neighbour is known now. Each
 * has its tx reference. Returns how many, at most `room`. */
unsigned stack_out(struct stack *s, struct tx_frame *ret, unsigned room);
bool stack_has_out(const struct stack *s);

/* Datagrams that our own sockets sent to our own addresses: copied, never on the wire. Returns how
 * many, at most n. */
unsigned stack_looped(struct stack *s, struct stack_datagram *ret, unsigned n);
bool stack_has_looped(const struct stack *s);

/* Largest payload that leaves in one packet to `to`. */
uint32_t stack_udp_fit(const struct stack *s, const struct weir_addr *to);

/* ---- time ----------------------------------------------------------------------------------- */

/* Retries, expiries. Call when now_ns >= stack_next_ns; UINT64_MAX: nothing is due ever. */
void stack_tick(struct stack *s, uint64_t now_ns);
uint64_t stack_next_ns(const struct stack *s);

/* ---- what others know ----------------------------------------------------------------------- */

/* A neighbour as the kernel or a person knows it; mac NULL: forget it. Not evicted by traffic. */
void stack_neighbour(struct stack *s, const uint8_t ip[16], const uint8_t *mac, uint64_t now_ns);
/* The next hop that somebody else has to resolve (not opt.answers). False: none. */
bool stack_wanted(struct stack *s, uint8_t ip[16]);

/* ---- several workers ------------------------------------------------------------------------ */

/* Frames that are worker 0's affair: ARP, ICMP, fragments, and packets that wait for a neighbour
 * (FRAME_OUTWARD: data begins with the IP header). At most `max`; the caller passes each on. */
unsigned stack_handed(struct stack *s, struct weir_buf **ret, unsigned max);
/* Worker 0: such frames of another worker's (foreign buffers: they go home by weir_buf_drop, and
 * what is kept of them is copied). Datagrams that result (reassembled) are told as by stack_in.
 * Returns how many are in `ret`, at most n. */
unsigned stack_take_over(struct stack *s, struct weir_buf **frames, unsigned n,
                         struct stack_datagram *ret, uint64_t now_ns);
struct neighbours *stack_neighbours(struct stack *s);

#endif
