/* SPDX-License-Identifier: MIT
 * More arrives than a turn tells or a completion ring holds, while nobody polls: all of it is told
 * in the end. The smallest turn that an engine takes makes io_uring's smallest ring, one of 256
 * completions. */
#include "bed.h"

#include <sys/socket.h>

#define DATAGRAMS 5000u
#define STREAMS 400u

static struct weir_engine_opt small_turn(const struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    opt.poll_events = 1;
    opt.burst = 1;
    opt.endpoints_max = STREAMS + 8;
    opt.pool.small = 2048; /* slots for all streams at once: it is the ring that is short */
    return opt;
}

/* Numbered datagrams: each once and in order, those that the socket had no room for missing. */
struct numbers {
    uint32_t told, next;
    bool bad;
};

static void on_number(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct numbers *x = app;
    uint32_t number;
    (void)engine;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATAGRAM)
            continue;
        x->bad |= events[i].buf->len != sizeof number;
        memcpy(&number, events[i].buf->data, sizeof number);
        x->bad |= number < x->next;
        x->next = number + 1;
        x->told++;
    }
}

static void more_datagrams_than_a_turn(struct bed *bed, const struct weir_engine_opt *opt)
{
    struct weir_addr at;
    struct numbers x = {0};
    bed_open_with(bed, opt);
    weir_ep ep = bed_udp(bed, on_number, &x, &at);
    bed_turns(bed, 3); /* its receive is armed */
    int fd = peer_udp();
    for (uint32_t i = 0; i < DATAGRAMS; i++)
        peer_send(fd, &at, &i, sizeof i);
    int64_t drops = weir_ep_drops(bed->engine, ep);
    assert_true(drops >= 0 && drops < DATAGRAMS / 2);
    UNTIL(bed, x.told >= DATAGRAMS - (uint32_t)drops);
    bed_turns(bed, 10);
    assert_int_equal(x.told, DATAGRAMS - (uint32_t)drops);
    assert_false(x.bad);
    peer_close(&fd);
    bed_close(bed);
}

static void more_datagrams_than_the_smallest_turn(struct bed *bed)
{
    struct weir_engine_opt opt = small_turn(bed);
    more_datagrams_than_a_turn(bed, &opt);
}

/* A turn of 64 with as many slots for datagrams as a ring of 256 can tell, and more. */
static void more_datagrams_than_a_ring_holds(struct bed *bed)
{
    struct weir_engine_opt opt = small_turn(bed);
    opt.poll_events = 64;
    opt.burst = 1024;
    more_datagrams_than_a_turn(bed, &opt);
}

static bool all_pulled(struct flow *flow, uint64_t upto)
{
    bool all = true;
    for (unsigned i = 0; i < STREAMS; i++)
        all &= flow_pull(&flow[i], upto);
    return all;
}

static bool all_ended(struct flow *flow)
{
    bool all = true;
    for (unsigned i = 0; i < STREAMS; i++)
        all &= flow_ended(&flow[i]);
    return all;
}

/* All of them say `upto` bytes in all before the engine looks, and get them back. */
static void all_say(struct bed *bed, struct flow *flow, uint64_t upto)
{
    for (unsigned i = 0; i < STREAMS; i++)
        assert_true(flow_push(&flow[i], upto));
    UNTIL(bed, all_pulled(flow, upto));
    for (unsigned i = 0; i < STREAMS; i++) {
        assert_int_equal(flow[i].err, 0);
        assert_int_equal(flow[i].got, upto);
        assert_false(flow[i].bad);
    }
}

/* Counts what came, so that nothing told twice goes unseen, and echoes. */
static void count_and_echo(struct weir_engine *engine, struct weir_event *events, unsigned n,
                           void *app)
{
    unsigned *kinds = app;
    for (unsigned i = 0; i < n; i++)
        kinds[events[i].kind]++;
    echo(engine, events, n, NULL);
}

/* Connections, their first bytes, more bytes and their ends: each time all before the engine looks,
 * and each time more than a ring of 256 holds. */
