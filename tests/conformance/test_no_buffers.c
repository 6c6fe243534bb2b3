/* SPDX-License-Identifier: MIT
 * No buffers: receiving waits, which is counted; what was not received stands in the socket and
 * comes when there are buffers again. Nothing is lost of a stream, nothing is out of order. */
#include "bed.h"

/* Keeps every buffer that it gets, until told to let go. */
struct hoard {
    struct weir_buf *kept[4096];
    unsigned n_kept, seen;
    bool greedy, bad;
};

static void on_hoard(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct hoard *h = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *own = h->greedy ? weir_buf_keep(events[i].buf) : NULL;
        uint32_t number;
        memcpy(&number, events[i].buf->data, sizeof number);
        h->bad |= number != h->seen++; /* all of them, in order */
        if (own)
            h->kept[h->n_kept++] = own;
    }
}

static void no_buffers_for_datagrams(struct bed *bed)
{
    static struct hoard h;
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    const unsigned sent = 2000;
    opt.burst = 8;
    opt.pool.small = 128;
    opt.pool.big = 32;
    opt.pool.run = 64;
    opt.pool.views = 64;
    h = (struct hoard){.greedy = true};
    bed_open_with(bed, &opt);
    bed_udp(bed, on_hoard, &h, &at);
    int fd = peer_udp();
    for (uint32_t i = 0; i < sent; i++)
        peer_send(fd, &at, &i, sizeof i);
    UNTIL(bed, bed_count(bed).pool_empty);
    assert_true(h.n_kept > 0);
    unsigned before;
    do { /* what stood ready in the backend may still be filled; then it stops */
        before = h.seen;
        bed_turns(bed, 20);
    } while (h.seen > before);
    assert_true(h.seen < sent); /* the others wait in the socket */
    bed_check_pool(bed);
    weir_buf_drop(h.kept, h.n_kept);
    h.greedy = false;
    UNTIL(bed, h.seen == sent);
    assert_false(h.bad);
    peer_close(&fd);
    bed_close(bed);
}

/* Streams whose bytes nobody consumes take the pool; then all of them are consumed. */
#define STREAMS 64u

struct miser {
    weir_ep ep;
    uint32_t held;
    uint64_t consumed;
    bool generous, bad;
};

static struct miser misers[STREAMS];
static unsigned n_misers;

static void on_miser(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct miser *m = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind == WEIR_OPEN && !m) {
            m = &misers[n_misers++];
            m->ep = events[i].ep;
            weir_ep_handler(engine, m->ep, on_miser, m);
        }
        if (events[i].kind != WEIR_DATA)
            continue;
        m->held = events[i].buf->len;
        m->bad |= !pattern_holds(events[i].buf->data, m->consumed, m->held);
        if (!m->generous)
            continue;
        m->bad |= weir_consume(engine, m->ep, m->held) != 0;
        m->consumed += m->held;
        m->held = 0;
    }
}

static void let_go(struct bed *bed)
{
    for (unsigned i = 0; i < n_misers; i++) {
        misers[i].generous = true;
        if (misers[i].held)
            assert_int_equal(weir_consume(bed->engine, misers[i].ep, misers[i].held), 0);
        misers[i].consumed += misers[i].held;
        misers[i].held = 0;
    }
}

static bool all_consumed(uint64_t each)
{
    for (unsigned i = 0; i < STREAMS; i++)
        if (misers[i].consumed < each)
            return false;
    return true;
}

static void no_buffers_for_streams(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    static struct flow flow[STREAMS];
    struct weir_addr at;
    const uint64_t each = 300000;
    opt.burst = 8;
    opt.pool.small = 128;
    opt.pool.big = 24;
    opt.pool.run = 64;
    memset(misers, 0, sizeof misers);
    n_misers = 0;
    bed_open_with(bed, &opt);
    bed_listen(bed, on_miser, NULL, &at);
    for (unsigned i = 0; i < STREAMS; i++)
        flow[i] = (struct flow){.fd = peer_connect(&at)};
    UNTIL(bed, n_misers == STREAMS);
    for (unsigned turn = 0; bed_count(bed).pool_empty == 0; turn++) {
        for (unsigned i = 0; i < STREAMS; i++)
            flow_push(&flow[i], each);
        bed_turn(bed);
        assert_true(turn < 10000);
    }
    bed_turns(bed, 10);
    bed_check_pool(bed);
    let_go(bed);
    for (unsigned i = 0; i < STREAMS; i++)
        UNTIL(bed, flow_push(&flow[i], each));
    UNTIL(bed, all_consumed(each));
    for (unsigned i = 0; i < STREAMS; i++) {
        assert_false(misers[i].bad);
        peer_close(&flow[i].fd);
    }
    bed_close(bed);
}

static void application_finds_the_pool_empty(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    static struct weir_buf *held[8192];
    opt.pool.small = 256;
    opt.pool.big = 32;
    bed_open_with(bed, &opt);
    unsigned n = weir_buf_take(bed->pool, held, 8192);
    assert_true(n > 0 && n <= 256);
    assert_int_equal(weir_buf_take(bed->pool, held + n, 1), 0);
    struct weir_pool_stats stats;
    weir_pool_stats(bed->pool, &stats);
    assert_true(stats.empty > 0);
    bed_check_pool(bed);
    weir_buf_drop(held, n);
    assert_int_equal(weir_buf_take(bed->pool, held, n), n);
    weir_buf_drop(held, n);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(no_buffers_for_datagrams),
    CASE(no_buffers_for_streams),
    CASE(application_finds_the_pool_empty),
};
BED_MAIN(cases)
