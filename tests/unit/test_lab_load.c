/* SPDX-License-Identifier: MIT
 * The generators on loopback against a small server: what they counted is what it saw. Nothing
 * here asserts a speed: on a busy host a generator falls behind its plan, and its counts must
 * agree all the same. */
#include "lab.h"

#include <netinet/in.h>
#include <sched.h>

#define HIGHEST (UINT64_C(60) * 1000 * MS)

/* Small loads: they are done in some hundred milliseconds on any host. */
static struct weir_load_opt load_of(enum weir_load load, uint64_t rate)
{
    return (struct weir_load_opt){.load = load,
                                  .rate = rate,
                                  .duration_ns = 100 * MS,
                                  .warmup_ns = 20 * MS,
                                  .drain_ns = 3000 * MS, /* patience: it ends with the last reply */
                                  .core = -1};
}

static struct server *server_of(int udp)
{
    struct server *s = calloc(1, sizeof *s);

    assert_non_null(s);
    s->udp = udp;
    s->tcp = !udp;
    return s;
}

static void flood_arrives_whole_and_no_flow_twice_in_a_row(void **state)
{
    struct server *s = server_of(1);
    struct weir_load_opt o = load_of(WEIR_LOAD_FLOOD, 5000);
    struct weir_load_result r;

    (void)state;
    s->expect_bytes = o.bytes = 100;
    o.flows = 50;
    o.target = server_start(s);
    r = run_load(&o);
    server_stop(s);
    assert_int_equal(r.all.planned, 600);
    assert_int_equal(r.all.sent, s->datagrams + s->kernel_drops);
    assert_int_equal(s->wrong_bytes, 0);
    assert_true(s->kernel_drops > 0 || s->in_a_row == 0);
    assert_true(r.all.sent < 50 || s->kernel_drops > 0 || server_ports(s) == 50);
    free(s);
}

static void flood_without_a_rate_plans_what_it_tries(void **state)
{
    struct server *s = server_of(1);
    struct weir_load_opt o = load_of(WEIR_LOAD_FLOOD, 0);
    struct weir_load_result r;

    (void)state;
    o.flows = 20;
    o.target = server_start(s);
    r = run_load(&o);
    server_stop(s);
    assert_int_equal(r.all.planned, r.all.tried);
    assert_int_equal(r.all.sent, s->datagrams + s->kernel_drops);
    assert_true(r.all.sent > 0 && r.achieved == 1.0);
    free(s);
}

static void stream(uint32_t bytes, uint64_t rate, int no_merge)
{
    struct server *s = server_of(1);
    struct weir_load_opt o = load_of(WEIR_LOAD_STREAM, rate);
    struct weir_load_result r;

    s->expect_bytes = o.bytes = bytes;
    o.no_merge = (uint8_t)no_merge;
    o.duration_ns = 20 * MS;
    o.target = server_start(s);
    r = run_load(&o);
    server_stop(s);
    assert_true(r.all.sent > 0);
    assert_int_equal(r.all.sent, s->datagrams + s->kernel_drops);
    assert_int_equal(s->wrong_bytes, 0);
    assert_int_equal(server_ports(s), 1);
    free(s);
}

static void stream_arrives_whole(void **state)
{
    (void)state;
    stream(64, 100000, 0);
    stream(64, 100000, 1);
    stream(1, 50000, 0);
    stream(1472, 20000, 0);
    stream(60000, 1000, 0); /* larger than any segment: one by one */
    stream(64, 0, 0);
}

static struct weir_load_result echo(struct server *s, uint32_t bytes, uint32_t flows)
{
    struct weir_load_opt o = load_of(WEIR_LOAD_ECHO, 2000);
    struct weir_load_result r;

