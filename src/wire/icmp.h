/* SPDX-License-Identifier: MIT
 * ICMP: RFC 792, RFC 1191; ICMPv6: RFC 4443; neighbour discovery: RFC 4861. */
#ifndef WEIR_WIRE_ICMP_H
#define WEIR_WIRE_ICMP_H

#include "wire/checksum.h"

#define ICMP_BYTES 8u

enum { ICMP_ECHO_REPLY = 0, ICMP_UNREACHABLE = 3, ICMP_ECHO = 8, ICMP_TIME_EXCEEDED = 11 };
enum { ICMP_PORT_UNREACHABLE = 3, ICMP_FRAGMENTATION_NEEDED = 4 }; /* codes of unreachable */
enum {
    ICMP6_UNREACHABLE = 1,
    ICMP6_TOO_BIG = 2,
    ICMP6_TIME_EXCEEDED = 3,
    ICMP6_ECHO = 128,
    ICMP6_ECHO_REPLY = 129,
    ICMP6_SOLICITATION = 135,
    ICMP6_ADVERTISEMENT = 136
};
enum { ICMP6_PORT_UNREACHABLE = 4 };

/* The 8 bytes that all messages of both families begin with. */
struct icmp {
    uint8_t type, code;
    uint32_t rest; /* echo: identifier << 16 | sequence; unreachable: the next hop's MTU in the low
                      16 bits (v4); too big: the MTU (v6) */
};

/* The checksum is verified over all `n` bytes; of ICMPv6 with the pseudo-header's sum (0 for v4).
 * Returns ICMP_BYTES, or -WIRE_SHORT, -WIRE_CHECKSUM. */
int icmp_parse(const uint8_t *p, size_t n, uint64_t pseudo, struct icmp *ret);
/* The header is written in front of `n - 8` bytes that are there already, with the checksum
 * over all of it. Returns ICMP_BYTES. */
size_t icmp_emit(uint8_t *p, size_t n, uint64_t pseudo, const struct icmp *icmp);

/* Neighbour solicitation and advertisement. */
#define ND_BYTES 24u            /* without options */
#define ND_BYTES_MAX (24u + 8u) /* with a link-layer address option */
struct nd {
    uint8_t type; /* ICMP6_SOLICITATION or ICMP6_ADVERTISEMENT */
    bool router, solicited, override;
    uint8_t target[16];
    bool has_mac; /* source (solicitation) or target (advertisement) link-layer address */
    uint8_t mac[6];
};
/* Options that we do not know are passed over (RFC 4861, 4.6); of two addresses the first counts.
 * Returns n, or -WIRE_SHORT, -WIRE_CHECKSUM, -WIRE_VERSION (another message), -WIRE_VALUE (a code,
 * or a target that is multicast), -WIRE_OPTIONS (of no length, past the end, or an address of
 * another length than Ethernet's). What takes the IPv6 header is the caller's to check: the hop
 * limit of 255, a solicitation from :: with an address, an advertisement to a group that says
 * solicited (RFC 4861, 7.1). */
int nd_parse(const uint8_t *p, size_t n, uint64_t pseudo, struct nd *ret);
size_t nd_emit(uint8_t *p, uint64_t pseudo, const struct nd *nd); /* 24 or 32 bytes */
static inline size_t nd_bytes(const struct nd *nd)
{
    return nd->has_mac ? ND_BYTES_MAX : ND_BYTES;
}

#endif
