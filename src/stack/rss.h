/* SPDX-License-Identifier: MIT
 * Receive-side scaling by hand: which flow is a frame of, before any stack has parsed it? Pure, and
 * only as careful as it must be: a frame that lies is told from an honest one by the stack of
 * whichever worker gets it. */
#ifndef WEIR_STACK_RSS_H
#define WEIR_STACK_RSS_H

#include "base/attr.h"

#include <weir/buf.h>

#define RSS_SYMMETRIC                                                                              \
    0x6d5au /* repeated; Woo and Park, "Scalable TCP Session Monitoring with
                                 Symmetric Receive-side Scaling", 2012 */

/* The Toeplitz hash of `bytes` bytes under a key of at least bytes + 4: Microsoft, "RSS Hashing
 * Functions". Slow: a step a bit. */
uint32_t rss_toeplitz(const uint8_t *key, const uint8_t *input, size_t bytes);

/* The same under the symmetric key, of two mapped addresses and two ports: both directions of a flow
 * have one hash. IPv4 hashes its 4 + 4 + 2 + 2 bytes. That key repeats after 16 bits, so a bit's
 * share depends on its place in its word alone, and the words may be added first. */
uint32_t rss_symmetric(const uint8_t *addresses, size_t bytes, const uint8_t ports[4]);

struct rss_flow {
    uint32_t hash;
    uint16_t port;     /* that it goes to */
    uint8_t to_bytes;  /* 4 or 16 */
    const uint8_t *to; /* the address, in the frame */
};

/* False: it is no whole UDP packet (ARP, ICMP, fragments, extension headers, nonsense).
 * Cost  about 30 cycles once the header is in the cache */
bool rss_flow(const uint8_t *frame, uint32_t len, struct rss_flow *ret);

#endif
