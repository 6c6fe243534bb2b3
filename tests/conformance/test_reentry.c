/* SPDX-License-Identifier: MIT
 * What a handler may do while it is called: close itself, close others, send, open. The rest of its
 * burst goes blank, nobody hears of the dead, every buffer comes home. */
#include "bed.h"

#include <errno.h>

/* A handler that closes `victim` at its n-th event. */
struct closer {
    weir_ep victim;
    unsigned at, events, after;
    unsigned rest, blanked; /* of the burst that it closed in: events behind, and those of them that
                               are blank */
    bool abort, closed, bad;
};

static void look_at_the_rest(struct closer *c, const struct weir_event *events, unsigned n,
                             weir_ep self)
{
    c->rest = n;
    for (unsigned i = 0; i < n; i++)
        c->blanked += events[i].ep == self && events[i].kind == WEIR_NONE;
}

static void on_closer(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct closer *c = app;
    c->after += c->closed && c->victim == events[0].ep;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATAGRAM && events[i].kind != WEIR_DATA)
            continue;
        if (++c->events != c->at)
            continue;
        int rc = c->abort ? weir_abort(engine, c->victim) : weir_close(engine, c->victim);
        c->bad |= rc != 0;
        c->closed = true;
        if (c->victim == events[0].ep)
            look_at_the_rest(c, events + i + 1, n - i - 1, c->victim);
        else
            c->bad |= weir_send(engine, c->victim, &events[i].buf, 1) != -EBADF;
    }
}

static void close_myself_in_the_middle_of_a_burst(struct bed *bed)
{
    struct weir_addr at;
    struct closer c = {.at = 3};
    uint8_t data[64] = {0};
    bed_open(bed);
    c.victim = bed_udp(bed, on_closer, &c, &at);
    int fd = peer_udp();
    for (unsigned i = 0; i < 40; i++)
        peer_send(fd, &at, data, sizeof data);
    UNTIL(bed, c.closed);
    bed_turns(bed, 5);
    assert_false(c.bad);
    assert_int_equal(c.events, 3);
    assert_int_equal(c.after, 0);
    peer_close(&fd);
    bed_close(bed);
}

static void blank_events_are_seen_as_none(struct bed *bed)
{
    struct weir_addr at;
    struct closer c = {.at = 1};
    uint8_t data[64] = {0};
    bed_open(bed);
    c.victim = bed_udp(bed, on_closer, &c, &at);
    int fd = peer_udp();
    for (unsigned i = 0; i < 40; i++)
        peer_send(fd, &at, data, sizeof data);
    UNTIL(bed, c.closed);
    assert_int_equal(c.blanked,
                     c.rest); /* 40 were waiting; the yardstick alone brings them one by one */
    assert_true(c.rest > 0 || strcmp(bed->backend, "naive") == 0);
    bed_turns(bed, 5);
    assert_int_equal(c.events, 1);
    assert_false(c.bad);
    peer_close(&fd);
    bed_close(bed);
}

static void close_another_that_has_events_waiting(struct bed *bed)
{
    struct weir_addr at1, at2;
    struct closer one = {.at = 1}, two = {.at = 1};
    uint8_t data[64] = {0};
    bed_open(bed);
    two.victim = bed_udp(bed, on_closer, &one, &at1); /* each closes the other: whoever is first */
    one.victim = bed_udp(bed, on_closer, &two, &at2);
    int fd = peer_udp();
    for (unsigned i = 0; i < 20; i++) {
        peer_send(fd, &at1, data, sizeof data);
        peer_send(fd, &at2, data, sizeof data);
    }
    UNTIL(bed, (one.closed || two.closed) && one.events + two.events >= 20);
    bed_turns(bed, 5);
    assert_true(one.closed != two.closed); /* the second never got to it */
    assert_false(one.bad || two.bad);
    assert_int_equal(one.events + two.events, 20);
    peer_close(&fd);
    bed_close(bed);
}

static void stream_ends(struct bed *bed, bool abort)
{
    struct weir_addr at;
    struct seen seen = {0};
    struct closer c = {.at = 2, .abort = abort};
    bed_open(bed);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, seen.stream);
    c.victim = seen.stream;
    assert_int_equal(weir_ep_handler(bed->engine, seen.stream, on_closer, &c), 0);
    UNTIL(bed, flow_push(&flow, 1000) && c.events == 1);
    UNTIL(bed, flow_push(&flow, 9000) && c.closed);
    UNTIL(bed, flow_ended(&flow));
    assert_true(abort ? flow.err == ECONNRESET : flow.eof || flow.err == ECONNRESET);
    bed_turns(bed, 5);
    assert_false(c.bad);
    assert_int_equal(c.after, 0);
    peer_close(&flow.fd);
    bed_close(bed);
}

static void close_my_stream_in_its_data(struct bed *bed)
{
    stream_ends(bed, false);
}

static void abort_my_stream_in_its_data(struct bed *bed)
{
    stream_ends(bed, true);
}

/* Sends what it got and closes in the same breath: the bytes still leave. */
static void on_answer_and_close(struct weir_engine *engine, struct weir_event *events, unsigned n,
                                void *app)
{
    unsigned *bad = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATA && events[i].kind != WEIR_DATAGRAM)
            continue;
        weir_ep ep = events[i].ep;
        *bad += weir_send(engine, ep, &events[i].buf, 1) != 1;
        *bad += weir_close(engine, ep) != 0;
        *bad += weir_close(engine, ep) != -EBADF;
    }
}

static void answer_and_close_a_stream(struct bed *bed)
{
    struct weir_addr at;
    unsigned bad = 0;
    bed_open(bed);
    bed_listen(bed, on_answer_and_close, &bad, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, flow_push(&flow, 500));
    UNTIL(bed, flow_ended(&flow));
    assert_int_equal(flow.got, 500);
    assert_true(flow.eof && !flow.bad);
    assert_int_equal(bad, 0);
    peer_close(&flow.fd);
    bed_close(bed);
}

