/* SPDX-License-Identifier: MIT
 * A crew: pinned worker threads, each with an engine of its own, sharing nothing.
 *
 * Start is all or nothing: the caller waits until every worker has opened its endpoints (a
 * SO_REUSEPORT group must be whole before traffic comes), and if one fails all are joined. */
#include "engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct worker {
    struct weir_crew *crew;
    struct weir_engine *engine;
    pthread_t thread;
    unsigned index;
    int core, rc;
    bool joinable;
    struct weir_why why, refused;
};

struct weir_crew {
    struct weir_crew_opt opt;
    pthread_mutex_t lock; /* start and stop only; no packet comes near it */
    pthread_cond_t changed;
    unsigned arrived; /* workers that run or have failed */
    unsigned failed;
    bool go, stopped; /* every worker has opened; weir_crew_stop has told everyone */
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

static void open_worker(struct worker *w)
{
    const struct weir_crew_opt *opt = &w->crew->opt;
    place(w);
    w->engine = weir_engine_open(&opt->engine, &w->why);
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
    free(crew);
    return rc;
}

struct weir_crew *weir_crew_start(const struct weir_crew_opt *opt, struct weir_why *why)
{
    unsigned n = opt->workers ? opt->workers : 1, started = 0;
    struct weir_crew *crew = calloc(1, sizeof *crew + n * sizeof *crew->workers);
    if (!crew) {
        why_set(why, -ENOMEM, "crew", "", "no memory for %u workers", n);
        return NULL;
    }
    crew->opt = *opt;
    crew->opt.workers = n;
    crew->opt.engine.reuse_port |= n > 1;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->changed, NULL);
    while (started < n && launch(crew, started) == 0)
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
