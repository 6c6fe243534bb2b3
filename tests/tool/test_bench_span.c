/* SPDX-License-Identifier: MIT
 * What the readings around a load run mean: rates, costs, where the missing packets went, doubts.
 * */
#include "test.h"

#include "bench/span.h"

#include <math.h>

#define HZ UINT64_C(2000000000)

enum { TX, IMPAIR, NIC, SOFTNET, SOCKET, RING, POOL, STACK, APP, UNEXPLAINED };

static const struct cell flood = {.backend = "epoll",
                                  .load = WEIR_LOAD_FLOOD,
                                  .bytes = 64,
                                  .workers = 1};
static const struct cell stream = {.backend = "epoll",
                                   .load = WEIR_LOAD_STREAM,
                                   .bytes = 64,
                                   .workers = 1};
static const struct cell tcp = {.backend = "epoll",
                                .load = WEIR_LOAD_TCP,
                                .bytes = 64,
                                .workers = 1};

static const struct cell frames = {.backend = "xdp",
                                   .load = WEIR_LOAD_FLOOD,
                                   .bytes = 64,
                                   .workers = 1,
                                   .net = NET_LAB,
                                   .frames = true};

/* One second at 1,000 packets, all received, the worker busy for a quarter of the time. */
static struct span quiet(void)
{
    struct span s = {.net_known = true, .marks = 7};
    s.load.start_ns = 1000000000;
    s.load.end_ns = 2000000000;
    s.load.window.tried = s.load.window.sent = s.load.window.received = 1000;
    s.load.all.tried = s.load.all.sent = s.load.all.received = 1100;
    s.start =
        (struct server_mark){.ns = 1000000000, .cycles = HZ, .packets = 100, .cpu_ns = 1000000000};
    s.end = (struct server_mark){.ns = 2000000000,
                                 .cycles = 2 * HZ,
                                 .packets = 1100,
                                 .cpu_ns = 2000000000};
    s.end.engine.busy_cycles = HZ / 4;
    s.end.engine.syscalls = 500;
    s.end.engine.copies = 2000;
    s.end.engine.copied_bytes = 128000;
    s.after = s.end;
    return s;
}

static void rates_and_costs(void **state)
{
    struct span s = quiet();
    double f[FIGURES_COUNT];
    (void)state;
    span_figures(&s, &flood, HZ, f);
    assert_true(f[FIG_offered_pps] == 1000 && f[FIG_pps] == 1000);
    assert_true(fabs(f[FIG_gbps] - 1000 * 64 * 8 / 1e9) < 1e-12);
    assert_true(f[FIG_busy] == 0.25 && f[FIG_cycles] == 500000 && f[FIG_cpu_ns] == 250000);
    assert_true(f[FIG_syscalls] == 0.5 && f[FIG_copies] == 2 && f[FIG_copied_bytes] == 128);
    assert_true(f[FIG_sent] == 1100 && f[FIG_received] == 1100 && f[FIG_errors] == 0);
    assert_true(isnan(f[FIG_host_cpu_ns]) && isnan(f[FIG_latency_p50]));
}

/* A packet reads as a request: the server's own count of datagrams is 0 there. */
static void streams_are_counted_by_the_client(void **state)
{
    struct span s = quiet();
    double f[FIGURES_COUNT];
    (void)state;
    s.end.packets = s.after.packets = s.start.packets = 0;
    span_figures(&s, &tcp, HZ, f);
    assert_true(f[FIG_pps] == 1000 && f[FIG_cycles] == 500000 && f[FIG_received] == 1100);
}

/* What happened, and the layer that must be named for it. */
struct loss_case {
    const char *name;
    const struct cell *cell;
    int layer;
    void (*happen)(struct span *s);
    double lost, blamed;
};

