/* SPDX-License-Identifier: MIT
 * What a stack says for itself, and what it believes: ARP, neighbour discovery, ICMP. Host a is
 * 10.0.0.1 and fd00::1; all frames come from b, 10.0.0.2 and fd00::2, or from nobody. */
#include "two_stacks.h"

#include "stack/control.h"

#define A_IPS "10.0.0.1/24 fd00::1/64"
#define B_IPS "10.0.0.2/24 fd00::2/64"
#define SECOND 1000000000ull
#define COUNTED(h, name) ((uint64_t)atomic_load(&(h)->counters.name))

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t mac_c[6] = {2, 0, 0, 0, 0, 0xc};
static const uint8_t a4[4] = {10, 0, 0, 1}, b4[4] = {10, 0, 0, 2};

struct bytes {
    size_t n;
    uint8_t at[2048];
};

/* The next frame of the stack's own, completed. n 0: there is none. */
static struct bytes said(struct host *h)
{
    struct bytes ret = {0};
    struct tx_frame frame;
    if (stack_out(h->s, &frame, 1))
        ret.n = frame_out(&frame, ret.at);
    host_sound(h);
    return ret;
}
static void says_nothing(struct host *h)
{
    assert_int_equal(said(h).n, 0);
}
static void says_arp(struct host *h)
{
    struct bytes b = said(h);
    assert_true(b.n && be16_load(b.at + 12) == ETH_ARP);
    says_nothing(h);
}
static void hear(struct host *h, const struct bytes *b)
{
    assert_int_equal(host_in(h, b->at, b->n, 0), 0);
}
static void tick(struct host *h, uint64_t ns)
{
    h->now_ns += ns;
    stack_tick(h->s, h->now_ns);
}

static struct bytes arp_of(unsigned op, const uint8_t dst[6], const uint8_t mac[6],
                           const uint8_t src[4], const uint8_t target[4])
{
    struct bytes b;
    struct eth eth = {.type = ETH_ARP};
    struct arp arp = {.op = (uint16_t)op};
    memcpy(eth.dst, dst, 6), memcpy(eth.src, mac, 6);
    memcpy(arp.src_mac, mac, 6), memcpy(arp.src_ip, src, 4), memcpy(arp.dst_ip, target, 4);
    b.n = eth_emit(b.at, &eth);
    b.n += arp_emit(b.at + b.n, &arp);
    return b;
}

static struct arp arp_in_frame(const struct bytes *b)
{
    struct arp arp;
    struct eth eth;
    assert_true(b->n >= ETH_BYTES + ARP_BYTES);
    assert_int_equal(eth_parse(b->at, b->n, &eth), ETH_BYTES);
    assert_int_equal(eth.type, ETH_ARP);
    assert_memory_equal(eth.src, mac_a, 6);
    assert_int_equal(arp_parse(b->at + ETH_BYTES, b->n - ETH_BYTES, &arp), ARP_BYTES);
    return arp;
}

static void only_a(struct host *h)
{
    host_open(h, A_IPS, mac_a);
    h->now_ns = 1000 * SECOND;
}

/* ---- ARP ------------------------------------------------------------------------------------- */

static void arp_requests_are_answered_and_learned(void **state)
{
    (void)state;
    struct host h;
    only_a(&h);
    struct bytes b = arp_of(ARP_REQUEST, everybody, mac_b, b4, a4);
    hear(&h, &b);
    struct bytes out = said(&h);
    struct arp arp = arp_in_frame(&out);
    assert_memory_equal(out.at, mac_b, 6);
    assert_int_equal(arp.op, ARP_REPLY);
    assert_memory_equal(arp.src_mac, mac_a, 6);
    assert_memory_equal(arp.src_ip, a4, 4);
    assert_memory_equal(arp.dst_mac, mac_b, 6);
    assert_memory_equal(arp.dst_ip, b4, 4);
    host_bind(&h, 0, "10.0.0.1:7");
    struct weir_addr to = addr_of("10.0.0.2:9");
    struct tx_frame frame;
    struct weir_buf *buf = host_buf(&h, 10);
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(h.s, 0, buf, &to, &frame, 1, h.now_ns), 1); /* no question */
    assert_memory_equal(frame.buf->data, mac_b, 6);
    buf_tx_done(frame.buf);
    assert_int_equal(COUNTED(&h, arp_in), 1);
    host_close(&h);
}

/* RFC 5227: who looks whether our address is free hears that it is not, and is not learned. */
static void arp_probes_are_answered_but_not_learned(void **state)
{
    (void)state;
    struct host h;
    struct neighbours_stats stats;
    only_a(&h);
    struct bytes b = arp_of(ARP_REQUEST, everybody, mac_b, (const uint8_t[4]){0}, a4);
    hear(&h, &b);
    struct bytes out = said(&h);
    assert_int_equal(arp_in_frame(&out).op, ARP_REPLY);
    neighbours_stats(stack_neighbours(h.s), &stats);
    assert_int_equal(stats.count, 0);
    host_close(&h);
}

static void arp_for_others_is_let_be(void **state)
{
    (void)state;
    struct host h;
    struct neighbours_stats stats;
    only_a(&h);
    const uint8_t c4[4] = {10, 0, 0, 3};
    struct bytes list[] = {
        arp_of(ARP_REQUEST, everybody, mac_b, b4, c4), /* for another */
        arp_of(ARP_REPLY, mac_a, mac_b, b4, a4),       /* that nobody asked for */
        arp_of(ARP_REQUEST, everybody, mac_b, b4, b4), /* an announcement */
        arp_of(ARP_REPLY, everybody, mac_b, b4, b4),
    };
    for (unsigned i = 0; i < array_len(list); i++)
        hear(&h, &list[i]);
    says_nothing(&h);
    neighbours_stats(stack_neighbours(h.s), &stats);
    assert_int_equal(stats.count, 0);
    assert_int_equal(COUNTED(&h, arp_in), 4);
    assert_int_equal(COUNTED(&h, arp_bad), 0);
    host_close(&h);
}

