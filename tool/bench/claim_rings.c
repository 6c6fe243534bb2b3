/* SPDX-License-Identifier: MIT
 * A lock-free ring against the queue that people write first: a mutex and a condition.
 *
 *     producer on one core --- 8-byte elements, in bursts ---> consumer on the other
 *
 * In the flow   claims.c, when --claims is given, after the last run.
 * Invariants    both queues have the same slots, the same bursts, the same loops and flags; the
 *               mutex queue locks once a burst and signals only where the consumer may sleep, as
 *               its own users would write it. */
#include "bench/claims.h"
#include "bench/stats.h"

#include <weir/ring.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 1024u
#define BURST_MAX 32u
#define PASS_NS 30000000u /* one pass of one queue */
#define PASSES 5u

struct mutex_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    uint32_t head, tail;
    bool stop;
    uint64_t slot[SLOTS];
};

static uint32_t mutex_push(void *at, const uint64_t *from, uint32_t n)
{
    struct mutex_queue *q = at;
    pthread_mutex_lock(&q->lock);
    uint32_t room = SLOTS - (q->head - q->tail);
    n = n < room ? n : room;
    for (uint32_t i = 0; i < n; i++)
        q->slot[q->head++ % SLOTS] = from[i];
    pthread_mutex_unlock(&q->lock);
    if (room == SLOTS)
        pthread_cond_signal(&q->filled);
    return n;
}

static uint32_t mutex_pop(void *at, uint64_t *to, uint32_t n)
{
    struct mutex_queue *q = at;
    pthread_mutex_lock(&q->lock);
    while (q->head == q->tail && !q->stop)
        pthread_cond_wait(&q->filled, &q->lock);
    uint32_t ready = q->head - q->tail;
    n = n < ready ? n : ready;
    for (uint32_t i = 0; i < n; i++)
        to[i] = q->slot[q->tail++ % SLOTS];
    pthread_mutex_unlock(&q->lock);
    return n;
}

static void mutex_stop(struct mutex_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_mutex_unlock(&q->lock);
    pthread_cond_signal(&q->filled);
}

static uint32_t ring_push(void *at, const uint64_t *from, uint32_t n)
{
    return weir_spsc_push(at, from, n);
}

static uint32_t ring_pop(void *at, uint64_t *to, uint32_t n)
{
    return weir_spsc_pop(at, to, n);
}

/* ---- one pass
 * -------------------------------------------------------------------------------------- */

struct pass {
    void *queue;
    bool is_ring;
    int core;
    uint32_t burst;
    uint64_t popped; /* the consumer's alone, read after it was joined */
    uint64_t sum;
    bool stop; /* relaxed: a flag, no data behind it */
};

typedef uint32_t push_fn(void *, const uint64_t *, uint32_t);
typedef uint32_t pop_fn(void *, uint64_t *, uint32_t);

/* Inlined twice, so that neither queue pays for a call through a pointer. */
static inline __attribute__((always_inline)) void consume(struct pass *p, pop_fn *pop)
{
    uint64_t to[BURST_MAX] = {0};
    while (!__atomic_load_n(&p->stop, __ATOMIC_RELAXED)) {
        uint32_t n = pop(p->queue, to, p->burst);
        for (uint32_t i = 0; i < n; i++)
            p->sum += to[i];
        p->popped += n;
    }
}

static inline __attribute__((always_inline)) void produce(struct pass *p, push_fn *push,
                                                          uint64_t until)
{
    uint64_t from[BURST_MAX] = {0};
    do
        for (unsigned i = 0; i < 64; i++) /* the clock is looked at now and then */
            from[0] += push(p->queue, from, p->burst);
    while (weir_now_ns() < until);
}

static void *consumer(void *arg)
{
    struct pass *p = arg;
    weir_pin(p->core, NULL);
    if (p->is_ring)
        consume(p, ring_pop);
    else
        consume(p, mutex_pop);
    return NULL;
}

/* Elements a second, or 0. */
static double run(struct pass *p)
{
    pthread_t thread;
    uint64_t start = weir_now_ns();
    if (pthread_create(&thread, NULL, consumer, p))
        return 0;
    if (p->is_ring)
        produce(p, ring_push, start + PASS_NS);
    else
        produce(p, mutex_push, start + PASS_NS);
    __atomic_store_n(&p->stop, true, __ATOMIC_RELAXED);
    if (!p->is_ring)
        mutex_stop(p->queue);
    uint64_t end = weir_now_ns();
    pthread_join(thread, NULL);
    return (double)p->popped * 1e9 / (double)(end - start);
}

static double ring_rate(int core, uint32_t burst)
{
    size_t bytes = weir_spsc_bytes(SLOTS, 8, 0);
    struct weir_spsc *r = aligned_alloc(WEIR_RING_ALIGN, (bytes + WEIR_RING_ALIGN - 1) /
                                                             WEIR_RING_ALIGN * WEIR_RING_ALIGN);
    struct pass p = {.queue = r, .is_ring = true, .core = core, .burst = burst};
    double rate = r && weir_spsc_init(r, bytes, SLOTS, 8, 0) == 0 ? run(&p) : 0;
    free(r);
    return rate;
}

static double mutex_rate(int core, uint32_t burst)
{
    struct mutex_queue *q = calloc(1, sizeof *q);
    struct pass p = {.queue = q, .core = core, .burst = burst};
    if (!q)
        return 0;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->filled, NULL);
    double rate = run(&p);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->filled);
    free(q);
    return rate;
}

static double ratio(int core, uint32_t burst)
{
    double ring[PASSES], mutex[PASSES];
    for (unsigned i = 0; i < PASSES; i++) {
        ring[i] = ring_rate(core, burst);
        mutex[i] = mutex_rate(core, burst);
    }
    return stat_ratio_median(ring, mutex, PASSES);
}

void claim_rings(int core_a, int core_b, struct ring_ratio *ret)
{
    cpu_set_t before;
    bool known = pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0;
    *ret = (struct ring_ratio){.done = true};
    if (core_a == core_b || weir_pin(core_b, NULL) != 0) {
        snprintf(ret->why, sizeof ret->why, "it takes two cores");
        return;
    }
    ret->burst_1 = ratio(core_a, 1);
    ret->burst_32 = ratio(core_a, BURST_MAX);
    if (known)
        pthread_setaffinity_np(pthread_self(), sizeof before, &before);
}
