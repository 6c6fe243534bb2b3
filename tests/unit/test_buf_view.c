/* SPDX-License-Identifier: MIT
 * Views: cut from one receive, resumed when headers ran out, copied out when kept; the last one
 * frees the parent. */
#include "buf.h"

/* A big buffer with `bytes` numbered bytes. */
static struct weir_buf *receive(struct weir_pool *pool, uint32_t bytes)
{
    struct weir_buf *big;

    assert_int_equal(pool_take(pool, WEIR_BIG, &big, 1), 1);
    for (uint32_t i = 0; i < bytes; i++)
        big->data[i] = (uint8_t)(i * 7 + i / 256);
    big->len = bytes;
    big->peer = weir_addr_ip4(10, 0, 0, 1, 7000);
    return big;
}

static void the_last_view_is_shorter(void **state)
{
    struct weir_pool *pool = pool_with(0, 1, 0, 8);
    struct weir_buf *big = receive(pool, 2500), *views[8];

    (void)state;
    assert_int_equal(buf_views(big, big->data, 2500, 1000, views, 8), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_ptr_equal(views[i]->data, big->data + i * 1000);
        assert_int_equal(views[i]->len, i < 2 ? 1000 : 500);
        assert_int_equal(weir_buf_headroom(views[i]) + weir_buf_tailroom(views[i]), 0);
        assert_memory_equal(&views[i]->peer, &big->peer, sizeof big->peer);
        assert_ptr_equal(views[i]->parent, big);
    }
    assert_int_equal(big->refs, 4);
    assert_sound(pool);
    weir_buf_drop(views, 3);
    drop(big);
    assert_closes(pool);
}

static void one_view_may_be_all_of_it(void **state)
{
    struct weir_pool *pool = pool_with(0, 1, 0, 2);
    struct weir_buf *big = receive(pool, 100), *views[2];

    (void)state;
    assert_int_equal(buf_views(big, big->data, 100, 1400, views, 2), 1);
    assert_int_equal(views[0]->len, 100);
    assert_int_equal(buf_views(big, big->data, 0, 1400, views + 1, 1), 0);
    drop(views[0]);
    drop(big);
    assert_closes(pool);
}

static void the_last_view_frees_the_parent(void **state)
{
    struct weir_pool *pool = pool_with(1, 1, 0, 4);
    struct weir_buf *big = receive(pool, 40), *views[4];

    (void)state;
    assert_int_equal(buf_views(big, big->data, 40, 10, views, 4), 4);
    drop(big);
    weir_buf_drop(views, 3);
    assert_int_equal(count_of(pool, WEIR_BIG, WEIR_APP), 1);
    assert_sound(pool);
    buf_to_tx(views[3]);
    assert_int_equal(count_of(pool, WEIR_VIEW, WEIR_TX), 1);
    assert_sound(pool);
    buf_tx_done(views[3]);
    assert_int_equal(count_of(pool, WEIR_BIG, WEIR_FREE), 1);
    assert_int_equal(count_of(pool, WEIR_VIEW, WEIR_FREE), 4);
    assert_closes(pool);
}

/* 40 datagrams and 16 headers: cut in three goes, each from where the one before stopped. */
static void headers_run_out_and_the_rest_is_cut_later(void **state)
{
    struct weir_pool *pool = pool_with(0, 1, 0, 16);
    struct weir_buf *big = receive(pool, 3990), *views[40];
    uint32_t at = 0, made = 0;

    (void)state;
    while (at < 3990) {
        unsigned n = buf_views(big, big->data + at, 3990 - at, 100, views, 40);
        assert_in_range(n, 1, 16);
        for (unsigned i = 0; i < n; at += views[i++]->len)
            assert_ptr_equal(views[i]->data, big->data + at);
        assert_int_equal(buf_views(big, big->data, 100, 100, views + n, 1), made + n == 40 ? 1 : 0);
        weir_buf_drop(views, made + n == 40 ? n + 1 : n);
        made += n;
    }
    assert_int_equal(made, 40);
    assert_int_equal(at, 3990);
    drop(big);
    assert_closes(pool);
}

