/* SPDX-License-Identifier: MIT
 * Streams on a good day: accept, connect, and every byte in its place, however it was cut. */
#include "bed.h"

#include <errno.h>
#include <unistd.h>

#define BULK (10u << 20)

static void accept_inherits_handler_and_addresses(struct bed *bed)
{
    struct weir_addr at, local, peer;
    struct seen seen = {0};
    bed_open(bed);
    weir_ep listener = bed_listen(bed, record, &seen, &at);
    int fd = peer_connect(&at);
    UNTIL(bed, seen.kinds[WEIR_OPEN]);
    assert_true(seen.stream != 0 && seen.stream != listener);
    assert_int_equal(weir_ep_local(bed->engine, seen.stream, &local), 0);
    assert_int_equal(weir_ep_peer(bed->engine, seen.stream, &peer), 0);
    struct weir_addr self = peer_addr(fd);
    assert_memory_equal(&local, &at, sizeof at);
    assert_memory_equal(&peer, &self, sizeof self);
    assert_int_equal(bed_count(bed).stream_opened, 1);
    peer_close(&fd);
    bed_close(bed);
}

static void echo_of_a_few_bytes(struct bed *bed)
{
    struct weir_addr at;
    bed_open(bed);
    bed_listen(bed, echo, NULL, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    for (uint64_t upto = 1; upto < 5000; upto = upto * 2 + 1) {
        UNTIL(bed, flow_push(&flow, upto));
        UNTIL(bed, flow_pull(&flow, upto));
        assert_false(flow.bad);
        assert_int_equal(flow.got, upto);
    }
    peer_close(&flow.fd);
    bed_close(bed);
}

static void ten_megabytes_in(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    bed_open(bed);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, flow_push(&flow, BULK) && seen.bytes == BULK);
    assert_int_equal(flow.sent, BULK);
    assert_false(seen.bad);
    assert_int_equal(bed_count(bed).rx_bytes, BULK);
    peer_close(&flow.fd);
    UNTIL(bed, seen.kinds[WEIR_EOF]);
    bed_close(bed);
}

static void ten_megabytes_out(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    bed_open(bed);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, seen.stream);
    struct source source = {.ep = seen.stream, .piece = 1777};
    UNTIL(bed, source_push(bed, &source, BULK) & flow_pull(&flow, BULK));
    assert_int_equal(flow.got, BULK);
    assert_false(flow.bad);
    assert_int_equal(source.err, 0);
    UNTIL(bed, bed_home(bed));
    assert_int_equal(bed_count(bed).tx_bytes, BULK);
    peer_close(&flow.fd);
    bed_close(bed);
}

static void large_buffers_out(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct seen seen = {0};
    opt.pool.run = 1024; /* of 2 KiB: what 200,000 bytes in one buffer need */
    bed_open_with(bed, &opt);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, seen.stream);
    struct source source = {.ep = seen.stream, .piece = 200000};
    UNTIL(bed, source_push(bed, &source, BULK) & flow_pull(&flow, BULK));
    assert_int_equal(flow.got, BULK);
    assert_false(flow.bad);
    peer_close(&flow.fd);
    bed_close(bed);
}

static void both_ways_at_once(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    bed_open(bed);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, seen.stream);
    struct source source = {.ep = seen.stream, .piece = 1400};
    UNTIL(bed, source_push(bed, &source, BULK) & flow_push(&flow, BULK) & flow_pull(&flow, BULK) &
                   (seen.bytes == BULK));
    assert_int_equal(flow.got, BULK);
    assert_false(flow.bad);
    assert_false(seen.bad);
    peer_close(&flow.fd);
    bed_close(bed);
}

static void connect_and_talk(struct bed *bed)
{
    struct seen seen = {0};
    struct weir_addr peer, local;
    struct flow flow = {.fd = -1};
    weir_ep ep = 0;
    bed_open(bed);
    int listener = peer_listen();
    struct weir_addr to = peer_addr(listener);
    assert_int_equal(weir_tcp_connect(bed->engine, &to, record, &seen, &ep), 0);
    struct source source = {.ep = ep, .piece = 500};
    assert_true(source_push(bed, &source, 5000)); /* before WEIR_OPEN: queued */
    UNTIL(bed, flow.fd >= 0 || (flow.fd = peer_accept(listener)) >= 0);
    UNTIL(bed, seen.kinds[WEIR_OPEN]);
    assert_int_equal(seen.stream, ep);
    UNTIL(bed, flow_pull(&flow, 5000));
    UNTIL(bed, flow_push(&flow, 9000) && seen.bytes == 9000);
    assert_false(flow.bad || seen.bad);
    assert_int_equal(weir_ep_peer(bed->engine, ep, &peer), 0);
    assert_int_equal(weir_ep_local(bed->engine, ep, &local), 0);
    assert_memory_equal(&peer, &to, sizeof to);
    assert_int_not_equal(local.port, 0);
    peer_close(&flow.fd);
    peer_close(&listener);
    bed_close(bed);
}

static void engine_talks_to_itself(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    weir_ep ep = 0;
    bed_open(bed);
    bed_listen(bed, echo, NULL, &at);
    assert_int_equal(weir_tcp_connect(bed->engine, &at, record, &seen, &ep), 0);
    struct source source = {.ep = ep, .piece = 700};
    UNTIL(bed, source_push(bed, &source, 100000) && seen.bytes == 100000);
    assert_false(seen.bad);
    assert_int_equal(weir_shutdown(bed->engine, ep), 0);
    UNTIL(bed, seen.kinds[WEIR_CLOSED]);
    assert_int_equal(seen.err, 0);
    bed_close(bed);
}

#define MANY 200u

