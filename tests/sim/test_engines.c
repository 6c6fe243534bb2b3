/* SPDX-License-Identifier: MIT
 * Engines over wires: our whole stack in virtual time, host 0 talking to host 1, which echoes.
 *
 *     host 0 -- ARP, UDP --> wire --> host 1 -- the same datagram --> wire --> host 0 */
#include "bed.h"

#define N 100u

/* Two hosts, of which the second echoes. */
struct pair {
    struct bed bed;
    struct host host[2];
};

static void pair_open_with(struct pair *p, const struct weir_sim_opt *opt,
                           const struct weir_impair *there, const struct weir_impair *back)
{
    bed_open_with(&p->bed, opt, there, back);
    host_open(&p->host[0], p->bed.port[0], 0);
    host_open(&p->host[1], p->bed.port[1], 1);
    p->host[1].echo = 1;
}

static void pair_open(struct pair *p, uint64_t seed, const struct weir_impair *impair)
{
    struct weir_sim_opt opt = {.seed = seed, .frames_max = 8192};
    pair_open_with(p, &opt, impair, impair);
}

static void pair_close(struct pair *p)
{
    host_close(&p->host[0]);
    host_close(&p->host[1]);
    bed_assert_balance(&p->bed);
    bed_close(&p->bed);
}

/* Host 0 sends `n`; both have time for it and the answers. */
static void pair_echo(struct pair *p, unsigned n, size_t bytes)
{
    struct weir_addr to = host_addr(1);
    assert_int_equal(host_send(&p->host[0], &to, n, bytes), n);
    bed_run(&p->bed, 100 * MS);
}

static void datagrams_are_echoed(uint64_t seed)
{
    struct pair p;
    pair_open(&p, seed, NULL);
    for (size_t bytes = 0; bytes <= 1472; bytes += 46)
        pair_echo(&p, N, bytes);
    assert_int_equal(p.host[1].got, 33 * N);
    assert_int_equal(p.host[0].got, 33 * N);
    assert_int_equal(p.host[0].wrong + p.host[1].wrong, 0);
    struct weir_counters c = host_counters(&p.host[1]);
    assert_int_equal(c.tx_packets, 33 * N);
    assert_int_equal(c.bad_checksum + c.drop_short + c.pool_empty + c.rx_ring_full, 0);
    pair_close(&p);
}

static void datagrams_are_echoed_over_ip6(uint64_t seed)
{
    struct weir_addr to = host_addr6(1);
    struct pair p;
    pair_open(&p, seed, NULL);
    assert_int_equal(host_send(&p.host[0], &to, N, 300), N);
    bed_run(&p.bed, 100 * MS);
    assert_int_equal(p.host[0].got, N);
    assert_int_equal(p.host[0].wrong, 0);
    pair_close(&p);
}

static void a_round_trip_takes_both_delays_exactly(uint64_t seed)
{
    struct weir_impair slow = {.delay_ns = 3 * MS};
    struct pair p;
    pair_open(&p, seed, &slow);
    pair_echo(&p, 1, 64); /* ARP */
    uint64_t now_ns = weir_sim_now(p.bed.sim);
    pair_echo(&p, 1, 64);
    assert_int_equal(p.host[1].last_ns, now_ns + 3 * MS);
    assert_int_equal(p.host[0].last_ns, now_ns + 6 * MS);
    pair_close(&p);
}

struct outcome {
    uint64_t trace;
    struct weir_sim_counts counts;
    unsigned got[2];
};

static struct outcome run_of(uint64_t seed)
{
    struct weir_impair bad = {.loss = 0.02,
                              .duplicate = 0.02,
                              .reorder = 0.02,
                              .corrupt = 0.02,
                              .delay_ns = MS,
                              .jitter_ns = MS / 4};
    struct outcome o = {0};
    struct pair p;
    pair_open(&p, seed, NULL);
    pair_echo(&p, 1, 64); /* ARP has no checksum: an address that was damaged would be believed */
    weir_sim_impair(p.bed.port[0], &bad);
    weir_sim_impair(p.bed.port[1], &bad);
    for (unsigned i = 0; i < 20; i++)
        pair_echo(&p, N, 64 + i);
    o.trace = weir_sim_trace(p.bed.sim);
    o.counts = bed_counts(&p.bed);
    o.got[0] = p.host[0].got;
    o.got[1] = p.host[1].got;
    assert_int_equal(p.host[0].wrong + p.host[1].wrong, 0);
    pair_close(&p);
    return o;
}

