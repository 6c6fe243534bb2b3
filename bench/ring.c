/* SPDX-License-Identifier: MIT
 * bench/ring: our rings beside DPDK's rte_ring, Concurrency Kit's ck_ring and a mutex with a
 * condition.
 *
 * spsc  one thread a core; cycles (TSC) an element from the start until the last one is popped.
 * mpsc  two producers, elements a microsecond, in five placements on two cores A and B:
 *         single      one producer on B, the consumer on A: what one producer can do
 *         two, loop   one producer on B; on A one that pushes a burst, then pops what is there:
 *                     nobody is ever preempted, but the consumer has half of a core
 *         two, beside one producer on B; on A the other producer and the consumer as threads
 *         one core    both producers on B, the consumer alone on A
 *         one, spin   the same, and nobody yields
 * There is no third core to put the consumer on, so "on two" has two readings; both are printed.
 * A thread that finds its ring full or empty pauses, and every 64th time yields its core
 * (spsc and "spin": never). Rounds interleave all rings; a round before and after which the canary
 * differs by more than a quarter is left out and counted, and in mpsc one in which other processes
 * took a tenth of a core. The same compiler flags for all, and no sleeps. */
#include "pair.h"
#include "ring.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define ROUNDS_SPSC 15
#define ROUNDS_MPSC 5
#define ROUNDS_MAX 64
#define BURST_MAX 256
#define FRUITLESS 64 /* tries a yield */

struct cell {
    struct start start;
    void *ring;
    int core[2];
    uint32_t burst;
    uint64_t elems; /* spsc: how many to move */
    bool yields;
    uint64_t popped, cycles; /* the consumer's result */
};

typedef uint32_t push_fn(void *, const uint64_t *, uint32_t);
typedef uint32_t pop_fn(void *, uint64_t *, uint32_t);
typedef void *thread_fn(void *);
#define inlined static inline __attribute__((always_inline))

inlined void fruitless(const struct cell *c, unsigned *times)
{
    weir_pause();
    if (c->yields && ++*times % FRUITLESS == 0)
        sched_yield();
}

/* A known number of elements, one core to the other. */
inlined void *spsc_produce(struct cell *c, push_fn *push)
{
    uint64_t elems[BURST_MAX] = {0};
    weir_pin(c->core[1], NULL);
    start_wait(&c->start);
    for (uint64_t sent = 0; sent < c->elems;) {
        uint32_t n = push(c->ring, elems, c->burst);
        if (n == 0)
            weir_pause();
        sent += n;
    }
    return NULL;
}

inlined void *spsc_consume(struct cell *c, pop_fn *pop)
{
    uint64_t elems[BURST_MAX];
    weir_pin(c->core[0], NULL);
    start_wait(&c->start);
    uint64_t begin = weir_cycles();
    while (c->popped < c->elems) {
        uint32_t n = pop(c->ring, elems, c->burst);
        if (n == 0)
            weir_pause();
        c->popped += n;
    }
    c->cycles = weir_cycles() - begin;
    return NULL;
}

/* As many as there is time for. */
inlined void *mpsc_produce(struct cell *c, int core, push_fn *push)
{
    uint64_t elems[BURST_MAX] = {0};
    unsigned times = 0;
    weir_pin(core, NULL);
    start_wait(&c->start);
    while (!start_stopped(&c->start))
        if (push(c->ring, elems, c->burst) == 0)
            fruitless(c, &times);
    return NULL;
}

inlined void *mpsc_consume(struct cell *c, pop_fn *pop, push_fn *push)
{
    uint64_t elems[BURST_MAX] = {0};
    unsigned times = 0;
    weir_pin(c->core[0], NULL);
    start_wait(&c->start);
    uint64_t begin = weir_cycles();
    while (!start_stopped(&c->start)) {
        uint32_t pushed = push ? push(c->ring, elems, c->burst) : 0, n, popped = 0;
        while ((n = pop(c->ring, elems, c->burst)) > 0 && (popped += n) < 2 * c->burst)
            ;
        c->popped += popped;
        if (pushed + popped == 0)
            fruitless(c, &times);
    }
    c->cycles = weir_cycles() - begin;
    return NULL;
}

