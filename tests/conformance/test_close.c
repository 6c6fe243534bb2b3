/* SPDX-License-Identifier: MIT
 * What a close still owes: all that was queued leaves, whatever the peer says meanwhile and however
 * long the engine was idle before. */
#include "bed.h"

#include <unistd.h>

#define QUESTION 200000u
#define ANSWER (500u * 1800u)

/* At the first bytes: queues a long answer and closes, most of the question unread. */
struct curt {
    struct bed *bed;
    unsigned told;
    bool bad;
};

static void on_curt(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct curt *c = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATA)
            continue;
        struct source source = {.ep = events[i].ep, .piece = 1800};
        c->told++;
        c->bad |= !source_push(c->bed, &source, ANSWER);
        c->bad |= weir_close(engine, events[i].ep) != 0;
    }
}

static void an_unread_question_does_not_destroy_the_answer(struct bed *bed)
{
    struct weir_addr at;
    struct curt c = {.bed = bed};
    bed_open(bed);
    bed_listen(bed, on_curt, &c, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, flow_push(&flow, QUESTION) && c.told);
    assert_int_equal(flow.err, 0); /* it could say all of it before it listened */
    UNTIL(bed, flow_ended(&flow));
    assert_int_equal(flow.err, 0);
    assert_true(flow.eof && !flow.bad);
    assert_int_equal(flow.got, ANSWER);
    assert_int_equal(c.told, 1);
    assert_false(c.bad);
    peer_close(&flow.fd);
    UNTIL(bed, bed_count(bed).stream_closed == 1);
    assert_int_equal(bed_count(bed).linger_expired, 0);
    assert_int_equal(bed_count(bed).tx_dropped, 0);
    bed_close(bed);
}

/* The peer goes on for as long as it likes, into a stream that nobody reads. */
static void a_question_without_end_is_thrown_away(struct bed *bed)
{
    struct weir_addr at;
    struct curt c = {.bed = bed};
    bed_open(bed);
    bed_listen(bed, on_curt, &c, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, flow_push(&flow, 10u << 20) & flow_pull(&flow, ANSWER));
    assert_int_equal(flow.err, 0);
    assert_int_equal(flow.sent, 10u << 20);
    UNTIL(bed, flow_ended(&flow));
    assert_true(flow.eof && !flow.bad);
    assert_int_equal(flow.got, ANSWER);
    assert_false(c.bad);
    peer_close(&flow.fd);
    UNTIL(bed, bed_count(bed).stream_closed == 1);
    bed_close(bed);
}

/* ---- lingering counts from the close, not from the last poll ---- */

#define LINGER_NS 200000000u
#define IDLE_US 250000u

static struct weir_buf *last_words(struct bed *bed, int fd)
{
    struct weir_buf *buf = bed_buf(bed, 0, 500);
    assert_non_null(buf);
    if (fd >= 0)
        buf->peer = peer_addr(fd);
    usleep(IDLE_US); /* the engine's application is busy with something else */
    return buf;
}

static void an_idle_engine_still_sends_its_last_datagram(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    uint8_t got[1000];
    opt.linger_ns = LINGER_NS;
    bed_open_with(bed, &opt);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    int fd = peer_udp();
    bed_turns(bed, 3);
    struct weir_buf *buf = last_words(bed, fd);
    assert_int_equal(weir_send(bed->engine, ep, &buf, 1), 1);
    assert_int_equal(weir_close(bed->engine, ep), 0);
    UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 500);
    assert_true(pattern_holds(got, 0, 500));
    assert_int_equal(bed_count(bed).linger_expired, 0);
    assert_int_equal(bed_count(bed).tx_dropped, 0);
    peer_close(&fd);
    bed_close(bed);
}

static void an_idle_engine_still_sends_its_last_bytes(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct seen seen = {0};
    opt.linger_ns = LINGER_NS;
    bed_open_with(bed, &opt);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, seen.stream && peer_connected(flow.fd));
    struct weir_buf *buf = last_words(bed, -1);
    assert_int_equal(weir_send(bed->engine, seen.stream, &buf, 1), 1);
    assert_int_equal(weir_close(bed->engine, seen.stream), 0);
    UNTIL(bed, flow_ended(&flow));
    assert_int_equal(flow.err, 0);
    assert_true(flow.eof && !flow.bad && flow.got == 500);
    assert_int_equal(bed_count(bed).linger_expired, 0);
    peer_close(&flow.fd);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(an_unread_question_does_not_destroy_the_answer),
    CASE(a_question_without_end_is_thrown_away),
    CASE(an_idle_engine_still_sends_its_last_datagram),
    CASE(an_idle_engine_still_sends_its_last_bytes),
};
BED_MAIN(cases)
