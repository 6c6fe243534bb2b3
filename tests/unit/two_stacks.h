/* SPDX-License-Identifier: MIT
 * Hosts made of a pool, counters and a stack each, joined by hand: what one sends is copied into
 * the other's buffers, as a device would. Each check at the end sees every buffer home. */
#ifndef WEIR_TWO_STACKS_H
#define WEIR_TWO_STACKS_H

#include "test.h"

#include "stack/inside.h"
#include "wire/arp.h"
#include "wire/icmp.h"

#include <errno.h>

struct host {
    struct weir_pool *pool;
    struct counters counters;
    struct stack *s;
    struct stack_datagram got[256]; /* not yet looked at */
    unsigned n;
    uint64_t now_ns;
};

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};

static inline struct weir_net net_of(const char *text)
{
    struct weir_net net;
    assert_int_equal(weir_net_parse(text, &net), 0);
    return net;
}

static inline struct weir_addr addr_of(const char *text)
{
    struct weir_addr addr;
    assert_int_equal(weir_addr_parse(text, &addr), 0);
    return addr;
}

static inline struct stack_opt host_opt(const uint8_t mac[6])
{
    struct stack_opt opt = {.mtu = 1500, .answers = true, .sockets_max = 16, .seed = 42};
    memcpy(opt.mac, mac, 6);
    return opt;
}

/* `addresses`: up to three, separated by blanks. */
static inline void host_open_with(struct host *h, const char *addresses, struct stack_opt opt,
                                  struct weir_pool_opt pool)
{
    struct weir_net net[3];
    struct weir_why why = {0};
    char text[128], *rest = text, *word;
    memset(h, 0, sizeof *h);
    snprintf(text, sizeof text, "%s", addresses);
    while ((word = strtok_r(rest, " ", &rest)) && opt.addresses < 3)
        net[opt.addresses++] = net_of(word);
    h->now_ns = 1000000000;
    h->pool = weir_pool_open(&pool, &why);
    assert_non_null(h->pool);
    opt.pool = h->pool;
    opt.counters = &h->counters;
    opt.address = net;
    h->s = stack_open(&opt, &why);
    if (!h->s)
        fail_msg("%s: %s", why.where, why.what);
}

static inline void host_open(struct host *h, const char *addresses, const uint8_t mac[6])
{
    host_open_with(h, addresses, host_opt(mac),
                   (struct weir_pool_opt){.small = 512, .big = 8, .views = 8});
}

static inline void host_forget(struct host *h) /* what arrived */
{
    for (unsigned i = 0; i < h->n; i++)
        weir_buf_drop(&h->got[i].buf, 1);
    h->n = 0;
}

static inline void host_sound(struct host *h)
{
    struct weir_why why = {0};
    if (weir_pool_check(h->pool, &why))
        fail_msg("%s", why.what);
}

static inline void host_close(struct host *h)
{
    host_forget(h);
    host_sound(h);
    stack_close(h->s);
    host_sound(h);
    assert_int_equal(weir_pool_close(h->pool), 0);
}

/* A frame as bytes comes in. Returns how many datagrams that made. */
static inline unsigned host_in(struct host *h, const void *bytes, size_t len, unsigned flags)
{
    struct weir_buf *buf = weir_buf_take_bytes(h->pool, len);
    assert_non_null(buf);
    memcpy(buf->data, bytes, len);
    buf->len = (uint32_t)len;
    *frame_meta(buf) = (struct frame_meta){.flags = (uint16_t)flags, .rx_ns = 77};
    unsigned n = stack_in(h->s, &buf, 1, h->got + h->n, h->now_ns);
    h->n += n;
    return n;
}

/* What is to be sent as bytes, its checksum completed as a device would; completed and home. */
static inline size_t frame_out(const struct tx_frame *f, uint8_t *ret)
{
    memcpy(ret, f->buf->data, f->buf->len);
    size_t len = f->buf->len;
    if (f->body) {
        memcpy(ret + len, f->body->data, f->body->len);
        len += f->body->len;
        buf_tx_done(f->body);
    }
    buf_tx_done(f->buf);
    assert_int_equal(len, f->bytes);
    if (f->csum_start) {
        uint16_t sum = checksum_finish(checksum_add(0, ret + f->csum_start, len - f->csum_start));
        memcpy(ret + f->csum_start + f->csum_offset, &sum, 2);
    }
    return len;
}

