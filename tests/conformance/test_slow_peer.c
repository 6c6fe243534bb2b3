/* SPDX-License-Identifier: MIT
 * Peers that do not read, never speak or vanish: each costs what was promised and no more, and
 * nobody else. */
#include "bed.h"

#include <errno.h>
#include <sys/socket.h>

struct deaf {
    struct weir_addr at;
    struct seen seen;
    struct flow flow;
    struct source source;
};

/* A peer that reads nothing; our queue and the kernel's buffers are full. */
static void stuff(struct bed *bed, struct deaf *d)
{
    uint64_t before;
    do { /* until neither kernel nor queue takes anything for 20 turns */
        before = d->source.queued;
        for (unsigned i = 0; i < 20; i++) {
            source_push(bed, &d->source, 256u << 20);
            bed_turn(bed);
        }
    } while (d->source.queued > before);
    assert_true(d->source.queued < 256u << 20);
}

static void fill(struct bed *bed, struct deaf *d)
{
    *d = (struct deaf){.source = {.piece = 1800}};
    bed_listen(bed, record, &d->seen, &d->at);
    d->flow.fd = peer_connect(&d->at);
    UNTIL(bed, d->seen.stream);
    d->source.ep = d->seen.stream;
    stuff(bed, d);
}

/* One more at a listener that is there already. */
static void fill_one(struct bed *bed, struct deaf *d, const struct weir_addr *at,
                     struct seen *accepted)
{
    *d = (struct deaf){.source = {.piece = 1800}, .flow = {.fd = peer_connect(at)}};
    accepted->stream = 0;
    UNTIL(bed, accepted->stream);
    d->source.ep = accepted->stream;
    stuff(bed, d);
}

static void memory_is_bounded_and_others_live(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_pool_stats stats;
    struct deaf d;
    opt.tx_max = 64;
    bed_open_with(bed, &opt);
    fill(bed, &d);
    weir_pool_stats(bed->pool, &stats);
    uint64_t held = 0;
    for (unsigned s = 0; s < WEIR_SECTIONS; s++)
        held += stats.count[s][WEIR_TX] + stats.count[s][WEIR_APP];
    assert_true(held > 0 && held <= opt.tx_max + 64); /* the queue's, and one call's in flight */
    assert_true(bed_count(bed).tx_full > 0);
    assert_true(bed_count(bed).tx_again > 0 || strcmp(bed->backend, "uring") == 0);
    for (unsigned i = 0; i < 20; i++)
        bed_bystander(bed);
    assert_int_equal(d.seen.kinds[WEIR_CLOSED], 0);
    assert_int_equal(weir_abort(bed->engine, d.seen.stream), 0);
    UNTIL(bed, bed_home(bed));
    assert_true(bed_count(bed).tx_dropped > 0);
    peer_close(&d.flow.fd);
    bed_close(bed);
}

static void peer_that_wakes_up_gets_all(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct deaf d;
    opt.tx_max = 64;
    bed_open_with(bed, &opt);
    fill(bed, &d);
    UNTIL(bed, flow_pull(&d.flow, d.source.queued));
    assert_int_equal(d.flow.got, d.source.queued);
    assert_false(d.flow.bad);
    UNTIL(bed, d.seen.kinds[WEIR_DRAIN] > 0);
    peer_close(&d.flow.fd);
    bed_close(bed);
}

static void close_gives_up_after_linger(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct deaf d;
    opt.tx_max = 64;
    opt.linger_ns = 50000000;
    bed_open_with(bed, &opt);
    fill(bed, &d);
    assert_int_equal(weir_close(bed->engine, d.seen.stream), 0);
    UNTIL(bed, bed_count(bed).linger_expired == 1);
    UNTIL(bed, bed_home(bed));
    assert_true(bed_count(bed).tx_dropped > 0);
    assert_int_equal(bed_count(bed).stream_closed, 1);
    UNTIL(bed, flow_ended(&d.flow)); /* what the peer's kernel had, then the reset */
    assert_int_equal(d.flow.err, ECONNRESET);
    assert_false(d.flow.bad);
    peer_close(&d.flow.fd);
    bed_close(bed);
}

