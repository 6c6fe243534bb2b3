/* SPDX-License-Identifier: MIT
 * ARP packets: from behind the Ethernet header to values, and back.
 *
 *     hardware 2 | protocol 2 | lengths 1 + 1 | op 2 | src mac 6 | src ip 4 | dst mac 6 | dst ip 4
 *
 * RFC 826, "Packet format". What is behind the 28 bytes is Ethernet's padding. */
#include "wire/arp.h"
#include "wire/eth.h"

#define ETHERNET 1u /* IANA, ARP parameters: hardware types */

int arp_parse(const uint8_t *p, size_t n, struct arp *ret)
{
    if (n < ARP_BYTES)
        return -WIRE_SHORT;
    if (be16_load(p) != ETHERNET || be16_load(p + 2) != ETH_IP4)
        return -WIRE_VERSION;
    if (p[4] != sizeof ret->src_mac || p[5] != sizeof ret->src_ip)
        return -WIRE_LENGTH;
    ret->op = be16_load(p + 6);
    if (ret->op != ARP_REQUEST && ret->op != ARP_REPLY)
        return -WIRE_VALUE;
    memcpy(ret->src_mac, p + 8, 6);
    memcpy(ret->src_ip, p + 14, 4);
    memcpy(ret->dst_mac, p + 18, 6);
    memcpy(ret->dst_ip, p + 24, 4);
    return (int)ARP_BYTES;
}

size_t arp_emit(uint8_t *p, const struct arp *arp)
{
    assert(arp->op == ARP_REQUEST || arp->op == ARP_REPLY);
    be16_store(p, ETHERNET);
    be16_store(p + 2, ETH_IP4);
    p[4] = sizeof arp->src_mac;
    p[5] = sizeof arp->src_ip;
    be16_store(p + 6, arp->op);
    memcpy(p + 8, arp->src_mac, 6);
    memcpy(p + 14, arp->src_ip, 4);
    memcpy(p + 18, arp->dst_mac, 6);
    memcpy(p + 24, arp->dst_ip, 4);
    return ARP_BYTES;
}