static inline void cross(struct host *to, const struct tx_frame *frames, unsigned n)
{
    static uint8_t bytes[70000];
    for (unsigned i = 0; i < n; i++)
        host_in(to, bytes, frame_out(&frames[i], bytes), 0);
}

/* What the stacks have to say themselves goes to and fro until they are silent. */
static inline void settle(struct host *a, struct host *b)
{
    struct tx_frame frames[64];
    for (unsigned round = 0; round < 16; round++) {
        cross(b, frames, stack_out(a->s, frames, 64));
        cross(a, frames, stack_out(b->s, frames, 64));
        if (!stack_has_out(a->s) && !stack_has_out(b->s))
            return;
    }
    fail_msg("the stacks do not come to rest");
}

static inline struct weir_buf *host_buf(struct host *h, uint32_t len)
{
    struct weir_buf *buf = weir_buf_take_bytes(h->pool, len);
    assert_non_null(buf);
    for (uint32_t i = 0; i < len; i++)
        buf->data[i] = (uint8_t)(i * 7 + i / 251);
    buf->len = len;
    return buf;
}

static inline bool is_pattern(const struct weir_buf *buf, uint32_t len)
{
    if (buf->len != len)
        return false;
    for (uint32_t i = 0; i < len; i++)
        if (buf->data[i] != (uint8_t)(i * 7 + i / 251))
            return false;
    return true;
}

static inline struct weir_addr host_bind(struct host *h, uint32_t socket, const char *text)
{
    struct weir_addr at = addr_of(text), ret;
    assert_int_equal(stack_bind(h->s, socket, &at, &ret), 0);
    return ret;
}

/* One datagram of the pattern, which leaves; returns stack_udp_out's verdict. */
static inline int host_send(struct host *h, uint32_t socket, const struct weir_addr *to,
                            uint32_t len, struct host *peer)
{
    struct tx_frame frames[128];
    struct weir_buf *buf = host_buf(h, len);
    buf_to_tx(buf);
    int n = stack_udp_out(h->s, socket, buf, to, frames, 128, h->now_ns);
    if (n < 0)
        buf_tx_done(buf);
    else if (peer)
        cross(peer, frames, (unsigned)n);
    return n;
}

/* ---- frames made by hand --------------------------------------------------------------------- */

/* UDP over IPv4 from 10.0.0.b to 10.0.0.a, 4 bytes "ping", right in all respects. */
static inline size_t make_udp4(uint8_t *ret, const char *src, const char *dst)
{
    struct weir_addr from = addr_of(src), to = addr_of(dst);
    struct eth eth = {.type = ETH_IP4};
    struct ip4 ip = {.ttl = 64, .protocol = IP_UDP, .total = 32};
    struct udp udp = {.src = from.port, .dst = to.port, .bytes = 12};
    memcpy(eth.dst, mac_a, 6);
    memcpy(eth.src, mac_b, 6);
    memcpy(ip.src, from.ip + 12, 4);
    memcpy(ip.dst, to.ip + 12, 4);
    size_t n = eth_emit(ret, &eth);
    n += ip4_emit(ret + n, &ip);
    memcpy(ret + n + 8, "ping", 4);
    udp_emit(ret + n, &udp, checksum_pseudo4(ip.src, ip.dst, IP_UDP, 12));
    return n + 12;
}

static inline size_t make_udp6(uint8_t *ret, const char *src, const char *dst)
{
    struct weir_addr from = addr_of(src), to = addr_of(dst);
    struct eth eth = {.type = ETH_IP6};
    struct ip6 ip = {.hop_limit = 64, .protocol = IP_UDP, .bytes = 12};
    struct udp udp = {.src = from.port, .dst = to.port, .bytes = 12};
    memcpy(eth.dst, mac_a, 6);
    memcpy(eth.src, mac_b, 6);
    memcpy(ip.src, from.ip, 16);
    memcpy(ip.dst, to.ip, 16);
    size_t n = eth_emit(ret, &eth);
    n += ip6_emit(ret + n, &ip);
    memcpy(ret + n + 8, "ping", 4);
    udp_emit(ret + n, &udp, checksum_pseudo6(ip.src, ip.dst, IP_UDP, 12));
    return n + 12;
}

/* The header's checksum after a change by hand. */
static inline void mend_ip4(uint8_t *frame)
{
    memset(frame + 24, 0, 2);
    uint16_t sum = checksum_finish(checksum_add(0, frame + 14, (frame[14] & 15) * 4u));
    memcpy(frame + 24, &sum, 2);
}

#endif
