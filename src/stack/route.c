/* SPDX-License-Identifier: MIT
 * Our addresses, and where a packet goes: next hop, source address, group MACs.
 *
 * Off the hot path: flow.c keeps what was found until stack_changed. The tables have at most
 * WEIR_NETS_MAX and WEIR_ROUTES_MAX rows and are scanned.
 * Sources: RFC 1122, 3.3.1 (routing), 3.2.1.3 (addresses nobody sends from); RFC 1112, 6.4 and
 * RFC 2464, 7 (group MACs); RFC 4291, 2.7.1 (solicited-node); RFC 6724, rules 2 and 8. */
#include "stack/inside.h"

#include <errno.h>

static const uint8_t link_local[16] = {0xfe, 0x80};

/* How many leading bits are the same. */
static unsigned common_bits(const uint8_t a[16], const uint8_t b[16])
{
    for (unsigned i = 0; i < 16; i++)
        if (a[i] != b[i])
            return 8 * i + (unsigned)__builtin_clz((unsigned)(a[i] ^ b[i])) - 24;
    return 128;
}

static bool in_net(const uint8_t ip[16], const uint8_t net[16], unsigned prefix)
{
    return common_bits(ip, net) >= prefix;
}

static bool is_link_local(const uint8_t ip[16])
{
    return in_net(ip, link_local, 10); /* fe80::/10 */
}

static bool is_multicast(const uint8_t ip[16])
{
    return ip_is_4(ip) ? ip[12] >> 4 == 0xe : ip[0] == 0xff;
}

static bool is_loopback(const uint8_t ip[16])
{
    static const uint8_t one[16] = {[15] = 1};
    return ip_is_4(ip) ? ip[12] == 127 : ip_equal(ip, one);
}

/* No unicast address: RFC 1122's 0/8, 127/8, 224/4, 240/4; and of IPv6 ::, ::1, ff00::/8. */
static bool is_nobodys(const uint8_t ip[16])
{
    if (ip_is_4(ip))
        return ip[12] == 0 || ip[12] == 127 || ip[12] >= 224;
    return ip_is_zero(ip) || is_loopback(ip) || is_multicast(ip);
}

/* ---- birth ---------------------------------------------------------------------------------- */

static void add_broadcast(struct stack *s, struct local *l)
{
    uint32_t bits = 128u - l->prefix, ip = be32_load(l->ip + 12);
    memcpy(&s->ip4[s->locals4], l->ip + 12, 4);
    if (bits >= 2) {
        uint32_t hosts = bits >= 32 ? UINT32_MAX : (1u << bits) - 1;
        be32_store(l->broadcast, ip | hosts);
        memcpy(&s->broadcast4[s->locals4], l->broadcast, 4);
    }
    s->locals4++;
}

static int add_local(struct stack *s, const struct weir_net *net, struct weir_why *why)
{
    bool ip4 = ip_is_4(net->ip);
    struct local *l = &s->local[s->locals];
    if (is_nobodys(net->ip) || net->prefix > 128 || (ip4 && net->prefix < 96))
        return why_set(why, -EINVAL, "address", "give a unicast address and its prefix",
                       "address %u is none that a host may have", s->locals + 1u);
    if (!ip4 && s->opt.mtu < IP6_MTU_MIN)
        return why_set(why, -EINVAL, "address", "raise the MTU to 1,280",
                       "IPv6 over an MTU of %u bytes", s->opt.mtu);
    *l = (struct local){.prefix = net->prefix, .ip4 = ip4};
    memcpy(l->ip, net->ip, 16);
    if (ip4)
        add_broadcast(s, l);
    s->locals++;
    return 0;
}

/* A gateway that is not on a link would be looked for in vain. The kernel's own routes (shared
 * mode) are the kernel's to vouch for. */
static int check_route(const struct stack *s, const struct weir_route *r, struct weir_why *why)
{
    bool ip4 = ip_is_4(r->to.ip);
    if (r->to.prefix > 128 || (ip4 && r->to.prefix < 96))
        return why_set(why, -EINVAL, "route", "", "a prefix that is too long");
    if (ip_is_zero(r->via) || !s->answers)
        return 0;
    if (ip_is_4(r->via) != ip4 || is_nobodys(r->via))
        return why_set(why, -EINVAL, "route", "", "its gateway is no such address");
    if (!local_on_link(s, r->via) && !is_link_local(r->via))
        return why_set(why, -EINVAL, "route", "add an address of the gateway's network",
                       "its gateway is on no link of ours");
    return 0;
}

int routes_open(struct stack *s, struct weir_why *why)
{
    int rc = 0;
    for (uint32_t i = 0; i < s->opt.addresses && rc == 0; i++)
        rc = add_local(s, &s->opt.address[i], why);
    for (uint32_t i = 0; i < s->opt.routes && rc == 0; i++)
        rc = check_route(s, &s->opt.route[i], why);
    return rc;
}

/* ---- our addresses -------------------------------------------------------------------------- */

const struct local *local_find(const struct stack *s, const uint8_t ip[16])
{
    for (unsigned i = 0; i < s->locals; i++)
        if (ip_equal(s->local[i].ip, ip))
            return &s->local[i];
    return NULL;
}

const struct local *local_on_link(const struct stack *s, const uint8_t ip[16])
{
    const struct local *best = NULL;
    for (unsigned i = 0; i < s->locals; i++) {
        const struct local *l = &s->local[i];
        if (in_net(ip, l->ip, l->prefix) && (!best || l->prefix > best->prefix))
            best = l;
    }
    return best;
}

