/* SPDX-License-Identifier: MIT
 * Ethernet II with up to two VLAN tags: IEEE 802.3, 802.1Q, 802.1ad. */
#ifndef WEIR_WIRE_ETH_H
#define WEIR_WIRE_ETH_H

#include "wire/wire.h"

#define ETH_BYTES 14u /* without tags */
#define ETH_VLANS_MAX 2u
#define ETH_BYTES_MAX (ETH_BYTES + 4u * ETH_VLANS_MAX)
#define ETH_TYPE_MIN 0x0600u /* below it the field is a length or undefined: IEEE 802.3, 3.2.6 */

enum {
    ETH_IP4 = 0x0800,
    ETH_ARP = 0x0806,
    ETH_VLAN = 0x8100, /* IEEE 802.1Q */
    ETH_IP6 = 0x86dd,
    ETH_QINQ = 0x88a8 /* the service tag of IEEE 802.1ad */
};

struct eth {
    uint8_t dst[6], src[6];
    uint16_t type;                     /* of what follows the tags */
    uint8_t vlans;                     /* tags; vlan[0] is the outer one */
    uint16_t vlan[ETH_VLANS_MAX];      /* the 16 bits of a tag: priority, drop, identifier */
    uint16_t vlan_type[ETH_VLANS_MAX]; /* ETH_VLAN or ETH_QINQ */
};

int eth_parse_tags(const uint8_t *p, size_t n, struct eth *ret); /* with or without tags; eth.c */
/* Into room for ETH_BYTES_MAX. Returns the bytes written. */
size_t eth_emit(uint8_t *p, const struct eth *eth);

static inline bool eth_is_tag(uint16_t type)
{
    return type == ETH_VLAN || type == ETH_QINQ;
}

/* Returns the bytes of the header, or -WIRE_SHORT, -WIRE_OPTIONS (more tags than we know),
 * -WIRE_LENGTH (an 802.3 length instead of a type). Without tags, vlan and vlan_type are not
 * written. */
static inline int eth_parse(const uint8_t *p, size_t n, struct eth *ret)
{
    if (unlikely(n < ETH_BYTES))
        return -WIRE_SHORT;
    ret->type = be16_load(p + 12);
    if (unlikely(ret->type < ETH_TYPE_MIN || eth_is_tag(ret->type)))
        return eth_parse_tags(p, n, ret);
    memcpy(ret->dst, p, 6);
    memcpy(ret->src, p + 6, 6);
    ret->vlans = 0;
    return (int)ETH_BYTES;
}

static inline bool mac_equal(const uint8_t a[6], const uint8_t b[6])
{
    return memcmp(a, b, 6) == 0;
}
static inline bool mac_is_multicast(const uint8_t mac[6])
{
    return mac[0] & 1;
}

#endif
