/* SPDX-License-Identifier: MIT
 * Rings by one thread: what init and check accept, bursts over the end, full and empty, lengths,
 * stalls. */
#include "test.h"

#include <weir/ring.h>

#include <errno.h>

static void *block(size_t bytes)
{
    bytes = (bytes + WEIR_RING_ALIGN - 1) / WEIR_RING_ALIGN * WEIR_RING_ALIGN;
    void *at = aligned_alloc(WEIR_RING_ALIGN, bytes);
    assert_non_null(at);
    memset(at, 0xa5, bytes);
    return at;
}

static struct weir_spsc *spsc(uint32_t slots, uint32_t elem_bytes, unsigned flags)
{
    size_t bytes = weir_spsc_bytes(slots, elem_bytes, flags);
    struct weir_spsc *r = block(bytes);
    assert_int_equal(weir_spsc_init(r, bytes, slots, elem_bytes, flags), 0);
    return r;
}

static struct weir_mpsc *mpsc(uint32_t slots, uint32_t elem_bytes)
{
    size_t bytes = weir_mpsc_bytes(slots, elem_bytes, 0);
    struct weir_mpsc *r = block(bytes);
    assert_int_equal(weir_mpsc_init(r, bytes, slots, elem_bytes, 0), 0);
    return r;
}

static void bytes_refuses_what_cannot_be(void **state)
{
    (void)state;
    static const uint32_t bad[] = {0, 1, 3, 6, 1000, 0x80000001u, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(weir_spsc_bytes(bad[i], 8, 0), 0);
        assert_int_equal(weir_mpsc_bytes(bad[i], 8, 0), 0);
    }
    assert_int_equal(weir_spsc_bytes(8, 0, 0), 0);
    assert_int_equal(weir_mpsc_bytes(8, 0, 0), 0);
    assert_int_equal(weir_spsc_bytes(8, 8, 2), 0);
    assert_int_equal(weir_mpsc_bytes(8, 8, 1), 0);
}

static void bytes_does_not_overflow(void **state)
{
    (void)state;
    const uint32_t most = WEIR_RING_SLOTS_MAX;
    assert_int_equal(weir_spsc_bytes(most, UINT32_MAX, WEIR_RING_LENS), 0); /* 2^63 and more */
    assert_int_equal(weir_mpsc_bytes(most, UINT32_MAX, 0), 0);
    assert_true(weir_spsc_bytes(most, 1 << 20, 0) ==
                sizeof(struct weir_spsc) + ((size_t)most << 20));
    assert_true(weir_mpsc_bytes(2, UINT32_MAX, 0) > 2 * (size_t)UINT32_MAX);
}

static void init_refuses_small_and_crooked_memory(void **state)
{
    (void)state;
    size_t need = weir_spsc_bytes(8, 8, WEIR_RING_LENS), need_m = weir_mpsc_bytes(8, 8, 0);
    char *at = block(need + need_m + 8);
    assert_int_equal(weir_spsc_init((void *)at, need - 1, 8, 8, WEIR_RING_LENS), -EINVAL);
    assert_int_equal(weir_mpsc_init((void *)at, need_m - 1, 8, 8, 0), -EINVAL);
    assert_int_equal(weir_spsc_init(NULL, need, 8, 8, WEIR_RING_LENS), -EINVAL);
    assert_int_equal(weir_mpsc_init(NULL, need_m, 8, 8, 0), -EINVAL);
    void *crooked;
    uintptr_t moved = (uintptr_t)at + 8;
    memcpy(&crooked, &moved, sizeof crooked);
    assert_int_equal(weir_spsc_init(crooked, need, 8, 8, WEIR_RING_LENS), -EINVAL);
    assert_int_equal(weir_mpsc_init(crooked, need_m, 8, 8, 0), -EINVAL);
    assert_int_equal(weir_spsc_init((void *)at, need, 7, 8, WEIR_RING_LENS), -EINVAL);
    free(at);
}

static void check_knows_its_own_and_no_other(void **state)
{
    (void)state;
    size_t bytes = weir_spsc_bytes(8, 24, WEIR_RING_LENS), bytes_m = weir_mpsc_bytes(8, 24, 0);
    struct weir_spsc *s = spsc(8, 24, WEIR_RING_LENS);
    struct weir_mpsc *m = mpsc(8, 24);
    assert_int_equal(weir_spsc_check(s, bytes), 0);
    assert_int_equal(weir_mpsc_check(m, bytes_m), 0);
    assert_int_equal(weir_spsc_check(s, bytes - 1), -EINVAL);
    assert_int_equal(weir_spsc_check(s, 100), -EINVAL);
    assert_int_equal(weir_mpsc_check(m, bytes_m - 1), -EINVAL);
    assert_int_equal(weir_spsc_check((void *)m, bytes_m), -EINVAL);
    assert_int_equal(weir_mpsc_check((void *)s, bytes), -EINVAL);
    s->slots = 16, m->slots = 16; /* would reach beyond the block */
    assert_int_equal(weir_spsc_check(s, bytes), -EINVAL);
    assert_int_equal(weir_mpsc_check(m, bytes_m), -EINVAL);
    s->slots = 8, m->slots = 8, s->lens_offset += 128, m->slot_bytes = 8;
    assert_int_equal(weir_spsc_check(s, 2 * bytes), -EINVAL);
    assert_int_equal(weir_mpsc_check(m, bytes_m), -EINVAL);
    free(s), free(m);
}

