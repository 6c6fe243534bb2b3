/* SPDX-License-Identifier: MIT
 * Random operations on a few endpoints, against what must hold whatever the order: the pool is
 * sound after every step, streams carry the pattern, no dead handle is heard of, every buffer comes
 * home.
 *
 *     WEIR_SEED=n conformance_random     the same steps again (a failure prints its seed) */
#include "bed.h"

#include <errno.h>

#define SLOTS 8u
#define HELD 64u
#define STEPS 3000u

struct slot {
    weir_ep ep; /* 0: free */
    bool stream, closed, bad;
    uint64_t got;     /* stream bytes consumed */
    uint64_t queued;  /* stream bytes given to weir_send */
    struct flow flow; /* the peer's end of a stream */
    int fd;           /* the peer of a datagram endpoint */
    struct weir_addr at;
};

struct world {
    struct bed *bed;
    uint64_t random;
    weir_ep listener;
    struct weir_addr at;
    struct slot slots[SLOTS];
    struct weir_buf *held[HELD];
    unsigned n_held;
    unsigned datagrams, opened, ended; /* that something happened at all */
};

static struct world world;

/* xorshift64*: Marsaglia 2003, Vigna 2014. */
static uint32_t below(uint32_t n)
{
    world.random ^= world.random >> 12;
    world.random ^= world.random << 25;
    world.random ^= world.random >> 27;
    return (uint32_t)((world.random * 2685821657736338717u) >> 32) % n;
}

static bool hold(struct weir_buf *buf)
{
    struct weir_buf *own = world.n_held < HELD ? weir_buf_keep(buf) : NULL;
    if (own)
        world.held[world.n_held++] = own;
    return own != NULL;
}

/* Consumes some, keeps all, or leaves it. */
static void on_stream_data(struct weir_engine *engine, struct weir_event *event, struct slot *s)
{
    struct weir_buf *buf = event->buf;
    uint32_t len = buf->len, some = below(len + 1);
    s->bad |= !pattern_holds(buf->data, s->got, len);
    switch (below(4)) {
    case 0: s->got += hold(buf) ? len : 0; break;
    case 1: break;
    default: s->bad |= weir_consume(engine, event->ep, some) != 0; s->got += some;
    }
}

static void on_event(struct weir_engine *engine, struct weir_event *event, struct slot *s)
{
    s->bad |= s->closed || event->ep != s->ep; /* the dead are silent */
    if (event->kind == WEIR_DATA)
        on_stream_data(engine, event, s);
    if (event->kind == WEIR_CLOSED) {
        s->closed = true;
        world.ended++;
    }
    if (event->kind != WEIR_DATAGRAM)
        return;
    world.datagrams++;
    if (below(3) == 0)
        hold(event->buf);
    else if (below(2))
        weir_send(engine, event->ep, &event->buf, 1);
}

static void on_slot(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct slot *s = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind == WEIR_NONE)
            continue;
        on_event(engine, &events[i], s);
        if (s->closed || below(50))
            continue;
        s->bad |= weir_abort(engine, s->ep) != 0; /* in the middle of its burst */
        s->closed = true;
    }
}

/* A stream that nobody waits for any more is closed; else it joins the slot that connected. */
static void on_listener(struct weir_engine *engine, struct weir_event *events, unsigned n,
                        void *app)
{
    struct weir_addr peer, self;
    (void)app;
    if (events[0].kind != WEIR_OPEN || weir_ep_peer(engine, events[0].ep, &peer) != 0)
        return;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &world.slots[i];
        if (s->ep || !s->stream || s->flow.fd < 0)
            continue;
        self = peer_addr(s->flow.fd);
        if (memcmp(&self, &peer, sizeof self) != 0)
            continue;
        s->ep = events[0].ep;
        weir_ep_handler(engine, s->ep, on_slot, s);
        world.opened++;
        if (n > 1)
            on_slot(engine, events + 1, n - 1, s);
        return;
    }
    weir_close(engine, events[0].ep);
}

static void clear(struct slot *s)
{
    peer_close(&s->flow.fd);
    peer_close(&s->fd);
    *s = (struct slot){.fd = -1, .flow = {.fd = -1}};
}