static void more_streams_than_a_ring_holds(struct bed *bed)
{
    static struct flow flow[STREAMS];
    struct weir_engine_opt opt = small_turn(bed);
    unsigned kinds[WEIR_WAKE + 1] = {0};
    struct weir_addr at;
    bed_open_with(bed, &opt);
    bed_listen(bed, count_and_echo, kinds, &at);
    bed_turns(bed, 3); /* its accept is armed */
    for (unsigned i = 0; i < STREAMS; i++)
        flow[i] = (struct flow){.fd = peer_connect(&at)};
    all_say(bed, flow, 8);
    assert_int_equal(kinds[WEIR_OPEN], STREAMS);
    bed_turns(bed, 10); /* all receives are armed */
    for (uint64_t upto = 100; upto <= 1000; upto += 300)
        all_say(bed, flow, upto);
    for (unsigned i = 0; i < STREAMS; i++)
        shutdown(flow[i].fd, SHUT_WR);
    UNTIL(bed, all_ended(flow));
    UNTIL(bed, kinds[WEIR_CLOSED] == STREAMS);
    assert_int_equal(kinds[WEIR_OPEN], STREAMS);
    assert_int_equal(kinds[WEIR_EOF], STREAMS);
    UNTIL(bed, bed_count(bed).stream_closed == STREAMS); /* the last is told before it is counted */
    assert_int_equal(bed_count(bed).stream_reset, 0);
    for (unsigned i = 0; i < STREAMS; i++) {
        assert_true(flow[i].eof && flow[i].got == 1000 && !flow[i].bad);
        peer_close(&flow[i].fd);
    }
    bed_close(bed);
}

/* Streams whose handler only listens; the application speaks between the polls. */
struct crowd {
    weir_ep ep[STREAMS];
    uint64_t got[STREAMS];
    unsigned opened;
    bool bad;
};

static void on_crowd(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct crowd *x = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind == WEIR_OPEN && x->opened < STREAMS)
            x->ep[x->opened++] = events[i].ep;
        for (unsigned k = 0; events[i].kind == WEIR_DATA && k < x->opened; k++)
            if (x->ep[k] == events[i].ep) {
                x->bad |= !pattern_holds(events[i].buf->data, x->got[k], events[i].buf->len);
                x->got[k] += events[i].buf->len;
                x->bad |= weir_consume(engine, events[i].ep, events[i].buf->len) != 0;
            }
    }
}

static bool all_heard(const struct crowd *x, uint64_t upto)
{
    for (unsigned i = 0; i < STREAMS; i++)
        if (x->got[i] < upto)
            return false;
    return true;
}

/* Between two polls the application sends on every stream and every peer speaks: the sends alone
 * complete while they are submitted, more of them than a ring of 256 has room for. */
static void more_sends_than_a_ring_holds(struct bed *bed)
{
    static struct flow flow[STREAMS];
    static struct source source[STREAMS];
    static struct crowd x;
    struct weir_engine_opt opt = small_turn(bed);
    struct weir_addr at;
    x = (struct crowd){.bad = false};
    bed_open_with(bed, &opt);
    bed_listen(bed, on_crowd, &x, &at);
    for (unsigned i = 0; i < STREAMS; i++)
        flow[i] = (struct flow){.fd = peer_connect(&at)};
    UNTIL(bed, x.opened == STREAMS);
    for (unsigned i = 0; i < STREAMS; i++)
        source[i] = (struct source){.ep = x.ep[i], .piece = 100};
    bed_turns(bed, 10);
    for (uint64_t upto = 100; upto <= 500; upto += 100) {
        for (unsigned i = 0; i < STREAMS; i++) {
            assert_true(source_push(bed, &source[i], upto));
            assert_true(flow_push(&flow[i], upto));
        }
        UNTIL(bed, all_pulled(flow, upto) && all_heard(&x, upto));
        UNTIL(bed, bed_home(bed));
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        assert_true(flow[i].got == 500 && flow[i].err == 0 && !flow[i].bad);
        assert_int_equal(x.got[i], 500);
    }
    assert_false(x.bad);
    if (strcmp(bed->backend, "uring") == 0) /* else this case is not about what it says */
        assert_true(bed_count(bed).overflows > 0);
    for (unsigned i = 0; i < STREAMS; i++)
        peer_close(&flow[i].fd);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(more_datagrams_than_the_smallest_turn),
    CASE(more_datagrams_than_a_ring_holds),
    CASE(more_streams_than_a_ring_holds),
    CASE(more_sends_than_a_ring_holds),
};
BED_MAIN(cases)
