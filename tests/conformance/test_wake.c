/* SPDX-License-Identifier: MIT
 * What reaches an engine from outside of its thread: wakes, stops, signals. No wake is lost, many
 * make one. */
#include "bed.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define STORM_THREADS 4
#define STORM_WAKES 100000

static void many_calls_make_one_event(struct bed *bed)
{
    bed_open(bed);
    for (unsigned i = 0; i < 1000; i++)
        weir_wake(bed->engine);
    UNTIL(bed, bed->wakes);
    bed_turns(bed, 5);
    assert_int_equal(bed->wakes, 1);
    assert_int_equal(bed->engine_last.kind, WEIR_WAKE);
    assert_int_equal(bed->engine_last.ep, 0);
    weir_wake(bed->engine);
    UNTIL(bed, bed->wakes == 2);
    assert_int_equal(bed_count(bed).wakes, 2);
    bed_close(bed);
}

static void wait_returns_at_once_after_a_wake(struct bed *bed)
{
    bed_open(bed);
    bed_turns(bed, 3);
    for (unsigned i = 1; i <= 100; i++) {
        weir_wake(bed->engine);
        assert_int_equal(weir_wait(bed->engine, -1), 0); /* for ever, if it does not see it */
        weir_poll(bed->engine, weir_now_ns());
        assert_int_equal(bed->wakes, i);
    }
    bed_close(bed);
}

static void wait_ends_by_itself(struct bed *bed)
{
    bed_open(bed);
    bed_turns(bed, 3);
    uint64_t before = weir_now_ns();
    assert_int_equal(weir_wait(bed->engine, 2000000), 0);
    assert_true(weir_now_ns() - before >=
                1000000); /* it did sleep; clocks of two kinds are in play */
    assert_int_equal(weir_wait(bed->engine, 0), 0);
    bed_close(bed);
}

/* What a wait has learnt and no poll has harvested outlives the next wait. */
static void waits_in_a_row_lose_nothing(struct bed *bed)
{
    struct weir_addr at, tcp;
    struct seen seen = {0}, stream = {0};
    bed_open(bed);
    bed_udp(bed, record, &seen, &at);
    bed_listen(bed, record, &stream, &tcp);
    int fd = peer_udp();
    bed_turns(bed, 3);
    peer_send(fd, &at, "", 0);
    assert_int_equal(weir_wait(bed->engine, PATIENCE_NS), 0);
    assert_int_equal(weir_wait(bed->engine, 1000000), 0);
    struct flow flow = {.fd = peer_connect(&tcp)};
    assert_int_equal(weir_wait(bed->engine, PATIENCE_NS), 0);
    assert_int_equal(weir_wait(bed->engine, 1000000), 0);
    UNTIL(bed, seen.kinds[WEIR_DATAGRAM] == 1 && stream.kinds[WEIR_OPEN] == 1);
    peer_close(&flow.fd);
    peer_close(&fd);
    bed_close(bed);
}

static void *wake_once(void *arg)
{
    usleep(2000); /* time for the engine to fall asleep: whether it does changes the path, not the
                     outcome */
    weir_wake(arg);
    return NULL;
}

static void another_thread_ends_the_sleep(struct bed *bed)
{
    bed_open(bed);
    for (unsigned i = 1; i <= 20; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wake_once, bed->engine), 0);
        while (bed->wakes < i) {
            weir_wait(bed->engine, -1);
            weir_poll(bed->engine, weir_now_ns());
        }
        pthread_join(thread, NULL);
    }
    assert_int_equal(bed->wakes, 20);
    bed_close(bed);
}

struct storm {
    struct weir_engine *engine;
    _Atomic unsigned done;
};

static void *storm(void *arg)
{
    struct storm *s = arg;
    for (unsigned i = 0; i < STORM_WAKES; i++)
        weir_wake(s->engine);
    atomic_fetch_add(&s->done, 1); /* pairs with the load in the case */
    return NULL;
}