/* Bursts that never divide the ring, so that they cross its end in every way. */
static void spsc_bursts_cross_the_end(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 3, 8, 24, 40};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        struct weir_spsc *r = spsc(16, sizes[k], 0);
        unsigned char in[11 * 40], out[11 * 40], next = 0, expected = 0;
        for (int round = 0; round < 500; round++) {
            uint32_t n = 1 + (uint32_t)round % 11, bytes = sizes[k];
            for (uint32_t i = 0; i < n; i++)
                memset(in + i * bytes, next++, bytes);
            assert_int_equal(weir_spsc_push(r, in, n), n);
            assert_int_equal(weir_spsc_count(r), n);
            assert_int_equal(weir_spsc_pop(r, out, 11), n);
            for (uint32_t i = 0; i < n * bytes; i++)
                assert_int_equal(out[i], (unsigned char)(expected + i / bytes));
            expected = (unsigned char)(expected + n);
        }
        free(r);
    }
}

static void spsc_full_and_empty(void **state)
{
    (void)state;
    struct weir_spsc *r = spsc(4, 8, 0);
    uint64_t in[] = {1, 2, 3, 4, 5, 6}, out[6] = {0}, pos;
    assert_int_equal(weir_spsc_pop(r, out, 6), 0);
    assert_int_equal(weir_spsc_push(r, in, 6), 4);
    assert_int_equal(weir_spsc_push(r, in, 1), 0);
    assert_int_equal(weir_spsc_reserve(r, 1, &pos), 0);
    assert_int_equal(weir_spsc_pop(r, out, 1), 1);
    assert_int_equal(weir_spsc_push(r, in + 4, 2), 1);
    assert_int_equal(weir_spsc_pop(r, out + 1, 6), 4);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(out[i], i + 1);
    assert_int_equal(weir_spsc_count(r), 0);
    free(r);
}

/* Part of a reservation may be submitted, part of a look released; lengths lie beside the
 * elements. */
static void spsc_parts_and_lengths(void **state)
{
    (void)state;
    struct weir_spsc *r = spsc(8, 64, WEIR_RING_LENS);
    uint64_t pos;
    for (uint32_t lap = 0; lap < 20; lap++) {
        assert_int_equal(weir_spsc_reserve(r, 5, &pos), 5);
        for (uint32_t i = 0; i < 5; i++) {
            memset(weir_spsc_slot(r, pos + i), (int)i, 64);
            *weir_spsc_len(r, pos + i) = 100 * lap + i;
        }
        weir_spsc_submit(r, 3);
        assert_int_equal(weir_spsc_peek(r, 8, &pos), 3);
        weir_spsc_release(r, 1);
        assert_int_equal(weir_spsc_peek(r, 8, &pos), 2);
        assert_int_equal(*weir_spsc_len(r, pos), 100 * lap + 1);
        assert_int_equal(*(unsigned char *)weir_spsc_slot(r, pos + 1), 2);
        weir_spsc_release(r, 2);
    }
    free(r);
}

/* A ring is bytes: its copy elsewhere is the same ring. */
static void rings_may_move(void **state)
{
    (void)state;
    uint64_t in[] = {1, 2, 3}, out[3];
    struct weir_spsc *s = spsc(4, 8, 0), *s2 = block(weir_spsc_bytes(4, 8, 0));
    struct weir_mpsc *m = mpsc(4, 8), *m2 = block(weir_mpsc_bytes(4, 8, 0));
    assert_int_equal(weir_spsc_push(s, in, 3), 3);
    assert_int_equal(weir_mpsc_push(m, in, 3), 3);
    memcpy((void *)s2, s, weir_spsc_bytes(4, 8, 0));
    memcpy((void *)m2, m, weir_mpsc_bytes(4, 8, 0));
    free(s), free(m);
    assert_int_equal(weir_spsc_check(s2, weir_spsc_bytes(4, 8, 0)), 0);
    assert_int_equal(weir_spsc_pop(s2, out, 3), 3);
    assert_memory_equal(out, in, sizeof in);
    assert_int_equal(weir_mpsc_pop(m2, out, 3), 3);
    assert_memory_equal(out, in, sizeof in);
    free(s2), free(m2);
}

