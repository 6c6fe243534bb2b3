/* SPDX-License-Identifier: MIT
 * A fleet at its edges: full lanes, ports that close while something is on its way to them, a device
 * that grants less. The bed is fleet_bed.h's. */
#include "fleet_bed.h"

#include <unistd.h>

#define LOCAL_PORT 7001u /* of worker 0 */

struct noted {
    unsigned n, wrong; /* datagrams, and those of them from an address that is not their flow's */
};

static void note(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct noted *noted = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++) {
        uint32_t flow;
        memcpy(&flow, events[i].buf->data, sizeof flow);
        struct weir_addr from = weir_addr_ip4(10, 0, 0, 1, (uint16_t)(20000 + flow));
        noted->wrong += memcmp(&events[i].buf->peer, &from, sizeof from) != 0;
        noted->n++;
    }
}

static void send_from(struct weir_engine *e, weir_ep ep, const struct weir_addr *to, unsigned n)
{
    while (n--) {
        struct weir_buf *buf = weir_buf_take_bytes(weir_engine_pool(e), 8);
        assert_non_null(buf);
        memset(buf->data, 0, 8);
        buf->len = 8;
        buf->peer = *to;
        assert_int_equal(weir_send(e, ep, &buf, 1), 1);
    }
}

/* What goes to the host's own ports takes places of the lane that were counted as room for frames. */
static void a_lane_that_fills_while_frames_are_made_drops_and_counts(void **state)
{
    struct weir_addr local = weir_addr_ip4(10, 0, 0, 2, LOCAL_PORT);
    struct weir_addr remote = weir_addr_ip4(10, 0, 0, 1, 20000);
    struct noted noted = {0};
    struct bed bed;
    weir_ep ep;
    (void)state;
    open_bed(&bed, 2);
    open_flows(&bed);
    open_port(&bed, 1, PORT);
    assert_int_equal(weir_udp_open(bed.worker[0], &local, note, &noted, &ep), 0);
    send_from(bed.worker[1], bed.at[1], &remote, 1); /* neighbours are known from here on */
    run(&bed, 20);
    for (unsigned k = 0; k < 10; k++) {
        send_from(bed.worker[1], bed.at[1], &remote, 100);
        weir_poll(bed.worker[1], weir_sim_now(bed.sim));
    }
    assert_int_equal(fleet_backlog(bed.fleet, 0), 1000);
    send_from(bed.worker[1], bed.at[1], &local, 10);
    send_from(bed.worker[1], bed.at[1], &remote, 40);
    weir_poll(bed.worker[1], weir_sim_now(bed.sim));
    assert_int_equal(fleet_backlog(bed.fleet, 0), LANE_SLOTS);
    run(&bed, 50);
    struct weir_counters c = counted(bed.worker[1]);
    assert_true(c.handed_full > 0);
    assert_int_equal(counted(bed.peer).rx_packets + noted.n + c.handed_full, 1 + 1000 + 10 + 40);
    assert_int_equal(noted.n, 10);
    assert_home(bed.worker[1]);
    assert_home(bed.worker[0]);
    close_bed(&bed);
}

/* A port closes at a guest that has frames of it: they go on to who has it still, and who sent them
 * is known there. */
static void what_is_passed_on_keeps_its_peer(void **state)
{
    (void)state;
    for (unsigned other = 0; other <= 2; other += 2) { /* the host, another guest */
        struct weir_addr at = weir_addr_ip4(10, 0, 0, 2, PORT);
        struct noted noted = {0};
        struct bed bed;
        weir_ep ep;
        open_bed(&bed, 3);
        open_flows(&bed);
        open_port(&bed, 1, PORT);
        assert_int_equal(weir_udp_open(bed.worker[other], &at, note, &noted, &ep), 0);
        for (unsigned i = 0; i < FLOWS; i++)
            say(&bed, i, 0, 64);
        assert_true(weir_sim_run(bed.sim, weir_sim_now(bed.sim) + 1000000) >= 0);
        assert_true(fleet_backlog(bed.fleet, 1) > 0);
        assert_int_equal(weir_close(bed.worker[1], bed.at[1]), 0);
        run(&bed, 10);
        assert_int_equal(noted.n, FLOWS);
        assert_int_equal(noted.wrong, 0);
        assert_int_equal(bed.told[1], 0);
        assert_true(counted(bed.worker[1]).foreign_copied > 0);
        for (unsigned k = 0; k < 3; k++)
            assert_home(bed.worker[k]);
        close_bed(&bed);
    }
}

static void a_datagram_whose_port_closed_meanwhile_is_counted(void **state)
{
    struct weir_addr at = weir_addr_ip4(10, 0, 0, 2, PORT);
    struct bed bed;
    (void)state;
    open_bed(&bed, 2);
    struct weir_buf *buf = weir_buf_take_bytes(weir_engine_pool(bed.worker[0]), 8);
    buf->len = 8;
    assert_false(fleet_elsewhere(bed.worker[0], &at, NULL));
    assert_true(fleet_elsewhere(bed.worker[0], &at, buf));
    assert_int_equal(counted(bed.worker[0]).no_port, 1);
    assert_home(bed.worker[0]);
    close_bed(&bed);
}