static void wake_storm(struct bed *bed)
{
    pthread_t thread[STORM_THREADS];
    bed_open(bed);
    struct storm s = {.engine = bed->engine};
    for (unsigned i = 0; i < STORM_THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, storm, &s), 0);
    do
        bed_bystander(bed); /* is served all the same */
    while (atomic_load(&s.done) < STORM_THREADS);
    for (unsigned i = 0; i < STORM_THREADS; i++)
        pthread_join(thread[i], NULL);
    UNTIL(bed, bed->wakes >= 1);
    bed_turns(bed, 5);
    assert_true(bed->wakes <= STORM_THREADS * STORM_WAKES);
    unsigned settled = bed->wakes;
    bed_turns(bed, 5);
    assert_int_equal(bed->wakes, settled);
    weir_wake(bed->engine); /* the next one is not taken for one of the storm's */
    UNTIL(bed, bed->wakes == settled + 1);
    bed_close(bed);
}

static void *stop_soon(void *arg)
{
    usleep(2000);
    weir_stop(arg);
    return NULL;
}

static void run_until_stopped(struct bed *bed)
{
    for (unsigned spin = 0; spin < 2; spin++) {
        struct weir_engine_opt opt = bed_opt(bed);
        pthread_t thread;
        opt.spin = (uint8_t)spin;
        bed_open_with(bed, &opt);
        assert_int_equal(pthread_create(&thread, NULL, stop_soon, bed->engine), 0);
        assert_int_equal(weir_run(bed->engine), 0);
        pthread_join(thread, NULL);
        bed_close(bed);
    }
}

/* ---- signals ---- */

static struct weir_engine *_Atomic to_stop;
static _Atomic unsigned signals;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
    struct weir_engine *engine = atomic_load(&to_stop);
    if (engine)
        weir_stop(engine);
}

struct shooter {
    pthread_t target;
    _Atomic bool enough;
};

static void *shoot(void *arg)
{
    struct shooter *s = arg;
    while (!atomic_load(&s->enough)) {
        pthread_kill(s->target, SIGUSR1);
        usleep(500);
    }
    return NULL;
}

static void start_shooting(struct shooter *s, pthread_t *thread, struct weir_engine *stop)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
    sigaction(SIGUSR1, &action, NULL);
    atomic_store(&to_stop, stop);
    atomic_store(&signals, 0);
    *s = (struct shooter){.target = pthread_self()};
    assert_int_equal(pthread_create(thread, NULL, shoot, s), 0);
}

static void stop_shooting(struct shooter *s, pthread_t thread)
{
    atomic_store(&s->enough, true);
    pthread_join(thread, NULL);
    atomic_store(&to_stop, NULL);
}

static void signal_ends_a_sleep_and_nothing_else(struct bed *bed)
{
    struct shooter shooter;
    pthread_t thread;
    unsigned interrupted = 0;
    bed_open(bed);
    bed_turns(bed, 3);
    start_shooting(&shooter, &thread, NULL);
    uint64_t until = weir_now_ns() + PATIENCE_NS;
    while (interrupted < 5 && weir_now_ns() < until) {
        int rc = weir_wait(bed->engine, 100000000);
        assert_true(rc == 0 || rc == -EINTR);
        interrupted += rc == -EINTR;
        assert_true(weir_poll(bed->engine, weir_now_ns()) >= 0);
    }
    for (unsigned i = 0; i < 20; i++)
        bed_bystander(bed); /* under fire */
    stop_shooting(&shooter, thread);
    assert_int_equal(interrupted, 5);
    assert_true(atomic_load(&signals) > 0);
    bed_close(bed);
}

static void signal_handler_may_stop_a_run(struct bed *bed)
{
    struct shooter shooter;
    pthread_t thread;
    bed_open(bed);
    start_shooting(&shooter, &thread, bed->engine);
    assert_int_equal(weir_run(bed->engine), 0);
    stop_shooting(&shooter, thread);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(many_calls_make_one_event),
    CASE(wait_returns_at_once_after_a_wake),
    CASE(wait_ends_by_itself),
    CASE(waits_in_a_row_lose_nothing),
    CASE(another_thread_ends_the_sleep),
    CASE(wake_storm),
    CASE(run_until_stopped),
    CASE(signal_ends_a_sleep_and_nothing_else),
    CASE(signal_handler_may_stop_a_run),
};
BED_MAIN(cases)
