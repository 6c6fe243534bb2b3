/* SPDX-License-Identifier: MIT
 * Runs: neighbours in memory, found through fragments, counted in slots. */
#include "buf.h"

#define SLOT 2048u

/* A run of exactly `k` slots. */
static struct weir_buf *run_of(struct weir_pool *pool, uint32_t k)
{
    return weir_buf_take_bytes(pool, (size_t)k * SLOT - 128);
}

static void a_run_is_neighbours_in_one_piece(void **state)
{
    struct weir_pool *pool = pool_with(0, 0, 200, 0);
    struct weir_buf *a = run_of(pool, 70), *b = run_of(pool, 130);

    (void)state;
    assert_int_equal(a->section, WEIR_RUN);
    assert_int_equal(a->room, 70 * SLOT);
    assert_ptr_equal(b->base, a->base + a->room);
    memset(a->base, 1, a->room);
    memset(b->base, 2, b->room);
    assert_int_equal(a->base[a->room - 1], 1);
    assert_int_equal(count_of(pool, WEIR_RUN, WEIR_APP), 200);
    assert_null(run_of(pool, 1));
    assert_sound(pool);
    drop(a);
    assert_int_equal(count_of(pool, WEIR_RUN, WEIR_FREE), 70);
    drop(b);
    assert_closes(pool);
}

static void a_run_larger_than_the_section_is_refused(void **state)
{
    struct weir_pool *pool = pool_with(0, 0, 100, 0);
    struct weir_buf *all = run_of(pool, 100);

    (void)state;
    assert_non_null(all);
    drop(all);
    assert_null(run_of(pool, 101));
    assert_null(weir_buf_take_bytes(pool, (size_t)100 * SLOT - 127));
    assert_null(weir_buf_take_bytes(pool, (size_t)UINT32_MAX + 1));
    assert_int_equal(pool->empty, 3);
    assert_closes(pool);
}

/* Half of the slots are free, and no two of them are neighbours. */
static void fragments_are_not_a_gap(void **state)
{
    struct weir_pool *pool = pool_with(0, 0, 130, 0);
    struct weir_buf *bufs[130];

    (void)state;
    for (unsigned i = 0; i < 130; i++)
        assert_non_null(bufs[i] = run_of(pool, 1));
    for (unsigned i = 0; i < 130; i += 2)
        drop(bufs[i]);
    assert_null(run_of(pool, 2));
    assert_int_equal(count_of(pool, WEIR_RUN, WEIR_FREE), 65);
    assert_sound(pool);
    drop(bufs[63]); /* the gap 62..64 crosses from one word of the map to the next */
    bufs[63] = run_of(pool, 3);
    assert_non_null(bufs[63]);
    assert_int_equal(bufs[63]->slot, 62);
    for (unsigned i = 1; i < 130; i += 2)
        drop(bufs[i]);
    assert_closes(pool);
}

/* The search goes on where it ended, and still finds a gap across that place. */
static void the_search_wraps_and_sees_gaps_across_its_start(void **state)
{
    struct weir_pool *pool = pool_with(0, 0, 10, 0);
    struct weir_buf *a = run_of(pool, 4), *b = run_of(pool, 2), *c = run_of(pool, 4);

    (void)state;
    drop(b);
    drop(a); /* free: 0..5, and the search begins at 10 */
    a = run_of(pool, 5);
    assert_non_null(a);
    assert_int_equal(a->slot, 0);
    drop(a); /* begins at 5, in the middle of the gap */
    a = run_of(pool, 6);
    assert_non_null(a);
    assert_int_equal(a->slot, 0);
    drop(c);
    drop(a);
    assert_closes(pool);
}

/* Next fit: the start of the section does not fill up with splinters. */
static void the_search_goes_on_behind_the_last_run(void **state)
{
    struct weir_pool *pool = pool_with(0, 0, 10, 0);
    struct weir_buf *a = run_of(pool, 3);

    (void)state;
    drop(a);
    a = run_of(pool, 2);
    assert_int_equal(a->slot, 3);
    drop(a);
    assert_closes(pool);
}

static void a_run_is_shared_sent_and_lent_in_slots(void **state)
{
    struct weir_pool *pool = pool_with(0, 0, 40, 0);
    struct weir_buf *run = run_of(pool, 33);

    (void)state;
    assert_ptr_equal(weir_buf_keep(run), run);
    buf_to_tx(run);
    assert_int_equal(count_of(pool, WEIR_RUN, WEIR_TX), 33);
    drop(run);
    assert_sound(pool);
    buf_tx_done(run);
    assert_int_equal(count_of(pool, WEIR_RUN, WEIR_FREE), 40);
    run = run_of(pool, 20);
    buf_to_backend(run);
    assert_int_equal(count_of(pool, WEIR_RUN, WEIR_BACKEND), 20);
    assert_sound(pool);
    buf_from_backend(run);
    drop(run);
    assert_closes(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_neighbours_in_one_piece),
        cmocka_unit_test(a_run_larger_than_the_section_is_refused),
        cmocka_unit_test(fragments_are_not_a_gap),
        cmocka_unit_test(the_search_wraps_and_sees_gaps_across_its_start),
        cmocka_unit_test(the_search_goes_on_behind_the_last_run),
        cmocka_unit_test(a_run_is_shared_sent_and_lent_in_slots),
    };

    return run_group(tests);
}
