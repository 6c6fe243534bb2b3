/* SPDX-License-Identifier: MIT
 * Two queues with an engine each, and frames that are larger than a buffer. */
#include "net.h"

#include <pthread.h>

#define FLOWS 64
#define ROUNDS 30

static void two_queues(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo[2];
    int fd[FLOWS], back = 0;
    bool done[FLOWS] = {0};
    (void)state;
    net_open_as(&n, 1500, 2);
    opt.frames.queues = 2;
    for (int q = 0; q < 2; q++) {
        opt.frames.queue = (uint16_t)q;
        echo_open(&echo[q], &opt, "10.9.0.1:7000");
    }
    for (int i = 0; i < FLOWS; i++)
        fd[i] = there_udp(&n, "10.9.0.1", 7000);
    for (int turn = 0; turn < TURNS && back < FLOWS; turn++) {
        char data[8];
        for (int i = 0; i < FLOWS; i++) {
            if (turn % 500 == 0 && !done[i])
                send(fd[i], &i, sizeof i, 0);
            if (!done[i] && recv(fd[i], data, sizeof data, 0) == sizeof i) {
                assert_memory_equal(data, &i, sizeof i);
                done[i] = true;
                back++;
            }
        }
        echo_turn(&echo[0], 500000);
        echo_turn(&echo[1], 500000);
    }
    assert_int_equal(back, FLOWS);
    assert_true(echo[0].datagrams > 0);
    assert_true(echo[1].datagrams > 0);
    echo_close(&echo[0]); /* the program stays for the other */
    echo[0].engine = NULL;
    uint64_t before = echo[1].datagrams;
    for (int turn = 0; turn < TURNS && echo[1].datagrams == before; turn++) {
        for (int i = 0; i < FLOWS && turn % 500 == 0; i++)
            send(fd[i], &i, sizeof i, 0);
        echo_turn(&echo[1], 1000000);
    }
    assert_true(echo[1].datagrams > before);
    for (int i = 0; i < FLOWS; i++)
        close(fd[i]);
    echo_close(&echo[1]);
    net_close(&n);
}

/* The kernel's addresses are not what they were when the first engine was opened: the second has those
 * of the first, so flows to them are served whatever queue they come by. */
static void an_address_that_comes_between_two_openings(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo[2];
    (void)state;
    net_open_as(&n, 1500, 2);
    opt.frames.queues = 2;
    echo_open(&echo[0], &opt, "10.9.0.1:7000");
    must(sh("ip addr add 10.9.0.77/24 dev s0 && ip addr del fd09::1/64 dev s0"), "addresses");
    opt.frames.queue = 1;
    echo_open(&echo[1], &opt, "10.9.0.1:7000");
    for (int i = 0; i < FLOWS && (!echo[0].datagrams || !echo[1].datagrams); i++) {
        int fd = there_udp(&n, "10.9.0.1", 7000);
        for (int turn = 0; turn < 50; turn++) {
            if (turn % 10 == 0)
                send(fd, &i, sizeof i, 0);
            echo_turn(&echo[0], 500000);
            echo_turn(&echo[1], 500000);
        }
        close(fd);
    }
    assert_true(echo[0].datagrams > 0);
    assert_true(echo[1].datagrams > 0);
    echo_close(&echo[1]);
    echo_close(&echo[0]);
    net_close(&n);
}

struct coming {
    uint16_t queue;
    unsigned opened;
    struct weir_why why; /* of the first that was refused */
};

static void *come_and_go(void *arg)
{
    struct coming *c = arg;
    struct weir_engine_opt opt = xdp_options();
    opt.handler = echo_handler;
    opt.pool = (struct weir_pool_opt){.small = 256}; /* quickly made */
    opt.frames.queues = 2;
    opt.frames.queue = c->queue;
    for (int round = 0; round < ROUNDS; round++) {
        struct weir_engine *e = weir_engine_open(&opt, &c->why);
        if (!e)
            break;
        c->opened++;
        weir_engine_close(e);
    }
    return NULL;
}