#define SPSC_ROW(ring)                                                                             \
    static void *ring##_1(void *c)                                                                 \
    {                                                                                              \
        return spsc_produce(c, ring##_push);                                                       \
    }                                                                                              \
    static void *ring##_2(void *c)                                                                 \
    {                                                                                              \
        return spsc_consume(c, ring##_pop);                                                        \
    }
#define MPSC_ROW(ring, poll)                                                                       \
    static void *ring##_m1(void *c)                                                                \
    {                                                                                              \
        return mpsc_produce(c, ((struct cell *)c)->core[1], ring##_push);                          \
    }                                                                                              \
    static void *ring##_m2(void *c)                                                                \
    {                                                                                              \
        return mpsc_produce(c, ((struct cell *)c)->core[0], ring##_push);                          \
    }                                                                                              \
    static void *ring##_m3(void *c)                                                                \
    {                                                                                              \
        return mpsc_consume(c, ring##_pop, NULL);                                                  \
    }                                                                                              \
    static void *ring##_m4(void *c)                                                                \
    {                                                                                              \
        return mpsc_consume(c, poll, ring##_push);                                                 \
    }

SPSC_ROW(spsc)
SPSC_ROW(mutex)
MPSC_ROW(mpsc, mpsc_pop)
MPSC_ROW(mutex, mutex_try)
#ifdef HAVE_DPDK
SPSC_ROW(rte_sp)
MPSC_ROW(rte_mp, rte_mp_pop)
MPSC_ROW(rte_rts, rte_rts_pop)
MPSC_ROW(rte_hts, rte_hts_pop)
#endif
#ifdef HAVE_CK
SPSC_ROW(ck_sp)
MPSC_ROW(ck_mp, ck_mp_pop)
#endif

struct row {
    const char *name;
    void *(*open)(void);
    void (*stop)(void *ring);
    thread_fn *produce, *produce_a, *consume, *both;
    unsigned fewer; /* spsc: divide the number of elements, for the slow ones */
};

static const struct row spsc_rows[] = {
    {"weir spsc", spsc_open, NULL, spsc_1, NULL, spsc_2, NULL, 1},
#ifdef HAVE_DPDK
    {"rte_ring SP/SC", rte_sp_open, NULL, rte_sp_1, NULL, rte_sp_2, NULL, 1},
#endif
#ifdef HAVE_CK
    {"ck_ring spsc", ck_open, NULL, ck_sp_1, NULL, ck_sp_2, NULL, 2},
#endif
    {"mutex + condition", mutex_open, mutex_stop, mutex_1, NULL, mutex_2, NULL, 8},
};

static const struct row mpsc_rows[] = {
    {"weir mpsc", mpsc_open, NULL, mpsc_m1, mpsc_m2, mpsc_m3, mpsc_m4, 1},
#ifdef HAVE_DPDK
    {"rte_ring MP/SC", rte_mp_open, NULL, rte_mp_m1, rte_mp_m2, rte_mp_m3, rte_mp_m4, 1},
    {"rte_ring MP RTS/SC", rte_rts_open, NULL, rte_rts_m1, rte_rts_m2, rte_rts_m3, rte_rts_m4, 1},
    {"rte_ring MP HTS/SC", rte_hts_open, NULL, rte_hts_m1, rte_hts_m2, rte_hts_m3, rte_hts_m4, 1},
#endif
#ifdef HAVE_CK
    {"ck_ring mpsc", ck_open, NULL, ck_mp_m1, ck_mp_m2, ck_mp_m3, ck_mp_m4, 1},
#endif
    {"mutex + condition", mutex_open, mutex_stop, mutex_m1, mutex_m2, mutex_m3, mutex_m4, 1},
};
#define ROWS(a) (sizeof(a) / sizeof((a)[0]))
#define ROWS_MAX 8

static const uint32_t bursts[] = {1, 8, 32, 256};
static const uint64_t spsc_elems[] = {1 << 19, 1 << 19, 1 << 20, 1 << 20}; /* some ms each */
enum place { SINGLE, TWO_LOOP, TWO_BESIDE, ONE_CORE, ONE_SPIN, PLACES };
static const char *place_name[] = {"single", "two, loop", "two, beside", "one core", "one, spin"};
/* Several time slices where threads share a core. */
static const unsigned place_ms[] = {20, 20, 100, 100, 100};

static void run_threads(struct cell *c, const struct row *row, thread_fn *const fn[3], unsigned ms)
{
    pthread_t t[3];
    unsigned n = fn[2] ? 3 : 2;
    c->ring = row->open();
    c->start.want = n;
    if (!c->ring)
        abort();
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&t[i], NULL, fn[i], c))
            abort();
    if (ms) {
        nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
        start_stop(&c->start);
        if (row->stop)
            row->stop(c->ring);
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(t[i], NULL);
    free(c->ring);
}

/* Cycles an element. */
static double spsc_cell(const struct row *row, const int core[2], unsigned b)
{
    static struct cell c;
    c = (struct cell){.core = {core[0], core[1]}, .burst = bursts[b]};
    c.elems = spsc_elems[b] / row->fewer;
    run_threads(&c, row, (thread_fn *[]){row->consume, row->produce, NULL}, 0);
    return (double)c.cycles / (double)c.popped;
}

/* Elements a microsecond. */
static double mpsc_cell(const struct row *row, const int core[2], enum place place, uint32_t burst)
{
    static struct cell c;
    c = (struct cell){.core = {core[0], core[1]}, .burst = burst, .yields = place != ONE_SPIN};
    thread_fn *const fn[PLACES][3] = {
        [SINGLE] = {row->consume, row->produce, NULL},
        [TWO_LOOP] = {row->both, row->produce, NULL},
        [TWO_BESIDE] = {row->consume, row->produce_a, row->produce},
        [ONE_CORE] = {row->consume, row->produce, row->produce},
        [ONE_SPIN] = {row->consume, row->produce, row->produce},
    };
    run_threads(&c, row, fn[place], place_ms[place]);
    return (double)c.popped * (double)weir_cycles_hz() / 1e6 / (double)c.cycles;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
    qsort(v, n, sizeof *v, ascending);
    return n == 0 ? 0 : n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* The rounds of one burst size. */
struct spsc_rounds {
    double got[ROWS_MAX][ROUNDS_MAX], ratio[ROWS_MAX][ROUNDS_MAX], hop[ROUNDS_MAX];
    unsigned kept;
};

/* All rings once, beginning with another one each round. */
static void spsc_round(struct spsc_rounds *s, const int core[2], unsigned b, unsigned round)
{
    double before = canary(core[0], core[1]);
    for (unsigned i = 0; i < ROWS(spsc_rows); i++) {
        unsigned row = (i + round) % ROWS(spsc_rows);
        s->got[row][s->kept] = spsc_cell(&spsc_rows[row], core, b);
    }
    for (unsigned row = 0; row < ROWS(spsc_rows); row++)
        s->ratio[row][s->kept] = s->got[row][s->kept] / s->got[0][s->kept];
    s->hop[s->kept] = before;
    s->kept += !canary_moved(before, canary(core[0], core[1]));
}

static void spsc_table_rows(const int core[2], unsigned b, unsigned rounds)
{
    static struct spsc_rounds s;
    s.kept = 0;
    for (unsigned round = 0; round < rounds; round++)
        spsc_round(&s, core, b, round);
    for (unsigned row = 0; s.kept && row < ROWS(spsc_rows); row++) {
        double mid = median(s.got[row], s.kept); /* sorts them */
        printf("%5u  %-18s %9.1f %9.1f %9.1f %11.2f\n", bursts[b], spsc_rows[row].name,
               s.got[row][0], mid, s.got[row][s.kept - 1], median(s.ratio[row], s.kept));
    }
    printf("       rounds kept %u, left out %u; hop of a cache line %.0f ns\n", s.kept,
           rounds - s.kept, median(s.hop, s.kept));
}

static void spsc_table(const int core[2], unsigned rounds)
{
    printf("spsc: cycles an element of 8 bytes, %u slots, core %d to core %d\n", SLOTS, core[1],
           core[0]);
    printf("burst  %-18s %9s %9s %9s %11s\n", "ring", "least", "median", "most", "x weir's");
    for (unsigned b = 0; b < ROWS(bursts); b++)
        spsc_table_rows(core, b, rounds);
}

struct mpsc_rounds {
    double got[PLACES][ROUNDS_MAX], share[ROUNDS_MAX], share_spin[ROUNDS_MAX];
    unsigned kept;
};

/* All placements of one ring; the canary is around them. */
static void mpsc_round(struct mpsc_rounds *m, const struct row *row, const int core[2],
                       uint32_t burst)
{
    unsigned k = m->kept;
    struct others others = others_now();
    double before = canary(core[0], core[1]);
    for (unsigned p = 0; p < PLACES; p++)
        m->got[p][k] = mpsc_cell(row, core, p, burst);
    double loop = m->got[TWO_LOOP][k], beside = m->got[TWO_BESIDE][k],
           two = loop > beside ? loop : beside;
    m->share[k] = m->got[ONE_CORE][k] / two;
    m->share_spin[k] = m->got[ONE_SPIN][k] / two;
    m->kept += !canary_moved(before, canary(core[0], core[1])) && !others_disturbed(others);
}

static void mpsc_table_head(unsigned rounds, uint32_t burst)
{
    printf("\nmpsc: elements of 8 bytes a microsecond, burst %u, %u slots; medians of %u rounds\n",
           burst, SLOTS, rounds);
    printf("%-18s", "ring");
    for (unsigned p = 0; p < PLACES; p++)
        printf(" %11s", place_name[p]);
    printf(" %7s %8s %4s\n", "one/two", "spin/two", "out");
}

static void mpsc_table_row(struct mpsc_rounds *m, const char *name, unsigned rounds)
{
    if (m->kept == 0) {
        printf("%-18s every round was disturbed: %u left out\n", name, rounds);
        return;
    }
    printf("%-18s", name);
    for (unsigned p = 0; p < PLACES; p++)
        printf(" %11.3f", median(m->got[p], m->kept));
    printf(" %7.2f %8.2f %4u\n", median(m->share, m->kept), median(m->share_spin, m->kept),
           rounds - m->kept);
}

static void mpsc_table(const int core[2], unsigned rounds, uint32_t burst)
{
    static struct mpsc_rounds m[ROWS_MAX];
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned r = 0; r < ROWS(mpsc_rows); r++)
            mpsc_round(&m[r], &mpsc_rows[r], core, burst);
    mpsc_table_head(rounds, burst);
    for (unsigned r = 0; r < ROWS(mpsc_rows); r++)
        mpsc_table_row(&m[r], mpsc_rows[r].name, rounds);
    printf(
        "one/two: both producers on one core against the better of the two readings of two cores,\n"
        "within the round; spin/two: the same where nobody yields; out: rounds left out\n");
}

int main(int argc, char **argv)
{
    int core[2] = {weir_core(0), weir_core(1)};
    const char *only = argc > 1 ? argv[1] : "all";
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    uint32_t burst = argc > 3 ? (uint32_t)atoi(argv[3]) : 8;
    if (rounds > ROUNDS_MAX || burst < 1 || burst > BURST_MAX) {
        fprintf(stderr,
                "usage: %s [all|spsc|mpsc] [rounds, at most 64] [mpsc burst, at most 256]\n",
                argv[0]);
        return 2;
    }
    if (core[1] < 0) {
        printf("SKIP: two cores are needed\n");
        return 0;
    }
    if (strcmp(only, "mpsc") != 0)
        spsc_table(core, rounds ? rounds : ROUNDS_SPSC);
    if (strcmp(only, "spsc") != 0)
        mpsc_table(core, rounds ? rounds : ROUNDS_MPSC, burst);
    return 0;
}
