/* SPDX-License-Identifier: MIT
 * What a command tells of its workers: what a device counts by itself, over wires in memory, and an
 * engine without one. */
#include "test.h"

#include "watch.h"

#include <weir/sim.h>

static struct weir_engine *open_host(struct weir_sim_port *port, uint8_t host)
{
    struct weir_engine_opt opt = {.backend = "sim", .frames.sim = port, .frames.addresses = 1};
    struct weir_addr addr = weir_addr_ip4(10, 99, 0, host, 0);
    memcpy(opt.frames.address[0].ip, addr.ip, sizeof addr.ip);
    opt.frames.address[0].prefix = 96 + 24;
    struct weir_engine *engine = weir_engine_open(&opt, NULL);
    assert_non_null(engine);
    return engine;
}

static void ignore(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    (void)engine;
    (void)events;
    (void)n;
    (void)app;
}

static void send_one(struct weir_engine *engine, struct weir_sim *sim)
{
    struct weir_addr from = weir_addr_ip4(10, 99, 0, 1, 7001);
    struct weir_buf *buf;
    weir_ep ep;
    assert_int_equal(weir_udp_open(engine, &from, ignore, NULL, &ep), 0);
    assert_int_equal(weir_buf_take(weir_engine_pool(engine), &buf, 1), 1);
    buf->len = 1;
    buf->peer = weir_addr_ip4(10, 99, 0, 2, 7000);
    assert_int_equal(weir_send(engine, ep, &buf, 1), 1);
    assert_true(weir_sim_run(sim, weir_sim_now(sim) + 1000000) > 0);
}

static void count_line(const char *name, uint64_t value, void *arg)
{
    uint64_t *delivered = arg;
    assert_true(strlen(name) > 0);
    if (strcmp(name, "sim delivered") == 0)
        *delivered = value;
}

static void what_a_device_counts(void **state)
{
    struct weir_sim *sim = weir_sim_open(&(struct weir_sim_opt){.seed = 1}, NULL);
    struct weir_sim_port *port[2];
    struct weir_sim_counts counts;
    struct watch *watch = watch_open("test");
    char text[WATCH_STATS_BYTES] = "", expected[64];
    uint64_t delivered = 0;
    (void)state;
    assert_non_null(sim);
    assert_non_null(watch);
    assert_int_equal(weir_sim_wire(sim, NULL, NULL, port), 0);
    struct weir_engine *one = open_host(port[0], 1), *other = open_host(port[1], 2);
    watch_engine(watch, 3, one);
    watch_device_text(watch, 3, text, sizeof text);
    assert_string_equal(text, ""); /* nobody has asked it yet */
    send_one(one, sim);
    weir_sim_counts(sim, &counts);
    weir_engine_device_stats(one, count_line, &delivered);
    assert_true(counts.delivered > 0 && delivered == counts.delivered);
    watch_events(one, &(struct weir_event){.kind = WEIR_WAKE}, 1, watch);
    watch_device_text(watch, 3, text, sizeof text);
    snprintf(expected, sizeof expected, "sim delivered %llu", (unsigned long long)counts.delivered);
    assert_non_null(strstr(text, expected));
    assert_null(strstr(text, "sim lost")); /* 0 */
    weir_engine_close(one);
    weir_engine_close(other);
    weir_sim_close(sim);
    watch_close(watch);
}

static void none_line(const char *name, uint64_t value, void *arg)
{
    (void)name;
    (void)value;
    ++*(unsigned *)arg;
}

static void sockets_count_nothing(void **state)
{
    struct weir_engine *engine =
        weir_engine_open(&(struct weir_engine_opt){.backend = "epoll"}, NULL);
    unsigned lines = 0;
    (void)state;
    assert_non_null(engine);
    weir_engine_device_stats(engine, none_line, &lines);
    assert_int_equal(lines, 0);
    weir_engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_device_counts),
        cmocka_unit_test(sockets_count_nothing),
    };
    return run_group(tests);
}