static void the_same_seed_gives_the_same_run(uint64_t seed)
{
    for (uint64_t i = seed; i < seed + 3; i++) {
        struct outcome a = run_of(i), b = run_of(i), other = run_of(i + 1);
        assert_memory_equal(&a, &b, sizeof a);
        assert_int_not_equal(a.trace, other.trace);
        assert_in_range(a.got[0], 1600, 2001); /* it did run, and lost some */
    }
}

/* Every corrupted packet is found by a checksum, or its bit was in no man's land. */
static void corruption_is_found(uint64_t seed)
{
    struct weir_impair bad = {.corrupt = 1};
    struct pair p;
    pair_open(&p, seed, NULL);
    pair_echo(&p, N, 200);
    weir_sim_impair(p.bed.port[0], &bad);
    pair_echo(&p, N, 200);
    struct weir_counters c = host_counters(&p.host[1]);
    assert_int_equal(p.host[1].got, N);
    assert_true(c.bad_checksum > N / 2);
    assert_int_equal(c.rx_frames - 2 * N - c.arp_in, 0);
    pair_close(&p);
}

static void loss_is_loss_of_that_many(uint64_t seed)
{
    struct weir_impair bad = {.loss = 0.25};
    struct pair p;
    pair_open(&p, seed, NULL);
    pair_echo(&p, N, 64);
    uint64_t lost = bed_counts(&p.bed).lost;
    weir_sim_impair(p.bed.port[0], &bad);
    for (unsigned i = 0; i < 10; i++)
        pair_echo(&p, N, 64);
    lost = bed_counts(&p.bed).lost - lost;
    assert_in_range(lost, 180, 320);
    assert_in_range(N + 10 * N - p.host[0].got, lost > 2 ? lost - 2 : 0,
                    lost); /* some of them ARP */
    pair_close(&p);
}

/* ---- buffers -------------------------------------------------------------------------------- */

static void an_empty_pool_is_counted_and_recovered_from(uint64_t seed)
{
    struct pair p;
    struct host *slow = &p.host[1];
    bed_open(&p.bed, seed, NULL);
    host_open(&p.host[0], p.bed.port[0], 0);
    struct weir_engine_opt opt = host_opt(p.bed.port[1], 1);
    opt.pool.small = 256;
    opt.pool.big = 1;
    host_open_with(slow, &opt, 1);
    pair_echo(&p, 1, 64);
    slow->keep = 1;
    for (unsigned i = 0; i < 5; i++)
        pair_echo(&p, 100, 64);
    struct weir_counters c = host_counters(slow);
    assert_in_range(slow->n_kept, 200, 256);
    assert_true(c.pool_empty > 0 && c.rx_ring_full > 0);
    assert_int_equal(bed_counts(&p.bed).overrun, c.rx_ring_full);
    weir_buf_drop(slow->kept, slow->n_kept);
    slow->n_kept = 0;
    slow->keep = 0;
    slow->echo = 1;
    unsigned before = slow->got;
    bed_run(&p.bed, 10 * MS);
    pair_echo(&p, 100, 64);
    assert_int_equal(slow->got - before, 100);
    pair_close(&p);
}

static void large_frames_come_in_large_buffers(uint64_t seed)
{
    struct pair p;
    bed_open(&p.bed, seed, NULL);
    for (unsigned i = 0; i < 2; i++) {
        struct weir_engine_opt opt = host_opt(p.bed.port[i], i);
        opt.frames.mtu = 9000;
        opt.pool.big = 256;
        host_open_with(&p.host[i], &opt, i);
    }
    p.host[1].echo = 1;
    pair_echo(&p, 20, 8972);
    pair_echo(&p, 20, 64);
    assert_int_equal(p.host[0].got, 40);
    assert_int_equal(p.host[0].wrong, 0);
    assert_int_equal(host_counters(&p.host[0]).fragments_out, 0);
    pair_close(&p);
}

