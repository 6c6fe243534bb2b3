/* SPDX-License-Identifier: MIT
 * Datagrams out: in place, copied, gathered, in fragments, to ourselves, to groups; which way and
 * from which address. */
#include "two_stacks.h"

#include "stack/pmtu.h"

#define B4 "10.0.0.2:7000"
#define B6 "[fd00::2]:7000"

struct two {
    struct host a, b;
};

static void know(struct host *h, const char *address, const uint8_t mac[6])
{
    struct weir_addr ip = addr_of(address);
    stack_neighbour(h->s, ip.ip, mac, h->now_ns);
}

static void open_two_with(struct two *t, struct stack_opt opt, struct weir_pool_opt pool)
{
    host_open_with(&t->a, "10.0.0.1/24 fd00::1/64", opt, pool);
    host_open(&t->b, "10.0.0.2/24 fd00::2/64", mac_b);
    know(&t->a, B4, mac_b);
    know(&t->a, B6, mac_b);
    host_bind(&t->a, 1, "*:5000");
    host_bind(&t->b, 1, "*:7000");
}

static void open_two(struct two *t)
{
    open_two_with(t, host_opt(mac_a), (struct weir_pool_opt){.small = 512, .big = 4, .views = 4});
}

static void close_two(struct two *t)
{
    host_close(&t->a);
    host_close(&t->b);
}

static void assert_got(struct host *h, const char *from, uint32_t len)
{
    struct weir_addr peer = addr_of(from);
    assert_int_equal(h->n, 1);
    assert_memory_equal(&h->got[0].buf->peer, &peer, sizeof peer);
    assert_true(is_pattern(h->got[0].buf, len));
    host_forget(h);
}

static void every_size_arrives_that_fits(void **state)
{
    struct two t;
    struct weir_addr b4 = addr_of(B4), b6 = addr_of(B6);
    (void)state;
    open_two(&t);
    assert_int_equal(stack_udp_fit(t.a.s, &b4), 1472);
    assert_int_equal(stack_udp_fit(t.a.s, &b6), 1452);
    for (uint32_t len = 0; len <= 1472; len += len < 70 || len > 1440 ? 1 : 37) {
        assert_int_equal(host_send(&t.a, 1, &b4, len, &t.b), 1);
        assert_got(&t.b, "10.0.0.1:5000", len);
        if (len > 1452)
            continue;
        assert_int_equal(host_send(&t.a, 1, &b6, len, &t.b), 1);
        assert_got(&t.b, "[fd00::1]:5000", len);
    }
    assert_int_equal(t.a.counters.copies, 0);
    close_two(&t);
}

static void the_header_is_what_it_should_be(void **state)
{
    struct two t;
    struct tx_frame f;
    struct eth eth;
    struct ip4 ip;
    struct weir_addr b4 = addr_of(B4);
    (void)state;
    open_two(&t);
    for (unsigned i = 0; i < 2; i++) { /* the first of its flow, and one after it */
        struct weir_buf *buf = host_buf(&t.a, 10);
        buf_to_tx(buf);
        assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, &f, 1, 0), 1);
        assert_ptr_equal(f.buf, buf);
        assert_null(f.body);
        assert_int_equal(f.csum_start, 0);
        assert_int_equal(eth_parse(buf->data, buf->len, &eth), 14);
        assert_memory_equal(eth.dst, mac_b, 6);
        assert_memory_equal(eth.src, mac_a, 6);
        assert_int_equal(ip4_parse(buf->data + 14, buf->len - 14, &ip), 20);
        assert_int_equal(ip.ttl, 64);
        assert_true(ip.dont);
        assert_false(ip4_is_fragment(&ip));
        assert_int_equal(ip.total, 38);
        buf_tx_done(buf);
    }
    close_two(&t);
}

static void what_others_still_read_is_copied(void **state)
{
    struct two t;
    struct weir_addr b4 = addr_of(B4);
    struct tx_frame f;
    (void)state;
    open_two(&t);
    struct weir_buf *buf = host_buf(&t.a, 300);
    buf_ref(buf, 1);
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, &f, 1, 0), 1);
    assert_ptr_not_equal(f.buf, buf);
    assert_int_equal(buf->refs, 1); /* the transmission's came home at once */
    assert_int_equal(buf->state, WEIR_APP);
    assert_true(is_pattern(buf, 300));
    assert_int_equal(t.a.counters.copies, 1);
    assert_int_equal(t.a.counters.copied_bytes, 300);
    cross(&t.b, &f, 1);
    assert_got(&t.b, "10.0.0.1:5000", 300);
    frame_drop(buf);
    close_two(&t);
}

