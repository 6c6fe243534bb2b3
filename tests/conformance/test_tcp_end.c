/* SPDX-License-Identifier: MIT
 * How streams end: by halves, by close, by reset, by refusal. Each end is told once, loses nothing
 * that was promised, and leaves a stale handle. */
#include "bed.h"

#include <errno.h>
#include <sys/socket.h>

#define MEGABYTE (1u << 20)

struct pair {
    weir_ep listener;
    struct weir_addr at;
    struct seen seen;
    struct flow flow;
};

static void open_pair(struct bed *bed, struct pair *p)
{
    *p = (struct pair){.flow = {.fd = -1}};
    p->listener = bed_listen(bed, record, &p->seen, &p->at);
    p->flow.fd = peer_connect(&p->at);
    UNTIL(bed, p->seen.stream && peer_connected(p->flow.fd));
}

/* After the end nothing more is told, and the handle is stale. */
static void over(struct bed *bed, struct pair *p)
{
    struct seen before = p->seen;
    bed_turns(bed, 5);
    assert_memory_equal(&before, &p->seen, sizeof before);
    assert_int_equal(weir_close(bed->engine, p->seen.stream), -EBADF);
    peer_close(&p->flow.fd);
    bed_close(bed);
}

static void peer_ends_first(struct bed *bed)
{
    struct pair p;
    bed_open(bed);
    open_pair(bed, &p);
    UNTIL(bed, flow_push(&p.flow, 5000));
    shutdown(p.flow.fd, SHUT_WR);
    UNTIL(bed, p.seen.kinds[WEIR_EOF]);
    assert_int_equal(p.seen.bytes, 5000);
    struct source source = {.ep = p.seen.stream, .piece = 1500};
    UNTIL(bed, source_push(bed, &source, MEGABYTE) & flow_pull(&p.flow, MEGABYTE));
    assert_int_equal(p.seen.kinds[WEIR_CLOSED], 0);
    assert_int_equal(weir_shutdown(bed->engine, p.seen.stream), 0);
    UNTIL(bed, flow_ended(&p.flow) && p.seen.kinds[WEIR_CLOSED]);
    assert_true(p.flow.eof && !p.flow.bad && p.flow.got == MEGABYTE);
    assert_int_equal(p.seen.err, 0);
    assert_int_equal(p.seen.kinds[WEIR_CLOSED], 1);
    assert_int_equal(p.seen.kinds[WEIR_EOF], 1);
    over(bed, &p);
}

static void we_end_first(struct bed *bed)
{
    struct pair p;
    bed_open(bed);
    open_pair(bed, &p);
    struct source source = {.ep = p.seen.stream, .piece = 1500};
    assert_true(source_push(bed, &source, 100000));
    assert_int_equal(weir_shutdown(bed->engine, p.seen.stream), 0);
    struct weir_buf *late = bed_buf(bed, 0, 10);
    assert_int_equal(weir_send(bed->engine, p.seen.stream, &late, 1), -EPIPE);
    weir_buf_drop(&late, 1);
    UNTIL(bed, flow_ended(&p.flow));
    assert_true(p.flow.eof && !p.flow.bad && p.flow.got == 100000);
    UNTIL(bed, flow_push(&p.flow, MEGABYTE) && p.seen.bytes == MEGABYTE);
    assert_int_equal(p.seen.kinds[WEIR_CLOSED], 0);
    peer_close(&p.flow.fd);
    UNTIL(bed, p.seen.kinds[WEIR_CLOSED]);
    assert_int_equal(p.seen.kinds[WEIR_EOF], 1);
    assert_int_equal(p.seen.err, 0);
    assert_false(p.seen.bad);
    over(bed, &p);
}

static void close_delivers_what_is_queued(struct bed *bed)
{
    struct pair p;
    bed_open(bed);
    open_pair(bed, &p);
    struct source source = {.ep = p.seen.stream, .piece = 1900};
    source_push(bed, &source, 512u * 1900);
    assert_true(source.queued > 100000);
    unsigned told = p.seen.kinds[WEIR_CLOSED] + p.seen.kinds[WEIR_EOF];
    assert_int_equal(weir_close(bed->engine, p.seen.stream), 0);
    UNTIL(bed, flow_ended(&p.flow));
    assert_true(p.flow.eof && !p.flow.bad);
    assert_int_equal(p.flow.got, source.queued);
    assert_int_equal(p.seen.kinds[WEIR_CLOSED] + p.seen.kinds[WEIR_EOF], told);
    peer_close(&p.flow.fd); /* until then our side waits to throw away what may still come */
    UNTIL(bed, bed_count(bed).stream_closed == 1);
    assert_int_equal(bed_count(bed).linger_expired, 0);
    assert_int_equal(bed_count(bed).tx_dropped, 0);
    over(bed, &p);
}

