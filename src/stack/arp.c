/* SPDX-License-Identifier: MIT
 * ARP: what comes, and what we ask.
 *
 *   request to us -> learned (a share of the cache), answered in place
 *   reply to us   -> an answer: what waits for it goes
 *   all others    -> a claim: only about whom we know already, and never against it
 *
 * Source: RFC 826; RFC 5227 (a probe comes from 0.0.0.0 and is answered, not learned; announcements). */
#include "stack/control_inside.h"

#define FRAME_BYTES (ETH_BYTES + ARP_BYTES) /* devices pad to Ethernet's 60 */

static const uint8_t zero_ip[4];

static bool is_zero_ip(const uint8_t ip[4])
{
    return memcmp(ip, zero_ip, 4) == 0;
}

static void answer(struct stack *s, struct weir_buf *frame, const struct arp *asked,
                   uint64_t now_ns)
{
    struct arp arp = {.op = ARP_REPLY};
    uint8_t ip[16];
    ip_from_4(ip, asked->src_ip);
    if (!control_may_find(s, ip, asked->src_mac, now_ns)) {
        frame_drop(frame);
        return;
    }
    memcpy(arp.src_mac, s->mac, 6);
    memcpy(arp.src_ip, asked->dst_ip, 4);
    memcpy(arp.dst_mac, asked->src_mac, 6);
    memcpy(arp.dst_ip, asked->src_ip, 4);
    struct weir_buf *buf = control_blank(s, frame, FRAME_BYTES);
    if (!buf)
        return;
    control_eth(s, buf->data, arp.dst_mac, ETH_ARP);
    arp_emit(buf->data + ETH_BYTES, &arp);
    stack_push(s, buf);
}

/* What it says of its sender. An answer comes to us alone: RFC 5227, 2.6 has broadcast replies. */
static unsigned says(const struct arp *arp, bool to_us, bool to_our_mac)
{
    if (!to_us)
        return NEIGHBOUR_OVERRIDES;
    if (arp->op == ARP_REQUEST)
        return NEIGHBOUR_OVERRIDES | NEIGHBOUR_ASKS;
    return to_our_mac ? NEIGHBOUR_OVERRIDES | NEIGHBOUR_ANSWERS : NEIGHBOUR_OVERRIDES;
}

/* Who claims an address that nobody has, or ours, or a MAC that is no other card's. */
static bool is_bad(const struct stack *s, const struct arp *arp, const uint8_t src[16])
{
    if (control_mac_is_bad(arp->src_mac))
        return true;
    return !is_zero_ip(arp->src_ip) && !source_is_good(s, src);
}

static bool learn(struct stack *s, const struct arp *arp, const uint8_t src[16], unsigned what,
                  uint64_t now_ns)
{
    if (is_zero_ip(arp->src_ip))
        return true;
    /* A gateway beyond our prefix answers, but is not learned unasked */
    if (!local_on_link(s, src))
        what &= ~NEIGHBOUR_ASKS;
    return control_learn(s, src, arp->src_mac, what, now_ns);
}

void arp_in(struct stack *s, struct weir_buf *frame, const struct eth *eth, uint64_t now_ns)
{
    struct arp arp;
    uint8_t src[16], dst[16];
    COUNT(s->counters, arp_in, 1);
    bool bad = arp_parse(frame->data + ETH_BYTES, frame->len - ETH_BYTES, &arp) < 0;
    if (!bad) {
        ip_from_4(src, arp.src_ip);
        ip_from_4(dst, arp.dst_ip);
        bad = is_bad(s, &arp, src);
    }
    bool to_us = !bad && local_find(s, dst);
    if (!bad && s->answers)
        bad = !learn(s, &arp, src, says(&arp, to_us, mac_equal(eth->dst, s->mac)), now_ns);
    COUNT(s->counters, arp_bad, bad);
    if (!bad && s->answers && to_us && arp.op == ARP_REQUEST)
        answer(s, frame, &arp, now_ns);
    else
        frame_drop(frame);
}

bool arp_ask(struct stack *s, const struct local *from, const uint8_t ip[16], const uint8_t *mac)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct arp arp = {.op = ARP_REQUEST};
    struct weir_buf *buf = control_blank(s, NULL, FRAME_BYTES);
    if (!buf)
        return false; /* counted; the next try is a second away */
    memcpy(arp.src_mac, s->mac, 6);
    memcpy(arp.src_ip, from->ip + 12, 4);
    memcpy(arp.dst_ip, ip + 12, 4);
    control_eth(s, buf->data, mac ? mac : all, ETH_ARP);
    arp_emit(buf->data + ETH_BYTES, &arp);
    COUNT(s->counters, neighbour_requests, 1);
    stack_push(s, buf);
    return true;
}
