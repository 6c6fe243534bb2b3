/* SPDX-License-Identifier: MIT
 * IPv6: the walk along extension headers, and writing headers. The fixed header is parsed inline
 * (ip6.h).
 *
 *     extension: 0 next header | 1 length in 8 bytes, the first not counted | 2 ...
 *     fragment:  0 next header | 1 reserved | 2 offset, more | 4 identification
 *
 * RFC 8200, 4. A receiver takes them in any order and number (4.1), but hop-by-hop directly behind
 * the fixed header; we take at most IP6_EXTENSIONS_MAX and one fragment header. None of the
 * options is obeyed: of those that are not padding, the two upper bits say whether to go on (4.2).
 * What is no extension header to us, authentication included, is the protocol. */
#include "wire/ip6.h"

enum { OPTION_PAD1 = 0, OPTION_PADN = 1 };
#define OPTION_ACTION 0xc0u /* 00: skip it, go on; all others: discard the packet */

/* Bytes of the option at p, or 0: it does not fit. */
static size_t option_bytes(const uint8_t *p, size_t n)
{
    if (p[0] == OPTION_PAD1)
        return 1;
    return n >= 2 && p[1] + 2u <= n ? p[1] + 2u : 0;
}

static bool options_ok(const uint8_t *p, size_t n)
{
    size_t padding = 0, count = 0;

    for (size_t at = 0, bytes; at < n; at += bytes) {
        bytes = option_bytes(p + at, n - at);
        if (!bytes)
            return false;
        if (p[at] == OPTION_PAD1 || p[at] == OPTION_PADN) {
            padding += bytes;
            if (padding > IP6_PADDING_MAX)
                return false;
            continue;
        }
        padding = 0;
        if (++count > IP6_OPTIONS_MAX || p[at] & OPTION_ACTION)
            return false;
    }
    return true;
}

static int fragment(const uint8_t *p, struct ip6 *ret)
{
    uint16_t word = be16_load(p + 2);

    if (ret->fragmented)
        return -WIRE_OPTIONS;
    ret->fragmented = true;
    ret->offset = word & 0xfff8;
    ret->more = word & 1;
    ret->id = be32_load(p + 4);
    return (int)IP6_FRAGMENT_BYTES;
}

/* One header of `n` bytes at most; its bytes, or why it is refused. */
static int extension(const uint8_t *p, size_t n, uint8_t kind, struct ip6 *ret)
{
    size_t bytes;

    if (n < 8)
        return -WIRE_LENGTH;
    if (kind == IP6_FRAGMENT)
        return fragment(p, ret);
    bytes = (p[1] + (size_t)1) * 8;
    if (bytes > n)
        return -WIRE_LENGTH;
    if (kind == IP6_ROUTING)
        return p[3] ? -WIRE_VALUE : (int)bytes;
    return options_ok(p + 2, bytes - 2) ? (int)bytes : -WIRE_OPTIONS;
}

static bool is_extension(uint8_t kind)
{
    return kind == IP6_HOP_BY_HOP || kind == IP6_ROUTING || kind == IP6_FRAGMENT ||
           kind == IP6_DESTINATION;
}

int ip6_extensions(const uint8_t *p, size_t n, uint8_t next, bool at_start, struct ip6 *ret)
{
    size_t at = 0;

    ret->fragmented = ret->more = false;
    ret->offset = 0;
    ret->id = 0;
    for (unsigned count = 0; is_extension(next) && !ip6_is_fragment(ret); count++) {
        int bytes;

        if (count == IP6_EXTENSIONS_MAX || (next == IP6_HOP_BY_HOP && (count || !at_start)))
            return -WIRE_OPTIONS;
        bytes = extension(p + at, n - at, next, ret);
        if (bytes < 0)
            return bytes;
        next = p[at];
        at += (size_t)bytes;
    }
    ret->protocol = next;
    ret->extension_bytes = (uint16_t)at;
    return (int)at;
}

size_t ip6_emit(uint8_t *p, const struct ip6 *ip)
{
    assert(ip->flow <= 0xfffff && ip->offset % 8 == 0);
    assert(!ip->fragmented || ip->bytes >= IP6_FRAGMENT_BYTES);
    be32_store(p, 6u << 28 | (uint32_t)ip->traffic_class << 20 | ip->flow);
    be16_store(p + 4, ip->bytes);
    p[6] = ip->fragmented ? IP6_FRAGMENT : ip->protocol;
    p[7] = ip->hop_limit;
    memcpy(p + 8, ip->src, 16);
    memcpy(p + 24, ip->dst, 16);
    if (!ip->fragmented)
        return IP6_BYTES;
    p[40] = ip->protocol;
    p[41] = 0;
    be16_store(p + 42, (uint16_t)(ip->offset | (ip->more ? 1 : 0)));
    be32_store(p + 44, ip->id);
    return IP6_BYTES + IP6_FRAGMENT_BYTES;
}