static void a_view_is_copied(void **state)
{
    struct two t;
    struct weir_addr b4 = addr_of(B4);
    struct tx_frame f;
    struct weir_buf *parent, *view;
    (void)state;
    open_two(&t);
    assert_int_equal(pool_take(t.a.pool, WEIR_BIG, &parent, 1), 1);
    for (uint32_t i = 0; i < 100; i++)
        parent->data[i] = (uint8_t)(i * 7 + i / 251);
    parent->len = 100;
    assert_int_equal(buf_views(parent, parent->data, 100, 100, &view, 1), 1);
    frame_drop(parent);
    buf_to_tx(view);
    assert_int_equal(stack_udp_out(t.a.s, 1, view, &b4, &f, 1, 0), 1);
    host_sound(&t.a);
    cross(&t.b, &f, 1);
    assert_got(&t.b, "10.0.0.1:5000", 100);
    close_two(&t);
}

static void no_headroom_is_a_copy(void **state)
{
    struct two t;
    struct weir_addr b4 = addr_of(B4), b6 = addr_of(B6);
    (void)state;
    open_two_with(&t, host_opt(mac_a), (struct weir_pool_opt){.small = 64, .headroom = 16});
    for (uint32_t len = 0; len <= 1452; len += 363) {
        assert_int_equal(host_send(&t.a, 1, &b4, len, &t.b), 1);
        assert_got(&t.b, "10.0.0.1:5000", len);
        assert_int_equal(host_send(&t.a, 1, &b6, len, &t.b), 1);
        assert_got(&t.b, "[fd00::1]:5000", len);
    }
    assert_int_equal(t.a.counters.copies, 10);
    close_two(&t);
}

static void large_shared_payloads_leave_as_a_body(void **state)
{
    struct two t;
    struct stack_opt opt = host_opt(mac_a);
    struct weir_addr b4 = addr_of(B4);
    struct tx_frame f;
    (void)state;
    opt.gather_bytes = 500;
    open_two_with(&t, opt, (struct weir_pool_opt){.small = 64});
    for (uint32_t len = 499; len <= 500; len++) {
        struct weir_buf *buf = host_buf(&t.a, len);
        buf_ref(buf, 1);
        buf_to_tx(buf);
        assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, &f, 1, 0), 1);
        assert_ptr_equal(f.body, len == 500 ? buf : NULL);
        assert_int_equal(f.bytes, len + 42);
        cross(&t.b, &f, 1);
        assert_got(&t.b, "10.0.0.1:5000", len);
        frame_drop(buf);
    }
    assert_int_equal(t.a.counters.copies, 1);
    close_two(&t);
}

static void the_device_completes_checksums_where_it_can(void **state)
{
    struct two t;
    struct stack_opt opt = host_opt(mac_a);
    struct weir_addr to[2] = {addr_of(B4), addr_of(B6)};
    struct tx_frame f;
    (void)state;
    opt.tx_checksum = true;
    opt.gather_bytes = 1;
    open_two_with(&t, opt, (struct weir_pool_opt){.small = 64});
    for (unsigned i = 0; i < 4; i++) {
        struct weir_buf *buf = host_buf(&t.a, 77);
        if (i >= 2)
            buf_ref(buf, 1);
        buf_to_tx(buf);
        assert_int_equal(stack_udp_out(t.a.s, 1, buf, &to[i % 2], &f, 1, 0), 1);
        assert_int_equal(f.csum_start, i % 2 ? 54 : 34);
        assert_int_equal(f.csum_offset, 6);
        cross(&t.b, &f, 1);
        assert_got(&t.b, i % 2 ? "[fd00::1]:5000" : "10.0.0.1:5000", 77);
        if (i >= 2)
            frame_drop(buf);
    }
    close_two(&t);
}

