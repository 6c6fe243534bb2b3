/* SPDX-License-Identifier: MIT
 * A crew: pinned worker threads, each with an engine of its own, sharing nothing.
 *
 * Start is all or nothing: the caller waits until every worker has opened its endpoints (a
 * SO_REUSEPORT group must be whole before traffic comes), and if one fails all are joined. */
#include "engine/fleet.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define STALL_NS 100000000u /* a tenth of a second: no poll is as long, and a person would see it */

struct worker {
    struct weir_crew *crew;
    struct weir_engine *engine;
    pthread_t thread;
    unsigned index;
    int core, rc;
    bool joinable;
    atomic_bool over; /* its run */
    struct weir_why why, refused;
};

struct weir_crew {
    struct weir_crew_opt opt;
    pthread_mutex_t lock; /* start and stop only; no packet comes near it */
    pthread_cond_t changed;
    unsigned arrived; /* workers that run or have failed */
    unsigned failed;
    unsigned opened;     /* a fleet's workers open one after the other, the first one first */
    bool go, stopped;    /* every worker has opened; weir_crew_stop has told everyone */
    struct fleet *fleet; /* of a frame backend and several workers, else NULL */
    struct worker workers[];
};

/* Both are asked for; the first refusal is the one that is reported. */
static void place(struct worker *w)
{
    const struct weir_crew_opt *opt = &w->crew->opt;
    if (!opt->unpinned)
        weir_pin(w->core, &w->refused);
    if (opt->fifo)
        weir_fifo(opt->fifo, w->refused.code ? NULL : &w->refused);
}

/* The worker of queue 0 opens first: the others ask its device what they can have. False: one
 * before this failed, and there is no fleet to join. */
static bool wait_for_turn(struct worker *w)
{
    struct weir_crew *crew = w->crew;
    pthread_mutex_lock(&crew->lock);
    while (crew->fleet && crew->opened < w->index)
        pthread_cond_wait(&crew->changed, &crew->lock);
    bool sound = !crew->fleet || w->index == 0 || crew->workers[w->index - 1].engine;
    pthread_mutex_unlock(&crew->lock);
    return sound;
}

static void pass_turn(struct worker *w, struct weir_engine *engine)
{
    pthread_mutex_lock(&w->crew->lock);
    w->engine = engine;
    w->crew->opened++;
    pthread_cond_broadcast(&w->crew->changed);
    pthread_mutex_unlock(&w->crew->lock);
}

static struct weir_engine *open_engine(struct worker *w)
{
    struct weir_engine_opt own = w->crew->opt.engine;
    own.worker = (uint16_t)w->index;
    if (w->crew->fleet) {
        own.frames.queue = (uint16_t)(own.frames.queue + w->index);
        own.frames.queues = (uint16_t)w->crew->opt.workers;
        own.frames.fewer_queues = 1; /* who gets none is a guest */
    }
    return engine_open_in(&own, w->crew->fleet, w->index, &w->why);
}

static void open_worker(struct worker *w)
{
    const struct weir_crew_opt *opt = &w->crew->opt;
    place(w);
    pass_turn(w, wait_for_turn(w) ? open_engine(w) : NULL);
    w->rc = w->engine ? 0 : w->why.code ? w->why.code : -ENOMEM;
    if (w->engine && opt->start)
        w->rc = opt->start(w->engine, w->index, opt->app, &w->why);
}

/* Tell that this worker is there, then wait for the word to go. False: another failed. */
static bool arrive(struct worker *w)
{
    struct weir_crew *crew = w->crew;
    pthread_mutex_lock(&crew->lock);
    crew->arrived++;
    crew->failed += w->rc != 0;
    pthread_cond_broadcast(&crew->changed);
    while (!crew->go)
        pthread_cond_wait(&crew->changed, &crew->lock);
    bool run = crew->failed == 0;
    pthread_mutex_unlock(&crew->lock);
    return run;
}

