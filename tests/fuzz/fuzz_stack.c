/* SPDX-License-Identifier: MIT
 * The whole stack under arbitrary sequences of frames, sends, binds and steps of time: worker 0
 * with a second worker that hands over to it. The input is a list of commands, of frames mostly
 * ones that begin well and are then damaged.
 *
 * What must hold after each burst: every frame that came ended once: in a counter, as a datagram, or
 * handed over. After each input: both pools are sound, and every buffer comes home. */
#include "stack/inside.h"
#include "wire/arp.h"
#include "wire/icmp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOCKETS 8u
#define BURST 8u
#define ROOM 128u

struct input {
    const uint8_t *at, *end;
};

struct world {
    struct host {
        struct weir_pool *pool;
        struct counters counters;
        struct stack *s;
    } host[2];
    struct input in;
    uint64_t now_ns;
};

static const uint8_t mac_own[6] = {2, 0, 0, 0, 0, 1}, mac_peer[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t own6[16] = {0xfd, [15] = 1}, peer6[16] = {0xfd, [15] = 2};
static const uint8_t own4[4] = {10, 0, 0, 1}, peer4[4] = {10, 0, 0, 2};

/* Not assert: a build without assertions must fuzz as well. */
static void demand(bool holds)
{
    if (!holds)
        abort();
}

static uint8_t byte(struct world *w)
{
    return w->in.at < w->in.end ? *w->in.at++ : 0;
}

static uint16_t half(struct world *w)
{
    uint8_t high = byte(w);
    return (uint16_t)(high << 8 | byte(w));
}

/* ---- the sum rule ---------------------------------------------------------------------------- */

/* What ends a frame, or a datagram put together from fragments. */
static uint64_t ends_of(const struct counters *c)
{
    return c->drop_short + c->drop_mac + c->drop_vlan + c->drop_ethertype + c->dishonest_length +
           c->bad_version + c->bad_options + c->bad_source + c->bad_checksum + c->partial_checksum +
           c->not_ours + c->no_protocol + c->no_port + c->arp_in + c->icmp_in + c->fragments_in +
           c->handed_full;
}

struct sum {
    uint64_t ends, whole, told;
};

static struct sum sum_of(struct host *h)
{
    const struct counters *c = &h->counters;
    return (struct sum){ends_of(c) + h->s->handed_head, c->reassembled, c->partial_checksum};
}

/* A datagram of a local sender that the device told us of (`flags`) counts twice: in partial_checksum,
 * and as what it is. */
static void demand_ended(struct host *h, const struct sum *was, uint64_t frames, uint64_t told,
                         unsigned flags)
{
    struct sum is = sum_of(h);
    uint64_t ended = is.ends - was->ends + told, came = frames + is.whole - was->whole;
    uint64_t twice = flags & FRAME_CSUM_PARTIAL ? is.told - was->told : 0;
    demand(ended >= came && ended <= came + twice);
}

/* ---- frames that begin well ------------------------------------------------------------------ */

static size_t put_ip4(uint8_t *p, struct ip4 ip, size_t bytes)
{
    memcpy(ip.src, peer4, 4);
    memcpy(ip.dst, own4, 4);
    ip.ttl = 64;
    ip.total = (uint16_t)(IP4_BYTES + bytes);
    return ip4_emit(p, &ip);
}

static size_t put_ip6(uint8_t *p, struct ip6 ip, size_t bytes)
{
    memcpy(ip.src, peer6, 16);
    memcpy(ip.dst, own6, 16);
    ip.hop_limit = 255;
    ip.bytes = (uint16_t)(bytes + (ip.fragmented ? IP6_FRAGMENT_BYTES : 0));
    return ip6_emit(p, &ip);
}

static size_t make_udp(struct world *w, uint8_t *p, bool ip4)
{
    uint16_t bytes = (uint16_t)(UDP_BYTES + byte(w));
    struct udp udp = {.src = 9, .dst = byte(w), .bytes = bytes};
    uint64_t pseudo = ip4 ? checksum_pseudo4(peer4, own4, IP_UDP, bytes)
                          : checksum_pseudo6(peer6, own6, IP_UDP, bytes);
    size_t head = ip4 ? put_ip4(p, (struct ip4){.protocol = IP_UDP}, bytes)
                      : put_ip6(p, (struct ip6){.protocol = IP_UDP}, bytes);
    udp_emit(p + head, &udp, pseudo);
    return head + bytes;
}

/* A piece of a datagram: few identifications and offsets, so that pieces meet. */
static size_t make_fragment(struct world *w, uint8_t *p, bool ip4)
{
    uint8_t what = byte(w);
    uint16_t offset = (uint16_t)((what & 7) * 16), bytes = (uint16_t)(byte(w) % 33 * 8);
    bool more = what & 8;
    uint16_t id = what >> 4 & 3;
    size_t head =
        ip4 ? put_ip4(p, (struct ip4){.protocol = IP_UDP, .id = id, .offset = offset, .more = more},
                      bytes)
            : put_ip6(p,
                      (struct ip6){.protocol = IP_UDP,
                                   .id = id,
                                   .offset = offset,
                                   .more = more,
                                   .fragmented = true},
                      bytes);
    struct udp udp = {.src = 9, .dst = 1, .bytes = (uint16_t)(byte(w) + UDP_BYTES)};
    if (offset == 0 && bytes >= UDP_BYTES) {
        be16_store(p + head, udp.src);
        be16_store(p + head + 2, udp.dst);
        be16_store(p + head + 4, udp.bytes);
    }
    return head + bytes;
}

static size_t make_arp(struct world *w, uint8_t *p)
{
    struct arp arp = {.op = byte(w) & 1 ? ARP_REQUEST : ARP_REPLY};
    memcpy(arp.src_mac, mac_peer, 6);
    memcpy(arp.src_ip, peer4, 4);
    arp.src_ip[3] = byte(w);
    memcpy(arp.dst_ip, own4, 4);
    return arp_emit(p, &arp);
}

/* Echo requests, and errors that quote a packet of ours. */
static size_t make_icmp(struct world *w, uint8_t *p, bool ip4)
{
    struct icmp icmp = {.type = byte(w), .code = byte(w), .rest = half(w)};
    size_t bytes = ICMP_BYTES + 48, head = ip4 ? IP4_BYTES : IP6_BYTES;
    uint8_t *quote = p + head + ICMP_BYTES;
    memset(quote, 0, 48);
    if (ip4) {
        struct ip4 ip = {.protocol = IP_UDP, .total = 1500, .ttl = 64};
        memcpy(ip.src, own4, 4);
        memcpy(ip.dst, peer4, 4);
        ip4_emit(quote, &ip);
        be16_store(quote + IP4_BYTES, byte(w));
        put_ip4(p, (struct ip4){.protocol = IP_ICMP}, bytes);
        icmp_emit(p + head, bytes, 0, &icmp);
    } else {
        struct ip6 ip = {.protocol = IP_UDP, .bytes = 1452};
        memcpy(ip.src, own6, 16);
        memcpy(ip.dst, peer6, 16);
        ip6_emit(quote, &ip);
        be16_store(quote + IP6_BYTES, byte(w));
        put_ip6(p, (struct ip6){.protocol = IP_ICMP6}, bytes);
        icmp_emit(p + head, bytes, checksum_pseudo6(peer6, own6, IP_ICMP6, (uint32_t)bytes), &icmp);
    }
    return head + bytes;
}

static size_t make_nd(struct world *w, uint8_t *p)
{
    uint8_t what = byte(w);
    struct nd nd = {.type = what & 1 ? ICMP6_SOLICITATION : ICMP6_ADVERTISEMENT,
                    .solicited = (what & 3) == 2,
                    .override = (what & 5) == 4,
                    .has_mac = what & 8};
    memcpy(nd.target, what & 1 ? own6 : peer6, 16);
    nd.target[15] = (uint8_t)(nd.target[15] + (what >> 4));
    memcpy(nd.mac, mac_peer, 6);
    size_t bytes = nd_bytes(&nd), head = put_ip6(p, (struct ip6){.protocol = IP_ICMP6}, bytes);
    nd_emit(p + head, checksum_pseudo6(peer6, own6, IP_ICMP6, (uint32_t)bytes), &nd);
    return head + bytes;
}

static size_t make(struct world *w, uint8_t *p)
{
    struct eth eth = {.type = ETH_IP4};
    uint8_t kind = byte(w) % 10;
    memcpy(eth.dst, mac_own, 6);
    memcpy(eth.src, mac_peer, 6);
    eth.type = kind == 8 ? ETH_ARP : kind & 1 ? ETH_IP6 : ETH_IP4;
    size_t n = eth_emit(p, &eth);
    switch (kind) {
    case 0:
    case 1: return n + make_udp(w, p + n, kind == 0);
    case 2:
    case 3: return n + make_fragment(w, p + n, kind == 2);
    case 4:
    case 5: return n + make_icmp(w, p + n, kind == 4);
    case 6:
    case 8: be16_store(p + 12, ETH_ARP); return n + make_arp(w, p + n);
    default: return n + make_nd(w, p + n);
    }
}

/* Damage: bytes changed, the end cut or padded; the IPv4 header's checksum perhaps made right. */
static size_t damage(struct world *w, uint8_t *p, size_t n)
{
    uint8_t what = byte(w);
    for (unsigned i = 0; i < (what & 3u); i++) {
        uint8_t at = byte(w);
        p[at % n] ^= byte(w);
    }
    if (what & 4 && n > 34 && p[12] == 8 && p[13] == 0) {
        memset(p + 24, 0, 2);
        uint16_t sum = checksum_finish(checksum_add(0, p + 14, IP4_BYTES));
        memcpy(p + 24, &sum, 2);
    }
    if (what & 8)
        n = byte(w) % (n + 1);
    if (what & 16) {
        memset(p + n, 0, 64);
        n += byte(w) % 64;
    }
    return n;
}

static size_t raw(struct world *w, uint8_t *p)
{
    size_t n = byte(w), left = (size_t)(w->in.end - w->in.at);
    n = min_of(n, left);
    memcpy(p, w->in.at, n);
    w->in.at += n;
    return n;
}

/* ---- commands -------------------------------------------------------------------------------- */

static void done(struct stack_datagram *got, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        demand(got[i].socket < SOCKETS && got[i].buf->refs == 1);
        demand(got[i].buf->state == WEIR_APP);
        weir_buf_drop(&got[i].buf, 1);
    }
}

