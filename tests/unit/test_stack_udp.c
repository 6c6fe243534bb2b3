/* SPDX-License-Identifier: MIT
 * UDP frames in: what becomes a datagram, and in which counter everything else ends. */
#include "two_stacks.h"

#define HERE4 "10.0.0.1:7000"
#define PEER4 "10.0.0.2:999"
#define HERE6 "[fd00::1]:7000"
#define PEER6 "[fd00::2]:999"

/* Every frame ends in exactly one counter: the only one that moved. */
#define MOVED(h, before, name)                                                                     \
    moved(h, before, offsetof(struct weir_counters, name) / sizeof(uint64_t), #name)

static void snap(struct host *h, struct weir_counters *ret)
{
    counters_snapshot(&h->counters, ret);
}

static void moved(struct host *h, const struct weir_counters *before, size_t which,
                  const char *name)
{
    struct weir_counters after;
    const uint64_t *was = (const void *)before, *is = (const void *)&after;
    snap(h, &after);
    if (is[which] != was[which] + 1)
        fail_msg("%s did not move by one", name);
    for (size_t i = 0; i < sizeof after / sizeof(uint64_t); i++)
        if (i != which && is[i] != was[i])
            fail_msg("beside %s, counter %zu moved", name, i);
}

static void open_a(struct host *h)
{
    struct stack_opt opt = host_opt(mac_a);
    opt.answers = false; /* answers would count as well */
    host_open_with(h, "10.0.0.1/24 fd00::1/64", opt, (struct weir_pool_opt){.small = 64, .big = 4});
    host_bind(h, 3, "*:7000");
}

static void assert_ping(struct host *h, const char *peer)
{
    struct weir_addr from = addr_of(peer);
    struct stack_datagram *d = &h->got[0];
    assert_int_equal(h->n, 1);
    assert_int_equal(d->socket, 3);
    assert_int_equal(d->buf->len, 4);
    assert_memory_equal(d->buf->data, "ping", 4);
    assert_memory_equal(&d->buf->peer, &from, sizeof from);
    host_forget(h);
}

static void a_datagram_arrives(void **state)
{
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    host_in(&a, frame, make_udp4(frame, PEER4, HERE4), 0);
    assert_ping(&a, PEER4);
    host_in(&a, frame, make_udp6(frame, PEER6, HERE6), 0);
    assert_ping(&a, PEER6);
    host_close(&a);
}

static void the_devices_time_is_told_where_there_is_one(void **state)
{
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    size_t n = make_udp4(frame, PEER4, HERE4);
    host_in(&a, frame, n, FRAME_TIME | FRAME_CSUM_OK);
    host_in(&a, frame, n, 0);
    assert_int_equal(a.got[0].rx_ns, 77);
    assert_int_equal(a.got[1].rx_ns, 0);
    host_close(&a);
}

static void padding_and_what_udp_does_not_claim_is_cut(void **state)
{
    uint8_t frame[128] = {0};
    struct host a;
    (void)state;
    open_a(&a);
    make_udp4(frame, PEER4, HERE4);
    host_in(&a, frame, 60, 0);
    assert_ping(&a, PEER4);
    frame[17] = 40; /* eight bytes more of IP than UDP has */
    mend_ip4(frame);
    host_in(&a, frame, 60, 0);
    assert_ping(&a, PEER4);
    make_udp6(frame, PEER6, HERE6);
    host_in(&a, frame, 100, 0);
    assert_ping(&a, PEER6);
    host_close(&a);
}

static void no_payload_is_a_datagram_too(void **state)
{
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    make_udp4(frame, PEER4, HERE4);
    frame[17] = 28;
    frame[39] = 8;
    memset(frame + 40, 0, 2);
    mend_ip4(frame);
    assert_int_equal(host_in(&a, frame, 42, 0), 1);
    assert_int_equal(a.got[0].buf->len, 0);
    host_close(&a);
}

static void options_go_the_long_way_to_the_same_end(void **state)
{
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    size_t n = make_udp4(frame, PEER4, HERE4);
    memmove(frame + 38, frame + 34, n - 34);
    memset(frame + 34, 1, 4); /* no operation: RFC 791 */
    frame[14] = 0x46;
    frame[17] = 36;
    mend_ip4(frame);
    host_in(&a, frame, n + 4, 0);
    assert_ping(&a, PEER4);
    host_close(&a);
}

static void a_checksum_is_verified_where_the_device_did_not(void **state)
{
    struct weir_counters was;
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    size_t n = make_udp4(frame, PEER4, HERE4);
    frame[43] ^= 1;
    snap(&a, &was);
    assert_int_equal(host_in(&a, frame, n, 0), 0);
    MOVED(&a, &was, bad_checksum);
    assert_int_equal(host_in(&a, frame, n, FRAME_CSUM_OK), 1);
    n = make_udp6(frame, PEER6, HERE6);
    frame[63] ^= 1;
    snap(&a, &was);
    assert_int_equal(host_in(&a, frame, n, 0), 0);
    MOVED(&a, &was, bad_checksum);
    host_close(&a);
}

static void no_checksum_is_right_over_ip4_only(void **state)
{
    struct weir_counters was;
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    size_t n = make_udp4(frame, PEER4, HERE4);
    memset(frame + 40, 0, 2);
    host_in(&a, frame, n, 0);
    assert_ping(&a, PEER4);
    n = make_udp6(frame, PEER6, HERE6);
    memset(frame + 60, 0, 2);
    snap(&a, &was);
    host_in(&a, frame, n, FRAME_CSUM_OK);
    MOVED(&a, &was, bad_checksum);
    host_close(&a);
}

/* A local sender leaves the sum of the pseudo-header, for a device to go on from. */
static void a_partial_checksum_is_named(void **state)
{
    struct weir_counters was;
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    size_t n = make_udp4(frame, PEER4, HERE4);
    uint16_t partial = checksum_fold(checksum_pseudo4(frame + 26, frame + 30, IP_UDP, 12));
    memcpy(frame + 40, &partial, 2);
    snap(&a, &was);
    assert_int_equal(host_in(&a, frame, n, 0), 0);
    MOVED(&a, &was, partial_checksum);
    snap(&a, &was);
    host_in(&a, frame, n, FRAME_CSUM_PARTIAL);
    MOVED(&a, &was, partial_checksum);
    assert_ping(&a, PEER4);
    n = make_udp6(frame, PEER6, HERE6);
    partial = checksum_fold(checksum_pseudo6(frame + 22, frame + 38, IP_UDP, 12));
    memcpy(frame + 60, &partial, 2);
    snap(&a, &was);
    assert_int_equal(host_in(&a, frame, n, 0), 0);
    MOVED(&a, &was, partial_checksum);
    host_close(&a);
}

/* ---- drops: a change to a good frame, and the counter ---------------------------------------- */

struct damage {
    const char *what;
    size_t counter;
    bool ip6;
    uint16_t cut; /* the frame's length; 0: whole */
    uint16_t at, bytes;
    const char *to;
};

#define COUNTER(name) offsetof(struct weir_counters, name) / sizeof(uint64_t)

static const struct damage damages[] = {
    {"a runt", COUNTER(drop_short), false, 13, 0, 0, ""},
    {"an IPv4 header cut", COUNTER(drop_short), false, 33, 0, 0, ""},
    {"an IPv6 header cut", COUNTER(drop_short), true, 53, 0, 0, ""},
    {"IPv4 cut", COUNTER(dishonest_length), false, 40, 0, 0, ""},
    {"IPv6 cut", COUNTER(dishonest_length), true, 60, 0, 0, ""},
    {"another's MAC", COUNTER(drop_mac), false, 0, 5, 1, "\x99"},
    {"another group", COUNTER(drop_mac), true, 0, 0, 6, "\x33\x33\0\0\0\2"},
    {"a VLAN tag", COUNTER(drop_vlan), false, 0, 12, 6, "\x81\0\0\1\x08\0"},
    {"another type", COUNTER(drop_ethertype), false, 0, 12, 2, "\x88\xcc"},
    {"802.3", COUNTER(drop_ethertype), false, 0, 12, 2, "\0\x40"},
    {"total too long", COUNTER(dishonest_length), false, 0, 17, 1, "\x21"},
    {"total too short", COUNTER(dishonest_length), false, 0, 17, 1, "\x13"},
    {"version 5", COUNTER(bad_version), false, 0, 14, 1, "\x55"},
    {"version 4 as IPv6", COUNTER(bad_version), true, 0, 14, 1, "\x45"},
    {"UDP cut by IP", COUNTER(drop_short), false, 0, 17, 1, "\x1b"},
    {"UDP too long", COUNTER(dishonest_length), false, 0, 39, 1, "\x0d"},
    {"UDP too short", COUNTER(dishonest_length), false, 0, 39, 1, "\x07"},
    {"UDP too long", COUNTER(dishonest_length), true, 0, 59, 1, "\x0d"},
    {"not our address", COUNTER(not_ours), false, 0, 33, 1, "\x07"},
    {"not our address", COUNTER(not_ours), true, 0, 53, 1, "\x07"},
    {"multicast", COUNTER(not_ours), false, 0, 30, 4, "\xe0\0\0\1"},
    {"all nodes", COUNTER(not_ours), true, 0, 38, 16, "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1"},
    {"mapped", COUNTER(not_ours), true, 0, 38, 16, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1"},
    {"from loopback", COUNTER(bad_source), false, 0, 26, 1, "\x7f"},
    {"from nowhere", COUNTER(bad_source), false, 0, 26, 4, "\0\0\0\0"},
    {"from a group", COUNTER(bad_source), false, 0, 26, 1, "\xe0"},
    {"from everybody", COUNTER(bad_source), false, 0, 26, 4, "\xff\xff\xff\xff"},
    {"from the subnet", COUNTER(bad_source), false, 0, 29, 1, "\xff"},
    {"from ourselves", COUNTER(bad_source), false, 0, 29, 1, "\x01"},
    {"from ourselves", COUNTER(bad_source), true, 0, 37, 1, "\x01"},
    {"from a group", COUNTER(bad_source), true, 0, 22, 1, "\xff"},
    {"from loopback", COUNTER(bad_source), true, 0, 22, 2, "\0\0"},
    {"TCP", COUNTER(no_protocol), false, 0, 23, 1, "\x06"},
    {"TCP", COUNTER(no_protocol), true, 0, 20, 1, "\x06"},
    {"a closed port", COUNTER(no_port), false, 0, 37, 1, "\x59"},
    {"a closed port", COUNTER(no_port), true, 0, 57, 1, "\x59"},
};

static void every_drop_has_its_counter(void **state)
{
    struct weir_counters was;
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    for (size_t i = 0; i < array_len(damages); i++) {
        const struct damage *d = &damages[i];
        size_t n = d->ip6
                       ? make_udp6(frame, d->at == 22 && d->bytes == 2 ? "[::1]:9" : PEER6, HERE6)
                       : make_udp4(frame, PEER4, HERE4);
        memcpy(frame + d->at, d->to, d->bytes);
        if (!d->ip6 && d->at > 14 && d->at < 34)
            mend_ip4(frame);
        snap(&a, &was);
        if (host_in(&a, frame, d->cut ? d->cut : n, FRAME_CSUM_OK))
            fail_msg("%s was delivered", d->what);
        moved(&a, &was, d->counter, d->what);
        host_sound(&a);
    }
    host_close(&a);
}

static void a_wrong_header_checksum_is_counted(void **state)
{
    struct weir_counters was;
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    size_t n = make_udp4(frame, PEER4, HERE4);
    frame[24] ^= 1;
    snap(&a, &was);
    host_in(&a, frame, n, FRAME_CSUM_OK);
    MOVED(&a, &was, bad_checksum);
    host_close(&a);
}

/* RFC 8200, 4.2: an unknown option whose type begins with 01 says discard. */
static void an_option_that_says_discard_is_obeyed(void **state)
{
    static const uint8_t options[8] = {IP_UDP, 0, 0x40, 4};
    struct weir_counters was;
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    make_udp6(frame, PEER6, HERE6);
    memmove(frame + 62, frame + 54, 12);
    memcpy(frame + 54, options, 8);
    frame[20] = IP6_DESTINATION;
    frame[19] = 20;
    snap(&a, &was);
    host_in(&a, frame, 74, 0);
    MOVED(&a, &was, bad_options);
    frame[56] = 0x1e; /* begins with 00: skip */
    host_in(&a, frame, 74, 0);
    assert_ping(&a, PEER6);
    host_close(&a);
}

static void a_broadcast_is_for_wildcards(void **state)
{
    static const char *const to[] = {"255.255.255.255:7000", "10.0.0.255:7000"};
    struct weir_counters was;
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    for (unsigned i = 0; i < 2; i++) {
        size_t n = make_udp4(frame, PEER4, to[i]);
        memset(frame, 0xff, 6);
        host_in(&a, frame, n, 0);
        assert_ping(&a, PEER4);
    }
    stack_unbind(a.s, 3);
    host_bind(&a, 3, HERE4);
    snap(&a, &was);
    host_in(&a, frame, make_udp4(frame, PEER4, to[1]), 0);
    MOVED(&a, &was, no_port);
    host_in(&a, frame, make_udp4(frame, PEER4, HERE4), 0);
    assert_ping(&a, PEER4);
    host_close(&a);
}

/* A burst with all kinds in it: order is kept, and what is no datagram leaves no gap. */
static void a_burst_keeps_its_order(void **state)
{
    struct weir_buf *bufs[40];
    struct host a;
    (void)state;
    open_a(&a);
    assert_int_equal(weir_buf_take(a.pool, bufs, 40), 40);
    for (unsigned i = 0; i < 40; i++) {
        uint8_t *p = bufs[i]->data;
        *frame_meta(bufs[i]) = (struct frame_meta){0};
        bufs[i]->len = (uint32_t)(i % 2 ? make_udp6(p, PEER6, HERE6) : make_udp4(p, PEER4, HERE4));
        p[bufs[i]->len - 1] = (uint8_t)i;
        memset(p + (i % 2 ? 60 : 40), 0, 2);
        uint64_t sum = i % 2 ? checksum_pseudo6(p + 22, p + 38, IP_UDP, 12) : 0;
        sum = checksum_finish(checksum_add(sum, p + 54, 12));
        if (i % 2)
            memcpy(p + 60, &(uint16_t){(uint16_t)sum}, 2);
        if (i % 5 == 0)
            p[5] ^= 0x40; /* another's MAC */
    }
    a.n = stack_in(a.s, bufs, 40, a.got, 5);
    assert_int_equal(a.n, 32);
    for (unsigned i = 0, at = 0; i < 40; i++)
        if (i % 5)
            assert_int_equal(a.got[at++].buf->data[3], i);
    host_close(&a);
}

static void the_most_specific_socket_is_served(void **state)
{
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    host_bind(&a, 5, HERE4);
    host_bind(&a, 6, HERE6);
    host_in(&a, frame, make_udp4(frame, PEER4, HERE4), 0);
    host_in(&a, frame, make_udp6(frame, PEER6, HERE6), 0);
    assert_int_equal(a.got[0].socket, 5);
    assert_int_equal(a.got[1].socket, 6);
    stack_unbind(a.s, 5);
    host_in(&a, frame, make_udp4(frame, PEER4, HERE4), 0);
    assert_int_equal(a.got[2].socket, 3);
    host_close(&a);
}

static void the_wildcard_of_ip4_does_not_serve_ip6(void **state)
{
    struct weir_counters was;
    uint8_t frame[128];
    struct host a;
    (void)state;
    open_a(&a);
    stack_unbind(a.s, 3);
    host_bind(&a, 3, "0.0.0.0:7000");
    host_in(&a, frame, make_udp4(frame, PEER4, HERE4), 0);
    assert_ping(&a, PEER4);
    snap(&a, &was);
    host_in(&a, frame, make_udp6(frame, PEER6, HERE6), 0);
    MOVED(&a, &was, no_port);
    host_close(&a);
}

/* ---- several workers ------------------------------------------------------------------------- */

struct pair {
    struct host zero, one;
};

static void open_pair(struct pair *p)
{
    struct stack_opt opt = host_opt(mac_a);
    host_open(&p->zero, "10.0.0.1/24 fd00::1/64", mac_a);
    opt.worker = 1;
    opt.shared = stack_neighbours(p->zero.s);
    host_open_with(&p->one, "10.0.0.1/24 fd00::1/64", opt, (struct weir_pool_opt){.small = 512});
}

static void close_pair(struct pair *p)
{
    host_close(&p->one);
    host_close(&p->zero);
}

static void a_worker_hands_over_what_is_worker_zeros(void **state)
{
    struct weir_buf *handed[8];
    uint8_t frame[128] = {0};
    struct pair p;
    (void)state;
    open_pair(&p);
    host_bind(&p.one, 3, "*:7000");
    size_t n = make_udp4(frame, PEER4, HERE4);
    frame[20] = 0x20; /* more fragments */
    mend_ip4(frame);
    host_in(&p.one, frame, n, 0);
    make_udp4(frame, PEER4, HERE4);
    frame[23] = IP_ICMP;
    mend_ip4(frame);
    host_in(&p.one, frame, n, 0);
    make_udp6(frame, PEER6, HERE6);
    frame[20] = IP_ICMP6;
    host_in(&p.one, frame, n + 20, 0);
    memcpy(frame + 12, "\x08\x06", 2);
    host_in(&p.one, frame, 60, 0);
    assert_int_equal(p.one.n, 0);
    assert_int_equal(stack_handed(p.one.s, handed, 8), 4);
    weir_buf_drop(handed, 4);
    close_pair(&p);
}

static void what_nobody_fetches_is_dropped_at_a_limit(void **state)
{
    uint8_t frame[128] = {0};
    struct pair p;
    (void)state;
    open_pair(&p);
    memcpy(frame, mac_a, 6);
    memcpy(frame + 12, "\x08\x06", 2);
    for (unsigned i = 0; i < HANDED_MAX + 5; i++)
        host_in(&p.one, frame, 60, 0);
    assert_int_equal(p.one.counters.handed_full, 5);
    host_sound(&p.one);
    close_pair(&p);
}

/* A datagram among them is copied, because its memory is the other worker's. */
static void what_is_taken_over_goes_home(void **state)
{
    struct stack_datagram got[2];
    struct weir_buf *buf;
    struct pair p;
    (void)state;
    open_pair(&p);
    host_bind(&p.zero, 4, "*:7000");
    assert_int_equal(weir_buf_take(p.one.pool, &buf, 1), 1);
    buf->len = (uint32_t)make_udp4(buf->data, PEER4, HERE4);
    *frame_meta(buf) = (struct frame_meta){0};
    assert_int_equal(stack_take_over(p.zero.s, &buf, 1, got, 5), 1);
    assert_ptr_equal(got[0].buf->pool, p.zero.pool);
    assert_memory_equal(got[0].buf->data, "ping", 4);
    assert_int_equal(p.zero.counters.foreign_copied, 1);
    weir_buf_drop(&got[0].buf, 1);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_arrives),
        cmocka_unit_test(the_devices_time_is_told_where_there_is_one),
        cmocka_unit_test(padding_and_what_udp_does_not_claim_is_cut),
        cmocka_unit_test(no_payload_is_a_datagram_too),
        cmocka_unit_test(options_go_the_long_way_to_the_same_end),
        cmocka_unit_test(a_checksum_is_verified_where_the_device_did_not),
        cmocka_unit_test(no_checksum_is_right_over_ip4_only),
        cmocka_unit_test(a_partial_checksum_is_named),
        cmocka_unit_test(every_drop_has_its_counter),
        cmocka_unit_test(a_wrong_header_checksum_is_counted),
        cmocka_unit_test(an_option_that_says_discard_is_obeyed),
        cmocka_unit_test(a_broadcast_is_for_wildcards),
        cmocka_unit_test(a_burst_keeps_its_order),
        cmocka_unit_test(the_most_specific_socket_is_served),
        cmocka_unit_test(the_wildcard_of_ip4_does_not_serve_ip6),
        cmocka_unit_test(a_worker_hands_over_what_is_worker_zeros),
        cmocka_unit_test(what_nobody_fetches_is_dropped_at_a_limit),
        cmocka_unit_test(what_is_taken_over_goes_home),
    };
    return run_group(tests);
}
