/* SPDX-License-Identifier: MIT
 * The ladder of offered rates: climb by doubling until the answer is behind, then close in on it
 * between its neighbours by geometric means. The caller runs a rung; here is only the choice of
 * the next.
 *
 *     goodput:   100k 200k 400k 800k(less arrives)  566k 283k ...  as fast as possible
 *     lossless:  100k 200k 400k 800k(loss)  566k(loss) 476k ...
 *
 * Invariant: at most rungs_max rungs; `best` is only ever a rung whose generator kept its plan. */
#include "base/base.h"

#include <weir/lab.h>

#include <errno.h>
#include <math.h>

#define RISING 1.02 /* less gain than this from twice the offer: it rises no more */
#define LOSS_SEEN                                                                                  \
    0.001 /* bench/method.md: above 0.1 % a loss must be explained; below, the receiver kept up */

struct ladder {
    struct weir_ladder_opt o; /* with its defaults filled in */
    struct weir_ladder_result *ret;
    int err;
};

static double goodput(const struct weir_rung *g)
{
    return g->ns ? (double)g->received * 1e9 / (double)g->ns : 0;
}

static double loss(const struct weir_rung *g)
{
    return g->sent > g->received ? (double)(g->sent - g->received) / (double)g->sent : 0;
}

static bool passes(const struct ladder *l, const struct weir_rung *g)
{
    if (g->invalid || g->sent == 0)
        return false;
    return l->o.goal == WEIR_LADDER_GOODPUT || loss(g) <= l->o.loss_max;
}

/* What the answer is chosen by: arrivals, or for lossless the rate itself. */
static double worth(const struct ladder *l, const struct weir_rung *g)
{
    return l->o.goal == WEIR_LADDER_GOODPUT ? goodput(g) : (double)g->rate;
}

static bool more(const struct ladder *l)
{
    return l->err >= 0 && l->ret->count < l->o.rungs_max;
}

/* Run one rung. Returns whether it is the best so far. */
static bool step(struct ladder *l, uint64_t rate)
{
    struct weir_ladder_result *ret = l->ret;
    struct weir_rung *g = &ret->rungs[ret->count];

    *g = (struct weir_rung){.rate = rate, .idle = -1};
    l->err = l->o.run(g, l->o.arg);
    if (l->err < 0)
        return false;
    ret->count++;
    if (!passes(l, g) || (ret->best >= 0 && worth(l, g) <= worth(l, &ret->rungs[ret->best])))
        return false;
    ret->best = (int32_t)ret->count - 1;
    return true;
}

/* Double the rate until it is too high; returns that rate, or 0 when rate_max was still good.
 * One rung is left for the unpaced one. */
static uint64_t climb(struct ladder *l)
{
    uint64_t rate = l->o.rate_min;
    double before = 0;

    while (more(l)) {
        bool best = step(l, rate);
        double now = l->ret->best >= 0 ? worth(l, &l->ret->rungs[l->ret->best]) : 0;

        if (!best || now < before * RISING)
            return rate;
        if (rate >= l->o.rate_max)
            return 0;
        before = now;
        rate = rate > l->o.rate_max / 2 ? l->o.rate_max : rate * 2;
    }
    return 0;
}

static uint64_t between(uint64_t a, uint64_t b)
{
    return (uint64_t)sqrt((double)a * (double)b);
}

static bool apart(const struct ladder *l, uint64_t low, uint64_t high)
{
    return (double)high > (double)low * l->o.resolution;
}

/* The highest rate that passes lies between the best rung and `high`. */
static void close_in_lossless(struct ladder *l, uint64_t high)
{
    while (l->ret->best >= 0 && more(l)) {
        uint64_t low = l->ret->rungs[l->ret->best].rate, middle = between(low, high);

        if (!apart(l, low, high))
            return;
        if (!step(l, middle))
            high = middle;
    }
}

/* Goodput may peak on either side of the best rung: try both neighbours, nearer and nearer. */
static void close_in_goodput(struct ladder *l)
{
    double factor = 2;

    while (l->ret->best >= 0 && more(l) && factor > l->o.resolution) {
        uint64_t at = l->ret->rungs[l->ret->best].rate;

        factor = sqrt(factor);
        step(l, min_of((uint64_t)((double)at * factor), l->o.rate_max));
        if (more(l))
            step(l, max_of((uint64_t)((double)at / factor), l->o.rate_min));
    }
}

/* Lossless: no rung that the generator managed was too much for the receiver. */
static bool never_lost(const struct ladder *l)
{
    for (uint32_t i = 0; i < l->ret->count; i++)
        if (!l->ret->rungs[i].invalid && !passes(l, &l->ret->rungs[i]))
            return false;
    return true;
}

/* Of the rungs that the generator managed that with the highest offer; rate 0 is above all. */
static const struct weir_rung *top_rung(const struct ladder *l)
{
    const struct weir_rung *top = NULL;

    for (uint32_t i = 0; i < l->ret->count; i++) {
        const struct weir_rung *g = &l->ret->rungs[i];

        if (!g->invalid && (!top || g->rate - 1 > top->rate - 1)) /* 0 - 1 is the largest */
            top = g;
    }
    return top;
}

static bool generator_bound(const struct ladder *l)
{
    const struct weir_rung *top = top_rung(l);

    if (!top)
        return false;
    if (l->o.goal == WEIR_LADDER_LOSSLESS)
        return never_lost(l);
    return top->idle >= 0 ? top->idle > l->o.idle_max : loss(top) < LOSS_SEEN;
}

static int check(struct ladder *l, struct weir_why *why)
{
    struct weir_ladder_opt *o = &l->o;

    if (!o->run || !o->rate_min || o->rate_max < o->rate_min || o->rungs_max > WEIR_RUNGS_MAX)
        return why_set(why, -EINVAL, "ladder", NULL,
                       "0 < rate_min <= rate_max, at most %d rungs, and run", WEIR_RUNGS_MAX);
    o->idle_max = o->idle_max > 0 ? o->idle_max : 0.05;
    o->resolution = o->resolution > 1 ? o->resolution : 1.1;
    o->rungs_max = o->rungs_max ? o->rungs_max : 12;
    o->unpaced = o->unpaced && o->goal == WEIR_LADDER_GOODPUT;
    o->rungs_max -= o->unpaced;
    *l->ret = (struct weir_ladder_result){.best = -1};
    return 0;
}

int weir_ladder(const struct weir_ladder_opt *opt, struct weir_ladder_result *ret,
                struct weir_why *why)
{
    struct ladder l = {.o = *opt, .ret = ret};
    uint64_t too_high;
    int err = check(&l, why);

    if (err)
        return err;
    too_high = climb(&l);
    if (too_high && l.o.goal == WEIR_LADDER_LOSSLESS)
        close_in_lossless(&l, too_high);
    else if (too_high)
        close_in_goodput(&l);
    l.o.rungs_max += l.o.unpaced;
    if (l.o.unpaced && more(&l))
        step(&l, 0);
    ret->generator_bound = generator_bound(&l);
    return l.err < 0 ? l.err : 0;
}