static void many_connections_at_once(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    static struct flow flow[MANY];
    opt.endpoints_max = MANY + 8;
    bed_open_with(bed, &opt);
    bed_listen(bed, echo, NULL, &at);
    for (unsigned i = 0; i < MANY; i++)
        flow[i] = (struct flow){.fd = peer_connect(&at)};
    for (unsigned i = 0; i < MANY; i++)
        UNTIL(bed, flow_push(&flow[i], 3000 + i));
    for (unsigned i = 0; i < MANY; i++) {
        UNTIL(bed, flow_pull(&flow[i], 3000 + i));
        assert_int_equal(flow[i].got, 3000 + i);
        assert_false(flow[i].bad);
    }
    assert_int_equal(bed_count(bed).stream_opened, MANY);
    for (unsigned i = 0; i < MANY; i++)
        peer_close(&flow[i].fd);
    UNTIL(bed, bed_count(bed).stream_closed == MANY);
    bed_close(bed);
}

/* The listener's handler gives each stream its own handler and state. */
static void on_accept(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct seen *each = app;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_OPEN) {
            unsigned free = 0;
            while (each[free].stream)
                free++;
            each[free].stream = events[i].ep;
            weir_ep_handler(engine, events[i].ep, record, &each[free]);
        } else if (events[i].kind == WEIR_DATA) {
            record(engine, &events[i], 1, &each[0]); /* arrived in the burst of its own WEIR_OPEN */
        }
}

static void each_stream_has_its_own_handler(struct bed *bed)
{
    struct weir_addr at;
    struct seen each[3] = {0};
    struct flow flow[3];
    bed_open(bed);
    bed_listen(bed, on_accept, each, &at);
    for (unsigned i = 0; i < 3; i++) {
        flow[i] = (struct flow){.fd = peer_connect(&at)};
        UNTIL(bed, each[i].stream);
    }
    for (unsigned i = 0; i < 3; i++)
        UNTIL(bed, flow_push(&flow[i], 1000 * (i + 1)) && each[i].bytes == 1000 * (i + 1));
    for (unsigned i = 0; i < 3; i++) {
        assert_false(each[i].bad);
        peer_close(&flow[i].fd);
        UNTIL(bed, each[i].kinds[WEIR_EOF]);
    }
    bed_close(bed);
}

/* What one says, all hear, the speaker too: one buffer, as many references as streams. */
#define HALL 5u

struct hall {
    struct seen each[HALL];
    unsigned n, calls, bad;
    weir_ep gone; /* a stale handle that is still on the list */
};

static void to_all(struct weir_engine *engine, struct hall *h, struct weir_buf *buf)
{
    unsigned took = 0, streams = h->n + (h->gone != 0);
    for (unsigned i = 1; i < streams; i++)
        h->bad += weir_buf_keep(buf) != buf;
    for (unsigned i = 0; i < h->n; i++)
        took += weir_send(engine, h->each[i].stream, &buf, 1) == 1;
    h->bad += took != h->n;
    if (h->gone && weir_send(engine, h->gone, &buf, 1) != 1)
        weir_buf_drop(&buf, 1); /* its reference is still ours */
    h->calls++;
}

static void on_hall(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct hall *h = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind == WEIR_OPEN)
            h->each[h->n++].stream = events[i].ep;
        else if (events[i].kind == WEIR_DATA || events[i].kind == WEIR_DATAGRAM)
            to_all(engine, h, events[i].buf);
    }
}

static void all_hear(struct bed *bed, struct hall *h, struct flow flow[HALL], uint64_t upto)
{
    for (unsigned i = 0; i < h->n; i++) {
        UNTIL(bed, flow_pull(&flow[i], upto));
        assert_int_equal(flow[i].got, upto);
        assert_false(flow[i].bad);
    }
    UNTIL(bed, bed_home(bed));
    bed_check_pool(bed);
    assert_int_equal(h->bad, 0);
}

static void one_buffer_to_many_streams(struct bed *bed)
{
    struct weir_addr at, hint;
    struct hall h = {0};
    struct flow flow[HALL];
    uint8_t data[700];
    bed_open(bed);
    bed_listen(bed, on_hall, &h, &at);
    bed_udp(bed, on_hall, &h, &hint);
    for (unsigned i = 0; i < HALL; i++) {
        flow[i] = (struct flow){.fd = peer_connect(&at)};
        UNTIL(bed, h.n == i + 1);
    }
    UNTIL(bed, flow_push(&flow[2], 1000)); /* by a stream */
    all_hear(bed, &h, flow, 1000);
    int fd = peer_udp();
    pattern_fill(data, 1000, sizeof data);
    peer_send(fd, &hint, data, sizeof data); /* by a datagram */
    all_hear(bed, &h, flow, 1700);
    h.gone = h.each[--h.n].stream;
    assert_int_equal(weir_abort(bed->engine, h.gone), 0);
    flow[1].sent = 1700;
    UNTIL(bed, flow_push(&flow[1], 3000)); /* and where one has left */
    all_hear(bed, &h, flow, 3000);
    assert_true(h.calls >= 3);
    for (unsigned i = 0; i < HALL; i++)
        peer_close(&flow[i].fd);
    peer_close(&fd);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(accept_inherits_handler_and_addresses),
    CASE(echo_of_a_few_bytes),
    CASE(ten_megabytes_in),
    CASE(ten_megabytes_out),
    CASE(large_buffers_out),
    CASE(both_ways_at_once),
    CASE(connect_and_talk),
    CASE(engine_talks_to_itself),
    CASE(many_connections_at_once),
    CASE(each_stream_has_its_own_handler),
    CASE(one_buffer_to_many_streams),
};
BED_MAIN(cases)
