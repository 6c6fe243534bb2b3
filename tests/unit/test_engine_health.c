/* SPDX-License-Identifier: MIT
 * The watchdog and the figures of a crew, over sockets: nothing here needs a device. */
#include "test.h"

#include <weir/engine.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#define PATIENCE_NS UINT64_C(20000000000)

/* What worker 1's handler does when it is woken: nothing, until it may go on. */
static _Atomic bool blocks, blocked;

static void on_wake(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    (void)app;
    (void)events;
    (void)n;
    (void)engine;
    while (atomic_load(&blocks)) {
        atomic_store(&blocked, true);
        usleep(100);
    }
}

static struct weir_crew *crew_of(unsigned workers, uint64_t stall_ns)
{
    struct weir_crew_opt opt =
        {.engine = {.backend = "epoll",
                    .handler = on_wake,
                    .endpoints_max = 16,
                    .tx_max = 16,
                    .pool = {.small = 64, .big = 2, .run = 64, .mem_flags = WEIR_MEM_NO_LOCK}},
         .workers = workers,
         .unpinned = 1,
         .stall_ns = stall_ns};
    opt.engine.spin = 1;
    struct weir_why why = {0};
    struct weir_crew *crew = weir_crew_start(&opt, &why);
    if (!crew)
        fail_msg("%s: %s", why.where, why.what);
    return crew;
}

static void wait_for(struct weir_crew *crew, unsigned worker, bool stalled, struct weir_health *ret)
{
    uint64_t until = weir_now_ns() + PATIENCE_NS;
    do {
        usleep(200);
        assert_int_equal(weir_crew_health(crew, ret, 2), 2);
        assert_true(weir_now_ns() < until);
    } while ((ret[worker].stalled_ns > 0) != stalled);
}

static void a_blocking_handler_is_named(void **state)
{
    struct weir_health health[2];
    struct weir_crew *crew = crew_of(2, 2000000);
    uint64_t polled_ns;
    (void)state;
    wait_for(crew, 1, false, health);
    atomic_store(&blocks, true);
    weir_wake(weir_crew_engine(crew, 1));
    while (!atomic_load(&blocked))
        usleep(100);
    wait_for(crew, 1, true, health);
    assert_int_equal(health[1].why.code, -ETIMEDOUT);
    assert_non_null(strstr(health[1].why.what, "worker 1"));
    assert_non_null(strstr(health[1].why.what, "in a handler"));
    assert_int_equal(health[1].stalled_ns, health[1].at_ns - health[1].polled_ns);
    polled_ns = health[1].polled_ns;
    weir_crew_health(crew, health, 2);
    assert_int_equal(health[1].polled_ns, polled_ns); /* since when: it does not move */
    atomic_store(&blocks, false);
    wait_for(crew, 1, false, health);
    assert_int_equal(health[1].why.code, 0);
    assert_true(health[1].polled_ns > polled_ns);
    assert_int_equal(weir_crew_stop(crew), 0);
}

static void who_sleeps_is_not_stalled(void **state)
{
    struct weir_health health;
    struct weir_crew_opt opt = {.engine = {.backend = "epoll", .handler = on_wake},
                                .unpinned = 1,
                                .stall_ns = 1000000};
    struct weir_crew *crew = weir_crew_start(&opt, NULL);
    uint64_t until = weir_now_ns() + PATIENCE_NS;
    (void)state;
    assert_non_null(crew);
    do {
        usleep(2000);
        assert_int_equal(weir_crew_health(crew, &health, 1), 1);
        assert_true(weir_now_ns() < until);
    } while (!health.sleeping || health.at_ns - health.polled_ns < 10000000);
    assert_int_equal(health.stalled_ns, 0);
    assert_int_equal(health.core, -1);
    assert_int_equal(health.queue, -1);
    assert_int_equal(health.ring_slots, 0);
    assert_true(health.pool_total > 0);
    assert_int_equal(weir_crew_stop(crew), 0);
}

static void a_time_between_two_looks(void **state)
{
    struct weir_health before = {.at_ns = 1000000000, .worker = 3}, after = before, r;
    const char *name, *text;
    uint64_t count, sum = 0, starved = 0;
    unsigned n = 0;
    (void)state;
    before.counters.rx_packets = 10;
    before.counters.bad_checksum = 4;
    after.at_ns = 3000000000;
    after.counters.rx_packets = 110;
    after.counters.tx_packets = 100;
    after.counters.bad_checksum = 5;
    after.counters.handed_full = 2;
    after.counters.pool_empty = 5;                 /* a cause: no packet by itself */
    after.counters.busy_cycles = weir_cycles_hz(); /* one second of the two */
    weir_health_since(&after, &before, &r);
    assert_int_equal(r.worker, 3);
    assert_int_equal(r.at_ns, 2000000000);
    assert_int_equal(r.packets, 100);
    assert_int_equal(r.sent, 100);
    assert_int_equal(r.dropped, 3);
    assert_true(r.busy > 0.499 && r.busy < 0.501);
    assert_true(r.cycles_a_packet > 0);
    for (; weir_health_drop(&r, n, &name, &text, &count) == 0; n++) {
        assert_true(strlen(name) > 0 && strlen(text) > 0);
        if (strcmp(name, "handed_full") == 0)
            assert_int_equal(count, 2);
        if (strcmp(name, "pool_empty") == 0)
            starved = count;
        else
            sum += count;
    }
    assert_int_equal(sum, r.dropped);
    assert_int_equal(starved, 5);
    assert_true(n > 20);
    assert_int_equal(weir_health_drop(&r, n, &name, &text, &count), -ENOENT);
    weir_health_since(&after, &after, &after); /* any of the three may be one */
    assert_int_equal(after.packets, 0);
    assert_true(after.cycles_a_packet <= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blocking_handler_is_named),
        cmocka_unit_test(who_sleeps_is_not_stalled),
        cmocka_unit_test(a_time_between_two_looks),
    };

    return run_group(tests);
}
