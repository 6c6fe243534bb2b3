/* SPDX-License-Identifier: MIT
 * Which worker serves which flows: buckets of the flow hash, and when one of them moves. Pure: no
 * clock, no thread, so that its decisions can be tested.
 *
 * Once a period the caller says how loaded each worker was. Where the most loaded has more than
 * 25 % more than the least, for two periods in a row and about the same two workers, some of its
 * buckets are proposed to move: never one that would turn the two around, and never one that moved
 * in the last 16 periods, so that nothing goes back and forth. */
#ifndef WEIR_ENGINE_BALANCE_H
#define WEIR_ENGINE_BALANCE_H

#include "base/attr.h"

#define BUCKETS 256u    /* a power of two; NICs' indirection tables have 128 to 512 entries */
#define BALANCE_MAX 64u /* workers */
#define MOVES_MAX 8u    /* of a period */

struct balance {
    uint8_t worker[BUCKETS]; /* who serves it; the caller changes it when a move is done */
    uint32_t hits[BUCKETS];  /* packets, halved each period */
    uint32_t rests[BUCKETS]; /* until this period it stays where it is */
    uint32_t period;
    uint8_t high, low, skewed; /* the two that differ most, and for how many periods so far */
};

struct bucket_move {
    uint16_t bucket;
    uint8_t from, to;
};

/* The buckets go round among the `n` workers in `members`. */
void balance_open(struct balance *b, const uint8_t *members, unsigned n);

static inline unsigned balance_bucket(uint32_t hash)
{
    return hash & (BUCKETS - 1);
}

/* A period is over. load[worker] in any unit; below `least` the highest is no reason for anything.
 * Returns how many moves are in `ret`, at most MOVES_MAX. */
unsigned balance_period(struct balance *b, const uint64_t *load, const uint8_t *members, unsigned n,
                        uint64_t least, struct bucket_move *ret);

#endif
