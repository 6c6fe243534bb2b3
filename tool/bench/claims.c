/* SPDX-License-Identifier: MIT
 * What is commonly claimed, beside what this host measured in this run.
 *
 * In the flow   rows -> claims_answer -> the table or JSON.
 * Invariants    a claim without a figure says why; no figure comes from anywhere but this run. A
 *               new claim is one line of `claims`. */
#include "bench/claims.h"
#include "bench/grid.h"
#include "bench/report.h"
#include "bench/stats.h"
#include "bench/text.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

struct claim {
    const char *what, *claimed, *by;
    void (*answer)(const struct bench *bench, const struct claim *claim, struct claim_answer *ret);
    enum weir_load load;
    const char *backend;
    double wanted; /* what the claim asks of the figure; NAN: nothing that a number decides */
};

static void rings(const struct bench *, const struct claim *, struct claim_answer *);
static void times_naive(const struct bench *, const struct claim *, struct claim_answer *);
static void round_trip(const struct bench *, const struct claim *, struct claim_answer *);
static void cycles(const struct bench *, const struct claim *, struct claim_answer *);
static void busy(const struct bench *, const struct claim *, struct claim_answer *);
static void traffic(const struct bench *, const struct claim *, struct claim_answer *);

#define BYPASS_TIMES "22 x"
#define BYPASS_CYCLES "80 to 200"

static const struct claim claims[] = {
    {"a lock-free ring carries more than a mutex queue", "10 to 100 x", "rings", rings, 0, NULL,
     10},
    {"io_uring carries more than the copying path", "14.7 x", "stream", times_naive,
     WEIR_LOAD_STREAM, "uring", 14.7},
    {"AF_XDP carries more than the copying path", BYPASS_TIMES, "echo", times_naive, WEIR_LOAD_ECHO,
     "xdp", 22},
    {"DPDK carries more than the copying path", BYPASS_TIMES, "echo", times_naive, WEIR_LOAD_ECHO,
     "dpdk", 22},
    {"round trip of the copying path", "45 us", "echo", round_trip, WEIR_LOAD_ECHO, "naive", NAN},
    {"round trip through io_uring", "13 us", "echo", round_trip, WEIR_LOAD_ECHO, "uring", 13},
    {"round trip through AF_XDP", "2 us", "echo", round_trip, WEIR_LOAD_ECHO, "xdp", 2},
    {"round trip through DPDK", "2 us", "echo", round_trip, WEIR_LOAD_ECHO, "dpdk", 2},
    {"cycles a packet, epoll", BYPASS_CYCLES, "stream", cycles, WEIR_LOAD_STREAM, "epoll", 200},
    {"cycles a packet, io_uring", BYPASS_CYCLES, "stream", cycles, WEIR_LOAD_STREAM, "uring", 200},
    {"cycles a packet, AF_XDP", BYPASS_CYCLES, "flood", cycles, WEIR_LOAD_FLOOD, "xdp", 200},
    {"cycles a packet, DPDK", BYPASS_CYCLES, "flood", cycles, WEIR_LOAD_FLOOD, "dpdk", 200},
    {"cycles a packet, our stack alone (sim)", BYPASS_CYCLES, "flood", cycles, WEIR_LOAD_FLOOD,
     "sim", 200},
    {"CPU at the same load, epoll", "85 % -> 12 to 18 %", "flood", busy, WEIR_LOAD_FLOOD, "epoll",
     NAN},
    {"CPU at the same load, io_uring", "85 % -> 12 to 18 %", "flood", busy, WEIR_LOAD_FLOOD,
     "uring", NAN},
    {"CPU at the same load, AF_XDP", "85 % -> 12 to 18 %", "flood", busy, WEIR_LOAD_FLOOD, "xdp",
     NAN},
    {"CPU at the same load, DPDK", "85 % -> 12 to 18 %", "flood", busy, WEIR_LOAD_FLOOD, "dpdk",
     NAN},
    {"memory traffic, epoll", "-95 %", "flood", traffic, WEIR_LOAD_FLOOD, "epoll", -0.95},
    {"memory traffic, io_uring", "-95 %", "flood", traffic, WEIR_LOAD_FLOOD, "uring", -0.95},
    {"memory traffic, AF_XDP", "-95 %", "flood", traffic, WEIR_LOAD_FLOOD, "xdp", -0.95},
    {"memory traffic, DPDK", "-95 %", "flood", traffic, WEIR_LOAD_FLOOD, "dpdk", -0.95},
};

