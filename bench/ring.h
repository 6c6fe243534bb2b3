/* SPDX-License-Identifier: MIT
 * The rings under test behind one shape, push(n) and pop(n) of 8-byte elements in bursts, all
 * compiled with the same flags. A yardstick gets its own library's fastest documented call and
 * nothing on top. */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <weir/ring.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#ifdef HAVE_DPDK
#include <rte_ring.h>
#endif
#ifdef HAVE_CK
#include <ck_ring.h>
#endif

#define SLOTS 1024u /* of every ring; 8 KiB of elements, well inside of the first-level cache */

/* ---- the queue that people write first: a mutex and a condition ----------------------- */

struct mutex_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    uint32_t head, tail;
    bool stop;
    uint64_t slot[SLOTS];
};

/* One lock a burst, one signal where the consumer may sleep; a full queue returns at once as rings
 * do. */
static inline uint32_t mutex_push(void *at, const uint64_t *elems, uint32_t n)
{
    struct mutex_queue *q = at;
    pthread_mutex_lock(&q->lock);
    uint32_t room = SLOTS - (q->head - q->tail);
    bool was_empty = room == SLOTS;
    n = n < room ? n : room;
    for (uint32_t i = 0; i < n; i++)
        q->slot[q->head++ % SLOTS] = elems[i];
    pthread_mutex_unlock(&q->lock);
    if (was_empty)
        pthread_cond_signal(&q->filled);
    return n;
}

/* Sleeps while the queue is empty: that is what the condition is for. */
static inline uint32_t mutex_pop(void *at, uint64_t *ret, uint32_t n)
{
    struct mutex_queue *q = at;
    pthread_mutex_lock(&q->lock);
    while (q->head == q->tail && !q->stop)
        pthread_cond_wait(&q->filled, &q->lock);
    uint32_t ready = q->head - q->tail;
    n = n < ready ? n : ready;
    for (uint32_t i = 0; i < n; i++)
        ret[i] = q->slot[q->tail++ % SLOTS];
    pthread_mutex_unlock(&q->lock);
    return n;
}

/* The same without sleeping, for the one thread that produces as well. */
static inline uint32_t mutex_try(void *at, uint64_t *ret, uint32_t n)
{
    struct mutex_queue *q = at;
    pthread_mutex_lock(&q->lock);
    uint32_t ready = q->head - q->tail;
    n = n < ready ? n : ready;
    for (uint32_t i = 0; i < n; i++)
        ret[i] = q->slot[q->tail++ % SLOTS];
    pthread_mutex_unlock(&q->lock);
    return n;
}

static void *mutex_open(void)
{
    struct mutex_queue *q = calloc(1, sizeof *q);
    if (q) {
        pthread_mutex_init(&q->lock, NULL);
        pthread_cond_init(&q->filled, NULL);
    }
    return q;
}

/* Wake a consumer that sleeps for the last time. */
static void mutex_stop(void *at)
{
    struct mutex_queue *q = at;
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_mutex_unlock(&q->lock);
    pthread_cond_broadcast(&q->filled);
}

/* ---- ours ----------------------------------------------------------------------------- */

static inline uint32_t spsc_push(void *r, const uint64_t *elems, uint32_t n)
{
    return weir_spsc_push(r, elems, n);
}
static inline uint32_t spsc_pop(void *r, uint64_t *ret, uint32_t n)
{
    return weir_spsc_pop(r, ret, n);
}
static inline uint32_t mpsc_push(void *r, const uint64_t *elems, uint32_t n)
{
    return weir_mpsc_push(r, elems, n);
}
static inline uint32_t mpsc_pop(void *r, uint64_t *ret, uint32_t n)
{
    return weir_mpsc_pop(r, ret, n);
}

static void *spsc_open(void)
{
    size_t bytes = weir_spsc_bytes(SLOTS, 8, 0);
    void *r = aligned_alloc(WEIR_RING_ALIGN, bytes);
    return r && weir_spsc_init(r, bytes, SLOTS, 8, 0) == 0 ? r : NULL;
}

static void *mpsc_open(void)
{
    size_t bytes = weir_mpsc_bytes(SLOTS, 8, 0);
    void *r = aligned_alloc(WEIR_RING_ALIGN, bytes);
    return r && weir_mpsc_init(r, bytes, SLOTS, 8, 0) == 0 ? r : NULL;
}

/* ---- DPDK's rte_ring, on memory of our own: no EAL is started ------------------------- */

#ifdef HAVE_DPDK
#define RTE_OPS(name, enqueue, dequeue, flags)                                                     \
    static inline uint32_t name##_push(void *r, const uint64_t *elems, uint32_t n)                 \
    {                                                                                              \
        return enqueue(r, (void *const *)(uintptr_t)elems, n, NULL);                               \
    }                                                                                              \
    static inline uint32_t name##_pop(void *r, uint64_t *ret, uint32_t n)                          \
    {                                                                                              \
        return dequeue(r, (void **)(uintptr_t)ret, n, NULL);                                       \
    }                                                                                              \
    static void *name##_open(void)                                                                 \
    {                                                                                              \
        void *r = aligned_alloc(128, ((size_t)rte_ring_get_memsize(SLOTS) + 127) / 128 * 128);     \
        return r && rte_ring_init(r, #name, SLOTS, flags) == 0 ? r : NULL;                         \
    }
RTE_OPS(rte_sp, rte_ring_sp_enqueue_burst, rte_ring_sc_dequeue_burst, RING_F_SP_ENQ | RING_F_SC_DEQ)
RTE_OPS(rte_mp, rte_ring_mp_enqueue_burst, rte_ring_sc_dequeue_burst, RING_F_SC_DEQ)
RTE_OPS(rte_rts, rte_ring_enqueue_burst, rte_ring_dequeue_burst, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ)
RTE_OPS(rte_hts, rte_ring_enqueue_burst, rte_ring_dequeue_burst, RING_F_MP_HTS_ENQ | RING_F_SC_DEQ)
#endif

/* ---- Concurrency Kit's ck_ring: it has no bursts, so a burst is a loop ---------------- */

#ifdef HAVE_CK
struct ck_queue {
    ck_ring_t ring;
    __attribute__((aligned(128))) ck_ring_buffer_t slot[SLOTS];
};

#define CK_OPS(name, enqueue, dequeue)                                                             \
    static inline uint32_t name##_push(void *at, const uint64_t *elems, uint32_t n)                \
    {                                                                                              \
        struct ck_queue *q = at;                                                                   \
        uint32_t i = 0;                                                                            \
        while (i < n && enqueue(&q->ring, q->slot, (void *)(uintptr_t)elems[i]))                   \
            i++;                                                                                   \
        return i;                                                                                  \
    }                                                                                              \
    static inline uint32_t name##_pop(void *at, uint64_t *ret, uint32_t n)                         \
    {                                                                                              \
        struct ck_queue *q = at;                                                                   \
        uint32_t i = 0;                                                                            \
        while (i < n && dequeue(&q->ring, q->slot, (void *)&ret[i]))                               \
            i++;                                                                                   \
        return i;                                                                                  \
    }
CK_OPS(ck_sp, ck_ring_enqueue_spsc, ck_ring_dequeue_spsc)
CK_OPS(ck_mp, ck_ring_enqueue_mpsc, ck_ring_dequeue_mpsc)

static void *ck_open(void)
{
    struct ck_queue *q = aligned_alloc(128, (sizeof *q + 127) / 128 * 128);
    if (q)
        ck_ring_init(&q->ring, SLOTS);
    return q;
}
#endif

#endif
