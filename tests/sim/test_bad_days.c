/* SPDX-License-Identifier: MIT
 * What happens to a host: its pool runs empty, its link goes down and comes back. It tells, counts, rests
 * while nothing can be done, and goes on after.
 *
 *     host 0 -- datagrams --> wire --> host 1 */
#include "bed.h"

#define SLOTS 256u

static uint64_t free_slots(const struct host *host)
{
    struct weir_pool_stats stats;
    weir_pool_stats(weir_engine_pool(host->engine), &stats);
    return stats.count[WEIR_SMALL][WEIR_FREE];
}

static void assert_at_rest(const struct bed *bed, const struct host *host)
{
    assert_true(weir_next_ns(host->engine) > weir_sim_now(bed->sim));
}

/* How often the host was polled while so much time passed. */
static uint64_t polls_in(struct bed *bed, const struct host *host, uint64_t ns)
{
    uint64_t before = host_counters(host).polls;
    bed_run(bed, ns);
    return host_counters(host).polls - before;
}

static void assert_whole(struct host *host)
{
    struct weir_why why = {0};
    if (weir_pool_check(weir_engine_pool(host->engine), &why))
        fail_msg("%s: %s", why.where, why.what);
}

static void open_pair(struct bed *bed, struct host *host, uint64_t seed)
{
    struct weir_addr to = host_addr(1);
    bed_open(bed, seed, NULL);
    host_open(&host[0], bed->port[0], 0);
    struct weir_engine_opt opt = host_opt(bed->port[1], 1);
    opt.pool.small = SLOTS;
    opt.pool.big = 1;
    host_open_with(&host[1], &opt, 1);
    assert_int_equal(host_send(&host[0], &to, 1, 64), 1); /* they know each other */
    bed_run(bed, MS);
    assert_int_equal(host[1].got, 1);
}

static void close_pair(struct bed *bed, struct host *host)
{
    assert_whole(&host[0]);
    assert_whole(&host[1]);
    host_close(&host[0]);
    host_close(&host[1]);
    bed_assert_balance(bed);
    bed_close(bed);
}

/* ---- no buffers ------------------------------------------------------------------------------ */

/* Every datagram that left was told, or its frame found no buffer. */
static void assert_reconciled(const struct host *host)
{
    struct weir_counters from = host_counters(&host[0]), to = host_counters(&host[1]);
    assert_int_equal(from.tx_packets, host[1].got + to.rx_ring_full);
    assert_int_equal(to.rx_packets, host[1].got);
    assert_int_equal(to.rx_frames, to.rx_packets + to.arp_in + to.icmp_in);
}

static void send_bursts(struct bed *bed, struct host *host, unsigned bursts)
{
    struct weir_addr to = host_addr(1);
    for (unsigned i = 0; i < bursts; i++) {
        assert_int_equal(host_send(host, &to, 50, 64), 50);
        bed_run(bed, MS);
    }
}

static void a_hoarder_stops_receiving_and_goes_on(uint64_t seed)
{
    static struct host host[2];
    struct bed bed;
    open_pair(&bed, host, seed);
    for (unsigned round = 1; round <= 3; round++) {
        host[1].keep = 1;
        send_bursts(&bed, host, 10);
        assert_int_equal(free_slots(&host[1]), 0);
        unsigned got = host[1].got;
        uint64_t full = host_counters(&host[1]).rx_ring_full;
        send_bursts(&bed, host, 10);
        assert_int_equal(host[1].got, got);
        assert_int_equal(host_counters(&host[1]).rx_ring_full - full, 500);
        assert_true(host_counters(&host[1]).pool_empty > 0);
        assert_reconciled(host);
        assert_at_rest(&bed, &host[1]);
        assert_true(polls_in(&bed, &host[1], S) <= 1001); /* the device asks the pool each ms */
        assert_whole(&host[1]);
        weir_buf_drop(host[1].kept, host[1].n_kept);
        host[1].n_kept = 0;
        host[1].keep = 0;
        bed_run(&bed, 2 * MS);
        got = host[1].got;
        full = host_counters(&host[1]).rx_ring_full;
        send_bursts(&bed, host, 10);
        assert_int_equal(host[1].got - got, 500);
        assert_int_equal(host_counters(&host[1]).rx_ring_full, full);
        assert_reconciled(host);
        assert_true(polls_in(&bed, &host[1], S) <= 10); /* nothing to do, nothing done */
    }
    close_pair(&bed, host);
}

/* Host 1 still answers ARP and pings, in the frames that ask, while the application has all else. */
static void answers_need_no_buffer_of_their_own(uint64_t seed)
{
    static struct host host[2];
    struct bed bed;
    struct weir_buf *all[SLOTS];
    struct weir_addr to = host_addr(1);
    open_pair(&bed, host, seed);
    unsigned n = weir_buf_take(weir_engine_pool(host[1].engine), all, SLOTS);
    assert_true(n > 0 && n < SLOTS);
    assert_int_equal(free_slots(&host[1]), 0);
    host[1].echo = 1;
    unsigned got = host[0].got;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(host_send(&host[0], &to, 50, 64), 50);
        bed_run(&bed, MS);
    }
    assert_int_equal(host[0].got - got, 1000); /* from what is posted alone */
    bed_run(&bed, 90 * S);                     /* host 0 forgets host 1, and asks */
    assert_int_equal(host_send(&host[0], &to, 1, 64), 1);
    bed_run(&bed, 10 * S);
    assert_int_equal(host[0].got - got, 1001);
    weir_buf_drop(all, n);
    close_pair(&bed, host);
}

