/* SPDX-License-Identifier: MIT
 * A crew: two workers share one port. Every flow has one worker, all flows are served, all bytes
 * come back, and a start is all or nothing. The peer is on the test's thread, the engines on their
 * own. */
#include "bed.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOWS 100u

/* What the workers share with the case: each writes its own slot before the start or stop returns.
 */
struct shared {
    struct weir_addr at;
    bool tcp, fail_second;
    weir_ep ep[2];
    _Atomic unsigned stopped;
    _Atomic bool pools_home;
    _Atomic unsigned woken;
};

static int start(struct weir_engine *engine, unsigned worker, void *app, struct weir_why *why)
{
    struct shared *s = app;
    (void)why;
    if (s->fail_second && worker == 1)
        return -EADDRINUSE;
    int (*open)(struct weir_engine *, const struct weir_addr *, weir_handler *, void *, weir_ep *) =
        s->tcp ? weir_tcp_listen : weir_udp_open;
    return open(engine, &s->at, echo, NULL, &s->ep[worker]);
}

/* On the worker's thread, before its engine closes: nothing of its pool is out but what it still
 * echoes. */
static void stop(struct weir_engine *engine, unsigned worker, void *app)
{
    struct shared *s = app;
    struct weir_why why;
    if (weir_close(engine, s->ep[worker]) != 0 ||
        weir_pool_check(weir_engine_pool(engine), &why) != 0)
        atomic_store(&s->pools_home, false);
    atomic_fetch_add(&s->stopped, 1);
}

static void on_wake(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct shared *s = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_WAKE)
            atomic_fetch_add(&s->woken, 1);
}

static struct weir_crew_opt crew_opt(struct bed *bed, struct shared *s, int type)
{
    struct weir_crew_opt opt = {.engine = bed_opt(bed), .workers = 2, .unpinned = 1};
    s->at = peer_loopback(peer_free_port(type), false);
    s->tcp = type == SOCK_STREAM;
    s->pools_home = true;
    opt.engine.handler = on_wake;
    opt.engine.app = s;
    opt.start = start;
    opt.stop = stop;
    opt.app = s;
    return opt;
}

static struct weir_crew *start_crew(const struct weir_crew_opt *opt)
{
    struct weir_why why = {0};
    char text[400];
    struct weir_crew *crew = weir_crew_start(opt, &why);
    if (!crew) {
        weir_why_text(&why, text, sizeof text);
        fail_msg("the crew does not start: %s", text);
    }
    assert_int_equal(weir_crew_workers(crew), 2);
    return crew;
}