/* A sum of zero means none, so it is sent as all ones: RFC 768. */
static void a_checksum_of_zero_is_sent_as_ones(void **state)
{
    struct two t;
    struct weir_addr b4 = addr_of(B4);
    struct tx_frame f;
    uint16_t field, ones = 0xffff;
    (void)state;
    open_two(&t);
    struct weir_buf *buf = host_buf(&t.a, 0);
    memset(buf->data, 0, 2);
    buf->len = 2;
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, &f, 1, 0), 1);
    memcpy(&field, f.buf->data + 40,
           2); /* of the payload 0: as payload it makes the sum all ones */
    buf_tx_done(f.buf);
    buf = host_buf(&t.a, 0);
    memcpy(buf->data, &field, 2);
    buf->len = 2;
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, &f, 1, 0), 1);
    assert_memory_equal(f.buf->data + 40, &ones, 2);
    cross(&t.b, &f, 1);
    assert_int_equal(t.b.n, 1);
    close_two(&t);
}

/* ---- larger than the path -------------------------------------------------------------------- */

static void up_to_the_largest_datagram_goes_in_fragments(void **state)
{
    static const uint32_t sizes[] = {1473, 1480, 2953, 9000, 30000, 65507};
    struct two t;
    struct weir_addr b4 = addr_of(B4), b6 = addr_of(B6);
    (void)state;
    open_two(&t);
    for (size_t i = 0; i < array_len(sizes); i++) {
        assert_int_equal(host_send(&t.a, 1, &b4, sizes[i], &t.b), (sizes[i] + 8 + 1479) / 1480);
        assert_got(&t.b, "10.0.0.1:5000", sizes[i]);
        assert_int_equal(host_send(&t.a, 1, &b6, sizes[i], &t.b), (sizes[i] + 8 + 1447) / 1448);
        assert_got(&t.b, "[fd00::1]:5000", sizes[i]);
    }
    assert_int_equal(host_send(&t.a, 1, &b6, 65527, &t.b), 46);
    assert_got(&t.b, "[fd00::1]:5000", 65527);
    close_two(&t);
}

static void fragments_fit_the_smallest_mtu_and_the_smallest_slots(void **state)
{
    struct two t;
    struct stack_opt opt = host_opt(mac_a);
    struct weir_addr b4 = addr_of(B4);
    struct tx_frame frames[120];
    (void)state;
    opt.mtu = 576;
    host_open_with(&t.a, "10.0.0.1/24", opt, (struct weir_pool_opt){.small = 512, .big = 2});
    host_open(&t.b, "10.0.0.2/24", mac_b);
    know(&t.a, B4, mac_b);
    host_bind(&t.a, 1, "*:5000");
    host_bind(&t.b, 1, "*:7000");
    struct weir_buf *buf = host_buf(&t.a, 65507);
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, frames, 120, 0), 119);
    for (unsigned i = 0; i < 119; i++)
        assert_in_range(frames[i].bytes, 15, 576 + 14);
    cross(&t.b, frames, 119);
    assert_got(&t.b, "10.0.0.1:5000", 65507);
    close_two(&t);
}

/* What ICMP told of a path holds for what is sent from then on. */
static void a_path_that_became_narrow_takes_fragments(void **state)
{
    struct two t;
    struct weir_addr b4 = addr_of(B4);
    (void)state;
    open_two(&t);
    assert_int_equal(host_send(&t.a, 1, &b4, 1400, &t.b), 1);
    assert_got(&t.b, "10.0.0.1:5000", 1400);
    assert_true(pmtu_learn(t.a.s->pmtu, b4.ip, 1000, 1428, t.a.now_ns));
    stack_changed(t.a.s);
    assert_int_equal(stack_udp_fit(t.a.s, &b4), 972);
    assert_int_equal(host_send(&t.a, 1, &b4, 1400, &t.b), 2);
    assert_got(&t.b, "10.0.0.1:5000", 1400);
    assert_int_equal(host_send(&t.a, 1, &b4, 972, &t.b), 1);
    assert_got(&t.b, "10.0.0.1:5000", 972);
    close_two(&t);
}

