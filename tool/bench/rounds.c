/* SPDX-License-Identifier: MIT
 * All runs, in rounds that interleave the backends: A B C A B C. What drifts on the host drifts
 * for all of them.
 *
 * In the flow   plan.c's cells -> bench_run -> bench_rows -> the reports.
 * Invariants    a run that cannot be trusted is left out and run again at once, at most TRIES_MAX
 *               times and only while the command's time allows; a run that this host cannot make
 *               is not tried again.
 * Source        bench/method.md, "Rounds". */
#include "bench/child.h"
#include "bench/measure.h"
#include "bench/progress.h"
#include "bench/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EQUAL_SHARE                                                                                \
    0.6 /* of the rate that loses nothing alone: room for a core that moves; method.md, "flood" */
#define EQUAL_OTHERWISE 100000u /* where no rate was found at all; method.md, "flood" */
#define RETRY_NS                                                                                   \
    UINT64_C(                                                                                      \
        55000000000)    /* no second tries beyond this, so that the default run ends within 60 s */
#define RETRY_SHARE 1.3 /* or beyond this much of the time that all runs need without any */

struct sample *bench_samples(const struct bench *bench, unsigned cell)
{
    return &bench->samples[(size_t)cell * bench->opt.rounds];
}

static bool same_load(const struct cell *a, const struct cell *b)
{
    return a->load == b->load && a->bytes == b->bytes && a->connections == b->connections &&
           a->net == b->net;
}

int bench_naive(const struct bench *bench, unsigned cell)
{
    for (unsigned i = 0; i < bench->cell_count && !cell_alone(&bench->cells[cell]); i++)
        if (is_naive(bench->cells[i].backend) && same_load(&bench->cells[i], &bench->cells[cell]))
            return (int)i;
    return -1;
}

static unsigned total_runs(const struct bench *bench)
{
    return bench->cell_count * bench->opt.rounds;
}

/* ---- time
 * ------------------------------------------------------------------------------------------ */

/* Would one more run still leave the command within its time? */
static bool time_for_more(const struct bench *bench, unsigned left)
{
    double spent = (double)(weir_now_ns() - bench->start_ns);
    double each = spent / (bench->runs ? bench->runs : 1);
    double limit = each * total_runs(bench) * RETRY_SHARE;
    if (bench->opt.full || limit < RETRY_NS)
        return spent + each * (left + 1) < limit;
    return spent + each * (left + 1) < RETRY_NS;
}

/* ---- one run ---------------------------------------------------------------------------- */

/* Good enough not to be run again: to be trusted, and to be compared with naive's run of this
 * round. */
static bool settled(const struct bench *bench, unsigned index, unsigned round,
                    const struct sample *s)
{
    int naive = bench_naive(bench, index);
    if (s->fatal || !s->valid || naive < 0 || (unsigned)naive == index)
        return s->fatal || s->valid;
    const struct sample *n = &bench_samples(bench, (unsigned)naive)[round];
    return !n->valid || stat_same_place(n, s);
}

/* The first refusal of dpdk over AF_XDP: from here on over AF_PACKET, which every kernel has. */
static bool fall_back(struct bench *bench, unsigned index, const struct sample *s)
{
    static char why[REASON_BYTES];
    const struct cell *cell = &bench->cells[index];
    if (!s->fatal || s->ran || !is_dpdk(cell->backend) || cell->net != NET_LAB ||
        cell->choice.vdev || cell->no_af_xdp)
        return false;
    snprintf(why, sizeof why, "%s", s->reason);
    for (unsigned i = 0; i < bench->cell_count; i++)
        if (is_dpdk(bench->cells[i].backend))
            bench->cells[i].no_af_xdp = why;
    return true;
}

/* Returns 0 or -EINTR. */
static int run(struct bench *bench, unsigned index, unsigned round, unsigned done,
               struct sample *ret)
{
    const struct cell *cell = &bench->cells[index];
    char what[32];
    snprintf(what, sizeof what, "round %u of %u", round + 1, bench->opt.rounds);
    for (unsigned try = 0;; try++) {
        progress_show(bench, cell, what, done, total_runs(bench));
        int rc = child_run(measure, cell, measure_limit_ns(cell), ret);
        if (rc) {
            memset(ret, 0, sizeof *ret);
            return rc;
        }
        if (fall_back(bench, index, ret))
            continue;
        bench->runs++;
        bool good = settled(bench, index, round, ret);
        bench->left_out[index] += !good;
        bench->moved += !good && (ret->moved || ret->valid);
        if (good || try + 1 == TRIES_MAX || !time_for_more(bench, total_runs(bench) - done - 1))
            return 0;
    }
}

