/* SPDX-License-Identifier: MIT
 * What a frame backend is tested over: a network namespace of the program's own with a veth pair.
 *
 *      peers: kernel sockets                    engine: its own stack
 *     +----------------------+                 +----------------------+
 *     | wk 10.99.1.1/24      |====== veth =====| we 10.99.1.2         |
 *     |    fd99::1/64        |                 |    fd99::2           |
 *     +----------------------+                 +----------------------+
 *
 * xdp and dpdk open `we`. sim has its engine on one end of a wire; the bed carries frames between
 * the other end and `we`, whenever the peer or the bed does something. */
#ifndef WEIR_CONFORMANCE_NET_H
#define WEIR_CONFORMANCE_NET_H

#include <stdbool.h>

#include <weir.h>

/* Make the namespace and the pair, once a program. NULL, or why not: a SKIP. */
const char *net_make(void);
/* From now on peers and engine meet over the pair, or on loopback again. */
void net_use(bool pair);

/* The engine's options for `backend`; of sim a network of its own is made. */
void net_opt(const char *backend, struct weir_engine_opt *opt);
/* The engine's address, and the peers'. */
struct weir_addr net_engine_at(uint16_t port, bool ip6);
struct weir_addr net_peer_at(uint16_t port, bool ip6);
bool net_used(void);

/* Both sides learn the other's Ethernet address, as after a first exchange: `turn` turns the engine.
 * What happens until then is the stack's own affair, which its own tests look at. */
void net_meet(void (*turn)(void *), void *arg);

/* Carry frames between a sim's wire and the pair; nothing without a sim. */
void net_carry(void);
/* Forget the sim: its engine is closed. */
void net_done(void);

#endif