static void max_stops_the_cutting(void **state)
{
    struct weir_pool *pool = pool_with(0, 1, 0, 16);
    struct weir_buf *big = receive(pool, 1000), *views[16];

    (void)state;
    assert_int_equal(buf_views(big, big->data, 1000, 100, views, 4), 4);
    assert_int_equal(buf_views(big, big->data + 400, 600, 100, views + 4, 12), 6);
    weir_buf_drop(views, 10);
    drop(big);
    assert_closes(pool);
}

/* The smallest datagrams that a 64 KiB receive may bring: one byte each, and a reference for
 * each. */
static void a_parent_counts_65507_views(void **state)
{
    enum { N = 65507 };
    struct weir_pool *pool = pool_with(0, 1, 0, N + 100);
    struct weir_buf *big = receive(pool, N), **views = calloc(N + 100, sizeof *views);

    (void)state;
    assert_int_equal(buf_views(big, big->data, N, 1, views, N), N);
    assert_int_equal(big->refs, N + 1);
    assert_int_equal(buf_views(big, big->data, N, 1, views + N, 100), UINT16_MAX - N - 1);
    assert_null(weir_buf_keep(big)); /* not one more */
    assert_sound(pool);
    weir_buf_drop(views, UINT16_MAX - 1);
    drop(big);
    assert_closes(pool);
    free(views);
}

static void a_kept_view_is_a_copy_of_its_own(void **state)
{
    struct weir_pool *pool = pool_with(2, 1, 0, 4);
    struct weir_buf *big = receive(pool, 300), *views[3], *kept;

    (void)state;
    buf_views(big, big->data, 300, 100, views, 3);
    views[1]->flags = WEIR_BUF_BORROWED;
    kept = weir_buf_keep(views[1]);
    assert_int_equal(kept->section, WEIR_SMALL);
    assert_int_equal(kept->refs, 1);
    assert_int_equal(kept->flags, 0);
    assert_int_equal(views[1]->flags, WEIR_BUF_BORROWED);
    assert_int_equal(views[1]->refs, 1);
    assert_int_equal(kept->len, 100);
    assert_memory_equal(kept->data, big->data + 100, 100);
    assert_memory_equal(&kept->peer, &big->peer, sizeof big->peer);
    assert_int_equal(pool->copied, 1);
    weir_buf_drop(views, 3);
    drop(big);
    assert_int_equal(kept->data[99], (uint8_t)(199 * 7));
    drop(kept);
    assert_closes(pool);
}

static void keeping_a_view_of_an_empty_pool_is_refused(void **state)
{
    struct weir_pool *pool = pool_with(1, 1, 0, 4);
    struct weir_buf *big = receive(pool, 200), *views[2], *last;

    (void)state;
    weir_buf_take(pool, &last, 1);
    buf_views(big, big->data, 200, 100, views, 2);
    assert_null(weir_buf_keep(views[0]));
    assert_int_equal(pool->empty, 1);
    assert_int_equal(pool->copied, 0);
    assert_int_equal(views[0]->refs, 1);
    drop(last);
    weir_buf_drop(views, 2);
    drop(big);
    assert_closes(pool);
}

/* One view to many peers: references of the view, not copies. */
static void a_view_is_sent_to_many_without_a_copy(void **state)
{
    struct weir_pool *pool = pool_with(0, 1, 0, 2);
    struct weir_buf *big = receive(pool, 100), *view;

    (void)state;
    buf_views(big, big->data, 100, 100, &view, 1);
    drop(big);
    assert_true(buf_ref(view, 3));
    for (unsigned i = 0; i < 3; i++)
        buf_to_tx(view);
    drop(view);
    for (unsigned i = 0; i < 3; i++) {
        assert_sound(pool);
        assert_int_equal(count_of(pool, WEIR_BIG, WEIR_APP), 1);
        buf_tx_done(view);
    }
    assert_int_equal(pool->copied, 0);
    assert_closes(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_view_is_shorter),
        cmocka_unit_test(one_view_may_be_all_of_it),
        cmocka_unit_test(the_last_view_frees_the_parent),
        cmocka_unit_test(headers_run_out_and_the_rest_is_cut_later),
        cmocka_unit_test(max_stops_the_cutting),
        cmocka_unit_test(a_parent_counts_65507_views),
        cmocka_unit_test(a_kept_view_is_a_copy_of_its_own),
        cmocka_unit_test(keeping_a_view_of_an_empty_pool_is_refused),
        cmocka_unit_test(a_view_is_sent_to_many_without_a_copy),
    };

    return run_group(tests);
}