static void bad_arp_is_refused(void **state)
{
    (void)state;
    struct host h;
    only_a(&h);
    struct bytes list[] = {
        arp_of(ARP_REQUEST, everybody, mac_b, b4, a4),
        arp_of(ARP_REQUEST, everybody, mac_b, b4, a4),
        arp_of(ARP_REQUEST, everybody, everybody, b4, a4), /* a MAC that is no card's */
        arp_of(ARP_REQUEST, everybody, mac_b, b4, a4),     /* no MAC at all */
        arp_of(ARP_REQUEST, everybody, mac_b, a4, a4),     /* claims our address */
        arp_of(ARP_REQUEST, everybody, mac_b, (const uint8_t[4]){224, 0, 0, 1}, a4),
        arp_of(ARP_REQUEST, everybody, mac_b, (const uint8_t[4]){10, 0, 0, 255}, a4),
    };
    list[0].n -= 1;
    list[1].at[ETH_BYTES + 7] = 9; /* no such operation */
    memset(list[3].at + ETH_BYTES + 8, 0, 6);
    memcpy(list[2].at + 6, mac_b, 6); /* a frame from a group is refused before it is read */
    for (unsigned i = 0; i < array_len(list); i++) {
        hear(&h, &list[i]);
        assert_int_equal(COUNTED(&h, arp_bad), i + 1);
    }
    says_nothing(&h);
    host_close(&h);
}

