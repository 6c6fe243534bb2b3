/* SPDX-License-Identifier: MIT
 * What the kernel merges (UDP GRO) and cuts (UDP GSO) shows in no datagram: each has its own
 * length, its own content and its place in the order, whether or not the backend uses either. */
#include "bed.h"

#include <errno.h>

/* What the segments' handler was given. Datagram i is as if cut from one long pattern. */
struct cut {
    uint32_t size;  /* of each but the last */
    uint32_t total; /* bytes that come */
    uint32_t got;   /* bytes so far */
    unsigned count;
    bool bad;
    struct weir_buf *kept[128];
    unsigned n_kept;
    bool keep;
};

static void keep(struct cut *cut, struct weir_buf *buf)
{
    struct weir_buf *own = weir_buf_keep(buf);
    if (own && cut->n_kept < array_len(cut->kept))
        cut->kept[cut->n_kept++] = own;
    else
        cut->bad = true;
}

static void on_cut(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct cut *cut = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *buf = events[i].buf;
        uint32_t left = cut->total - cut->got, want = left < cut->size ? left : cut->size;
        cut->bad |= events[i].kind != WEIR_DATAGRAM || buf->len != want;
        cut->bad |= !pattern_holds(buf->data, cut->got, buf->len);
        cut->got += buf->len;
        cut->count++;
        if (cut->keep)
            keep(cut, buf);
    }
}

static void send_cut(struct bed *bed, int fd, const struct weir_addr *at, uint32_t total,
                     uint16_t size)
{
    static uint8_t data[65536];
    (void)bed;
    pattern_fill(data, 0, total);
    if (!peer_segments(fd, at, data, total, size))
        SKIP("the peer's kernel refuses UDP_SEGMENT: %s", strerror(errno));
}

static void expect_cut(struct bed *bed, bool no_gro, uint32_t total, uint16_t size)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct cut cut = {.size = size, .total = total};
    struct weir_addr at;
    opt.no_gro = no_gro;
    bed_open_with(bed, &opt);
    bed_udp(bed, on_cut, &cut, &at);
    int fd = peer_udp();
    for (unsigned turn = 0; turn < 3; turn++) {
        cut.got = cut.count = 0;
        send_cut(bed, fd, &at, total, size);
        UNTIL(bed, cut.got >= total);
        assert_int_equal(cut.count, (total + size - 1) / size);
        assert_false(cut.bad);
    }
    assert_int_equal(bed_count(bed).rx_packets, 3 * ((total + size - 1) / size));
    peer_close(&fd);
    bed_close(bed);
}

static void merged_receive_is_cut_right(struct bed *bed)
{
    expect_cut(bed, false, 64 * 64, 64);
}

static void merged_receive_with_an_odd_last_segment(struct bed *bed)
{
    expect_cut(bed, false, 40 * 1472 + 37, 1472);
}

static void merged_receive_of_single_bytes(struct bed *bed)
{
    expect_cut(bed, false, 64, 1);
}

static void merging_refused_changes_nothing(struct bed *bed)
{
    expect_cut(bed, true, 40 * 1472 + 37, 1472);
}

static void kept_segments_outlive_their_burst(struct bed *bed)
{
    struct cut cut = {.size = 100, .total = 6037, .keep = true};
    struct weir_addr at;
    bed_open(bed);
    bed_udp(bed, on_cut, &cut, &at);
    int fd = peer_udp();
    send_cut(bed, fd, &at, cut.total, (uint16_t)cut.size);
    UNTIL(bed, cut.got >= cut.total);
    cut.keep = false;
    cut.got = 0;
    send_cut(bed, fd, &at, cut.total,
             (uint16_t)cut.size); /* would overwrite memory that was not held */
    UNTIL(bed, cut.got >= cut.total);
    assert_false(cut.bad);
    assert_int_equal(cut.n_kept, 61);
    for (unsigned i = 0; i < cut.n_kept; i++)
        assert_true(pattern_holds(cut.kept[i]->data, i * cut.size, cut.kept[i]->len));
    weir_buf_drop(cut.kept, cut.n_kept);
    peer_close(&fd);
    bed_close(bed);
}

static void merged_receive_goes_back_as_it_came(struct bed *bed)
{
    struct weir_addr at;
    uint8_t got[2048];
    bed_open(bed);
    bed_udp(bed, echo, NULL, &at);
    int fd = peer_udp();
    send_cut(bed, fd, &at, 50 * 1200 + 5, 1200);
    for (uint32_t from = 0; from < 50 * 1200 + 5; from += 1200) {
        ssize_t n = -1, want = from < 50 * 1200 ? 1200 : 5;
        UNTIL(bed, (n = peer_recv(fd, got, sizeof got, NULL)) >= 0);
        assert_int_equal(n, want);
        assert_true(pattern_holds(got, from, (size_t)n));
    }
    assert_int_equal(peer_recv(fd, got, sizeof got, NULL), -1);
    peer_close(&fd);
    bed_close(bed);
}

/* ---- sending ---- */

#define SENT_MAX 300u

/* Sends n datagrams, sizes[i % m] bytes each, datagram i to fd[i % peers]; they arrive whole and in
 * order. */
