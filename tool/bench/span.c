/* SPDX-License-Identifier: MIT
 * What the readings around one load run mean: rates, costs, doubts.
 *
 * In the flow   measure.c takes the readings -> span_figures -> sample.
 * Invariants    pure; a figure that cannot be known is NAN; costs are of the window alone, counts
 *               of the whole span, so that sent == received + every loss.
 * Source        bench/method.md, "Columns" and "Invalid". */
#include "bench/span.h"
#include "bench/stats.h"

#include <inttypes.h>
#include <math.h>

#define UNEXPLAINED_MAX 0.001 /* of what was sent: bench/method.md */
#define CORE_HAD                                                                                   \
    0.95 /* of the window: a spinning worker that had less shared its core; the lab's own bound */

static double window_s(const struct span *s)
{
    return (double)(s->load.end_ns - s->load.start_ns) / 1e9;
}

double span_handled(const struct span *s, const struct cell *cell)
{
    if (load_is_stream(cell->load))
        return (double)s->load.window.received;
    return (double)(s->end.packets - s->start.packets);
}

double span_busy(const struct span *s, unsigned workers)
{
    double window = (double)(s->end.cycles - s->start.cycles) * workers;
    double busy = (double)(s->end.engine.busy_cycles - s->start.engine.busy_cycles);
    if (window <= 0)
        return NAN;
    return busy < window ? busy / window : 1;
}

static void rates(const struct span *s, const struct cell *cell, double figure[])
{
    double seconds = window_s(s);
    double got =
        load_is_one_way(cell->load) ? span_handled(s, cell) : (double)s->load.window.received;
    figure[FIG_offered_pps] = stat_ratio((double)s->load.window.tried, seconds);
    figure[FIG_pps] = stat_ratio(got, seconds);
    figure[FIG_gbps] = figure[FIG_pps] * cell->bytes * 8 / 1e9;
}

static void costs(const struct span *s, const struct cell *cell, uint64_t hz, double figure[])
{
    const struct weir_counters *a = &s->end.engine, *b = &s->start.engine;
    double handled = span_handled(s, cell);
    figure[FIG_busy] = span_busy(s, cell->workers);
    figure[FIG_cycles] = stat_ratio((double)(a->busy_cycles - b->busy_cycles), handled);
    figure[FIG_cpu_ns] = figure[FIG_cycles] * 1e9 / (double)hz;
    figure[FIG_syscalls] = stat_ratio((double)(a->syscalls - b->syscalls), handled);
    figure[FIG_copies] = stat_ratio((double)(a->copies - b->copies), handled);
    figure[FIG_copied_bytes] = stat_ratio((double)(a->copied_bytes - b->copied_bytes), handled);
}

static void counts(const struct span *s, const struct cell *cell, double figure[])
{
    const struct weir_load_counts *all = &s->load.all;
    bool one_way = load_is_one_way(cell->load);
    figure[FIG_sent] = (double)all->tried;
    figure[FIG_received] =
        one_way ? (double)(s->after.packets - s->before.packets) : (double)all->received;
    figure[FIG_errors] =
        (double)(s->after.errors - s->before.errors) +
        (double)(all->corrupt + all->duplicate + all->reset + all->connect_error + all->unfinished);
}

void span_figures(const struct span *s, const struct cell *cell, uint64_t hz,
                  double figure[FIGURES_COUNT])
{
    for (unsigned i = 0; i < FIGURES_COUNT; i++)
        figure[i] = NAN;
    rates(s, cell, figure);
    costs(s, cell, hz, figure);
    counts(s, cell, figure);
    span_loss(s, cell, figure + LOSS_FIRST);
}

/* The order is that of LATENCY_FIGURES. */
void latency_figures(const struct weir_histogram *h, double *first)
{
    static const double percent[] = {50, 90, 99, 99.9};
    double n = (double)weir_histogram_count(h);
    for (unsigned i = 0; i < LATENCY_COUNT; i++)
        first[i] = NAN;
    first[7] = n;
    if (n == 0)
        return;
    first[0] = (double)weir_histogram_min(h);
    first[1] = weir_histogram_mean(h);
    first[6] = (double)weir_histogram_max(h);
    for (unsigned i = 0; i < 4; i++)
        if (stat_enough(n, 1 - percent[i] / 100))
            first[2 + i] = (double)weir_histogram_percentile(h, percent[i]);
}

static bool loss_doubt(const struct cell *cell, const double figure[], char reason[REASON_BYTES])
{
    double sent = figure[FIG_sent], lost = figure[FIG_unexplained];
    if (lost > sent * UNEXPLAINED_MAX)
        snprintf(reason, REASON_BYTES, "%.0f of %.0f lost, and nothing explains it", lost, sent);
    else if (-lost > sent * UNEXPLAINED_MAX && cell->choice.impair.duplicate <= 0)
        snprintf(reason, REASON_BYTES, "%.0f more received than sent", -lost);
    else
        return false;
    return true;
}

/* A spinning thread that had no core for part of the window was measured together with whatever had
 * it. */
static bool core_doubt(const struct span *s, const struct cell *cell, char reason[REASON_BYTES])
{
    double had = (double)(s->end.cpu_ns - s->start.cpu_ns) / (double)(s->end.ns - s->start.ns) /
                 cell->workers;
    if (had >= CORE_HAD || cell->net == NET_LAB) /* there the NAPI thread has a part of it */
        return false;
    snprintf(reason, REASON_BYTES,
             "the workers spin, but had their cores for only %.0f %% of the window", 100 * had);
    return true;
}

bool span_doubt(const struct span *s, const struct cell *cell, const double figure[FIGURES_COUNT],
                char reason[REASON_BYTES])
{
    const unsigned both = 1u << WEIR_MARK_START | 1u << WEIR_MARK_END;
    if (s->load.invalid.code)
        weir_why_text(&s->load.invalid, reason, REASON_BYTES);
    else if ((s->marks & both) != both)
        snprintf(reason, REASON_BYTES, "the generator never opened its window");
    else if (span_handled(s, cell) == 0)
        snprintf(reason, REASON_BYTES, "nothing arrived");
    else
        return core_doubt(s, cell, reason) || loss_doubt(cell, figure, reason);
    return true;
}
