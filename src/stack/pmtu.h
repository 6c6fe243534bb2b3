/* SPDX-License-Identifier: MIT
 * The MTU of paths that told us that a packet was too big: RFC 1191, RFC 8201.
 *
 * One writer, readers on any thread (cells.h). It only becomes smaller, never below the floor of its
 * family, and is forgotten after ten minutes, so that a path that became wider is found again. */
#ifndef WEIR_STACK_PMTU_H
#define WEIR_STACK_PMTU_H

#include "base/base.h"

struct pmtu;
struct stack;

#define PMTU_FLOOR4 576u             /* RFC 791: what every host must take; Linux has 552 */
#define PMTU_FLOOR6 1280u            /* RFC 8200, section 5 */
#define PMTU_EXPIRY_NS 600000000000u /* RFC 8201, section 4: 10 minutes; RFC 1191, section 6.3 */

/* At most `max` paths. NULL with `why`.  Cost allocates everything */
struct pmtu *pmtu_open(uint32_t max, uint64_t seed, struct weir_why *why);
void pmtu_close(struct pmtu *p);

/* Bytes of an IP packet, 0: nothing is known.  Thread any.  Cost one load while no path is known */
uint32_t pmtu_get(const struct pmtu *p, const uint8_t ip[16], uint64_t now_ns);
/* A path told `mtu` for packets of `packet` bytes (0: not known). True: the path is narrower now.
 * False: not smaller than what is known, below the floor already, or all entries are in use. */
bool pmtu_learn(struct pmtu *p, const uint8_t ip[16], uint32_t mtu, uint32_t packet,
                uint64_t now_ns);
/* Forget what is too old. True: something was. */
bool pmtu_expire(struct pmtu *p, uint64_t now_ns);
uint64_t pmtu_next_ns(const struct pmtu *p);
uint32_t pmtu_count(const struct pmtu *p);

/* As the rest of the stack sees it: 0 where nothing is known. */
uint32_t pmtu_find(const struct stack *s, const uint8_t ip[16], uint64_t now_ns);

#endif
