/* SPDX-License-Identifier: MIT
 * Buffers that go to a worker with another pool: views over there, the way home, the way back whole.
 * Run under TSan as well. */
#include "buf.h"

#include "buf/foreign.h"

#include <pthread.h>
#include <sched.h>

static struct weir_buf *taken(struct weir_pool *pool, const char *text)
{
    struct weir_buf *buf;

    assert_int_equal(weir_buf_take(pool, &buf, 1), 1);
    buf->len = (uint32_t)strlen(text);
    memcpy(buf->data, text, buf->len);
    buf->peer.port = 7;
    return buf;
}

static struct weir_buf *sent_over(struct weir_buf *buf, struct weir_pool *to, bool write)
{
    struct away away;

    buf_leave(buf, &away);
    return buf_arrive(to, &away, write);
}

static void a_foreign_buffer_arrives_as_a_view_and_goes_home(void **state)
{
    struct weir_pool *own = pool_with(4, 0, 0, 0), *other = pool_with(4, 0, 0, 4);
    struct weir_buf *view = sent_over(taken(own, "hello"), other, true);

    (void)state;
    assert_non_null(view);
    assert_ptr_equal(view->pool, other);
    assert_int_equal(view->section, WEIR_VIEW);
    assert_int_equal(view->len, 5);
    assert_memory_equal(view->data, "hello", 5);
    assert_int_equal(view->peer.port, 7);
    assert_int_equal(weir_buf_headroom(view), 128); /* the parent is its alone */
    assert_sound(own);
    assert_sound(other);
    drop(view);
    assert_int_equal(count_of(own, WEIR_SMALL, WEIR_FREE), 4);
    assert_closes(own);
    assert_closes(other);
}

static void who_has_a_device_gets_no_memory_to_write(void **state)
{
    struct weir_pool *own = pool_with(4, 0, 0, 0), *other = pool_with(4, 0, 0, 4);
    struct weir_buf *view = sent_over(taken(own, "hello"), other, false);

    (void)state;
    assert_int_equal(weir_buf_headroom(view), 0);
    drop(view);
    assert_closes(own);
    assert_closes(other);
}

static void a_shared_buffer_is_not_written_over_there(void **state)
{
    struct weir_pool *own = pool_with(4, 0, 0, 0), *other = pool_with(4, 0, 0, 4);
    struct weir_buf *buf = taken(own, "hello"), *view;

    (void)state;
    assert_ptr_equal(weir_buf_keep(buf), buf);
    view = sent_over(buf, other, true);
    assert_int_equal(weir_buf_headroom(view), 0);
    drop(view);
    assert_int_equal(buf->refs, 1);
    drop(buf);
    assert_closes(own);
    assert_closes(other);
}

/* Headers go in front of the payload over there, and the parent itself comes back. */
static void a_whole_view_comes_back_as_the_buffer_it_was(void **state)
{
    struct weir_pool *own = pool_with(4, 0, 0, 0), *other = pool_with(4, 0, 0, 4);
    struct weir_buf *buf = taken(own, "hello"), *view = sent_over(buf, other, true), *back;

    (void)state;
    view->data -= 2;
    view->len += 2;
    memcpy(view->data, "0:", 2);
    back = sent_over(view, own, true);
    assert_ptr_equal(back, buf);
    assert_int_equal(back->refs, 1);
    assert_memory_equal(back->data, "0:hello", 7);
    assert_int_equal(back->len, 7);
    assert_int_equal(count_of(other, WEIR_VIEW, WEIR_FREE), 4);
    drop(back);
    assert_closes(own);
    assert_closes(other);
}

static void keeping_a_foreign_view_copies_it_out(void **state)
{
    struct weir_pool *own = pool_with(4, 0, 0, 0), *other = pool_with(4, 0, 0, 4);
    struct weir_buf *view = sent_over(taken(own, "hello"), other, true);
    struct weir_buf *kept = weir_buf_keep(view);

    (void)state;
    assert_ptr_equal(kept->pool, other);
    assert_int_equal(kept->section, WEIR_SMALL);
    drop(view);
    assert_int_equal(count_of(own, WEIR_SMALL, WEIR_FREE), 4);
    assert_memory_equal(kept->data, "hello", 5);
    drop(kept);
    assert_closes(own);
    assert_closes(other);
}

static void without_a_view_header_nothing_arrives_and_nothing_is_lost(void **state)
{
    struct weir_pool *own = pool_with(4, 0, 0, 0), *other = pool_with(4, 0, 0, 1);
    struct weir_buf *view = sent_over(taken(own, "one"), other, true);
    struct away away;

    (void)state;
    buf_leave(taken(own, "two"), &away);
    assert_null(buf_arrive(other, &away, true));
    drop(view);
    view = buf_arrive(other, &away, true);
    assert_memory_equal(view->data, "two", 3);
    drop(view);
    assert_closes(own);
    assert_closes(other);
}

static void what_nobody_takes_goes_home(void **state)
{
    struct weir_pool *own = pool_with(4, 0, 0, 0);
    struct away away;

    (void)state;
    buf_leave(taken(own, "x"), &away);
    away_drop(&away);
    assert_closes(own);
}

