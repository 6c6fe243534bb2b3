/* SPDX-License-Identifier: MIT
 * weir_consume: a handler takes whole messages and leaves the rest; what it left stands in front of
 * the next WEIR_DATA. A handler that takes nothing stops the peer, not the engine. */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
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
    static uint8_t data[MESSAGES * 4003u];
    size_t total = write_messages(data), sent = 0;
    bed_open(bed);
    bed_listen(bed, on_framed, &framing, &at);
    int fd = peer_connect(&at);
    UNTIL(bed, write_piece(fd, data, &sent, total) && framing.next == MESSAGES);
    assert_false(framing.bad);
    assert_int_equal(framing.left, 0);
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

/* ---- whole messages out of a backlog ---- */

#define BACKLOG 100u /* messages of a stream */
#define WRITERS 8u

/* One stream: its peer writes without a pause, on its own thread, whatever the engine does. */
struct writer {
    int fd;
    uint32_t message;
    pthread_t thread;
    bool whole; /* all was written; read after the thread was joined */
};

/* The engine's side of them. */
struct backlog {
    uint32_t message;
    unsigned streams, told;
    struct {
        weir_ep ep;
        uint64_t at;
    } stream[WRITERS];
    bool bad;
};

static void take_whole(struct weir_engine *engine, const struct weir_event *event,
                       struct backlog *x, uint64_t *at)
{
    const uint8_t *data = event->buf->data;
    uint32_t len = event->buf->len;
    for (uint32_t done = 0; len - done >= x->message; done += x->message) {
        x->bad |= !pattern_holds(data + done, *at, x->message);
        x->bad |= weir_consume(engine, event->ep, x->message) != 0;
        *at += x->message;
        x->told++;
    }
}

static void on_backlog(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct backlog *x = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind == WEIR_OPEN && x->streams < WRITERS)
            x->stream[x->streams++].ep = events[i].ep;
        for (unsigned k = 0; events[i].kind == WEIR_DATA && k < x->streams; k++)
            if (x->stream[k].ep == events[i].ep)
                take_whole(engine, &events[i], x, &x->stream[k].at);
    }
}

static void *write_backlog(void *arg)
{
    struct writer *w = arg;
    uint64_t total = (uint64_t)BACKLOG * w->message, at = 0;
    uint8_t *data = malloc(w->message);
    while (data && at < total) { /* the socket blocks, but not for ever: SO_SNDTIMEO */
        size_t part = (size_t)(at % w->message);
        if (part == 0)
            pattern_fill(data, at, w->message);
        ssize_t n = send(w->fd, data + part, w->message - part, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        at += (uint64_t)n;
    }
    free(data);
    w->whole = at == total;
    return NULL;
}

static void start_writer(struct bed *bed, struct writer *w, uint32_t message,
                         const struct weir_addr *at)
{
    struct timeval patience = {.tv_sec = PATIENCE_NS / 1000000000};
    *w = (struct writer){.fd = peer_connect(at), .message = message};
    UNTIL(bed, peer_connected(w->fd));
    setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(fcntl(w->fd, F_SETFL, 0), 0); /* it blocks */
    assert_int_equal(pthread_create(&w->thread, NULL, write_backlog, w), 0);
}

static void backlog_arrives(struct bed *bed, uint32_t message, unsigned streams)
{
    static struct writer writer[WRITERS];
    struct backlog x = {.message = message};
    struct weir_addr at;
    bed_open(bed);
    bed_listen(bed, on_backlog, &x, &at);
    for (unsigned i = 0; i < streams; i++)
        start_writer(bed, &writer[i], message, &at);
    UNTIL(bed, x.told == streams * BACKLOG || x.bad);
    for (unsigned i = 0; i < streams; i++) {
        pthread_join(writer[i].thread, NULL);
        assert_true(writer[i].whole);
        peer_close(&writer[i].fd);
    }
    assert_false(x.bad);
    assert_int_equal(x.streams, streams);
    for (unsigned i = 0; i < streams; i++)
        assert_int_equal(x.stream[i].at, (uint64_t)BACKLOG * message);
    UNTIL(bed, bed_count(bed).stream_opened == streams);
    bed_close(bed);
}

/* A part of a slot, more than half of the largest, nearly all of it: rx_max is 65,408. */
static void backlog_of_whole_messages(struct bed *bed)
{
    backlog_arrives(bed, 8000, 1);
    backlog_arrives(bed, 33000, 1);
    backlog_arrives(bed, 60000, 1);
}

static void eight_backlogs_of_whole_messages(struct bed *bed)
{
    backlog_arrives(bed, 8000, WRITERS);
    backlog_arrives(bed, 33000, WRITERS);
    backlog_arrives(bed, 60000, WRITERS);
}

/* ---- stalled streams and datagrams ---- */

#define STALLED 240u          /* of 256 endpoints: enough to take every slot, if they may */
#define SAY_BYTES (16u << 20) /* more than the buffers of both kernels hold */

struct stalled {
    weir_ep ep[STALLED];
    unsigned opened, told;
    bool bad;
};

/* Consumes nothing, ever. */
static void on_stalled(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct stalled *x = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind == WEIR_OPEN && x->opened < STALLED)
            x->ep[x->opened++] = events[i].ep;
        x->bad |= events[i].kind == WEIR_CLOSED;
        if (events[i].kind != WEIR_DATA)
            continue;
        x->told++;
        x->bad |= !pattern_holds(events[i].buf->data, 0, events[i].buf->len);
    }
}

