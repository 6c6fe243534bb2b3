/* SPDX-License-Identifier: MIT
 * Ladders of offered rates: the most that arrives, and the most that loses nothing.
 *
 * In the flow   measure.c -> here -> weir_ladder -> bed_run, a rung each -> the best rung's figures.
 * Invariants    a rung that the generator could not keep is no answer; the figures of a row come
 *               from one rung.
 * Source        bench/method.md, "Loads". */
#include "bench/climb.h"
#include "bench/measure.h"

#include <math.h>
#include <string.h>

#define STREAM_RATE_MIN                                                                            \
    500000u /* first rung of stream: below what any path of a current host receives */
#define STREAM_RATE_MAX 64000000u
#define STREAM_RUNGS 8u
#define ECHO_RATE_MIN 25000u
#define ECHO_RATE_MAX 3200000u
#define ECHO_RUNGS 6u
#define LATE_NS 10000000u /* lossless: a reply this long after the last send counts as lost */

struct climb {
    struct bed *bed;
    struct bed_run run;
    struct span spans[WEIR_RUNGS_MAX];
    unsigned count;
    bool lossless;
    struct weir_ladder_result result;
};

/* Lossless means that the receiver keeps up, and not that its buffer is deep: what is handled long
 * after the last send is lost. */
static void one_way_lossless(const struct span *span, struct weir_rung *g)
{
    uint64_t behind = span->after.packets - span->end.packets;
    g->sent = span->load.all.tried;
    g->received = span->after.packets - span->before.packets;
    if ((double)behind * (double)g->ns > (double)span->load.window.sent * LATE_NS)
        g->received -= behind < g->received ? behind : g->received;
}

static int rung(struct weir_rung *g, void *arg)
{
    struct climb *c = arg;
    const struct cell *cell = c->bed->cell;
    struct span *span = &c->spans[c->count];
    bool one_way = load_is_one_way(cell->load);
    c->run.rate = g->rate;
    int rc = bed_run(c->bed, &c->run, span, NULL);
    if (rc)
        return rc;
    c->count++;
    g->sent = span->load.window.sent;
    g->received = one_way ? span->end.packets - span->start.packets : span->load.window.received;
    g->ns = span->load.end_ns - span->load.start_ns;
    g->idle = 1 - span_busy(span, cell->workers);
    g->invalid = span->load.invalid.code != 0;
    if (one_way && c->lossless)
        one_way_lossless(span, g);
    return 0;
}

/* No rung is an answer: because every one lost something, or because the generator failed at the
 * first already. */
static void no_rung(const struct climb *c, struct sample *s)
{
    if (c->count && c->result.rungs[0].invalid)
        sample_refuse_why(s, c->spans[0].load.invalid.code, &c->spans[0].load.invalid);
    else
        sample_refuse(s, "every rate lost something");
}

/* Returns the best rung's span, or NULL: the sample says why. */
static const struct span *climb(struct climb *c, const struct weir_ladder_opt *opt,
                                struct sample *s)
{
    struct weir_ladder_opt o = *opt;
    struct weir_why why = {0};
    o.run = rung;
    o.arg = c;
    int rc = weir_ladder(&o, &c->result, &why);
    if (rc)
        sample_refuse_why(s, rc, &why);
    else if (c->result.best < 0)
        no_rung(c, s);
    return rc == 0 && c->result.best >= 0 ? &c->spans[c->result.best] : NULL;
}

static struct climb *climb_new(struct bed *b, unsigned rungs, uint64_t drain_ns)
{
    static struct climb c; /* a run climbs one ladder at a time; too large for a stack */
    memset(&c, 0, sizeof c);
    c.bed = b;
    c.run.ns = b->cell->time_ns / rungs;
    c.run.drain_ns = drain_ns;
    return &c;
}

void climb_stream(struct bed *b, struct sample *s)
{
    struct climb *c = climb_new(b, STREAM_RUNGS, 0);
    const struct weir_ladder_opt opt = {.goal = WEIR_LADDER_GOODPUT,
                                        .rate_min = STREAM_RATE_MIN,
                                        .rate_max = STREAM_RATE_MAX,
                                        .unpaced = 1,
                                        .rungs_max = STREAM_RUNGS};
    const struct span *best = climb(c, &opt, s);
    if (best)
        sample_take_span(b, best, s);
    s->generator_bound = best && c->result.generator_bound;
}

static const struct span *lossless_ladder(struct climb *c, struct sample *s)
{
    const struct weir_ladder_opt opt = {.goal = WEIR_LADDER_LOSSLESS,
                                        .rate_min = ECHO_RATE_MIN,
                                        .rate_max = ECHO_RATE_MAX,
                                        .rungs_max = ECHO_RUNGS};
    c->lossless = true;
    return climb(c, &opt, s);
}

/* The highest rate that loses nothing is about the throughput only: the rest of the row stays that
 * of the set rate. */
void climb_echo(struct bed *b, struct sample *s)
{
    struct sample top;
    sample_init(&top);
    struct climb *c = climb_new(b, ECHO_RUNGS, LATE_NS);
    const struct span *best = lossless_ladder(c, &top);
    s->figure[FIG_latency_pps] = s->figure[FIG_offered_pps];
    s->figure[FIG_offered_pps] = s->figure[FIG_pps] = s->figure[FIG_gbps] = NAN;
    s->generator_bound = c->result.generator_bound;
    if (!best)
        return;
    sample_take_span(b, best, &top);
    if (top.reason[0])
        sample_refuse(s, "%s", top.reason);
    for (unsigned f = FIG_offered_pps; f <= FIG_gbps; f++)
        s->figure[f] = top.figure[f];
}

void climb_lossless(struct bed *b, struct sample *s)
{
    const struct span *best = lossless_ladder(climb_new(b, ECHO_RUNGS, LATE_NS), s);
    if (best)
        sample_take_span(b, best, s);
}