static void a_transmission_taken_back_is_the_callers_again(void **state)
{
    struct weir_pool *own = pool_with(4, 0, 0, 0);
    struct weir_buf *buf = taken(own, "x");

    (void)state;
    buf_to_tx(buf);
    buf_from_tx(buf);
    assert_int_equal(buf->state, WEIR_APP);
    assert_int_equal(count_of(own, WEIR_SMALL, WEIR_TX), 0);
    assert_sound(own);
    drop(buf);
    assert_closes(own);
}

/* ---- two threads ---- */

#define TURNS 20000u
#define SLOTS 64u

/* From one thread to another: `head` and `tail` each pair with the other side's load. */
struct pipe {
    struct away at[SLOTS];
    _Atomic unsigned head, tail;
};

static bool push(struct pipe *p, const struct away *away)
{
    unsigned head = atomic_load_explicit(&p->head, memory_order_relaxed);

    if (head - atomic_load_explicit(&p->tail, memory_order_acquire) == SLOTS)
        return false;
    p->at[head % SLOTS] = *away;
    atomic_store_explicit(&p->head, head + 1, memory_order_release);
    return true;
}

static bool pop(struct pipe *p, struct away *away)
{
    unsigned tail = atomic_load_explicit(&p->tail, memory_order_relaxed);

    if (tail == atomic_load_explicit(&p->head, memory_order_acquire))
        return false;
    *away = p->at[tail % SLOTS];
    atomic_store_explicit(&p->tail, tail + 1, memory_order_release);
    return true;
}

struct wire {
    struct pipe there, back;
    _Atomic bool done;
    _Atomic uint64_t bad;
};

/* One in four is dropped here, one kept as a copy for a moment, the others go back with a header. */
static void guest_take(struct wire *w, struct weir_buf *view, uint64_t k)
{
    struct away away;
    uint64_t stamp;

    memcpy(&stamp, view->data, 8);
    w->bad += stamp != k;
    if (k % 4 == 0) {
        drop(view);
    } else if (k % 4 == 1) {
        struct weir_buf *kept = weir_buf_keep(view);
        drop(view);
        w->bad += !kept || memcmp(kept->data, &k, 8) != 0;
        if (kept)
            drop(kept);
    } else {
        view->data -= 8;
        view->len += 8;
        memcpy(view->data, &(uint64_t){~k}, 8);
        buf_leave(view, &away);
        while (!push(&w->back, &away))
            sched_yield();
    }
}

static void *guest(void *arg)
{
    struct wire *w = arg;
    struct weir_pool *pool = pool_with(16, 0, 0, 8);
    struct away away;
    struct weir_buf *view;
    struct weir_why why;

    for (uint64_t k = 0; k < TURNS;) {
        if (!pop(&w->there, &away)) {
            sched_yield();
            continue;
        }
        view = buf_arrive(pool, &away, true);
        w->bad += view == NULL || (k % 512 == 0 && weir_pool_check(pool, &why) != 0);
        if (view)
            guest_take(w, view, k);
        k++;
    }
    w->bad += weir_pool_close(pool) != 0;
    atomic_store(&w->done, true);
    return NULL;
}

static void take_back(struct wire *w, struct weir_pool *pool)
{
    struct away away;
    uint64_t words[2];

    while (pop(&w->back, &away)) {
        struct weir_buf *buf = buf_arrive(pool, &away, true);
        memcpy(words, buf->data, 16);
        w->bad += buf->pool != pool || buf->len != 16 || words[0] != ~words[1];
        drop(buf);
    }
    pool_collect(pool);
}

static void owner(struct wire *w, struct weir_pool *pool)
{
    struct weir_buf *buf;
    struct away away;

    for (uint64_t k = 0; k < TURNS; k++) {
        while (weir_buf_take(pool, &buf, 1) == 0) {
            take_back(w, pool);
            sched_yield();
        }
        memcpy(buf->data, &k, 8);
        buf->len = 8;
        buf_leave(buf, &away);
        while (!push(&w->there, &away)) {
            take_back(w, pool);
            sched_yield();
        }
        if (k % 512 == 0)
            assert_sound(pool);
    }
    while (!atomic_load(&w->done)) {
        take_back(w, pool);
        sched_yield();
    }
    take_back(w, pool);
}

static void two_threads_pass_buffers_to_and_fro(void **state)
{
    static struct wire w;
    struct weir_pool *pool = pool_with(48, 0, 0, 0);
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, guest, &w), 0);
    owner(&w, pool);
    pthread_join(thread, NULL);
    pool_collect(pool);
    assert_int_equal(w.bad, 0);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_FREE), 48);
    assert_true(pool->returned >= TURNS / 2);
    assert_closes(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_foreign_buffer_arrives_as_a_view_and_goes_home),
        cmocka_unit_test(who_has_a_device_gets_no_memory_to_write),
        cmocka_unit_test(a_shared_buffer_is_not_written_over_there),
        cmocka_unit_test(a_whole_view_comes_back_as_the_buffer_it_was),
        cmocka_unit_test(keeping_a_foreign_view_copies_it_out),
        cmocka_unit_test(without_a_view_header_nothing_arrives_and_nothing_is_lost),
        cmocka_unit_test(what_nobody_takes_goes_home),
        cmocka_unit_test(a_transmission_taken_back_is_the_callers_again),
        cmocka_unit_test(two_threads_pass_buffers_to_and_fro),
    };

    return run_group(tests);
}
