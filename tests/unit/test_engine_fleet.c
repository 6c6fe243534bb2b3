/* SPDX-License-Identifier: MIT
 * Several workers of one device: the flow hash, the buckets, and a fleet over the simulator: on one
 * thread, so that it is the same each time; then with guests on threads of their own, for TSan. */
#include "fleet_bed.h"

#include <sched.h>

/* ---- the hash ------------------------------------------------------------------------------- */

/* Microsoft, "Verifying the RSS hash calculation". */
static const uint8_t standard[52] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                     0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                     0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                     0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

struct vector {
    const char *src, *dst;
    uint16_t sport, dport;
    uint32_t hash, hash_ports;
};
static const struct vector vectors[] = {
    {"66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178},
    {"199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea},
    {"24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
    {"38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f},
    {"153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2},
    {"[3ffe:2501:200:1fff::7]", "[3ffe:2501:200:3::1]", 2794, 1766, 0x2cc18cd5, 0x40207d3d},
    {"[3ffe:501:8::260:97ff:fe40:efab]", "[ff02::1]", 14230, 4739, 0x0f0c461c, 0xdde51bbf},
    {"[3ffe:1900:4545:3:200:f8ff:fe21:67cf]", "[fe80::200:f8ff:fe21:67cf]", 44251, 38024,
     0x4b61e985, 0x02d1feef},
};

/* Both addresses and both ports as the hash takes them. Returns the bytes of the addresses. */
static size_t lay_out(const struct vector *v, uint8_t ret[36])
{
    struct weir_addr a[2];
    char text[64];
    for (unsigned i = 0; i < 2; i++) {
        snprintf(text, sizeof text, "%s:1", i ? v->dst : v->src);
        assert_int_equal(weir_addr_parse(text, &a[i]), 0);
    }
    size_t each = v->src[0] == '[' ? 16 : 4;
    memcpy(ret, a[0].ip + 16 - each, each);
    memcpy(ret + each, a[1].ip + 16 - each, each);
    ret[2 * each] = (uint8_t)(v->sport >> 8);
    ret[2 * each + 1] = (uint8_t)v->sport;
    ret[2 * each + 2] = (uint8_t)(v->dport >> 8);
    ret[2 * each + 3] = (uint8_t)v->dport;
    return 2 * each;
}

static void the_hash_is_microsofts(void **state)
{
    uint8_t input[36];
    (void)state;
    for (unsigned i = 0; i < array_len(vectors); i++) {
        size_t bytes = lay_out(&vectors[i], input);
        assert_int_equal(rss_toeplitz(standard, input, bytes), vectors[i].hash);
        assert_int_equal(rss_toeplitz(standard, input, bytes + 4), vectors[i].hash_ports);
    }
}

static void the_fast_hash_is_that_under_the_symmetric_key(void **state)
{
    uint8_t key[52], input[36], turned[36];
    (void)state;
    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = i % 2 ? RSS_SYMMETRIC & 0xff : RSS_SYMMETRIC >> 8;
    for (unsigned i = 0; i < array_len(vectors); i++) {
        size_t bytes = lay_out(&vectors[i], input);
        uint32_t hash = rss_symmetric(input, bytes, input + bytes);
        assert_int_equal(hash, rss_toeplitz(key, input, bytes + 4));
        memcpy(turned, input + bytes / 2, bytes / 2);
        memcpy(turned + bytes / 2, input, bytes / 2);
        memcpy(turned + bytes, input + bytes + 2, 2);
        memcpy(turned + bytes + 2, input + bytes, 2);
        assert_int_equal(rss_symmetric(turned, bytes, turned + bytes), hash);
    }
}

/* An IPv4 UDP frame from 10.0.0.1:port to 10.0.0.2:9. */
static uint32_t udp_frame(uint8_t *f, uint16_t port)
{
    static const uint8_t head[42] = {2,    0, 0,  0,  0, 2, 2, 0, 0,  0,  0, 1, 8,  0,
                                     0x45, 0, 0,  29, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0,
                                     0,    1, 10, 0,  0, 2, 0, 0, 0,  9,  0, 9, 0,  0};
    memset(f, 0, 64);
    memcpy(f, head, sizeof head);
    f[34] = (uint8_t)(port >> 8);
    f[35] = (uint8_t)port;
    return 60;
}

static void only_whole_datagrams_have_a_flow(void **state)
{
    struct rss_flow flow, other;
    uint8_t f[64];
    (void)state;
    uint32_t len = udp_frame(f, 5000);
    assert_true(rss_flow(f, len, &flow));
    assert_int_equal(flow.port, 9);
    assert_int_equal(flow.to_bytes, 4);
    assert_int_equal(flow.to[3], 2);
    udp_frame(f, 5001);
    assert_true(rss_flow(f, len, &other));
    assert_int_not_equal(flow.hash, other.hash);
    f[20] = 0x20; /* more fragments */
    assert_false(rss_flow(f, len, &flow));
    f[20] = 0, f[21] = 1; /* offset 8 */
    assert_false(rss_flow(f, len, &flow));
    f[21] = 0, f[23] = 1; /* ICMP */
    assert_false(rss_flow(f, len, &flow));
    f[23] = 17, f[13] = 6; /* ARP */
    assert_false(rss_flow(f, len, &flow));
    f[13] = 0, f[14] = 0x4f; /* options past the end */
    assert_false(rss_flow(f, 60, &flow));
    for (unsigned cut = 0; cut < 42; cut++) {
        udp_frame(f, 5000);
        assert_false(rss_flow(f, cut, &flow));
    }
}

/* ---- buckets -------------------------------------------------------------------------------- */

static const uint8_t two[] = {0, 1};

static void hit_all(struct balance *b, uint32_t each)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        b->hits[i] = each;
}

static unsigned apply(struct balance *b, const struct bucket_move *moves, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(b->worker[moves[i].bucket], moves[i].from);
        b->worker[moves[i].bucket] = moves[i].to;
    }
    return n;
}

static void a_quarter_more_is_no_reason(void **state)
{
    struct bucket_move moves[MOVES_MAX];
    uint64_t load[2] = {1250, 1000};
    struct balance b;
    (void)state;
    balance_open(&b, two, 2);
    for (unsigned i = 0; i < 10; i++) {
        hit_all(&b, 10);
        assert_int_equal(balance_period(&b, load, two, 2, 1, moves), 0);
    }
}

static void a_difference_must_last_two_periods(void **state)
{
    struct bucket_move moves[MOVES_MAX];
    uint64_t load[2] = {2000, 1000}, turned[2] = {1000, 2000};
    struct balance b;
    (void)state;
    balance_open(&b, two, 2);
    for (unsigned i = 0; i < 6; i++) { /* now the one, now the other */
        hit_all(&b, 10);
        assert_int_equal(balance_period(&b, i % 2 ? turned : load, two, 2, 1, moves), 0);
    }
    hit_all(&b, 10);
    assert_int_equal(balance_period(&b, load, two, 2, 1, moves), 0);
    hit_all(&b, 10);
    assert_true(balance_period(&b, load, two, 2, 1, moves) > 0);
}

static void the_idle_stay_as_they_are(void **state)
{
    struct bucket_move moves[MOVES_MAX];
    uint64_t load[2] = {99, 0};
    struct balance b;
    (void)state;
    balance_open(&b, two, 2);
    for (unsigned i = 0; i < 5; i++) {
        hit_all(&b, 1);
        assert_int_equal(balance_period(&b, load, two, 2, 100, moves), 0);
    }
}

/* One flow that is all the load: moving it would only turn the two around. */
static void an_elephant_does_not_move(void **state)
{
    struct bucket_move moves[MOVES_MAX];
    uint64_t load[2] = {10000, 100};
    struct balance b;
    (void)state;
    balance_open(&b, two, 2);
    for (unsigned i = 0; i < 5; i++) {
        memset(b.hits, 0, sizeof b.hits);
        b.hits[0] = 1000; /* worker 0's */
        assert_int_equal(balance_period(&b, load, two, 2, 1, moves), 0);
    }
}

/* Loads follow the buckets: it comes to rest within 25 %, and no bucket goes back and forth. */
static void it_comes_to_rest(void **state)
{
    static const uint8_t four[] = {0, 2, 4, 6};
    struct bucket_move moves[MOVES_MAX];
    unsigned moved[BUCKETS] = {0}, quiet = 0;
    struct balance b;
    (void)state;
    balance_open(&b, four, 4);
    for (unsigned turn = 0; turn < 400 && quiet < 20; turn++) {
        uint64_t load[7] = {0};
        for (unsigned i = 0; i < BUCKETS; i++) {
            uint32_t weight = i % 4 == 2 ? 40 : 10; /* all the heavy ones at one worker */
            b.hits[i] = weight;
            load[b.worker[i]] += weight;
        }
        unsigned n = apply(&b, moves, balance_period(&b, load, four, 4, 1, moves));
        for (unsigned i = 0; i < n; i++)
            moved[moves[i].bucket]++;
        quiet = n ? 0 : quiet + 1;
        if (quiet < 20)
            continue;
        for (unsigned i = 0; i < 4; i++)
            for (unsigned k = 0; k < 4; k++)
                assert_true(load[four[i]] * 4 <= load[four[k]] * 5);
    }
    assert_int_equal(quiet, 20);
    for (unsigned i = 0; i < BUCKETS; i++)
        assert_true(moved[i] <= 2);
}

static void a_moved_bucket_rests(void **state)
{
    struct bucket_move moves[MOVES_MAX];
    uint64_t load[2] = {2000, 1000};
    bool rests[BUCKETS] = {false};
    struct balance b;
    (void)state;
    balance_open(&b, two, 2);
    for (unsigned turn = 0; turn < 12; turn++) {
        hit_all(&b, 10);
        unsigned n = balance_period(&b, load, two, 2, 1, moves);
        for (unsigned i = 0; i < n; i++) { /* not applied: the caller could not yet */
            assert_false(rests[moves[i].bucket]);
            rests[moves[i].bucket] = true;
        }
    }
}

/* ---- a fleet over the simulator ------------------------------------------------------------- */

static void all_workers_serve_one_port_and_copy_nothing(void **state)
{
    struct bed bed;
    uint64_t given = 0, taken = 0;
    (void)state;
    open_bed(&bed, 3);
    for (unsigned k = 0; k < 3; k++)
        open_port(&bed, k, PORT);
    open_flows(&bed);
    talk(&bed);
    for (unsigned k = 0; k < 3; k++) {
        struct weir_counters c = counted(bed.worker[k]);
        assert_true(bed.told[k] > 0);
        assert_int_equal(c.rx_packets, bed.told[k]);
        assert_int_equal(c.handed_full, 0);
        assert_int_equal(c.foreign_copied, 0);
        if (k) /* it answers in its host's buffers: headers in front, back whole */
            assert_int_equal(c.copies, 0);
        given += c.handed_over;
        taken += c.taken_over;
        assert_home(bed.worker[k]);
    }
    assert_int_equal(given, taken);
    assert_int_equal(bed.told[0] + bed.told[1] + bed.told[2], FLOWS * EACH);
    close_bed(&bed);
}

static void a_port_of_one_worker_is_that_ones_alone(void **state)
{
    (void)state;
    for (unsigned owner = 0; owner < 3; owner++) {
        struct bed bed;
        open_bed(&bed, 3);
        open_port(&bed, owner, PORT);
        open_flows(&bed);
        talk(&bed);
        assert_int_equal(bed.told[owner], FLOWS * EACH);
        for (unsigned k = 0; k < 3; k++)
            assert_int_equal(counted(bed.worker[k]).no_port, 0);
        close_bed(&bed);
    }
}

static void a_port_of_some_workers_is_spread_over_them(void **state)
{
    struct bed bed;
    (void)state;
    open_bed(&bed, 3);
    open_port(&bed, 1, PORT);
    open_port(&bed, 2, PORT);
    open_flows(&bed);
    talk(&bed);
    assert_int_equal(bed.told[0], 0);
    assert_true(bed.told[1] > 0 && bed.told[2] > 0);
    close_bed(&bed);
}

static void what_was_in_fragments_reaches_its_worker(void **state)
{
    struct bed bed;
    (void)state;
    open_bed(&bed, 2);
    open_port(&bed, 1, PORT);
    open_flows(&bed);
    for (uint32_t turn = 0; turn < 3; turn++) {
        say(&bed, 5, turn, 4000);
        run(&bed, 20);
        assert_int_equal(bed.got[5], turn + 1);
        assert_int_equal(bed.bytes, 4000);
    }
    assert_false(bed.wrong);
    assert_int_equal(bed.told[1], 3);
    assert_int_equal(counted(bed.worker[0]).reassembled, 3);
    assert_true(counted(bed.worker[0]).foreign_copied > 0); /* its answers' fragments */
    assert_home(bed.worker[0]);
    assert_home(bed.worker[1]);
    close_bed(&bed);
}

/* The first packet to a neighbour that nobody knows yet: worker 0 asks, and sends it. */
static void a_guests_first_packet_waits_at_worker_0(void **state)
{
    struct bed bed;
    struct weir_addr to = weir_addr_ip4(10, 0, 0, 1, 20000);
    struct weir_buf *buf;
    (void)state;
    open_bed(&bed, 2);
    open_flows(&bed);
    open_port(&bed, 1, PORT);
    buf = weir_buf_take_bytes(weir_engine_pool(bed.worker[1]), 8);
    memcpy(buf->data, (uint32_t[]){0, 0}, 8);
    buf->len = 8;
    buf->peer = to;
    assert_int_equal(weir_send(bed.worker[1], bed.at[1], &buf, 1), 1);
    run(&bed, 20);
    assert_int_equal(bed.got[0], 1);
    assert_int_equal(counted(bed.worker[0]).neighbour_requests, 1);
    assert_int_equal(counted(bed.worker[1]).neighbour_requests, 0);
    assert_home(bed.worker[1]);
    close_bed(&bed);
}

/* From one worker to a port of another on the same host: no device brings that back. */
static void workers_reach_each_others_ports(void **state)
{
    struct bed bed;
    struct weir_addr to = weir_addr_ip4(10, 0, 0, 2, 7001);
    struct weir_buf *buf;
    weir_ep ep;
    (void)state;
    for (unsigned from = 0; from < 2; from++) {
        open_bed(&bed, 2);
        open_port(&bed, from, PORT);
        assert_int_equal(weir_udp_open(bed.worker[!from], &to, collect, &bed, &ep), 0);
        buf = weir_buf_take_bytes(weir_engine_pool(bed.worker[from]), 8);
        memcpy(buf->data, (uint32_t[]){0, 0}, 8);
        buf->len = 8;
        buf->peer = to;
        assert_int_equal(weir_send(bed.worker[from], bed.at[from], &buf, 1), 1);
        run(&bed, 10);
        assert_int_equal(bed.got[0], 1);
        assert_false(bed.wrong);
        assert_home(bed.worker[0]);
        assert_home(bed.worker[1]);
        close_bed(&bed);
    }
}

static void chosen_ports_are_chosen_once(void **state)
{
    struct bed bed;
    struct weir_addr any = weir_addr_ip4(10, 0, 0, 2, 0), got;
    static bool seen[65536];
    (void)state;
    memset(seen, 0, sizeof seen);
    open_bed(&bed, 3);
    for (unsigned i = 0; i < 300; i++) {
        weir_ep ep;
        assert_int_equal(weir_udp_open(bed.worker[i % 3], &any, echo, &bed.told[0], &ep), 0);
        assert_int_equal(weir_ep_local(bed.worker[i % 3], ep, &got), 0);
        assert_false(seen[got.port]);
        seen[got.port] = true;
    }
    close_bed(&bed);
}

/* A worker that does not poll costs its own flows their packets, and nobody else anything. */
static void a_worker_that_sleeps_costs_its_own_flows_only(void **state)
{
    struct bed bed;
    struct weir_engine *asleep;
    uint64_t told;
    (void)state;
    open_bed(&bed, 2);
    open_port(&bed, 0, PORT);
    open_port(&bed, 1, PORT);
    open_flows(&bed);
    say(&bed, 0, 0, 64); /* neighbours are known from here on */
    run(&bed, 20);
    memset(bed.got, 0, sizeof bed.got);
    asleep = bed.worker[1];
    bed.worker[1] = NULL;
    for (uint32_t turn = 0; turn < 60; turn++) {
        for (unsigned i = 0; i < FLOWS; i++)
            say(&bed, i, turn, 64);
        run(&bed, 8);
    }
    struct weir_counters c = counted(bed.worker[0]);
    assert_true(c.handed_full > 0);
    assert_int_equal(c.rx_packets + c.handed_over + c.handed_full + c.arp_in, c.rx_frames);
    told = bed.told[0];
    assert_true(told > 60);
    bed.worker[1] = asleep;
    run(&bed, 50);
    assert_home(bed.worker[0]);
    assert_home(bed.worker[1]);
    assert_int_equal(counted(bed.worker[1]).taken_over, counted(bed.worker[0]).handed_over);
    close_bed(&bed);
}

/* What is on its way between workers when they close: nothing leaks. */
static void closing_in_the_midst_loses_no_buffer(void **state)
{
    struct bed bed;
    (void)state;
    open_bed(&bed, 3);
    for (unsigned k = 0; k < 3; k++)
        open_port(&bed, k, PORT);
    open_flows(&bed);
    say(&bed, 0, 0, 64);
    run(&bed, 20);
    for (unsigned i = 0; i < FLOWS; i++)
        say(&bed, i, 0, 3000);
    assert_true(weir_sim_run(bed.sim, weir_sim_now(bed.sim) + 100000) >= 0);
    weir_poll(bed.worker[1], weir_sim_now(bed.sim)); /* answers are in its lane */
    close_bed(&bed);
}

/* A flow that worker 1 serves, and its bucket. */
static unsigned a_guests_flow(struct bed *bed, unsigned *bucket)
{
    struct spread *s = bed->fleet->member[0].spread;
    for (unsigned i = 0; i < FLOWS; i++) {
        uint32_t before = bed->told[1];
        memset(s->table.hits, 0, sizeof s->table.hits);
        say(bed, i, bed->got[i], 64);
        run(bed, 20);
        if (bed->told[1] == before)
            continue;
        for (*bucket = 0; s->table.hits[*bucket] == 0; ++*bucket) {}
        return i;
    }
    fail_msg("no flow of worker 1");
    return 0;
}

/* The rule that keeps a flow in order: its bucket moves when nothing of it is under way. */
static void a_bucket_waits_for_what_is_under_way(void **state)
{
    struct bed bed;
    unsigned bucket;
    (void)state;
    open_bed(&bed, 2);
    open_port(&bed, 0, PORT);
    open_port(&bed, 1, PORT);
    open_flows(&bed);
    unsigned flow = a_guests_flow(&bed, &bucket);
    struct spread *s = bed.fleet->member[0].spread;
    struct weir_engine *guest = bed.worker[1];
    uint32_t told0 = bed.told[0], told1 = bed.told[1];

    bed.worker[1] = NULL; /* the guest does not poll, and has one to handle */
    say(&bed, flow, bed.got[flow], 64);
    run(&bed, 5);
    s->period_ns = UINT64_MAX; /* no other moves */
    s->move[0] = (struct bucket_move){.bucket = (uint16_t)bucket, .from = 1, .to = 0};
    s->moves = 1;
    say(&bed, flow, bed.got[flow] + 1, 64);
    run(&bed, 5);
    assert_int_equal(s->moves, 1);
    assert_int_equal(bed.told[0], told0); /* still the guest's */

    weir_poll(guest, weir_sim_now(bed.sim)); /* handled: the answers are in its lane */
    assert_int_equal(bed.told[1], told1 + 2);
    say(&bed, flow, bed.got[flow] + 2, 64);
    bed.worker[1] = guest;
    run(&bed, 10);
    assert_int_equal(s->moves, 0);
    assert_int_equal(counted(bed.worker[0]).buckets_moved, 1);
    say(&bed, flow, bed.got[flow], 64);
    run(&bed, 10);
    assert_true(bed.told[0] > told0);
    assert_int_equal(bed.told[0] + bed.told[1] - told0 - told1, 4);
    assert_false(bed.wrong);
    close_bed(&bed);
}

/* ---- guests on threads of their own ---- */

struct guest {
    struct bed *bed;
    unsigned k;
    pthread_t thread;
    _Atomic int stage; /* 1 open, 2 told to end */
    _Atomic bool bad;
};

static void *guest_thread(void *arg)
{
    struct guest *g = arg;
    struct weir_why why;
    g->bed->worker[g->k] = opened(g->bed, g->k);
    open_port(g->bed, g->k, PORT);
    atomic_store(&g->stage, 1);
    while (atomic_load(&g->stage) == 1) {
        int n = weir_poll(g->bed->worker[g->k], weir_now_ns());
        g->bad |= n < 0;
        if (n == 0)
            sched_yield();
    }
    g->bad |= weir_pool_check(weir_engine_pool(g->bed->worker[g->k]), &why) != 0;
    g->bad |= weir_engine_close(g->bed->worker[g->k]) != 0;
    return NULL;
}

static void turn_of_worker_0(struct bed *bed)
{
    assert_true(weir_sim_run(bed->sim, weir_sim_now(bed->sim) + 10000) >= 0);
    assert_true(weir_poll(bed->worker[0], weir_sim_now(bed->sim)) >= 0);
    sched_yield();
}

static bool all_answered(const struct bed *bed, uint32_t turns)
{
    for (unsigned i = 0; i < FLOWS; i++)
        if (bed->got[i] < turns)
            return false;
    return true;
}

static void start_guests(struct bed *bed, struct guest *guest)
{
    open_network(bed, false);
    open_port(bed, 0, PORT);
    open_flows(bed);
    for (unsigned k = 1; k < bed->n; k++) {
        guest[k] = (struct guest){.bed = bed, .k = k};
        assert_int_equal(pthread_create(&guest[k].thread, NULL, guest_thread, &guest[k]), 0);
        while (atomic_load(&guest[k].stage) == 0)
            sched_yield();
    }
}

static void end_guests(struct bed *bed, struct guest *guest, uint32_t turns)
{
    uint32_t told = 0;
    for (unsigned k = 1; k < bed->n; k++)
        atomic_store(&guest[k].stage, 2);
    assert_int_equal(weir_engine_close(bed->worker[0]), 0); /* waits for the others */
    for (unsigned k = 1; k < bed->n; k++) {
        pthread_join(guest[k].thread, NULL);
        assert_false(guest[k].bad);
        assert_true(bed->told[k] > 0);
    }
    for (unsigned k = 0; k < bed->n; k++)
        told += bed->told[k];
    assert_int_equal(told, FLOWS * turns);
    assert_false(bed->wrong); /* in order, whatever buckets moved */
    assert_int_equal(weir_engine_close(bed->peer), 0);
    fleet_free(bed->fleet);
    assert_int_equal(weir_sim_close(bed->sim), 0);
}

static void ask_all(struct bed *bed, uint32_t turn)
{
    for (unsigned i = 0; i < FLOWS; i++)
        say(bed, i, turn, turn % 8 ? 64 : 1000);
}

static void await(struct bed *bed, uint32_t turns)
{
    uint64_t until = weir_now_ns() + UINT64_C(20000000000);
    while (!all_answered(bed, turns)) {
        turn_of_worker_0(bed);
        assert_true(weir_now_ns() < until);
    }
}

static void guests_have_threads_of_their_own(void **state)
{
    struct bed bed = {.n = 3};
    struct guest guest[3];
    (void)state;
    start_guests(&bed, guest);
    for (uint32_t turn = 0; turn < 50; turn++) {
        ask_all(&bed, turn);
        await(&bed, turn + 1);
    }
    end_guests(&bed, guest, 50);
}

/* Flows of a slow worker go to those that have time; several datagrams of each are under way. */
static void buckets_move_and_no_flow_is_reordered(void **state)
{
    struct bed bed = {.n = 3, .slow = 1};
    struct guest guest[3];
    uint32_t turn = 0;
    uint64_t until = weir_now_ns() + UINT64_C(60000000000);
    (void)state;
    start_guests(&bed, guest);
    while (counted(bed.worker[0]).buckets_moved < 10) {
        ask_all(&bed, turn++);
        await(&bed, turn < 5 ? turn : turn - 4); /* at first the peer has to ask who we are */
        assert_true(weir_now_ns() < until);
    }
    await(&bed, turn);
    end_guests(&bed, guest, turn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_microsofts),
        cmocka_unit_test(the_fast_hash_is_that_under_the_symmetric_key),
        cmocka_unit_test(only_whole_datagrams_have_a_flow),
        cmocka_unit_test(a_quarter_more_is_no_reason),
        cmocka_unit_test(a_difference_must_last_two_periods),
        cmocka_unit_test(the_idle_stay_as_they_are),
        cmocka_unit_test(an_elephant_does_not_move),
        cmocka_unit_test(it_comes_to_rest),
        cmocka_unit_test(a_moved_bucket_rests),
        cmocka_unit_test(all_workers_serve_one_port_and_copy_nothing),
        cmocka_unit_test(a_port_of_one_worker_is_that_ones_alone),
        cmocka_unit_test(a_port_of_some_workers_is_spread_over_them),
        cmocka_unit_test(what_was_in_fragments_reaches_its_worker),
        cmocka_unit_test(a_guests_first_packet_waits_at_worker_0),
        cmocka_unit_test(workers_reach_each_others_ports),
        cmocka_unit_test(chosen_ports_are_chosen_once),
        cmocka_unit_test(a_worker_that_sleeps_costs_its_own_flows_only),
        cmocka_unit_test(closing_in_the_midst_loses_no_buffer),
        cmocka_unit_test(a_bucket_waits_for_what_is_under_way),
        cmocka_unit_test(guests_have_threads_of_their_own),
        cmocka_unit_test(buckets_move_and_no_flow_is_reordered),
    };

    return run_group(tests);
}
