/* SPDX-License-Identifier: MIT
 * A pool over another's memory, as DPDK's mempool is: headers apart, each with its slot behind it. All that a
 * plain pool does it does as well; beside that, the other's devices lend and return. */
#include "buf.h"

#include <pthread.h>

#define SLOTS 16u
#define ROOM 2176u
#define GAP 192u /* what lies between a slot's end and the next header; any multiple of the line */
#define STEP (sizeof(struct weir_buf) + ROOM + GAP)

static uint8_t *memory;
static unsigned released;

static void release(void *arg)
{
    assert_ptr_equal(arg, &released);
    memset(memory, 0xee, SLOTS * STEP); /* it is the owner's again: ASan has nothing against it */
    released++;
}

static struct weir_pool *over_with(uint32_t small, uint32_t big, uint32_t run, uint32_t views,
                                   struct weir_why *why)
{
    struct weir_buf *table[SLOTS];
    struct weir_pool_opt opt = {.small = small, .big = big, .run = run, .views = views, PLAIN};
    struct pool_memory over = {.table = table, .room = ROOM, .release = release, .arg = &released};
    for (unsigned i = 0; i < SLOTS; i++)
        table[i] = (struct weir_buf *)(void *)(memory + i * STEP);
    return pool_open_over(&opt, &over, why);
}

static struct weir_pool *pool;

static int open_all(void **state)
{
    (void)state;
    memory = aligned_alloc(CACHE_LINE, SLOTS * STEP);
    released = 0;
    pool = over_with(SLOTS, 2, 64, 8, NULL);
    assert_non_null(pool);
    assert_sound(pool);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    assert_closes(pool);
    assert_int_equal(released, 1);
    free(memory);
    return 0;
}

static void headers_lie_in_front_of_their_slots(void **state)
{
    struct weir_buf *bufs[SLOTS + 1];
    (void)state;
    assert_int_equal(weir_buf_take(pool, bufs, SLOTS + 1), SLOTS);
    for (unsigned i = 0; i < SLOTS; i++) {
        assert_ptr_equal(bufs[i], memory + i * STEP);
        assert_ptr_equal(bufs[i], pool_buf(pool, WEIR_SMALL, i));
        assert_ptr_equal(bufs[i]->base, bufs[i] + 1);
        assert_int_equal(bufs[i]->room, ROOM);
        memset(bufs[i]->data, 1, weir_buf_tailroom(bufs[i]));
        assert_true(buf_over(bufs[i]));
    }
    assert_sound(pool);
    weir_buf_drop(bufs, SLOTS);
}

static void the_other_sections_are_its_own(void **state)
{
    struct weir_buf *big = weir_buf_take_bytes(pool, 5000), *run = weir_buf_take_bytes(pool, 90000);
    struct weir_buf *small = weir_buf_take_bytes(pool, 2000), *views[2];
    (void)state;
    assert_true(big->section == WEIR_BIG && run->section == WEIR_RUN);
    assert_false(buf_over(big));
    assert_int_equal(small->section, WEIR_SMALL);
    assert_int_equal(buf_views(small, small->data, 200, 100, views, 2), 2);
    assert_true(buf_over(views[0]));
    assert_sound(pool);
    drop(small);
    drop(big);
    drop(run);
    weir_buf_drop(views, 2);
}

/* All or none, in state BACKEND; and what comes back is free again, whatever it was. */
static void devices_lend_and_return(void **state)
{
    struct weir_buf *bufs[SLOTS], *more[4];
    (void)state;
    assert_true(pool_lend(pool, bufs, 12));
    assert_false(pool_lend(pool, more, 5));
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_BACKEND), 12);
    assert_sound(pool);
    pool_landed(pool, bufs, 4); /* received: 0 .. 3 are the application's */
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_APP), 4);
    assert_true(bufs[0]->state == WEIR_APP && bufs[0]->refs == 1);
    assert_sound(pool);
    buf_to_tx(bufs[0]);
    buf_to_tx(bufs[1]);
    buf_ref(bufs[1], 1); /* sent, and kept */
    assert_sound(pool);
    pool_return((struct weir_buf *[]){bufs[4], bufs[0], bufs[1], bufs[5]}, 4);
    assert_true(bufs[0]->state == WEIR_FREE && bufs[4]->state == WEIR_FREE);
    assert_true(bufs[1]->state == WEIR_APP && bufs[1]->refs == 1 && bufs[1]->tx_refs == 0);
    assert_sound(pool);
    weir_buf_drop(bufs + 1, 3);
    pool_return(bufs + 6, 6);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_FREE), SLOTS);
}

