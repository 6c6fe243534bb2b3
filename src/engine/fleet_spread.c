/* SPDX-License-Identifier: MIT
 * Frames that came from the device: whose are they?
 *
 *   no whole UDP packet          -> stays: this worker's stack knows, or hands it to worker 0
 *   its port open at one worker  -> that one
 *   at all of them               -> the worker of its flow's bucket, among this host and its guests
 *
 * Buckets move to even out loads (balance.h). No flow is reordered by that: a bucket changes hands
 * only at a moment when its old worker has handled all that it was given of it and has given back
 * what it answered; until then it stays, and a move that waits for many periods is given up. */
#include "engine/fleet.h"

#include <errno.h>
#include <stdlib.h>

#define LEAST 20u    /* a worker busy for less than a 20th of the time is no reason to move */
#define PATIENCE 16u /* periods */

int spread_open(struct fleet *f, unsigned host)
{
    struct spread *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    for (unsigned i = host; i < f->n; i += f->port.queues)
        s->members[s->n++] = (uint8_t)i;
    balance_open(&s->table, s->members, s->n);
    f->member[host].spread = s;
    return 0;
}

/* ---- spreading ------------------------------------------------------------------------------ */

static unsigned nth(uint64_t bits, unsigned n)
{
    for (n %= (unsigned)__builtin_popcountll(bits); n; n--)
        bits &= bits - 1;
    return (unsigned)__builtin_ctzll(bits);
}

/* `bucket` gets the flow's, where it is the table that says. */
static unsigned whose(struct weir_engine *e, const struct weir_buf *frame, unsigned *bucket)
{
    struct fleet *f = e->fleet;
    struct spread *s = fleet_me(e)->spread;
    struct rss_flow flow;
    *bucket = BUCKETS;
    if (!rss_flow(frame->data, frame->len, &flow))
        return e->fleet_index;
    uint64_t owners = ports_owners(f, &flow);
    if (owners == 0)
        return e->fleet_index;
    unsigned at = balance_bucket(flow.hash);
    if (s && owners >> s->table.worker[at] & 1) {
        *bucket = at;
        return s->table.worker[at];
    }
    if (!s && owners >> e->fleet_index & 1)
        return e->fleet_index;
    return nth(owners, flow.hash >> 8);
}

static bool give(struct weir_engine *e, struct weir_buf *frame, unsigned to)
{
    struct parcel parcel = fleet_parcel(frame, PARCEL_IN);
    if (fleet_push(e, to, &parcel))
        return true;
    COUNT(&e->b.counters, handed_full, 1);
    away_drop(&(struct away){.buf = parcel.buf});
    return false;
}

unsigned fleet_spread(struct weir_engine *e, struct weir_buf **frames, unsigned n)
{
    struct fleet *f = e->fleet;
    unsigned ours = 0, given = 0;
    if (likely(!f))
        return n;
    struct spread *s = fleet_me(e)->spread;
    if (!s && atomic_load_explicit(&f->partial, memory_order_relaxed) == 0)
        return n;
    for (unsigned i = 0; i < n; i++) {
        unsigned bucket, to = whose(e, frames[i], &bucket);
        if (to == e->fleet_index)
            frames[ours++] = frames[i];
        else
            given += give(e, frames[i], to);
        if (bucket == BUCKETS)
            continue;
        s->table.hits[bucket]++;
        s->last[bucket] = fleet_lane(f, e->fleet_index, to)->pushed;
    }
    COUNT(&e->b.counters, handed_over, given);
    if (ours < n)
        fleet_submit(e);
    return ours;
}

/* ---- moving --------------------------------------------------------------------------------- */

/* The load of the time since the last period, in cycles: busy ones, more by what was lost for want of
 * room; one that has work and does not poll is busy all the time. */
static uint64_t load_of(struct weir_engine *e, unsigned worker, uint64_t elapsed)
{
    struct fleet *f = e->fleet;
    struct spread *s = fleet_me(e)->spread;
    struct lane *lane = fleet_lane(f, e->fleet_index, worker);
    struct weir_engine *of = atomic_load_explicit(&f->member[worker].engine, memory_order_acquire);
    if (!of)
        return 0;
    uint64_t busy = atomic_load_explicit(&of->b.counters.busy_cycles, memory_order_relaxed);
    uint64_t polls = atomic_load_explicit(&of->b.counters.polls, memory_order_relaxed);
    uint64_t load = busy - s->busy[worker], pushed = lane->pushed - s->pushed[worker];
    uint64_t dropped = lane->dropped - s->dropped[worker];
    if (polls == s->polls[worker] && worker != e->fleet_index && weir_spsc_count(lane->ring))
        load = elapsed;
    s->busy[worker] = busy;
    s->polls[worker] = polls;
    s->pushed[worker] = lane->pushed;
    s->dropped[worker] = lane->dropped;
    return dropped ? load + load * dropped / max_of(pushed, 1u) : load;
}

static void period(struct weir_engine *e, struct spread *s)
{
    uint64_t load[FLEET_MAX] = {0}, cycles = weir_cycles(), elapsed = cycles - s->cycles;
    for (unsigned i = 0; i < s->n; i++)
        load[s->members[i]] = load_of(e, s->members[i], elapsed);
    s->cycles = cycles;
    if (s->moves && ++s->waited < PATIENCE)
        return;
    s->waited = 0;
    s->moves = balance_period(&s->table, load, s->members, s->n, elapsed / LEAST, s->move);
}

/* Nothing of the bucket is anywhere on the way. Our own frames were handled in the last poll; a
 * guest's, once it has passed them, and its answers, once its lane to us is empty. */
static bool settled(struct weir_engine *e, const struct spread *s, const struct bucket_move *move)
{
    struct fleet *f = e->fleet;
    if (move->from == e->fleet_index)
        return true;
    struct lane *there = fleet_lane(f, e->fleet_index, move->from);
    uint64_t done = atomic_load_explicit(&there->done, memory_order_acquire); /* fleet_hand_over */
    return done >= s->last[move->bucket] &&
           weir_spsc_count(fleet_lane(f, move->from, e->fleet_index)->ring) == 0;
}

static void settle(struct weir_engine *e, struct spread *s)
{
    unsigned left = 0;
    for (unsigned i = 0; i < s->moves; i++) {
        const struct bucket_move move = s->move[i];
        if (!settled(e, s, &move)) {
            s->move[left++] = move;
            continue;
        }
        s->table.worker[move.bucket] = move.to;
        s->last[move.bucket] = fleet_lane(e->fleet, e->fleet_index, move.to)->pushed;
        COUNT(&e->b.counters, buckets_moved, 1);
    }
    s->moves = left;
}

void spread_turn(struct weir_engine *e)
{
    struct spread *s = fleet_me(e)->spread;
    if (unlikely(s->moves))
        settle(e, s);
    if (likely(e->b.now_ns < s->period_ns))
        return;
    if (s->period_ns)
        period(e, s);
    else
        s->cycles = weir_cycles();
    s->period_ns = e->b.now_ns + FLEET_PERIOD_NS;
}
