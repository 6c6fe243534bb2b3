/* SPDX-License-Identifier: MIT
 * References: of the application and of transmissions, and the state that follows from them. */
#include "buf.h"

static void kept_and_dropped_as_often(void **state)
{
    struct weir_pool *pool = pool_with(2, 0, 0, 0);
    struct weir_buf *buf;

    (void)state;
    weir_buf_take(pool, &buf, 1);
    assert_ptr_equal(weir_buf_keep(buf), buf);
    assert_ptr_equal(weir_buf_keep(buf), buf);
    assert_int_equal(buf->refs, 3);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_APP), 1); /* a shared slot counts once */
    drop(buf);
    drop(buf);
    assert_int_equal(buf->state, WEIR_APP);
    drop(buf);
    assert_int_equal(buf->state, WEIR_FREE);
    assert_closes(pool);
}

static void keeping_a_borrowed_buffer_outlives_the_loan(void **state)
{
    struct weir_pool *pool = pool_with(1, 0, 0, 0);
    struct weir_buf *buf;

    (void)state;
    weir_buf_take(pool, &buf, 1);
    buf->flags = WEIR_BUF_BORROWED;
    assert_ptr_equal(weir_buf_keep(buf), buf);
    assert_int_equal(buf->refs, 2);
    drop(buf); /* the engine's, when the handler has returned */
    assert_int_equal(buf->state, WEIR_APP);
    drop(buf);
    weir_buf_take(pool, &buf, 1);
    assert_int_equal(buf->flags, 0); /* a loan does not live on in the next owner's buffer */
    drop(buf);
    assert_closes(pool);
}

static void sent_alone(void **state)
{
    struct weir_pool *pool = pool_with(4, 0, 0, 0);
    struct weir_buf *bufs[4];

    (void)state;
    weir_buf_take(pool, bufs, 4);
    for (unsigned i = 0; i < 4; i++)
        buf_to_tx(bufs[i]);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_TX), 4);
    assert_sound(pool);
    buf_tx_done(bufs[0]);
    buf_tx_done_many(bufs + 1, 3);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_TX), 0);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_FREE), 4);
    assert_closes(pool);
}

/* One payload to n peers: the caller keeps its reference, each transmission has one. */
static void sent_to_many(void **state)
{
    enum { N = 1000 };
    struct weir_pool *pool = pool_with(2, 0, 0, 0);
    struct weir_buf *buf, *done[N];

    (void)state;
    weir_buf_take(pool, &buf, 1);
    assert_true(buf_ref(buf, N));
    for (unsigned i = 0; i < N; i++) {
        buf_to_tx(buf);
        done[i] = buf;
    }
    assert_int_equal(buf->tx_refs, N);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_TX), 1);
    assert_sound(pool);
    buf_tx_done_many(done, N - 1);
    assert_int_equal(buf->state, WEIR_TX);
    buf_tx_done(buf);
    assert_int_equal(buf->state, WEIR_APP); /* the caller's is left */
    assert_int_equal(buf->refs, 1);
    drop(buf);
    assert_closes(pool);
}

static void dropped_by_its_owner_before_the_last_completion(void **state)
{
    struct weir_pool *pool = pool_with(2, 0, 0, 0);
    struct weir_buf *buf;

    (void)state;
    weir_buf_take(pool, &buf, 1);
    assert_true(buf_ref(buf, 2));
    buf_to_tx(buf);
    buf_to_tx(buf);
    drop(buf);
    assert_int_equal(buf->refs, 2);
    assert_int_equal(buf->state, WEIR_TX);
    buf_tx_done(buf);
    assert_int_equal(buf->state, WEIR_TX);
    assert_sound(pool);
    buf_tx_done(buf);
    assert_int_equal(buf->state, WEIR_FREE);
    assert_closes(pool);
}

static void references_are_counted_to_65535_and_refused_beyond(void **state)
{
    struct weir_pool *pool = pool_with(1, 0, 0, 0);
    struct weir_buf *buf;

    (void)state;
    weir_buf_take(pool, &buf, 1);
    assert_true(buf_ref(buf, UINT16_MAX - 1));
    assert_false(buf_ref(buf, 1));
    assert_null(weir_buf_keep(buf));
    assert_int_equal(buf->refs, UINT16_MAX);
    for (unsigned i = 0; i < UINT16_MAX; i++)
        drop(buf);
    assert_closes(pool);
}

static void lent_to_the_backend_and_back(void **state)
{
    struct weir_pool *pool = pool_with(4, 2, 0, 0);
    struct weir_buf *bufs[6];

    (void)state;
    pool_take(pool, WEIR_SMALL, bufs, 4);
    pool_take(pool, WEIR_BIG, bufs + 4, 2);
    for (unsigned i = 0; i < 6; i++)
        buf_to_backend(bufs[i]);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_BACKEND), 4);
    assert_int_equal(count_of(pool, WEIR_BIG, WEIR_BACKEND), 2);
    assert_int_equal(count_of(pool, WEIR_BIG, WEIR_APP), 0);
    assert_sound(pool);
    assert_int_equal(weir_pool_close(pool), -EBUSY);
    for (unsigned i = 0; i < 6; i++)
        buf_from_backend(bufs[i]);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_APP), 4);
    weir_buf_drop(bufs, 6);
    assert_closes(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_and_dropped_as_often),
        cmocka_unit_test(keeping_a_borrowed_buffer_outlives_the_loan),
        cmocka_unit_test(sent_alone),
        cmocka_unit_test(sent_to_many),
        cmocka_unit_test(dropped_by_its_owner_before_the_last_completion),
        cmocka_unit_test(references_are_counted_to_65535_and_refused_beyond),
        cmocka_unit_test(lent_to_the_backend_and_back),
    };

    return run_group(tests);
}
