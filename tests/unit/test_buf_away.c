/* SPDX-License-Identifier: MIT
 * Foreign threads: what they drop comes home, each reference once. Run under TSan as well. */
#include "buf.h"

#include <pthread.h>
#include <sched.h>

#define THREADS 2
#define BURST 16

/* A thread that drops whatever it is handed, until it is handed NULL. */
struct dropper {
    pthread_t thread;
    pthread_mutex_t lock;
    struct weir_buf *bufs[1024];
    unsigned n;
    bool stop;
};

static unsigned dropper_fetch(struct dropper *d, struct weir_buf **ret, bool *stop)
{
    unsigned n;

    pthread_mutex_lock(&d->lock);
    n = min_of(d->n, BURST);
    for (unsigned i = 0; i < n; i++)
        ret[i] = d->bufs[--d->n];
    *stop = d->stop && d->n == 0;
    pthread_mutex_unlock(&d->lock);
    return n;
}

static void *dropper_run(void *arg)
{
    struct weir_buf *bufs[BURST];
    bool stop = false;

    while (!stop) {
        unsigned n = dropper_fetch(arg, bufs, &stop);
        weir_buf_drop(bufs, n);
        if (n == 0)
            sched_yield();
    }
    return NULL;
}

/* Hand over as many as there is room for; the rest is dropped at home. */
static void dropper_hand(struct dropper *d, struct weir_buf **bufs, unsigned n)
{
    unsigned took;

    pthread_mutex_lock(&d->lock);
    took = min_of(n, (unsigned)array_len(d->bufs) - d->n);
    memcpy(d->bufs + d->n, bufs, took * sizeof *bufs);
    d->n += took;
    pthread_mutex_unlock(&d->lock);
    weir_buf_drop(bufs + took, n - took);
}

static void droppers_start(struct dropper *d)
{
    for (unsigned i = 0; i < THREADS; i++) {
        d[i] = (struct dropper){.lock = PTHREAD_MUTEX_INITIALIZER};
        assert_int_equal(pthread_create(&d[i].thread, NULL, dropper_run, &d[i]), 0);
    }
}

static void droppers_stop(struct dropper *d)
{
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_mutex_lock(&d[i].lock);
        d[i].stop = true;
        pthread_mutex_unlock(&d[i].lock);
        pthread_join(d[i].thread, NULL);
    }
}

/* Both threads drop alternate bursts while the owner takes, writes and collects. */
static void two_threads_drop_what_the_owner_takes(void **state)
{
    static struct dropper droppers[THREADS];
    struct weir_pool *pool = pool_with(256, 0, 0, 0);
    struct weir_buf *bufs[BURST];

    (void)state;
    droppers_start(droppers);
    for (unsigned turn = 0; turn < 4000; turn++) {
        unsigned n = weir_buf_take(pool, bufs, BURST);
        for (unsigned i = 0; i < n; i++)
            memset(bufs[i]->data, (int)turn, 64);
        dropper_hand(&droppers[turn % THREADS], bufs, n);
        pool_collect(pool);
        if (turn % 64 == 0)
            assert_sound(pool);
    }
    droppers_stop(droppers);
    pool_collect(pool);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_FREE), 256);
    assert_true(pool->returned > 0);
    assert_closes(pool);
}

/* One buffer with references on both threads at once: more come home than there are headers. */
static void shared_references_come_home_each_once(void **state)
{
    static struct dropper droppers[THREADS];
    struct weir_pool *pool = pool_with(1, 0, 0, 0);
    struct weir_buf *buf, *bufs[BURST];

    (void)state;
    droppers_start(droppers);
    for (unsigned turn = 0; turn < 500; turn++) {
        while (weir_buf_take(pool, &buf, 1) == 0) {
            sched_yield();
            pool_collect(pool);
        }
        assert_true(buf_ref(buf, THREADS * BURST));
        for (unsigned i = 0; i < BURST; i++)
            bufs[i] = buf;
        for (unsigned i = 0; i < THREADS; i++)
            dropper_hand(&droppers[i], bufs, BURST);
        drop(buf);
    }
    droppers_stop(droppers);
    pool_collect(pool);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_FREE), 1);
    assert_closes(pool);
}

/* Views go home to their parent, runs to their map, and close itself collects. */
static void every_section_comes_home_and_close_collects(void **state)
{
    static struct dropper droppers[THREADS];
    struct weir_pool *pool = pool_with(4, 1, 64, 4);
    struct weir_buf *bufs[8];

    (void)state;
    droppers_start(droppers);
    pool_take(pool, WEIR_BIG, bufs, 1);
    assert_int_equal(buf_views(bufs[0], bufs[0]->data, 400, 100, bufs + 1, 4), 4);
    bufs[5] = weir_buf_take_bytes(pool, 70000);
    weir_buf_take(pool, bufs + 6, 2);
    assert_int_equal(bufs[5]->section, WEIR_RUN);
    for (unsigned i = 0; i < 8; i++)
        dropper_hand(&droppers[i % THREADS], bufs + i, 1);
    droppers_stop(droppers);
    assert_sound(pool);
    assert_int_equal(count_of(pool, WEIR_VIEW, WEIR_APP), 4); /* not yet collected */
    assert_int_equal(weir_pool_close(pool), 0);
}

static void *adopt_and_use(void *arg)
{
    struct weir_pool *pool = arg;
    struct weir_buf *bufs[8];

    weir_pool_adopt(pool);
    if (weir_buf_take(pool, bufs, 8) != 8)
        return NULL;
    weir_buf_drop(bufs, 8);
    return pool;
}

static void an_adopted_pool_is_at_home_on_its_new_thread(void **state)
{
    struct weir_pool *pool = pool_with(8, 0, 0, 0);
    pthread_t thread;
    void *result;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, adopt_and_use, pool), 0);
    pthread_join(thread, &result);
    assert_ptr_equal(result, pool);
    weir_pool_adopt(pool);
    assert_int_equal(pool->returned, 0);
    assert_closes(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads_drop_what_the_owner_takes),
        cmocka_unit_test(shared_references_come_home_each_once),
        cmocka_unit_test(every_section_comes_home_and_close_collects),
        cmocka_unit_test(an_adopted_pool_is_at_home_on_its_new_thread),
    };

    return run_group(tests);
}