static void frames(struct world *w, struct host *h)
{
    struct weir_buf *bufs[BURST];
    struct stack_datagram got[BURST];
    struct sum was = sum_of(h);
    uint8_t how = byte(w);
    unsigned n = pool_take(h->pool, WEIR_SMALL, bufs, 1u + (how >> 5));
    for (unsigned i = 0; i < n; i++) {
        uint8_t *p = bufs[i]->data;
        bufs[i]->len = (uint32_t)(how & 16 ? raw(w, p) : damage(w, p, make(w, p)));
        *frame_meta(bufs[i]) = (struct frame_meta){.flags = how & 15};
    }
    unsigned told = stack_in(h->s, bufs, n, got, w->now_ns);
    demand(told <= n);
    demand_ended(h, &was, n, told, how);
    done(got, told);
}

static void complete(const struct tx_frame *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        demand(f[i].bytes == f[i].buf->len + (f[i].body ? f[i].body->len : 0));
        demand(f[i].bytes >= 14 && f[i].buf->state == WEIR_TX);
        buf_tx_done(f[i].buf);
        if (f[i].body)
            buf_tx_done(f[i].body);
    }
}

static struct weir_addr some_addr(struct world *w)
{
    uint8_t what = byte(w);
    struct weir_addr to = weir_addr_ip4(10, 0, what >> 7, what & 7, byte(w));
    if (what & 8) {
        memcpy(to.ip, peer6, 16);
        to.ip[15] = what & 7;
    }
    if (what & 16)
        memset(to.ip, what & 8 ? 0xff : 0, 16);
    if (what & 32)
        to.ip[12] = 0xe0;
    return to;
}

