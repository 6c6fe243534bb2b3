/* SPDX-License-Identifier: MIT
 * One run of one cell, from the first canary to the last.
 *
 *     canary | server up | load (once, or a ladder) | server down | canary, steal
 *
 * In the flow   child.c calls this in a process of its own.
 * Invariants    a sample is valid only when nothing casts doubt on it; the first doubt is the one
 *               that is told.
 * Source        design, section 4; bench/method.md, "What a run is" and "Loads". */
#include "bench/measure.h"
#include "bench/bed.h"
#include "bench/stats.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define STEAL_MAX 0.01          /* of the machine's time */
#define STEAL_TICK_NS 10000000u /* /proc/stat counts in ticks: one alone says nothing */
#define STREAM_RATE_MIN                                                                            \
    500000u /* first rung of stream: below what any path of a current host receives */
#define STREAM_RATE_MAX 64000000u
#define STREAM_RUNGS 8u
#define ECHO_RATE_MIN 25000u
#define ECHO_RATE_MAX 3200000u
#define ECHO_RUNGS 6u
#define LATE_NS 10000000u /* lossless: a reply this long after the last send counts as lost */

void sample_init(struct sample *s)
{
    memset(s, 0, sizeof *s);
    s->bytes = sizeof *s;
    s->canary_before = s->canary_after = s->steal = NAN;
    for (unsigned i = 0; i < FIGURES_COUNT; i++)
        s->figure[i] = NAN;
}

void sample_refuse(struct sample *s, const char *format, ...)
{
    va_list args;
    s->valid = 0;
    if (s->reason[0])
        return;
    va_start(args, format);
    vsnprintf(s->reason, sizeof s->reason, format, args);
    va_end(args);
}

static void refuse_why(struct sample *s, int rc, const struct weir_why *why)
{
    char text[REASON_BYTES];
    weir_why_text(why, text, sizeof text);
    sample_refuse(s, "%s", why->what[0] ? text : strerror(-rc));
}

/* ---- the loads
 * ------------------------------------------------------------------------------------- */

static void take_span(struct bed *b, const struct span *span, struct sample *s)
{
    char reason[REASON_BYTES];
    span_figures(span, b->cell, weir_cycles_hz(), s->figure);
    snprintf(s->mode, sizeof s->mode, "%s", span->load.mode);
    s->ran = 1;
    if (span_doubt(span, b->cell, s->figure, reason))
        sample_refuse(s, "%s", reason);
}

/* One load run at one rate. */
static bool run_once(struct bed *b, uint64_t rate, struct sample *s)
{
    const struct bed_run run = {.rate = rate, .ns = b->cell->time_ns, .record = true};
    struct weir_why why = {0};
    struct span span;
    int rc = bed_run(b, &run, &span, &why);
    if (rc) {
        refuse_why(s, rc, &why);
        return false;
    }
    take_span(b, &span, s);
    latency_figures(b->latency, &s->figure[FIG_latency_min]);
    if (b->cell->load == WEIR_LOAD_CONNECT) {
        latency_figures(b->setup, &s->figure[FIG_setup_min]);
        latency_figures(b->teardown, &s->figure[FIG_teardown_min]);
    }
    return true;
}

/* As fast as it goes: a receiver that had idle time was not the limit. One connection at a time is
 * no limit of the generator either: it is the round trip. */
static void bound_by_generator(const struct bed *b, struct sample *s)
{
    s->generator_bound = b->cell->connections != 1 && s->figure[FIG_busy] < 0.95;
}

/* ---- ladders
 * --------------------------------------------------------------------------------------- */

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
        refuse_why(s, c->spans[0].load.invalid.code, &c->spans[0].load.invalid);
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
        refuse_why(s, rc, &why);
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

static void stream_ladder(struct bed *b, struct sample *s)
{
    struct climb *c = climb_new(b, STREAM_RUNGS, 0);
    const struct weir_ladder_opt opt = {.goal = WEIR_LADDER_GOODPUT,
                                        .rate_min = STREAM_RATE_MIN,
                                        .rate_max = STREAM_RATE_MAX,
                                        .unpaced = 1,
                                        .rungs_max = STREAM_RUNGS};
    const struct span *best = climb(c, &opt, s);
    if (best)
        take_span(b, best, s);
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
static void echo_ladder(struct bed *b, struct sample *s)
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
    take_span(b, best, &top);
    if (top.reason[0])
        sample_refuse(s, "%s", top.reason);
    for (unsigned f = FIG_offered_pps; f <= FIG_gbps; f++)
        s->figure[f] = top.figure[f];
}

