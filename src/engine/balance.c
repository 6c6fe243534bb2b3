/* SPDX-License-Identifier: MIT
 * Moving buckets; the rule is in balance.h.
 *
 * A bucket's share of its worker's load is its share of the worker's packets. That is too much
 * where the worker also receives for others: then moves are smaller than they might be, and more
 * periods get there as well. */
#include "engine/balance.h"

#include <string.h>

#define REST 16u  /* periods that a moved bucket stays */
#define SKEWED 2u /* periods that a difference must last */

void balance_open(struct balance *b, const uint8_t *members, unsigned n)
{
    memset(b, 0, sizeof *b);
    for (unsigned i = 0; i < BUCKETS; i++)
        b->worker[i] = members[i % n];
}

/* More than 25 % apart. */
static bool differ(uint64_t high, uint64_t low)
{
    return high - high / 5 > low;
}

static void extremes(const uint64_t *load, const uint8_t *members, unsigned n, uint8_t *high,
                     uint8_t *low)
{
    *high = *low = members[0];
    for (unsigned i = 1; i < n; i++) {
        *high = load[members[i]] > load[*high] ? members[i] : *high;
        *low = load[members[i]] < load[*low] ? members[i] : *low;
    }
}

/* The largest of `high`'s buckets that fits in half of the difference; BUCKETS: none. */
static unsigned choose(const struct balance *b, const bool *moved, uint8_t high, uint64_t packets,
                       uint64_t load, uint64_t gap, uint64_t *cost)
{
    unsigned best = BUCKETS;

    *cost = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        if (b->worker[i] != high || moved[i] || b->hits[i] == 0 || b->rests[i] > b->period)
            continue;
        uint64_t share = (uint64_t)((double)load * b->hits[i] / (double)packets);
        if (share > *cost && share <= gap / 2) {
            *cost = share;
            best = i;
        }
    }
    return best;
}

static uint64_t packets_of(const struct balance *b, uint8_t worker)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < BUCKETS; i++)
        sum += b->worker[i] == worker ? b->hits[i] : 0;
    return sum;
}

/* From the highest to the lowest, one after the other, as the loads would then be. */
static unsigned propose(struct balance *b, uint8_t high, uint8_t low, uint64_t high_load,
                        uint64_t low_load, struct bucket_move *ret)
{
    const uint64_t packets = packets_of(b, high), load = high_load;
    bool moved[BUCKETS] = {false};
    unsigned n = 0;

    while (n < MOVES_MAX && differ(high_load, low_load)) {
        uint64_t cost;
        unsigned i = choose(b, moved, high, packets, load, high_load - low_load, &cost);
        if (i == BUCKETS)
            break;
        moved[i] = true;
        b->rests[i] = b->period + REST;
        high_load -= cost;
        low_load += cost;
        ret[n++] = (struct bucket_move){.bucket = (uint16_t)i, .from = high, .to = low};
    }
    return n;
}

unsigned balance_period(struct balance *b, const uint64_t *load, const uint8_t *members, unsigned n,
                        uint64_t least, struct bucket_move *ret)
{
    uint8_t high, low;
    unsigned moves = 0;

    extremes(load, members, n, &high, &low);
    b->period++;
    bool skewed = load[high] >= least && differ(load[high], load[low]);
    bool same = high == b->high && low == b->low;
    b->skewed = !skewed ? 0 : same && b->skewed ? (uint8_t)min_of(b->skewed + 1u, SKEWED) : 1;
    b->high = high;
    b->low = low;
    if (b->skewed == SKEWED)
        moves = propose(b, high, low, load[high], load[low], ret);
    if (moves)
        b->skewed = 0; /* what it did is to be seen first */
    for (unsigned i = 0; i < BUCKETS; i++)
        b->hits[i] /= 2;
    return moves;
}
