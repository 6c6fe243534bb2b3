/* SPDX-License-Identifier: MIT
 * The engine over AF_XDP beside loops that were written by hand (yard_xdp.c), in interleaved rounds of
 * one run, in the lab's private network, as root.
 *
 *     flood    64-byte datagrams as AF_XDP frames, as fast as they go: received a second
 *     live     the same by XDP live frames, which outrun AF_XDP
 *     drain    a few thousand, piled up in the ring first: what the receiver alone costs
 *     turn     the same as flood, and all are echoed: echoed a second
 *     echo     open-loop round trips at 25,000 a second: p50
 *
 * One thread spins on the first core, where the lab's receiving NAPI thread runs as well (not for echo),
 * the generator on the last. Cycles are those of looks that brought something. Ratios are taken within
 * a round; rounds during which a core moved, or the generator did not keep its plan, are left out. A
 * missed target is printed as missed, and the exit code is 0 all the same. Usage: bench_yardsticks_xdp
 * [ROUNDS] */
#include "yard_xdp.h"

#include "base/attr.h"

#include <weir.h>
#include <weir/lab.h>

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES 64u
#define PORT 7000u
#define ECHO_RATE 25000u
#define RUN_NS 400000000u
#define WARM_NS 100000000u
#define ROUNDS_MAX 50u
#define PILES 20u
#define PILE_RATE 1000000u
#define PILE_NS 3000000u /* 3,000 datagrams: a ring holds 4,096 */

enum load { FLOOD, LIVE, DRAIN, TURN, ECHO, LOADS };
enum { HAND, ENGINE, CONTENDERS };

/* ---- the engine as a contender -------------------------------------------------------------- */

struct ours {
    struct weir_engine *engine;
    uint64_t packets, sum;
    bool echoes;
};

static void on_events(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct ours *o = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATAGRAM)
            continue;
        o->sum += events[i].buf->len + events[i].buf->data[0];
        o->packets++;
        if (o->echoes)
            weir_send(engine, events->ep, &events[i].buf, 1);
    }
}

static bool ours_open(struct ours *o, const char *ifname, const struct weir_addr *at,
                      struct weir_why *why)
{
    struct weir_engine_opt opt = {.backend = "xdp",
                                  .handler = on_events,
                                  .app = o,
                                  .spin = 1,
                                  .frames.device = ifname};
    weir_ep ep;
    o->engine = weir_engine_open(&opt, why);
    return o->engine && weir_udp_open(o->engine, at, on_events, o, &ep) == 0;
}