static void a_port_is_another_workers_at_its_address_only(void **state)
{
    struct weir_addr at = weir_addr_ip4(10, 0, 0, 2, PORT), near = weir_addr_ip4(10, 0, 0, 3, PORT);
    struct bed bed;
    (void)state;
    open_bed(&bed, 2);
    open_port(&bed, 1, PORT);
    assert_true(fleet_elsewhere(bed.worker[0], &at, NULL));
    assert_false(fleet_elsewhere(bed.worker[0], &near, NULL));
    assert_false(fleet_elsewhere(bed.worker[1], &at, NULL)); /* its own */
    close_bed(&bed);
}

static void a_poll_that_is_full_takes_nothing_in(void **state)
{
    struct bed bed;
    (void)state;
    open_bed(&bed, 2);
    open_port(&bed, 1, PORT);
    open_flows(&bed);
    for (unsigned i = 0; i < FLOWS; i++)
        say(&bed, i, 0, 64);
    assert_true(weir_sim_run(bed.sim, weir_sim_now(bed.sim) + 1000000) >= 0);
    struct backend *b = &bed.worker[1]->b;
    b->n_events = b->max_events + 1; /* as after some notices of the link */
    fleet_receive(bed.worker[1]);
    assert_int_equal(b->n_events, b->max_events + 1);
    assert_int_equal(fleet_backlog(bed.fleet, 1), FLOWS);
    run(&bed, 10);
    assert_int_equal(bed.told[1], FLOWS);
    close_bed(&bed);
}

static void failing_to_open_frees_no_port_that_another_chose(void **state)
{
    struct weir_addr chosen = weir_addr_ip4(10, 0, 0, 2, 0), foreign;
    struct bed bed;
    weir_ep ep;
    (void)state;
    open_bed(&bed, 2);
    assert_int_equal(fleet_choose(bed.worker[1], &chosen), 0);
    foreign = weir_addr_ip4(192, 0, 2, 1, chosen.port);
    assert_int_equal(weir_udp_open(bed.worker[0], &foreign, echo, NULL, &ep), -EADDRNOTAVAIL);
    assert_int_equal(atomic_load(&bed.fleet->ports[chosen.port]), PORT_RESERVED);
    fleet_unchoose(bed.worker[1], &chosen);
    assert_int_equal(atomic_load(&bed.fleet->ports[chosen.port]), 0);
    close_bed(&bed);
}

/* A host whose frames are all its guests' works for it. */
static void handing_over_is_work(void **state)
{
    struct bed bed;
    (void)state;
    open_bed(&bed, 2);
    open_port(&bed, 1, PORT);
    open_flows(&bed);
    talk(&bed);
    struct weir_counters before = counted(bed.worker[0]), after;
    say(&bed, 0, EACH, 64);
    assert_true(weir_sim_run(bed.sim, weir_sim_now(bed.sim) + 1000000) >= 0);
    after = counted(bed.worker[0]);
    assert_int_equal(after.handed_over, before.handed_over + 1);
    assert_int_equal(after.rx_packets, before.rx_packets);
    assert_true(after.polls_busy > before.polls_busy);
    assert_true(after.busy_cycles > before.busy_cycles);
    before = after;
    assert_true(weir_poll(bed.worker[0], weir_sim_now(bed.sim)) ==
                0); /* and nothing to do is none */
    assert_int_equal(counted(bed.worker[0]).polls_busy, before.polls_busy);
    close_bed(&bed);
}

static void find_mtu(const struct weir_why *why, void *arg)
{
    *(bool *)arg |= strcmp(why->where, "mtu") == 0 && strstr(why->what, "1500 instead of 9000");
}

/* The device's MTU is its host's: what is larger would be lost. */
static void a_device_that_grants_a_smaller_mtu_is_believed(void **state)
{
    struct weir_addr to = weir_addr_ip4(10, 0, 0, 1, 20000);
    struct bed bed = {.n = 2};
    struct weir_why why;
    bool told = false;
    (void)state;
    open_network(&bed, true);
    struct weir_engine_opt opt = sim_opt(bed.port[1], "10.0.0.2/24");
    opt.frames.mtu = 9000;
    opt.frames.queue = 1;
    opt.frames.queues = 2;
    bed.worker[1] = engine_open_in(&opt, bed.fleet, 1, &why);
    assert_non_null(bed.worker[1]);
    assert_int_equal(stack_udp_fit(bed.worker[1]->stack, &to), 1500 - 28);
    weir_engine_report(bed.worker[1], find_mtu, &told);
    assert_true(told);
    close_bed(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_that_fills_while_frames_are_made_drops_and_counts),
        cmocka_unit_test(what_is_passed_on_keeps_its_peer),
        cmocka_unit_test(a_datagram_whose_port_closed_meanwhile_is_counted),
        cmocka_unit_test(a_port_is_another_workers_at_its_address_only),
        cmocka_unit_test(a_poll_that_is_full_takes_nothing_in),
        cmocka_unit_test(failing_to_open_frees_no_port_that_another_chose),
        cmocka_unit_test(handing_over_is_work),
        cmocka_unit_test(a_device_that_grants_a_smaller_mtu_is_believed),
    };

    return run_group(tests);
}