/* A frame larger than the port takes is the device's error. */
static void a_frame_above_the_mtu_is_refused(uint64_t seed)
{
    struct bed bed;
    struct host host;
    uint8_t frame[2000] = {0};
    bed_open(&bed, seed, NULL);
    host_open(&host, bed.port[1], 1);
    assert_int_equal(weir_sim_send(bed.port[0], frame, 1515), 0);
    assert_int_equal(weir_sim_send(bed.port[0], frame, 1514), 0);
    bed_run(&bed, MS);
    assert_int_equal(host_counters(&host).rx_device_errors, 1);
    assert_int_equal(host_counters(&host).rx_frames, 1);
    host_close(&host);
    bed_assert_balance(&bed);
    bed_close(&bed);
}

/* One payload to many: above a size it leaves as header and body. */
static void a_shared_payload_is_gathered(uint64_t seed)
{
    struct weir_addr to[8];
    struct pair p;
    pair_open(&p, seed, NULL);
    pair_echo(&p, 1, 64);
    for (unsigned i = 0; i < array_len(to); i++)
        to[i] = host_addr(1);
    struct weir_buf *buf = weir_buf_take_bytes(weir_engine_pool(p.host[0].engine), 1400);
    assert_non_null(buf);
    buf->len = 1400;
    for (unsigned k = 0; k < 1400; k++)
        buf->data[k] = (uint8_t)(k * 7 + 1400);
    uint64_t copied = host_counters(&p.host[0]).copied_bytes;
    assert_int_equal(weir_send_many(p.host[0].engine, p.host[0].ep, buf, to, array_len(to)), 8);
    bed_run(&p.bed, 10 * MS);
    assert_int_equal(p.host[1].got, 9);
    assert_int_equal(p.host[1].wrong, 0);
    assert_int_equal(host_counters(&p.host[0]).copied_bytes, copied);
    weir_buf_drop(&buf, 1);
    pair_close(&p);
}

static void offloaded_checksums_are_right(uint64_t seed)
{
    struct weir_sim_opt opt = {.seed = seed, .offload = 1};
    struct weir_impair bad = {.corrupt = 1};
    struct pair p;
    pair_open_with(&p, &opt, NULL, NULL);
    pair_echo(&p, N, 333);
    assert_int_equal(p.host[0].got, N);
    assert_int_equal(p.host[0].wrong, 0);
    weir_sim_impair(p.bed.port[0], &bad);
    pair_echo(&p, N, 333); /* the port does not vouch for what the wire damaged */
    assert_int_equal(p.host[1].got, N);
    assert_true(host_counters(&p.host[1]).bad_checksum > N / 2);
    pair_close(&p);
    /* one end computes by itself, the other trusts its device */
    bed_open_with(&p.bed, &opt, NULL, NULL);
    struct weir_engine_opt own = host_opt(p.bed.port[0], 0);
    own.frames.no_offload = 1;
    host_open_with(&p.host[0], &own, 0);
    host_open(&p.host[1], p.bed.port[1], 1);
    p.host[1].echo = 1;
    pair_echo(&p, N, 77);
    assert_int_equal(p.host[0].got, N);
    pair_close(&p);
}

/* ---- the port ------------------------------------------------------------------------------- */

static void plugging_is_told_to_both(uint64_t seed)
{
    struct pair p;
    pair_open(&p, seed, NULL);
    pair_echo(&p, N, 64);
    weir_sim_plug(p.bed.port[0], 0);
    pair_echo(&p, N, 64);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(p.host[i].links, 1);
        assert_int_equal(p.host[i].link_err, -ENETDOWN);
        assert_int_equal(p.host[i].got, N);
    }
    weir_sim_plug(p.bed.port[1], 1);
    pair_echo(&p, N, 64);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(p.host[i].links, 2);
        assert_int_equal(p.host[i].link_err, 0);
        assert_int_equal(p.host[i].got, 2 * N);
    }
    pair_close(&p);
}

