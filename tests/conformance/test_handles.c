/* SPDX-License-Identifier: MIT
 * Handles: a stale, foreign or invented one is refused by every call, and none comes twice. */
#include "bed.h"

#include <errno.h>

static void refused_by_all(struct bed *bed, weir_ep ep)
{
    struct weir_engine *e = bed->engine;
    struct weir_addr addr = peer_loopback(9, false);
    struct weir_buf *buf = bed_buf(bed, 0, 10);
    assert_non_null(buf);
    buf->peer = addr;
    assert_int_equal(weir_send(e, ep, &buf, 1), -EBADF);
    assert_int_equal(weir_send_many(e, ep, buf, &addr, 1), -EBADF);
    assert_int_equal(buf->refs, 1); /* still ours */
    weir_buf_drop(&buf, 1);
    assert_int_equal(weir_consume(e, ep, 1), -EBADF);
    assert_int_equal(weir_shutdown(e, ep), -EBADF);
    assert_int_equal(weir_close(e, ep), -EBADF);
    assert_int_equal(weir_abort(e, ep), -EBADF);
    assert_int_equal(weir_ep_handler(e, ep, echo, NULL), -EBADF);
    assert_int_equal(weir_ep_local(e, ep, &addr), -EBADF);
    assert_int_equal(weir_ep_peer(e, ep, &addr), -EBADF);
    assert_int_equal(weir_ep_drops(e, ep), -EBADF);
    assert_int_equal(weir_ep_mtu(e, ep), -EBADF);
}

static void invented_ones_are_refused(struct bed *bed)
{
    bed_open(bed);
    refused_by_all(bed, 0);
    refused_by_all(bed, 1);
    refused_by_all(bed, UINT64_MAX);
    refused_by_all(bed, bed->bystander + 1);
    refused_by_all(bed, bed->bystander + (1ull << 32));
    refused_by_all(bed, bed->bystander - (1ull << 32));
    bed_close(bed);
}

static void closed_ones_are_refused(struct bed *bed)
{
    struct weir_addr at;
    bed_open(bed);
    weir_ep udp = bed_udp(bed, echo, NULL, NULL);
    weir_ep listener = bed_listen(bed, echo, NULL, &at);
    weir_ep stream = 0;
    assert_int_equal(weir_tcp_connect(bed->engine, &at, echo, NULL, &stream), 0);
    assert_int_equal(weir_close(bed->engine, udp), 0);
    assert_int_equal(weir_close(bed->engine, listener), 0);
    assert_int_equal(weir_abort(bed->engine, stream), 0);
    for (unsigned turn = 0; turn < 3; turn++) { /* before, during and after their completions */
        refused_by_all(bed, udp);
        refused_by_all(bed, listener);
        refused_by_all(bed, stream);
        bed_turn(bed);
    }
    bed_close(bed);
}

static void closing_with_a_queue_is_closed_for_us(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    bed_open(bed);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, seen.stream);
    struct source source = {.ep = seen.stream, .piece = 1000};
    assert_true(source_push(bed, &source, 50000));
    assert_int_equal(weir_close(bed->engine, seen.stream), 0);
    refused_by_all(bed, seen.stream);
    UNTIL(bed, flow_ended(&flow));
    assert_int_equal(flow.got, 50000);
    refused_by_all(bed, seen.stream);
    peer_close(&flow.fd);
    bed_close(bed);
}

static void none_comes_twice(struct bed *bed)
{
    static weir_ep seen[500];
    bed_open(bed);
    for (unsigned i = 0; i < array_len(seen); i++) {
        seen[i] = bed_udp(bed, echo, NULL, NULL);
        for (unsigned k = 0; k < i; k++)
            assert_int_not_equal(seen[i], seen[k]);
        assert_int_equal(weir_close(bed->engine, seen[i]), 0);
        bed_turn(bed);
    }
    refused_by_all(bed, seen[0]);
    bed_close(bed);
}

/* What does not fit the kind of endpoint is an error, not a surprise. */
static void calls_that_do_not_fit_are_refused(struct bed *bed)
{
    struct weir_addr to = peer_loopback(9, false);
    bed_open(bed);
    weir_ep udp = bed_udp(bed, echo, NULL, NULL);
    weir_ep listener = bed_listen(bed, echo, NULL, NULL);
    struct weir_buf *buf = bed_buf(bed, 0, 10);
    assert_non_null(buf);
    assert_true(weir_send(bed->engine, listener, &buf, 1) < 0);
    assert_true(weir_send_many(bed->engine, listener, buf, &to, 1) < 0);
    assert_true(weir_consume(bed->engine, udp, 1) < 0);
    assert_true(weir_consume(bed->engine, listener, 1) < 0);
    assert_int_equal(buf->refs, 1);
    weir_buf_drop(&buf, 1);
    bed_turns(bed, 3);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(invented_ones_are_refused),
    CASE(closed_ones_are_refused),
    CASE(closing_with_a_queue_is_closed_for_us),
    CASE(none_comes_twice),
    CASE(calls_that_do_not_fit_are_refused),
};
BED_MAIN(cases)
