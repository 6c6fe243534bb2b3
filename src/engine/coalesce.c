/* SPDX-License-Identifier: MIT
 * Receive coalescing of a spinning engine: what a NIC's adaptive interrupt moderation does,
 * without the interrupt.
 *
 * A loop that spins finds datagrams one by one, and each costs a whole receive call and the
 * cache misses of a socket that the sender is just writing to. While datagrams come dense, it
 * pays to let them gather for a moment and to take them together. When they come further apart
 * than a quarter of that moment every poll looks again, as it does while there is more than one
 * look takes. Conversations are never delayed: not an engine that has streams or listeners, and
 * not one that has sent within that moment, because what comes next may be an answer. */
#include "engine.h"

#define DENSE 4u       /* datagrams that must be expected in coalesce_ns to make waiting worth it */
#define SMOOTH_SHIFT 3 /* the gap is an average over about eight looks */
#define NEARLY_FULL                                                                                \
    64u /* a look stops this short of its bound when a merged receive does not fit */

static void found(struct coalesce *c, uint64_t now_ns, uint32_t n, uint64_t most)
{
    uint64_t gap = min_of((now_ns - c->got_ns) / n, most);
    c->gap_ns += (gap >> SMOOTH_SHIFT) - (c->gap_ns >> SMOOTH_SHIFT);
    c->got_ns = now_ns;
}

void coalesce_learn(struct weir_engine *e)
{
    struct coalesce *c = &e->coalesce;
    struct backend *b = &e->b;
    uint64_t most = b->opt.coalesce_ns;
    c->looked_ns = b->now_ns;
    c->more = b->more || b->ready.head != NIL || b->n_events + NEARLY_FULL >= b->max_events;
    if (b->n_events)
        found(c, b->now_ns, b->n_events, most);
    c->gap_ns = max_of(c->gap_ns, min_of(b->now_ns - c->got_ns, most)); /* the gap so far */
}

bool coalesce_waits(const struct weir_engine *e)
{
    const struct coalesce *c = &e->coalesce;
    uint64_t now_ns = e->b.now_ns, most = e->b.opt.coalesce_ns;
    bool dense = c->gap_ns * DENSE < most && !c->more;
    bool talks = e->b.eps_other || now_ns - c->sent_ns < most;
    return dense && !talks && now_ns - c->looked_ns < most;
}
