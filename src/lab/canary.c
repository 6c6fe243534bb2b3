/* SPDX-License-Identifier: MIT
 * The canary: how long a cache line takes from one core to the other. Virtual cores are moved
 * about by the host, between siblings, core complexes and sockets; then this time changes, and
 * so does every figure that has two cores in it. A round during which it changed is left out.
 *
 * Two pinned threads hand one word to and fro. Half a round trip is a hop; many batches of round
 * trips are timed and the median taken, because a single one may be interrupted. */
#include "base/base.h"

#include <weir/lab.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES 63 /* odd: the median is one of them */
#define TRIPS 128  /* 63 x 128 round trips are 1 ms at 60 ns a hop, 3 ms at 200 ns */
#define DEAF_NS                                                                                    \
    (UINT64_C(2) * 1000 * 1000 * 1000) /* a partner that does not answer for so long never will */

struct canary {
    alignas(CACHE_PAIR) _Atomic uint32_t
        word; /* odd: the partner's turn. Pairs with itself, both ways */
    alignas(CACHE_PAIR) int core[2];
    int refused[2];
    double batch_ns[BATCHES];
    struct weir_why why[2];
};

/* Spin until the word is `value`; false when nothing happens for too long (a core that is not
 * scheduled). */
static bool await(struct canary *c, uint32_t value)
{
    uint64_t give_up = 0;

    for (uint32_t spins = 1; atomic_load_explicit(&c->word, memory_order_acquire) != value;
         spins++) {
        if ((spins & 0xfff) == 0) { /* rarely, so that the clock is not in the hop */
            uint64_t now = weir_now_ns();

            if (!give_up)
                give_up = now + DEAF_NS;
            else if (now > give_up)
                return false;
        }
    }
    return true;
}

static void *answer(void *arg)
{
    struct canary *c = arg;

    c->refused[1] = weir_pin(c->core[1], &c->why[1]);
    for (uint32_t turn = 0; turn < (BATCHES + 1) * TRIPS && await(c, 2 * turn + 1); turn++)
        atomic_store_explicit(&c->word, 2 * turn + 2, memory_order_release);
    return NULL;
}

static bool trips(struct canary *c, uint32_t first)
{
    for (uint32_t turn = first; turn < first + TRIPS; turn++) {
        atomic_store_explicit(&c->word, 2 * turn + 1, memory_order_release);
        if (!await(c, 2 * turn + 2))
            return false;
    }
    return true;
}

/* Both ends pin themselves first; the first batch only warms up. */
static void *ask(void *arg)
{
    struct canary *c = arg;
    bool alive;

    c->refused[0] = weir_pin(c->core[0], &c->why[0]);
    alive = trips(c, 0);
    for (unsigned i = 0; alive && i < BATCHES; i++) {
        uint64_t from = weir_now_ns();

        alive = trips(c, (i + 1) * TRIPS);
        c->batch_ns[i] = (double)(weir_now_ns() - from) / (2.0 * TRIPS);
    }
    if (!alive && !c->refused[0])
        c->refused[0] = why_set(&c->why[0], -ETIMEDOUT, "canary", "is something else pinned there?",
                                "core %d did not answer", c->core[1]);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static int run_both(struct canary *c, struct weir_why *why)
{
    pthread_t asker, answerer;
    int err = pthread_create(&answerer, NULL, answer, c);

    if (err)
        return why_set(why, -err, "canary", NULL, "no thread: %s", strerror(err));
    err = pthread_create(&asker, NULL, ask, c);
    if (!err)
        pthread_join(asker, NULL);
    pthread_join(answerer, NULL); /* without an asker it gives up by itself */
    for (int i = 0; !err && i < 2; i++) {
        if (c->refused[i] && why)
            *why = c->why[i];
        if (c->refused[i])
            return c->refused[i];
    }
    return err ? why_set(why, -err, "canary", NULL, "no thread: %s", strerror(err)) : 0;
}

double weir_canary_ns(int core_a, int core_b, struct weir_why *why)
{
    struct canary c = {.core = {core_a, core_b}};
    int r;

    if (core_a == core_b)
        return why_set(why, -EINVAL, "canary", "name two cores", "core %d cannot hop to itself",
                       core_a);
    r = run_both(&c, why);
    if (r < 0)
        return r;
    qsort(c.batch_ns, BATCHES, sizeof c.batch_ns[0], by_value);
    return c.batch_ns[BATCHES / 2];
}

int weir_canary_moved(double before_ns, double after_ns)
{
    /* bench/method.md: under 25 % is no difference between separate runs on a virtual machine */
    return fabs(after_ns - before_ns) > 0.25 * fmin(before_ns, after_ns);
}
