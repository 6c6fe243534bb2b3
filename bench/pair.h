/* SPDX-License-Identifier: MIT
 * Threads of one measurement: pinned, started together, stopped together; and the canary, the time
 * that a cache line takes from one core to the other, which tells whether the host moved its
 * virtual cores. */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include <weir/base.h>
#include <weir/ring.h>

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define CANARY_HOPS 400   /* there and back, a batch */
#define CANARY_BATCHES 5  /* the least of them counts */
#define CANARY_MOVED 1.25 /* facts of the test host: below this, two runs do not differ */

struct start {
    _Alignas(128) unsigned waiting; /* threads at the line; all spin until `want` are there */
    unsigned want;
    _Alignas(128) bool stop;
};

/* Spin until all threads are here, so that no thread's start-up is measured. Yields: they may
 * share a core. */
static inline void start_wait(struct start *s)
{
    __atomic_add_fetch(&s->waiting, 1,
                       __ATOMIC_ACQ_REL); /* pairs with the load below in the others */
    while (__atomic_load_n(&s->waiting, __ATOMIC_ACQUIRE) < s->want)
        sched_yield();
}

static inline bool start_stopped(struct start *s)
{
    return __atomic_load_n(&s->stop,
                           __ATOMIC_RELAXED); /* pairs with start_stop; nothing else is passed */
}

static inline void start_stop(struct start *s)
{
    __atomic_store_n(&s->stop, true, __ATOMIC_RELAXED); /* pairs with start_stopped */
}

struct canary {
    struct start start;
    _Alignas(128) unsigned ball;
    int core[2];
    double hop_ns;
};

static void *canary_back(void *arg)
{
    struct canary *c = arg;
    weir_pin(c->core[1], NULL);
    start_wait(&c->start);
    for (unsigned i = 1; i <= 2 * CANARY_HOPS * CANARY_BATCHES; i += 2) {
        while (__atomic_load_n(&c->ball, __ATOMIC_ACQUIRE) !=
               i) /* pairs with the store in canary_serve */
            ;
        __atomic_store_n(&c->ball, i + 1,
                         __ATOMIC_RELEASE); /* pairs with the load in canary_serve */
    }
    return NULL;
}

static void *canary_serve(void *arg)
{
    struct canary *c = arg;
    unsigned i = 1;
    weir_pin(c->core[0], NULL);
    start_wait(&c->start);
    for (unsigned batch = 0; batch < CANARY_BATCHES; batch++) {
        uint64_t begin = weir_cycles();
        for (unsigned hop = 0; hop < CANARY_HOPS; hop++, i += 2) {
            __atomic_store_n(&c->ball, i,
                             __ATOMIC_RELEASE); /* pairs with the load in canary_back */
            while (__atomic_load_n(&c->ball, __ATOMIC_ACQUIRE) != i + 1) /* pairs with its store */
                ;
        }
        double ns =
            (double)(weir_cycles() - begin) * 1e9 / (double)weir_cycles_hz() / (2 * CANARY_HOPS);
        c->hop_ns = batch == 0 || ns < c->hop_ns ? ns : c->hop_ns;
    }
    return NULL;
}

/* Nanoseconds of one hop of a cache line between the cores. */
static double canary(int a, int b)
{
    static struct canary c;
    pthread_t t[2];
    c = (struct canary){.start.want = 2, .core = {a, b}};
    if (pthread_create(&t[0], NULL, canary_serve, &c) ||
        pthread_create(&t[1], NULL, canary_back, &c))
        abort();
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    return c.hop_ns;
}

static inline bool canary_moved(double before, double after)
{
    return before > after * CANARY_MOVED || after > before * CANARY_MOVED;
}

/* What other processes, and the host, took from these cores: for cells whose threads share a core,
 * or spin on a wall clock. Coarse (the kernel counts in ticks of 10 ms), so for rounds of some 100
 * ms. */
struct others {
    double busy_s, own_s, wall_s;
};

static inline double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Busy seconds of all cores since boot, stolen ones included (proc(5), /proc/stat: user nice system
 * idle iowait irq softirq steal); 0 where that cannot be read. */
static inline double machine_busy_s(void)
{
    unsigned long long v[8] = {0};
    FILE *f = fopen("/proc/stat", "re");
    int n = f ? fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
                       &v[4], &v[5], &v[6], &v[7])
              : 0;
    if (f)
        fclose(f);
    if (n != 8)
        return 0;
    return (double)(v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / (double)sysconf(_SC_CLK_TCK);
}

static inline struct others others_now(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (struct others){machine_busy_s(), seconds(u.ru_utime) + seconds(u.ru_stime),
                           (double)weir_now_ns() / 1e9};
}

/* They took more than a tenth of one core since `from`. */
static inline bool others_disturbed(struct others from)
{
    struct others to = others_now();
    double theirs = (to.busy_s - from.busy_s) - (to.own_s - from.own_s);
    return theirs > (to.wall_s - from.wall_s) / 10;
}

#endif
