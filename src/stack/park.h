/* SPDX-License-Identifier: MIT
 * Packets that wait for a neighbour: RFC 1122, section 2.3.2.2 (save at least the latest one).
 *
 * Bounded for each neighbour and in all; the oldest makes room. A packet's neighbour is the number
 * of its entry in the cache, which lives as long as packets wait for it. */
#ifndef WEIR_STACK_PARK_H
#define WEIR_STACK_PARK_H

#include "base/base.h"
#include "stat/counter.h"

#include <weir/buf.h>

struct park;
struct stack;

#define PARK_EACH                                                                                  \
    128u /* packets a neighbour: 65,507 bytes at an MTU of 576 are 119 of them; Linux keeps
                            212,992 bytes (unres_qlen_bytes) */
#define PARK_ALL 256u /* in all, so that they hold a bounded part of the pool */

struct park_opt {
    uint32_t neighbours, each, all;
    struct counters *counters;
};

struct park *park_open(const struct park_opt *opt, struct weir_why *why);
void park_close(struct park *p); /* what waits is dropped */

/* Takes `packet` over (APP, refs 1). The oldest makes room where there are too many (park_full). */
void park_add(struct park *p, uint32_t neighbour, struct weir_buf *packet);
/* The oldest of a neighbour's, now the caller's; NULL: none. */
struct weir_buf *park_take(struct park *p, uint32_t neighbour);
/* The neighbour does not answer: what waits is dropped (neighbour_failed). */
void park_fail(struct park *p, uint32_t neighbour);
uint32_t park_count(const struct park *p);

/* As the rest of the stack sees it: takes over a packet (APP, refs 1, data at the IP header,
 * ETH_BYTES of headroom) for `hop`, and begins to resolve it. */
void park_put(struct stack *s, const uint8_t hop[16], struct weir_buf *packet, uint64_t now_ns);

#endif