/* Unconsumed bytes hold the slots of streams; those of datagrams are not theirs to take. */
static void stalled_streams_do_not_silence_datagrams(struct bed *bed)
{
    static struct flow flow[STALLED];
    struct stalled x = {0};
    struct weir_addr tcp, udp;
    int small = 65536, fd = peer_udp();
    bed_open(bed);
    bed_listen(bed, on_stalled, &x, &tcp);
    bed_udp(bed, echo, NULL, &udp);
    for (unsigned i = 0; i < STALLED; i++) {
        flow[i] = (struct flow){.fd = peer_connect(&tcp)};
        setsockopt(flow[i].fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    }
    UNTIL(bed, x.opened == STALLED);
    uint64_t before, sent = 0;
    do { /* the peers go on until their kernel takes nothing for 20 turns */
        before = sent;
        sent = 0;
        for (unsigned turn = 0; turn < 20; turn++, bed_turn(bed))
            for (unsigned i = 0; i < STALLED; i++)
                flow_push(&flow[i], SAY_BYTES);
        for (unsigned i = 0; i < STALLED; i++)
            sent += flow[i].sent;
    } while (sent > before);
    assert_true(sent > 0 && sent < (uint64_t)STALLED * SAY_BYTES);
    assert_true(x.told >= STALLED / 2); /* a stream that found no slot may still wait for one */
    for (uint32_t i = 0, got; i < 100; i++) {
        peer_send(fd, &udp, &i, sizeof i);
        UNTIL(bed, peer_recv(fd, &got, sizeof got, NULL) == sizeof got);
        assert_int_equal(got, i);
    }
    assert_false(x.bad);
    for (unsigned i = 0; i < STALLED; i++) {
        assert_int_equal(flow[i].err, 0);
        assert_int_equal(weir_abort(bed->engine, x.ep[i]), 0);
        peer_close(&flow[i].fd);
    }
    peer_close(&fd);
    UNTIL(bed, bed_count(bed).stream_closed == STALLED);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(messages_over_segments),
    CASE(byte_by_byte_until_enough),
    CASE(unconsumed_bytes_stop_the_peer),
    CASE(slow_reader_gets_every_byte),
    CASE(backlog_of_whole_messages),
    CASE(eight_backlogs_of_whole_messages),
    CASE(stalled_streams_do_not_silence_datagrams),
};
BED_MAIN(cases)