static unsigned ours_step(struct ours *o)
{
    uint64_t before = o->packets;
    weir_poll(o->engine, weir_now_ns());
    return (unsigned)(o->packets - before);
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

/* ---- one run -------------------------------------------------------------------------------- */

struct live {
    unsigned who;
    enum load load;
    bool echoes, failed, ready, stop;
    struct weir_lab *lab;
    struct weir_addr at;
    struct ours ours;
    struct yard_xdp *yard;
    pthread_t thread;
    uint64_t packets, busy;  /* one writer, relaxed */
    uint64_t from[2], to[2]; /* of the window */
    double drained;          /* cycles a packet, the median of piles */
};

static bool contender_open(struct live *l, struct weir_why *why)
{
    const char *ifname = weir_lab_ifname(l->lab, WEIR_LAB_SERVER);
    if (l->who == ENGINE)
        return ours_open(&l->ours, ifname, &l->at, why);
    return (l->yard = yard_xdp_open(ifname, PORT, why));
}

static unsigned contender_step(struct live *l)
{
    if (l->who == ENGINE)
        return ours_step(&l->ours);
    return l->echoes ? yard_xdp_echo(l->yard) : yard_xdp_receive(l->yard);
}

static void contender_close(struct live *l)
{
    if (l->yard)
        yard_xdp_close(l->yard);
    if (l->ours.engine)
        weir_engine_close(l->ours.engine);
}

static void *pile_up(void *arg)
{
    const struct live *l = arg;
    struct weir_load_result result;
    const struct weir_load_opt opt = {.load = WEIR_LOAD_FLOOD,
                                      .target = l->at,
                                      .bytes = BYTES,
                                      .flows = 100,
                                      .rate = PILE_RATE,
                                      .duration_ns = PILE_NS,
                                      .core = weir_core(weir_cores() - 1),
                                      .lab = l->lab};
    weir_load_run(&opt, &result, NULL);
    return NULL;
}

/* Nobody sends: cycles a packet from the first look to the end of the last that brought something. */
static double drain_once(struct live *l)
{
    uint64_t start = weir_cycles(), last = start, packets = 0;
    for (unsigned empty = 0; empty < 1000;) {
        unsigned n = contender_step(l);
        packets += n;
        empty = n ? 0 : empty + 1;
        if (n)
            last = weir_cycles();
    }
    return packets ? (double)(last - start) / (double)packets : NAN;
}

static void drain(struct live *l)
{
    double cost[PILES];
    for (unsigned i = 0; i < PILES; i++) {
        pthread_t thread;
        cost[i] = NAN;
        if (pthread_create(&thread, NULL, pile_up, l))
            continue;
        pthread_join(thread, NULL);
        cost[i] = drain_once(l);
    }
    l->drained = median(cost, PILES);
}

static void *spin(void *arg)
{
    struct live *l = arg;
    struct weir_why why = {0};
    weir_pin(weir_core(0), NULL);
    l->ours.echoes = l->echoes;
    l->failed = weir_lab_enter(l->lab, WEIR_LAB_SERVER, &why) || !contender_open(l, &why);
    if (l->failed)
        printf("%s: %s; %s\n", why.where, why.what, why.fix);
    __atomic_store_n(&l->ready, true, __ATOMIC_RELEASE);
    if (l->load == DRAIN && !l->failed)
        drain(l);
    while (!l->failed && !__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
        uint64_t since = weir_cycles();
        unsigned n = contender_step(l);
        if (n == 0) {
            weir_pause();
            continue;
        }
        __atomic_store_n(&l->packets, l->packets + n, __ATOMIC_RELAXED);
        __atomic_store_n(&l->busy, l->busy + (weir_cycles() - since), __ATOMIC_RELAXED);
    }
    contender_close(l);
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
    double seen, cycles, busy;
};

static bool drive(struct live *l, enum load load, struct weir_load_result *result,
                  struct weir_histogram *h)
{
    const struct weir_load_opt opt = {.load = load == ECHO ? WEIR_LOAD_ECHO : WEIR_LOAD_FLOOD,
                                      .target = l->at,
                                      .bytes = BYTES,
                                      .flows = 100,
                                      .rate = load == ECHO ? ECHO_RATE : 0,
                                      .duration_ns = RUN_NS,
                                      .warmup_ns = WARM_NS,
                                      .core = weir_core(weir_cores() - 1),
                                      .lab = l->lab,
                                      .live_frames = load == LIVE,
                                      .mark = on_mark,
                                      .mark_arg = l,
                                      .latency = load == ECHO ? h : NULL};
    if (pthread_create(&l->thread, NULL, spin, l))
        return false;
    while (!__atomic_load_n(&l->ready, __ATOMIC_ACQUIRE))
        weir_pause();
    bool good = !l->failed && weir_load_run(&opt, result, NULL) == 0 && result->invalid.code == 0;
    __atomic_store_n(&l->stop, true, __ATOMIC_RELAXED);
    pthread_join(l->thread, NULL);
    return good;
}

static bool run_drain(struct live *l, struct figures *ret)
{
    l->stop = true; /* it is over when it has drained */
    if (pthread_create(&l->thread, NULL, spin, l))
        return false;
    pthread_join(l->thread, NULL);
    ret->seen = (double)weir_cycles_hz() / l->drained / 1e6;
    ret->cycles = l->drained;
    ret->busy = NAN;
    return l->drained > 0;
}

static bool run_in(struct weir_lab *lab, enum load load, unsigned who, struct figures *ret)
{
    struct live l = {.who = who,
                     .load = load,
                     .echoes = load >= TURN,
                     .lab = lab,
                     .at = weir_lab_addr(lab, WEIR_LAB_SERVER, PORT)};
    if (load == DRAIN)
        return run_drain(&l, ret);
    struct weir_load_result result;
    struct weir_histogram *h = weir_histogram_open(UINT64_C(10000000000));
    bool good = h && drive(&l, load, &result, h);
    double packets = (double)(l.to[0] - l.from[0]), busy = (double)(l.to[1] - l.from[1]);
    double ns = good ? (double)(result.end_ns - result.start_ns) : 1;
    ret->seen = load == ECHO ? (double)weir_histogram_percentile(h, 50) / 1e3 : packets * 1e3 / ns;
    ret->cycles = busy / packets;
    ret->busy = busy / (double)weir_cycles_hz() * 1e9 / ns;
    weir_histogram_close(h);
    return good && packets > 0;
}

/* ---- rounds and table ----------------------------------------------------------------------- */

static double seen[LOADS][CONTENDERS][ROUNDS_MAX], cycles[LOADS][CONTENDERS][ROUNDS_MAX],
    busy[LOADS][CONTENDERS][ROUNDS_MAX];
static unsigned left_out;

static bool run(enum load load, unsigned who, unsigned round)
{
    const struct weir_lab_opt opt = {.server_core = weir_core(0),
                                     .no_threaded_napi = load == ECHO || load == DRAIN};
    const int last = weir_core(weir_cores() - 1);
    struct figures f = {NAN, NAN, NAN};
    struct weir_why why = {0};
    struct weir_lab *lab;
    if (weir_lab_open(&lab, &opt, &why)) {
        printf("no lab: %s; %s\n", why.what, why.fix);
        return false;
    }
    double before = weir_canary_ns(weir_core(0), last, NULL);
    bool good = run_in(lab, load, who, &f);
    double after = weir_canary_ns(weir_core(0), last, NULL);
    weir_lab_close(lab);
    good = good && !(before > 0 && after > 0 && weir_canary_moved(before, after));
    left_out += !good;
    seen[load][who][round] = good ? f.seen : NAN;
    cycles[load][who][round] = good ? f.cycles : NAN;
    busy[load][who][round] = good ? f.busy : NAN;
    return true;
}

static double ratio(double (*of)[ROUNDS_MAX], unsigned rounds)
{
    double r[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++)
        r[i] = of[ENGINE][i] / of[HAND][i];
    return median(r, rounds);
}

static void print(enum load load, unsigned rounds)
{
    static const char *const names[] = {"flood, Mpps received", "live, Mpps received",
                                        "drain, Mpps", "turn, Mpps echoed", "echo, us p50"};
    static const char *const who_names[] = {"hand", "xdp"};
    double r = ratio(seen[load], rounds), target = load == ECHO ? 1.1 : 0.95;
    bool reached = load == ECHO ? r <= target : r >= target;
    for (unsigned who = 0; who < CONTENDERS; who++)
        printf("%-22s %-5s %8.3f  %8.1f cycles  busy %3.0f %%\n", who ? "" : names[load],
               who_names[who], median(seen[load][who], rounds), median(cycles[load][who], rounds),
               100 * median(busy[load][who], rounds));
    printf("%-28s %8.3f of hand  %s %.2f: %s\n", "", r, load == ECHO ? "<=" : ">=", target,
           isnan(r)  ? "not measured"
           : reached ? "reached"
                     : "missed");
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 7;
    rounds = rounds == 0 || rounds > ROUNDS_MAX ? 7 : rounds;
    if (weir_cores() < 2) {
        printf("yardsticks need two cores: one for the generator\n");
        return 0;
    }
    for (unsigned i = 0; i < rounds; i++)
        for (unsigned load = 0; load < LOADS; load++)
            for (unsigned who = 0; who < CONTENDERS; who++)
                if (!run((enum load)load, who, i))
                    return 0;
    for (unsigned load = 0; load < LOADS; load++)
        print((enum load)load, rounds);
    printf("%u of %u runs left out: a core moved, or the generator did not keep its plan\n",
           left_out, rounds * (unsigned)LOADS * (unsigned)CONTENDERS);
    return 0;
}
