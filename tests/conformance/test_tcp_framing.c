/* SPDX-License-Identifier: MIT
 * weir_consume: a handler takes whole messages and leaves the rest; what it left stands in front of
 * the next WEIR_DATA. A handler that takes nothing stops the peer, not the engine. */
#include "bed.h"

#include <errno.h>
#include <unistd.h>

#define MESSAGES 3000u

/* A message: a length of two bytes, then that many of the pattern from the message's number on. */
static uint32_t message_bytes(uint32_t number)
{
    return number * 7919u % 4001u; /* 0 .. 4,000, all residues in turn: 7919 and 4001 are primes */
}

struct framing {
    uint32_t next; /* number of the message to come */
    uint32_t left; /* bytes that stay unconsumed: the next WEIR_DATA begins with them */
    unsigned calls;
    bool bad;
};

static uint32_t take_one(struct framing *f, const uint8_t *data, uint32_t len)
{
    if (len < 2)
        return 0;
    uint32_t bytes = (uint32_t)data[0] << 8 | data[1];
    if (len < 2 + bytes)
        return 0;
    f->bad |= bytes != message_bytes(f->next) || !pattern_holds(data + 2, f->next, bytes);
    f->next++;
    return 2 + bytes;
}

static void on_framed(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct framing *f = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATA)
            continue;
        struct weir_buf *buf = events[i].buf;
        uint32_t done = 0, one;
        f->bad |= buf->len <= f->left; /* it came because there is more than before */
        while ((one = take_one(f, buf->data + done, buf->len - done)) > 0)
            done += one;
        f->left = buf->len - done;
        f->calls++;
        f->bad |= weir_consume(engine, events[i].ep, done) != 0;
    }
}

static size_t write_messages(uint8_t *to)
{
    size_t at = 0;
    for (uint32_t i = 0; i < MESSAGES; i++) {
        uint32_t bytes = message_bytes(i);
        to[at] = (uint8_t)(bytes >> 8);
        to[at + 1] = (uint8_t)bytes;
        pattern_fill(to + at + 2, i, bytes);
        at += 2 + bytes;
    }
    return at;
}

/* Pieces of all sizes, so that the cuts fall everywhere. */
static bool write_piece(int fd, const uint8_t *data, size_t *at, size_t total)
{
    size_t piece = 1 + *at * 31 % 5003;
    if (piece > total - *at)
        piece = total - *at;
    ssize_t n = piece ? write(fd, data + *at, piece) : 0;
    if (n > 0)
        *at += (size_t)n;
    return *at == total;
}

static void messages_over_segments(struct bed *bed)
{
    struct weir_addr at;
    struct framing framing = {0};
    uint8_t *data = malloc(MESSAGES * 4003u);
    size_t total = write_messages(data), sent = 0;
    bed_open(bed);
    bed_listen(bed, on_framed, &framing, &at);
    int fd = peer_connect(&at);
    UNTIL(bed, write_piece(fd, data, &sent, total) && framing.next == MESSAGES);
    assert_false(framing.bad);
    assert_int_equal(framing.left, 0);
    free(data);
    peer_close(&fd);
    bed_close(bed);
}

/* Waits for `hold` bytes, then consumes `bite` of them a call. */
struct patient {
    weir_ep ep;
    uint32_t hold, bite, seen_most;
    uint64_t consumed;
    bool bad;
};

static void on_patient(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct patient *p = app;
    for (unsigned i = 0; i < n; i++) {
        p->ep = events[i].ep;
        if (events[i].kind != WEIR_DATA)
            continue;
        struct weir_buf *buf = events[i].buf;
        p->bad |= !pattern_holds(buf->data, p->consumed, buf->len);
        if (buf->len > p->seen_most)
            p->seen_most = buf->len;
        if (buf->len < p->hold)
            continue;
        uint32_t bite = p->bite < buf->len ? p->bite : buf->len;
        p->bad |= weir_consume(engine, events[i].ep, bite) != 0;
        p->consumed += bite;
    }
}

static void byte_by_byte_until_enough(struct bed *bed)
{
    struct weir_addr at;
    struct patient patient = {.hold = 2000, .bite = 1500};
    bed_open(bed);
    bed_listen(bed, on_patient, &patient, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    for (uint64_t upto = 1; upto <= 5000; upto++) {
        UNTIL(bed, flow_push(&flow, upto));
        bed_turn(bed);
    }
    UNTIL(bed, patient.consumed == 4500 && patient.seen_most >= 2000);
    assert_false(patient.bad);
    assert_int_equal(weir_consume(bed->engine, patient.ep, 501), -EINVAL);
    assert_int_equal(weir_consume(bed->engine, patient.ep, 500), 0);
    assert_int_equal(weir_consume(bed->engine, patient.ep, 1), -EINVAL);
    peer_close(&flow.fd);
    bed_close(bed);
}

/* Nothing is consumed: the engine stops at rx_max, the peer's kernel fills, the peer's send is
 * refused. */
static void unconsumed_bytes_stop_the_peer(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct patient patient = {.hold = UINT32_MAX};
    opt.rx_max = 30000;
    bed_open_with(bed, &opt);
    bed_listen(bed, on_patient, &patient, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, flow_push(&flow, 64u << 20) || bed_count(bed).rx_stopped);
    UNTIL(bed, patient.seen_most >= opt.rx_max);
    uint64_t before;
    do { /* the peer goes on until its kernel takes nothing for 50 turns */
        before = flow.sent;
        for (unsigned i = 0; i < 50; i++) {
            flow_push(&flow, 64u << 20);
            bed_turn(bed);
        }
    } while (flow.sent > before);
    assert_true(flow.sent < 64u << 20);
    assert_true(patient.seen_most < 2 * 65536u); /* bounded: rx_max and what had landed already */
    bed_bystander(bed);
    patient.hold = 1;
    patient.bite = UINT32_MAX;
    uint64_t held = patient.seen_most, total = flow.sent;
    assert_int_equal(weir_consume(bed->engine, patient.ep, held), 0);
    patient.consumed += held;
    UNTIL(bed, patient.consumed == total);
    assert_false(patient.bad);
    peer_close(&flow.fd);
    bed_close(bed);
}

/* The same within the handler: the rest comes with the next bytes, nothing is told twice. */
static void slow_reader_gets_every_byte(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct patient patient = {.hold = 1, .bite = 700};
    opt.rx_max = 4096;
    bed_open_with(bed, &opt);
    bed_listen(bed, on_patient, &patient, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    uint64_t total = 300000;
    UNTIL(bed, patient.ep);
    for (uint64_t until = weir_now_ns() + PATIENCE_NS; patient.consumed < total;) {
        flow_push(&flow, total);
        bed_turn(bed);
        uint32_t bite = weir_consume(bed->engine, patient.ep, 64) == 0 ? 64 : 1;
        if (bite == 64 || weir_consume(bed->engine, patient.ep, 1) == 0)
            patient.consumed += bite;
        assert_true(weir_now_ns() < until);
    }
    assert_int_equal(patient.consumed, total);
    assert_false(patient.bad);
    peer_close(&flow.fd);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(messages_over_segments),
    CASE(byte_by_byte_until_enough),
    CASE(unconsumed_bytes_stop_the_peer),
    CASE(slow_reader_gets_every_byte),
};
BED_MAIN(cases)