static void send_all(struct bed *bed, unsigned n, const uint32_t *sizes, unsigned m, unsigned peers)
{
    int fd[4];
    struct weir_buf *bufs[SENT_MAX];
    uint8_t got[9000];
    bed_open(bed);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    for (unsigned i = 0; i < peers; i++)
        fd[i] = peer_udp();
    for (unsigned i = 0; i < n; i++) {
        bufs[i] = bed_buf(bed, i, sizes[i % m]);
        assert_non_null(bufs[i]);
        bufs[i]->peer = peer_addr(fd[i % peers]);
    }
    assert_int_equal(weir_send(bed->engine, ep, bufs, n), n);
    for (unsigned i = 0; i < n; i++) {
        ssize_t len = -1;
        UNTIL(bed, (len = peer_recv(fd[i % peers], got, sizeof got, NULL)) >= 0);
        assert_int_equal(len, sizes[i % m]);
        assert_true(pattern_holds(got, i, (size_t)len));
    }
    UNTIL(bed, bed_home(bed));
    assert_int_equal(bed_count(bed).tx_packets, n);
    for (unsigned i = 0; i < peers; i++) {
        assert_int_equal(peer_recv(fd[i], got, sizeof got, NULL), -1);
        peer_close(&fd[i]);
    }
    bed_close(bed);
}

static void send_of_equal_sizes_to_one_peer(struct bed *bed)
{
    send_all(bed, SENT_MAX, (const uint32_t[]){64}, 1, 1);
}

static void send_of_more_than_one_merge_holds(struct bed *bed)
{
    send_all(bed, 200, (const uint32_t[]){1472}, 1, 1);
}

static void send_with_shorter_ones_between(struct bed *bed)
{
    send_all(bed, 200, (const uint32_t[]){100, 100, 100, 30, 100, 100, 200}, 7, 1);
}

static void send_with_empty_ones_between(struct bed *bed)
{
    send_all(bed, 200, (const uint32_t[]){100, 0, 100, 0, 0, 1}, 6, 1);
}

static void send_to_peers_in_turn(struct bed *bed)
{
    send_all(bed, SENT_MAX, (const uint32_t[]){64, 64, 64, 64, 1}, 5, 4);
}

/* A datagram that the kernel refuses falls out alone: the ones around it leave. Port 0 is no
 * destination. */
static void refused_one_does_not_stop_the_others(struct bed *bed)
{
    struct weir_buf *bufs[9];
    uint8_t got[256];
    bed_open(bed);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    int fd = peer_udp();
    for (unsigned i = 0; i < 9; i++) {
        bufs[i] = bed_buf(bed, i, 100);
        bufs[i]->peer = i % 3 == 1 ? peer_loopback(0, false) : peer_addr(fd);
    }
    assert_int_equal(weir_send(bed->engine, ep, bufs, 9), 9);
    for (unsigned i = 0; i < 9; i++) {
        if (i % 3 == 1)
            continue;
        UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 100);
        assert_true(pattern_holds(got, i, 100));
    }
    UNTIL(bed, bed_home(bed));
    struct weir_counters c = bed_count(bed);
    assert_int_equal(c.tx_error + c.tx_unreachable + c.tx_oversize, 3);
    assert_int_equal(c.tx_packets, 6);
    peer_close(&fd);
    bed_close(bed);
}

#define STEADY 640u

/* Sends 640 of one size to one peer. Returns how many calls it took. */
static uint64_t calls_of_a_burst(struct bed *bed, weir_ep ep, int fd)
{
    static struct weir_buf *bufs[STEADY];
    uint8_t got[256];
    struct weir_counters before = bed_count(bed);
    for (unsigned i = 0; i < STEADY; i++) {
        bufs[i] = bed_buf(bed, i, 64);
        assert_non_null(bufs[i]);
        bufs[i]->peer = peer_addr(fd);
    }
    assert_int_equal(weir_send(bed->engine, ep, bufs, STEADY), STEADY);
    for (unsigned i = 0; i < STEADY; i++) {
        UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 64);
        assert_true(pattern_holds(got, i, 64));
    }
    UNTIL(bed, bed_count(bed).tx_packets == before.tx_packets + STEADY);
    return bed_count(bed).tx_calls - before.tx_calls;
}

/* Few events a poll, so that a backend which sizes its send side by them makes more calls when it
 * does not merge. */
static void a_bad_destination_changes_nothing_for_others(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_buf *bad[8];
    opt.tx_max = STEADY;
    opt.poll_events = 64;
    bed_open_with(bed, &opt);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    int fd = peer_udp();
    uint64_t before = calls_of_a_burst(bed, ep, fd);
    for (unsigned i = 0; i < array_len(bad); i++) { /* merged: one destination, one size */
        bad[i] = bed_buf(bed, i, 64);
        assert_non_null(bad[i]);
        bad[i]->peer = peer_loopback(0, false);
    }
    assert_int_equal(weir_send(bed->engine, ep, bad, array_len(bad)), array_len(bad));
    UNTIL(bed, bed_home(bed));
    struct weir_counters c = bed_count(bed);
    assert_int_equal(c.tx_error + c.tx_unreachable + c.tx_oversize, array_len(bad));
    uint64_t after = calls_of_a_burst(bed, ep, fd);
    if (after > 2 * before + 2)
        fail_msg("640 datagrams took %ju calls, and %ju after a bad destination", (uintmax_t)before,
                 (uintmax_t)after);
    peer_close(&fd);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(merged_receive_is_cut_right),
    CASE(merged_receive_with_an_odd_last_segment),
    CASE(merged_receive_of_single_bytes),
    CASE(merging_refused_changes_nothing),
    CASE(kept_segments_outlive_their_burst),
    CASE(merged_receive_goes_back_as_it_came),
    CASE(send_of_equal_sizes_to_one_peer),
    CASE(send_of_more_than_one_merge_holds),
    CASE(send_with_shorter_ones_between),
    CASE(send_with_empty_ones_between),
    CASE(send_to_peers_in_turn),
    CASE(refused_one_does_not_stop_the_others),
    CASE(a_bad_destination_changes_nothing_for_others),
};
BED_MAIN(cases)