static void open_slot(struct slot *s)
{
    clear(s);
    s->stream = below(2);
    if (s->stream) {
        s->flow.fd = peer_connect(&world.at);
        return;
    }
    s->ep = bed_udp(world.bed, on_slot, s, &s->at);
    s->fd = peer_udp();
}

static void end_slot(struct slot *s)
{
    if (s->ep && !s->closed) {
        int rc =
            below(2) ? weir_close(world.bed->engine, s->ep) : weir_abort(world.bed->engine, s->ep);
        assert_int_equal(rc, 0);
        assert_int_equal(weir_close(world.bed->engine, s->ep), -EBADF);
    }
    s->closed = true;
    if (s->stream && below(2))
        peer_reset(&s->flow.fd);
    clear(s);
}

static void send_from_engine(struct slot *s)
{
    struct source source = {.ep = s->ep, .queued = s->queued, .piece = 1 + below(1900)};
    if (s->stream) {
        source_push(world.bed, &source, s->queued + below(40000));
        s->queued = source.queued;
        return;
    }
    struct weir_buf *buf = bed_buf(world.bed, 0, below(1500));
    if (!buf)
        return;
    buf->peer = peer_addr(s->fd);
    if (weir_send(world.bed->engine, s->ep, &buf, 1) != 1)
        weir_buf_drop(&buf, 1);
}

static void send_from_peer(struct slot *s)
{
    static const uint8_t data[1500];
    if (s->stream)
        flow_push(&s->flow, s->flow.sent + below(60000));
    else
        peer_send(s->fd, &s->at, data, below(sizeof data));
}

static void consume_some(struct slot *s)
{
    uint32_t bytes = 1 + below(2000);
    if (s->stream && weir_consume(world.bed->engine, s->ep, bytes) == 0)
        s->got += bytes;
}

static void drop_some(void)
{
    while (world.n_held && below(4))
        weir_buf_drop(&world.held[--world.n_held], 1);
}

static void act(struct slot *s)
{
    bool live = s->ep && !s->closed;
    if (!s->ep && s->flow.fd < 0)
        open_slot(s);
    else if (s->closed || below(40) == 0)
        end_slot(s);
    else if (live)
        switch (below(6)) {
        case 0: send_from_engine(s); break;
        case 1: consume_some(s); break;
        case 2: flow_pull(&s->flow, s->stream ? UINT64_MAX : 0); break;
        case 3: below(20) ? 0 : weir_shutdown(world.bed->engine, s->ep); break;
        default: send_from_peer(s); break;
        }
}

static uint64_t seed(void)
{
    const char *given = getenv("WEIR_SEED");
    uint64_t n = given ? strtoull(given, NULL, 0) : weir_now_ns();
    return n ? n : 1;
}

static void steps_in_any_order(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    uint64_t first = seed();
    printf("# WEIR_SEED=%llu on %s\n", (unsigned long long)first, bed->backend);
    opt.tx_max = 128;
    opt.rx_max = 20000;
    opt.burst = 16;
    opt.pool.small = 600; /* small enough to run out now and then */
    opt.pool.big = 64;
    world = (struct world){.bed = bed, .random = first};
    for (unsigned i = 0; i < SLOTS; i++)
        world.slots[i] = (struct slot){.fd = -1, .flow = {.fd = -1}};
    bed_open_with(bed, &opt);
    world.listener = bed_listen(bed, on_listener, NULL, &world.at);
    for (unsigned step = 0; step < STEPS; step++) {
        struct slot *s = &world.slots[below(SLOTS)];
        act(s);
        if (below(3) == 0)
            drop_some();
        if (below(2))
            bed_turn(bed);
        bed_check_pool(bed);
        assert_false(s->bad || s->flow.bad);
    }
    weir_buf_drop(world.held, world.n_held);
    for (unsigned i = 0; i < SLOTS; i++)
        end_slot(&world.slots[i]);
    assert_true(world.datagrams > 50 && world.opened > 10);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(steps_in_any_order),
};
BED_MAIN(cases)