    s->echo = 1;
    o.bytes = bytes;
    o.flows = flows;
    o.latency = weir_histogram_open(HIGHEST);
    if (s->drop || s->spoil)
        o.drain_ns = 300 * MS; /* some replies never come */
    o.target = server_start(s);
    r = run_load(&o);
    server_stop(s);
    assert_int_equal(weir_histogram_count(o.latency), r.window.received);
    assert_int_equal(r.all.foreign, 0);
    assert_int_equal(r.all.sent, s->datagrams + s->kernel_drops);
    weir_histogram_close(o.latency);
    return r;
}

static void echo_gets_a_reply_to_each_send(void **state)
{
    const struct {
        uint32_t bytes, flows;
    } each[] = {{0, 0}, {16, 1}, {1400, 1}, {64, 5}};

    (void)state;
    for (unsigned i = 0; i < sizeof each / sizeof *each; i++) {
        struct server *s = server_of(1);
        struct weir_load_result r = echo(s, each[i].bytes, each[i].flows);

        assert_int_equal(r.all.planned, 240);
        assert_int_equal(r.all.received, s->datagrams);
        assert_int_equal(r.all.duplicate + r.all.corrupt, 0);
        assert_in_range(server_ports(s), 1, each[i].flows ? each[i].flows : 1);
        free(s);
    }
}

static void echo_counts_what_a_bad_server_does(void **state)
{
    struct server *s = server_of(1);
    struct weir_load_result r;

    (void)state;
    s->drop = 10;
    s->twice = 7;
    r = echo(s, 64, 1);
    assert_int_equal(r.all.lost, s->datagrams / 10 + s->kernel_drops);
    assert_int_equal(r.all.duplicate, s->datagrams / 7 - s->datagrams / 70);
    free(s);
    s = server_of(1);
    s->spoil = 9;
    r = echo(s, 64, 1);
    assert_int_equal(r.all.corrupt, s->datagrams / 9);
    assert_int_equal(r.all.lost, s->datagrams / 9 + s->kernel_drops);
    free(s);
}

static struct weir_load_result tcp(struct server *s, uint64_t rate, uint32_t connections,
                                   uint32_t bytes)
{
    struct weir_load_opt o = load_of(WEIR_LOAD_TCP, rate);
    struct weir_load_result r;

    o.connections = connections;
    o.bytes = bytes;
    o.latency = weir_histogram_open(HIGHEST);
    o.target = server_start(s);
    r = run_load(&o);
    server_stop(s);
    assert_int_equal(weir_histogram_count(o.latency), r.window.received);
    assert_int_equal(r.closed_loop, rate == 0);
    weir_histogram_close(o.latency);
    return r;
}

static void tcp_requests_are_answered(void **state)
{
    const struct {
        uint64_t rate;
        uint32_t connections, bytes;
    } each[] = {{0, 1, 64}, {0, 16, 64}, {0, 3, 100000}, {0, 2, 3}, {1000, 8, 64}, {1000, 1, 64}};

    (void)state;
    for (unsigned i = 0; i < sizeof each / sizeof *each; i++) {
        struct server *s = server_of(0);
        struct weir_load_result r = tcp(s, each[i].rate, each[i].connections, each[i].bytes);

        assert_true(r.all.received > 0);
        assert_int_equal(r.all.lost + r.all.reset + r.all.corrupt, 0);
        assert_in_range(s->accepted, 1, each[i].connections);
        free(s);
    }
}

static void tcp_counts_connections_that_break(void **state)
{
    struct server *s = server_of(0);
    struct weir_load_result r;

    (void)state;
    s->die = 640; /* ten requests */
    r = tcp(s, 0, 4, 64);
    assert_true(r.all.reset > 0 && r.all.reset <= 4);
    assert_int_equal(r.all.received + r.all.lost, r.all.sent);
    assert_true(r.all.received <= 40);
    assert_true(r.invalid.code < 0 && strlen(r.invalid.what) > 0);
    free(s);
}

