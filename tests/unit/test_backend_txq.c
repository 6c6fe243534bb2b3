/* SPDX-License-Identifier: MIT
 * Send queues: order, references, partial streams, and what may leave as one GSO message. */
#include "test.h"

#include "backend/backend.h"

#define ITEMS 128u

static struct backend b;
static struct endpoint ep;

static int set_up(void **state)
{
    (void)state;
    struct weir_why why;
    struct weir_pool_opt opt = {.small = 128, .views = 16};
    memset(&b, 0, sizeof b);
    b.pool = weir_pool_open(&opt, &why);
    b.items = calloc(ITEMS, sizeof *b.items);
    for (uint32_t i = 0; i < ITEMS; i++)
        b.items[i].next = i + 1 < ITEMS ? i + 1 : NIL;
    ep = (struct endpoint){.tx_head = NIL, .tx_tail = NIL};
    return b.pool && b.items ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free(b.items);
    return weir_pool_close(b.pool); /* -EBUSY when a reference was lost */
}

static struct weir_buf *push(uint32_t len, uint16_t port)
{
    struct weir_buf *buf;
    struct weir_addr to = weir_addr_ip4(127, 0, 0, 1, port);
    assert_int_equal(weir_buf_take(b.pool, &buf, 1), 1);
    buf->len = len;
    assert_true(txq_push(&b, &ep, buf, &to));
    buf_to_tx(buf);
    return buf;
}

static unsigned gather(struct tx_item **next, uint32_t *segment)
{
    struct weir_buf *bufs[64];
    return txq_gather(&b, next, bufs, 64, segment);
}

static void neighbours_of_one_size_and_peer_leave_together(void **state)
{
    (void)state;
    uint32_t segment;
    for (unsigned i = 0; i < 3; i++)
        push(100, 1);
    push(40, 1);  /* a shorter one may be the last */
    push(100, 1); /* so this one begins the next */
    push(100, 2); /* another peer */
    push(0, 2);   /* empty: alone */
    push(0, 2);
    struct tx_item *next = txq_head(&b, &ep);
    assert_int_equal(gather(&next, &segment), 4);
    assert_int_equal(segment, 100);
    assert_int_equal(gather(&next, &segment), 1);
    assert_int_equal(segment, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(gather(&next, &segment), 1);
    assert_null(next);
    txq_pop(&b, &ep, ep.tx_count);
}

static void a_batch_never_exceeds_a_datagram(void **state)
{
    (void)state;
    uint32_t segment;
    for (unsigned i = 0; i < 60; i++)
        push(1400, 1);
    struct tx_item *next = txq_head(&b, &ep);
    assert_int_equal(gather(&next, &segment), 46); /* 46 x 1400 <= 65,487 < 47 x 1400 */
    assert_int_equal(gather(&next, &segment), 14);
    txq_pop(&b, &ep, ep.tx_count);
}

static void a_larger_one_begins_its_own(void **state)
{
    (void)state;
    uint32_t segment;
    push(64, 1);
    push(65, 1);
    struct tx_item *next = txq_head(&b, &ep);
    assert_int_equal(gather(&next, &segment), 1);
    assert_int_equal(gather(&next, &segment), 1);
    txq_pop(&b, &ep, 2);
}

static void a_stream_advances_through_its_items(void **state)
{
    (void)state;
    push(10, 0);
    push(20, 0);
    push(30, 0);
    txq_advance(&b, &ep, 5);
    assert_int_equal(ep.tx_count, 3);
    assert_int_equal(ep.tx_off, 5);
    txq_advance(&b, &ep, 5 + 20 + 29);
    assert_int_equal(ep.tx_count, 1);
    assert_int_equal(ep.tx_off, 29);
    txq_advance(&b, &ep, 1);
    assert_int_equal(ep.tx_count, 0);
    assert_int_equal(ep.tx_off, 0);
}

static void one_payload_in_many_queues_comes_home_with_the_last(void **state)
{
    (void)state;
    struct weir_addr to = weir_addr_ip4(127, 0, 0, 1, 9);
    struct weir_buf *buf;
    struct weir_pool_stats stats;
    assert_int_equal(weir_buf_take(b.pool, &buf, 1), 1);
    for (unsigned i = 0; i < 50; i++) {
        assert_true(txq_push(&b, &ep, buf, &to));
        assert_true(buf_ref(buf, 1));
        buf_to_tx(buf);
    }
    weir_pool_stats(b.pool, &stats);
    assert_int_equal(stats.count[WEIR_SMALL][WEIR_TX], 1); /* a shared slot counts once */
    txq_pop(&b, &ep, 50);
    assert_int_equal(buf->refs, 1);
    assert_int_equal(buf->state, WEIR_APP);
    weir_buf_drop(&buf, 1);
}

static void the_pool_of_items_is_a_bound(void **state)
{
    (void)state;
    struct weir_addr to = {0};
    struct weir_buf *buf = push(1, 0);
    for (unsigned i = 1; i < ITEMS; i++) {
        assert_true(txq_push(&b, &ep, buf, &to));
        assert_true(buf_ref(buf, 1));
        buf_to_tx(buf);
    }
    assert_false(txq_push(&b, &ep, buf, &to));
    txq_pop(&b, &ep, ITEMS);
    assert_int_equal(b.items_used, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(neighbours_of_one_size_and_peer_leave_together),
        CASE(a_batch_never_exceeds_a_datagram),
        CASE(a_larger_one_begins_its_own),
        CASE(a_stream_advances_through_its_items),
        CASE(one_payload_in_many_queues_comes_home_with_the_last),
        CASE(the_pool_of_items_is_a_bound),
    };
    return run_group(tests);
}