static void close_delivers_to_a_slow_reader(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct deaf d;
    opt.tx_max = 64;
    bed_open_with(bed, &opt);
    fill(bed, &d);
    assert_int_equal(weir_close(bed->engine, d.seen.stream), 0);
    for (unsigned i = 0; i < 20; i++)
        bed_bystander(bed);
    UNTIL(bed, flow_ended(&d.flow));
    assert_true(d.flow.eof && !d.flow.bad);
    assert_int_equal(d.flow.got, d.source.queued);
    assert_int_equal(bed_count(bed).tx_dropped, 0);
    peer_close(&d.flow.fd);
    bed_close(bed);
}

static void peer_vanishes_while_we_linger(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct deaf d;
    opt.tx_max = 64;
    bed_open_with(bed, &opt);
    fill(bed, &d);
    assert_int_equal(weir_close(bed->engine, d.seen.stream), 0);
    bed_turns(bed, 3);
    peer_reset(&d.flow.fd);
    UNTIL(bed, bed_count(bed).stream_closed == 1); /* at once, not after the 20 s */
    UNTIL(bed, bed_home(bed));
    assert_int_equal(bed_count(bed).linger_expired, 0);
    bed_close(bed);
}

/* ---- all send items held by peers who do not read ---- */

#define DEAF 5u /* queues of 16; an engine of tx_max 16 and 8 endpoints has items for 4.5 */

struct hopeful {
    unsigned drains, sent;
    int to;
};

static int hope(struct weir_engine *engine, weir_ep ep, struct hopeful *h)
{
    struct weir_buf *buf = weir_buf_take_bytes(weir_engine_pool(engine), 64);
    if (!buf)
        return -ENOBUFS;
    pattern_fill(buf->data, 0, 64);
    buf->len = 64;
    buf->peer = peer_addr(h->to);
    int took = weir_send(engine, ep, &buf, 1);
    if (took != 1)
        weir_buf_drop(&buf, 1);
    h->sent += took == 1;
    return took;
}

/* Does what WEIR_DRAIN is for: it tries again. */
static void on_hopeful(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct hopeful *h = app;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DRAIN) {
            h->drains++;
            hope(engine, events[i].ep, h);
        }
}

static void room_that_is_not_there_is_not_told(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    static struct deaf d[DEAF];
    struct hopeful h = {.to = peer_udp()};
    uint8_t got[100];
    opt.tx_max = 16;
    opt.endpoints_max = 8;
    opt.timers_max = 8;
    bed_open_with(bed, &opt);
    weir_ep ep = bed_udp(bed, on_hopeful, &h, NULL);
    struct weir_addr at;
    struct seen accepted = {0};
    weir_ep listener = bed_listen(bed, record, &accepted, &at);
    for (unsigned i = 0; i < DEAF; i++)
        fill_one(bed, &d[i], &at, &accepted);
    assert_int_equal(weir_close(bed->engine, listener), 0);
    assert_int_equal(hope(bed->engine, ep, &h), 0);
    bed_turns(bed, 100);
    assert_int_equal(h.sent, 0);
    if (h.drains > 10)
        fail_msg("%u times in 100 turns was room told that was not there", h.drains);
    for (unsigned i = 0; i < DEAF; i++)
        peer_reset(&d[i].flow.fd);
    UNTIL(bed, peer_recv(h.to, got, sizeof got, NULL) == 64);
    assert_int_equal(h.sent, 1);
    peer_close(&h.to);
    bed_close(bed);
}

/* Bytes of ours that found an item, more that found none, then a close: what was taken is delivered,
 * though nobody else lets go of an item meanwhile. */