/* An engine may not close while weir_crew_stop is still waking it. */
static void wait_for_stop(struct weir_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    while (!crew->stopped)
        pthread_cond_wait(&crew->changed, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    const struct weir_crew_opt *opt = &w->crew->opt;
    open_worker(w);
    bool opened = w->rc == 0;
    if (arrive(w)) {
        w->rc = weir_run(w->engine);
        atomic_store(&w->over, true);
        wait_for_stop(w->crew);
    }
    if (opened && opt->stop)
        opt->stop(w->engine, w->index, opt->app);
    if (!w->engine)
        return NULL;
    int rc = weir_engine_close(w->engine);
    if (!w->rc)
        w->rc = rc;
    return NULL;
}

static int launch(struct weir_crew *crew, unsigned i)
{
    struct worker *w = &crew->workers[i];
    w->crew = crew;
    w->index = i;
    w->core = crew->opt.cores ? crew->opt.cores[i] : weir_core(i % weir_cores());
    int rc = pthread_create(&w->thread, NULL, work, w);
    w->joinable = rc == 0;
    if (rc)
        w->rc = why_set(&w->why, -rc, "crew", "", "cannot start a thread");
    return -rc;
}

/* Wait until `n` workers have arrived, then let all go on. Returns how many failed. */
static unsigned release_all(struct weir_crew *crew, unsigned n)
{
    pthread_mutex_lock(&crew->lock);
    while (crew->arrived < n)
        pthread_cond_wait(&crew->changed, &crew->lock);
    crew->failed += n < crew->opt.workers;
    crew->go = true;
    pthread_cond_broadcast(&crew->changed);
    unsigned failed = crew->failed;
    pthread_mutex_unlock(&crew->lock);
    return failed;
}

static int join_all(struct weir_crew *crew, struct weir_why *why)
{
    int rc = 0;
    for (unsigned i = 0; i < crew->opt.workers; i++) {
        struct worker *w = &crew->workers[i];
        if (w->joinable)
            pthread_join(w->thread, NULL);
        if (!w->rc || rc)
            continue;
        rc = w->rc;
        if (why)
            *why = w->why;
        if (why && !why->code)
            why->code = rc;
    }
    pthread_mutex_destroy(&crew->lock);
    pthread_cond_destroy(&crew->changed);
    fleet_free(crew->fleet);
    free(crew);
    return rc;
}

/* Which backend it is, the workers will say again; an unknown one is their failure. */
static int form_fleet(struct weir_crew *crew, struct weir_why *why)
{
    struct weir_why unknown;
    const struct backend_ops *row = backend_find(crew->opt.engine.backend, &unknown);
    if (!row || !row->frames || crew->opt.workers < 2)
        return 0;
    crew->fleet = fleet_make(&(struct fleet_opt){.workers = crew->opt.workers,
                                                 .endpoints = crew->opt.engine.endpoints_max},
                             why);
    return crew->fleet ? 0 : -ENOMEM;
}

static struct weir_crew *make(const struct weir_crew_opt *opt, struct weir_why *why)
{
    unsigned n = opt->workers ? opt->workers : 1;
    struct weir_crew *crew = calloc(1, sizeof *crew + n * sizeof *crew->workers);
    if (!crew) {
        why_set(why, -ENOMEM, "crew", "", "no memory for %u workers", n);
        return NULL;
    }
    crew->opt = *opt;
    crew->opt.workers = n;
    crew->opt.engine.reuse_port |= n > 1;
    if (!crew->opt.stall_ns)
        crew->opt.stall_ns = STALL_NS;
    if (form_fleet(crew, why) == 0)
        return crew;
    free(crew);
    return NULL;
}

struct weir_crew *weir_crew_start(const struct weir_crew_opt *opt, struct weir_why *why)
{
    struct weir_crew *crew = make(opt, why);
    unsigned started = 0;
    if (!crew)
        return NULL;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->changed, NULL);
    while (started < crew->opt.workers && launch(crew, started) == 0)
        started++;
    if (release_all(crew, started) == 0)
        return crew;
    join_all(crew, why);
    return NULL;
}

unsigned weir_crew_workers(const struct weir_crew *crew)
{
    return crew->opt.workers;
}

struct weir_engine *weir_crew_engine(struct weir_crew *crew, unsigned worker)
{
    return crew->workers[worker].engine;
}

const struct weir_why *weir_crew_refused(const struct weir_crew *crew, unsigned worker)
{
    return &crew->workers[worker].refused;
}

int weir_crew_stop(struct weir_crew *crew)
{
    for (unsigned i = 0; i < crew->opt.workers; i++)
        weir_stop(crew->workers[i].engine);
    pthread_mutex_lock(&crew->lock);
    crew->stopped = true;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    return join_all(crew, NULL);
}

unsigned weir_crew_health(struct weir_crew *crew, struct weir_health *ret, unsigned n)
{
    unsigned i;
    uint64_t now_ns = weir_now_ns();
    for (i = 0; i < min_of(n, crew->opt.workers); i++) {
        struct worker *w = &crew->workers[i];
        ret[i] = (struct weir_health){.worker = i,
                                      .core = crew->opt.unpinned || w->refused.code ? -1 : w->core};
        ret[i].stopped = atomic_load(&w->over);
        health_of(w->engine, now_ns, ret[i].stopped ? UINT64_MAX : crew->opt.stall_ns, &ret[i]);
    }
    return i;
}
