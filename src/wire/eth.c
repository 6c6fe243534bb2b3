/* SPDX-License-Identifier: MIT
 * Ethernet headers that are not plain: with tags, or refused. The plain one is inline (eth.h).
 *
 *     dst 6 | src 6 | [tag's type 2 | tag 2] x 0 .. 2 | type 2
 *
 * IEEE 802.3, 3.2.3 to 3.2.6; IEEE 802.1Q, 9.6 (priority 3 bits, drop eligible 1, identifier 12). */
#include "wire/eth.h"

int eth_parse_tags(const uint8_t *p, size_t n, struct eth *ret)
{
    size_t at = ETH_BYTES;

    if (n < ETH_BYTES)
        return -WIRE_SHORT;
    memset(ret, 0, sizeof *ret);
    memcpy(ret->dst, p, 6);
    memcpy(ret->src, p + 6, 6);
    ret->type = be16_load(p + 12);
    for (; eth_is_tag(ret->type); at += 4) {
        if (ret->vlans == ETH_VLANS_MAX)
            return -WIRE_OPTIONS;
        if (n - at < 4)
            return -WIRE_SHORT;
        ret->vlan_type[ret->vlans] = ret->type;
        ret->vlan[ret->vlans++] = be16_load(p + at);
        ret->type = be16_load(p + at + 2);
    }
    return ret->type < ETH_TYPE_MIN ? -WIRE_LENGTH : (int)at;
}

size_t eth_emit(uint8_t *p, const struct eth *eth)
{
    size_t at = 12;

    assert(eth->vlans <= ETH_VLANS_MAX && eth->type >= ETH_TYPE_MIN && !eth_is_tag(eth->type));
    memcpy(p, eth->dst, 6);
    memcpy(p + 6, eth->src, 6);
    for (unsigned i = 0; i < eth->vlans; i++, at += 4) {
        be16_store(p + at, eth->vlan_type[i]);
        be16_store(p + at + 2, eth->vlan[i]);
    }
    be16_store(p + at, eth->type);
    return at + 2;
}