#define PATIENTLY(condition)                                                                       \
    do {                                                                                           \
        uint64_t until_ = weir_now_ns() + PATIENCE_NS;                                             \
        while (!(condition)) {                                                                     \
            usleep(100);                                                                           \
            if (weir_now_ns() > until_)                                                            \
                fail_msg("%s:%d: waited 20 s for: %s", __FILE__, __LINE__, #condition);            \
        }                                                                                          \
    } while (0)

static void sum(struct weir_crew *crew, struct weir_counters each[2])
{
    for (unsigned i = 0; i < 2; i++)
        weir_engine_counters(weir_crew_engine(crew, i), &each[i]);
}

static void two_workers_share_a_datagram_port(struct bed *bed)
{
    struct shared s = {0};
    struct weir_crew_opt opt = crew_opt(bed, &s, SOCK_DGRAM);
    struct weir_counters each[2];
    int fd[FLOWS];
    struct weir_crew *crew = start_crew(&opt);
    for (unsigned i = 0; i < FLOWS; i++) {
        fd[i] = peer_udp();
        for (uint32_t k = 0; k < 10; k++)
            peer_send(fd[i], &s.at, &(uint32_t[2]){i, k}, 8);
    }
    for (unsigned i = 0; i < FLOWS; i++) {
        for (uint32_t k = 0; k < 10; k++) {
            uint32_t got[2] = {0};
            PATIENTLY(peer_recv(fd[i], got, sizeof got, NULL) == 8);
            assert_int_equal(got[0], i);
            assert_int_equal(got[1], k); /* in its flow's order: a flow has one worker */
        }
        peer_close(&fd[i]);
    }
    sum(crew, each);
    assert_int_equal(each[0].rx_packets + each[1].rx_packets, 10 * FLOWS);
    assert_int_equal(each[0].tx_bytes + each[1].tx_bytes, 80 * FLOWS);
    assert_true(each[0].rx_packets > 0 &&
                each[1].rx_packets > 0); /* 2^-99 that the hash chose one */
    assert_int_equal(weir_crew_stop(crew), 0);
    assert_int_equal(s.stopped, 2);
    assert_true(s.pools_home);
}

static void two_workers_share_a_stream_port(struct bed *bed)
{
    struct shared s = {0};
    struct weir_crew_opt opt = crew_opt(bed, &s, SOCK_STREAM);
    struct weir_counters each[2];
    static struct flow flow[FLOWS];
    struct weir_crew *crew = start_crew(&opt);
    for (unsigned i = 0; i < FLOWS; i++)
        flow[i] = (struct flow){.fd = peer_connect(&s.at)};
    for (unsigned i = 0; i < FLOWS; i++) {
        PATIENTLY(flow_push(&flow[i], 3000));
        PATIENTLY(flow_pull(&flow[i], 3000));
        assert_int_equal(flow[i].got, 3000);
        assert_false(flow[i].bad);
    }
    sum(crew, each);
    assert_int_equal(each[0].stream_opened + each[1].stream_opened, FLOWS);
    assert_int_equal(each[0].rx_bytes + each[1].rx_bytes, 3000 * FLOWS);
    assert_true(each[0].stream_opened > 0 && each[1].stream_opened > 0);
    for (unsigned i = 0; i < FLOWS; i++)
        peer_close(&flow[i].fd);
    assert_int_equal(weir_crew_stop(crew), 0);
    assert_true(s.pools_home);
}

static void wakes_reach_their_worker(struct bed *bed)
{
    struct shared s = {0};
    struct weir_crew_opt opt = crew_opt(bed, &s, SOCK_DGRAM);
    struct weir_counters each[2];
    struct weir_crew *crew = start_crew(&opt);
    for (unsigned i = 1; i <= 10; i++) {
        weir_wake(weir_crew_engine(crew, 1));
        PATIENTLY(atomic_load(&s.woken) == i);
    }
    sum(crew, each);
    assert_int_equal(each[0].wakes, 0);
    assert_int_equal(each[1].wakes, 10);
    assert_int_equal(weir_crew_stop(crew), 0);
}

/* A worker may end its own run; its engine is there until the crew is stopped. */
static void on_stop_myself(struct weir_engine *engine, struct weir_event *events, unsigned n,
                           void *app)
{
    struct shared *s = app;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_WAKE) {
            weir_stop(engine);
            atomic_fetch_add(&s->woken, 1);
        }
}

static void a_worker_may_stop_itself(struct bed *bed)
{
    struct shared s = {0};
    struct weir_crew_opt opt = crew_opt(bed, &s, SOCK_DGRAM);
    struct weir_counters each[2];
    opt.engine.handler = on_stop_myself;
    struct weir_crew *crew = start_crew(&opt);
    weir_wake(weir_crew_engine(crew, 1));
    PATIENTLY(atomic_load(&s.woken) == 1);
    for (unsigned i = 0; i < 100; i++) { /* time for it to do what it must not: to close */
        usleep(200);
        sum(crew, each);
        weir_wake(weir_crew_engine(crew, 1));
    }
    assert_int_equal(s.stopped, 0);
    assert_int_equal(weir_crew_stop(crew), 0);
    assert_int_equal(s.stopped, 2);
    assert_true(s.pools_home);
}

static void a_start_is_all_or_nothing(struct bed *bed)
{
    struct shared s = {.fail_second = true};
    struct weir_crew_opt opt = crew_opt(bed, &s, SOCK_DGRAM);
    struct weir_why why = {0};
    assert_null(weir_crew_start(&opt, &why));
    assert_int_equal(why.code, -EADDRINUSE);
    assert_int_equal(s.stopped, 1); /* the first one had started */
    s.fail_second = false;
    struct weir_crew *crew =
        NULL; /* the port is free again: io_uring gives it back a moment later */
    PATIENTLY((crew = weir_crew_start(&opt, &why)) != NULL || why.code != -EADDRINUSE);
    assert_non_null(crew);
    assert_int_equal(weir_crew_stop(crew), 0);
}

static void an_unknown_backend_starts_nothing(struct bed *bed)
{
    struct shared s = {0};
    struct weir_crew_opt opt = crew_opt(bed, &s, SOCK_DGRAM);
    struct weir_why why = {0};
    opt.engine.backend = "no such backend";
    assert_null(weir_crew_start(&opt, &why));
    assert_int_not_equal(why.code, 0);
    assert_int_not_equal(why.what[0], 0);
    assert_int_equal(s.stopped, 0);
}

static const struct bed_case cases[] = {
    CASE(two_workers_share_a_datagram_port), CASE(two_workers_share_a_stream_port),
    CASE(wakes_reach_their_worker),          CASE(a_worker_may_stop_itself),
    CASE(a_start_is_all_or_nothing),         CASE(an_unknown_backend_starts_nothing),
};
BED_MAIN(cases)
