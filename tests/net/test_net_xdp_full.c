/* SPDX-License-Identifier: MIT
 * Too much at once: nobody polls, or nobody gives buffers back. What is lost is counted, and it goes on
 * after. */
#include "net.h"

#define FLOOD 12000 /* three times what is lent to the device */
#define POOL 5000u  /* a bit more than that */

static void flood(struct echo *echo, int fd, unsigned every)
{
    char data[64] = "";
    for (unsigned i = 0; i < FLOOD; i++) {
        send(fd, data, sizeof data, 0);
        if (every && i % every == 0)
            echo_turn(echo, 0);
    }
}

static void empty_socket(int fd)
{
    char data[2048];
    while (recv(fd, data, sizeof data, MSG_DONTWAIT) >= 0) {}
}

/* Nothing can be done: whoever sleeps would sleep, not spin. */
static void must_be_quiet(struct echo *echo)
{
    for (int turn = 0; turn < TURNS; turn++) {
        uint64_t now_ns = weir_now_ns();
        assert_true(weir_poll(echo->engine, now_ns) >= 0);
        if (weir_next_ns(echo->engine) > now_ns)
            return;
    }
    fail_msg("the engine never comes to rest");
}

/* What the kernel says that it dropped for want of room. */
static void add_dropped(const char *name, uint64_t value, void *arg)
{
    if (strcmp(name, "xdp rx_dropped") == 0 || strcmp(name, "xdp rx_ring_full") == 0)
        *(uint64_t *)arg += value;
}

static void nobody_polls(void **state)
{
    uint64_t dropped = 0;
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 100);
    uint64_t before = counters_of(&echo).rx_frames;
    flood(&echo, fd, 0);
    for (int i = 0; i < 100; i++)
        echo_turn(&echo, 1000000);
    struct weir_counters c = counters_of(&echo);
    assert_true(c.rx_ring_full > 0);
    assert_true(c.rx_frames - before + c.rx_ring_full <= FLOOD);
    assert_true(c.rx_frames - before >= 2048);
    weir_engine_device_stats(echo.engine, add_dropped, &dropped);
    assert_int_equal(dropped, c.rx_ring_full);
    empty_socket(fd);
    must_echo(&echo, fd, 200);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

struct keeper {
    struct weir_buf *held[POOL];
    unsigned n;
    bool keeps;
};

static void keep(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    struct keeper *k = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATAGRAM)
            continue;
        if (k->keeps && k->n < POOL)
            k->held[k->n++] = weir_buf_keep(events[i].buf);
        else if (!k->keeps)
            weir_send(e, events[i].ep, &events[i].buf, 1);
    }
}

static void nobody_gives_buffers_back(void **state)
{
    static struct keeper keeper;
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    opt.pool.small = POOL;
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 100);
    keeper.keeps = true;
    must(weir_ep_handler(echo.engine, echo.ep, keep, &keeper), "handler");
    flood(&echo, fd, 16);
    for (int i = 0; i < 10; i++)
        echo_turn(&echo, 1000000);
    struct weir_counters c = counters_of(&echo);
    assert_true(c.pool_empty > 0);
    assert_true(keeper.n > POOL / 2);
    must_be_quiet(&echo);
    assert_int_equal(weir_pool_check(weir_engine_pool(echo.engine), NULL), 0);
    weir_buf_drop(keeper.held, keeper.n);
    keeper.keeps = false;
    empty_socket(fd);
    must_echo(&echo, fd, 200);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

/* Half of a pool is lent, however small it is: the other half is there to answer with. */
static void a_small_pool(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    opt.pool.small = 16;
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000);
    for (size_t i = 1; i <= 40; i++)
        must_echo(&echo, fd, i);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_polls),
        cmocka_unit_test(nobody_gives_buffers_back),
        cmocka_unit_test(a_small_pool),
    };
    return run_group(tests);
}
