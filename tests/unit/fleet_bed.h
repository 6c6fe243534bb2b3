/* SPDX-License-Identifier: MIT
 * The bed of the fleet's tests: a peer engine, a wire, and the workers of one device over the
 * simulator, all on one thread unless guests have threads of their own.
 *
 *   peer engine ==== wire ==== worker 0 (the device's only queue)
 *                                 |  lanes
 *                              worker 1, 2 (guests) */
#ifndef WEIR_UNIT_FLEET_BED_H
#define WEIR_UNIT_FLEET_BED_H

#include "test.h"

#include "buf/inside.h"
#include "engine/fleet.h"

#include <weir/sim.h>

#include <errno.h>

#define FLOWS 64u
#define EACH 8u
#define PORT 7000u

struct bed {
    unsigned n;
    struct weir_sim *sim;
    struct weir_sim_port *port[2];
    struct fleet *fleet;
    struct weir_engine *peer, *worker[4];
    weir_ep flow[FLOWS], at[4];
    uint32_t got[FLOWS], told[4]; /* answers; datagrams of each worker */
    uint32_t bytes;               /* of the last answer */
    unsigned slow;                /* worker that takes its time with each datagram; 0: none */
    bool wrong;
};

static inline void take_time(uint64_t ns)
{
    for (uint64_t until = weir_now_ns() + ns; weir_now_ns() < until;) {}
}

static inline void echo(struct weir_engine *engine, struct weir_event *events, unsigned n,
                        void *app)
{
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DATAGRAM && weir_send(engine, events[i].ep, &events[i].buf, 1))
            ++*(uint32_t *)app;
}

static inline void slow_echo(struct weir_engine *engine, struct weir_event *events, unsigned n,
                             void *app)
{
    take_time(100000 * (uint64_t)n); /* more than a host works for it, under a sanitizer, too */
    echo(engine, events, n, app);
}

static inline void collect(struct weir_engine *engine, struct weir_event *events, unsigned n,
                           void *app)
{
    struct bed *bed = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++) {
        uint32_t word[2];
        memcpy(word, events[i].buf->data, sizeof word);
        bed->wrong |= word[0] >= FLOWS || word[1] != bed->got[word[0] % FLOWS];
        bed->got[word[0] % FLOWS]++;
        bed->bytes = events[i].buf->len;
    }
}

static inline struct weir_engine_opt sim_opt(struct weir_sim_port *port, const char *net)
{
    struct weir_engine_opt opt = {.backend = "sim",
                                  .endpoints_max = 256,
                                  .tx_max = 512,
                                  .poll_events = 256,
                                  .spin = 1,
                                  .reuse_port = 1,
                                  .pool = {.small = 3000,
                                           .big = 32,
                                           .mem_flags = WEIR_MEM_NO_HUGE | WEIR_MEM_NO_LOCK},
                                  .frames = {.sim = port, .addresses = 1}};
    assert_int_equal(weir_net_parse(net, &opt.frames.address[0]), 0);
    return opt;
}

static inline struct weir_engine *opened(struct bed *bed, unsigned k)
{
    struct weir_engine_opt opt = sim_opt(bed->port[1], "10.0.0.2/24");
    struct weir_why why = {0};
    opt.frames.queue = (uint16_t)k;
    opt.frames.queues = (uint16_t)bed->n;
    struct weir_engine *e = engine_open_in(&opt, bed->fleet, k, &why);
    if (!e)
        fail_msg("worker %u: %s: %s", k, why.where, why.what);
    return e;
}

static inline void open_network(struct bed *bed, bool one_thread)
{
    struct weir_sim_opt opt = {.seed = 7};
    struct fleet_opt fleet = {.workers = bed->n, .endpoints = 256, .one_thread = one_thread};
    bed->sim = weir_sim_open(&opt, NULL);
    assert_non_null(bed->sim);
    assert_int_equal(weir_sim_wire(bed->sim, NULL, NULL, bed->port), 0);
    bed->fleet = fleet_make(&fleet, NULL);
    assert_non_null(bed->fleet);
    struct weir_engine_opt peer = sim_opt(bed->port[0], "10.0.0.1/24");
    bed->peer = weir_engine_open(&peer, NULL);
    assert_non_null(bed->peer);
    bed->worker[0] = opened(bed, 0);
}

static inline void open_bed(struct bed *bed, unsigned n)
{
    *bed = (struct bed){.n = n};
    open_network(bed, true);
    for (unsigned k = 1; k < n; k++)
        bed->worker[k] = opened(bed, k);
}

static inline void open_port(struct bed *bed, unsigned k, uint16_t port)
{
    struct weir_addr at = weir_addr_ip4(10, 0, 0, 2, port);
    weir_handler *handler = k && k == bed->slow ? slow_echo : echo;
    assert_int_equal(weir_udp_open(bed->worker[k], &at, handler, &bed->told[k], &bed->at[k]), 0);
}

static inline void open_flows(struct bed *bed)
{
    for (unsigned i = 0; i < FLOWS; i++) {
        struct weir_addr at = weir_addr_ip4(10, 0, 0, 1, (uint16_t)(20000 + i));
        assert_int_equal(weir_udp_open(bed->peer, &at, collect, bed, &bed->flow[i]), 0);
    }
}

static inline void say(struct bed *bed, unsigned flow, uint32_t turn, uint32_t bytes)
{
    struct weir_buf *buf = weir_buf_take_bytes(weir_engine_pool(bed->peer), bytes);
    assert_non_null(buf);
    memset(buf->data, 0, bytes);
    memcpy(buf->data, (uint32_t[]){flow, turn}, 8);
    buf->len = bytes;
    buf->peer = weir_addr_ip4(10, 0, 0, 2, PORT);
    assert_int_equal(weir_send(bed->peer, bed->flow[flow], &buf, 1), 1);
}

static inline void run(struct bed *bed, unsigned turns)
{
    while (turns--) {
        assert_true(weir_sim_run(bed->sim, weir_sim_now(bed->sim) + 10000) >= 0);
        for (unsigned k = 0; k < bed->n; k++)
            if (bed->worker[k])
                assert_true(weir_poll(bed->worker[k], weir_sim_now(bed->sim)) >= 0);
    }
}

static inline struct weir_counters counted(struct weir_engine *e)
{
    struct weir_counters c;
    weir_engine_counters(e, &c);
    return c;
}

static inline void assert_home(struct weir_engine *e)
{
    struct weir_pool_stats stats;
    struct weir_why why;
    weir_pool_stats(weir_engine_pool(e), &stats);
    assert_int_equal(weir_pool_check(weir_engine_pool(e), &why), 0);
    for (unsigned s = 0; s < WEIR_SECTIONS; s++)
        assert_int_equal(stats.count[s][WEIR_APP] + stats.count[s][WEIR_TX], 0);
}

static inline void close_bed(struct bed *bed)
{
    for (unsigned k = bed->n; k-- > 0;)
        if (bed->worker[k])
            assert_int_equal(weir_engine_close(bed->worker[k]), 0);
    assert_int_equal(weir_engine_close(bed->peer), 0);
    fleet_free(bed->fleet);
    assert_int_equal(weir_sim_close(bed->sim), 0);
}

static inline void talk(struct bed *bed)
{
    for (uint32_t turn = 0; turn < EACH; turn++) {
        for (unsigned i = 0; i < FLOWS; i++)
            say(bed, i, turn, 64);
        run(bed, 8);
    }
    run(bed, 50);
    for (unsigned i = 0; i < FLOWS; i++)
        assert_int_equal(bed->got[i], EACH);
    assert_false(bed->wrong);
}

#endif
