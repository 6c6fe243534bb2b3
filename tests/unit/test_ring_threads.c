/* SPDX-License-Identifier: MIT
 * Rings by several threads: nothing lost, doubled or out of order. Run it under ThreadSanitizer as
 * well: the payload is plain memory, so a missing edge is a race. The ring is small, so that it is
 * full and empty all the time, and its threads yield there: with fewer cores than threads that is
 * what lets them meet. */
#include "test.h"

#include <weir/ring.h>

#include <pthread.h>
#include <sched.h>

#define SLOTS 16
#define PRODUCERS 3
#define ELEMENTS 60000u /* a producer; some hundred ms under ThreadSanitizer */

static void *open_spsc(uint32_t elem_bytes)
{
    size_t bytes = weir_spsc_bytes(SLOTS, elem_bytes, WEIR_RING_LENS);
    void *r = aligned_alloc(WEIR_RING_ALIGN, (bytes + 127) / 128 * 128);
    assert_non_null(r);
    assert_int_equal(weir_spsc_init(r, bytes, SLOTS, elem_bytes, WEIR_RING_LENS), 0);
    return r;
}

static void *open_mpsc(uint32_t elem_bytes)
{
    size_t bytes = weir_mpsc_bytes(SLOTS, elem_bytes, 0);
    void *r = aligned_alloc(WEIR_RING_ALIGN, (bytes + 127) / 128 * 128);
    assert_non_null(r);
    assert_int_equal(weir_mpsc_init(r, bytes, SLOTS, elem_bytes, 0), 0);
    return r;
}

/* A burst of 1 to `most`, and no element too many. */
static uint32_t burst(uint64_t sent, uint32_t most)
{
    uint32_t n = 1 + (uint32_t)(sent % most);
    return sent + n > ELEMENTS ? (uint32_t)(ELEMENTS - sent) : n;
}

/* By copies. */
static void *spsc_pusher(void *arg)
{
    uint64_t elems[7];
    for (uint64_t sent = 0; sent < ELEMENTS;) {
        uint32_t n = burst(sent, 7);
        for (uint32_t i = 0; i < n; i++)
            elems[i] = sent + i;
        n = weir_spsc_push(arg, elems, n);
        if (n == 0)
            sched_yield();
        sent += n;
    }
    return NULL;
}

static void spsc_copies_arrive_in_order(void **state)
{
    (void)state;
    struct weir_spsc *r = open_spsc(8);
    pthread_t t;
    uint64_t elems[5];
    assert_int_equal(pthread_create(&t, NULL, spsc_pusher, r), 0);
    for (uint64_t next = 0; next < ELEMENTS;) {
        uint32_t n = weir_spsc_pop(r, elems, 5);
        if (n == 0)
            sched_yield();
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(elems[i], next++);
    }
    pthread_join(t, NULL);
    assert_int_equal(weir_spsc_count(r), 0);
    free(r);
}

/* In place, with lengths. */
static void *spsc_filler(void *arg)
{
    uint64_t pos;
    for (uint32_t sent = 0; sent < ELEMENTS;) {
        uint32_t n = weir_spsc_reserve(arg, burst(sent, 3), &pos);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t len = 1 + (sent + i) % 40;
            memset(weir_spsc_slot(arg, pos + i), (int)(sent + i), len);
            *weir_spsc_len(arg, pos + i) = len;
        }
        if (n == 0)
            sched_yield();
        weir_spsc_submit(arg, n);
        sent += n;
    }
    return NULL;
}

static void spsc_lengths_arrive_with_elements(void **state)
{
    (void)state;
    struct weir_spsc *r = open_spsc(40);
    pthread_t t;
    uint64_t pos;
    assert_int_equal(pthread_create(&t, NULL, spsc_filler, r), 0);
    for (uint32_t next = 0; next < ELEMENTS;) {
        uint32_t n = weir_spsc_peek(r, 4, &pos);
        for (uint32_t i = 0; i < n; i++, next++) {
            const unsigned char *elem = weir_spsc_slot(r, pos + i);
            uint32_t len = *weir_spsc_len(r, pos + i);
            if (len >= 41 || len != 1 + next % 40 || elem[0] != (next & 255) ||
                elem[len - 1] != (next & 255))
                fail_msg("element %u: length %u, first byte %u", next, len, elem[0]);
        }
        if (n == 0)
            sched_yield();
        weir_spsc_release(r, n);
    }
    pthread_join(t, NULL);
    free(r);
}

