/* SPDX-License-Identifier: MIT
 * What the neighbour cache is, for neighbour.c (states, time) and neighbour_learn.c (what packets
 * and persons say). */
#ifndef WEIR_STACK_NEIGHBOUR_INSIDE_H
#define WEIR_STACK_NEIGHBOUR_INSIDE_H

#include "stack/cells.h"
#include "stack/limit.h"
#include "stack/neighbour.h"

#define NEIGHBOURS_MIN 4u              /* a quarter of them is one */
#define NEIGHBOUR_DELAY_NS 5000000000u /* RFC 4861, 10: DELAY_FIRST_PROBE_TIME */
#define NEIGHBOUR_IDLE 60u /* ticks of about a second without a packet to it: evictable */
#define NEIGHBOUR_CACHED                                                                           \
    3u /* ticks: whoever keeps a MAC asks again each tick, so that its use is
                               noticed; then one of rounding, and one that clocks differ by */
#define NEIGHBOUR_NO_LINK UINT32_MAX

struct note {
    uint64_t due_ns;       /* when something is to be done, UINT64_MAX never */
    uint64_t asked_ns;     /* when it was asked last, 0 never */
    uint8_t tries;         /* questions since the state was entered */
    bool everybody;        /* the last of them was to everybody */
    bool unasked;          /* learned from a request, and not sent to since */
    uint32_t older, newer; /* of the same state, where that is FAILED or INCOMPLETE */
};

/* By when they came into their state. */
struct unanswered {
    uint32_t oldest, newest; /* NEIGHBOUR_NO_LINK: none */
};

struct neighbours {
    struct cells cells;
    _Atomic uint64_t generation; /* pairs N1, neighbour.c */
    _Atomic bool shared;         /* neighbours_share */
    bool watching;               /* what shared means was done */
    struct note *note;
    struct counters *counters;
    struct pmtu *paths;
    struct park *park; /* may be NULL */
    struct limit requests, strangers;
    struct unanswered failed, incomplete;
    uint32_t unasked, unanswered;
    uint64_t random, next_ns;
    uint64_t now_ns;          /* the latest that we were told */
    uint64_t earliest_ns;     /* of what this walk has seen */
    uint32_t walk, walk_left; /* the next entry of the walk, and how many are left of it */
};

/* A cell's word: the MAC's bytes from the lowest on, and above them the state. */
#define WORD_MAC 0xffffffffffffu

static inline uint64_t word_of(int state, const uint8_t mac[6])
{
    uint64_t word = 0;
    memcpy(&word, mac, 6);
    return word | (uint64_t)state << 48;
}
static inline int word_state(uint64_t word)
{
    return (int)(word >> 48);
}
static inline void word_mac(uint64_t word, uint8_t mac[6])
{
    memcpy(mac, &word, 6);
}
static inline int neighbour_state(const struct neighbours *n, uint32_t number)
{
    return word_state(cells_word(&n->cells, number));
}

/* neighbour.c, neighbour_time.c */
void neighbour_due_at(struct neighbours *n, uint32_t number, uint64_t due_ns);
void neighbour_set(struct neighbours *n, uint32_t number, int state, const uint8_t mac[6]);
void neighbour_remove(struct neighbours *n, uint32_t number);
/* Room for one more: an idle entry goes, of at most `steps` that are looked at; `unasked`: only one
 * that nobody asked for. */
bool neighbour_evict(struct neighbours *n, unsigned steps, bool unasked, uint64_t now_ns);
/* NO_CELL: the cache is full, counted. */
uint32_t neighbour_new(struct neighbours *n, const uint8_t ip[16], int state, const uint8_t mac[6]);
void neighbour_asked_for(struct neighbours *n, uint32_t number); /* no longer `unasked` */
void neighbour_probe(struct neighbours *n, uint32_t number, uint64_t due_ns);
void neighbour_confirm(struct neighbours *n, uint32_t number, const uint8_t mac[6],
                       uint64_t now_ns);
void neighbour_stale(struct neighbours *n, uint32_t number, const uint8_t mac[6], uint64_t now_ns);

#endif
