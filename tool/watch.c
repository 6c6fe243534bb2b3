/* SPDX-License-Identifier: MIT
 * A crew's workers as a person sees them: whose link changed, who ended, who stands still, what
 * their devices count.
 *
 *     worker: handler -> a line on stderr          main thread: a look twice a second -> a line
 *             WEIR_WAKE -> the device's counts -> text -> whoever prints it
 *
 * Invariants    an engine is asked on its own thread alone; a text goes over under a lock that no
 *               packet comes near; what stays as it is, is told once. */
#include "watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct seat {
    struct weir_engine *engine;
    char text[WATCH_STATS_BYTES]; /* under the lock */
    bool stalled;
};

struct watch {
    const char *command;
    pthread_mutex_t lock;
    struct seat seat[WATCH_WORKERS];
    struct weir_health health[WATCH_WORKERS];
};

struct watch *watch_open(const char *command)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->command = command;
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void watch_close(struct watch *w)
{
    if (w)
        pthread_mutex_destroy(&w->lock);
    free(w);
}

void watch_engine(struct watch *w, unsigned worker, struct weir_engine *engine)
{
    w->seat[worker].engine = engine;
}

/* ---- on the worker's thread
 * ------------------------------------------------------------------------- */

struct text {
    char *at;
    size_t bytes, used;
};

static void add_stat(const char *name, uint64_t value, void *arg)
{
    struct text *t = arg;
    if (value == 0 || t->used >= t->bytes)
        return;
    int n = snprintf(t->at + t->used, t->bytes - t->used, "%s%s %llu", t->used ? ", " : "", name,
                     (unsigned long long)value);
    t->used += n > 0 ? (size_t)n : 0;
}

void watch_device(struct watch *w, unsigned worker)
{
    char text[WATCH_STATS_BYTES] = "";
    struct text t = {text, sizeof text, 0};
    weir_engine_device_stats(w->seat[worker].engine, add_stat, &t);
    pthread_mutex_lock(&w->lock);
    memcpy(w->seat[worker].text, text, sizeof text);
    pthread_mutex_unlock(&w->lock);
}

void watch_device_text(struct watch *w, unsigned worker, char *ret, size_t bytes)
{
    pthread_mutex_lock(&w->lock);
    snprintf(ret, bytes, "%s", w->seat[worker].text);
    pthread_mutex_unlock(&w->lock);
}

static void tell_link(const struct watch *w, unsigned worker, int err)
{
    const char *text = err == 0           ? "the link is up"
                       : err == -ENETDOWN ? "the link is down; it serves on when it is up again"
                                          : "the device is gone";
    fprintf(stderr, "%s: worker %u: %s\n", w->command, worker, text);
}

/* The seat is found by the engine: its number is known before the crew is. */
void watch_events(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct watch *w = app;
    unsigned worker = 0;
    while (worker < WATCH_WORKERS && w->seat[worker].engine != engine)
        worker++;
    for (unsigned i = 0; i < n && worker < WATCH_WORKERS; i++) {
        if (events[i].kind == WEIR_LINK)
            tell_link(w, worker, events[i].err);
        else if (events[i].kind == WEIR_WAKE)
            watch_device(w, worker);
    }
}

/* ---- on the main thread
 * ----------------------------------------------------------------------------- */

static void tell_stall(const struct watch *w, struct seat *seat, const struct weir_health *h)
{
    char text[512];
    bool stalled = h->stalled_ns != 0;
    if (stalled == seat->stalled)
        return;
    seat->stalled = stalled;
    weir_why_text(&h->why, text, sizeof text);
    if (stalled)
        fprintf(stderr, "%s: %s\n", w->command, text);
    else
        fprintf(stderr, "%s: watchdog: worker %u polls again\n", w->command, h->worker);
}

bool watch_look(struct watch *w, struct weir_crew *crew, bool stalls)
{
    unsigned n = weir_crew_health(crew, w->health, WATCH_WORKERS);
    bool all = true;
    for (unsigned i = 0; i < n; i++) {
        const struct weir_health *h = &w->health[i];
        if (stalls)
            tell_stall(w, &w->seat[i], h);
        if (h->stopped)
            fprintf(stderr, "%s: worker %u ended by itself; so does the command\n", w->command, i);
        all &= !h->stopped;
    }
    return all;
}
