/* SPDX-License-Identifier: MIT
 * Impairments around an engine (weir_engine_opt.impair): over the simulator, where all is exact, and
 * over the sockets of loopback, where only what must hold at any speed is asked.
 *
 *     host 0 (impaired) ---- perfect wire ---- host 1 (echoes) */
#include "bed.h"

#define N 200u

struct pair {
    struct bed bed;
    struct host host[2];
};

static void pair_close(struct pair *p)
{
    host_close(&p->host[0]);
    host_close(&p->host[1]);
    bed_assert_balance(&p->bed);
    bed_close(&p->bed);
}

/* Whether they know each other, so that nothing that is to be counted waits for ARP. */
static bool meet(struct pair *p)
{
    struct weir_addr to = host_addr(1);
    for (unsigned i = 0; i < 10 && !p->host[0].got; i++) {
        assert_int_equal(host_send(&p->host[0], &to, 1, 64), 1);
        bed_run(&p->bed, S);
    }
    bool met = p->host[0].got > 0;
    p->host[0].got = p->host[1].got = 0;
    return met;
}

static bool try_open(struct pair *p, uint64_t seed, const struct weir_impair *impair)
{
    bed_open(&p->bed, seed, NULL);
    struct weir_engine_opt opt = host_opt(p->bed.port[0], 0);
    opt.impair = *impair;
    opt.impair.seed = seed;
    host_open_with(&p->host[0], &opt, 0);
    host_open(&p->host[1], p->bed.port[1], 1);
    p->host[1].echo = 1;
    if (meet(p))
        return true;
    pair_close(p);
    return false;
}

/* ARP has no checksum: where an address was damaged and believed, another seed is taken. */
static void pair_open(struct pair *p, uint64_t seed, const struct weir_impair *impair)
{
    for (unsigned i = 0; i < 50; i++)
        if (try_open(p, seed + 1000 * i, impair))
            return;
    fail_msg("fifty seeds, and they never met");
}

static void pair_echo(struct pair *p, unsigned n, size_t bytes)
{
    struct weir_addr to = host_addr(1);
    assert_int_equal(host_send(&p->host[0], &to, n, bytes), n);
    bed_run(&p->bed, 100 * MS);
}

static void frames_are_delayed_both_ways_exactly(uint64_t seed)
{
    struct weir_impair slow = {.delay_ns = 2 * MS};
    struct pair p;
    pair_open(&p, seed, &slow);
    uint64_t now_ns = weir_sim_now(p.bed.sim);
    pair_echo(&p, N, 64);
    assert_int_equal(p.host[1].last_ns, now_ns + 2 * MS);
    assert_int_equal(p.host[0].last_ns, now_ns + 4 * MS);
    assert_int_equal(p.host[0].got, N);
    assert_int_equal(p.host[0].wrong, 0);
    assert_int_equal(host_counters(&p.host[0]).fault_dropped, 0);
    pair_close(&p);
}

static void lost_frames_are_counted(uint64_t seed)
{
    struct weir_impair bad = {.loss = 0.2};
    struct pair p;
    pair_open(&p, seed, &bad);
    uint64_t lost = host_counters(&p.host[0]).fault_dropped;
    for (unsigned i = 0; i < 10; i++)
        pair_echo(&p, N, 64);
    lost = host_counters(&p.host[0]).fault_dropped - lost;
    assert_in_range(lost, 600, 840); /* 2,000 there and what is left of them back */
    assert_in_range(10 * N - p.host[0].got, lost - 5, lost); /* one or the other was ARP's */
    pair_close(&p);
}

static void duplicated_frames_are_twice_what_was_sent(uint64_t seed)
{
    struct weir_impair twice = {.duplicate = 1};
    struct pair p;
    pair_open(&p, seed, &twice);
    pair_echo(&p, N, 64);
    assert_int_equal(p.host[1].got, 2 * N);
    assert_int_equal(p.host[0].got, 4 * N);
    assert_int_equal(p.host[0].wrong + p.host[1].wrong, 0);
    pair_close(&p);
}

static void damaged_frames_are_never_told(uint64_t seed)
{
    struct weir_impair bad = {.corrupt = 0.5};
    struct pair p;
    pair_open(&p, seed, &bad);
    for (unsigned i = 0; i < 5; i++)
        pair_echo(&p, N, 300);
    assert_in_range(p.host[1].got, 350, 650);
    assert_in_range(p.host[0].got, 100, 400);
    assert_int_equal(p.host[0].wrong + p.host[1].wrong, 0);
    assert_true(host_counters(&p.host[1]).bad_checksum > 200);
    pair_close(&p);
}

