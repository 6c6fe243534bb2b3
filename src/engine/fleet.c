/* SPDX-License-Identifier: MIT
 * A fleet's life, and what the engine's other files ask of it; the picture is in fleet.h.
 *
 * Workers join one after the other, worker 0 first (crew.c), and leave together: nobody's memory may
 * go while another still holds a part of it. So leaving has three meetings:
 *
 *   all have stopped sending over  ->  the others have closed their stacks, which read worker 0's
 *   neighbours  ->  all have closed theirs: every buffer is home, or on its return list */
#include "engine/fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t lane_bytes(void)
{
    size_t bytes = weir_spsc_bytes(LANE_SLOTS, sizeof(struct parcel), 0);
    return (bytes + WEIR_RING_ALIGN - 1) / WEIR_RING_ALIGN * WEIR_RING_ALIGN;
}

static int lane_open(struct lane *lane)
{
    lane->ring = aligned_alloc(WEIR_RING_ALIGN, lane_bytes());
    if (!lane->ring)
        return -ENOMEM;
    return weir_spsc_init(lane->ring, lane_bytes(), LANE_SLOTS, sizeof(struct parcel), 0);
}

static int lanes_open(struct fleet *f)
{
    int rc = 0;
    f->lane = aligned_alloc(alignof(struct lane), (size_t)f->n * f->n * sizeof *f->lane);
    if (!f->lane)
        return -ENOMEM;
    memset(f->lane, 0, (size_t)f->n * f->n * sizeof *f->lane);
    for (unsigned i = 0; rc == 0 && i < f->n * f->n; i++)
        if (i / f->n != i % f->n)
            rc = lane_open(&f->lane[i]);
    return rc;
}

struct fleet *fleet_make(const struct fleet_opt *opt, struct weir_why *why)
{
    struct fleet *f = opt->workers <= FLEET_MAX ? calloc(1, sizeof *f) : NULL;
    if (!f) {
        why_set(why, opt->workers > FLEET_MAX ? -EINVAL : -ENOMEM, "fleet", "ask for fewer workers",
                "%u workers of one device; there may be %u", opt->workers, FLEET_MAX);
        return NULL;
    }
    f->n = opt->workers;
    f->one_thread = opt->one_thread;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->met, NULL);
    for (unsigned i = 0; i < f->n; i++)
        f->member[i].host = i;
    if (lanes_open(f) == 0 && ports_open(f, opt->endpoints ? opt->endpoints : 4096) == 0)
        return f;
    why_set(why, -ENOMEM, "fleet", "", "no memory for %u workers", f->n);
    fleet_free(f);
    return NULL;
}

void fleet_free(struct fleet *f)
{
    if (!f)
        return;
    for (unsigned i = 0; f->lane && i < f->n * f->n; i++)
        free(f->lane[i].ring);
    for (unsigned i = 0; i < f->n; i++)
        free(f->member[i].spread);
    free(f->lane);
    ports_close(f);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->met);
    free(f);
}

/* ---- joining -------------------------------------------------------------------------------- */

const struct backend_ops *fleet_row(struct weir_engine *e, const struct backend_ops *row)
{
    struct fleet *f = e->fleet;
    if (!f || e->fleet_index == 0 || e->fleet_index < f->port.queues)
        return row;
    struct member *m = fleet_me(e);
    m->guest = true;
    m->host = e->fleet_index % f->port.queues;
    memset(&e->b.opt.impair, 0, sizeof e->b.opt.impair); /* what it sends passes its host's */
    e->b.opt.pcap = NULL;
    return &f->guest;
}

uint32_t fleet_held(const struct weir_engine *e)
{
    return e->fleet ? LANE_SLOTS * (e->fleet->n - 1) : 0;
}

unsigned fleet_worker(const struct weir_engine *e)
{
    return e->fleet_index;
}

struct neighbours *fleet_neighbours(const struct weir_engine *e)
{
    return e->fleet && e->fleet_index ? e->fleet->neighbours : NULL;
}

/* Worker 0 tells what the device is, before any other opens. */
static int join_first(struct weir_engine *e)
{
    struct fleet *f = e->fleet;
    f->neighbours = stack_neighbours(e->stack);
    e->b.frames->port(&e->b, &f->port);
    int queues = f->port.queues - e->b.opt.frames.queue; /* from the one that we were given on */
    f->port.queues = (uint16_t)(queues < 1 ? 1u : min_of((unsigned)queues, f->n));
    guest_row(f, e->b.device);
    return 0;
}

