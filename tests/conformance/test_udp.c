/* SPDX-License-Identifier: MIT
 * Datagrams on a good day: what was sent arrives, whole, in the order of its flow, from whom it
 * came. */
#include "bed.h"

#include <errno.h>
#include <sys/socket.h>

static uint8_t big[65536], got[65536];

/* Sends `len` bytes of the pattern to an echoing endpoint and waits until they are back. */
static void round_trip(struct bed *bed, int fd, const struct weir_addr *at, size_t len)
{
    struct weir_addr from;
    ssize_t n = -1;
    pattern_fill(big, len, len);
    memset(got, 0, len);
    peer_send(fd, at, big, len);
    UNTIL(bed, (n = peer_recv(fd, got, sizeof got, &from)) >= 0);
    assert_int_equal(n, len);
    assert_memory_equal(got, big, len);
    assert_memory_equal(&from, at, sizeof from);
}

static void echo_of_one_datagram(struct bed *bed)
{
    struct weir_addr at;
    bed_open(bed);
    bed_udp(bed, echo, NULL, &at);
    int fd = peer_udp();
    round_trip(bed, fd, &at, 64);
    UNTIL(bed, bed_count(bed)
                   .tx_packets); /* counted at completion, which may be after the peer has it */
    struct weir_counters c = bed_count(bed);
    assert_int_equal(c.rx_packets, 1);
    assert_int_equal(c.rx_bytes, 64);
    assert_int_equal(c.tx_packets, 1);
    assert_int_equal(c.tx_bytes, 64);
    peer_close(&fd);
    bed_close(bed);
}

static void event_says_from_whom_and_when(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    bed_open(bed);
    weir_ep ep = bed_udp(bed, record, &seen, &at);
    int fd = peer_udp();
    struct weir_addr self = peer_addr(fd);
    uint64_t before = weir_now_ns();
    pattern_fill(big, 0, 100);
    peer_send(fd, &at, big, 100);
    UNTIL(bed, seen.kinds[WEIR_DATAGRAM]);
    assert_int_equal(seen.ep, ep);
    assert_int_equal(seen.len, 100);
    assert_false(seen.bad);
    assert_memory_equal(&seen.peer, &self, sizeof self);
    assert_true(seen.rx_ns >= before && seen.rx_ns <= weir_now_ns());
    peer_close(&fd);
    bed_close(bed);
}

#define BURST 300u

static bool echoes_in_order(int fd, uint32_t *next, uint32_t upto)
{
    uint32_t number[16];
    ssize_t n;
    while (*next < upto && (n = peer_recv(fd, number, sizeof number, NULL)) >= 0) {
        assert_int_equal(n, sizeof number);
        assert_int_equal(number[0], *next);
        ++*next;
    }
    return *next == upto;
}

static void echo_of_a_burst_keeps_its_order(struct bed *bed)
{
    struct weir_addr at;
    uint32_t next = 0;
    bed_open(bed);
    bed_udp(bed, echo, NULL, &at);
    int fd = peer_udp();
    for (uint32_t i = 0; i < BURST; i++) {
        uint32_t number[16] = {i};
        peer_send(fd, &at, number, sizeof number);
    }
    UNTIL(bed, echoes_in_order(fd, &next, BURST));
    assert_int_equal(bed_count(bed).rx_packets, BURST);
    UNTIL(bed, bed_home(bed));
    assert_int_equal(bed_count(bed).tx_packets, BURST);
    peer_close(&fd);
    bed_close(bed);
}

#define PEERS 100u

static void many_peers_each_get_their_own(struct bed *bed)
{
    struct weir_addr at;
    int fd[PEERS];
    uint32_t next[PEERS] = {0};
    bed_open(bed);
    bed_udp(bed, echo, NULL, &at);
    for (unsigned i = 0; i < PEERS; i++)
        fd[i] = peer_udp();
    for (uint32_t turn = 0; turn < 3; turn++)
        for (unsigned i = 0; i < PEERS; i++) {
            uint32_t number[16] = {turn, i};
            peer_send(fd[i], &at, number, sizeof number);
        }
    for (unsigned i = 0; i < PEERS; i++) {
        UNTIL(bed, echoes_in_order(fd[i], &next[i], 3));
        assert_int_equal(peer_recv(fd[i], got, sizeof got, NULL), -1);
        peer_close(&fd[i]);
    }
    bed_close(bed);
}

static void sizes_from_0_to_65507(struct bed *bed)
{
    static const uint32_t sizes[] = {0,     1,     63,    64,    512,   1472,  1473, 1919,
                                     1920,  1921,  2047,  2048,  2049,  4096,  9000, 16384,
                                     32768, 65000, 65407, 65408, 65409, 65506, 65507};
    struct weir_addr at;
    bed_open(bed);
    bed_udp(bed, echo, NULL, &at);
    int fd = peer_udp();
    for (unsigned i = 0; i < array_len(sizes); i++)
        round_trip(bed, fd, &at, sizes[i]);
    assert_int_equal(bed_count(bed).rx_truncated, 0);
    peer_close(&fd);
    bed_close(bed);
}