static void a_damaged_shared_payload_stays_whole_for_the_others(uint64_t seed)
{
    struct weir_impair bad = {.corrupt = 0.5};
    struct weir_addr to[64];
    struct pair p;
    pair_open(&p, seed, &bad);
    for (unsigned i = 0; i < array_len(to); i++)
        to[i] = host_addr(1);
    struct weir_buf *buf = weir_buf_take_bytes(weir_engine_pool(p.host[0].engine), 1400);
    assert_non_null(buf);
    buf->len = 1400;
    for (unsigned k = 0; k < 1400; k++)
        buf->data[k] = (uint8_t)(k * 7 + 1400);
    assert_int_equal(weir_send_many(p.host[0].engine, p.host[0].ep, buf, to, array_len(to)), 64);
    bed_run(&p.bed, 10 * MS);
    assert_in_range(p.host[1].got, 10, 54);
    assert_int_equal(p.host[1].wrong, 0);
    weir_buf_drop(&buf, 1);
    pair_close(&p);
}

static void reordered_frames_all_come(uint64_t seed)
{
    struct weir_impair swap = {.reorder = 0.3};
    struct pair p;
    pair_open(&p, seed, &swap);
    for (unsigned i = 0; i < 5; i++)
        pair_echo(&p, N, 64);
    assert_int_equal(p.host[0].got, 5 * N);
    assert_int_equal(p.host[0].wrong, 0);
    assert_true(host_counters(&p.host[0]).fault_changed > 100);
    pair_close(&p);
}

/* What the impairments hold when the engine closes goes home. */
static void what_is_held_at_the_close_goes_home(uint64_t seed)
{
    struct weir_impair slow = {.delay_ns = S / 4};
    struct weir_addr to = host_addr(1);
    struct pair p;
    pair_open(&p, seed, &slow);
    assert_int_equal(host_send(&p.host[0], &to, N, 64), N);
    bed_run(&p.bed, MS);
    pair_close(&p);
}

static uint64_t trace_of(uint64_t seed)
{
    struct weir_impair bad = {.loss = 0.05,
                              .duplicate = 0.05,
                              .reorder = 0.05,
                              .corrupt = 0.05,
                              .delay_ns = MS,
                              .jitter_ns = MS / 4};
    struct pair p;
    pair_open(&p, seed, &bad);
    for (unsigned i = 0; i < 5; i++)
        pair_echo(&p, N, 64);
    uint64_t trace = weir_sim_trace(p.bed.sim);
    pair_close(&p);
    return trace;
}

static void the_same_seed_gives_the_same_run(uint64_t seed)
{
    assert_int_equal(trace_of(seed), trace_of(seed));
    assert_int_not_equal(trace_of(seed), trace_of(seed + 1));
}

/* ---- sockets -------------------------------------------------------------------------------- */

#define PATIENCE 20000u /* turns of a millisecond at most that a loaded machine may need */

struct sockets {
    struct host host[2];
    struct weir_addr at[2];
    unsigned turns;
};

static void socket_host(struct sockets *s, unsigned i, const char *backend,
                        const struct weir_impair *impair, uint64_t seed)
{
    struct weir_engine_opt opt = host_opt(NULL, i);
    opt.backend = backend;
    opt.pool.big = 256;
    opt.pool.views = 0;
    opt.frames = (struct weir_frames_opt){0};
    if (impair)
        opt.impair = *impair;
    opt.impair.seed = seed;
    host_open_with(&s->host[i], &opt, i);
    assert_int_equal(weir_ep_local(s->host[i].engine, s->host[i].ep, &s->at[i]), 0);
}

/* One turn of both, asleep where there is nothing to do. */
static int turn(struct sockets *s)
{
    int events = 0;
    for (unsigned i = 0; i < 2; i++) {
        int rc = weir_poll(s->host[i].engine, weir_now_ns());
        assert_true(rc >= 0);
        events += rc;
    }
    int slept = events ? 0 : weir_wait(s->host[0].engine, (int64_t)MS);
    assert_true(slept == 0 || slept == -EINTR); /* io_uring: work for the task ends a wait, too */
    return s->turns++ < PATIENCE;
}

static void on_sockets(const char *backend, const struct weir_impair *impair, uint64_t seed,
                       void (*run)(struct sockets *))
{
    static struct sockets s;
    memset(&s, 0, sizeof s);
    socket_host(&s, 0, backend, impair, seed);
    socket_host(&s, 1, backend, NULL, seed);
    s.host[1].echo = 1;
    run(&s);
    host_close(&s.host[0]);
    host_close(&s.host[1]);
}

static void on_all_sockets(const struct weir_impair *impair, uint64_t seed,
                           void (*run)(struct sockets *))
{
    struct weir_backend_info info;
    for (unsigned i = 0; weir_backend_info(i, &info) == 0; i++)
        if (!info.frames && info.available)
            on_sockets(info.name, impair, seed, run);
}

