/* SPDX-License-Identifier: MIT
 * ARP for IPv4 over Ethernet: RFC 826, RFC 5227. */
#ifndef WEIR_WIRE_ARP_H
#define WEIR_WIRE_ARP_H

#include "wire/wire.h"

#define ARP_BYTES 28u
enum { ARP_REQUEST = 1, ARP_REPLY = 2 };

struct arp {
    uint16_t op;
    uint8_t src_mac[6], src_ip[4], dst_mac[6], dst_ip[4];
};

/* Returns ARP_BYTES, or -WIRE_SHORT, -WIRE_VERSION (not for IPv4 over Ethernet), -WIRE_LENGTH
 * (addresses of other lengths than those have), -WIRE_VALUE (neither request nor reply). Whether
 * the addresses are honest is for the cache to say. */
int arp_parse(const uint8_t *p, size_t n, struct arp *ret);
size_t arp_emit(uint8_t *p, const struct arp *arp); /* ARP_BYTES */

#endif
