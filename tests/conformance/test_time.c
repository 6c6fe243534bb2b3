/* SPDX-License-Identifier: MIT
 * Timers: in virtual time, because `now` is weir_poll's argument. Never early, in order, each once.
 */
#include "bed.h"

#include <errno.h>

static void never_early_and_in_order(struct bed *bed)
{
    bed_open(bed);
    uint64_t t = weir_now_ns();
    for (uint64_t i = 0; i < 50;
         i++) /* armed in a scrambled order: 37 and 50 have no common factor */
        assert_true(weir_timer(bed->engine, t + 1000 * (1 + i * 37 % 50), i * 37 % 50) > 0);
    weir_poll(bed->engine, t + 999);
    assert_int_equal(bed->timers, 0);
    for (uint64_t k = 0; k < 50; k++) {
        weir_poll(bed->engine, t + 1000 * (k + 1) - 1);
        assert_int_equal(bed->timers, k);
        weir_poll(bed->engine, t + 1000 * (k + 1));
        assert_int_equal(bed->timers, k + 1);
        assert_int_equal(bed->tokens[k], k);
        assert_int_equal(bed->engine_last.rx_ns, t + 1000 * (k + 1));
        assert_int_equal(bed->engine_last.ep, 0);
    }
    assert_int_equal(bed_count(bed).timers, 50);
    bed_close(bed);
}

static void late_ones_come_at_once_in_order(struct bed *bed)
{
    bed_open(bed);
    uint64_t t = weir_now_ns();
    for (uint64_t i = 0; i < 50; i++)
        weir_timer(bed->engine, t + 1000 * (1 + i * 37 % 50), i * 37 % 50);
    weir_poll(bed->engine, t + 1000000);
    assert_int_equal(bed->timers, 50);
    for (uint64_t k = 0; k < 50; k++)
        assert_int_equal(bed->tokens[k], k);
    bed_close(bed);
}

static void the_same_time_fires_all(struct bed *bed)
{
    uint64_t mask = 0;
    bed_open(bed);
    uint64_t t = weir_now_ns();
    for (uint64_t i = 0; i < 60; i++)
        weir_timer(bed->engine, t, i);
    weir_poll(bed->engine, t);
    assert_int_equal(bed->timers, 60);
    for (unsigned i = 0; i < 60; i++)
        mask |= 1ull << bed->tokens[i];
    assert_int_equal(mask, (1ull << 60) - 1);
    bed_close(bed);
}