/* Of n sent one by one, each is there, back, or was dropped on purpose. */
static void account(struct sockets *s)
{
    struct weir_counters c = {0};
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(host_send(&s->host[0], &s->at[1], 1, 64), 1);
        for (unsigned done = 0; done < i + 1 && turn(s);) {
            c = host_counters(&s->host[0]);
            done = (unsigned)(s->host[0].got + c.fault_dropped);
        }
    }
    assert_int_equal(s->host[0].got + c.fault_dropped, N);
    assert_int_equal(c.rx_packets, s->host[0].got);
    assert_in_range(c.fault_dropped, 20, 120);
    assert_int_equal(s->host[0].wrong + s->host[1].wrong, 0);
}

static void datagrams_of_sockets_are_lost_and_counted(uint64_t seed)
{
    struct weir_impair bad = {.loss = 0.2};
    on_all_sockets(&bad, seed, account);
}

static void twice(struct sockets *s)
{
    assert_int_equal(host_send(&s->host[0], &s->at[1], 20, 64), 20);
    while (s->host[0].got < 80 && turn(s)) {}
    assert_int_equal(s->host[1].got, 40);
    assert_int_equal(s->host[0].got, 80);
    assert_int_equal(host_counters(&s->host[0]).rx_packets, 80);
    assert_int_equal(s->host[0].wrong + s->host[1].wrong, 0);
}

static void datagrams_of_sockets_are_doubled(uint64_t seed)
{
    struct weir_impair bad = {.duplicate = 1};
    on_all_sockets(&bad, seed, twice);
}

/* No sooner than the delays: how much later is the machine's affair. */
static void late(struct sockets *s)
{
    uint64_t before_ns = weir_now_ns();
    assert_int_equal(host_send(&s->host[0], &s->at[1], 20, 64), 20);
    while (s->host[0].got < 20 && turn(s)) {}
    assert_int_equal(s->host[0].got, 20);
    assert_true(weir_now_ns() - before_ns >= 4 * MS);
    assert_int_equal(host_counters(&s->host[0]).fault_changed, 40);
    assert_int_equal(s->host[0].wrong + s->host[1].wrong, 0);
}

static void datagrams_of_sockets_are_delayed(uint64_t seed)
{
    struct weir_impair slow = {.delay_ns = 2 * MS};
    on_all_sockets(&slow, seed, late);
}

static void damaged(struct sockets *s)
{
    assert_int_equal(host_send(&s->host[0], &s->at[1], 20, 64), 20);
    while (s->host[0].got < 20 && turn(s)) {}
    assert_int_equal(s->host[0].got, 20); /* the kernel sums what was damaged before */
    assert_int_equal(s->host[1].wrong, 20);
}

static void payloads_of_sockets_are_damaged(uint64_t seed)
{
    struct weir_impair bad = {.corrupt = 1};
    on_all_sockets(&bad, seed, damaged);
}

/* A closing endpoint lets its delayed datagrams go; one that is closed for good drops them. */
static void closed(struct sockets *s)
{
    assert_int_equal(host_send(&s->host[0], &s->at[1], 20, 64), 20);
    turn(s);
    assert_int_equal(weir_close(s->host[0].engine, s->host[0].ep), 0);
    while (s->host[1].got < 20 && turn(s)) {}
    assert_int_equal(s->host[1].got, 20);
}

static void a_closing_endpoint_waits_for_its_delayed_datagrams(uint64_t seed)
{
    struct weir_impair slow = {.delay_ns = 2 * MS};
    on_all_sockets(&slow, seed, closed);
}

static void dropped(struct sockets *s)
{
    assert_int_equal(host_send(&s->host[0], &s->at[1], 20, 64), 20);
    turn(s);
    assert_int_equal(weir_abort(s->host[0].engine, s->host[0].ep), 0);
    turn(s);
    assert_int_equal(host_counters(&s->host[0]).tx_dropped, 20);
}

static void an_aborted_endpoint_drops_its_delayed_datagrams(uint64_t seed)
{
    struct weir_impair slow = {.delay_ns = 1000 * S};
    on_all_sockets(&slow, seed, dropped);
}

int main(int argc, char **argv)
{
    static const struct sim_case cases[] = {
        CASE(frames_are_delayed_both_ways_exactly),
        CASE(lost_frames_are_counted),
        CASE(duplicated_frames_are_twice_what_was_sent),
        CASE(damaged_frames_are_never_told),
        CASE(a_damaged_shared_payload_stays_whole_for_the_others),
        CASE(reordered_frames_all_come),
        CASE(what_is_held_at_the_close_goes_home),
        CASE(the_same_seed_gives_the_same_run),
        CASE(datagrams_of_sockets_are_lost_and_counted),
        CASE(datagrams_of_sockets_are_doubled),
        CASE(datagrams_of_sockets_are_delayed),
        CASE(payloads_of_sockets_are_damaged),
        CASE(a_closing_endpoint_waits_for_its_delayed_datagrams),
        CASE(an_aborted_endpoint_drops_its_delayed_datagrams),
    };
    return bed_main(argc, argv, cases, array_len(cases));
}