static void mpsc_bursts_cross_the_end(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 8, 12, 40};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        struct weir_mpsc *r = mpsc(16, sizes[k]);
        unsigned char in[11 * 40], out[16 * 40], next = 0, expected = 0;
        for (int round = 0; round < 500; round++) {
            uint32_t n = 1 + (uint32_t)round % 11, bytes = sizes[k];
            for (uint32_t i = 0; i < n; i++)
                memset(in + i * bytes, next++, bytes);
            assert_int_equal(weir_mpsc_push(r, in, n), n);
            assert_int_equal(weir_mpsc_count(r), n);
            assert_int_equal(weir_mpsc_pop(r, out, 16), n);
            for (uint32_t i = 0; i < n * bytes; i++)
                assert_int_equal(out[i], (unsigned char)(expected + i / bytes));
            expected = (unsigned char)(expected + n);
        }
        free(r);
    }
}

/* A producer that is preempted between reserve and submit: others reserve until the ring is full,
 * get 0 at once then, and the consumer sees what was submitted as soon as nothing before it is
 * missing. */
static void mpsc_preempted_producer_blocks_nobody(void **state)
{
    (void)state;
    struct weir_mpsc *r = mpsc(8, 8);
    uint64_t in[8] = {10, 11, 12, 13, 14, 15, 16, 17}, out[8], stalled, pos;
    assert_int_equal(weir_mpsc_push(r, in, 2), 2);
    assert_int_equal(weir_mpsc_reserve(r, 1, &stalled), 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(weir_mpsc_push(r, in + 2 + i, 1), 1);
    assert_int_equal(weir_mpsc_push(r, in, 1), 0);
    assert_int_equal(weir_mpsc_pop(r, out, 8), 2);
    assert_int_equal(weir_mpsc_pop(r, out + 2, 6), 0);
    assert_int_equal(weir_mpsc_count(r), 6);
    assert_int_equal(weir_mpsc_push(r, in, 4), 2); /* the two that were popped are free again */
    memcpy(weir_mpsc_slot(r, stalled), &(uint64_t){99}, 8);
    *weir_mpsc_len(r, stalled) = 5;
    weir_mpsc_submit(r, stalled, 1);
    assert_int_equal(weir_mpsc_peek(r, 8, &pos), 8);
    assert_int_equal(*weir_mpsc_len(r, pos), 5);
    assert_int_equal(*weir_mpsc_len(r, pos + 1), 8); /* push: elem_bytes */
    assert_int_equal(*(uint64_t *)weir_mpsc_slot(r, pos), 99);
    assert_int_equal(*(uint64_t *)weir_mpsc_slot(r, pos + 1), 12);
    weir_mpsc_release(r, 8);
    assert_int_equal(weir_mpsc_count(r), 0);
    free(r);
}

/* Reservations submitted back to front show themselves only when the first is there. */
static void mpsc_submits_in_any_order(void **state)
{
    (void)state;
    struct weir_mpsc *r = mpsc(4, 8);
    uint64_t a, b, pos;
    for (int lap = 0; lap < 9; lap++) {
        assert_int_equal(weir_mpsc_reserve(r, 2, &a), 2);
        assert_int_equal(weir_mpsc_reserve(r, 9, &b), 2);
        weir_mpsc_submit(r, b, 2);
        weir_mpsc_submit(r, a + 1, 1);
        assert_int_equal(weir_mpsc_peek(r, 4, &pos), 0);
        weir_mpsc_submit(r, a, 1);
        assert_int_equal(weir_mpsc_peek(r, 3, &pos), 3);
        assert_int_equal(weir_mpsc_peek(r, 9, &pos), 4);
        weir_mpsc_release(r, 4);
    }
    free(r);
}

/* The turn has 32 bits: what happens where they run over is what happens everywhere. */
static void mpsc_turn_runs_over(void **state)
{
    (void)state;
    struct weir_mpsc *r = mpsc(4, 8);
    uint64_t in[3] = {7, 8, 9}, out[4];
    const uint64_t start =
        UINT32_MAX - 7; /* a multiple of the slots: the first lap ends just below 2^32 */
    r->head = r->tail = r->tail_seen = start;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(weir_mpsc_pop(r, out, 4), 0);
        assert_int_equal(weir_mpsc_push(r, in, 3), 3);
        assert_int_equal(weir_mpsc_pop(r, out, 4), 3);
        assert_memory_equal(out, in, sizeof in);
    }
    assert_true(r->head > UINT32_MAX);
    free(r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_refuses_what_cannot_be),
        cmocka_unit_test(bytes_does_not_overflow),
        cmocka_unit_test(init_refuses_small_and_crooked_memory),
        cmocka_unit_test(check_knows_its_own_and_no_other),
        cmocka_unit_test(spsc_bursts_cross_the_end),
        cmocka_unit_test(spsc_full_and_empty),
        cmocka_unit_test(spsc_parts_and_lengths),
        cmocka_unit_test(rings_may_move),
        cmocka_unit_test(mpsc_bursts_cross_the_end),
        cmocka_unit_test(mpsc_preempted_producer_blocks_nobody),
        cmocka_unit_test(mpsc_submits_in_any_order),
        cmocka_unit_test(mpsc_turn_runs_over),
    };
    return run_group(tests);
}
