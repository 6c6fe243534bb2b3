/* SPDX-License-Identifier: MIT
 * The engine beside loops that were written by hand for one purpose, in interleaved rounds of one
 * run.
 *
 *     stream   64-byte datagrams, UDP_SEGMENT, as fast as the generator goes: received a second
 *     drain    the same, piled up in the socket first: how fast the receiver alone takes them
 *     echo     open-loop round trips at 25,000 a second, everybody spinning: p50
 *
 * A contender is one function that is called again and again on a pinned thread, the same for all;
 * ratios are taken within a round; rounds during which a core moved, or the generator did not keep
 * its plan, are left out. A missed target is printed as missed, and the exit code is 0 all the
 * same: it is a measurement, not a test. Usage: bench_yardsticks [ROUNDS] */
#include "yard.h"

#include <weir/lab.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 64u
#define ECHO_RATE 25000u
#define RUN_NS 300000000u
#define WARM_NS 50000000u
#define PILE_NS 4000000u /* about what 16 MiB of socket buffer hold; the rest is dropped */
#define PILES 20u
#define ROUNDS_MAX 50u

/* ---- one run
 * --------------------------------------------------------------------------------------- */

static int core_worker, core_generator;

/* The contender's thread. Opened there, because an engine belongs to its thread. */
struct live {
    const struct contender *who;
    struct weir_addr at;
    bool echo, failed;
    pthread_t thread;
    bool ready, stop;        /* ready: release; both: a flag, and `failed` behind it */
    uint64_t packets, busy;  /* one writer, relaxed */
    uint64_t from[2], to[2]; /* packets and busy cycles at the window's edges */
};

static void *spin(void *arg)
{
    struct live *l = arg;
    weir_pin(core_worker, NULL);
    void *self = l->who->open(&l->at, l->who->name, l->echo);
    l->failed = !self;
    __atomic_store_n(&l->ready, true, __ATOMIC_RELEASE);
    while (self && !__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
        uint64_t since = weir_cycles();
        unsigned n = l->who->step(self);
        if (n == 0) {
            weir_pause();
            continue;
        }
        __atomic_store_n(&l->packets, l->packets + n, __ATOMIC_RELAXED);
        __atomic_store_n(&l->busy, l->busy + (weir_cycles() - since), __ATOMIC_RELAXED);
    }
    if (self)
        l->who->close(self);
    return NULL;
}

static void on_mark(enum weir_load_mark mark, uint64_t now_ns, void *arg)
{
    struct live *l = arg;
    uint64_t *at = mark == WEIR_MARK_START ? l->from : l->to;
    (void)now_ns;
    if (mark == WEIR_MARK_DRAINED)
        return;
    at[0] = __atomic_load_n(&l->packets, __ATOMIC_RELAXED);
    at[1] = __atomic_load_n(&l->busy, __ATOMIC_RELAXED);
}

struct figures {
    double pps, cycles, busy, p50;
};

/* Each run has a port of its own: a ring that closes may hold its port for a moment. */
static struct weir_addr next_address(void)
{
    static uint16_t port = 20000;
    return weir_addr_ip4(127, 0, 0, 1, ++port);
}

static bool run_live(const struct contender *who, bool echoes, struct figures *ret)
{
    struct live l = {.who = who, .at = next_address(), .echo = echoes};
    struct weir_histogram *h = weir_histogram_open(UINT64_C(10000000000));
    struct weir_load_result result;
    struct weir_load_opt opt = {.load = echoes ? WEIR_LOAD_ECHO : WEIR_LOAD_STREAM,
                                .target = l.at,
                                .bytes = BYTES,
                                .rate = echoes ? ECHO_RATE : 0,
                                .duration_ns = RUN_NS,
                                .warmup_ns = WARM_NS,
                                .core = core_generator,
                                .mark = on_mark,
                                .mark_arg = &l,
                                .latency = echoes ? h : NULL};
    if (!h || pthread_create(&l.thread, NULL, spin, &l))
        return false;
    while (!__atomic_load_n(&l.ready, __ATOMIC_ACQUIRE))
        weir_pause();
    bool good = !l.failed && weir_load_run(&opt, &result, NULL) == 0 && result.invalid.code == 0;
    __atomic_store_n(&l.stop, true, __ATOMIC_RELAXED);
    pthread_join(l.thread, NULL);
    double packets = (double)(l.to[0] - l.from[0]),
           ns = good ? (double)(result.end_ns - result.start_ns) : 1;
    ret->pps = packets * 1e9 / ns;
    ret->cycles = packets > 0 ? (double)(l.to[1] - l.from[1]) / packets : NAN;
    ret->busy = (double)(l.to[1] - l.from[1]) / (double)weir_cycles_hz() * 1e9 / ns;
    ret->p50 = (double)weir_histogram_percentile(h, 50);
    weir_histogram_close(h);
    return good && packets > 0;
}

/* ---- drain
 * ----------------------------------------------------------------------------------------- */