#define CLAIMS (sizeof claims / sizeof claims[0])

__attribute__((format(printf, 3, 4))) static void say(struct claim_answer *a, double value,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(a->text, sizeof a->text, format, args);
    va_end(args);
    a->value = value;
    a->measured = !isnan(value);
}

/* Of a figure that was measured: does it do what is claimed? Nothing is rounded in its favour. */
static void reached(struct claim_answer *a, const struct claim *c, bool yes, const char *no)
{
    size_t used = strlen(a->text);
    if (!a->measured || isnan(c->wanted))
        return;
    snprintf(a->text + used, sizeof a->text - used, "; %s", yes ? "reached" : no);
}

/* ---- what a row gives
 * ------------------------------------------------------------------------------ */

/* The first valid row of a load and backend, or NULL with the reason in the answer. */
static const struct row *find(const struct bench *bench, enum weir_load load, const char *backend,
                              struct claim_answer *a)
{
    const char *why = "not in this run";
    for (unsigned i = 0; i < bench->cell_count; i++) {
        const struct row *row = &bench->rows[i];
        if (row->cell.load != load || strcmp(row->cell.backend, backend) != 0 ||
            !frames_plain(&row->cell.choice))
            continue;
        if (row->valid)
            return row;
        why = "its row is invalid";
    }
    for (unsigned i = 0; i < bench->backend_count; i++)
        if (strcmp(bench->backends[i].name, backend) == 0 && !bench->backends[i].available)
            why = bench->backends[i].why.what;
    say(a, NAN, "not measured: %s on %s: %s", weir_load_name(load), backend, why);
    return NULL;
}

static bool find_pair(const struct bench *bench, const struct claim *c, struct claim_answer *a,
                      const struct row **mine, const struct row **naive)
{
    *mine = find(bench, c->load, c->backend, a);
    *naive = *mine ? find(bench, c->load, "naive", a) : NULL;
    return *naive != NULL;
}

/* A flood without a rate says it better than the lossless rate of an echo, where one was run. */
static bool flooded(const struct bench *bench)
{
    for (unsigned i = 0; i < bench->cell_count; i++) {
        const struct cell *cell = &bench->rows[i].cell;
        if (cell->load == WEIR_LOAD_FLOOD && row_subject(cell) == FIG_pps)
            return true;
    }
    return false;
}

static void times_naive(const struct bench *bench, const struct claim *claim,
                        struct claim_answer *a)
{
    struct claim c = *claim;
    const struct row *mine, *naive;
    char text[TEXT_BYTES];
    if (c.load == WEIR_LOAD_ECHO && flooded(bench)) {
        c.load = WEIR_LOAD_FLOOD;
        a->by = "flood";
    }
    if (!find_pair(bench, &c, a, &mine, &naive))
        return;
    double ratio = mine->figure[FIG_pps] / naive->figure[FIG_pps];
    bool known = !isnan(mine->vs_naive);
    if (known)
        say(a, mine->vs_naive, "%s x", text_times(mine->vs_naive, text));
    else if (mine->generator_bound && !naive->generator_bound)
        say(a, ratio, "at least %s x: generator-bound", text_times(ratio, text));
    else
        say(a, NAN, "not measured: naive is generator-bound, or the cores moved");
    reached(a, &c, a->value >= c.wanted, known ? "not reached" : "not shown to be reached");
}