static void close_of_an_idle_stream(struct bed *bed)
{
    struct pair p;
    bed_open(bed);
    open_pair(bed, &p);
    assert_int_equal(weir_close(bed->engine, p.seen.stream), 0);
    UNTIL(bed, flow_ended(&p.flow));
    assert_true(p.flow.eof);
    over(bed, &p);
}

static void abort_is_a_reset(struct bed *bed)
{
    struct pair p;
    bed_open(bed);
    open_pair(bed, &p);
    assert_int_equal(weir_abort(bed->engine, p.seen.stream), 0);
    UNTIL(bed, flow_ended(&p.flow));
    assert_int_equal(p.flow.err, ECONNRESET);
    over(bed, &p);
}

static void abort_drops_what_is_queued(struct bed *bed)
{
    struct pair p;
    bed_open(bed);
    open_pair(bed, &p);
    struct source source = {.ep = p.seen.stream, .piece = 1000};
    assert_true(source_push(bed, &source, 50000));
    assert_int_equal(weir_abort(bed->engine, p.seen.stream), 0);
    UNTIL(bed, flow_ended(&p.flow));
    assert_int_equal(p.flow.err, ECONNRESET);
    UNTIL(bed, bed_home(bed));
    assert_int_equal(bed_count(bed).tx_dropped, 50);
    over(bed, &p);
}

static void peer_resets(struct bed *bed)
{
    struct pair p;
    bed_open(bed);
    open_pair(bed, &p);
    peer_reset(&p.flow.fd);
    UNTIL(bed, p.seen.kinds[WEIR_CLOSED]);
    assert_int_equal(p.seen.err, -ECONNRESET);
    assert_int_equal(bed_count(bed).stream_reset, 1);
    over(bed, &p);
}

static void peer_resets_while_we_send(struct bed *bed)
{
    struct pair p;
    bed_open(bed);
    open_pair(bed, &p);
    struct source source = {.ep = p.seen.stream, .piece = 1900};
    UNTIL(bed, source_push(bed, &source, 64u << 20) || bed_count(bed).tx_again);
    UNTIL(bed, flow_pull(&p.flow, 1000));
    peer_reset(&p.flow.fd);
    UNTIL(bed, p.seen.kinds[WEIR_CLOSED]);
    assert_true(p.seen.err == -ECONNRESET || p.seen.err == -EPIPE);
    UNTIL(bed, bed_home(bed));
    assert_true(bed_count(bed).tx_dropped > 0);
    assert_int_equal(bed_count(bed).stream_reset, 1);
    over(bed, &p);
}

static void last_words_are_heard(struct bed *bed)
{
    struct pair p = {.flow = {.fd = -1}};
    bed_open(bed);
    p.listener = bed_listen(bed, record, &p.seen, &p.at);
    p.flow.fd = peer_connect(&p.at);
    UNTIL(bed, flow_push(&p.flow, 50000));
    peer_close(&p.flow.fd); /* connected, sent and closed, perhaps before we looked */
    UNTIL(bed, p.seen.kinds[WEIR_EOF]);
    assert_int_equal(p.seen.bytes, 50000);
    assert_int_equal(p.seen.kinds[WEIR_OPEN], 1);
    assert_int_equal(weir_shutdown(bed->engine, p.seen.stream), 0);
    UNTIL(bed, p.seen.kinds[WEIR_CLOSED]);
    assert_int_equal(p.seen.err, 0);
    over(bed, &p);
}

/* Leaves what it gets: the stream stops at rx_max, the peer's last bytes stand in the kernel. */
static void on_listless(struct weir_engine *engine, struct weir_event *events, unsigned n,
                        void *app)
{
    struct seen *seen = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++) {
        seen->kinds[events[i].kind]++;
        seen->stream = events[i].ep;
        if (events[i].kind == WEIR_DATA)
            seen->len = events[i].buf->len;
    }
}