/* An MTU larger than a slot: the copy of a shared payload finds the only large slot taken. */
static void a_copy_too_large_for_the_slots_left_goes_in_fragments(void **state)
{
    struct two t;
    struct stack_opt opt = host_opt(mac_a);
    struct weir_addr b4 = addr_of(B4);
    struct tx_frame frames[16];
    (void)state;
    opt.mtu = 9000;
    open_two_with(&t, opt, (struct weir_pool_opt){.small = 64, .big = 1});
    struct weir_buf *buf = host_buf(&t.a, 8000);
    buf_ref(buf, 1);
    buf_to_tx(buf);
    int n = stack_udp_out(t.a.s, 1, buf, &b4, frames, 16, 0);
    assert_int_equal(n, 5);
    cross(&t.b, frames, 5);
    assert_got(&t.b, "10.0.0.1:5000", 8000);
    frame_drop(buf);
    assert_int_equal(host_send(&t.a, 1, &b4, 8000, &t.b), 1); /* alone: in place */
    assert_got(&t.b, "10.0.0.1:5000", 8000);
    close_two(&t);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_cannot_be_sent_is_refused_and_untouched(void **state)
{
    struct two t;
    struct weir_addr to = addr_of("192.168.7.7:9"), big = addr_of(B4);
    struct weir_addr none = addr_of("0.0.0.0:9"), loop = addr_of("127.0.0.1:9");
    struct weir_addr port = addr_of("10.0.0.2:0"), far6 = addr_of("[2001:db8::1]:9");
    struct weir_addr b6 = addr_of(B6);
    (void)state;
    open_two(&t);
    host_bind(&t.a, 2, "10.0.0.1:5002");
    host_bind(&t.a, 3, "0.0.0.0:5003");
    host_bind(&t.a, 4, "[fd00::1]:5004");
    assert_int_equal(host_send(&t.a, 1, &to, 5, NULL), -ENETUNREACH);
    assert_int_equal(host_send(&t.a, 1, &far6, 5, NULL), -ENETUNREACH);
    assert_int_equal(host_send(&t.a, 1, &loop, 5, NULL), -ENETUNREACH);
    assert_int_equal(host_send(&t.a, 1, &none, 5, NULL), -EINVAL);
    assert_int_equal(host_send(&t.a, 1, &port, 5, NULL), -EINVAL);
    assert_int_equal(host_send(&t.a, 9, &big, 5, NULL), -EINVAL); /* not bound */
    assert_int_equal(host_send(&t.a, 2, &b6, 5, NULL), -EAFNOSUPPORT);
    assert_int_equal(host_send(&t.a, 3, &b6, 5, NULL), -EAFNOSUPPORT);
    assert_int_equal(host_send(&t.a, 4, &big, 5, NULL), -EAFNOSUPPORT);
    assert_int_equal(host_send(&t.a, 1, &big, 65508, NULL), -EMSGSIZE);
    assert_int_equal(host_send(&t.a, 1, &b6, 65528, NULL), -EMSGSIZE);
    close_two(&t);
}

static void no_room_changes_nothing(void **state)
{
    struct two t;
    struct weir_addr b4 = addr_of(B4);
    struct weir_buf *hoard[16], *buf;
    struct tx_frame f[8];
    (void)state;
    open_two_with(&t, host_opt(mac_a), (struct weir_pool_opt){.small = 16, .big = 2});
    buf = host_buf(&t.a, 8000);
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, f, 0, 0), -ENOBUFS);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, f, 5, 0), -ENOBUFS); /* 6 fragments */
    unsigned n = weir_buf_take(t.a.pool, hoard, 12);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, f, 8, 0), -ENOBUFS);
    assert_true(is_pattern(buf, 8000));
    assert_int_equal(buf->state, WEIR_TX);
    weir_buf_drop(hoard, n);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, f, 8, 0), 6);
    cross(&t.b, f, 6);
    assert_got(&t.b, "10.0.0.1:5000", 8000);
    buf = host_buf(&t.a, 65507); /* 45 fragments: this pool never has that many */
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, f, 8, 0), -EMSGSIZE);
    buf_tx_done(buf);
    close_two(&t);
}

static void no_buffer_for_a_copy_changes_nothing(void **state)
{
    struct two t;
    struct weir_addr b4 = addr_of(B4);
    struct tx_frame f;
    struct weir_buf *buf;
    (void)state;
    open_two_with(&t, host_opt(mac_a), (struct weir_pool_opt){.small = 1});
    buf = host_buf(&t.a, 50);
    buf_ref(buf, 1);
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, &f, 1, 0), -ENOBUFS);
    assert_true(is_pattern(buf, 50));
    assert_int_equal(buf->refs, 2);
    buf_tx_done(buf);
    frame_drop(buf);
    close_two(&t);
}

/* ---- which way ------------------------------------------------------------------------------- */

/* Where one datagram's frame goes and comes from. */
static void way(struct host *h, uint32_t socket, const char *text, struct eth *eth, struct ip4 *ip)
{
    struct weir_addr to = addr_of(text);
    struct weir_buf *buf = host_buf(h, 5);
    struct tx_frame f;
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(h->s, socket, buf, &to, &f, 1, h->now_ns), 1);
    assert_int_equal(eth_parse(f.buf->data, f.buf->len, eth), 14);
    assert_int_equal(ip4_parse(f.buf->data + 14, f.buf->len - 14, ip), 20);
    buf_tx_done(f.buf);
}