static void full_queue(struct span *s)
{
    s->load.all.tx_full = 30;
}
static void nic(struct span *s)
{
    s->net.nic_rx_dropped = 10;
    s->net.nic_tx_dropped = 20;
}
static void backlog(struct span *s)
{
    s->net.softnet_dropped = 30;
}
static void our_socket(struct span *s)
{
    s->after.socket_drops = 30;
}
static void their_socket(struct span *s)
{
    s->net.udp_rcvbuf = 30;
}
static void merged(struct span *s)
{
    s->after.socket_drops = 1;
}
static void overflow(struct span *s)
{
    s->after.engine.overflows = 30;
}
static void truncated(struct span *s)
{
    s->after.engine.rx_truncated = 30;
}
static void checksum(struct span *s)
{
    s->net.udp_checksum = 30;
}
static void refused(struct span *s)
{
    s->after.refused = 30;
}
static void nothing(struct span *s)
{
    (void)s;
}
static void on_purpose(struct span *s)
{
    s->after.engine.fault_dropped = 30;
}
static void full_ring(struct span *s)
{
    s->after.engine.rx_ring_full = 30;
    s->net.nic_rx_dropped = 30; /* a veth counts them again */
}
static void empty_pool(struct span *s)
{
    s->after.engine.rx_ring_full = 30;
    s->after.engine.pool_empty = 1; /* of several frames that the device had no buffer for */
}
static void full_tx_ring(struct span *s)
{
    s->after.engine.tx_ring_full = 30;
}
static void our_checksum(struct span *s)
{
    s->after.engine.bad_checksum = 10;
    s->after.engine.partial_checksum = 20;
}
static void no_neighbour(struct span *s)
{
    s->after.engine.park_full = 20;
    s->after.engine.neighbour_failed = 10;
}
static void kernel_port(struct span *s)
{
    s->net.udp_no_port = 30; /* the kernel's own copy of a frame: not ours */
}
static void more_drops_than_loss(struct span *s)
{
    s->after.socket_drops = 500;
}

static const struct cell corrupting = {.backend = "epoll",
                                       .load = WEIR_LOAD_FLOOD,
                                       .bytes = 64,
                                       .workers = 1,
                                       .choice.impair.corrupt = 0.01};

static void corrupted(struct span *s)
{
    s->after.engine.fault_dropped = 10;
    s->after.engine.fault_changed = 100;
}

static const struct loss_case loss_cases[] = {
    {"transmit queue", &flood, TX, full_queue, 30, 30},
    {"interface", &flood, NIC, nic, 30, 30},
    {"softnet backlog", &flood, SOFTNET, backlog, 30, 30},
    {"our socket", &flood, SOCKET, our_socket, 30, 30},
    {"the generator's socket", &flood, SOCKET, their_socket, 30, 30},
    {"a merged receive is one drop", &stream, SOCKET, merged, 30, 30},
    {"a single one is not", &flood, SOCKET, merged, 30, 1},
    {"a completion ring that overflowed has lost nothing", &flood, UNEXPLAINED, overflow, 30, 30},
    {"slot too small", &flood, POOL, truncated, 30, 30},
    {"bad checksum", &flood, STACK, checksum, 30, 30},
    {"not sent back", &flood, APP, refused, 30, 30},
    {"lost on purpose", &flood, IMPAIR, on_purpose, 30, 30},
    {"corrupted on purpose, and dropped by the peer", &corrupting, IMPAIR, corrupted, 30, 30},
    {"changed, but not corrupted", &flood, IMPAIR, corrupted, 30, 10},
    {"frames lost on purpose", &frames, IMPAIR, on_purpose, 30, 30},
    {"AF_XDP ring, counted twice", &frames, RING, full_ring, 30, 30},
    {"a pool that is empty", &frames, POOL, empty_pool, 30, 30},
    {"transmit ring", &frames, RING, full_tx_ring, 30, 30},
    {"our own checksums", &frames, STACK, our_checksum, 30, 30},
    {"no neighbour", &frames, STACK, no_neighbour, 30, 30},
    {"the kernel's protocols have no part in frames", &frames, UNEXPLAINED, kernel_port, 30, 30},
    {"frames know no socket buffer", &frames, UNEXPLAINED, their_socket, 30, 30},
    {"a frame's interface", &frames, NIC, nic, 30, 30},
    {"nobody", &flood, UNEXPLAINED, nothing, 30, 30},
    {"no more than what is missing", &flood, SOCKET, more_drops_than_loss, 30, 30},
    {"nothing is missing", &flood, SOCKET, our_socket, 0, 0},
};

static void loss_is_told_by_layer(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof loss_cases / sizeof loss_cases[0]; i++) {
        const struct loss_case *c = &loss_cases[i];
        struct span s = quiet();
        double loss[LOSS_COUNT], sum = 0;
        s.after.packets -= (uint64_t)c->lost;
        c->happen(&s);
        span_loss(&s, c->cell, loss);
        for (unsigned k = 0; k < LOSS_COUNT; k++)
            sum += loss[k];
        if (loss[c->layer] != c->blamed || sum != c->lost)
            fail_msg("%s: %.0f of %.0f blamed, %.0f in all", c->name, loss[c->layer], c->blamed,
                     sum);
    }
}