static void send_one(struct world *w, struct host *h)
{
    struct tx_frame f[ROOM];
    uint8_t what = byte(w);
    struct weir_addr to = some_addr(w);
    uint32_t len = what & 64 ? half(w) : byte(w);
    struct weir_buf *buf = weir_buf_take_bytes(h->pool, len);
    if (!buf)
        return;
    memset(buf->data, what, len);
    buf->len = len;
    bool shared = what & 128 && buf_ref(buf, 1);
    buf_to_tx(buf);
    int n = stack_udp_out(h->s, what % SOCKETS, buf, &to, f, what & 8 ? 2 : ROOM, w->now_ns);
    if (n < 0) {
        demand(buf->len == len && buf->state == WEIR_TX);
        buf_tx_done(buf);
    } else {
        complete(f, (unsigned)n);
    }
    if (shared)
        weir_buf_drop(&buf, 1);
}

static void bind_one(struct world *w, struct host *h)
{
    uint8_t what = byte(w);
    struct weir_addr at = some_addr(w), ret;
    if (what & 8)
        stack_unbind(h->s, what % SOCKETS);
    else if (stack_bind(h->s, what % SOCKETS, &at, &ret) == 0)
        demand(ret.port != 0 && (at.port == 0 || at.port == ret.port));
}