/* A ring that leads back: what was sent is received, without having been freed. */
static void what_was_sent_may_land_again(void **state)
{
    struct weir_buf *buf;
    (void)state;
    weir_buf_take(pool, &buf, 1);
    buf_to_tx(buf);
    pool_landed(pool, &buf, 1);
    assert_true(buf->state == WEIR_APP && buf->tx_refs == 0);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_TX), 0);
    assert_sound(pool);
    drop(buf);
}

/* A device that is gone keeps nothing. */
static void what_a_device_kept_is_reclaimed(void **state)
{
    struct weir_buf *lent[3], *sent[2], *body;
    (void)state;
    assert_true(pool_lend(pool, lent, 3));
    weir_buf_take(pool, sent, 2);
    weir_buf_take(pool, &body, 1);
    buf_to_tx(sent[0]);
    buf_to_tx(sent[1]);
    buf_ref(body, 2);
    buf_to_tx(body);
    buf_to_tx(body);
    pool_reclaim(pool, false);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_BACKEND), 0);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_TX), 3);
    pool_reclaim(pool, true);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_TX), 0);
    assert_true(body->state == WEIR_APP && body->refs == 1);
    assert_sound(pool);
    drop(body);
}

/* ---- from a thread of the device's ---------------------------------------------------------- */

static void *far_return(void *arg)
{
    struct weir_buf **bufs = arg;
    assert_false(pool_at_home(pool));
    pool_return(bufs, 4);
    weir_buf_drop(bufs + 2, 1); /* the application's own reference to one that was sent, too */
    return NULL;
}

static void returns_come_home_from_any_thread(void **state)
{
    struct weir_buf *bufs[4], *big = weir_buf_take_bytes(pool, 5000);
    pthread_t thread;
    (void)state;
    assert_true(pool_lend(pool, bufs, 2)); /* 0, 1: lent and not used */
    weir_buf_take(pool, bufs + 2, 1);      /* 2: sent, and kept */
    buf_ref(bufs[2], 1);
    buf_to_tx(bufs[2]);
    bufs[3] = big; /* 3: sent, of another section */
    buf_to_tx(big);
    assert_int_equal(pthread_create(&thread, NULL, far_return, bufs), 0);
    pthread_join(thread, NULL);
    assert_int_equal(bufs[0]->state, WEIR_BACKEND); /* not before they are collected */
    pool_collect(pool);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(bufs[i]->state, WEIR_FREE);
    assert_sound(pool);
}

/* ---- the audit ------------------------------------------------------------------------------ */

static void assert_found(const char *what)
{
    struct weir_why why = {0};
    assert_int_equal(weir_pool_check(pool, &why), -EILSEQ);
    if (!strstr(why.what, what))
        fail_msg("\"%s\" does not say: %s", why.what, what);
}

static void the_audit_sees_the_table_too(void **state)
{
    struct weir_buf *buf, **top = &pool->section[WEIR_SMALL].stack[0], *good;
    (void)state;
    weir_buf_take(pool, &buf, 1);
    buf->base += 8;
    assert_found("its base was overwritten");
    buf->base -= 8;
    buf->slot = 3;
    assert_found("its pool, section or slot");
    buf->slot = 0;
    good = *top;
    *top = (struct weir_buf *)(void *)((uint8_t *)good + 64);
    assert_found("holds what is no header");
    *top = pool->section[WEIR_SMALL].stack[1];
    assert_found("twice on the stack");
    *top = good;
    drop(buf);
}

static void what_cannot_be_opened_is_released(void **state)
{
    struct weir_why why = {0};
    (void)state;
    memory = aligned_alloc(CACHE_LINE, SLOTS * STEP);
    released = 0;
    assert_null(over_with(SLOTS, 1u << 25, 0, 0, &why));
    assert_int_equal(why.code, -EINVAL);
    assert_int_equal(released, 1);
    free(memory);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
    const struct CMUnitTest tests[] = {
        CASE(headers_lie_in_front_of_their_slots),
        CASE(the_other_sections_are_its_own),
        CASE(devices_lend_and_return),
        CASE(what_was_sent_may_land_again),
        CASE(what_a_device_kept_is_reclaimed),
        CASE(returns_come_home_from_any_thread),
        CASE(the_audit_sees_the_table_too),
        cmocka_unit_test(what_cannot_be_opened_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
