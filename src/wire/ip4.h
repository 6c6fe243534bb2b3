/* SPDX-License-Identifier: MIT
 * IPv4: RFC 791, RFC 6864 (identification). */
#ifndef WEIR_WIRE_IP4_H
#define WEIR_WIRE_IP4_H

#include "wire/checksum.h"

#define IP4_BYTES 20u
#define IP4_BYTES_MAX 60u
#define IP4_PLAIN 0x45u /* the first byte of a header without options: version 4, 5 words */

enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ICMP6 = 58 }; /* IANA, protocol numbers */
/* Bits of the word of flags and offset: RFC 791, 3.1. The first is reserved and ignored. */
enum { IP4_DONT = 0x4000, IP4_MORE = 0x2000, IP4_OFFSET = 0x1fff };

struct ip4 {
    uint8_t src[4], dst[4];
    uint8_t tos, ttl, protocol;
    uint8_t header_bytes; /* options included; emit: 20 + option_bytes rounded up to 4 */
    uint16_t total;       /* bytes of header and payload; at most what there is */
    uint16_t id;
    uint16_t offset;      /* of the fragment, in bytes: a multiple of 8 */
    bool more, dont;      /* more fragments, don't fragment */
    uint8_t option_bytes; /* of `options`; what is behind them is not written */
    uint8_t options[40];
};

/* Of any header; ip4.c. */
int ip4_parse_any(const uint8_t *p, size_t n, struct ip4 *ret);
/* With its checksum, into room for IP4_BYTES_MAX; total is at least the header's bytes. Returns
 * the bytes written. */
size_t ip4_emit(uint8_t *p, const struct ip4 *ip);

static inline bool ip4_is_fragment(const struct ip4 *ip)
{
    return ip->more || ip->offset;
}

/* The fixed part but for the header's bytes and the options; 20 bytes are there. */
static inline void ip4_load(const uint8_t *p, struct ip4 *ret)
{
    uint16_t flags = be16_load(p + 6);

    ret->tos = p[1];
    ret->total = be16_load(p + 2);
    ret->id = be16_load(p + 4);
    ret->dont = flags & IP4_DONT;
    ret->more = flags & IP4_MORE;
    ret->offset = (uint16_t)((flags & IP4_OFFSET) * 8);
    ret->ttl = p[8];
    ret->protocol = p[9];
    memcpy(ret->src, p + 12, 4);
    memcpy(ret->dst, p + 16, 4);
}

/* ip4_parse where p[0] is IP4_PLAIN and n >= IP4_BYTES. */
static inline int ip4_parse_plain(const uint8_t *p, size_t n, struct ip4 *ret)
{
    uint32_t word[5];

    memcpy(word, p, sizeof word);
    ip4_load(p, ret);
    ret->header_bytes = IP4_BYTES;
    ret->option_bytes = 0;
    if (unlikely(ret->total < IP4_BYTES || ret->total > n))
        return -WIRE_LENGTH;
    if (unlikely(checksum_fold((uint64_t)word[0] + word[1] + word[2] + word[3] + word[4]) !=
                 0xffff))
        return -WIRE_CHECKSUM;
    return (int)IP4_BYTES;
}

/* The header's checksum is verified. Returns header_bytes (payload: total - header_bytes bytes
 * follow), or -WIRE_SHORT, -WIRE_VERSION (also a header of fewer than 20 bytes), -WIRE_LENGTH (a
 * total below the header's bytes, or more than there is), -WIRE_CHECKSUM, -WIRE_OPTIONS (a length
 * that does not fit). Bytes behind `total` are padding. That a fragment ends within 65,535 bytes
 * is for reassembly to check. */
static inline int ip4_parse(const uint8_t *p, size_t n, struct ip4 *ret)
{
    if (likely(n >= IP4_BYTES && p[0] == IP4_PLAIN))
        return ip4_parse_plain(p, n, ret);
    return ip4_parse_any(p, n, ret);
}

#endif
