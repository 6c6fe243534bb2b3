/* SPDX-License-Identifier: MIT
 * Taking and dropping: every section to its end, what is counted, what an option may be, how a
 * pool closes. */
#include "buf.h"

static void a_taken_buffer_is_empty_with_headroom(void **state)
{
    struct weir_pool *pool = pool_with(4, 0, 0, 0);
    struct weir_buf *buf;

    (void)state;
    assert_int_equal(weir_buf_take(pool, &buf, 1), 1);
    assert_int_equal(buf->len, 0);
    assert_int_equal(buf->refs, 1);
    assert_int_equal(buf->state, WEIR_APP);
    assert_int_equal(weir_buf_headroom(buf), 128);
    assert_int_equal(weir_buf_tailroom(buf), 2048 - 128);
    assert_ptr_equal(buf->pool, pool);
    memset(buf->base, 0xa5, buf->room);
    assert_sound(pool);
    drop(buf);
    assert_closes(pool);
}

static void small_slots_end_and_the_lack_is_counted(void **state)
{
    struct weir_pool *pool = pool_with(100, 0, 0, 0);
    struct weir_buf *bufs[128];
    struct weir_pool_stats stats;

    (void)state;
    assert_int_equal(weir_buf_take(pool, bufs, 64), 64);
    assert_int_equal(weir_buf_take(pool, bufs + 64, 64), 36);
    assert_int_equal(weir_buf_take(pool, bufs + 100, 1), 0);
    weir_pool_stats(pool, &stats);
    assert_int_equal(stats.empty, 2);
    assert_int_equal(stats.count[WEIR_SMALL][WEIR_APP], 100);
    assert_int_equal(stats.count[WEIR_SMALL][WEIR_FREE], 0);
    assert_sound(pool);
    weir_buf_drop(bufs, 100);
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_FREE), 100);
    assert_closes(pool);
}

static void pool_take_leaves_counting_to_its_caller(void **state)
{
    struct weir_pool *pool = pool_with(1, 3, 0, 0);
    struct weir_pool_stats stats;
    struct weir_buf *bufs[8];

    (void)state;
    assert_int_equal(pool_take(pool, WEIR_BIG, bufs, 8), 3);
    weir_pool_stats(pool, &stats);
    assert_int_equal(stats.empty, 0);
    assert_int_equal(stats.count[WEIR_BIG][WEIR_APP], 3);
    weir_buf_drop(bufs, 3);
    assert_closes(pool);
}

/* Every slot has its own bytes, and its index is its address. */
static void slots_do_not_overlap_and_are_aligned(void **state)
{
    struct weir_pool_opt opt =
        {.small = 40, .small_bytes = 4096, .big = 5, .run = 8, .headroom = 300, PLAIN};
    struct weir_pool *pool = weir_pool_open(&opt, NULL);
    struct weir_buf *bufs[45];
    uint8_t *base = pool_mem(pool)->base;

    (void)state;
    assert_int_equal(pool_take(pool, WEIR_SMALL, bufs, 40) +
                         pool_take(pool, WEIR_BIG, bufs + 40, 5),
                     45);
    for (unsigned i = 0; i < 45; i++) {
        assert_int_equal((uintptr_t)bufs[i]->base % 4096, 0);
        memset(bufs[i]->base, (int)i, bufs[i]->room);
        assert_ptr_equal(pool_buf(pool, bufs[i]->section, bufs[i]->slot), bufs[i]);
    }
    for (unsigned i = 0; i < 40; i++)
        assert_ptr_equal(bufs[i]->base, base + (size_t)bufs[i]->slot * pool_small_bytes(pool));
    for (unsigned i = 0; i < 45; i++)
        for (uint32_t k = 0; k < bufs[i]->room; k++)
            assert_int_equal(bufs[i]->base[k], i);
    weir_buf_drop(bufs, 45);
    assert_closes(pool);
}

static void a_big_slot_holds_the_largest_datagram_behind_its_headroom(void **state)
{
    struct weir_pool_opt opt = {.big = 1, .headroom = 1024, PLAIN};
    struct weir_pool *pool = weir_pool_open(&opt, NULL);
    struct weir_buf *buf = weir_buf_take_bytes(pool, WEIR_BIG_BYTES);

    (void)state;
    assert_non_null(buf);
    assert_int_equal(buf->section, WEIR_BIG);
    assert_int_equal(weir_buf_headroom(buf), 1024);
    assert_true(weir_buf_tailroom(buf) >= WEIR_BIG_BYTES);
    memset(buf->data, 1, WEIR_BIG_BYTES);
    drop(buf);
    assert_closes(pool);
}

static void take_bytes_chooses_the_first_section_that_fits_and_has_one(void **state)
{
    struct weir_pool *pool = pool_with(1, 2, 64, 0);
    static const struct {
        size_t bytes;
        unsigned section;
    } want[] = {{2048 - 127, WEIR_BIG}, {2048 - 128, WEIR_SMALL}, {1, WEIR_BIG}, {1, WEIR_RUN}};
    struct weir_buf *bufs[array_len(want)];

    (void)state;
    for (unsigned i = 0; i < array_len(want); i++) {
        bufs[i] = weir_buf_take_bytes(pool, want[i].bytes);
        assert_non_null(bufs[i]);
        assert_int_equal(bufs[i]->section, want[i].section);
        assert_true(weir_buf_tailroom(bufs[i]) >= want[i].bytes);
    }
    assert_null(weir_buf_take_bytes(pool, WEIR_BIG_BYTES * 2));
    assert_null(weir_buf_take_bytes(pool, SIZE_MAX));
    assert_int_equal(pool->empty, 2);
    weir_buf_drop(bufs, array_len(want));
    assert_closes(pool);
}

