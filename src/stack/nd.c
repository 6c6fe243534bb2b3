/* SPDX-License-Identifier: MIT
 * Neighbour discovery: what comes, and what we ask. Router advertisements are not for us: addresses
 * and routes are given.
 *
 *   solicitation of our address -> learned (a share of the cache), advertised in place
 *   advertisement               -> an answer, where it says so and a question is open; else a claim
 *
 * Source: RFC 4861, 7.1 (what is valid), 7.2; RFC 6980 (never in fragments); RFC 4862, 5.4 (a probe for a duplicate comes from ::). */
#include "stack/control_inside.h"

#define HEADERS (ETH_BYTES + IP6_BYTES)

static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1}; /* RFC 4291, 2.7.1 */

static bool is_group(const uint8_t ip[16])
{
    return ip[0] == 0xff;
}

/* RFC 2464, 7. */
static void group_mac(const uint8_t ip[16], uint8_t ret[6])
{
    ret[0] = ret[1] = 0x33;
    memcpy(ret + 2, ip + 12, 4);
}

/* The message behind its headers. `buf` has room. */
static void emit(struct stack *s, struct weir_buf *buf, const uint8_t mac[6], const uint8_t src[16],
                 const uint8_t dst[16], const struct nd *nd)
{
    uint32_t bytes = (uint32_t)nd_bytes(nd);
    control_eth(s, buf->data, mac, ETH_IP6);
    control_ip6(buf->data + ETH_BYTES, src, dst, bytes, ND_TTL);
    nd_emit(buf->data + HEADERS, checksum_pseudo6(src, dst, IP_ICMP6, bytes), nd);
    stack_push(s, buf);
}

/* ---- solicitations --------------------------------------------------------------------------- */

static void advertise(struct stack *s, struct weir_buf *frame, const struct ip6 *ip,
                      const struct nd *asked, uint64_t now_ns)
{
    struct nd nd = {.type = ICMP6_ADVERTISEMENT, .override = true, .has_mac = true};
    bool probe = ip_is_zero(ip->src); /* nobody to answer to: RFC 4861, 7.2.4 */
    uint8_t dst[16], mac[6];
    memcpy(dst, probe ? all_nodes : ip->src, 16);
    memcpy(mac, asked->has_mac ? asked->mac : frame->data + 6, 6);
    if (!control_may_find(s, dst, mac, now_ns)) {
        frame_drop(frame);
        return;
    }
    if (probe)
        group_mac(dst, mac);
    memcpy(nd.target, asked->target, 16);
    memcpy(nd.mac, s->mac, 6);
    nd.solicited = !probe;
    struct weir_buf *buf = control_blank(s, frame, HEADERS + ND_BYTES_MAX);
    if (buf)
        emit(s, buf, mac, nd.target, dst, &nd);
}

/* RFC 4861, 7.1.1, beyond what the parser sees. */
static bool solicitation_ok(const struct ip6 *ip, const struct nd *nd)
{
    if (nd->has_mac && control_mac_is_bad(nd->mac))
        return false;
    if (ip_is_zero(ip->src))
        return !nd->has_mac && is_group(ip->dst);
    return !is_group(ip->dst) || nd->has_mac;
}

static void solicited(struct stack *s, struct weir_buf *frame, const struct ip6 *ip,
                      const struct nd *nd, uint64_t now_ns)
{
    unsigned says = NEIGHBOUR_OVERRIDES;
    bool ok = solicitation_ok(ip, nd), ours = local_find(s, nd->target) != NULL;
    if (ours && local_on_link(s, ip->src))
        says |= NEIGHBOUR_ASKS;
    if (ok && nd->has_mac)
        ok = control_learn(s, ip->src, nd->mac, says, now_ns);
    COUNT(s->counters, nd_bad, !ok);
    if (ok && ours)
        advertise(s, frame, ip, nd, now_ns);
    else
        frame_drop(frame);
}

/* ---- advertisements -------------------------------------------------------------------------- */

/* RFC 4861, 7.1.2; and nobody else may have our addresses. */
static bool advertisement_ok(const struct stack *s, const struct ip6 *ip, const struct nd *nd)
{
    if (is_group(ip->dst) && nd->solicited)
        return false;
    if (nd->has_mac && control_mac_is_bad(nd->mac))
        return false;
    return source_is_good(s, nd->target);
}

static void advertised(struct stack *s, struct weir_buf *frame, const struct ip6 *ip,
                       const struct nd *nd, uint64_t now_ns)
{
    unsigned says =
        (nd->solicited ? NEIGHBOUR_ANSWERS : 0) | (nd->override ? NEIGHBOUR_OVERRIDES : 0);
    bool ok = advertisement_ok(s, ip, nd) &&
              control_learn(s, nd->target, nd->has_mac ? nd->mac : NULL, says, now_ns);
    COUNT(s->counters, nd_bad, !ok);
    frame_drop(frame);
}

void nd_in(struct stack *s, struct weir_buf *frame, const struct ip6 *ip, const uint8_t *at,
           uint32_t n, uint64_t now_ns)
{
    struct nd nd;
    int bad = ip->hop_limit == ND_TTL && !ip->fragmented /* RFC 6980, 5: a filter may not see it */
                  ? nd_parse(at, n, checksum_pseudo6(ip->src, ip->dst, IP_ICMP6, n), &nd)
                  : -WIRE_VALUE;
    if (bad < 0 || !s->answers) {
        COUNT(s->counters, nd_bad, bad < 0);
        frame_drop(frame);
    } else if (nd.type == ICMP6_SOLICITATION) {
        solicited(s, frame, ip, &nd, now_ns);
    } else {
        advertised(s, frame, ip, &nd, now_ns);
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

bool nd_ask(struct stack *s, const struct local *from, const uint8_t ip[16], const uint8_t *mac)
{
    /* RFC 4291, 2.7.1: the solicited-node group of an address */
    uint8_t dst[16] = {0xff, 2, [11] = 1, [12] = 0xff, ip[13], ip[14], ip[15]}, group[6];
    struct nd nd = {.type = ICMP6_SOLICITATION, .has_mac = true};
    struct weir_buf *buf = control_blank(s, NULL, HEADERS + ND_BYTES_MAX);
    if (!buf)
        return false; /* counted; the next try is a second away */
    memcpy(nd.target, ip, 16);
    memcpy(nd.mac, s->mac, 6);
    group_mac(dst, group);
    COUNT(s->counters, neighbour_requests, 1);
    emit(s, buf, mac ? mac : group, from->ip, mac ? ip : dst, &nd);
    return true;
}