static void one_payload_to_many_peers(struct bed *bed)
{
    int fd[PEERS];
    struct weir_addr to[PEERS];
    bed_open(bed);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    for (unsigned i = 0; i < PEERS; i++)
        to[i] = peer_addr(fd[i] = peer_udp());
    struct weir_buf *buf = bed_buf(bed, 0, 200);
    assert_int_equal(weir_send_many(bed->engine, ep, buf, to, PEERS), PEERS);
    assert_int_equal(buf->refs, PEERS + 1);
    for (unsigned i = 0; i < PEERS; i++) {
        UNTIL(bed, peer_recv(fd[i], got, sizeof got, NULL) == 200);
        assert_true(pattern_holds(got, 0, 200));
        peer_close(&fd[i]);
    }
    UNTIL(bed, buf->refs == 1); /* all of the engine's came home, ours is left */
    assert_int_equal(buf->state, WEIR_APP);
    assert_int_equal(bed_count(bed).tx_packets, PEERS);
    weir_buf_drop(&buf, 1);
    bed_close(bed);
}

static void payload_shared_with_its_sender_may_be_sent_again(struct bed *bed)
{
    bed_open(bed);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    int fd = peer_udp();
    struct weir_addr to = peer_addr(fd);
    struct weir_buf *buf = bed_buf(bed, 0, 200);
    for (unsigned turn = 0; turn < 5; turn++) {
        assert_int_equal(weir_send_many(bed->engine, ep, buf, &to, 1), 1);
        bed_turn(bed);
    }
    for (unsigned turn = 0; turn < 5; turn++) {
        UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 200);
        assert_true(pattern_holds(got, 0, 200));
    }
    UNTIL(bed, buf->refs == 1);
    weir_buf_drop(&buf, 1);
    peer_close(&fd);
    bed_close(bed);
}

static void ip6_and_the_wildcard(struct bed *bed)
{
    struct weir_addr any, at, one = peer_loopback(0, true);
    if (!peer_has_ip6())
        SKIP("no IPv6 on this host");
    bed_open(bed);
    weir_ep ep;
    assert_int_equal(weir_addr_parse("*:0", &any), 0);
    assert_int_equal(weir_udp_open(bed->engine, &any, echo, NULL, &ep), 0);
    assert_int_equal(weir_ep_local(bed->engine, ep, &at), 0);
    int four = peer_udp(), six = peer_udp_at(&one);
    struct weir_addr by4 = peer_loopback(at.port, false), by6 = peer_loopback(at.port, true);
    round_trip(bed, four, &by4, 100);
    round_trip(bed, six, &by6, 100);
    peer_close(&four);
    peer_close(&six);
    bed_close(bed);
}

static void addresses_that_cannot_be_had(struct bed *bed)
{
    struct seen seen = {0};
    struct weir_addr at, far = weir_addr_ip4(192, 0, 2, 1, 7000); /* RFC 5737: nobody's */
    weir_ep ep = 0;
    bed_open(bed);
    weir_ep first = bed_udp(bed, record, &seen, &at);
    assert_int_equal(weir_udp_open(bed->engine, &at, record, &seen, &ep), -EADDRINUSE);
    assert_int_equal(weir_udp_open(bed->engine, &far, record, &seen, &ep), -EADDRNOTAVAIL);
    assert_int_equal(weir_tcp_listen(bed->engine, &far, record, &seen, &ep), -EADDRNOTAVAIL);
    assert_int_equal(weir_close(bed->engine, first), 0);
    bed_turns(bed, 3);
    assert_int_equal(weir_udp_open(bed->engine, &at, record, &seen, &ep), 0);
    bed_close(bed);
}

static void endpoints_run_out_and_come_back(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr any = peer_loopback(0, false);
    weir_ep ep[8], more;
    opt.endpoints_max = 8;
    bed_open_with(bed, &opt); /* the bystander is one of the eight */
    for (unsigned i = 0; i < 7; i++)
        ep[i] = bed_udp(bed, echo, NULL, NULL);
    assert_int_equal(weir_udp_open(bed->engine, &any, echo, NULL, &more), -ENFILE);
    assert_int_equal(weir_tcp_listen(bed->engine, &any, echo, NULL, &more), -ENFILE);
    assert_int_equal(weir_close(bed->engine, ep[3]), 0);
    bed_turns(bed, 3);
    assert_int_equal(weir_udp_open(bed->engine, &any, echo, NULL, &more), 0);
    bed_close(bed);
}

/* What the table of backends says of streams is so. */
static void streams_are_there_or_refused(struct bed *bed)
{
    struct weir_addr at = peer_loopback(0, false), to;
    weir_ep listener = 0, stream = 0;
    bed_open(bed);
    int expected = bed->info->streams ? 0 : -EOPNOTSUPP;
    assert_int_equal(weir_tcp_listen(bed->engine, &at, echo, NULL, &listener), expected);
    if (expected == 0)
        assert_int_equal(weir_ep_local(bed->engine, listener, &to), 0);
    else
        to = peer_loopback(9, false);
    assert_int_equal(weir_tcp_connect(bed->engine, &to, echo, NULL, &stream), expected);
    bed_turns(bed, 3);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(echo_of_one_datagram),
    CASE(event_says_from_whom_and_when),
    CASE(echo_of_a_burst_keeps_its_order),
    CASE(many_peers_each_get_their_own),
    CASE(sizes_from_0_to_65507),
    CASE(one_payload_to_many_peers),
    CASE(payload_shared_with_its_sender_may_be_sent_again),
    CASE(ip6_and_the_wildcard),
    CASE(addresses_that_cannot_be_had),
    CASE(endpoints_run_out_and_come_back),
    CASE(streams_are_there_or_refused),
};
BED_MAIN(cases)
