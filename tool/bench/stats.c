/* SPDX-License-Identifier: MIT
 * From rounds to a row: medians, spreads, ratios.
 *
 * In the flow   rounds.c's samples -> row_build -> the reports.
 * Invariants    pure; NAN is "not known" and is never counted as 0; a ratio is taken within a
 *               round.
 * Source        bench/method.md, "From runs to a row". */
#include "bench/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const latency_names[LATENCY_COUNT] = {
    "min", "mean", "p50", "p90", "p99", "p999", "max", "samples",
};

const char *const loss_names[LOSS_COUNT] = {
#define X(name, how) #name,
    LOSS_FIGURES(X)
#undef X
};

enum how { MEDIAN, SUM };

static const uint8_t figure_how[FIGURES_COUNT] = {
#define X(name, how) how,
    FIGURES(X)
#undef X
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The known ones of `values`, sorted. */
static unsigned known(const double *values, unsigned n, double sorted[ROUNDS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < n && count < ROUNDS_MAX; i++)
        if (!isnan(values[i]))
            sorted[count++] = values[i];
    qsort(sorted, count, sizeof sorted[0], by_value);
    return count;
}

double stat_median(const double *values, unsigned n)
{
    double sorted[ROUNDS_MAX] = {0};
    n = known(values, n, sorted);
    if (n == 0)
        return NAN;
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double stat_spread(const double *values, unsigned n)
{
    double sorted[ROUNDS_MAX] = {0}, median = stat_median(values, n);
    n = known(values, n, sorted);
    if (n < 2 || median == 0)
        return NAN;
    return (sorted[n - 1] - sorted[0]) / median;
}

double stat_sum(const double *values, unsigned n)
{
    double sum = NAN;
    for (unsigned i = 0; i < n; i++)
        if (!isnan(values[i]))
            sum = isnan(sum) ? values[i] : sum + values[i];
    return sum;
}

double stat_ratio(double a, double b)
{
    if (isnan(a) || isnan(b) || b == 0)
        return NAN;
    return a / b;
}

double stat_ratio_median(const double *a, const double *b, unsigned n)
{
    double ratios[ROUNDS_MAX] = {0};
    if (n > ROUNDS_MAX)
        n = ROUNDS_MAX;
    for (unsigned i = 0; i < n; i++)
        ratios[i] = stat_ratio(a[i], b[i]);
    return stat_median(ratios, n);
}

bool stat_enough(double samples, double share_beyond)
{
    return samples * share_beyond >=
           10 - 1e-6; /* 10,000 * 0.001 must be enough in binary as well */
}

bool stat_same_place(const struct sample *earlier, const struct sample *later)
{
    double before = earlier->canary_after, after = later->canary_before;
    return isnan(before) || isnan(after) || !weir_canary_moved(before, after);
}

enum figure row_subject(const struct cell *cell)
{
    bool own_choice = cell->rate == 0, unpaced = cell->rate == OPTION_RATE_MAX;
    if (unpaced || (own_choice && cell->load != WEIR_LOAD_FLOOD))
        return FIG_pps;
    return FIG_cycles;
}

/* Figure `f` of each sample that counts; NAN for the others. A row that has no valid one takes what
 * ran. */
static void column(const struct sample *samples, unsigned rounds, bool any, enum figure f,
                   double ret[])
{
    for (unsigned i = 0; i < rounds; i++) {
        bool counts = samples[i].valid || (any && samples[i].ran); /* what never ran is all zero */
        ret[i] = counts ? samples[i].figure[f] : NAN;
    }
}

static void fill_figures(struct row *row, const struct sample *samples, unsigned rounds)
{
    double values[ROUNDS_MAX] = {0};
    for (unsigned f = 0; f < FIGURES_COUNT; f++) {
        column(samples, rounds, !row->valid, (enum figure)f, values);
        row->figure[f] =
            figure_how[f] == SUM ? stat_sum(values, rounds) : stat_median(values, rounds);
    }
    column(samples, rounds, !row->valid, row_subject(&row->cell), values);
    row->spread = stat_spread(values, rounds);
}

static void count_samples(struct row *row, const struct sample *samples, unsigned rounds)
{
    unsigned bound = 0;
    row->rounds = row->used = 0;
    row->last = NULL;
    for (unsigned i = 0; i < rounds; i++) {
        row->rounds += samples[i].bytes != 0;
        row->used += samples[i].valid;
        bound += samples[i].valid && samples[i].generator_bound;
        if (samples[i].ran || samples[i].reason[0])
            row->last = &samples[i];
    }
    row->valid = row->used > 0;
    row->generator_bound = bound * 2 > row->used;
}

/* May the two runs of a round be compared? */
static bool comparable(const struct sample *mine, const struct sample *naive, enum figure f)
{
    bool bound = f == FIG_pps && (mine->generator_bound || naive->generator_bound);
    return !bound && (mine == naive || stat_same_place(naive, mine));
}

static double ratio(const struct sample *samples, const struct sample *naive, unsigned rounds,
                    enum figure f)
{
    double mine[ROUNDS_MAX] = {0}, theirs[ROUNDS_MAX] = {0};
    column(samples, rounds, false, f, mine);
    column(naive, rounds, false, f, theirs);
    for (unsigned i = 0; i < rounds; i++)
        if (!comparable(&samples[i], &naive[i], f))
            mine[i] = NAN;
    return stat_ratio_median(mine, theirs, rounds);
}

static void fill_ratios(struct row *row, const struct sample *samples, const struct sample *naive,
                        unsigned rounds)
{
    row->vs_naive = NAN;
    row->cost_vs_naive = NAN;
    if (!naive || !row->valid)
        return;
    row->cost_vs_naive = ratio(samples, naive, rounds, FIG_cycles);
    if (row_subject(&row->cell) == FIG_pps && !row->generator_bound)
        row->vs_naive = ratio(samples, naive, rounds, FIG_pps);
    if (isnan(row->cost_vs_naive) && !row->doubt[0])
        snprintf(row->doubt, sizeof row->doubt, "no ratio: in no round both were undisturbed");
}

static void fill_reasons(struct row *row, const struct sample *samples, unsigned rounds)
{
    row->reason[0] = row->doubt[0] = 0;
    for (unsigned i = 0; i < rounds; i++)
        if (!samples[i].valid && samples[i].reason[0])
            snprintf(row->doubt, sizeof row->doubt, "%s", samples[i].reason);
    if (row->valid)
        return;
    snprintf(row->reason, sizeof row->reason, "%s", row->doubt[0] ? row->doubt : "not run");
    row->doubt[0] = 0;
}

void row_build(struct row *row, const struct sample *samples, const struct sample *naive,
               unsigned rounds)
{
    if (rounds > ROUNDS_MAX)
        rounds = ROUNDS_MAX;
    count_samples(row, samples, rounds);
    fill_figures(row, samples, rounds);
    fill_reasons(row, samples, rounds);
    fill_ratios(row, samples, naive, rounds);
}