/* A storm through the front door: the peer in use is unharmed, answers are limited, nothing is lost. */
static void an_arp_storm_is_bounded(void **state)
{
    (void)state;
    enum { STORM = 200000 };
    struct host a, b;
    struct neighbours_stats stats;
    only_a(&a);
    host_open(&b, B_IPS, mac_b);
    b.now_ns = a.now_ns;
    host_bind(&a, 0, "10.0.0.1:7");
    host_bind(&b, 0, "10.0.0.2:7");
    struct weir_addr to = addr_of("10.0.0.2:7");
    assert_int_equal(host_send(&a, 0, &to, 10, &b), 0);
    settle(&a, &b);
    assert_int_equal(b.n, 1);
    for (uint32_t i = 0; i < STORM; i++) {
        const uint8_t src[4] = {10, 0, 0, (uint8_t)(3 + i % 250)};
        const uint8_t mac[6] = {2, 9, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        struct bytes frame = arp_of(ARP_REQUEST, everybody, mac, i % 2 ? src : b4, a4);
        a.now_ns += 1000;
        hear(&a, &frame);
        while (said(&a).n)
            ;
    }
    neighbours_stats(stack_neighbours(a.s), &stats);
    assert_true(stats.unasked <= 256);
    assert_true(COUNTED(&a, icmp_limited) > STORM / 2 - 2000);
    assert_true(COUNTED(&a, arp_bad) >= STORM / 2);
    assert_int_equal(host_send(&a, 0, &to, 10, &b), 1);
    assert_int_equal(b.n, 2);
    host_close(&a);
    host_close(&b);
}

/* ---- what waits ------------------------------------------------------------------------------ */

static void what_waits_goes_in_order_when_the_answer_comes(void **state)
{
    (void)state;
    struct host a, b;
    only_a(&a);
    host_open(&b, B_IPS, mac_b);
    b.now_ns = a.now_ns;
    static const char *const from[] = {"10.0.0.1:7", "[fd00::1]:7"};
    static const char *const to[] = {"10.0.0.2:7", "[fd00::2]:7"};
    for (unsigned f = 0; f < 2; f++) {
        struct weir_addr peer = addr_of(to[f]);
        host_bind(&a, f, from[f]);
        host_bind(&b, f, to[f]);
        for (uint32_t i = 1; i <= 5; i++)
            assert_int_equal(host_send(&a, f, &peer, i, &b), 0);
        assert_int_equal(COUNTED(&a, neighbour_requests), f + 1); /* one question for all */
        settle(&a, &b);
        assert_int_equal(b.n, 5);
        for (uint32_t i = 0; i < 5; i++)
            assert_true(is_pattern(b.got[i].buf, i + 1));
        host_forget(&b);
    }
    host_close(&a);
    host_close(&b);
}

static void what_waits_in_vain_is_dropped_and_counted(void **state)
{
    (void)state;
    struct host a;
    only_a(&a);
    struct weir_addr peer = addr_of("10.0.0.77:7"), peer6 = addr_of("[fd00::77]:7");
    host_bind(&a, 0, "10.0.0.1:7");
    host_bind(&a, 1, "[fd00::1]:7");
    for (uint32_t i = 1; i <= 5; i++) {
        assert_int_equal(host_send(&a, 0, &peer, i, NULL), 0);
        assert_int_equal(host_send(&a, 1, &peer6, i, NULL), 0);
    }
    unsigned questions = 0;
    for (unsigned i = 0; i < 35; i++, tick(&a, SECOND / 10))
        while (said(&a).n)
            questions++;
    assert_int_equal(questions, 6);
    assert_int_equal(COUNTED(&a, neighbour_requests), 6);
    assert_int_equal(COUNTED(&a, neighbour_failed), 10);
    assert_int_equal(host_send(&a, 0, &peer, 1, NULL), -EHOSTUNREACH);
    tick(&a, SECOND);
    assert_int_equal(host_send(&a, 0, &peer, 1, NULL), 0); /* it is tried again */
    host_close(&a);                                        /* with one that waits */
}

static void what_others_resolve_is_wanted_once_a_second(void **state)
{
    (void)state;
    struct host h;
    struct stack_opt opt = host_opt(mac_a);
    opt.answers = false;
    host_open_with(&h, A_IPS, opt, (struct weir_pool_opt){.small = 64, .big = 2});
    h.now_ns = 1000 * SECOND;
    uint8_t ip[16];
    struct weir_addr peer = addr_of("10.0.0.2:7");
    host_bind(&h, 0, "10.0.0.1:7");
    assert_int_equal(host_send(&h, 0, &peer, 3, NULL), 0);
    assert_int_equal(host_send(&h, 0, &peer, 4, NULL), 0);
    assert_true(stack_wanted(h.s, ip));
    assert_memory_equal(ip, peer.ip, 16);
    assert_false(stack_wanted(h.s, ip));
    tick(&h, SECOND);
    assert_true(stack_wanted(h.s, ip));
    says_nothing(&h);
    stack_neighbour(h.s, peer.ip, mac_b, h.now_ns);
    assert_int_equal(said(&h).n, 14 + 28 + 3);
    assert_int_equal(said(&h).n, 14 + 28 + 4);
    stack_neighbour(h.s, peer.ip, NULL, h.now_ns);
    assert_int_equal(host_send(&h, 0, &peer, 3, NULL), 0);
    stack_neighbour(h.s, peer.ip, NULL, h.now_ns); /* known to be nowhere */
    assert_int_equal(COUNTED(&h, neighbour_failed), 1);
    struct bytes b = arp_of(ARP_REQUEST, everybody, mac_b, b4, a4);
    hear(&h, &b); /* the kernel's to answer */
    says_nothing(&h);
    host_close(&h);
}

/* ---- neighbour discovery --------------------------------------------------------------------- */

static struct bytes nd_of(const char *src, const char *dst, uint8_t hops, struct nd nd)
{
    struct bytes b;
    struct eth eth = {.type = ETH_IP6};
    struct weir_addr from = addr_of(src), to = addr_of(dst);
    uint32_t bytes = (uint32_t)nd_bytes(&nd);
    struct ip6 ip = {.protocol = IP_ICMP6, .hop_limit = hops, .bytes = (uint16_t)bytes};
    memcpy(eth.dst, mac_a, 6), memcpy(eth.src, mac_b, 6);
    if (to.ip[0] == 0xff)
        memcpy(eth.dst, (uint8_t[6]){0x33, 0x33, to.ip[12], to.ip[13], to.ip[14], to.ip[15]}, 6);
    memcpy(ip.src, from.ip, 16), memcpy(ip.dst, to.ip, 16);
    b.n = eth_emit(b.at, &eth);
    b.n += ip6_emit(b.at + b.n, &ip);
    b.n += nd_emit(b.at + b.n, checksum_pseudo6(ip.src, ip.dst, IP_ICMP6, bytes), &nd);
    return b;
}

static struct nd nd_about(uint8_t type, const char *target, const uint8_t *mac)
{
    struct nd nd = {.type = type, .has_mac = mac != NULL};
    memcpy(nd.target, addr_of(target).ip, 16);
    if (mac)
        memcpy(nd.mac, mac, 6);
    return nd;
}

static struct nd nd_in_frame(const struct bytes *b, struct ip6 *ip)
{
    struct nd nd;
    assert_true(b->n > ETH_BYTES + IP6_BYTES);
    assert_int_equal(ip6_parse(b->at + ETH_BYTES, b->n - ETH_BYTES, ip), IP6_BYTES);
    assert_int_equal(ip->hop_limit, 255);
    assert_true(nd_parse(b->at + ETH_BYTES + IP6_BYTES, ip->bytes,
                         checksum_pseudo6(ip->src, ip->dst, IP_ICMP6, ip->bytes), &nd) > 0);
    return nd;
}

static void solicitations_are_answered(void **state)
{
    (void)state;
    struct host h;
    struct ip6 ip;
    only_a(&h);
    static const char *const to[] = {"[ff02::1:ff00:1]:0", "[fd00::1]:0"};
    for (unsigned i = 0; i < 2; i++) {
        struct bytes b =
            nd_of("[fd00::2]:0", to[i], 255, nd_about(ICMP6_SOLICITATION, "[fd00::1]:0", mac_b));
        hear(&h, &b);
        struct bytes out = said(&h);
        struct nd nd = nd_in_frame(&out, &ip);
        assert_memory_equal(out.at, mac_b, 6);
        assert_int_equal(nd.type, ICMP6_ADVERTISEMENT);
        assert_true(nd.solicited && nd.override && nd.has_mac && !nd.router);
        assert_memory_equal(nd.mac, mac_a, 6);
        assert_memory_equal(nd.target, addr_of("[fd00::1]:0").ip, 16);
        assert_memory_equal(ip.dst, addr_of("[fd00::2]:0").ip, 16);
    }
    assert_int_equal(COUNTED(&h, nd_bad), 0);
    host_close(&h);
}

/* RFC 4862, 5.4: who looks whether our address is free hears it, with everybody. */
static void a_probe_for_duplicates_is_answered_to_all(void **state)
{
    (void)state;
    struct host h;
    struct ip6 ip;
    only_a(&h);
    struct bytes b = nd_of("[::]:0", "[ff02::1:ff00:1]:0", 255,
                           nd_about(ICMP6_SOLICITATION, "[fd00::1]:0", NULL));
    hear(&h, &b);
    struct bytes out = said(&h);
    struct nd nd = nd_in_frame(&out, &ip);
    assert_memory_equal(out.at, ((uint8_t[6]){0x33, 0x33, 0, 0, 0, 1}), 6);
    assert_memory_equal(ip.dst, addr_of("[ff02::1]:0").ip, 16);
    assert_true(!nd.solicited && nd.has_mac);
    host_close(&h);
}

static void bad_discovery_is_refused(void **state)
{
    (void)state;
    struct host h;
    only_a(&h);
    struct nd sol = nd_about(ICMP6_SOLICITATION, "[fd00::1]:0", mac_b);
    struct nd bare = nd_about(ICMP6_SOLICITATION, "[fd00::1]:0", NULL);
    struct nd adv = nd_about(ICMP6_ADVERTISEMENT, "[fd00::2]:0", mac_b), ours = adv;
    struct nd group = nd_about(ICMP6_SOLICITATION, "[fd00::1]:0", everybody);
    struct nd none = nd_about(ICMP6_SOLICITATION, "[fd00::1]:0", (const uint8_t[6]){0});
    adv.solicited = true;
    memcpy(ours.target, addr_of("[fd00::1]:0").ip, 16);
    struct bytes list[] = {
        nd_of("[fd00::2]:0", "[fd00::1]:0", 254, sol),         /* came through a router */
        nd_of("[fd00::2]:0", "[ff02::1:ff00:1]:0", 255, bare), /* whom should we answer? */
        nd_of("[::]:0", "[ff02::1:ff00:1]:0", 255, sol),       /* a probe with an address */
        nd_of("[::]:0", "[fd00::1]:0", 255, bare),             /* a probe for one alone */
        nd_of("[fd00::2]:0", "[ff02::1]:0", 255, adv),         /* an answer to all */
        nd_of("[fd00::2]:0", "[ff02::1]:0", 255, ours),        /* claims our address */
        nd_of("[fd00::2]:0", "[fd00::1]:0", 255, group),       /* a MAC that is no card's */
        nd_of("[fd00::2]:0", "[fd00::1]:0", 255, none),
        nd_of("[fd00::2]:0", "[fd00::1]:0", 255, sol), /* behind a fragment header, see below */
    };
    struct bytes *last = &list[array_len(list) - 1];
    memmove(last->at + 62, last->at + 54, last->n - 54);
    memcpy(last->at + 54, (const uint8_t[8]){IP_ICMP6}, 8);
    last->at[20] = IP6_FRAGMENT;
    be16_store(last->at + 18, (uint16_t)(last->n - 54 + 8));
    last->n += 8;
    for (unsigned i = 0; i < array_len(list); i++) {
        hear(&h, &list[i]);
        assert_int_equal(COUNTED(&h, nd_bad), i + 1);
        says_nothing(&h);
    }
    host_close(&h);
}

static void a_spoofed_advertisement_changes_nothing(void **state)
{
    (void)state;
    struct host a, b;
    only_a(&a);
    host_open(&b, B_IPS, mac_b);
    b.now_ns = a.now_ns;
    host_bind(&a, 0, "[fd00::1]:7");
    host_bind(&b, 0, "[fd00::2]:7");
    struct weir_addr to = addr_of("[fd00::2]:7");
    host_send(&a, 0, &to, 10, &b);
    settle(&a, &b);
    struct nd adv = nd_about(ICMP6_ADVERTISEMENT, "[fd00::2]:0", mac_c);
    adv.solicited = adv.override = true;
    struct bytes frame = nd_of("[fd00::2]:0", "[fd00::1]:0", 255, adv);
    hear(&a, &frame);
    assert_int_equal(COUNTED(&a, nd_bad), 1);
    assert_int_equal(host_send(&a, 0, &to, 10, &b), 1); /* dropped by b were it for another MAC */
    assert_int_equal(b.n, 2);
    host_close(&a);
    host_close(&b);
}

/* ---- echo ------------------------------------------------------------------------------------ */

static struct bytes echo4_of(const char *src, const char *dst, uint32_t n, uint8_t options)
{
    struct bytes b;
    struct eth eth = {.type = ETH_IP4};
    struct icmp icmp = {ICMP_ECHO, 0, 0x12340007};
    struct ip4 ip = {.ttl = 9, .protocol = IP_ICMP, .option_bytes = options};
    memset(ip.options, 1, sizeof ip.options); /* no operation */
    ip.total = (uint16_t)(IP4_BYTES + options + ICMP_BYTES + n);
    memcpy(eth.dst, mac_a, 6), memcpy(eth.src, mac_b, 6);
    memcpy(ip.src, addr_of(src).ip + 12, 4), memcpy(ip.dst, addr_of(dst).ip + 12, 4);
    b.n = eth_emit(b.at, &eth);
    b.n += ip4_emit(b.at + b.n, &ip);
    for (uint32_t i = 0; i < n; i++)
        b.at[b.n + ICMP_BYTES + i] = (uint8_t)(i * 3 + 1);
    icmp_emit(b.at + b.n, ICMP_BYTES + n, 0, &icmp);
    b.n += ICMP_BYTES + n;
    return b;
}

static void echoes_come_back(void **state)
{
    (void)state;
    struct host h;
    struct ip4 ip;
    struct icmp icmp;
    only_a(&h);
    for (uint32_t n = 0; n <= 1472; n += n ? 491 : 490) { /* odd lengths as well */
        h.now_ns += SECOND;
        struct bytes b = echo4_of("10.0.0.2:0", "10.0.0.1:0", n, n ? 0 : 8);
        hear(&h, &b);
        struct bytes out = said(&h);
        assert_int_equal(out.n, ETH_BYTES + IP4_BYTES + ICMP_BYTES + n);
        assert_memory_equal(out.at, mac_b, 6);
        assert_memory_equal(out.at + 6, mac_a, 6);
        assert_int_equal(ip4_parse(out.at + ETH_BYTES, out.n - ETH_BYTES, &ip), IP4_BYTES);
        assert_memory_equal(ip.src, a4, 4);
        assert_memory_equal(ip.dst, b4, 4);
        assert_int_equal(ip.ttl, 64);
        assert_true(icmp_parse(out.at + 34, ICMP_BYTES + n, 0, &icmp) > 0);
        assert_int_equal(icmp.type, ICMP_ECHO_REPLY);
        assert_int_equal(icmp.rest, 0x12340007);
        assert_memory_equal(out.at + 42, b.at + b.n - n, n);
    }
    assert_int_equal(COUNTED(&h, copies), 0); /* in place */
    host_close(&h);
}

static void echoes_of_ip6_come_back(void **state)
{
    (void)state;
    struct host h;
    struct ip6 ip = {.protocol = IP_ICMP6, .hop_limit = 3, .bytes = 21}, got;
    struct icmp icmp = {ICMP6_ECHO, 0, 77}, answer;
    struct eth eth = {.type = ETH_IP6};
    struct bytes b;
    only_a(&h);
    memcpy(eth.dst, mac_a, 6), memcpy(eth.src, mac_b, 6);
    memcpy(ip.src, addr_of("[fd00::2]:0").ip, 16), memcpy(ip.dst, addr_of("[fd00::1]:0").ip, 16);
    b.n = eth_emit(b.at, &eth);
    b.n += ip6_emit(b.at + b.n, &ip);
    memcpy(b.at + b.n + 8, "thirteen more", 13);
    icmp_emit(b.at + b.n, 21, checksum_pseudo6(ip.src, ip.dst, IP_ICMP6, 21), &icmp);
    b.n += 21;
    hear(&h, &b);
    struct bytes out = said(&h);
    assert_int_equal(out.n, b.n);
    assert_int_equal(ip6_parse(out.at + ETH_BYTES, out.n - ETH_BYTES, &got), IP6_BYTES);
    assert_memory_equal(got.src, ip.dst, 16);
    assert_memory_equal(got.dst, ip.src, 16);
    assert_true(
        icmp_parse(out.at + 54, 21, checksum_pseudo6(got.src, got.dst, IP_ICMP6, 21), &answer) > 0);
    assert_int_equal(answer.type, ICMP6_ECHO_REPLY);
    assert_memory_equal(out.at + 62, "thirteen more", 13);
    host_close(&h);
}

static void echoes_are_limited(void **state)
{
    (void)state;
    struct host h;
    unsigned answers = 0;
    only_a(&h);
    struct bytes b = echo4_of("10.0.0.2:0", "10.0.0.1:0", 56, 0);
    for (unsigned i = 0; i < 5000; i++, h.now_ns += SECOND / 5000) {
        hear(&h, &b);
        answers += said(&h).n > 0;
    }
    assert_in_range(answers, 1000, 1051);
    assert_int_equal(COUNTED(&h, icmp_limited), 5000 - answers);
    host_close(&h);
}

static void a_bad_echo_is_not_answered(void **state)
{
    (void)state;
    struct host h;
    only_a(&h);
    struct bytes bad = echo4_of("10.0.0.2:0", "10.0.0.1:0", 56, 0);
    bad.at[bad.n - 1] ^= 1;
    struct bytes all = echo4_of("10.0.0.2:0", "10.0.0.255:0", 56, 0);
    hear(&h, &bad);
    hear(&h, &all); /* smurf */
    says_nothing(&h);
    assert_int_equal(COUNTED(&h, bad_checksum), 1);
    host_close(&h);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void a_closed_port_is_told_quoting_the_packet(void **state)
{
    (void)state;
    struct host h;
    struct bytes b;
    struct icmp icmp;
    struct ip4 ip;
    only_a(&h);
    b.n = make_udp4(b.at, "10.0.0.2:5", "10.0.0.1:6");
    hear(&h, &b);
    struct bytes out = said(&h);
    assert_int_equal(out.n, 14 + 20 + 8 + 32);
    assert_memory_equal(out.at, mac_b, 6);
    assert_int_equal(ip4_parse(out.at + 14, out.n - 14, &ip), 20);
    assert_memory_equal(ip.dst, b4, 4);
    assert_true(icmp_parse(out.at + 34, 40, 0, &icmp) > 0);
    assert_int_equal(icmp.type, ICMP_UNREACHABLE);
    assert_int_equal(icmp.code, ICMP_PORT_UNREACHABLE);
    assert_memory_equal(out.at + 42, b.at + 14, 32);
    assert_int_equal(COUNTED(&h, no_port), 1);
    assert_int_equal(COUNTED(&h, icmp_out), 1);
    assert_int_equal(COUNTED(&h, copies), 0); /* in place */
    host_close(&h);
}

static void a_closed_port_is_told_in_ip6(void **state)
{
    (void)state;
    struct host h;
    struct bytes b;
    struct icmp icmp;
    struct ip6 ip;
    only_a(&h);
    b.n = make_udp6(b.at, "[fd00::2]:5", "[fd00::1]:6");
    hear(&h, &b);
    struct bytes out = said(&h);
    assert_int_equal(out.n, 14 + 40 + 8 + 52);
    assert_int_equal(ip6_parse(out.at + 14, out.n - 14, &ip), 40);
    assert_true(icmp_parse(out.at + 54, 60, checksum_pseudo6(ip.src, ip.dst, IP_ICMP6, 60), &icmp) >
                0);
    assert_int_equal(icmp.type, ICMP6_UNREACHABLE);
    assert_int_equal(icmp.code, ICMP6_PORT_UNREACHABLE);
    assert_memory_equal(out.at + 62, b.at + 14, 52);
    host_close(&h);
}

/* One that scans hears six, then one a second; another still hears at once. */
static void errors_are_limited_for_each(void **state)
{
    (void)state;
    struct host h;
    struct bytes loud, other;
    unsigned told = 0;
    only_a(&h);
    loud.n = make_udp4(loud.at, "10.0.0.2:5", "10.0.0.1:6");
    other.n = make_udp4(other.at, "10.0.0.9:5", "10.0.0.1:6");
    for (unsigned i = 0; i < 1000; i++, h.now_ns += SECOND / 100) {
        hear(&h, &loud);
        told += said(&h).n > 0;
    }
    assert_in_range(told, 15, 16);
    assert_int_equal(COUNTED(&h, icmp_limited), 1000 - told);
    hear(&h, &other);
    assert_true(said(&h).n > 0);
    host_close(&h);
}

static void no_error_about_what_was_for_all(void **state)
{
    (void)state;
    struct host h;
    struct bytes b;
    only_a(&h);
    b.n = make_udp4(b.at, "10.0.0.2:5", "10.0.0.255:6");
    memcpy(b.at, everybody, 6);
    hear(&h, &b);
    b.n = make_udp4(b.at, "10.0.0.2:5", "10.0.0.1:6"); /* our address, everybody's frame */
    memcpy(b.at, everybody, 6);
    hear(&h, &b);
    says_nothing(&h);
    assert_int_equal(COUNTED(&h, no_port), 1);
    assert_int_equal(COUNTED(&h, drop_mac), 1);
    host_bind(&h, 0, "10.0.0.1:6"); /* nor is it delivered; of IPv6 neither */
    hear(&h, &b);
    host_bind(&h, 1, "[fd00::1]:6");
    b.n = make_udp6(b.at, "[fd00::2]:5", "[fd00::1]:6");
    memcpy(b.at, (const uint8_t[6]){0x33, 0x33, [5] = 1}, 6);
    hear(&h, &b);
    assert_int_equal(COUNTED(&h, drop_mac), 3);
    host_close(&h);
}

/* Unreachable (`type`, `code`, `rest`) about a UDP packet of ours. */
static struct bytes error4_of(uint8_t code, uint32_t rest, const char *from, const char *to,
                              uint16_t total)
{
    uint8_t sent[64];
    struct bytes b = echo4_of("10.0.0.254:0", "10.0.0.1:0", 28, 0);
    struct icmp icmp = {ICMP_UNREACHABLE, code, rest};
    make_udp4(sent, from, to);
    be16_store(sent + 16, total);
    sent[20] = 0x40; /* may not be fragmented */
    mend_ip4(sent);
    memcpy(b.at + 42, sent + 14, 28);
    icmp_emit(b.at + 34, ICMP_BYTES + 28, 0, &icmp);
    return b;
}

/* Beyond the link there is 10.0.0.254. */
static void via_gateway(struct host *h)
{
    struct stack_opt opt = host_opt(mac_a);
    struct weir_route route = {.to = net_of("0.0.0.0/0")};
    memcpy(route.via, addr_of("10.0.0.254:0").ip, 16);
    opt.route = &route;
    opt.routes = 1;
    host_open_with(h, A_IPS, opt, (struct weir_pool_opt){.small = 64, .big = 8, .views = 8});
    h->now_ns = 1000 * SECOND;
}

/* Its way is known. */
static void sends(struct host *h, const struct weir_addr *to)
{
    struct tx_frame frame;
    struct weir_buf *buf = host_buf(h, 4);
    buf_to_tx(buf);
    assert_int_equal(stack_udp_out(h->s, 0, buf, to, &frame, 1, h->now_ns), 1);
    buf_tx_done(frame.buf);
}

static void too_big_is_believed_about_what_we_may_have_sent(void **state)
{
    (void)state;
    struct host h;
    via_gateway(&h);
    const uint8_t gateway[4] = {10, 0, 0, 254};
    struct bytes arp = arp_of(ARP_REQUEST, everybody, mac_b, gateway, a4);
    hear(&h, &arp), said(&h);
    host_bind(&h, 0, "10.0.0.1:7");
    struct weir_addr to = addr_of("10.9.0.2:9"), near = addr_of("10.0.0.2:9");
    assert_int_equal(host_send(&h, 0, &near, 4, NULL), 0);
    sends(&h, &to);
    while (said(&h).n)
        ;
    const uint32_t full = stack_udp_fit(h.s, &to);
    assert_int_equal(full, 1472);
    struct bytes forged[] = {
        error4_of(4, 1200, "10.0.0.1:8", "10.9.0.2:9", 1500), /* no such port here */
        error4_of(4, 1200, "10.0.0.3:7", "10.9.0.2:9", 1500), /* not our address */
        error4_of(4, 1500, "10.0.0.1:7", "10.9.0.2:9", 1500), /* it would have fitted */
        error4_of(4, 1200, "10.0.0.1:7", "10.9.0.2:9", 1501), /* larger than any of ours */
        error4_of(4, 1200, "10.0.0.1:7", "10.0.0.2:9", 1500), /* on the link there is no router */
        error4_of(4, 1200, "10.0.0.1:7", "224.0.0.9:9", 1500),
        error4_of(4, 1200, "10.0.0.1:7", "10.9.0.2:8", 1500), /* we do not send there */
        error4_of(4, 1200, "10.0.0.1:7", "10.9.0.3:9", 1500),
        error4_of(4, 1200, "10.0.0.1:7", "10.9.0.2:9", 1500), /* might be fragmented, see below */
    };
    struct bytes *cut = &forged[array_len(forged) - 1];
    cut->at[42 + 6] = 0;
    icmp_emit(cut->at + 34, ICMP_BYTES + 28, 0, &(struct icmp){ICMP_UNREACHABLE, 4, 1200});
    uint64_t before = neighbours_generation(stack_neighbours(h.s));
    for (unsigned i = 0; i < array_len(forged); i++) {
        hear(&h, &forged[i]);
        assert_int_equal(COUNTED(&h, icmp_bad), i + 1);
        assert_int_equal(stack_udp_fit(h.s, &to), full);
    }
    assert_int_equal(neighbours_generation(stack_neighbours(h.s)), before);
    struct bytes b = error4_of(4, 1200, "10.0.0.1:7", "10.9.0.2:9", 1500);
    uint64_t generation = neighbours_generation(stack_neighbours(h.s));
    hear(&h, &b);
    assert_int_equal(COUNTED(&h, icmp_too_big), 1);
    assert_int_equal(stack_udp_fit(h.s, &to), 1200 - 28);
    assert_true(neighbours_generation(stack_neighbours(h.s)) != generation);
    tick(&h, 601 * SECOND);
    assert_int_equal(stack_udp_fit(h.s, &to), full);
    while (said(&h).n)
        ;
    host_close(&h);
}

static void unreachable_is_counted_where_it_is_ours(void **state)
{
    (void)state;
    struct host h;
    only_a(&h);
    host_bind(&h, 0, "10.0.0.1:7");
    struct bytes b = error4_of(3, 0, "10.0.0.1:7", "10.0.0.2:9", 100);
    hear(&h, &b);
    b = error4_of(3, 0, "10.0.0.1:8", "10.0.0.2:9", 100);
    hear(&h, &b);
    assert_int_equal(COUNTED(&h, icmp_unreachable), 1);
    assert_int_equal(COUNTED(&h, icmp_bad), 1);
    host_close(&h);
}

/* Every length that a quote can be cut to, of both families: never believed beyond its bytes. */
static void quotes_cut_short_are_refused(void **state)
{
    (void)state;
    struct host h;
    only_a(&h);
    host_bind(&h, 0, "*:7");
    for (uint32_t n = 0; n < 24; n++) {
        struct bytes b = error4_of(4, 1200, "10.0.0.1:7", "10.0.0.2:9", 1500);
        struct icmp icmp = {ICMP_UNREACHABLE, 4, 1200};
        be16_store(b.at + 16, (uint16_t)(28 + n));
        mend_ip4(b.at);
        icmp_emit(b.at + 34, ICMP_BYTES + n, 0, &icmp);
        b.n = 42 + n;
        hear(&h, &b);
        assert_int_equal(COUNTED(&h, icmp_bad), n + 1);
    }
    assert_int_equal(COUNTED(&h, icmp_too_big), 0);
    host_close(&h);
}

/* ---- fragments, other workers ---------------------------------------------------------------- */

static void large_datagrams_cross_in_fragments(void **state)
{
    (void)state;
    struct host a, b;
    only_a(&a);
    host_open(&b, B_IPS, mac_b);
    b.now_ns = a.now_ns;
    static const char *const to[] = {"10.0.0.2:7", "[fd00::2]:7"};
    static const char *const from[] = {"10.0.0.1:7", "[fd00::1]:7"};
    for (unsigned f = 0; f < 2; f++) {
        struct weir_addr peer = addr_of(to[f]);
        host_bind(&a, f, from[f]);
        host_bind(&b, f, to[f]);
        host_send(&a, f, &peer, 1, &b);
        settle(&a, &b);
        host_forget(&b);
        static const uint32_t sizes[] = {1473, 4000, 65507};
        for (unsigned i = 0; i < array_len(sizes); i++) {
            assert_true(host_send(&a, f, &peer, sizes[i], &b) > 1);
            assert_int_equal(b.n, 1);
            assert_true(is_pattern(b.got[0].buf, sizes[i]));
            assert_int_equal(b.got[0].buf->peer.port, 7);
            host_forget(&b);
        }
    }
    assert_int_equal(COUNTED(&b, reassembled), 6);
    assert_int_equal(COUNTED(&b, fragments_in), COUNTED(&a, fragments_out));
    host_close(&a);
    host_close(&b);
}

/* Frames of another worker's pool: answered from ours, and theirs go home. */
static void another_workers_frames_are_only_read(void **state)
{
    (void)state;
    struct host h;
    struct weir_pool *theirs =
        weir_pool_open(&(struct weir_pool_opt){.small = 8, .mem_flags = WEIR_MEM_NO_HUGE}, NULL);
    only_a(&h);
    struct bytes list[] = {
        arp_of(ARP_REQUEST, everybody, mac_b, b4, a4),
        echo4_of("10.0.0.2:0", "10.0.0.1:0", 56, 0),
        nd_of("[fd00::2]:0", "[fd00::1]:0", 255,
              nd_about(ICMP6_SOLICITATION, "[fd00::1]:0", mac_b)),
        {0},
    };
    list[3].n = make_udp4(list[3].at, "10.0.0.2:5", "10.0.0.1:6");
    for (unsigned i = 0; i < array_len(list); i++) {
        struct weir_buf *buf;
        struct stack_datagram got;
        assert_int_equal(weir_buf_take(theirs, &buf, 1), 1);
        memcpy(buf->data, list[i].at, list[i].n);
        buf->len = (uint32_t)list[i].n;
        *frame_meta(buf) = (struct frame_meta){0};
        assert_int_equal(stack_take_over(h.s, &buf, 1, &got, h.now_ns), 0);
        assert_int_equal(weir_pool_check(theirs, NULL), 0);
        assert_true(said(&h).n > 0);
    }
    assert_int_equal(weir_pool_close(theirs), 0);
    host_close(&h);
}

/* Without a buffer nothing is answered, and that is counted. */
static void an_empty_pool_is_no_disaster(void **state)
{
    (void)state;
    struct host h;
    host_open_with(&h, A_IPS, host_opt(mac_a), (struct weir_pool_opt){.small = 1});
    struct weir_addr peer = addr_of("10.0.0.2:7");
    host_bind(&h, 0, "10.0.0.1:7");
    assert_int_equal(host_send(&h, 0, &peer, 3, NULL), 0); /* parked: and no buffer to ask */
    says_nothing(&h);
    assert_int_equal(COUNTED(&h, pool_empty), 1);
    for (unsigned i = 0; i < 50; i++)
        tick(&h, SECOND / 10);
    assert_int_equal(COUNTED(&h, neighbour_failed), 1);
    host_close(&h);
}

/* Three questions in vain, and another packet comes in the moment before the tick: it does not wait
 * for ever, nor for whoever has the number next. */
static void what_comes_as_it_fails_goes_to_nobody_else(void **state)
{
    (void)state;
    struct host h;
    only_a(&h);
    host_bind(&h, 0, "10.0.0.1:7");
    struct weir_addr dead = addr_of("10.0.0.77:7"), next = addr_of("10.0.0.2:7");
    assert_int_equal(host_send(&h, 0, &dead, 33, NULL), 0);
    for (unsigned i = 0; i < 3; i++, h.now_ns += SECOND) {
        stack_tick(h.s, h.now_ns);
        while (said(&h).n)
            ;
    }
    assert_int_equal(host_send(&h, 0, &dead, 33, NULL), 0); /* it fails now */
    assert_int_equal(park_count(h.s->park), 0);
    assert_int_equal(COUNTED(&h, neighbour_failed), 2);
    tick(&h, SECOND);
    assert_int_equal(host_send(&h, 0, &next, 4, NULL), 0);
    says_arp(&h);
    struct bytes b = arp_of(ARP_REPLY, mac_a, mac_b, b4, a4), out;
    hear(&h, &b);
    out = said(&h);
    assert_memory_equal(out.at + ETH_BYTES + 16, b4, 4);
    says_nothing(&h);
    host_close(&h);
}

/* What waits for an entry that is forgotten, or makes room, ends with it. */
static void what_waits_ends_with_its_neighbour(void **state)
{
    (void)state;
    struct host h;
    struct stack_opt opt = host_opt(mac_a);
    opt.neighbours_max = 4;
    host_open_with(&h, A_IPS, opt, (struct weir_pool_opt){.small = 64});
    host_bind(&h, 0, "10.0.0.1:7");
    struct weir_addr to = addr_of("10.0.0.3:7");
    for (unsigned i = 0; i < 10; i++, to.ip[15]++)
        assert_int_equal(host_send(&h, 0, &to, 4, NULL), 0);
    assert_int_equal(park_count(h.s->park), 2);
    assert_int_equal(COUNTED(&h, neighbour_failed), 8);
    to.ip[15]--;
    stack_neighbour(h.s, to.ip, NULL, h.now_ns);
    assert_int_equal(park_count(h.s->park), 1);
    host_close(&h);
}

/* Identifications of one path tell nothing of another's, and workers of one seed differ. */
static void identifications_are_each_paths_own(void **state)
{
    (void)state;
    struct host h;
    only_a(&h);
    const uint8_t c4[4] = {10, 0, 0, 3};
    uint32_t b = stack_id4(h.s, a4, b4), c = stack_id4(h.s, a4, c4);
    for (unsigned i = 1; i < 100; i++)
        assert_int_equal((uint16_t)stack_id4(h.s, a4, b4), (uint16_t)(b + i));
    assert_int_equal(stack_id4(h.s, a4, c4), c + 1);
    assert_true(b + 1 != c && c + 1 != b);
    struct secret one = secret_of(42, 0), two = secret_of(42, 1);
    assert_true(secret_number(&one, KEY_IDS, 0) != secret_number(&two, KEY_IDS, 0));
    host_close(&h);
}

/* SipHash-2-4's own vectors: its paper, appendix A, and those of its reference code. */
static void the_keyed_hash_is_siphash(void **state)
{
    (void)state;
    uint8_t p[16];
    struct secret key = {{0x0706050403020100u, 0x0f0e0d0c0b0a0908u}};
    for (unsigned i = 0; i < sizeof p; i++)
        p[i] = (uint8_t)i;
    assert_true(siphash(&key, p, 15) == 0xa129ca6149be45e5u);
    assert_true(siphash(&key, p, 0) == 0x726fdb47dd0e0e31u);
}

/* More peers than anybody remembers by one place each, all of our second address: each is answered
 * from there, whatever else shares its place. */
static void ten_thousand_peers_are_answered_from_where_they_asked(void **state)
{
    (void)state;
    enum { PEERS = 10000 };
    struct host h;
    unsigned wrong = 0;
    host_open(&h, "10.0.0.1/24 10.0.0.9/24", mac_a);
    struct bytes b = arp_of(ARP_REQUEST, everybody, mac_b, b4, a4);
    hear(&h, &b), said(&h);
    host_bind(&h, 0, "0.0.0.0:7");
    b.n = make_udp4(b.at, "10.0.0.2:2000", "10.0.0.9:7");
    memset(b.at + 40, 0, 2); /* no checksum, so that the port may change */
    for (unsigned i = 0; i < PEERS; i++) {
        be16_store(b.at + 34, (uint16_t)(2000 + i));
        assert_int_equal(host_in(&h, b.at, b.n, 0), 1);
        host_forget(&h);
    }
    for (unsigned i = 0; i < PEERS; i++) {
        struct weir_addr to = addr_of("10.0.0.2:0");
        struct tx_frame frame;
        struct weir_buf *buf = host_buf(&h, 4);
        to.port = (uint16_t)(2000 + i);
        buf_to_tx(buf);
        assert_int_equal(stack_udp_out(h.s, 0, buf, &to, &frame, 1, h.now_ns), 1);
        wrong += frame.buf->data[29] != 9;
        buf_tx_done(frame.buf);
    }
    assert_in_range(wrong, 0, PEERS / 100); /* the sets of eight that overflow */
    host_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arp_requests_are_answered_and_learned),
        cmocka_unit_test(arp_probes_are_answered_but_not_learned),
        cmocka_unit_test(arp_for_others_is_let_be),
        cmocka_unit_test(bad_arp_is_refused),
        cmocka_unit_test(an_arp_storm_is_bounded),
        cmocka_unit_test(what_waits_goes_in_order_when_the_answer_comes),
        cmocka_unit_test(what_waits_in_vain_is_dropped_and_counted),
        cmocka_unit_test(what_others_resolve_is_wanted_once_a_second),
        cmocka_unit_test(solicitations_are_answered),
        cmocka_unit_test(a_probe_for_duplicates_is_answered_to_all),
        cmocka_unit_test(bad_discovery_is_refused),
        cmocka_unit_test(a_spoofed_advertisement_changes_nothing),
        cmocka_unit_test(echoes_come_back),
        cmocka_unit_test(echoes_of_ip6_come_back),
        cmocka_unit_test(echoes_are_limited),
        cmocka_unit_test(a_bad_echo_is_not_answered),
        cmocka_unit_test(a_closed_port_is_told_quoting_the_packet),
        cmocka_unit_test(a_closed_port_is_told_in_ip6),
        cmocka_unit_test(errors_are_limited_for_each),
        cmocka_unit_test(no_error_about_what_was_for_all),
        cmocka_unit_test(too_big_is_believed_about_what_we_may_have_sent),
        cmocka_unit_test(unreachable_is_counted_where_it_is_ours),
        cmocka_unit_test(quotes_cut_short_are_refused),
        cmocka_unit_test(large_datagrams_cross_in_fragments),
        cmocka_unit_test(another_workers_frames_are_only_read),
        cmocka_unit_test(an_empty_pool_is_no_disaster),
        cmocka_unit_test(what_comes_as_it_fails_goes_to_nobody_else),
        cmocka_unit_test(what_waits_ends_with_its_neighbour),
        cmocka_unit_test(identifications_are_each_paths_own),
        cmocka_unit_test(the_keyed_hash_is_siphash),
        cmocka_unit_test(ten_thousand_peers_are_answered_from_where_they_asked),
    };
    return run_group(tests);
}
