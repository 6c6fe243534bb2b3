/* SPDX-License-Identifier: MIT
 * The interface goes down, comes back, and goes for good; the kernel's neighbours change. */
#include "net.h"

static void until_link(struct echo *echo, int err)
{
    for (int turn = 0; turn < TURNS && echo->link_err != err; turn++)
        echo_turn(echo, 1000000);
    assert_int_equal(echo->link_err, err);
}

/* Nothing is due: whoever sleeps would sleep, not spin. */
static void must_be_quiet(struct echo *echo)
{
    for (int turn = 0; turn < TURNS; turn++) {
        echo_turn(echo, 1000000);
        if (weir_next_ns(echo->engine) > weir_now_ns())
            return;
    }
    fail_msg("the engine never comes to rest");
}

static void down_and_up(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 100);
    for (int round = 1; round <= 3; round++) {
        must(sh("ip link set s0 down"), "down");
        until_link(&echo, -ENETDOWN);
        must_be_quiet(&echo);
        must(sh("ip link set s0 up"), "up");
        until_link(&echo, 0);
        assert_int_equal(echo.link_events, 2 * round);
        must_echo(&echo, fd, 100);
    }
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

/* What is sent while the link is down is dropped and counted, and all buffers are home after. */
static void sending_while_down(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct weir_addr to;
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 100);
    enter(n.there);
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    must(getsockname(fd, (struct sockaddr *)&own, &len), "getsockname");
    must(sh("ip link set c0 address 02:00:00:00:77:77 && ip link set c0 down"), "the peer's end");
    enter(n.here);
    must(sh("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:77:77 dev s0 nud permanent"), "known");
    until_link(&echo, -ENETDOWN);
    to = weir_addr_ip4(10, 9, 0, 2, ntohs(own.sin_port));
    for (int i = 0; i < 100; i++) {
        struct weir_buf *buf;
        assert_int_equal(weir_buf_take(weir_engine_pool(echo.engine), &buf, 1), 1);
        buf->len = 100;
        buf->peer = to;
        assert_int_equal(weir_send(echo.engine, echo.ep, &buf, 1), 1);
        echo_turn(&echo, 0);
    }
    must_be_quiet(&echo);
    struct weir_counters c = counters_of(&echo);
    assert_int_equal(c.tx_device_errors, 100);
    enter(n.there);
    must(sh("ip link set c0 up"), "up");
    enter(n.here);
    until_link(&echo, 0);
    must_echo(&echo, fd, 100);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

static void gone_for_good(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    int rc = 0;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 100);
    must(sh("ip link del s0"), "del");
    for (int turn = 0; turn < TURNS && rc >= 0; turn++) {
        rc = weir_poll(echo.engine, weir_now_ns());
        if (rc == 0)
            weir_wait(echo.engine, 1000000);
    }
    assert_int_equal(rc, -ENODEV);
    assert_int_equal(echo.link_err, -ENODEV);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

/* A loop that sleeps does not sleep through it, does not spin, and says why it ended; so does all after. */
static void the_run_ends_when_it_is_gone(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    struct weir_buf *buf;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 100);
    must(sh("ip link del s0"), "del");
    uint64_t polls = counters_of(&echo).polls;
    assert_int_equal(weir_run(echo.engine), -ENODEV);
    assert_int_equal(echo.link_err, -ENODEV);
    assert_in_range(counters_of(&echo).polls - polls, 1, 20);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(weir_run(echo.engine), -ENODEV);
        assert_int_equal(weir_poll(echo.engine, weir_now_ns()), -ENODEV);
    }
    assert_int_equal(weir_buf_take(weir_engine_pool(echo.engine), &buf, 1), 1);
    buf->len = 100;
    buf->peer = weir_addr_ip4(10, 9, 0, 2, 9);
    assert_int_equal(weir_send(echo.engine, echo.ep, &buf, 1), 1); /* queued, and never sent */
    assert_int_equal(weir_poll(echo.engine, weir_now_ns()), -ENODEV);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

/* The peer's Ethernet address changes: the kernel learns it, and tells. */
static void the_peer_changes_its_address(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 100);
    enter(n.there);
    must(sh("ip link set c0 address 02:00:00:00:77:77"), "address");
    enter(n.here);
    must(sh("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:77:77 dev s0"), "neighbour");
    must_echo(&echo, fd, 200);
    must(sh("ip neigh del 10.9.0.2 dev s0"), "forgotten: asked for again");
    must_echo(&echo, fd, 300);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(down_and_up),
        cmocka_unit_test(sending_while_down),
        cmocka_unit_test(gone_for_good),
        cmocka_unit_test(the_run_ends_when_it_is_gone),
        cmocka_unit_test(the_peer_changes_its_address),
    };
    return run_group(tests);
}
