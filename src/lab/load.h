/* SPDX-License-Identifier: MIT
 * What the generators share: a run's clock, its plan, and its counts.
 *
 *     run_begin();
 *     while (run_on(r, now = weir_now_ns()))
 *         if (run_due(r, now))  send number r->k;  run_tried(...)
 *     run_end();  wait for replies at most until r->drain_to_ns;  run_drained();
 *
 * Sends are numbered from 0, warm-up included; those of the window are [first, last). With a
 * rate both are known beforehand; without, the window is that of time and `first` is what the
 * clock finds. */
#ifndef WEIR_LAB_LOAD_H
#define WEIR_LAB_LOAD_H

#include "base/base.h"

#include <weir/lab.h>

#include <errno.h>

enum { WARMUP, WINDOW, PARTS };

struct run {
    struct weir_load_opt o; /* with its defaults filled in */
    struct weir_load_result *ret;
    struct weir_why *why;
    struct weir_load_counts part[PARTS];
    uint64_t start_ns, from_ns, to_ns, drain_to_ns;
    uint64_t first, last; /* the window's sends */
    uint64_t k, next_ns;  /* the next send and its intended time; 0 without a rate */
    uint64_t cpu_ns;      /* thread CPU time at the window's start */
    unsigned phase;       /* WARMUP or WINDOW */
};

/* Start the clock: send 0 is intended now. */
void run_begin(struct run *r);
/* Tell the marks of the passing phases. */
void run_open_window(struct run *r, uint64_t now);
void run_end(struct run *r);
void run_drained(struct run *r);
bool run_stopped(struct run *r, uint64_t now);

static inline unsigned run_part(const struct run *r, uint64_t k)
{
    return k >= r->first ? WINDOW : WARMUP;
}

/* Whether the run goes on. A send that was intended inside the window may still leave late_ns
 * behind it. */
static inline bool run_on(struct run *r, uint64_t now)
{
    if (unlikely(r->phase == WARMUP && now >= r->from_ns))
        run_open_window(r, now);
    if (unlikely(r->o.stop && __atomic_load_n(r->o.stop, __ATOMIC_RELAXED)))
        return !run_stopped(r, now);
    return now < r->to_ns || (r->k < r->last && r->o.rate && now < r->to_ns + r->o.late_ns);
}

static inline bool run_due(const struct run *r, uint64_t now)
{
    return now >= r->next_ns && r->k < r->last;
}

/* How many are due, at most `max`, and never across the window's edge, so that a batch has one
 * part. */
static inline unsigned run_due_many(const struct run *r, uint64_t now, unsigned max)
{
    uint64_t edge = r->k < r->first ? r->first : r->last;
    uint64_t until = r->k + max < edge ? r->k + max : edge;

    if (r->o.rate && run_due(r, now)) {
        uint64_t due = weir_pace_due(r->o.rate, now - r->start_ns + 1);

        until = due < until ? due : until;
    }
    return run_due(r, now) ? (unsigned)(until - r->k) : 0;
}

/* Whether replies are still worth waiting for. */
static inline bool run_draining(struct run *r, uint64_t now)
{
    return now < r->drain_to_ns;
}

/* Book an error of a send under its kind. */
void run_count_error(struct weir_load_counts *c, int err);

/* Book the sends r->k .. of which `sent` were taken; with `err` (errno) one more was refused. */
static inline void run_tried(struct run *r, unsigned sent, int err, uint64_t now)
{
    struct weir_load_counts *c = &r->part[run_part(r, r->k)];
    unsigned tried = sent + (err ? 1 : 0);

    c->tried += tried;
    c->sent += sent;
    if (unlikely(err))
        run_count_error(c, err);
    if (r->o.rate) {
        if (now > r->next_ns + r->o.late_ns)
            c->late += tried;
        r->next_ns = r->start_ns + weir_pace_ns(r->o.rate, r->k + tried);
    }
    r->k += tried;
}

static inline void run_syscalls(struct run *r, unsigned n)
{
    r->part[r->phase].syscalls += n;
}

/* One generator each: opens what it needs, runs, closes. 0 or -errno with r->why. */
int load_flood(struct run *r);
int load_stream(struct run *r);
int load_echo(struct run *r);
int load_tcp(struct run *r);
int load_connect(struct run *r);
int load_frames_flood(struct run *r);
int load_frames_echo(struct run *r);
int load_live_flood(struct run *r);

#endif
