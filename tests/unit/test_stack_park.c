/* SPDX-License-Identifier: MIT
 * Packets that wait for a neighbour: order, bounds, and that none is lost or doubled. */
#include "stack_tables.h"

#include "stack/park.h"

#include <stdatomic.h>

static struct counters counters;

static struct park *open_with(uint32_t neighbours, uint32_t each, uint32_t all)
{
    struct park_opt opt = {neighbours, each, all, &counters};
    memset(&counters, 0, sizeof counters);
    struct park *p = park_open(&opt, NULL);
    assert_non_null(p);
    return p;
}

static struct weir_buf *packet(struct weir_pool *pool, uint8_t mark)
{
    struct weir_buf *buf;
    assert_int_equal(weir_buf_take(pool, &buf, 1), 1);
    buf->data[0] = mark;
    buf->len = 1;
    return buf;
}

static void take_is(struct park *p, uint32_t neighbour, uint8_t mark)
{
    struct weir_buf *buf = park_take(p, neighbour);
    assert_non_null(buf);
    assert_int_equal(buf->data[0], mark);
    drop(buf);
}

static void they_go_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    struct weir_pool *pool = pool_with(16, 0, 0, 0);
    struct park *p = open_with(4, 8, 16);
    for (uint8_t i = 0; i < 6; i++)
        park_add(p, i % 2, packet(pool, i));
    assert_int_equal(park_count(p), 6);
    take_is(p, 0, 0), take_is(p, 0, 2), take_is(p, 0, 4);
    assert_null(park_take(p, 0));
    assert_null(park_take(p, 3));
    take_is(p, 1, 1), take_is(p, 1, 3), take_is(p, 1, 5);
    park_close(p);
    assert_closes(pool);
}

static void a_neighbours_oldest_makes_room(void **state)
{
    (void)state;
    struct weir_pool *pool = pool_with(16, 0, 0, 0);
    struct park *p = open_with(2, 2, 8);
    for (uint8_t i = 0; i < 5; i++)
        park_add(p, 0, packet(pool, i));
    assert_int_equal(COUNTED(&counters, park_full), 3);
    take_is(p, 0, 3), take_is(p, 0, 4);
    assert_null(park_take(p, 0));
    park_close(p);
    assert_closes(pool);
}

static void the_oldest_of_all_makes_room(void **state)
{
    (void)state;
    struct weir_pool *pool = pool_with(16, 0, 0, 0);
    struct park *p = open_with(8, 4, 4);
    for (uint8_t i = 0; i < 6; i++)
        park_add(p, i, packet(pool, i));
    assert_int_equal(COUNTED(&counters, park_full), 2);
    assert_null(park_take(p, 0));
    assert_null(park_take(p, 1));
    for (uint8_t i = 2; i < 6; i++)
        take_is(p, i, i);
    park_close(p);
    assert_closes(pool);
}

static void what_fails_is_dropped_and_counted(void **state)
{
    (void)state;
    struct weir_pool *pool = pool_with(16, 0, 0, 0);
    struct park *p = open_with(2, 8, 8);
    for (uint8_t i = 0; i < 6; i++)
        park_add(p, i % 2, packet(pool, i));
    park_fail(p, 1);
    assert_int_equal(COUNTED(&counters, neighbour_failed), 3);
    assert_int_equal(park_count(p), 3);
    park_close(p); /* with three inside */
    assert_closes(pool);
}

/* Against a model: a queue a neighbour, the oldest of all by stamp. */
static void a_long_random_walk_agrees_with_a_model(void **state)
{
    (void)state;
    enum { N = 5, EACH = 3, ALL = 8 };
    struct weir_pool *pool = pool_with(32, 0, 0, 0);
    struct park *p = open_with(N, EACH, ALL);
    unsigned queue[N][EACH], count[N] = {0}, all = 0, stamp = 0;
    srand(7);
    for (unsigned step = 0; step < 20000; step++) {
        unsigned who = (unsigned)rand() % N, victim = who;
        if (rand() % 5 < 2) {
            struct weir_buf *buf = park_take(p, who);
            assert_int_equal(buf != NULL, count[who] > 0);
            if (!buf)
                continue;
            unsigned mark;
            memcpy(&mark, buf->data, sizeof mark);
            assert_int_equal(mark, queue[who][0]);
            drop(buf);
        } else {
            struct weir_buf *buf = packet(pool, 0);
            memcpy(buf->data, &stamp, sizeof stamp);
            park_add(p, who, buf);
            for (unsigned i = 0; count[who] < EACH && all == ALL && i < N; i++)
                if (count[i] && (count[victim] == 0 || queue[i][0] < queue[victim][0]))
                    victim = i;
            if (count[who] < EACH && all < ALL) {
                queue[who][count[who]++] = stamp++;
                all++;
                continue;
            }
            memmove(queue[victim], queue[victim] + 1, sizeof queue[0] - sizeof queue[0][0]);
            count[victim]--;
            queue[who][count[who]++] = stamp++;
            continue;
        }
        memmove(queue[who], queue[who] + 1, sizeof queue[0] - sizeof queue[0][0]);
        count[who]--;
        all--;
        assert_int_equal(park_count(p), all);
    }
    park_close(p);
    assert_closes(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_go_in_the_order_in_which_they_came),
        cmocka_unit_test(a_neighbours_oldest_makes_room),
        cmocka_unit_test(the_oldest_of_all_makes_room),
        cmocka_unit_test(what_fails_is_dropped_and_counted),
        cmocka_unit_test(a_long_random_walk_agrees_with_a_model),
    };
    return run_group(tests);
}