static void what_was_dropped_last_is_taken_first(void **state)
{
    struct weir_pool *pool = pool_with(16, 0, 0, 0);
    struct weir_buf *bufs[4], *again;

    (void)state;
    weir_buf_take(pool, bufs, 4);
    weir_buf_drop(bufs, 4);
    weir_buf_take(pool, &again, 1);
    assert_ptr_equal(again, bufs[3]);
    drop(again);
    assert_closes(pool);
}

/* One burst of everything: both pools, all sections, shared and not. */
static void a_mixed_burst_is_dropped_whole(void **state)
{
    struct weir_pool *a = pool_with(8, 2, 80, 8), *b = pool_with(8, 0, 0, 0);
    struct weir_buf *bufs[12], *shared;

    (void)state;
    weir_buf_take(a, bufs, 2);
    weir_buf_take(b, bufs + 2, 2);
    pool_take(a, WEIR_BIG, bufs + 4, 2);
    bufs[6] = weir_buf_take_bytes(a, 100000);
    weir_buf_take(a, bufs + 7, 1);
    shared = weir_buf_keep(bufs[7]);
    bufs[8] = shared;
    assert_int_equal(buf_views(bufs[4], bufs[4]->data, 300, 100, bufs + 9, 3), 3);
    weir_buf_drop(bufs, 12);
    assert_closes(a);
    assert_closes(b);
}

static void close_with_buffers_out_is_busy_and_changes_nothing(void **state)
{
    struct weir_pool *pool = pool_with(8, 1, 16, 4);
    struct weir_buf *bufs[2], *run = weir_buf_take_bytes(pool, 6000), *view;

    (void)state;
    weir_buf_take(pool, bufs, 2);
    assert_int_equal(weir_pool_close(pool), -EBUSY);
    assert_int_equal(buf_views(bufs[0], bufs[0]->data, 10, 10, &view, 1), 1);
    weir_buf_drop(bufs, 2);
    assert_int_equal(weir_pool_close(pool), -EBUSY);
    drop(view);
    assert_int_equal(weir_pool_close(pool), -EBUSY);
    drop(run);
    assert_closes(pool);
}

static void free_memory_is_poisoned(void **state)
{
    struct weir_pool *pool = pool_with(2, 1, 8, 0);
    struct weir_buf *bufs[3];

    (void)state;
    weir_buf_take(pool, bufs, 1);
    bufs[1] = weir_buf_take_bytes(pool, 3000);
    bufs[2] = weir_buf_take_bytes(pool, 4000);
    for (unsigned i = 0; i < 3; i++)
        assert_false(is_poisoned(bufs[i]->base + 4095 % bufs[i]->room));
    weir_buf_drop(bufs, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(is_poisoned(bufs[i]->base), POISONS);
    assert_closes(pool);
}

/* Each option that cannot be is refused with -EINVAL and a line that names it. */
static void hostile_options_are_refused(void **state)
{
    static const struct {
        struct weir_pool_opt opt;
        const char *what;
    } bad[] = {
        {{.small = 0, PLAIN}, "slots"},
        {{.views = 100, PLAIN}, "slots"},
        {{.small = UINT32_MAX, PLAIN}, "small"},
        {{.big = (1u << 24) + 1, PLAIN}, "big"},
        {{.small = 1, .run = UINT32_MAX, PLAIN}, "run"},
        {{.small = 1, .views = UINT32_MAX, PLAIN}, "views"},
        {{.small = 1, .small_bytes = 1, PLAIN}, "small_bytes"},
        {{.small = 1, .small_bytes = 3000, PLAIN}, "small_bytes"},
        {{.small = 1, .small_bytes = 8192, PLAIN}, "small_bytes"},
        {{.small = 1, .headroom = 1025, PLAIN}, "headroom"},
        {{.small = 1, .headroom = UINT32_MAX, PLAIN}, "headroom"},
        {{.small = 1, .node = WEIR_NODE_ANY, .mem_flags = 1u << 31}, "mem_flags"},
        {{.small = 1, .node = -7, .mem_flags = WEIR_MEM_NO_HUGE | WEIR_MEM_BIND}, "node -7"},
        {{.small = 1, .node = INT32_MAX, .mem_flags = WEIR_MEM_NO_HUGE | WEIR_MEM_BIND},
         "node 2147483647"},
    };

    (void)state;
    for (unsigned i = 0; i < array_len(bad); i++) {
        struct weir_why why = {0};
        assert_null(weir_pool_open(&bad[i].opt, &why));
        assert_int_equal(why.code, -EINVAL);
        if (!strstr(why.what, bad[i].what))
            fail_msg("case %u: \"%s\" does not name %s", i, why.what, bad[i].what);
        assert_null(weir_pool_open(&bad[i].opt, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_taken_buffer_is_empty_with_headroom),
        cmocka_unit_test(small_slots_end_and_the_lack_is_counted),
        cmocka_unit_test(pool_take_leaves_counting_to_its_caller),
        cmocka_unit_test(slots_do_not_overlap_and_are_aligned),
        cmocka_unit_test(a_big_slot_holds_the_largest_datagram_behind_its_headroom),
        cmocka_unit_test(take_bytes_chooses_the_first_section_that_fits_and_has_one),
        cmocka_unit_test(what_was_dropped_last_is_taken_first),
        cmocka_unit_test(a_mixed_burst_is_dropped_whole),
        cmocka_unit_test(close_with_buffers_out_is_busy_and_changes_nothing),
        cmocka_unit_test(free_memory_is_poisoned),
        cmocka_unit_test(hostile_options_are_refused),
    };

    return run_group(tests);
}