static void groups_and_broadcasts_have_their_macs(void **state)
{
    struct two t;
    struct eth eth;
    struct ip4 ip;
    struct tx_frame f;
    struct weir_addr to = addr_of("[ff02::1:3]:9");
    (void)state;
    open_two(&t);
    way(&t.a, 1, "239.129.2.3:9", &eth, &ip);
    assert_memory_equal(eth.dst, "\x01\x00\x5e\x01\x02\x03", 6);
    assert_int_equal(ip.ttl, 1);
    way(&t.a, 1, "255.255.255.255:9", &eth, &ip);
    assert_memory_equal(eth.dst, "\xff\xff\xff\xff\xff\xff", 6);
    way(&t.a, 1, "10.0.0.255:9", &eth, &ip);
    assert_memory_equal(eth.dst, "\xff\xff\xff\xff\xff\xff", 6);
    assert_int_equal(ip.ttl, 64);
    struct weir_buf *buf = host_buf(&t.a, 5);
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &to, &f, 1, 0), 1);
    assert_memory_equal(f.buf->data, "\x33\x33\x00\x01\x00\x03", 6);
    assert_int_equal(f.buf->data[21], 1);
    buf_tx_done(f.buf);
    close_two(&t);
}

static void the_longest_prefix_decides(void **state)
{
    static const uint8_t gate1[6] = {2, 1, 1, 1, 1, 1}, gate2[6] = {2, 2, 2, 2, 2, 2};
    struct stack_opt opt = host_opt(mac_a);
    struct weir_route route[2] = {{.to = net_of("0.0.0.0/0")}, {.to = net_of("172.16.0.0/12")}};
    struct eth eth;
    struct ip4 ip;
    struct host a;
    (void)state;
    memcpy(route[0].via, net_of("10.0.0.254").ip, 16);
    memcpy(route[1].via, net_of("10.0.9.254").ip, 16);
    opt.route = route;
    opt.routes = 2;
    host_open_with(&a, "10.0.0.1/24 10.0.9.1/24", opt, (struct weir_pool_opt){.small = 16});
    know(&a, "10.0.0.254:1", gate1);
    know(&a, "10.0.9.254:1", gate2);
    know(&a, "10.0.9.2:1", mac_b);
    host_bind(&a, 1, "0.0.0.0:5000");
    way(&a, 1, "8.8.8.8:9", &eth, &ip);
    assert_memory_equal(eth.dst, gate1, 6);
    assert_memory_equal(ip.src, "\x0a\0\0\1", 4);
    way(&a, 1, "172.17.0.1:9", &eth, &ip);
    assert_memory_equal(eth.dst, gate2, 6);
    assert_memory_equal(ip.src, "\x0a\0\x09\1", 4);
    way(&a, 1, "10.0.9.2:9", &eth, &ip);
    assert_memory_equal(eth.dst, mac_b, 6);
    host_close(&a);
}

static void a_wildcard_answers_from_where_it_was_asked(void **state)
{
    struct host a;
    struct eth eth;
    struct ip4 ip;
    uint8_t frame[64];
    (void)state;
    host_open(&a, "10.0.0.1/24 10.0.0.7/24", mac_a);
    know(&a, B4, mac_b);
    host_bind(&a, 1, "0.0.0.0:5000");
    host_bind(&a, 2, "10.0.0.7:5002");
    for (unsigned i = 0; i < 2; i++) {
        host_in(&a, frame, make_udp4(frame, B4, i ? "10.0.0.1:5000" : "10.0.0.7:5000"), 0);
        way(&a, 1, B4, &eth, &ip);
        assert_int_equal(ip.src[3], i ? 1 : 7);
    }
    way(&a, 2, B4, &eth, &ip);
    assert_int_equal(ip.src[3], 7);
    host_close(&a);
}

static void a_neighbours_new_mac_is_used_at_once(void **state)
{
    static const uint8_t other[6] = {2, 9, 9, 9, 9, 9};
    struct two t;
    struct eth eth;
    struct ip4 ip;
    (void)state;
    open_two(&t);
    way(&t.a, 1, B4, &eth, &ip);
    assert_memory_equal(eth.dst, mac_b, 6);
    know(&t.a, B4, other);
    way(&t.a, 1, B4, &eth, &ip);
    assert_memory_equal(eth.dst, other, 6);
    close_two(&t);
}

