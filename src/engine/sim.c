/* SPDX-License-Identifier: MIT
 * The simulator's loop, which is that of all its engines: at each moment deliver, poll who has
 * something to do, deliver what that sent, until all is quiet; then the clock jumps to the next
 * event, of a wire or of an engine.
 *
 * Invariant: time never goes back, and always passes: a moment has a bounded number of turns. */
#include "backend/frames.h"
#include "engine/engine.h"

#include <weir/sim.h>

#include <errno.h>

#define TURNS 128u      /* of one moment: longer than any exchange that comes to an end by itself */
#define MOMENT_NS 1000u /* how far the clock moves where it did not */

/* Poll the engines that have something to do at `now_ns`. Returns how many, or -errno. */
static int poll_due(struct weir_sim *sim, uint64_t now_ns)
{
    struct weir_engine *e;
    int polled = 0;
    for (unsigned i = 0; sim_engine(sim, i, &e) == 0; i++) {
        if (!e || weir_next_ns(e) > now_ns)
            continue;
        int rc = weir_poll(e, now_ns);
        if (rc < 0)
            return rc;
        polled++;
    }
    return polled;
}

static uint64_t next_event(const struct weir_sim *sim)
{
    struct weir_engine *e;
    uint64_t next = sim_next_ns(sim);
    for (unsigned i = 0; sim_engine(sim, i, &e) == 0; i++)
        if (e)
            next = min_of(next, weir_next_ns(e));
    return next;
}

/* All that happens now. Returns 1 when it is quiet, 0 when it does not end, or -errno. */
static int moment(struct weir_sim *sim, int64_t *frames)
{
    uint64_t now_ns = weir_sim_now(sim);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        unsigned moved = sim_move(sim, now_ns);
        int polled = poll_due(sim, now_ns);
        if (polled < 0)
            return polled;
        *frames += moved;
        if (!moved && !polled)
            return 1;
    }
    return 0;
}

static int step(struct weir_sim *sim, uint64_t until_ns, int64_t *frames)
{
    uint64_t now_ns = weir_sim_now(sim);
    int quiet = moment(sim, frames);
    if (quiet < 0)
        return quiet;
    uint64_t next = quiet ? next_event(sim) : now_ns + MOMENT_NS;
    next = max_of(next, now_ns + 1);
    if (next == UINT64_MAX && until_ns == UINT64_MAX) /* there is no such time to stand at */
        return 0;
    sim_set_now(sim, max_of(now_ns, min_of(next, until_ns)));
    return next <= until_ns;
}

int weir_sim_step(struct weir_sim *sim, uint64_t until_ns)
{
    int64_t frames = 0;
    return step(sim, until_ns, &frames);
}

int64_t weir_sim_run(struct weir_sim *sim, uint64_t until_ns)
{
    int64_t frames = 0;
    int rc;
    do
        rc = step(sim, until_ns, &frames);
    while (rc > 0);
    return rc < 0 ? rc : frames;
}

int64_t weir_sim_deliver(struct weir_sim *sim, uint64_t now_ns)
{
    sim_set_now(sim, max_of(now_ns, weir_sim_now(sim)));
    return sim_move(sim, weir_sim_now(sim));
}
