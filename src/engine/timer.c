/* SPDX-License-Identifier: MIT
 * Timers: a 4-ary heap ordered by time, with ids that can be cancelled.
 *
 * Four children a node: half the depth of a binary heap and siblings in two cache lines. An id is
 * generation << 32 | slot + 1, so that the id of a timer that has fired is never taken for a later
 * one. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>

int timers_open(struct timers *t, uint32_t max)
{
    t->heap = calloc(max, sizeof *t->heap);
    t->place = calloc(max, sizeof *t->place);
    t->generation = calloc(max, sizeof *t->generation);
    if (!t->heap || !t->place || !t->generation)
        return -ENOMEM;
    t->max = max;
    for (uint32_t slot = 0; slot < max; slot++)
        t->place[slot] = slot + 1 < max ? slot + 1 : NIL;
    t->free = 0;
    return 0;
}

void timers_close(struct timers *t)
{
    free(t->heap);
    free(t->place);
    free(t->generation);
}

static void put(struct timers *t, uint32_t i, struct timer timer)
{
    t->heap[i] = timer;
    t->place[timer.slot] = i;
}

static void sift_up(struct timers *t, uint32_t i, struct timer timer)
{
    while (i && timer.at_ns < t->heap[(i - 1) / 4].at_ns) {
        put(t, i, t->heap[(i - 1) / 4]);
        i = (i - 1) / 4;
    }
    put(t, i, timer);
}

static uint32_t earliest_child(const struct timers *t, uint32_t i)
{
    uint32_t first = 4 * i + 1, best = first;
    for (uint32_t c = first + 1; c < t->n && c < first + 4; c++)
        if (t->heap[c].at_ns < t->heap[best].at_ns)
            best = c;
    return best;
}

static void sift_down(struct timers *t, uint32_t i, struct timer timer)
{
    while (4 * i + 1 < t->n) {
        uint32_t child = earliest_child(t, i);
        if (timer.at_ns <= t->heap[child].at_ns)
            break;
        put(t, i, t->heap[child]);
        i = child;
    }
    put(t, i, timer);
}

int64_t timers_add(struct timers *t, uint64_t at_ns, uint64_t token)
{
    uint32_t slot = t->free;
    if (slot == NIL)
        return -ENOSPC;
    t->free = t->place[slot];
    uint32_t generation = ++t->generation[slot] & INT32_MAX; /* an id is positive */
    sift_up(t, t->n++, (struct timer){at_ns, token, slot});
    return (int64_t)generation << 32 | (slot + 1);
}

static void remove_at(struct timers *t, uint32_t i)
{
    uint32_t slot = t->heap[i].slot;
    struct timer last = t->heap[--t->n];
    if (i < t->n) {
        if (i && last.at_ns < t->heap[(i - 1) / 4].at_ns)
            sift_up(t, i, last);
        else
            sift_down(t, i, last);
    }
    t->generation[slot]++; /* the id is stale from here on */
    t->place[slot] = t->free;
    t->free = slot;
}

int timers_cancel(struct timers *t, int64_t id)
{
    uint32_t slot = (uint32_t)id - 1;
    if (id <= 0 || slot >= t->max)
        return -ENOENT;
    if ((t->generation[slot] & INT32_MAX) != (uint32_t)(id >> 32))
        return -ENOENT;
    remove_at(t, t->place[slot]);
    return 0;
}

bool timers_pop(struct timers *t, uint64_t now_ns, uint64_t *token)
{
    if (!t->n || t->heap[0].at_ns > now_ns)
        return false;
    *token = t->heap[0].token;
    remove_at(t, 0);
    return true;
}
