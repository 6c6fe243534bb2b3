/* SPDX-License-Identifier: MIT
 * More datagrams than a poll has events for: none is left behind when the engine sleeps or gathers,
 * and streams are heard all the same. */
#include "bed.h"

#include <unistd.h>

/* ---- streams beside a flood ---- */

#define AHEAD 200u /* datagrams that wait in the socket at every poll, each poll takes 16 */
#define POLLS_MAX 1000u

struct flood {
    struct weir_addr at;
    struct seen seen;
    uint64_t sent;
    int fd;
};

/* One poll, all of whose events the flood would take. */
static bool drown(struct bed *bed, struct flood *f)
{
    uint8_t data[16];
    pattern_fill(data, 0, sizeof data);
    for (; f->sent < f->seen.kinds[WEIR_DATAGRAM] + AHEAD; f->sent++)
        peer_send(f->fd, &f->at, data, sizeof data);
    assert_true(weir_poll(bed->engine, weir_now_ns()) >= 0);
    return true;
}

#define UNDER_FLOOD(condition)                                                                     \
    do {                                                                                           \
        unsigned polls_ = 0;                                                                       \
        while (!(condition) && drown(bed, &f))                                                     \
            if (++polls_ > POLLS_MAX)                                                              \
                fail_msg("%s:%d: %u polls without: %s", __FILE__, __LINE__, POLLS_MAX,             \
                         #condition);                                                              \
    } while (0)

static void live_a_stream_under_flood(struct bed *bed, bool spin)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct seen seen = {0};
    struct flood f = {.fd = peer_udp()};
    opt.poll_events = 16;
    opt.tx_max = 4;
    opt.spin = opt.no_coalesce = spin;
    bed_open_with(bed, &opt);
    bed_udp(bed, record, &f.seen, &f.at);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNDER_FLOOD(peer_connected(flow.fd) && seen.kinds[WEIR_OPEN]);
    UNDER_FLOOD(flow_push(&flow, 3000) && seen.bytes == 3000);
    struct source source = {.ep = seen.stream, .piece = 100};
    assert_false(source_push(bed, &source, 1000)); /* ten where four have room */
    UNDER_FLOOD(seen.kinds[WEIR_DRAIN]);
    UNDER_FLOOD(flow_pull(&flow, 400));
    peer_reset(&flow.fd);
    UNDER_FLOOD(seen.kinds[WEIR_CLOSED]);
    assert_false(seen.bad || f.seen.bad || flow.bad);
    UNTIL(bed, f.seen.kinds[WEIR_DATAGRAM] == f.sent);
    peer_close(&f.fd);
    bed_close(bed);
}

static void streams_are_heard_through_a_flood(struct bed *bed)
{
    live_a_stream_under_flood(bed, false);
}

static void streams_are_heard_through_a_flood_while_spinning(struct bed *bed)
{
    live_a_stream_under_flood(bed, true);
}

/* ---- none is left behind ---- */

/* Datagrams that carry their number. */
struct numbered {
    uint32_t next;
    bool bad;
};

static void on_numbered(struct weir_engine *engine, struct weir_event *events, unsigned n,
                        void *app)
{
    struct numbered *c = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++) {
        uint32_t number = UINT32_MAX;
        c->bad |= events[i].kind != WEIR_DATAGRAM || events[i].buf->len != sizeof number;
        memcpy(&number, events[i].buf->data, sizeof number);
        c->bad |= number != c->next++;
    }
}

static void send_numbered(int fd, const struct weir_addr *at, uint32_t from, uint32_t upto)
{
    for (; from < upto; from++)
        peer_send(fd, at, &from, sizeof from);
}

/* It waits after every poll, however much the poll brought: what is still to be told must end the
 * wait, for nothing else does before the timer. */
static void no_sleep_over_what_was_received(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct numbered c = {0};
    opt.poll_events = 16;
    bed_open_with(bed, &opt);
    bed_udp(bed, on_numbered, &c, &at);
    int fd = peer_udp();
    bed_turns(bed, 3);
    assert_true(weir_timer(bed->engine, weir_now_ns() + PATIENCE_NS, 0) > 0);
    send_numbered(fd, &at, 0, 40);
    for (;;) {
        assert_true(weir_poll(bed->engine, weir_now_ns()) >= 0);
        if (c.next >= 40 || bed->timers)
            break;
        assert_int_equal(weir_wait(bed->engine, -1), 0);
    }
    assert_int_equal(c.next, 40);
    assert_int_equal(bed->timers, 0);
    assert_false(c.bad);
    peer_close(&fd);
    bed_close(bed);
}

/* Bursts, each followed by a lone one and a pause. */
static void spin_through_bursts(struct bed *bed, bool no_coalesce)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct numbered c = {0};
    opt.spin = 1;
    opt.no_coalesce = no_coalesce;
    bed_open_with(bed, &opt);
    bed_udp(bed, on_numbered, &c, &at);
    int fd = peer_udp();
    for (uint32_t turn = 1, sent = 0; turn <= 5; turn++) {
        uint64_t until = weir_now_ns() + PATIENCE_NS;
        for (uint32_t upto = sent + 400 * turn; sent < upto; sent += 40) { /* while it looks */
            send_numbered(fd, &at, sent, sent + 40);
            assert_true(weir_poll(bed->engine, weir_now_ns()) >= 0);
        }
        send_numbered(fd, &at, sent, sent + 1);
        sent++;
        while (c.next < sent && weir_now_ns() < until)
            assert_true(weir_poll(bed->engine, weir_now_ns()) >= 0);
        assert_int_equal(c.next, sent);
        usleep(1000);
    }
    assert_false(c.bad);
    peer_close(&fd);
    bed_close(bed);
}

static void a_spinning_engine_tells_what_it_gathers(struct bed *bed)
{
    spin_through_bursts(bed, false);
}

static void a_spinning_engine_that_gathers_nothing(struct bed *bed)
{
    spin_through_bursts(bed, true);
}

static const struct bed_case cases[] = {
    CASE(streams_are_heard_through_a_flood),
    CASE(streams_are_heard_through_a_flood_while_spinning),
    CASE(no_sleep_over_what_was_received),
    CASE(a_spinning_engine_tells_what_it_gathers),
    CASE(a_spinning_engine_that_gathers_nothing),
};
BED_MAIN(cases)
