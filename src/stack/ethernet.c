/* SPDX-License-Identifier: MIT
 * The long way in: what in.c did not recognize as usual goes through the parsers, and what is wrong
 * with a frame is named and counted here.
 *
 *   ethernet_in -> arp_in | ip4_in, ip6_in -> fragment -> transport -> udp_in | icmp4_in, icmp6_in
 *
 * Invariant: each frame ends once: as a datagram, in a counter, or with who takes it over.
 * Sources: RFC 1122 sections 3.2.1, 3.2.2 and 3.3.6, RFC 8200, RFC 6946 (a single fragment), RFC 4862. */
#include "stack/control.h"
#include "stack/in.h"

/* What a frame of `n` bytes says of itself, by the parser's verdict. */
static void refuse(struct stack *s, struct weir_buf *frame, int bad)
{
    switch (-bad) {
    case WIRE_SHORT: COUNT(s->counters, drop_short, 1); break;
    case WIRE_LENGTH: COUNT(s->counters, dishonest_length, 1); break;
    case WIRE_VERSION: COUNT(s->counters, bad_version, 1); break;
    case WIRE_CHECKSUM: COUNT(s->counters, bad_checksum, 1); break;
    default: COUNT(s->counters, bad_options, 1); break;
    }
    frame_drop(frame);
}

#define DROP(s, frame, counter)                                                                    \
    do {                                                                                           \
        COUNT((s)->counters, counter, 1);                                                          \
        frame_drop(frame);                                                                         \
    } while (0)

/* ---- the long way: IPv4 ---------------------------------------------------------------------- */

/* The whole datagram, put together: its IP header is gone, its source is known. */
static void reassembled(struct arrival *a, struct weir_buf *whole, const struct ends *ends,
                        uint8_t protocol)
{
    struct udp_packet p = {.at = whole->data, .bytes = whole->len};
    *frame_meta(whole) = (struct frame_meta){0}; /* what a device told was of one fragment */
    /* An echo request as well: its answer would be as many fragments, and anybody may ask for it */
    if (protocol != IP_UDP)
        DROP(a->s, whole, no_protocol);
    else if (!udp_in(a, whole, ends, &p))
        frame_drop(whole);
}

static void transport4(struct arrival *a, struct weir_buf *frame, const struct ip4 *ip,
                       const struct ends *ends, size_t l3)
{
    struct stack *s = a->s;
    struct udp_packet p = {.at = frame->data + l3 + ip->header_bytes,
                           .bytes = (uint32_t)ip->total - ip->header_bytes};
    switch (ip->protocol) {
    case IP_UDP:
        if (udp_in(a, frame, ends, &p))
            return;
        if (s->answers && ends->unicast)
            icmp4_no_port(s, frame, ip, l3, a->now_ns);
        else
            frame_drop(frame);
        return;
    case IP_ICMP:
        if (!ends->unicast)
            DROP(s, frame, not_ours); /* RFC 1122, 3.2.2.6: an echo to a broadcast may be ignored */
        else if (s->opt.worker)
            stack_hand(s, frame);
        else
            icmp4_in(s, frame, ip, l3, a->now_ns);
        return;
    default: DROP(s, frame, no_protocol);
    }
}

static void fragment4(struct arrival *a, struct weir_buf *frame, const struct ip4 *ip,
                      const struct ends *ends, size_t l3)
{
    uint8_t protocol;
    if (a->s->opt.worker) {
        stack_hand(a->s, frame);
        return;
    }
    struct weir_buf *whole = fragment4_in(a->s, frame, ip, l3, &protocol, a->now_ns);
    if (whole)
        reassembled(a, whole, ends, protocol);
}

static void ip4_in(struct arrival *a, struct weir_buf *frame, size_t l3)
{
    struct stack *s = a->s;
    struct ip4 ip;
    struct ends ends;
    int rc = ip4_parse(frame->data + l3, frame->len - l3, &ip);
    if (rc < 0) {
        refuse(s, frame, rc);
        return;
    }
    ip_from_4(ends.src, ip.src);
    ip_from_4(ends.dst, ip.dst);
    ends.unicast = local_find(s, ends.dst) != NULL;
    if (!ends.unicast && !local_is_broadcast(s, ip.dst))
        DROP(s, frame, not_ours);
    else if (ends.unicast && mac_is_multicast(frame->data)) /* RFC 1122, 3.3.6 */
        DROP(s, frame, drop_mac);
    else if (!source_is_good(s, ends.src))
        DROP(s, frame, bad_source);
    else if (unlikely(ip4_is_fragment(&ip)))
        fragment4(a, frame, &ip, &ends, l3);
    else
        transport4(a, frame, &ip, &ends, l3);
}