/* The first round told that this host cannot run the cell. */
static bool hopeless(const struct bench *bench, unsigned cell)
{
    const struct sample *first = bench_samples(bench, cell);
    return first->fatal && !first->ran;
}

static int run_rounds(struct bench *bench)
{
    unsigned done = 0;
    for (unsigned round = 0; round < bench->opt.rounds; round++)
        for (unsigned cell = 0; cell < bench->cell_count; cell++, done++) {
            struct sample *sample = &bench_samples(bench, cell)[round];
            if (hopeless(bench, cell))
                *sample = *bench_samples(bench, cell); /* also round 0 onto itself */
            else if (child_stopped() || run(bench, cell, round, done, sample) == -EINTR)
                return -EINTR;
        }
    return 0;
}

/* ---- flood's equal rate
 * ---------------------------------------------------------------------------- */

static bool wants_equal_rate(const struct cell *cell)
{
    return cell->load == WEIR_LOAD_FLOOD && cell->rate == 0 && cell->net != NET_MEMORY;
}

/* Two digits: a rate that people can type after -r. */
static uint64_t round_down(double rate)
{
    double unit = pow(10, floor(log10(rate)) - 1);
    return (uint64_t)(floor(rate / unit) * unit);
}

/* Naive is the slowest: what it sustains, all do. Where it is not measured, the first backend is
 * asked. Returns the rate, or 0 when asked to stop. A doubtful answer is taken when there is no
 * better one: it only sets a rate, and the rows have doubts of their own. An impaired path loses
 * something at every rate, and a captured one is as fast as its disk: they are not asked. */
static uint64_t find_equal_rate(struct bench *bench, const struct cell *cell)
{
    double rate = NAN;
    for (unsigned try = 0; try < TRIES_MAX && !cell_alone(cell); try++) {
        struct sample sample;
        progress_show(bench, cell, "looking for an equal rate", 0, total_runs(bench));
        if (child_run(measure_lossless, cell, measure_limit_ns(cell), &sample))
            return 0;
        if (sample.figure[FIG_pps] > 0)
            rate = sample.figure[FIG_pps];
        if (sample.valid || sample.fatal)
            break;
    }
    return isnan(rate) ? EQUAL_OTHERWISE : round_down(rate * EQUAL_SHARE);
}

static unsigned asked_for_rate(const struct bench *bench, unsigned cell)
{
    int naive = bench_naive(bench, cell);
    for (unsigned i = 0; naive < 0 && i < bench->cell_count; i++)
        if (same_load(&bench->cells[i], &bench->cells[cell]))
            naive = (int)i;
    return (unsigned)naive;
}

static int equal_rates(struct bench *bench)
{
    for (unsigned i = 0; i < bench->cell_count; i++) {
        struct cell *cell = &bench->cells[i], *of = &bench->cells[asked_for_rate(bench, i)];
        if (!wants_equal_rate(cell))
            continue;
        if (of->equal_rate == 0)
            of->equal_rate = find_equal_rate(bench, of);
        if (of->equal_rate == 0)
            return -EINTR;
        cell->equal_rate = of->equal_rate;
    }
    return 0;
}

/* ---- all of it
 * ------------------------------------------------------------------------------------- */

int bench_run(struct bench *bench)
{
    bench->samples = calloc(total_runs(bench), sizeof *bench->samples);
    bench->rows = calloc(bench->cell_count, sizeof *bench->rows);
    if (!bench->samples || !bench->rows) {
        fprintf(stderr, "weir bench: no memory for the results\n");
        return -ENOMEM;
    }
    weir_cycles_hz(); /* measured once, here, and inherited by every run */
    bench->start_ns = weir_now_ns();
    if (equal_rates(bench) == 0)
        run_rounds(bench);
    bench->end_ns = weir_now_ns();
    bench->stopped = child_stopped();
    progress_clear();
    bench_rows(bench);
    return 0;
}

void bench_rows(struct bench *bench)
{
    for (unsigned i = 0; i < bench->cell_count; i++) {
        int naive = bench_naive(bench, i);
        struct row *row = &bench->rows[i];
        row->cell = bench->cells[i];
        row_build(row, bench_samples(bench, i),
                  naive < 0 ? NULL : bench_samples(bench, (unsigned)naive), bench->opt.rounds);
        row->left_out = bench->left_out[i];
    }
}
