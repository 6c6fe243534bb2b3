/* SPDX-License-Identifier: MIT
 * The cache of next hops: whose Ethernet address is it? ARP and neighbour discovery alike.
 *
 *                     use                answer                  30 s           use
 *     (nothing) --> INCOMPLETE ------------------> REACHABLE ----------> STALE ----> PROBE
 *                     | 3 tries                        ^--------------- answer --------'| 3 tries
 *                     '--> FAILED, for a second <---------------------------------------'
 *
 * One writer: worker 0's stack. Any thread may find, which takes no lock. What others can make this
 * cache do is bounded: at most `max` entries, a quarter of them learned from requests nobody asked
 * for and at most 100 of those a second, half of them unanswered, the oldest of which makes room; none
 * that was sent to in the last minute is evicted; a MAC that is known to be right changes only when
 * its owner was asked again and answers. */
#ifndef WEIR_STACK_NEIGHBOUR_H
#define WEIR_STACK_NEIGHBOUR_H

#include "base/base.h"
#include "stack/cells.h"
#include "stack/pmtu.h"
#include "stat/counter.h"

struct neighbours;
struct park;
struct stack;

struct neighbours_opt {
    uint32_t max; /* 4 .. 16,777,214 */
    uint64_t seed;
    struct counters *counters; /* the writer's */
};

enum neighbour_state { /* in this order: from STALE on the MAC is good to send to */
                       NEIGHBOUR_NONE,
                       NEIGHBOUR_FAILED,
                       NEIGHBOUR_INCOMPLETE,
                       NEIGHBOUR_STALE,
                       NEIGHBOUR_PROBE, /* RFC 4861's DELAY is PROBE before its first request */
                       NEIGHBOUR_REACHABLE,
                       NEIGHBOUR_TOLD /* by stack_neighbour: neither asked, evicted nor changed by traffic */
};

/* Errors  NULL with `why`: -EINVAL, -ENOMEM.  Cost allocates everything */
struct neighbours *neighbours_open(const struct neighbours_opt *opt, struct weir_why *why);
void neighbours_close(struct neighbours *n);

/* ---- any thread ------------------------------------------------------------------------------ */

/* Changes when the MAC of a neighbour that was sent to just now changes or is forgotten, and when the MTU of a path
 * changes: what was derived from them before is to be looked up anew.  Cost one load */
uint64_t neighbours_generation(const struct neighbours *n);
/* The state of `ip`; `mac` is written from STALE on, and the use noted. */
int neighbours_find(const struct neighbours *n, const uint8_t ip[16], uint8_t mac[6],
                    uint64_t now_ns);
/* Another worker reads this cache from now on: what it uses is looked for, once a second. */
void neighbours_share(struct neighbours *n);
bool neighbours_shared(const struct neighbours *n);
/* The MTUs of paths, which worker 0 learns and all read. */
struct pmtu *neighbours_pmtu(struct neighbours *n);
void neighbours_changed(struct neighbours *n); /* the writer's: a new generation */

/* ---- the writer ------------------------------------------------------------------------------ */

/* What waits in `park` for an entry ends with it. */
void neighbours_parks(struct neighbours *n, struct park *park);

/* As neighbours_find, for a packet that is to be sent: what is not known is asked for, what is
 * stale is probed. `number` (from FAILED on) names the entry as long as it lives. NEIGHBOUR_FAILED:
 * nobody answered in the last second. NEIGHBOUR_NONE: no entry to be had (neighbour_full). */
int neighbours_use(struct neighbours *n, const uint8_t ip[16], uint8_t mac[6], uint32_t *number,
                   uint64_t now_ns);

/* Is `ip` known by this MAC, and was it sent to? Not a use by itself. */
bool neighbours_in_use(const struct neighbours *n, const uint8_t ip[16], const uint8_t mac[6]);

/* What a packet says of a neighbour. */
#define NEIGHBOUR_ANSWERS 1u   /* it says that it answers a question */
#define NEIGHBOUR_OVERRIDES 2u /* ARP, or the override flag: the MAC replaces another */
#define NEIGHBOUR_ASKS 4u      /* it asks for us: it may be learned */
/* `mac` NULL: it does not say. Returns the entry's number where packets that wait for it may go now;
 * NO_CELL where there is nothing to do; *spoofed: refused, the caller counts it by protocol. */
uint32_t neighbours_learn(struct neighbours *n, const uint8_t ip[16], const uint8_t *mac,
                          unsigned says, bool *spoofed, uint64_t now_ns);

/* Somebody knows. Returns as neighbours_learn; NO_CELL also where all entries are others' (counted
 * neighbour_full). */
uint32_t neighbours_tell(struct neighbours *n, const uint8_t ip[16], const uint8_t mac[6],
                         uint64_t now_ns);
/* Returns the number that it had, or NO_CELL. */
uint32_t neighbours_forget(struct neighbours *n, const uint8_t ip[16]);

/* What is due: requests to send, failures. */
struct neighbour_task {
    uint32_t number;
    bool failed;  /* it did not answer; else it is to be asked */
    bool unicast; /* ask at `mac` alone; else everybody */
    uint8_t ip[16], mac[6];
};
/* Of one entry, at once. */
bool neighbours_step(struct neighbours *n, uint32_t number, struct neighbour_task *ret,
                     uint64_t now_ns);
/* What was to be asked did not leave: of one that is known that is no try. */
void neighbours_unsent(struct neighbours *n, uint32_t number);
/* Of all. False: nothing more. Limits how often: one request a second and neighbour, 1,000 in all. */
bool neighbours_due(struct neighbours *n, struct neighbour_task *ret, uint64_t now_ns);
uint64_t neighbours_next_ns(const struct neighbours *n); /* UINT64_MAX: never */

struct neighbours_stats {
    uint32_t count, unasked, unanswered;
};
void neighbours_stats(const struct neighbours *n, struct neighbours_stats *ret);

/* ---- as the rest of the stack sees it: control.c --------------------------------------------- */

/* Is the next hop known? Then its MAC, and when to ask again so that its use is noticed. */
bool neighbour_find(struct stack *s, const uint8_t ip[16], uint8_t mac[6], uint64_t *until_ns,
                    uint64_t now_ns);
/* Nobody answered in the last second. */
bool neighbour_failed(struct stack *s, const uint8_t ip[16], uint64_t now_ns);
/* stack_neighbour: parked packets go, or are dropped (mac NULL). */
void neighbour_told(struct stack *s, const uint8_t ip[16], const uint8_t *mac, uint64_t now_ns);

#endif