static void what_was_sent_before_the_close_arrives(uint64_t seed)
{
    struct weir_addr to = host_addr(1);
    struct weir_impair slow = {.delay_ns = MS};
    struct pair p;
    pair_open(&p, seed, &slow);
    pair_echo(&p, 1, 64);
    assert_int_equal(host_send(&p.host[0], &to, N, 64), N);
    assert_true(weir_poll(p.host[0].engine, weir_sim_now(p.bed.sim)) >= 0);
    host_close(&p.host[0]);
    bed_run(&p.bed, 2 * MS);
    assert_int_equal(p.host[1].got, 1 + N);
    host_open(&p.host[0], p.bed.port[0], 0); /* the port is free again */
    pair_echo(&p, N, 64);
    assert_int_equal(p.host[0].got, N);
    pair_close(&p);
}

/* More than the device's ring holds: the rest leaves while it closes, long before it gives up. */
static void closing_sends_all_that_was_queued(uint64_t seed)
{
    struct weir_addr to = host_addr(1);
    for (uint8_t spin = 0; spin < 2; spin++) {
        struct weir_counters c;
        struct pair p;
        bed_open(&p.bed, seed, NULL);
        for (unsigned i = 0; i < 2; i++) {
            struct weir_engine_opt opt = host_opt(p.bed.port[i], i);
            opt.spin = spin;
            opt.pool.small = 8000;
            host_open_with(&p.host[i], &opt, i);
        }
        pair_echo(&p, 1, 64); /* ARP */
        assert_int_equal(host_send(&p.host[0], &to, 2000, 64), 2000);
        assert_int_equal(weir_close(p.host[0].engine, p.host[0].ep), 0);
        bed_run(&p.bed, 100 * MS);
        c = host_counters(&p.host[0]);
        assert_true(c.tx_again > 0);
        assert_int_equal(c.tx_packets, 2001);
        assert_int_equal(c.tx_dropped + c.linger_expired, 0);
        assert_int_equal(p.host[1].got + host_counters(&p.host[1]).rx_ring_full, 2001);
        pair_close(&p);
    }
}

