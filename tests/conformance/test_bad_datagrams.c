/* SPDX-License-Identifier: MIT
 * Datagrams that are too small, too large, or go where nobody is: counted or refused, never cut,
 * and the next one is served. */
#include "bed.h"

#include <errno.h>
#include <sys/socket.h>

static uint8_t data[65536];

static void empty_ones_are_events(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    uint8_t got[8];
    bed_open(bed);
    bed_udp(bed, record, &seen, &at);
    int fd = peer_udp();
    for (unsigned i = 0; i < 70; i++)
        peer_send(fd, &at, data, 0);
    UNTIL(bed, seen.kinds[WEIR_DATAGRAM] == 70);
    assert_int_equal(seen.bytes, 0);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    struct weir_buf *none = bed_buf(bed, 0, 0);
    assert_non_null(none);
    none->peer = peer_addr(fd);
    assert_int_equal(weir_send(bed->engine, ep, &none, 1), 1);
    UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 0);
    peer_close(&fd);
    bed_close(bed);
}

/* With as few large slots as an engine takes: whole, or counted as truncated, never cut short.
 * Nothing that a peer sends makes the kernel cut one: UDP's length has 16 bits (RFC 768), so a
 * datagram's payload is at most 65,507 bytes over IPv4 and 65,527 over IPv6, the kernel refuses to
 * send more than 65,535 at once (UDP_SEGMENT included) and merges no more on receive, and every
 * slot that a datagram is received into, whatever the options, has WEIR_BIG_BYTES, 65,536, beside
 * what the backend puts in front. test_errno.c has the kernel's word for it forged. */
static void large_ones_are_whole_or_counted(struct bed *bed)
{
    static const uint16_t sizes[] = {1900, 1921, 2048, 2049, 4096, 9001, 40000, 65507};
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct seen seen = {0};
    opt.no_gro = 1;
    opt.burst = 1;
    opt.pool.big = 4;
    bed_open_with(bed, &opt);
    bed_udp(bed, record, &seen, &at);
    int fd = peer_udp();
    pattern_fill(data, 0, sizeof data);
    for (unsigned i = 0; i < array_len(sizes); i++) {
        uint64_t before = seen.bytes, cut = bed_count(bed).rx_truncated;
        peer_send(fd, &at, data, sizes[i]);
        UNTIL(bed, seen.bytes > before || bed_count(bed).rx_truncated > cut);
        assert_true(bed_count(bed).rx_truncated > cut || seen.len == sizes[i]);
        peer_send(fd, &at, data, 64);
        UNTIL(bed, seen.len == 64);
    }
    assert_false(seen.bad);
    peer_close(&fd);
    bed_close(bed);
}

static void more_than_the_mtu_is_refused(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    uint8_t got[64];
    opt.pool.run = 256;
    bed_open_with(bed, &opt);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    int fd = peer_udp();
    int64_t mtu = weir_ep_mtu(bed->engine, ep);
    assert_int_equal(mtu, 65507); /* 65,535 less the IPv4 and UDP headers */
    struct weir_buf *bufs[3] = {bed_buf(bed, 0, 32), bed_buf(bed, 0, (size_t)mtu + 1),
                                bed_buf(bed, 0, 32)};
    for (unsigned i = 0; i < 3; i++) {
        assert_non_null(bufs[i]);
        bufs[i]->peer = peer_addr(fd);
    }
    assert_int_equal(weir_send(bed->engine, ep, bufs, 3), 1); /* the rest is ours */
    assert_int_equal(weir_send(bed->engine, ep, bufs + 1, 2), -EMSGSIZE);
    assert_int_equal(weir_send_many(bed->engine, ep, bufs[1], &bufs[1]->peer, 1), -EMSGSIZE);
    assert_int_equal(weir_send(bed->engine, ep, bufs + 2, 1), 1);
    weir_buf_drop(&bufs[1], 1);
    for (unsigned i = 0; i < 2; i++)
        UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 32);
    peer_close(&fd);
    bed_close(bed);
}