static void what_cannot_be_read_is_unknown(void **state)
{
    struct span s = quiet();
    double loss[LOSS_COUNT];
    (void)state;
    s.net_known = false;
    span_loss(&s, &flood, loss);
    assert_true(isnan(loss[NIC]) && isnan(loss[SOFTNET]) && isnan(loss[STACK]));
    span_loss(&s, &frames, loss);
    assert_true(isnan(loss[NIC]) && isnan(loss[SOFTNET]) && !isnan(loss[STACK]));
    span_loss(&s, &tcp, loss);
    assert_true(isnan(loss[RING]) && loss[UNEXPLAINED] == 0);
}

/* ---- doubts
 * ---------------------------------------------------------------------------------------- */

static void too_late(struct span *s)
{
    s->load.invalid.code = -1;
    strcpy(s->load.invalid.what, "behind its plan");
}
static void no_window(struct span *s)
{
    s->marks = 0;
}
static void nothing_came(struct span *s)
{
    s->end.packets = s->start.packets;
}
static void shared_core(struct span *s)
{
    s->end.cpu_ns = s->start.cpu_ns + 400000000;
}
static void unexplained(struct span *s)
{
    s->after.packets -= 2;
}
static void a_little_unexplained(struct span *s)
{
    s->after.packets -= 1;
}
static void too_many(struct span *s)
{
    s->after.packets += 2;
}

static const struct {
    void (*happen)(struct span *s);
    const char *reason; /* a part of it, NULL = no doubt */
} doubt_cases[] = {
    {nothing, NULL},
    {too_late, "behind its plan"},
    {no_window, "never opened"},
    {nothing_came, "nothing arrived"},
    {shared_core, "40 %"},
    {unexplained, "nothing explains it"},
    {a_little_unexplained, NULL},
    {too_many, "more received than sent"},
};

static void doubts_are_told(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof doubt_cases / sizeof doubt_cases[0]; i++) {
        struct span s = quiet();
        double f[FIGURES_COUNT];
        char reason[REASON_BYTES] = "";
        doubt_cases[i].happen(&s);
        span_figures(&s, &flood, HZ, f);
        bool doubt = span_doubt(&s, &flood, f, reason);
        assert_int_equal(doubt, doubt_cases[i].reason != NULL);
        if (doubt)
            assert_non_null(strstr(reason, doubt_cases[i].reason));
    }
}

/* A doubled datagram is more received than sent: on purpose that is no doubt. */
static void impaired_runs_may_receive_more(void **state)
{
    struct cell doubled = flood;
    struct span s = quiet();
    double f[FIGURES_COUNT];
    char reason[REASON_BYTES] = "";
    (void)state;
    too_many(&s);
    span_figures(&s, &doubled, HZ, f);
    assert_true(span_doubt(&s, &doubled, f, reason));
    doubled.choice.impair.duplicate = 0.1;
    assert_false(span_doubt(&s, &doubled, f, reason));
}

static void percentiles_of_few_samples_are_unknown(void **state)
{
    struct weir_histogram *h = weir_histogram_open(1000000);
    double f[LATENCY_COUNT];
    (void)state;
    latency_figures(h, f);
    assert_true(isnan(f[0]) && isnan(f[2]) && f[7] == 0);
    weir_histogram_record(h, 500, 9999);
    latency_figures(h, f);
    assert_true(f[0] == 500 && f[2] == 500 && f[4] == 500 && isnan(f[5]) && f[6] == 500 &&
                f[7] == 9999);
    weir_histogram_record(h, 500, 1);
    latency_figures(h, f);
    assert_true(f[5] == 500);
    weir_histogram_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_and_costs),
        cmocka_unit_test(streams_are_counted_by_the_client),
        cmocka_unit_test(loss_is_told_by_layer),
        cmocka_unit_test(what_cannot_be_read_is_unknown),
        cmocka_unit_test(doubts_are_told),
        cmocka_unit_test(impaired_runs_may_receive_more),
        cmocka_unit_test(percentiles_of_few_samples_are_unknown),
    };
    return run_group(tests);
}