static void answer_and_close_a_datagram_endpoint(struct bed *bed)
{
    struct weir_addr at;
    unsigned bad = 0;
    uint8_t data[100], got[200];
    bed_open(bed);
    bed_udp(bed, on_answer_and_close, &bad, &at);
    int fd = peer_udp();
    pattern_fill(data, 0, sizeof data);
    peer_send(fd, &at, data, sizeof data);
    UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == sizeof data);
    assert_memory_equal(got, data, sizeof data);
    assert_int_equal(bad, 0);
    peer_close(&fd);
    bed_close(bed);
}

/* Closes at the kind of event that it was told to. */
struct at_kind {
    uint8_t kind;
    unsigned met, later, bad;
};

static void on_kind(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct at_kind *k = app;
    for (unsigned i = 0; i < n; i++) {
        k->later += k->met > 0 && events[i].kind != WEIR_NONE;
        if (events[i].kind == WEIR_DATA)
            k->bad += weir_consume(engine, events[i].ep, events[i].buf->len) != 0;
        if (events[i].kind != k->kind)
            continue;
        k->met++;
        k->bad += weir_close(engine, events[i].ep) != 0;
    }
}

static void closed_at(struct bed *bed, unsigned kind)
{
    struct weir_addr at;
    struct at_kind k = {.kind = (uint8_t)kind};
    bed_open(bed);
    bed_listen(bed, on_kind, &k, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, peer_connected(flow.fd) && flow_push(&flow, 1000));
    if (kind == WEIR_CLOSED)
        UNTIL(bed, bed_count(bed).rx_bytes == 1000); /* else the reset may beat the accept */
    if (kind == WEIR_CLOSED)
        peer_reset(&flow.fd);
    else
        peer_close(&flow.fd);
    UNTIL(bed, k.met);
    bed_turns(bed, 5);
    assert_int_equal(k.met, 1);
    assert_int_equal(k.later, 0);
    assert_int_equal(k.bad, 0);
    bed_close(bed);
}

static void close_in_every_kind_of_event(struct bed *bed)
{
    closed_at(bed, WEIR_OPEN);
    closed_at(bed, WEIR_DATA);
    closed_at(bed, WEIR_EOF);
    closed_at(bed, WEIR_CLOSED);
}

/* Opens another endpoint for each datagram and answers through it. */
struct opener {
    struct seen seen;
    weir_ep opened[8];
    unsigned n, bad;
};

static void on_open_more(struct weir_engine *engine, struct weir_event *events, unsigned n,
                         void *app)
{
    struct opener *o = app;
    struct weir_addr any = peer_loopback(0, false);
    for (unsigned i = 0; i < n && o->n < 8; i++) {
        o->bad += weir_udp_open(engine, &any, echo, NULL, &o->opened[o->n]) != 0;
        o->bad += weir_send(engine, o->opened[o->n], &events[i].buf, 1) != 1;
        o->n++;
    }
}

static void open_and_send_inside_a_handler(struct bed *bed)
{
    struct weir_addr at, from, local;
    struct opener o = {0};
    uint8_t data[64] = {0}, got[64];
    bed_open(bed);
    bed_udp(bed, on_open_more, &o, &at);
    int fd = peer_udp();
    for (unsigned i = 0; i < 8; i++)
        peer_send(fd, &at, data, sizeof data);
    UNTIL(bed, o.n == 8);
    for (unsigned i = 0; i < 8; i++) {
        bool known = false;
        UNTIL(bed, peer_recv(fd, got, sizeof got, &from) == sizeof got);
        for (unsigned k = 0; k < 8; k++)
            known |=
                weir_ep_local(bed->engine, o.opened[k], &local) == 0 && local.port == from.port;
        assert_true(known);
    }
    assert_int_equal(o.bad, 0);
    peer_close(&fd);
    bed_close(bed);
}

/* Connects to the address in `app` for each accepted stream, as a proxy does, and arms a timer. */
struct dialer {
    struct weir_addr to;
    struct seen seen;
    unsigned bad;
};

static void on_dial(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct dialer *d = app;
    weir_ep ep;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_OPEN)
            continue;
        d->bad += weir_tcp_connect(engine, &d->to, record, &d->seen, &ep) != 0;
        d->bad += weir_timer(engine, events[i].rx_ns, 7) <= 0;
        weir_wake(engine);
    }
}

static void connect_time_and_wake_inside_a_handler(struct bed *bed)
{
    struct weir_addr at;
    bed_open(bed);
    int listener = peer_listen();
    struct dialer d = {.to = peer_addr(listener)};
    bed_listen(bed, on_dial, &d, &at);
    int fd = peer_connect(&at), back = -1;
    UNTIL(bed, back >= 0 || (back = peer_accept(listener)) >= 0);
    UNTIL(bed, d.seen.kinds[WEIR_OPEN] && bed->timers && bed->wakes);
    assert_int_equal(bed->tokens[0], 7);
    assert_int_equal(d.bad, 0);
    peer_close(&fd);
    peer_close(&back);
    peer_close(&listener);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(close_myself_in_the_middle_of_a_burst), CASE(blank_events_are_seen_as_none),
    CASE(close_another_that_has_events_waiting), CASE(close_my_stream_in_its_data),
    CASE(abort_my_stream_in_its_data),           CASE(answer_and_close_a_stream),
    CASE(answer_and_close_a_datagram_endpoint),  CASE(close_in_every_kind_of_event),
    CASE(open_and_send_inside_a_handler),        CASE(connect_time_and_wake_inside_a_handler),
};
BED_MAIN(cases)