int fleet_join(struct weir_engine *e, struct weir_why *why)
{
    struct fleet *f = e->fleet;
    int rc = 0;
    if (!f)
        return 0;
    struct member *m = fleet_me(e);
    atomic_store_explicit(&f->link_err[e->fleet_index], e->link_err, memory_order_relaxed);
    if (e->fleet_index == 0)
        rc = join_first(e);
    if (rc == 0 && !m->guest && e->fleet_index + f->port.queues < f->n)
        rc = spread_open(f, e->fleet_index);
    if (rc)
        return why_set(why, rc, "fleet", "", "no memory for worker %u's flows", e->fleet_index);
    pthread_mutex_lock(&f->lock);
    m->joined = true;
    f->joined++;
    pthread_mutex_unlock(&f->lock);
    atomic_store_explicit(&m->engine, e, memory_order_release);
    return 0;
}

/* ---- leaving -------------------------------------------------------------------------------- */

void fleet_meet(struct weir_engine *e)
{
    struct fleet *f = e->fleet;
    if (!f || f->one_thread || !fleet_me(e)->joined)
        return;
    pthread_mutex_lock(&f->lock);
    uint64_t meeting = f->meetings;
    if (++f->waiting == f->joined) {
        f->waiting = 0;
        f->meetings++;
        pthread_cond_broadcast(&f->met);
    }
    while (f->meetings == meeting)
        pthread_cond_wait(&f->met, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

void fleet_leave(struct weir_engine *e)
{
    if (!e->fleet || !fleet_me(e)->joined)
        return;
    fleet_submit(e);
    fleet_meet(e);
    fleet_drain(e);
}

/* ---- what frames.c asks --------------------------------------------------------------------- */

void fleet_hand_over(struct weir_engine *e)
{
    struct fleet *f = e->fleet;
    struct weir_buf *bufs[64];
    unsigned n;
    if (!f)
        return;
    while (e->fleet_index && (n = stack_handed(e->stack, bufs, array_len(bufs))))
        for (unsigned i = 0; i < n; i++) {
            struct parcel parcel = fleet_parcel(bufs[i], PARCEL_AFFAIR);
            if (fleet_push(e, 0, &parcel)) {
                COUNT(&e->b.counters, handed_over, 1);
                continue;
            }
            COUNT(&e->b.counters, handed_full, 1);
            away_drop(&(struct away){.buf = parcel.buf});
        }
    fleet_submit(e);
    for (unsigned from = 0; from < f->n; from++) {
        struct lane *lane = fleet_lane(f, from, e->fleet_index);
        /* Handlers are through with these, and their answers are in the lane back: settle */
        if (from != e->fleet_index &&
            lane->popped != atomic_load_explicit(&lane->done, memory_order_relaxed))
            atomic_store_explicit(&lane->done, lane->popped, memory_order_release);
    }
}

uint64_t fleet_next_ns(const struct weir_engine *e)
{
    if (!e->fleet)
        return UINT64_MAX;
    const struct member *m = fleet_me(e);
    if (m->more || atomic_load_explicit(&e->nudged, memory_order_relaxed))
        return 0;
    return m->stuck ? e->b.now_ns + FLEET_RETRY_NS : UINT64_MAX;
}

void fleet_link(struct weir_engine *e, int err)
{
    if (e->fleet) /* relaxed: a guest tells it whenever it sees it */
        atomic_store_explicit(&e->fleet->link_err[e->fleet_index], err, memory_order_relaxed);
}

int fleet_queue(const struct weir_engine *e, int *host)
{
    *host = -1;
    if (!e->stack)
        return -1;
    if (!e->fleet || !fleet_me(e)->guest)
        return e->b.opt.frames.queue;
    *host = (int)fleet_me(e)->host;
    return -1;
}

uint32_t fleet_ring(const struct weir_engine *e, uint32_t *used)
{
    *used = e->fleet ? fleet_backlog(e->fleet, e->fleet_index) : 0;
    return e->fleet ? LANE_SLOTS : 0;
}