/* The sender's pool is empty: what does not leave is the caller's, and nobody spins. */
static void a_sender_without_buffers_waits(uint64_t seed)
{
    static struct host host[2];
    struct bed bed;
    struct weir_buf *all[4096];
    struct weir_addr to = host_addr(1);
    open_pair(&bed, host, seed);
    host[1].echo = 1;
    unsigned n = weir_buf_take(weir_engine_pool(host[0].engine), all, array_len(all));
    weir_buf_drop(all + n - 1, 1);
    n--;
    assert_int_equal(host_send(&host[0], &to, 1, 4000), 1); /* three fragments, no slot for them */
    bed_run(&bed, MS);
    assert_true(host_counters(&host[0]).fragments_out == 0);
    assert_true(polls_in(&bed, &host[0], S) <= 20001); /* again each 50 us */
    assert_at_rest(&bed, &host[0]);
    unsigned got = host[1].got;
    weir_buf_drop(all, n);
    bed_run(&bed, 10 * MS);
    assert_int_equal(host[1].got - got, 1);
    assert_int_equal(host[1].wrong, 0);
    close_pair(&bed, host);
}

/* ---- the link -------------------------------------------------------------------------------- */

static void what_is_sent_while_it_is_down_is_lost_and_nobody_spins(uint64_t seed)
{
    static struct host host[2];
    struct bed bed;
    struct weir_addr to = host_addr(1);
    open_pair(&bed, host, seed);
    weir_sim_plug(bed.port[0], 0);
    bed_run(&bed, MS);
    struct weir_counters before = host_counters(&host[0]);
    uint64_t lost = bed_counts(&bed).lost;
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(host_send(&host[0], &to, 5, 64), 5);
        bed_run(&bed, 10 * MS);
        assert_at_rest(&bed, &host[0]);
    }
    struct weir_counters after = host_counters(&host[0]);
    assert_int_equal(host[0].links, 1);
    assert_int_equal(host[0].link_err, -ENETDOWN);
    assert_int_equal(after.tx_packets - before.tx_packets, 5000);
    assert_int_equal(after.tx_frames - before.tx_frames, bed_counts(&bed).lost - lost);
    assert_true(after.polls - before.polls <= 4 * 1000);
    assert_true(polls_in(&bed, &host[0], 10 * S) <= 20); /* and less with nothing to send */
    weir_sim_plug(bed.port[0], 1);
    bed_run(&bed, 10 * S);
    assert_int_equal(host[0].link_err, 0);
    unsigned got = host[1].got;
    assert_int_equal(host_send(&host[0], &to, 5, 64), 5);
    bed_run(&bed, 5 * S);
    assert_int_equal(host[1].got - got, 5);
    close_pair(&bed, host);
}

/* To somebody who was never asked for: what waits is dropped with its counter, after three questions. */
static void a_question_that_nobody_hears_ends(uint64_t seed)
{
    static struct host host[2];
    struct bed bed;
    struct weir_addr to = host_addr(2);
    open_pair(&bed, host, seed);
    weir_sim_plug(bed.port[0], 0);
    bed_run(&bed, MS);
    struct weir_counters before = host_counters(&host[0]);
    assert_int_equal(host_send(&host[0], &to, 20, 64), 20);
    assert_true(polls_in(&bed, &host[0], 10 * S) <= 20);
    struct weir_counters after = host_counters(&host[0]);
    assert_int_equal(after.neighbour_requests - before.neighbour_requests, 3);
    assert_int_equal(after.neighbour_failed - before.neighbour_failed, 20);
    assert_at_rest(&bed, &host[0]);
    close_pair(&bed, host);
}

/* Down and up a hundred times: each is told as long as somebody looks, and the last is what is. */
static void a_loose_plug_is_told_each_time(uint64_t seed)
{
    static struct host host[2];
    struct bed bed;
    struct weir_addr to = host_addr(1);
    open_pair(&bed, host, seed);
    for (unsigned i = 1; i <= 100; i++) {
        weir_sim_plug(bed.port[i & 1], 0);
        bed_run(&bed, MS);
        assert_int_equal(host[0].link_err, -ENETDOWN);
        weir_sim_plug(bed.port[i >> 1 & 1], 1);
        bed_run(&bed, MS);
        for (unsigned k = 0; k < 2; k++) {
            assert_int_equal(host[k].link_err, 0);
            assert_int_equal(host[k].links, 2 * i);
            assert_int_equal(host_counters(&host[k]).link_changes, 2 * i);
        }
    }
    for (unsigned i = 0; i < 100; i++) /* faster than anybody looks */
        weir_sim_plug(bed.port[0], (int)(i & 1));
    bed_run(&bed, MS);
    assert_int_equal(host[0].links, 200);
    assert_int_equal(host[0].link_err, 0);
    unsigned got = host[1].got;
    assert_int_equal(host_send(&host[0], &to, 5, 64), 5);
    bed_run(&bed, MS);
    assert_int_equal(host[1].got - got, 5);
    close_pair(&bed, host);
}

int main(int argc, char **argv)
{
    static const struct sim_case cases[] = {
        CASE(a_hoarder_stops_receiving_and_goes_on),
        CASE(answers_need_no_buffer_of_their_own),
        CASE(a_sender_without_buffers_waits),
        CASE(what_is_sent_while_it_is_down_is_lost_and_nobody_spins),
        CASE(a_question_that_nobody_hears_ends),
        CASE(a_loose_plug_is_told_each_time),
    };
    return bed_main(argc, argv, cases, array_len(cases));
}