static void a_socket_used_again_has_its_new_port(void **state)
{
    struct two t;
    struct weir_addr b4 = addr_of(B4);
    (void)state;
    open_two(&t);
    host_send(&t.a, 1, &b4, 5, &t.b);
    assert_got(&t.b, "10.0.0.1:5000", 5);
    stack_unbind(t.a.s, 1);
    assert_int_equal(host_send(&t.a, 1, &b4, 5, NULL), -EINVAL);
    host_bind(&t.a, 1, "*:6000");
    host_send(&t.a, 1, &b4, 5, &t.b);
    assert_got(&t.b, "10.0.0.1:6000", 5);
    close_two(&t);
}

/* ---- to ourselves ---------------------------------------------------------------------------- */

static void our_own_addresses_are_reached_without_a_wire(void **state)
{
    struct two t;
    struct weir_addr own = addr_of("10.0.0.1:7"), closed = addr_of("10.0.0.1:8");
    (void)state;
    open_two(&t);
    host_bind(&t.a, 2, "10.0.0.1:7");
    assert_int_equal(host_send(&t.a, 1, &own, 200, NULL), 0);
    assert_true(stack_has_looped(t.a.s));
    t.a.n = stack_looped(t.a.s, t.a.got, 8);
    assert_int_equal(t.a.got[0].socket, 2);
    assert_got(&t.a, "10.0.0.1:5000", 200);
    assert_int_equal(host_send(&t.a, 1, &closed, 200, NULL), 0);
    assert_false(stack_has_looped(t.a.s));
    assert_int_equal(t.a.counters.no_port, 1);
    assert_int_equal(t.a.counters.looped, 2);
    close_two(&t);
}

static void what_waits_for_a_closed_socket_goes(void **state)
{
    struct two t;
    struct weir_addr own[2] = {addr_of("10.0.0.1:7"), addr_of("10.0.0.1:8")};
    (void)state;
    open_two(&t);
    host_bind(&t.a, 2, "10.0.0.1:7");
    host_bind(&t.a, 3, "10.0.0.1:8");
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(host_send(&t.a, 1, &own[i % 2], i, NULL), 0);
    stack_unbind(t.a.s, 2);
    assert_int_equal(t.a.counters.no_port, 3);
    t.a.n = stack_looped(t.a.s, t.a.got, 8);
    assert_int_equal(t.a.n, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(t.a.got[i].buf->len, 2 * i + 1);
    host_forget(&t.a);
    for (unsigned i = 0; i < LOOPED_MAX; i++)
        assert_int_equal(host_send(&t.a, 1, &own[1], 1, NULL), 0);
    assert_int_equal(host_send(&t.a, 1, &own[1], 1, NULL), -ENOBUFS);
    close_two(&t); /* with all of them still there */
}

/* ---- neighbours that are not known ------------------------------------------------------------ */

static void the_first_datagram_waits_for_its_neighbour(void **state)
{
    struct two t;
    struct weir_addr to[2] = {addr_of(B4), addr_of(B6)};
    (void)state;
    host_open(&t.a, "10.0.0.1/24 fd00::1/64", mac_a);
    host_open(&t.b, "10.0.0.2/24 fd00::2/64", mac_b);
    host_bind(&t.a, 1, "*:5000");
    host_bind(&t.b, 1, "*:7000");
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(host_send(&t.a, 1, &to[i], 100, NULL), 0);
        settle(&t.a, &t.b);
        assert_got(&t.b, i ? "[fd00::1]:5000" : "10.0.0.1:5000", 100);
        assert_int_equal(host_send(&t.a, 1, &to[i], 1400, &t.b), 1);
        assert_got(&t.b, i ? "[fd00::1]:5000" : "10.0.0.1:5000", 1400);
    }
    close_two(&t);
}