static void close_after_a_refusal_delivers(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    static struct deaf d[DEAF - 1]; /* they leave a few items, less than one queue takes */
    struct weir_addr at;
    struct seen accepted = {0};
    opt.tx_max = 16;
    opt.endpoints_max = 8;
    opt.timers_max = 8;
    opt.linger_ns = 0; /* the 10 s of an engine that was not told otherwise */
    bed_open_with(bed, &opt);
    bed_listen(bed, record, &accepted, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, accepted.stream);
    struct source source = {.ep = accepted.stream, .piece = 1800};
    for (unsigned i = 0; i < DEAF - 1; i++)
        fill_one(bed, &d[i], &at, &accepted);
    assert_false(source_push(bed, &source, (uint64_t)opt.tx_max * source.piece));
    assert_int_equal(source.err, 0);
    assert_true(source.queued > 0); /* refused for want of items, its own queue is not full */
    assert_int_equal(weir_close(bed->engine, source.ep), 0);
    UNTIL(bed, flow_ended(&flow));
    assert_int_equal(flow.err, 0);
    assert_true(flow.eof && !flow.bad);
    assert_int_equal(flow.got, source.queued);
    peer_close(&flow.fd);
    UNTIL(bed, bed_count(bed).stream_closed == 1);
    assert_int_equal(bed_count(bed).linger_expired, 0);
    assert_int_equal(bed_count(bed).stream_reset, 0);
    assert_int_equal(bed_count(bed).tx_dropped, 0);
    for (unsigned i = 0; i < DEAF - 1; i++)
        peer_reset(&d[i].flow.fd);
    bed_close(bed);
}

/* The same with bytes that the peer's kernel has no room for yet, the refusal repeated over turns. */
static void close_after_refusals_delivers_to_a_slow_reader(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    static struct deaf d[DEAF];
    struct weir_addr at;
    struct seen accepted = {0};
    opt.tx_max = 16;
    opt.endpoints_max = 8;
    opt.timers_max = 8;
    opt.linger_ns = 0;
    bed_open_with(bed, &opt);
    bed_listen(bed, record, &accepted, &at);
    for (unsigned i = 0; i < DEAF; i++)
        fill_one(bed, &d[i], &at, &accepted);
    struct deaf *ours = &d[DEAF - 1]; /* the last: it got half a queue */
    assert_false(source_push(bed, &ours->source, 256u << 20));
    assert_int_equal(weir_close(bed->engine, ours->source.ep), 0);
    bed_turns(bed, 50);
    assert_int_equal(bed_count(bed).stream_closed, 0);
    UNTIL(bed, flow_ended(&ours->flow));
    assert_int_equal(ours->flow.err, 0);
    assert_true(ours->flow.eof && !ours->flow.bad);
    assert_int_equal(ours->flow.got, ours->source.queued);
    peer_close(&ours->flow.fd);
    UNTIL(bed, bed_count(bed).stream_closed == 1);
    assert_int_equal(bed_count(bed).linger_expired, 0);
    assert_int_equal(bed_count(bed).tx_dropped, 0);
    for (unsigned i = 0; i < DEAF - 1; i++)
        peer_reset(&d[i].flow.fd);
    bed_close(bed);
}

static void engine_closes_over_everything(struct bed *bed)
{
    struct deaf d;
    bed_open(bed);
    fill(bed, &d);
    struct flow waiting = {.fd = peer_connect(&d.at)};
    UNTIL(bed, flow_push(&waiting, 5000));
    peer_close(&bed->bystander_fd);
    assert_int_equal(weir_engine_close(bed->engine),
                     0); /* queues full, streams open: all comes home */
    bed->engine = NULL;
    uint64_t until = weir_now_ns() + PATIENCE_NS;
    while (!flow_ended(&d.flow) && weir_now_ns() < until)
        ;
    assert_int_equal(d.flow.err, ECONNRESET); /* streams are aborted */
    peer_close(&d.flow.fd);
    peer_close(&waiting.fd);
}

static const struct bed_case cases[] = {
    CASE(memory_is_bounded_and_others_live), CASE(peer_that_wakes_up_gets_all),
    CASE(close_gives_up_after_linger),       CASE(close_delivers_to_a_slow_reader),
    CASE(peer_vanishes_while_we_linger),     CASE(room_that_is_not_there_is_not_told),
    CASE(close_after_a_refusal_delivers),    CASE(close_after_refusals_delivers_to_a_slow_reader),
    CASE(engine_closes_over_everything),
};
BED_MAIN(cases)