/* The peer spoke and left; our answer fails. What it said before is told all the same. */
static void failed_answer_does_not_swallow_the_question(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct seen seen = {0};
    opt.rx_max = 2000;
    bed_open_with(bed, &opt);
    bed_listen(bed, on_listless, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, flow_push(&flow, 50000) && seen.len >= opt.rx_max);
    peer_close(&flow.fd); /* nothing unread there: it ends with FIN, and resets what we send */
    struct source source = {.ep = seen.stream, .piece = 100};
    for (unsigned i = 0; i < 10; i++) {
        source_push(bed, &source, source.queued + 100);
        bed_turns(bed, 2);
    }
    struct seen rest = {.bytes = seen.len};
    assert_int_equal(weir_ep_handler(bed->engine, seen.stream, record, &rest), 0);
    assert_int_equal(weir_consume(bed->engine, seen.stream, seen.len), 0);
    UNTIL(bed, rest.kinds[WEIR_CLOSED]);
    assert_int_equal(rest.bytes, 50000);
    assert_false(rest.bad);
    assert_true(rest.err == -EPIPE || rest.err == -ECONNRESET);
    assert_int_equal(weir_close(bed->engine, seen.stream), -EBADF);
    bed_close(bed);
}

static void connect_refused(struct bed *bed)
{
    struct seen seen = {0};
    weir_ep ep = 0;
    bed_open(bed);
    struct weir_addr to = peer_loopback(peer_free_port(SOCK_STREAM), false);
    int rc = weir_tcp_connect(bed->engine, &to, record, &seen, &ep);
    assert_int_equal(rc, 0);
    struct source source = {.ep = ep, .piece = 100};
    source_push(bed, &source, 1000);
    UNTIL(bed, seen.kinds[WEIR_CLOSED]);
    assert_int_equal(seen.err, -ECONNREFUSED);
    assert_int_equal(seen.kinds[WEIR_OPEN], 0);
    assert_int_equal(weir_close(bed->engine, ep), -EBADF);
    bed_close(bed);
}

static void connect_abandoned(struct bed *bed)
{
    struct seen seen = {0};
    weir_ep ep = 0;
    bed_open(bed);
    int listener = peer_listen();
    struct weir_addr to = peer_addr(listener);
    assert_int_equal(weir_tcp_connect(bed->engine, &to, record, &seen, &ep), 0);
    assert_int_equal(weir_close(bed->engine, ep), 0);
    bed_turns(bed, 10);
    assert_int_equal(seen.kinds[WEIR_OPEN] + seen.kinds[WEIR_CLOSED], 0);
    peer_close(&listener);
    bed_close(bed);
}

static void queued_before_the_connect_and_closed(struct bed *bed)
{
    struct seen seen = {0};
    struct flow flow = {.fd = -1};
    weir_ep ep = 0;
    bed_open(bed);
    int listener = peer_listen();
    struct weir_addr to = peer_addr(listener);
    assert_int_equal(weir_tcp_connect(bed->engine, &to, record, &seen, &ep), 0);
    struct source source = {.ep = ep, .piece = 1000};
    assert_true(source_push(bed, &source, 20000));
    assert_int_equal(weir_close(bed->engine, ep), 0);
    UNTIL(bed, flow.fd >= 0 || (flow.fd = peer_accept(listener)) >= 0);
    UNTIL(bed, flow_ended(&flow));
    assert_true(flow.eof && !flow.bad && flow.got == 20000);
    assert_int_equal(seen.kinds[WEIR_CLOSED], 0);
    peer_close(&flow.fd);
    peer_close(&listener);
    bed_close(bed);
}

static void streams_outlive_their_listener(struct bed *bed)
{
    struct pair p;
    bed_open(bed);
    open_pair(bed, &p);
    assert_int_equal(weir_close(bed->engine, p.listener), 0);
    bed_turns(bed, 5);
    UNTIL(bed, flow_push(&p.flow, 10000) && p.seen.bytes == 10000);
    struct flow late = {.fd = peer_connect(&p.at)};
    UNTIL(bed, flow_ended(&late));
    assert_int_equal(late.err, ECONNREFUSED);
    assert_int_equal(p.seen.kinds[WEIR_OPEN], 1);
    peer_close(&late.fd);
    peer_close(&p.flow.fd);
    UNTIL(bed, p.seen.kinds[WEIR_EOF]);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(peer_ends_first),
    CASE(we_end_first),
    CASE(close_delivers_what_is_queued),
    CASE(close_of_an_idle_stream),
    CASE(abort_is_a_reset),
    CASE(abort_drops_what_is_queued),
    CASE(peer_resets),
    CASE(peer_resets_while_we_send),
    CASE(last_words_are_heard),
    CASE(failed_answer_does_not_swallow_the_question),
    CASE(connect_refused),
    CASE(connect_abandoned),
    CASE(queued_before_the_connect_and_closed),
    CASE(streams_outlive_their_listener),
};
BED_MAIN(cases)