/* ---- the long way: IPv6 ---------------------------------------------------------------------- */

static void transport6(struct arrival *a, struct weir_buf *frame, const struct ip6 *ip,
                       const struct ends *ends, size_t l3)
{
    struct stack *s = a->s;
    uint32_t head = IP6_BYTES + ip->extension_bytes;
    struct udp_packet p = {.at = frame->data + l3 + head, .bytes = IP6_BYTES + ip->bytes - head};
    switch (ip->protocol) {
    case IP_UDP:
        if (!ends->unicast)
            DROP(s, frame, not_ours);
        else if (udp_in(a, frame, ends, &p))
            return;
        else if (s->answers)
            icmp6_no_port(s, frame, ip, l3, a->now_ns);
        else
            frame_drop(frame);
        return;
    case IP_ICMP6:
        if (s->opt.worker)
            stack_hand(s, frame);
        else
            icmp6_in(s, frame, ip, l3, a->now_ns);
        return;
    default: DROP(s, frame, no_protocol);
    }
}

static void fragment6(struct arrival *a, struct weir_buf *frame, const struct ip6 *ip,
                      const struct ends *ends, size_t l3)
{
    uint8_t protocol;
    if (!ends->unicast) {
        DROP(a->s, frame, not_ours);
        return;
    }
    if (a->s->opt.worker) {
        stack_hand(a->s, frame);
        return;
    }
    struct weir_buf *whole = fragment6_in(a->s, frame, ip, l3, &protocol, a->now_ns);
    if (whole)
        reassembled(a, whole, ends, protocol);
}

/* RFC 4862, 5.4.3: a solicitation from :: asks whether an address is free. */
static bool source6_is_good(const struct stack *s, const struct ip6 *ip)
{
    return source_is_good(s, ip->src) || (ip->protocol == IP_ICMP6 && ip_is_zero(ip->src));
}

static void ip6_in(struct arrival *a, struct weir_buf *frame, size_t l3)
{
    struct stack *s = a->s;
    struct ip6 ip;
    struct ends ends;
    int rc = ip6_parse(frame->data + l3, frame->len - l3, &ip);
    if (rc < 0) {
        refuse(s, frame, rc);
        return;
    }
    memcpy(ends.src, ip.src, 16);
    memcpy(ends.dst, ip.dst, 16);
    ends.unicast = local_find(s, ip.dst) != NULL;
    /* A mapped address on the wire is a way around filters: RFC 4942, 2.2 */
    if (ip_is_4(ip.dst) || (!ends.unicast && !group_is_ours(s, ip.dst)))
        DROP(s, frame, not_ours);
    else if (ends.unicast && mac_is_multicast(frame->data) && ip.protocol != IP_ICMP6)
        DROP(s, frame, drop_mac); /* neighbour discovery alone has a reason: RFC 4861, 7.2.2 */
    else if (ip_is_4(ip.src) || !source6_is_good(s, &ip))
        DROP(s, frame, bad_source);
    else if (unlikely(ip.more || ip.offset)) /* RFC 6946: one fragment alone is a whole packet */
        fragment6(a, frame, &ip, &ends, l3);
    else
        transport6(a, frame, &ip, &ends, l3);
}

/* ---- the long way: Ethernet ------------------------------------------------------------------ */

static void typed_in(struct arrival *a, struct weir_buf *frame, const struct eth *eth, size_t l3)
{
    switch (eth->type) {
    case ETH_IP4: ip4_in(a, frame, l3); return;
    case ETH_IP6: ip6_in(a, frame, l3); return;
    case ETH_ARP:
        if (a->s->opt.worker)
            stack_hand(a->s, frame);
        else
            arp_in(a->s, frame, eth, a->now_ns);
        return;
    default: DROP(a->s, frame, drop_ethertype);
    }
}

void ethernet_in(struct arrival *a, struct weir_buf *frame)
{
    struct stack *s = a->s;
    struct eth eth;
    int l3 = eth_parse(frame->data, frame->len, &eth);
    if (l3 == -WIRE_SHORT)
        DROP(s, frame, drop_short);
    else if (l3 == -WIRE_LENGTH)
        DROP(s, frame, drop_ethertype); /* 802.3: a length, so no type of ours */
    else if (l3 < 0 || eth.vlans)
        DROP(s, frame, drop_vlan);
    else if (!mac_equal(eth.dst, s->mac) && !mac_is_our_group(s, eth.dst))
        DROP(s, frame, drop_mac);
    else if (mac_is_multicast(eth.src)) /* IEEE 802.3, 3.2.3; our answer would go to everybody */
        DROP(s, frame, bad_source);
    else
        typed_in(a, frame, &eth, (size_t)l3);
}