static void round_trip(const struct bench *bench, const struct claim *c, struct claim_answer *a)
{
    const struct row *row = find(bench, c->load, c->backend, a);
    char p50[TEXT_BYTES], p99[TEXT_BYTES];
    if (!row)
        return;
    const double *f = row->figure;
    say(a, f[FIG_latency_p50], "%s us p50, %s p99", text_us(f[FIG_latency_p50], p50),
        text_us(f[FIG_latency_p99], p99));
    reached(a, c, f[FIG_latency_p50] <= c->wanted * 1000, "not reached");
}

static void cycles(const struct bench *bench, const struct claim *c, struct claim_answer *a)
{
    const struct row *row = find(bench, c->load, c->backend, a);
    char text[TEXT_BYTES];
    if (!row)
        return;
    say(a, row->figure[FIG_cycles], "%s", text_digits(row->figure[FIG_cycles], text));
    reached(a, c, row->figure[FIG_cycles] <= c->wanted, "not reached");
}

static void busy(const struct bench *bench, const struct claim *c, struct claim_answer *a)
{
    const struct row *mine, *naive;
    char from[TEXT_BYTES], to[TEXT_BYTES], rate[TEXT_BYTES];
    if (!find_pair(bench, c, a, &mine, &naive))
        return;
    say(a, mine->figure[FIG_busy], "%s -> %s of a core at %s a second",
        text_percent(naive->figure[FIG_busy], from), text_percent(mine->figure[FIG_busy], to),
        text_si(mine->figure[FIG_offered_pps], rate));
}

static void traffic(const struct bench *bench, const struct claim *c, struct claim_answer *a)
{
    const struct row *mine, *naive;
    if (!find_pair(bench, c, a, &mine, &naive))
        return;
    double saved = mine->figure[FIG_copied_bytes] / naive->figure[FIG_copied_bytes] - 1;
    say(a, saved, "%+.0f %%, computed from counted copies", 100 * saved);
    reached(a, c, saved <= c->wanted, "not reached");
}

/* Measured here, once: both cores are free again after the last run. */
static void rings(const struct bench *bench, const struct claim *c, struct claim_answer *a)
{
    static struct ring_ratio ratio;
    if (!ratio.done && !bench->stopped)
        claim_rings(bench->cells[0].cores[0], bench->cells[0].generator_core, &ratio);
    if (ratio.done && !ratio.why[0])
        say(a, ratio.burst_32, "%.1f x in bursts of 32, %.1f x one by one", ratio.burst_32,
            ratio.burst_1);
    else
        say(a, NAN, "not measured: %s", ratio.done ? ratio.why : "interrupted");
    reached(a, c, ratio.burst_32 >= c->wanted, "not reached");
}

/* ---- the table
 * ------------------------------------------------------------------------------------- */

unsigned claims_count(void)
{
    return CLAIMS;
}

void claims_answer(const struct bench *bench, unsigned index, struct claim_answer *ret)
{
    const struct claim *c = &claims[index];
    *ret = (struct claim_answer){.what = c->what, .claimed = c->claimed, .by = c->by, .value = NAN};
    c->answer(bench, c, ret);
}

void report_claims(const struct bench *bench, FILE *out)
{
    static const char *const heads[] = {"<CLAIM", "<CLAIMED", "<THIS HOST, THIS RUN", "<LOAD",
                                        NULL};
    struct grid *g = grid_open(heads);
    for (unsigned i = 0; g && i < CLAIMS; i++) {
        struct claim_answer a;
        claims_answer(bench, i, &a);
        grid_cell(g, a.what);
        grid_cell(g, a.claimed);
        grid_cell(g, a.text);
        grid_cell(g, a.by ? a.by : "");
        grid_end_row(g);
    }
    fputs("\nWhat is commonly claimed, and what was measured\n", out);
    if (g)
        grid_print(g, out);
    grid_close(g);
}