bool local_is_broadcast(const struct stack *s, const uint8_t ip4[4])
{
    uint32_t ip;
    memcpy(&ip, ip4, 4);
    bool is = ip == UINT32_MAX;
    for (unsigned i = 0; i < s->locals4; i++)
        is |= s->broadcast4[i] && s->broadcast4[i] == ip;
    return is;
}

bool source_is_good(const struct stack *s, const uint8_t ip[16])
{
    return !is_nobodys(ip) && !local_find(s, ip) &&
           !(ip_is_4(ip) && local_is_broadcast(s, ip + 12));
}

bool group_is_ours(const struct stack *s, const uint8_t ip[16])
{
    static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
    static const uint8_t solicited[13] = {0xff, 2, [11] = 1, 0xff};
    if (ip_equal(ip, all_nodes))
        return true;
    for (unsigned i = 0; i < s->locals; i++)
        if (!s->local[i].ip4 && memcmp(ip, solicited, 13) == 0 &&
            memcmp(ip + 13, s->local[i].ip + 13, 3) == 0)
            return true;
    return false;
}

/* 33:33 and the last 32 bits of the address; all-nodes is ff02::1, solicited-node
 * ff02::1:ffXX:XXXX with the last 24 bits of ours. */
bool mac_is_our_group(const struct stack *s, const uint8_t mac[6])
{
    static const uint8_t all_nodes[6] = {0x33, 0x33, 0, 0, 0, 1};
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t solicited[3] = {0x33, 0x33, 0xff};
    if (mac_equal(mac, everybody))
        return true;
    for (unsigned i = 0; i < s->locals; i++)
        if (!s->local[i].ip4 &&
            (mac_equal(mac, all_nodes) ||
             (memcmp(mac, solicited, 3) == 0 && memcmp(mac + 3, s->local[i].ip + 13, 3) == 0)))
            return true;
    return false;
}

/* ---- where to ------------------------------------------------------------------------------- */

/* The best of our addresses to send from: the scope of the destination first, then the longest
 * match. */
static const struct local *source_for(const struct stack *s, const uint8_t to[16])
{
    const struct local *best = NULL;
    int most = INT32_MIN;
    for (unsigned i = 0; i < s->locals; i++) {
        const struct local *l = &s->local[i];
        if (l->ip4 != ip_is_4(to))
            continue;
        int score = (int)common_bits(l->ip, to);
        score -= is_link_local(l->ip) != is_link_local(to) ? 256 : 0;
        if (score > most) {
            most = score;
            best = l;
        }
    }
    return best;
}

static bool group_mac(const struct stack *s, const uint8_t to[16], uint8_t mac[6])
{
    if (!ip_is_4(to)) {
        memcpy(mac, "\x33\x33", 2);
        memcpy(mac + 2, to + 12, 4);
        return is_multicast(to);
    }
    if (is_multicast(to)) {
        memcpy(mac, "\x01\x00\x5e", 3);
        memcpy(mac + 3, to + 13, 3);
        mac[3] &= 0x7f; /* 23 bits */
        return true;
    }
    memset(mac, 0xff, 6);
    return local_is_broadcast(s, to + 12);
}

static const struct weir_route *route_best(const struct stack *s, const uint8_t to[16])
{
    const struct weir_route *best = NULL;
    for (uint32_t i = 0; i < s->opt.routes; i++) {
        const struct weir_route *r = &s->opt.route[i];
        /* ::/0 is not IPv4's default */
        if (ip_is_4(r->to.ip) == ip_is_4(to) && in_net(to, r->to.ip, r->to.prefix) &&
            (!best || r->to.prefix > best->to.prefix))
            best = r;
    }
    return best;
}

/* The longest prefix of those that our addresses and the routes have. */
static bool next_hop(const struct stack *s, const uint8_t to[16], struct hop *ret)
{
    const struct local *l = local_on_link(s, to);
    const struct weir_route *r = route_best(s, to);
    memcpy(ret->ip, to, 16);
    if (r && (!l || r->to.prefix > l->prefix)) {
        if (!ip_is_zero(r->via))
            memcpy(ret->ip, r->via, 16);
        l = local_on_link(s, ret->ip);
    }
    if (!ret->from)
        ret->from = l && is_link_local(l->ip) == is_link_local(to) ? l : source_for(s, to);
    return l || r || (!ip_is_4(to) && is_link_local(to));
}

int route_find(const struct stack *s, const uint8_t to[16], const struct local *from,
               struct hop *ret)
{
    *ret = (struct hop){.from = from, .self = local_find(s, to) != NULL};
    if (ip_is_zero(to) || (ip_is_4(to) && be32_load(to + 12) == 0))
        return -EINVAL;
    if (is_loopback(to))
        return -ENETUNREACH;
    ret->known = group_mac(s, to, ret->mac);
    if (ret->known) {
        memcpy(ret->ip, to, 16);
        if (!from)
            ret->from = source_for(s, to);
    } else if (!next_hop(s, to, ret)) {
        return -ENETUNREACH;
    }
    return ret->from ? 0 : -ENETUNREACH;
}

bool stack_owns(const struct stack *s, const uint8_t ip[16])
{
    return local_find(s, ip) != NULL;
}