/* Shared or large, it waits as well: as a copy, or as fragments. */
static void what_cannot_wait_in_place_waits_as_a_copy(void **state)
{
    struct two t;
    struct weir_addr b4 = addr_of(B4);
    struct tx_frame f[64];
    (void)state;
    host_open(&t.a, "10.0.0.1/24", mac_a);
    host_open(&t.b, "10.0.0.2/24", mac_b);
    host_bind(&t.a, 1, "*:5000");
    host_bind(&t.b, 1, "*:7000");
    struct weir_buf *buf = host_buf(&t.a, 300);
    buf_ref(buf, 1);
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(t.a.s, 1, buf, &b4, f, 64, t.a.now_ns), 0);
    assert_int_equal(buf->refs, 1);
    frame_drop(buf);
    settle(&t.a, &t.b);
    assert_got(&t.b, "10.0.0.1:5000", 300);
    close_two(&t);
    host_open(&t.a, "10.0.0.1/24", mac_a);
    host_open(&t.b, "10.0.0.2/24", mac_b);
    host_bind(&t.a, 1, "*:5000");
    host_bind(&t.b, 1, "*:7000");
    assert_int_equal(host_send(&t.a, 1, &b4, 9000, NULL), 0);
    settle(&t.a, &t.b);
    assert_got(&t.b, "10.0.0.1:5000", 9000);
    close_two(&t);
}

/* Worker 1 has no neighbour of its own: its packet waits with worker 0, as a copy. */
static void another_workers_packet_waits_with_worker_0(void **state)
{
    struct stack_opt opt = host_opt(mac_a);
    struct host zero, one, b;
    struct weir_addr b4 = addr_of(B4);
    struct weir_buf *handed[8];
    (void)state;
    host_open(&zero, "10.0.0.1/24", mac_a);
    opt.worker = 1;
    opt.shared = stack_neighbours(zero.s);
    host_open_with(&one, "10.0.0.1/24", opt, (struct weir_pool_opt){.small = 64});
    host_open(&b, "10.0.0.2/24", mac_b);
    host_bind(&one, 1, "*:5000");
    host_bind(&b, 1, "*:7000");
    assert_int_equal(host_send(&one, 1, &b4, 100, NULL), 0);
    assert_int_equal(stack_handed(one.s, handed, 8), 1);
    assert_int_equal(frame_meta(handed[0])->flags, FRAME_OUTWARD);
    assert_int_equal(handed[0]->state, WEIR_APP);
    assert_int_equal(stack_take_over(zero.s, handed, 1, zero.got, zero.now_ns), 0);
    host_sound(&one);
    settle(&zero, &b);
    assert_got(&b, "10.0.0.1:5000", 100);
    assert_int_equal(host_send(&one, 1, &b4, 100, &b), 1); /* it reads worker 0's cache now */
    assert_got(&b, "10.0.0.1:5000", 100);
    host_close(&b);
    host_close(&one);
    host_close(&zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_arrives_that_fits),
        cmocka_unit_test(the_header_is_what_it_should_be),
        cmocka_unit_test(what_others_still_read_is_copied),
        cmocka_unit_test(a_view_is_copied),
        cmocka_unit_test(no_headroom_is_a_copy),
        cmocka_unit_test(large_shared_payloads_leave_as_a_body),
        cmocka_unit_test(the_device_completes_checksums_where_it_can),
        cmocka_unit_test(a_checksum_of_zero_is_sent_as_ones),
        cmocka_unit_test(up_to_the_largest_datagram_goes_in_fragments),
        cmocka_unit_test(fragments_fit_the_smallest_mtu_and_the_smallest_slots),
        cmocka_unit_test(a_path_that_became_narrow_takes_fragments),
        cmocka_unit_test(a_copy_too_large_for_the_slots_left_goes_in_fragments),
        cmocka_unit_test(what_cannot_be_sent_is_refused_and_untouched),
        cmocka_unit_test(no_room_changes_nothing),
        cmocka_unit_test(no_buffer_for_a_copy_changes_nothing),
        cmocka_unit_test(groups_and_broadcasts_have_their_macs),
        cmocka_unit_test(the_longest_prefix_decides),
        cmocka_unit_test(a_wildcard_answers_from_where_it_was_asked),
        cmocka_unit_test(a_neighbours_new_mac_is_used_at_once),
        cmocka_unit_test(a_socket_used_again_has_its_new_port),
        cmocka_unit_test(our_own_addresses_are_reached_without_a_wire),
        cmocka_unit_test(what_waits_for_a_closed_socket_goes),
        cmocka_unit_test(the_first_datagram_waits_for_its_neighbour),
        cmocka_unit_test(what_cannot_wait_in_place_waits_as_a_copy),
        cmocka_unit_test(another_workers_packet_waits_with_worker_0),
    };
    return run_group(tests);
}
