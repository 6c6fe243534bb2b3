/* SPDX-License-Identifier: MIT
 * IPv6 and its extension headers: RFC 8200. */
#ifndef WEIR_WIRE_IP6_H
#define WEIR_WIRE_IP6_H

#include "wire/ip4.h"

#define IP6_BYTES 40u
#define IP6_FRAGMENT_BYTES 8u
#define IP6_EXTENSIONS_MAX 8u /* headers; a chain that is longer is an attack */
#define IP6_OPTIONS_MAX 8u    /* in a header, padding aside: RFC 8504, 5.3 */
#define IP6_PADDING_MAX 7u    /* bytes in a row: more align nothing (RFC 8504, 5.3) */
#define IP6_MTU_MIN 1280u     /* RFC 8200, 5 */

enum {
    IP6_HOP_BY_HOP = 0,
    IP6_ROUTING = 43,
    IP6_FRAGMENT = 44,
    IP6_AUTH = 51,
    IP6_NONE = 59,
    IP6_DESTINATION = 60
};

struct ip6 {
    uint8_t src[16], dst[16];
    uint8_t traffic_class, hop_limit;
    uint8_t protocol;         /* what follows the extension headers; IP6_NONE: nothing does */
    uint32_t flow;            /* 20 bits */
    uint16_t bytes;           /* of the payload as told: extension headers included */
    uint16_t extension_bytes; /* of them all; emit writes none but a fragment header */
    bool fragmented;          /* there is a fragment header */
    bool more;
    uint16_t offset; /* in bytes: a multiple of 8 */
    uint32_t id;
};

/* The extension headers in the `n` bytes at `p`, the first of kind `next`: protocol,
 * extension_bytes and the fragment's fields of *ret, nothing else of it. `next` may be no extension
 * header at all. A hop-by-hop header is right only `at_start`: directly behind the fixed header.
 * The walk ends behind the fragment header of a real fragment, with `protocol` what reassembled
 * data begins with, which wants a walk of its own then: extension headers may follow there.
 * Returns extension_bytes, or errors as ip6_parse. */
int ip6_extensions(const uint8_t *p, size_t n, uint8_t next, bool at_start, struct ip6 *ret);
/* The fixed header, and a fragment header where `fragmented`; `bytes` includes it. Returns the
 * bytes written: 40 or 48. */
size_t ip6_emit(uint8_t *p, const struct ip6 *ip);

/* Of more than one fragment: one that is alone (RFC 6946) is a whole packet. */
static inline bool ip6_is_fragment(const struct ip6 *ip)
{
    return ip->more || ip->offset;
}

/* Walks hop-by-hop, destination, routing (no segments left) and fragment headers. Returns the bytes
 * of the fixed header and the extensions; payload: 40 + bytes - that. Errors  -WIRE_SHORT,
 * -WIRE_VERSION, -WIRE_LENGTH (more than there is, or an extension header that is longer than the
 * payload; so is a jumbogram, which nobody here asked for), -WIRE_OPTIONS (too many, out of place,
 * an option that says discard), -WIRE_VALUE (a routing header with segments left: RFC 5095). That
 * a fragment's length is a multiple of 8 and ends within 65,535 bytes is for reassembly to
 * check. */
static inline int ip6_parse(const uint8_t *p, size_t n, struct ip6 *ret)
{
    uint32_t first;
    int extensions = 0;

    if (unlikely(n < IP6_BYTES))
        return -WIRE_SHORT;
    first = be32_load(p);
    ret->bytes = be16_load(p + 4);
    if (unlikely(first >> 28 != 6))
        return -WIRE_VERSION;
    if (unlikely(ret->bytes > n - IP6_BYTES))
        return -WIRE_LENGTH;
    ret->traffic_class = (uint8_t)(first >> 20);
    ret->flow = first & 0xfffff;
    ret->hop_limit = p[7];
    memcpy(ret->src, p + 8, 16);
    memcpy(ret->dst, p + 24, 16);
    ret->protocol = p[6];
    ret->extension_bytes = 0;
    ret->fragmented = ret->more = false;
    ret->offset = 0;
    ret->id = 0;
    if (unlikely(p[6] != IP_UDP && p[6] != IP_ICMP6))
        extensions = ip6_extensions(p + IP6_BYTES, ret->bytes, p[6], true, ret);
    return extensions < 0 ? extensions : (int)IP6_BYTES + extensions;
}

#endif
