/* SPDX-License-Identifier: MIT
 * A crew watched while it works.
 *
 *     epoll/0 core 0: 812.4k in, 0 out a second, 512 cycles each, busy 41 %, pool 3,900 of 4,096
 *     free, lost 12: pool_empty 12
 *
 * In the flow   a thread of its own -> weir_crew_health -> stderr, so that a report on stdout stays
 *               as it is.
 * Invariants    the workers are not disturbed, but the watcher takes some microseconds a second of
 *               a core that may be one of theirs. The crew outlives it. */
#include "live.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
#define WORKERS_MAX 64
#define LINE_BYTES 3072 /* one write: lines of several processes stay whole */

struct live {
    struct weir_crew *crew;
    const char *name;
    struct watch *watch; /* what the devices count; or NULL */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop; /* under the lock */
    unsigned workers;
    struct weir_health before[WORKERS_MAX], now[WORKERS_MAX];
};

struct line {
    char text[LINE_BYTES];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(l->text + l->used, sizeof l->text - l->used, format, args);
    va_end(args);
    if (n > 0)
        l->used += (size_t)n;
    if (l->used >= sizeof l->text)
        l->used = sizeof l->text - 1;
}

static void put_losses(struct line *l, const struct weir_health *h)
{
    const char *name, *text;
    uint64_t count;
    bool any = false;
    for (unsigned i = 0; weir_health_drop(h, i, &name, &text, &count) == 0; i++) {
        if (count == 0)
            continue;
        put(l, "%s%s %llu", any ? ", " : "; lost ", name, (unsigned long long)count);
        any = true;
    }
}

/* As it stood a second ago, when the worker was asked; counts are from the start. */
static void put_device(struct line *l, struct watch *watch, unsigned worker)
{
    char text[WATCH_STATS_BYTES] = "";
    if (watch)
        watch_device_text(watch, worker, text, sizeof text);
    if (text[0])
        put(l, "; device: %s", text);
}

static void print(struct live *v, const struct weir_health *h, double seconds)
{
    struct line l = {.used = 0};
    char why[512];
    put(&l, "%s/%u", v->name, h->worker);
    if (h->core >= 0)
        put(&l, " core %d", h->core);
    if (h->queue >= 0)
        put(&l, " queue %d", h->queue);
    put(&l, ": %.1f k/s in, %.1f k/s out, %.0f cycles each, busy %.0f %%",
        (double)h->packets / seconds / 1e3, (double)h->sent / seconds / 1e3, h->cycles_a_packet,
        100 * h->busy);
    put(&l, ", pool %llu of %llu free", (unsigned long long)h->pool_free,
        (unsigned long long)h->pool_total);
    if (h->ring_slots)
        put(&l, ", ring %llu of %llu full", (unsigned long long)h->ring_used,
            (unsigned long long)h->ring_slots);
    put_losses(&l, h);
    put_device(&l, v->watch, h->worker);
    if (h->stopped)
        put(&l, "; stopped");
    if (h->stalled_ns) {
        weir_why_text(&h->why, why, sizeof why);
        put(&l, "; %s", why);
    }
    fprintf(stderr, "%s\n", l.text);
}

/* What happened since the last look. A look right after another has nothing to tell. */
static void look(struct live *v)
{
    unsigned n = weir_crew_health(v->crew, v->now, v->workers);
    for (unsigned i = 0; i < n; i++) {
        struct weir_health since;
        weir_health_since(&v->now[i], &v->before[i], &since);
        if (since.at_ns)
            print(v, &since, (double)since.at_ns / 1e9);
        v->before[i] = v->now[i];
        if (v->watch)
            weir_wake(weir_crew_engine(v->crew, i));
    }
}

/* True: a second is over; false: stop. */
static bool wait_second(struct live *v)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec++;
    int rc = 0;
    pthread_mutex_lock(&v->lock);
    while (!v->stop && rc == 0)
        rc = pthread_cond_timedwait(&v->changed, &v->lock, &at);
    bool stop = v->stop;
    pthread_mutex_unlock(&v->lock);
    return !stop;
}

static void *watch(void *arg)
{
    struct live *v = arg;
    while (wait_second(v))
        look(v);
    look(v);
    return NULL;
}

static bool launch(struct live *v)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->changed, &attr);
    pthread_condattr_destroy(&attr);
    return pthread_create(&v->thread, NULL, watch, v) == 0;
}

struct live *live_start(struct weir_crew *crew, const char *name, struct watch *watch)
{
    struct live *v = calloc(1, sizeof *v);
    if (v) {
        v->crew = crew;
        v->name = name;
        v->watch = watch;
        v->workers = weir_crew_workers(crew);
        v->workers = v->workers < WORKERS_MAX ? v->workers : WORKERS_MAX;
        weir_crew_health(crew, v->before, v->workers);
    }
    if (v && launch(v))
        return v;
    fprintf(stderr, "weir: --live: no thread to watch from\n");
    free(v);
    return NULL;
}

void live_stop(struct live *v)
{
    if (!v)
        return;
    pthread_mutex_lock(&v->lock);
    v->stop = true;
    pthread_cond_signal(&v->changed);
    pthread_mutex_unlock(&v->lock);
    pthread_join(v->thread, NULL);
    pthread_cond_destroy(&v->changed);
    pthread_mutex_destroy(&v->lock);
    free(v);
}
