/* SPDX-License-Identifier: MIT
 * Options of devices, captures and impaired links: values, and which backend each goes with. */
#include "test.h"

#include "bench/bench.h"
#include "frames.h"

#include <errno.h>
#include <string.h>

struct all {
    struct option_nets nets;
    struct weir_impair impair;
};

static const struct option_row nets_row = OPT_NETS(struct all, nets, 0, "address", NULL, "ours");
static const struct option_row impair_row =
    OPT_IMPAIR(struct all, impair, 0, "impair", NULL, "the link");

static void networks(void **state)
{
    static const struct {
        const char *text;
        int result;
        unsigned count, last_prefix;
    } cases[] = {
        {"10.0.0.2/24", 0, 1, 120},
        {"10.0.0.2", 0, 1, 128},
        {"10.0.0.2/24,fd00::2/64", 0, 2, 64},
        {"", -EINVAL, 0, 0},
        {"10.0.0.2/24,", -EINVAL, 0, 0},
        {"10.0.0.2/33", -EINVAL, 0, 0},
        {"10.0.0/24", -EINVAL, 0, 0},
        {"::1/8,::1/8,::1/8,::1/8,::1/8,::1/8,::1/8,::1/8", 0, 8, 8},
        {"::1/8,::1/8,::1/8,::1/8,::1/8,::1/8,::1/8,::1/8,::1/8", -ERANGE, 0, 0},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct all all = {0};
        assert_int_equal(option_set(&nets_row, cases[i].text, &all), cases[i].result);
        assert_int_equal(all.nets.count, cases[i].count);
        if (cases[i].count)
            assert_int_equal(all.nets.net[cases[i].count - 1].prefix, cases[i].last_prefix);
    }
}

static void impairments(void **state)
{
    struct all all = {0};
    (void)state;
    assert_int_equal(option_set(&impair_row, "loss=1%,delay=5ms,seed=7", &all), 0);
    assert_true(all.impair.loss == 0.01 && all.impair.delay_ns == 5000000 && all.impair.seed == 7);
    assert_int_equal(option_set(&impair_row, "loss=1%,hail=3", &all), -EINVAL);
    assert_int_equal(all.impair.seed, 7);
}

#define SOCKETS                                                                                    \
    {                                                                                              \
        .name = "epoll", .streams = 1                                                              \
    }
#define XDP                                                                                        \
    {                                                                                              \
        .name = "xdp", .frames = 1                                                                 \
    }
#define DPDK                                                                                       \
    {                                                                                              \
        .name = "dpdk", .frames = 1                                                                \
    }

static void options_and_their_backends(void **state)
{
    static const struct {
        struct weir_backend_info info;
        struct frames_choice choice;
        const char *refusal; /* a part of it; NULL: they go together */
    } cases[] = {
        {SOCKETS, {.queue = 0}, NULL},
        {SOCKETS, {.pcap = "file"}, NULL},
        {SOCKETS, {.impair = {.loss = 0.1}}, NULL},
        {SOCKETS, {.iface = "eth1"}, "--iface is for backends that speak frames"},
        {SOCKETS, {.queue = 2}, "--queue"},
        {SOCKETS, {.address = {.count = 1}}, "--address"},
        {SOCKETS, {.vdev = "net_null0"}, "--vdev is for dpdk, not for epoll"},
        {XDP, {.queue = 0}, "--iface"},
        {XDP, {.iface = "eth1"}, NULL},
        {XDP, {.iface = "eth1", .vdev = "net_null0"}, "--vdev is for dpdk, not for xdp"},
        {DPDK, {.address = {.count = 1}}, "--vdev"},
        {DPDK, {.vdev = "net_null0"}, "--address"},
        {DPDK, {.vdev = "net_null0", .address = {.count = 1}}, NULL},
        {{.name = "sim", .frames = 1}, {.queue = 0}, "weir bench -b sim"},
    };
    char text[FRAMES_REFUSAL_BYTES];
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool refused = frames_refused(&cases[i].choice, &cases[i].info, text);
        assert_int_equal(refused, cases[i].refusal != NULL);
        if (refused && !strstr(text, cases[i].refusal))
            fail_msg("%u: %s", i, text);
    }
}

static void the_engine_gets_what_was_chosen(void **state)
{
    const struct frames_choice choice = {.iface = "eth1",
                                         .pcap = "file",
                                         .queue = 3,
                                         .impair = {.loss = 0.5},
                                         .address = {.count = 1, .net[0].prefix = 120}};
    struct weir_engine_opt opt = {0}, sockets = {0};
    (void)state;
    frames_engine(&choice, true, &opt);
    assert_string_equal(opt.frames.device, "eth1");
    assert_true(opt.frames.queue == 3 && opt.frames.addresses == 1);
    assert_true(opt.frames.address[0].prefix == 120 && opt.impair.loss == 0.5);
    frames_engine(&choice, false, &sockets);
    assert_true(sockets.pcap && sockets.impair.loss == 0.5 && !sockets.frames.device);
}

static void only_a_plain_path_is_compared(void **state)
{
    struct cell cell = {.backend = "epoll", .net = NET_LAB};
    (void)state;
    assert_false(cell_alone(&cell));
    cell.choice.pcap = "file";
    assert_true(cell_alone(&cell));
    cell.choice = (struct frames_choice){.impair.loss = 0.1};
    assert_true(cell_alone(&cell));
    cell = (struct cell){.backend = "sim", .net = NET_MEMORY};
    assert_true(cell_alone(&cell));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks),
        cmocka_unit_test(impairments),
        cmocka_unit_test(options_and_their_backends),
        cmocka_unit_test(the_engine_gets_what_was_chosen),
        cmocka_unit_test(only_a_plain_path_is_compared),
    };
    return run_group(tests);
}