static void connections_are_made_used_and_closed(void **state)
{
    const uint64_t rates[] = {0, 500};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct server *s = server_of(0);
        struct weir_load_opt o = load_of(WEIR_LOAD_CONNECT, rates[i]);
        struct weir_load_result r;

        o.connections = 8;
        o.latency = weir_histogram_open(HIGHEST);
        o.setup = weir_histogram_open(HIGHEST);
        o.teardown = weir_histogram_open(HIGHEST);
        o.target = server_start(s);
        r = run_load(&o);
        server_stop(s);
        assert_true(r.all.received > 0);
        assert_int_equal(r.all.received + r.all.unfinished, r.all.sent);
        assert_in_range(s->accepted, r.all.received, r.all.sent);
        assert_int_equal(weir_histogram_count(o.teardown), r.window.received);
        assert_true(weir_histogram_count(o.setup) >= r.window.received);
        assert_true(weir_histogram_count(o.latency) >= r.window.received);
        weir_histogram_close(o.latency);
        weir_histogram_close(o.setup);
        weir_histogram_close(o.teardown);
        free(s);
    }
}

/* A port that was free a moment ago. */
static struct weir_addr closed_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return weir_addr_ip4(127, 0, 0, 1, ntohs(at.sin_port));
}

static void nobody_there_is_told(void **state)
{
    struct weir_load_opt o = load_of(WEIR_LOAD_FLOOD, 2000);
    struct weir_load_result r;
    struct weir_why why = {0};

    (void)state;
    o.target = closed_port();
    o.flows = 2;
    o.drain_ns = 20 * MS;
    r = run_load(&o);
    assert_true(r.all.tx_refused > 0);
    o.load = WEIR_LOAD_ECHO;
    o.flows = 1;
    r = run_load(&o);
    assert_int_equal(r.all.received, 0);
    assert_int_equal(r.all.lost, r.all.sent);
    o.load = WEIR_LOAD_CONNECT;
    r = run_load(&o);
    assert_int_equal(r.all.received, 0);
    assert_int_equal(r.all.connect_error + r.all.tx_refused, r.all.tried);
    o.load = WEIR_LOAD_TCP;
    assert_int_equal(weir_load_run(&o, &r, &why), -ECONNREFUSED);
    assert_true(strlen(why.what) > 0);
}

static void bad_options_are_refused(void **state)
{
    const struct weir_addr to = weir_addr_ip4(127, 0, 0, 1, 9);
    const struct weir_load_opt bad[] = {
        {.load = WEIR_LOADS, .target = to, .core = -1},
        {.load = WEIR_LOAD_ECHO, .target = to, .core = -1}, /* no rate */
        {.load = WEIR_LOAD_ECHO, .target = to, .core = -1, .rate = 1, .bytes = 15},
        {.load = WEIR_LOAD_FLOOD, .target = to, .core = -1, .flows = 1},
        {.load = WEIR_LOAD_FLOOD, .target = to, .core = -1, .bytes = 65508},
        {.load = WEIR_LOAD_FLOOD, .target = to, .core = -1, .rate = 1000000001},
        {.load = WEIR_LOAD_ECHO,
         .target = to,
         .core = -1,
         .rate = 1000000000,
         .duration_ns = 3600000 * MS},
        {.load = WEIR_LOAD_FLOOD, .target = to, .core = 1 << 20},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_load_result r;
        struct weir_why why = {0};

        assert_int_equal(weir_load_run(&bad[i], &r, &why), -EINVAL);
        assert_true(strlen(why.where) > 0 && strlen(why.what) > 0);
    }
}

struct marks {
    int seen[4], count, stop;
    enum weir_load_mark stop_at;
};

static void mark(enum weir_load_mark mark, uint64_t now_ns, void *arg)
{
    struct marks *m = arg;

    (void)now_ns;
    if (m->count < 4)
        m->seen[m->count] = (int)mark;
    m->count++;
    m->stop |= mark == m->stop_at;
}