static void cancelled_ones_stay_silent(struct bed *bed)
{
    int64_t id[10];
    bed_open(bed);
    uint64_t t = weir_now_ns();
    for (unsigned i = 0; i < 10; i++)
        id[i] = weir_timer(bed->engine, t + i, i);
    for (unsigned i = 0; i < 10; i += 2)
        assert_int_equal(weir_timer_cancel(bed->engine, id[i]), 0);
    assert_int_equal(weir_timer_cancel(bed->engine, id[0]), -ENOENT);
    weir_poll(bed->engine, t + 100);
    assert_int_equal(bed->timers, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(bed->tokens[i], 2 * i + 1);
    assert_int_equal(weir_timer_cancel(bed->engine, id[1]), -ENOENT);
    assert_int_equal(weir_timer_cancel(bed->engine, 0), -ENOENT);
    assert_int_equal(weir_timer_cancel(bed->engine, INT64_MAX), -ENOENT);
    bed_close(bed);
}

static void an_old_id_does_not_cancel_a_new_timer(struct bed *bed)
{
    bed_open(bed);
    uint64_t t = weir_now_ns();
    int64_t old = weir_timer(bed->engine, t, 1);
    weir_poll(bed->engine, t);
    assert_int_equal(bed->timers, 1);
    assert_true(weir_timer(bed->engine, t + 5, 2) > 0); /* may well stand where the old one stood */
    assert_int_equal(weir_timer_cancel(bed->engine, old), -ENOENT);
    weir_poll(bed->engine, t + 5);
    assert_int_equal(bed->timers, 2);
    bed_close(bed);
}

static void timers_run_out_and_come_back(struct bed *bed)
{
    bed_open(bed);
    uint64_t t = weir_now_ns();
    for (unsigned i = 0; i < 64; i++)
        assert_true(weir_timer(bed->engine, t + i, i) > 0);
    assert_int_equal(weir_timer(bed->engine, t, 99), -ENOSPC);
    weir_poll(bed->engine, t);
    assert_int_equal(bed->timers, 1);
    assert_true(weir_timer(bed->engine, t + 1000, 99) > 0);
    assert_int_equal(weir_timer(bed->engine, t + 1000, 99), -ENOSPC);
    bed_close(bed);
}

static void next_is_the_earliest(struct bed *bed)
{
    bed_open(bed);
    bed_turns(bed, 3);
    assert_int_equal(weir_next_ns(bed->engine), UINT64_MAX);
    uint64_t t = weir_now_ns() + 3600000000000ull; /* in an hour: not due during this test */
    weir_timer(bed->engine, t + 20, 1);
    int64_t first = weir_timer(bed->engine, t + 10, 2);
    assert_int_equal(weir_next_ns(bed->engine), t + 10);
    weir_timer_cancel(bed->engine, first);
    assert_int_equal(weir_next_ns(bed->engine), t + 20);
    weir_poll(bed->engine, t + 20);
    assert_int_equal(bed->timers, 1);
    assert_int_equal(weir_next_ns(bed->engine), UINT64_MAX);
    bed_close(bed);
}

/* Arms and cancels at random against a table of what must fire; 5,000 steps. */
static void thousands_against_a_model(struct bed *bed)
{
    struct {
        int64_t id;
        uint64_t at;
    } model[64] = {0};
    uint32_t random = 1;
    unsigned fired = 0;
    bed_open(bed);
    uint64_t t = weir_now_ns();
    for (unsigned step = 0; step < 5000; step++, t += 10) {
        random = random * 1664525u + 1013904223u; /* Numerical Recipes */
        unsigned k = random >> 26;
        if (model[k].id && random & 1)
            assert_int_equal(weir_timer_cancel(bed->engine, model[k].id), 0);
        else if (model[k].id)
            continue;
        model[k].at = t + (random >> 8) % 2000;
        model[k].id = weir_timer(bed->engine, model[k].at, k);
        assert_true(model[k].id > 0);
        weir_poll(bed->engine, t);
        for (; fired < bed->timers; fired++) {
            uint64_t token = bed->tokens[fired % array_len(bed->tokens)];
            assert_true(model[token].id && model[token].at <= t);
            model[token].id = 0;
        }
        for (unsigned i = 0; i < 64; i++)
            assert_true(!model[i].id || model[i].at > t); /* what was due has fired */
    }
    assert_true(fired > 500);
    bed_close(bed);
}

struct rearm {
    uint64_t at_ns;
    unsigned fired;
};

static void on_rearm(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct rearm *r = app;
    (void)events;
    for (unsigned i = 0; i < n; i++) {
        r->fired++;
        weir_timer(engine, r->at_ns, 0); /* due already */
    }
}

static void a_timer_that_rearms_itself_lets_others_live(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct rearm rearm = {.at_ns = weir_now_ns()};
    opt.handler = on_rearm;
    opt.app = &rearm;
    bed_open_with(bed, &opt);
    weir_timer(bed->engine, rearm.at_ns, 0);
    for (unsigned i = 0; i < 10; i++)
        assert_true(weir_poll(bed->engine, weir_now_ns()) < 64); /* a poll ends */
    assert_true(rearm.fired >= 5);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(never_early_and_in_order),
    CASE(late_ones_come_at_once_in_order),
    CASE(the_same_time_fires_all),
    CASE(cancelled_ones_stay_silent),
    CASE(an_old_id_does_not_cancel_a_new_timer),
    CASE(timers_run_out_and_come_back),
    CASE(next_is_the_earliest),
    CASE(thousands_against_a_model),
    CASE(a_timer_that_rearms_itself_lets_others_live),
};
BED_MAIN(cases)