struct producer {
    struct weir_mpsc *ring;
    uint64_t who;
};

static void *mpsc_pusher(void *arg)
{
    const struct producer *p = arg;
    uint64_t elems[5];
    for (uint64_t sent = 0; sent < ELEMENTS;) {
        uint32_t n = burst(sent, 5);
        for (uint32_t i = 0; i < n; i++)
            elems[i] = p->who << 32 | (sent + i);
        n = weir_mpsc_push(p->ring, elems, n);
        if (n == 0)
            sched_yield();
        sent += n;
    }
    return NULL;
}

/* In place; gives its core away between reserve and submit, as a preempted producer does. */
static void *mpsc_filler(void *arg)
{
    const struct producer *p = arg;
    uint64_t pos;
    for (uint64_t sent = 0; sent < ELEMENTS;) {
        uint32_t n = weir_mpsc_reserve(p->ring, burst(sent, 3), &pos);
        if (n == 0 || sent % 64 == 0)
            sched_yield();
        for (uint32_t i = 0; i < n; i++) {
            uint64_t elem = p->who << 32 | (sent + i);
            memcpy(weir_mpsc_slot(p->ring, pos + i), &elem, sizeof elem);
            *weir_mpsc_len(p->ring, pos + i) = 8;
        }
        weir_mpsc_submit(p->ring, pos, n);
        sent += n;
    }
    return NULL;
}

static uint32_t take_in_order(struct weir_mpsc *r, uint64_t next[PRODUCERS])
{
    uint64_t elems[7];
    uint32_t n = weir_mpsc_pop(r, elems, 7);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t who = elems[i] >> 32;
        if (who >= PRODUCERS || (elems[i] & UINT32_MAX) != next[who]++)
            fail_msg("element %llx out of order", (unsigned long long)elems[i]);
    }
    return n;
}

static void mpsc_elements_arrive_in_order(void *(*const run[PRODUCERS])(void *))
{
    struct weir_mpsc *r = open_mpsc(8);
    struct producer p[PRODUCERS];
    pthread_t t[PRODUCERS];
    uint64_t next[PRODUCERS] = {0};
    for (unsigned i = 0; i < PRODUCERS; i++) {
        p[i] = (struct producer){r, i};
        assert_int_equal(pthread_create(&t[i], NULL, run[i], &p[i]), 0);
    }
    for (uint64_t taken = 0; taken < (uint64_t)PRODUCERS * ELEMENTS;) {
        uint32_t n = take_in_order(r, next);
        if (n == 0)
            sched_yield();
        taken += n;
    }
    for (unsigned i = 0; i < PRODUCERS; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(next[i], ELEMENTS);
    }
    assert_int_equal(weir_mpsc_count(r), 0);
    free(r);
}

static void mpsc_copies_arrive_in_order(void **state)
{
    (void)state;
    mpsc_elements_arrive_in_order(
        (void *(*const[])(void *)){mpsc_pusher, mpsc_pusher, mpsc_pusher});
}

static void mpsc_in_place_with_stalls(void **state)
{
    (void)state;
    mpsc_elements_arrive_in_order(
        (void *(*const[])(void *)){mpsc_filler, mpsc_pusher, mpsc_filler});
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(spsc_copies_arrive_in_order),
        cmocka_unit_test(spsc_lengths_arrive_with_elements),
        cmocka_unit_test(mpsc_copies_arrive_in_order),
        cmocka_unit_test(mpsc_in_place_with_stalls),
    };
    return run_group(tests);
}