/* The last engine of a device takes the program off while another thread opens the next. */
static void engines_that_come_and_go_at_the_same_time(void **state)
{
    struct coming c[2] = {{.queue = 0}, {.queue = 1}};
    struct echo echo;
    struct weir_engine_opt opt = xdp_options();
    pthread_t thread[2];
    struct net n;
    (void)state;
    net_open_as(&n, 1500, 2);
    echo_open(&echo, &opt, "10.9.0.1:7000"); /* skips where there is no AF_XDP */
    echo_close(&echo);
    for (int i = 0; i < 2; i++)
        must(pthread_create(&thread[i], NULL, come_and_go, &c[i]), "a thread");
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < 2; i++)
        if (c[i].opened != ROUNDS)
            fail_msg("round %u: %s: %s", c[i].opened, c[i].why.where, c[i].why.what);
    net_close(&n);
}

static void echo_back(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    (void)app;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DATAGRAM)
            weir_send(e, events[i].ep, &events[i].buf, 1);
}

static int open_worker(struct weir_engine *e, unsigned worker, void *app, struct weir_why *why)
{
    struct weir_addr at = weir_addr_ip4(10, 9, 0, 1, 7000);
    weir_ep ep;
    (void)worker;
    (void)app;
    (void)why;
    return weir_udp_open(e, &at, echo_back, NULL, &ep);
}

/* The crew gives each worker its queue. */
static void a_crew_of_two(void **state)
{
    struct weir_crew_opt opt = {.engine = xdp_options(), .workers = 2, .start = open_worker};
    struct weir_why why = {0};
    struct net n;
    int back = 0;
    (void)state;
    net_open_as(&n, 1500, 2);
    if (weir_cores() < 2)
        SKIP("two workers want two cores");
    struct weir_crew *crew = weir_crew_start(&opt, &why);
    if (!crew)
        fail_msg("%s: %s; %s", why.where, why.what, why.fix);
    for (int i = 0; i < FLOWS; i++) {
        int fd = there_udp(&n, "10.9.0.1", 7000), got = -1;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        for (int turn = 0; turn < 20 && got != i; turn++) {
            send(fd, &i, sizeof i, 0);
            if (poll(&p, 1, 250) > 0)
                recv(fd, &got, sizeof got, 0);
        }
        back += got == i;
        close(fd);
    }
    assert_int_equal(back, FLOWS);
    for (unsigned w = 0; w < 2; w++) {
        struct weir_counters c;
        weir_engine_counters(weir_crew_engine(crew, w), &c);
        assert_true(c.rx_frames > 0);
    }
    assert_int_equal(weir_crew_stop(crew), 0);
    net_close(&n);
}

static void jumbo(struct weir_engine_opt opt, const char *local, const char *ip)
{
    struct net n;
    struct echo echo;
    net_open_as(&n, 9000, 1);
    echo_open(&echo, &opt, local);
    int fd = there_udp(&n, ip, 7000);
    must_echo(&echo, fd, 100);
    must_echo(&echo, fd, 1750); /* one buffer, just */
    must_echo(&echo, fd, 1751);
    must_echo(&echo, fd, 4000);
    must_echo(&echo, fd, 8972);
    struct weir_counters c = counters_of(&echo);
    assert_true(c.linearized >= 3);
    assert_int_equal(c.tx_ring_full + c.rx_truncated + c.tx_device_errors, 0);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

static void jumbo_frames(void **state)
{
    (void)state;
    jumbo(xdp_options(), "10.9.0.1:7000", "10.9.0.1");
}

static void large_slots_take_larger_frames(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    opt.pool.small_bytes = 4096;
    net_open_as(&n, 3000, 1);
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 2972);
    assert_int_equal(counters_of(&echo).linearized, 0);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_queues),
        cmocka_unit_test(an_address_that_comes_between_two_openings),
        cmocka_unit_test(engines_that_come_and_go_at_the_same_time),
        cmocka_unit_test(a_crew_of_two),
        cmocka_unit_test(jumbo_frames),
        cmocka_unit_test(large_slots_take_larger_frames),
    };
    return run_group(tests);
}
