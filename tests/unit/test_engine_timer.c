/* SPDX-License-Identifier: MIT
 * Timers: order, ids, and a long random walk against a plain array. */
#include "test.h"

#include "engine/engine.h"

#include <errno.h>

#define MAX 64u

static struct timers open_timers(uint32_t max)
{
    struct timers t = {0};
    assert_int_equal(timers_open(&t, max), 0);
    return t;
}

static void timers_fire_in_order_and_never_early(void **state)
{
    (void)state;
    struct timers t = open_timers(MAX);
    const uint64_t at[] = {50, 10, 40, 10, 30, 20};
    for (unsigned i = 0; i < array_len(at); i++)
        assert_true(timers_add(&t, at[i], at[i]) > 0);
    uint64_t token, last = 0;
    assert_int_equal(timers_next_ns(&t), 10);
    assert_false(timers_pop(&t, 9, &token));
    for (unsigned i = 0; i < array_len(at); i++) {
        assert_true(timers_pop(&t, 50, &token));
        assert_true(token >= last);
        last = token;
    }
    assert_false(timers_pop(&t, UINT64_MAX, &token));
    assert_true(timers_next_ns(&t) == UINT64_MAX);
    timers_close(&t);
}

static void an_id_is_good_once(void **state)
{
    (void)state;
    struct timers t = open_timers(2);
    uint64_t token;
    int64_t a = timers_add(&t, 1, 7), b = timers_add(&t, 2, 8);
    assert_int_equal(timers_add(&t, 3, 9), -ENOSPC);
    assert_int_equal(timers_cancel(&t, a), 0);
    assert_int_equal(timers_cancel(&t, a), -ENOENT);
    int64_t c = timers_add(&t, 1, 9); /* in a's place */
    assert_true(c != a);
    assert_int_equal(timers_cancel(&t, a), -ENOENT);
    assert_true(timers_pop(&t, 1, &token) && token == 9);
    assert_int_equal(timers_cancel(&t, c), -ENOENT); /* it has fired */
    assert_int_equal(timers_cancel(&t, b), 0);
    assert_int_equal(timers_cancel(&t, 0), -ENOENT);
    assert_int_equal(timers_cancel(&t, -1), -ENOENT);
    assert_int_equal(timers_cancel(&t, INT64_MAX), -ENOENT);
    timers_close(&t);
}

/* The reference: every armed timer in an array. */
struct model {
    int64_t id[MAX];
    uint64_t at[MAX];
    bool armed[MAX];
};

static uint64_t model_next(const struct model *m)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < MAX; i++)
        if (m->armed[i] && m->at[i] < next)
            next = m->at[i];
    return next;
}

static void walk(struct timers *t, struct model *m, unsigned i, uint64_t *now, uint64_t *token)
{
    if (!m->armed[i]) {
        m->at[i] = *now + (uint64_t)(rand() % 100);
        m->id[i] = timers_add(t, m->at[i], i);
        assert_true(m->id[i] > 0);
        m->armed[i] = true;
    } else if (rand() % 2) {
        assert_int_equal(timers_cancel(t, m->id[i]), 0);
        m->armed[i] = false;
    } else {
        *now += (uint64_t)(rand() % 20);
        while (timers_pop(t, *now, token)) {
            assert_true(*token < MAX && m->armed[*token]);
            assert_true(m->at[*token] == model_next(m) && m->at[*token] <= *now);
            m->armed[*token] = false;
        }
    }
    assert_true(timers_next_ns(t) == model_next(m));
}

static void a_random_walk_agrees_with_a_plain_array(void **state)
{
    (void)state;
    struct timers t = open_timers(MAX);
    struct model m = {0};
    uint64_t now = 0, token;
    unsigned seed = 20261120;
    srand(seed);
    print_message("seed %u\n", seed);
    for (unsigned step = 0; step < 100000; step++)
        walk(&t, &m, (unsigned)rand() % MAX, &now, &token);
    timers_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_and_never_early),
        cmocka_unit_test(an_id_is_good_once),
        cmocka_unit_test(a_random_walk_agrees_with_a_plain_array),
    };
    return run_group(tests);
}