static void a_port_that_cannot_be_used_says_why(uint64_t seed)
{
    struct bed bed;
    struct host host;
    struct weir_why why = {0};
    bed_open(&bed, seed, NULL);
    struct weir_engine_opt opt = host_opt(NULL, 0);
    assert_null(weir_engine_open(&opt, &why));
    assert_non_null(strstr(why.fix, "weir_sim_open"));
    host_open(&host, bed.port[0], 0);
    opt = host_opt(bed.port[0], 0);
    assert_null(weir_engine_open(&opt, &why));
    assert_int_equal(why.code, -EBUSY);
    opt = host_opt(bed.port[1], 0);
    opt.frames.mtu = 9001;
    assert_null(weir_engine_open(&opt, &why));
    assert_int_equal(why.code, -EINVAL);
    assert_int_equal(weir_sim_close(bed.sim), -EBUSY);
    assert_int_equal(weir_sim_send(bed.port[0], "fourteen bytes", 14), -EBUSY);
    assert_int_equal(weir_sim_receive(bed.port[0], &why, sizeof why), -EBUSY);
    host_close(&host);
    bed_close(&bed);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void time_is_the_network_s(uint64_t seed)
{
    struct pair p;
    pair_open(&p, seed, NULL);
    uint64_t now_ns = weir_sim_now(p.bed.sim);
    assert_true(weir_timer(p.host[0].engine, now_ns + 3600 * S + 5, 1) > 0);
    bed_run(&p.bed, 3600 * S);
    assert_int_equal(p.host[0].timers, 0);
    bed_run(&p.bed, S);
    assert_int_equal(p.host[0].timers, 1);
    assert_int_equal(p.host[0].timer_ns, now_ns + 3600 * S + 5);
    assert_int_equal(weir_run(p.host[0].engine), -EOPNOTSUPP);
    assert_int_equal(weir_wait(p.host[0].engine, -1), 0); /* at once, or the test never ends */
    pair_close(&p);
}

/* Two that echo each other over a perfect wire never come to rest; time passes all the same. */
static void an_endless_exchange_does_not_stop_the_clock(uint64_t seed)
{
    struct pair p;
    pair_open(&p, seed, NULL);
    p.host[0].echo = 1;
    struct weir_addr to = host_addr(1);
    assert_int_equal(host_send(&p.host[0], &to, 1, 64), 1);
    bed_run(&p.bed, 100 * US);
    assert_true(p.host[0].got > 100 * 30);
    pair_close(&p);
}

/* ---- many ----------------------------------------------------------------------------------- */

#define PAIRS 50u

/* While an answer to ARP may be lost, what waits for it would fill a small pool. */
static void meet(struct weir_sim *sim, struct host *host, unsigned other)
{
    struct weir_addr to = host_addr(other);
    assert_int_equal(host_send(host, &to, 1, 64), 1);
    assert_true(weir_sim_run(sim, weir_sim_now(sim) + MS) > 0);
    assert_int_equal(host->got, 1);
}

static uint64_t many(uint64_t seed)
{
    struct weir_sim_opt opt = {.seed = seed, .ports_max = 2 * PAIRS};
    static struct host host[2 * PAIRS];
    struct weir_impair bad = {.loss = 0.01, .delay_ns = MS, .jitter_ns = MS / 2};
    struct weir_sim *sim = weir_sim_open(&opt, NULL);
    assert_non_null(sim);
    for (unsigned i = 0; i < 2 * PAIRS; i += 2) {
        struct weir_sim_port *port[2];
        assert_int_equal(weir_sim_wire(sim, NULL, NULL, port), 0);
        for (unsigned k = 0; k < 2; k++) {
            struct weir_engine_opt small = host_opt(port[k], i + k);
            small.pool.small = 128;
            small.pool.big = 1;
            small.pool.views = small.pool.run = 1;
            small.tx_max = 64;
            host_open_with(&host[i + k], &small, i + k);
        }
        host[i + 1].echo = 1;
        meet(sim, &host[i], i + 1);
        weir_sim_impair(port[0], &bad);
        weir_sim_impair(port[1], &bad);
    }
    for (unsigned turn = 0; turn < 20; turn++) {
        for (unsigned i = 0; i < 2 * PAIRS; i += 2) {
            struct weir_addr to = host_addr(i + 1);
            assert_int_equal(host_send(&host[i], &to, 10, 64), 10);
        }
        assert_true(weir_sim_run(sim, weir_sim_now(sim) + 10 * MS) > 0);
    }
    uint64_t trace = weir_sim_trace(sim);
    for (unsigned i = 0; i < 2 * PAIRS; i++) {
        assert_in_range(host[i].got, 150, 201);
        assert_int_equal(host[i].wrong, 0);
        host_close(&host[i]);
    }
    assert_int_equal(weir_sim_close(sim), 0);
    return trace;
}

static void a_hundred_engines_run_the_same_each_time(uint64_t seed)
{
    assert_int_equal(many(seed), many(seed));
}

int main(int argc, char **argv)
{
    static const struct sim_case cases[] = {
        CASE(datagrams_are_echoed),
        CASE(datagrams_are_echoed_over_ip6),
        CASE(a_round_trip_takes_both_delays_exactly),
        CASE(the_same_seed_gives_the_same_run),
        CASE(corruption_is_found),
        CASE(loss_is_loss_of_that_many),
        CASE(an_empty_pool_is_counted_and_recovered_from),
        CASE(large_frames_come_in_large_buffers),
        CASE(a_frame_above_the_mtu_is_refused),
        CASE(a_shared_payload_is_gathered),
        CASE(offloaded_checksums_are_right),
        CASE(plugging_is_told_to_both),
        CASE(what_was_sent_before_the_close_arrives),
        CASE(closing_sends_all_that_was_queued),
        CASE(a_port_that_cannot_be_used_says_why),
        CASE(time_is_the_network_s),
        CASE(an_endless_exchange_does_not_stop_the_clock),
        CASE(a_hundred_engines_run_the_same_each_time),
    };
    return bed_main(argc, argv, cases, array_len(cases));
}