static void marks_come_once_and_in_order_also_when_stopped(void **state)
{
    (void)state;
    for (int stopped = 0; stopped < 3; stopped++) {
        struct server *s = server_of(1);
        struct marks m = {.stop = stopped == 2,
                          .stop_at = stopped == 1 ? WEIR_MARK_START : WEIR_MARK_DRAINED};
        struct weir_load_opt o = load_of(WEIR_LOAD_ECHO, 1000);
        struct weir_load_result r;

        s->echo = 1;
        o.mark = mark;
        o.mark_arg = &m;
        o.stop = &m.stop;
        o.duration_ns = stopped ? 60000 * MS : 50 * MS;
        o.target = server_start(s);
        r = run_load(&o);
        server_stop(s);
        assert_int_equal(m.count, 3);
        assert_int_equal(m.seen[0], WEIR_MARK_START);
        assert_int_equal(m.seen[1], WEIR_MARK_END);
        assert_int_equal(m.seen[2], WEIR_MARK_DRAINED);
        assert_int_equal(r.stopped, stopped != 0);
        assert_true(r.all.planned < 60000);
        free(s);
    }
}

static void the_thread_keeps_its_cores(void **state)
{
    struct server *s = server_of(1);
    struct weir_load_opt o = load_of(WEIR_LOAD_FLOOD, 1000);
    cpu_set_t before, after;

    (void)state;
    o.core = weir_core(0);
    o.target = server_start(s);
    o.flows = 2;
    sched_getaffinity(0, sizeof before, &before);
    run_load(&o);
    sched_getaffinity(0, sizeof after, &after);
    server_stop(s);
    assert_true(CPU_EQUAL(&before, &after));
    free(s);
}

static void the_canary_measures_a_hop(void **state)
{
    struct weir_why why = {0};
    double ns;

    (void)state;
    assert_int_equal((int)weir_canary_ns(weir_core(0), weir_core(0), &why), -EINVAL);
    assert_int_equal((int)weir_canary_ns(weir_core(0), 1 << 20, &why), -EINVAL);
    assert_true(strlen(why.what) > 0);
    if (weir_cores() < 2)
        SKIP("the canary needs two cores");
    ns = weir_canary_ns(weir_core(0), weir_core(1), &why);
    if (ns == -ETIMEDOUT)
        SKIP("a core was not scheduled for seconds");
    assert_true(ns > 0 && ns < 1e9);
}

static void drops_of_loopback_count_what_passed(void **state)
{
    struct weir_net_drops before, after;
    struct server *s = server_of(1);
    struct weir_load_opt o = load_of(WEIR_LOAD_FLOOD, 2000);
    struct weir_load_result r;
    struct weir_why why = {0};

    (void)state;
    o.flows = 2;
    o.target = server_start(s);
    assert_int_equal(weir_net_drops("lo", &before, &why), 0);
    r = run_load(&o);
    assert_int_equal(weir_net_drops("lo", &after, &why), 0);
    weir_net_drops_since(&after, &before, &after);
    server_stop(s);
    assert_true(after.nic_rx_packets >= r.all.sent); /* others may use lo as well */
    assert_true(after.udp_out >= r.all.sent);
    assert_int_equal(weir_net_drops("no such thing", &after, &why), -ENODEV);
    assert_true(strlen(why.what) > 0);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flood_arrives_whole_and_no_flow_twice_in_a_row),
        cmocka_unit_test(flood_without_a_rate_plans_what_it_tries),
        cmocka_unit_test(stream_arrives_whole),
        cmocka_unit_test(echo_gets_a_reply_to_each_send),
        cmocka_unit_test(echo_counts_what_a_bad_server_does),
        cmocka_unit_test(tcp_requests_are_answered),
        cmocka_unit_test(tcp_counts_connections_that_break),
        cmocka_unit_test(connections_are_made_used_and_closed),
        cmocka_unit_test(nobody_there_is_told),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(marks_come_once_and_in_order_also_when_stopped),
        cmocka_unit_test(the_thread_keeps_its_cores),
        cmocka_unit_test(the_canary_measures_a_hop),
        cmocka_unit_test(drops_of_loopback_count_what_passed),
    };

    return run_group(tests);
}