static void *pile_up(void *arg)
{
    struct weir_load_result result;
    weir_load_run(arg, &result, NULL);
    return NULL;
}

/* Nobody sends: from the first call to the end of the last one that brought something. */
static double drain_once(const struct contender *who, void *self)
{
    uint64_t start = weir_now_ns(), last = start, packets = 0;
    for (unsigned empty = 0; empty < 1000;) {
        unsigned n = who->step(self);
        packets += n;
        empty = n ? 0 : empty + 1;
        if (n)
            last = weir_now_ns();
    }
    return last > start ? (double)packets * 1e9 / (double)(last - start) : 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, unsigned n)
{
    double sorted[ROUNDS_MAX > PILES ? ROUNDS_MAX : PILES] = {0};
    unsigned k = 0;
    for (unsigned i = 0; i < n; i++)
        if (!isnan(values[i]))
            sorted[k++] = values[i];
    qsort(sorted, k, sizeof *sorted, by_value);
    return k ? (sorted[k / 2] + sorted[(k - 1) / 2]) / 2 : NAN;
}

static bool run_drain(const struct contender *who, struct figures *ret)
{
    struct weir_addr at = next_address();
    struct weir_load_opt opt = {.load = WEIR_LOAD_STREAM,
                                .target = at,
                                .bytes = BYTES,
                                .duration_ns = PILE_NS,
                                .core = core_generator};
    double rates[PILES] = {0};
    void *self = who->open(&at, who->name, false);
    for (unsigned i = 0; self && i < PILES; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, pile_up, &opt) == 0)
            pthread_join(thread, NULL);
        rates[i] = drain_once(who, self);
    }
    if (self)
        who->close(self);
    *ret = (struct figures){.pps = self ? median(rates, PILES) : NAN, .cycles = NAN, .busy = NAN};
    if (self && ret->pps > 0)
        ret->cycles = (double)weir_cycles_hz() / ret->pps;
    return self && ret->pps > 0;
}

/* ---- rounds and table
 * ------------------------------------------------------------------------------ */

enum { STREAM, DRAIN, ECHO, LOADS };

static double seen[LOADS][CONTENDERS][ROUNDS_MAX], cost[LOADS][CONTENDERS][ROUNDS_MAX],
    share[CONTENDERS][ROUNDS_MAX];
static unsigned left_out;

static void run(int load, unsigned who, unsigned round)
{
    struct figures f = {0};
    double before = weir_canary_ns(core_worker, core_generator, NULL);
    bool good = load == DRAIN ? run_drain(&contenders[who], &f)
                              : run_live(&contenders[who], load == ECHO, &f);
    double after = weir_canary_ns(core_worker, core_generator, NULL);
    good = good && !(before > 0 && after > 0 && weir_canary_moved(before, after));
    left_out += !good;
    seen[load][who][round] = good ? load == ECHO ? f.p50 / 1e3 : f.pps / 1e6 : NAN;
    cost[load][who][round] = good ? f.cycles : NAN;
    if (load == STREAM)
        share[who][round] = good ? f.busy : NAN;
}

static double ratio(int load, unsigned who, unsigned rounds)
{
    double r[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++)
        r[i] = seen[load][who][i] / seen[load][0][i];
    return median(r, rounds);
}

static void verdict(double r, double target, bool at_least)
{
    bool reached = at_least ? r >= target : r <= target;
    printf("  %s %.2f: %s", at_least ? ">=" : "<=", target,
           isnan(r)  ? "not measured"
           : reached ? "reached"
                     : "missed");
}

static void print(int load, unsigned rounds)
{
    static const char *const names[] = {"stream, Mpps received", "drain, Mpps", "echo, us p50"};
    for (unsigned who = 0; who < CONTENDERS; who++) {
        double r = ratio(load, who, rounds);
        printf("%-22s %-6s %9.3f  %8.1f cycles", who ? "" : names[load], contenders[who].name,
               median(seen[load][who], rounds), median(cost[load][who], rounds));
        if (load == STREAM)
            printf("  busy %3.0f %%", 100 * median(share[who], rounds));
        else
            printf("%12s", "");
        printf("  %6.3f of hand", r);
        if (who == 1)
            verdict(r, load == ECHO ? 1.1 : 0.95, load != ECHO);
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 7;
    rounds = rounds == 0 || rounds > ROUNDS_MAX ? 7 : rounds;
    if (weir_cores() < 2) {
        printf("yardsticks need two cores: one for the generator\n");
        return 0;
    }
    core_worker = weir_core(0);
    core_generator = weir_core(weir_cores() - 1);
    weir_pin(core_worker, NULL);
    for (unsigned i = 0; i < rounds; i++)
        for (int load = 0; load < LOADS; load++)
            for (unsigned who = 0; who < CONTENDERS; who++)
                run(load, who, i);
    for (int load = 0; load < LOADS; load++)
        print(load, rounds);
    printf("%u of %u runs left out: a core moved, or the generator did not keep its plan\n",
           left_out, rounds * LOADS * (unsigned)CONTENDERS);
    return 0;
}