static uint64_t set_rate(const struct cell *cell, uint64_t otherwise)
{
    return cell->rate == OPTION_RATE_MAX ? 0 : cell->rate ? cell->rate : otherwise;
}

static void run_load(struct bed *b, struct sample *s)
{
    const struct cell *cell = b->cell;
    bool own_choice = cell->rate == 0, unpaced = cell->rate == OPTION_RATE_MAX;
    if (cell->load == WEIR_LOAD_STREAM && own_choice) {
        stream_ladder(b, s);
    } else if (cell->load == WEIR_LOAD_ECHO) {
        if (run_once(b, unpaced ? ECHO_RATE : set_rate(cell, ECHO_RATE), s) &&
            (own_choice || unpaced))
            echo_ladder(b, s);
        else
            s->figure[FIG_latency_pps] = s->figure[FIG_offered_pps];
    } else if (run_once(b, set_rate(cell, cell->equal_rate), s)) {
        if (unpaced || (load_is_stream(cell->load) && own_choice))
            bound_by_generator(b, s);
    }
}

/* ---- around the load
 * ------------------------------------------------------------------------------- */

static double canary(const struct cell *cell)
{
    if (cell->cores[0] == cell->generator_core)
        return NAN;
    double ns = weir_canary_ns(cell->cores[0], cell->generator_core, NULL);
    return ns > 0 ? ns : NAN;
}

static void before(const struct cell *cell, struct sample *s, uint64_t *steal, uint64_t *start)
{
    *steal = UINT64_MAX;
    weir_steal(steal);
    *start = weir_now_ns();
    s->canary_before = canary(cell);
}

static void check_steal(struct sample *s, uint64_t steal_before, uint64_t start)
{
    uint64_t steal;
    if (steal_before == UINT64_MAX || weir_steal(&steal) != 0)
        return;
    double taken = (double)(steal - steal_before);
    s->steal = taken / ((double)(weir_now_ns() - start) * weir_cores());
    if (s->steal <= STEAL_MAX || taken <= STEAL_TICK_NS)
        return;
    s->moved = 1;
    sample_refuse(s, "the hypervisor took %.1f %% of the CPU time", 100 * s->steal);
}

static void check_canary(const struct cell *cell, struct sample *s)
{
    s->canary_after = canary(cell);
    if (isnan(s->canary_before) || isnan(s->canary_after) ||
        !weir_canary_moved(s->canary_before, s->canary_after))
        return;
    s->moved = 1;
    sample_refuse(s, "a core moved: the cache line's hop went from %.0f to %.0f ns",
                  s->canary_before, s->canary_after);
}

static void check_place(const struct bed *b, struct sample *s)
{
    const struct cell *cell = b->cell;
    if (strcmp(server_backend(b->server), cell->backend) != 0)
        sample_refuse(s, "fell back to %s", server_backend(b->server));
    if (cell_crowded(cell)) {
        sample_refuse(s, "%u pinned threads on %u cores", cell->workers + 1, weir_cores());
        s->fatal = 1;
    }
}

static void in_bed(const struct cell *cell, struct sample *s,
                   void (*load)(struct bed *, struct sample *))
{
    struct bed bed;
    struct weir_why why = {0};
    int rc = bed_open(&bed, cell, &why);
    if (rc == 0) {
        s->lines = (uint8_t)server_report(bed.server, s->line);
        check_place(&bed, s);
        load(&bed, s);
    } else {
        refuse_why(s, rc, &why);
        s->fatal = rc != -EADDRINUSE;
    }
    bed_close(&bed);
}

static void around(const struct cell *cell, struct sample *s,
                   void (*load)(struct bed *, struct sample *))
{
    uint64_t steal, start;
    sample_init(s);
    before(cell, s, &steal, &start);
    in_bed(cell, s, load);
    check_canary(cell, s);
    check_steal(s, steal, start);
    s->valid = s->ran && s->reason[0] == 0;
}

void measure(const struct cell *cell, struct sample *ret)
{
    around(cell, ret, run_load);
}

static void only_lossless(struct bed *b, struct sample *s)
{
    const struct span *best = lossless_ladder(climb_new(b, ECHO_RUNGS, LATE_NS), s);
    if (best)
        take_span(b, best, s);
}

void measure_lossless(const struct cell *cell, struct sample *ret)
{
    around(cell, ret, only_lossless);
}

uint64_t measure_limit_ns(const struct cell *cell)
{
    return 20 * UINT64_C(1000000000) + 4 * cell->time_ns;
}
