/* SPDX-License-Identifier: MIT
 * What the AF_XDP backend writes into its tx ring: descriptors that the kernel takes, and a driver that is
 * woken until it looked. The rings are plain memory and the test is the kernel; no driver here has
 * zero-copy, so there is no other way to see it. */
#include "test.h"

#include "backend/xdp.h"

#include <sys/socket.h>
#include <unistd.h>

#define SMALL 64u
#define CSUM_START 34u /* Ethernet and IPv4 */

static struct backend b;
static struct xdp x;

/* The kernel's side of each. */
static struct {
    uint32_t producer, consumer, flags;
    union {
        uint64_t address[XDP_RING];
        struct xdp_desc desc[XDP_RING];
    };
} tx, done;

static int set_up(void **state)
{
    struct weir_pool_opt opt = {.small = SMALL, .small_bytes = 2048, .headroom = 128};
    struct weir_why why;
    (void)state;
    memset(&b, 0, sizeof b);
    memset(&tx, 0, sizeof tx);
    memset(&done, 0, sizeof done);
    b.pool = weir_pool_open(&opt, &why);
    if (!b.pool)
        return -1;
    b.opt.pool = opt;
    b.priv = &x;
    x = (struct xdp){.bufs = pool_buf(b.pool, WEIR_SMALL, 0),
                     .umem_bytes = SMALL * 2048,
                     .chunk_shift = 11,
                     .zerocopy = true,
                     .tx_checksum = true,
                     .gather = true,
                     .tx_front = TX_REQUEST_BYTES,
                     .tx_parts = 2,
                     .fd = -1,
                     .tx = {&tx.producer, &tx.consumer, &tx.flags, tx.desc, 0, 0, NULL, 0},
                     .done = {&done.producer, &done.consumer, &done.flags, done.address, 0, 0, NULL,
                              0}};
    x.umem = x.bufs->base;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return weir_pool_close(b.pool); /* -EBUSY when a reference was lost */
}

/* The driver takes what is there, and each chunk is done. */
static void complete(void)
{
    for (; tx.consumer != tx.producer; tx.consumer++)
        done.address[done.producer++ % XDP_RING] = tx.desc[tx.consumer % XDP_RING].addr;
    xdp_submit(&b);
}

static struct weir_buf *a_frame(ptrdiff_t front, uint32_t len)
{
    struct weir_buf *buf;
    assert_int_equal(weir_buf_take(b.pool, &buf, 1), 1);
    buf->data = buf->base + front;
    buf->len = len;
    for (uint32_t i = 0; i < len; i++)
        buf->data[i] = (uint8_t)(i + len);
    buf_to_tx(buf);
    return buf;
}

static void send_frame(struct weir_buf *buf, struct weir_buf *body, bool sum)
{
    struct tx_frame f = {.buf = buf, .body = body, .bytes = buf->len + (body ? body->len : 0)};
    f.csum_start = sum ? CSUM_START : 0;
    assert_int_equal(xdp_tx_room(&b, 1), 1);
    xdp_tx(&b, &f, 1);
}

/* As xp_aligned_validate_desc of net/xdp/xsk_queue.h. */
static void must_be_valid(uint32_t at)
{
    const struct xdp_desc *d = &tx.desc[at];
    assert_true(d->addr >= x.tx_front && d->addr + d->len <= x.umem_bytes);
    assert_true((d->addr - x.tx_front) >> 11 == (d->addr + d->len - 1) >> 11);
}

static void a_frame_with_too_little_in_front_is_copied(void **state)
{
    (void)state;
    struct weir_buf *before = a_frame(0, 2048); /* what a request in front of the next would hit */
    send_frame(a_frame(TX_REQUEST_BYTES - 1, 200), NULL, false);
    assert_int_equal(b.counters.copies, 1);
    send_frame(a_frame(0, 100), NULL, true);
    assert_int_equal(b.counters.copies, 2);
    send_frame(a_frame(TX_REQUEST_BYTES, 100), NULL, true);
    assert_int_equal(b.counters.copies, 2); /* room enough */
    assert_int_equal(tx.producer, 3);
    for (uint32_t i = 0; i < tx.producer; i++)
        must_be_valid(i);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(x.umem[tx.desc[1].addr + i], (uint8_t)(i + 100));
    assert_int_equal(tx.desc[1].options, XDP_TX_METADATA);
    for (uint32_t i = 0; i < 2048; i++)
        assert_int_equal(before->data[i], (uint8_t)i);
    buf_tx_done(before);
    complete();
}

static void a_body_with_too_little_in_front_is_copied(void **state)
{
    (void)state;
    send_frame(a_frame(128, 42), a_frame(8, 1000), false);
    assert_int_equal(b.counters.copies, 1);
    assert_int_equal(tx.producer, 1);
    must_be_valid(0);
    assert_int_equal(tx.desc[0].len, 1042);
    send_frame(a_frame(128, 42), a_frame(128, 1000), false);
    assert_int_equal(b.counters.copies, 1);
    assert_int_equal(tx.producer, 3);
    must_be_valid(1);
    must_be_valid(2);
    complete();
}

/* Without metadata nothing is read in front of a frame. */
static void nothing_in_front_is_enough_without_metadata(void **state)
{
    (void)state;
    x.tx_front = 0;
    x.tx_checksum = false;
    send_frame(a_frame(0, 100), NULL, false);
    assert_int_equal(b.counters.copies, 0);
    complete();
}

/* A wake-up that failed (no socket: EBADF; of a driver: EAGAIN, ENOBUFS) is tried again until the frame
 * was taken; a driver that is awake needs none. */
static void a_driver_is_woken_until_it_looked(void **state)
{
    (void)state;
    tx.flags = XDP_RING_NEED_WAKEUP;
    send_frame(a_frame(128, 100), NULL, false);
    for (uint64_t i = 1; i <= 3; i++) {
        xdp_submit(&b);
        assert_true(x.tx_waits);
        assert_int_equal(b.counters.syscalls, i);
    }
    tx.flags = 0;
    xdp_submit(&b);
    assert_true(x.tx_waits); /* awake, but it has not looked yet */
    assert_int_equal(b.counters.syscalls, 3);
    complete();
    assert_false(x.tx_waits);
    xdp_submit(&b);
    assert_int_equal(b.counters.syscalls, 3);
}

/* One submission is counted once, however long the driver takes. */
static void a_submission_is_counted_once(void **state)
{
    (void)state;
    send_frame(a_frame(128, 100), NULL, false);
    for (int i = 0; i < 5; i++)
        xdp_submit(&b);
    assert_int_equal(b.counters.tx_calls, 1);
    complete();
    assert_int_equal(b.counters.tx_calls, 1);
    send_frame(a_frame(128, 100), NULL, false);
    xdp_submit(&b);
    assert_int_equal(b.counters.tx_calls, 2);
    complete();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_frame_with_too_little_in_front_is_copied, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_body_with_too_little_in_front_is_copied, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_in_front_is_enough_without_metadata, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_driver_is_woken_until_it_looked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_submission_is_counted_once, set_up, tear_down),
    };
    return run_group(tests);
}