static void pass(struct world *w, uint64_t by_ns)
{
    w->now_ns += by_ns;
    for (unsigned i = 0; i < 2; i++)
        if (stack_next_ns(w->host[i].s) <= w->now_ns)
            stack_tick(w->host[i].s, w->now_ns);
    for (unsigned i = 0; i < 2; i++)
        demand(stack_next_ns(w->host[i].s) > w->now_ns);
}

static void drain(struct world *w, struct host *h)
{
    struct tx_frame f[ROOM];
    struct stack_datagram got[BURST];
    uint8_t ip[16];
    complete(f, stack_out(h->s, f, 1u + byte(w) % ROOM));
    done(got, stack_looped(h->s, got, BURST));
    while (stack_wanted(h->s, ip))
        ;
}

/* What the second worker hands over goes to the first; its memory comes home. */
static void hand_over(struct world *w)
{
    struct host *zero = &w->host[0];
    struct weir_buf *bufs[BURST];
    struct stack_datagram got[BURST];
    unsigned n = stack_handed(w->host[1].s, bufs, BURST), frames = 0;
    for (unsigned i = 0; i < n; i++)
        frames += !(frame_meta(bufs[i])->flags & FRAME_OUTWARD);
    struct sum was = sum_of(zero);
    unsigned told = stack_take_over(zero->s, bufs, n, got, w->now_ns);
    demand_ended(zero, &was, frames, told, 0);
    done(got, told);
}

static void tell(struct world *w, struct host *h)
{
    struct weir_addr who = some_addr(w);
    stack_neighbour(h->s, who.ip, who.port & 1 ? mac_peer : NULL, w->now_ns);
}

static void command(struct world *w)
{
    uint8_t what = byte(w);
    struct host *h = &w->host[what >> 7];
    switch (what % 8) {
    case 0:
    case 1: frames(w, h); break;
    case 2: send_one(w, h); break;
    case 3: bind_one(w, h); break;
    case 4: pass(w, (uint64_t)half(w) << (what >> 3 & 15) << 8); break;
    case 5: drain(w, h); break;
    case 6: hand_over(w); break;
    default: tell(w, h); break;
    }
}

/* ---- birth and death ------------------------------------------------------------------------- */

static void host_open(struct world *w, unsigned worker, uint8_t how)
{
    struct host *h = &w->host[worker];
    struct weir_pool_opt pool = {.small = 96,
                                 .big = 4,
                                 .headroom = how & 1 ? 16 : 0,
                                 .mem_flags = WEIR_MEM_NO_HUGE | WEIR_MEM_NO_LOCK};
    struct weir_net net[3] = {{.prefix = 120}, {.prefix = 64}, {.prefix = 124}};
    struct stack_opt opt = {.counters = &h->counters,
                            .mtu = how & 2 ? 1500 : 1280,
                            .address = net,
                            .addresses = how & 4 ? 3 : 2,
                            .answers = how & 8,
                            .tx_checksum = how & 16,
                            .gather_bytes = how & 32 ? 64 : 0,
                            .sockets_max = SOCKETS,
                            .neighbours_max = 8,
                            .fragments_max = 4,
                            .seed = 1,
                            .worker = worker};
    ip_from_4(net[0].ip, own4);
    memcpy(net[1].ip, own6, 16);
    ip_from_4(net[2].ip, own4);
    net[2].ip[14] = 1;
    memcpy(opt.mac, mac_own, 6);
    opt.shared = worker ? stack_neighbours(w->host[0].s) : NULL;
    opt.pool = h->pool = weir_pool_open(&pool, NULL);
    demand(h->pool != NULL);
    h->s = stack_open(&opt, NULL);
    demand(h->s != NULL);
}

static void sound(struct world *w)
{
    for (unsigned i = 0; i < 2; i++)
        demand(weir_pool_check(w->host[i].pool, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    w = (struct world){.in = {data, data + size}, .now_ns = 1000000000};
    uint8_t how = byte(&w);
    host_open(&w, 0, how);
    host_open(&w, 1, how);
    while (w.in.at < w.in.end)
        command(&w);
    sound(&w);
    stack_close(w.host[1].s);
    stack_close(w.host[0].s);
    sound(&w);
    demand(weir_pool_close(w.host[1].pool) == 0);
    demand(weir_pool_close(w.host[0].pool) == 0);
    return 0;
}