/* The call that was cut short is the last one: what it did take needs no other to leave. */
static void one_before_an_oversized_leaves_by_itself(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    uint8_t got[64];
    opt.pool.run = 256;
    bed_open_with(bed, &opt);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    int fd = peer_udp();
    struct weir_buf *bufs[2] = {bed_buf(bed, 7, 32), bed_buf(bed, 0, 65508)};
    bed_turns(bed, 3); /* all that opening brings is over */
    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(bufs[i]);
        bufs[i]->peer = peer_addr(fd);
    }
    assert_int_equal(weir_send(bed->engine, ep, bufs, 2), 1);
    weir_buf_drop(&bufs[1], 1);
    UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 32);
    assert_true(pattern_holds(got, 7, 32));
    assert_int_equal(bed_count(bed).tx_full, 0); /* no queue was full: no WEIR_DRAIN follows */
    peer_close(&fd);
    bed_close(bed);
}

static void the_mtu_itself_goes(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    bed_open_with(bed, &opt);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    int fd = peer_udp();
    struct weir_buf *buf = bed_buf(bed, 3, 65507);
    assert_non_null(buf);
    buf->peer = peer_addr(fd);
    assert_int_equal(weir_send(bed->engine, ep, &buf, 1), 1);
    UNTIL(bed, peer_recv(fd, data, sizeof data, NULL) == 65507);
    assert_true(pattern_holds(data, 3, 65507));
    peer_close(&fd);
    bed_close(bed);
}

/* A port where nobody is answers with ICMP, which the kernel may tell at any later call: it stops
 * nothing. */
static void nobody_there_harms_nobody(struct bed *bed)
{
    struct weir_addr at, gone = peer_loopback(peer_free_port(SOCK_DGRAM), false);
    uint8_t got[64];
    bed_open(bed);
    weir_ep ep = bed_udp(bed, echo, NULL, &at);
    int fd = peer_udp();
    for (unsigned i = 0; i < 50; i++) {
        struct weir_buf *buf = bed_buf(bed, 0, 32);
        assert_non_null(buf);
        buf->peer = gone;
        assert_int_equal(weir_send(bed->engine, ep, &buf, 1), 1);
        peer_send(fd, &at, data, 16);
        UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 16);
    }
    UNTIL(bed, bed_home(bed));
    peer_close(&fd);
    bed_close(bed);
}

/* An IPv6 destination through an IPv4 socket: the peer that it came from may have chosen it. */
static void foreign_family_is_counted(struct bed *bed)
{
    uint8_t got[64];
    struct weir_addr at;
    bed_open(bed);
    weir_ep ep = bed_udp(bed, echo, NULL, &at);
    int fd = peer_udp();
    struct weir_buf *buf = bed_buf(bed, 0, 32);
    assert_non_null(buf);
    buf->peer = peer_loopback(9, true);
    assert_int_equal(weir_send(bed->engine, ep, &buf, 1), 1);
    UNTIL(bed, bed_home(bed));
    struct weir_counters c = bed_count(bed);
    assert_int_equal(c.tx_error + c.tx_unreachable, 1);
    assert_int_equal(c.tx_packets, 0);
    peer_send(fd, &at, data, 16);
    UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 16);
    peer_close(&fd);
    bed_close(bed);
}

static void drops_of_the_socket_are_told(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct seen seen = {0};
    opt.sock_bytes = 8192;
    bed_open_with(bed, &opt);
    weir_ep ep = bed_udp(bed, record, &seen, &at);
    int fd = peer_udp();
    assert_int_equal(weir_ep_drops(bed->engine, ep), 0);
    for (unsigned i = 0; i < 1000; i++)
        peer_send(fd, &at, data, 0);
    UNTIL(bed, seen.kinds[WEIR_DATAGRAM] + weir_ep_drops(bed->engine, ep) == 1000);
    assert_true(weir_ep_drops(bed->engine, ep) > 0); /* 8 KiB do not hold 1,000 */
    peer_close(&fd);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(empty_ones_are_events),        CASE(large_ones_are_whole_or_counted),
    CASE(more_than_the_mtu_is_refused), CASE(one_before_an_oversized_leaves_by_itself),
    CASE(the_mtu_itself_goes),          CASE(nobody_there_harms_nobody),
    CASE(foreign_family_is_counted),    CASE(drops_of_the_socket_are_told),
};
BED_MAIN(cases)
