/* SPDX-License-Identifier: MIT
 * IPv4 headers: those with options, those that are refused, and writing them. The plain header is
 * parsed inline (ip4.h).
 *
 *     0 version, words | 1 tos | 2 total | 4 id | 6 flags, offset | 8 ttl | 9 protocol | 10 sum
 *     12 src | 16 dst | 20 options
 *
 * RFC 791, 3.1. Options are walked, not obeyed: each is one byte (end, no operation) or type,
 * length, data; what is behind the end is padding. They are kept as they came. Who gives a packet its
 * route goes around filters, so that is refused: RFC 7126, 4.3 and 4.4. */
#include "wire/ip4.h"

/* LSRR, SSRR: RFC 791, 3.1 */
enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_LOOSE_ROUTE = 131, OPTION_STRICT_ROUTE = 137 };

static bool options_ok(const uint8_t *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        if (p[at] == OPTION_END)
            return true;
        if (p[at] == OPTION_NOP) {
            at++;
            continue;
        }
        if (p[at] == OPTION_LOOSE_ROUTE || p[at] == OPTION_STRICT_ROUTE)
            return false;
        if (n - at < 2 || p[at + 1] < 2 || p[at + 1] > n - at)
            return false;
        at += p[at + 1];
    }
    return true;
}

int ip4_parse_any(const uint8_t *p, size_t n, struct ip4 *ret)
{
    size_t header;

    if (n < IP4_BYTES)
        return -WIRE_SHORT;
    header = (size_t)(p[0] & 15) * 4;
    if (p[0] >> 4 != 4 || header < IP4_BYTES)
        return -WIRE_VERSION;
    if (n < header)
        return -WIRE_SHORT;
    ip4_load(p, ret);
    if (ret->total < header || ret->total > n)
        return -WIRE_LENGTH;
    if (checksum_fold(checksum_add(0, p, header)) != 0xffff)
        return -WIRE_CHECKSUM;
    ret->header_bytes = (uint8_t)header;
    ret->option_bytes = (uint8_t)(header - IP4_BYTES);
    memcpy(ret->options, p + IP4_BYTES, header - IP4_BYTES);
    return options_ok(p + IP4_BYTES, header - IP4_BYTES) ? (int)header : -WIRE_OPTIONS;
}

static uint16_t flags_of(const struct ip4 *ip)
{
    return (uint16_t)((ip->dont ? IP4_DONT : 0) | (ip->more ? IP4_MORE : 0) | ip->offset / 8);
}

size_t ip4_emit(uint8_t *p, const struct ip4 *ip)
{
    size_t header = IP4_BYTES + (((size_t)ip->option_bytes + 3) & ~(size_t)3);
    uint16_t sum;

    assert(header <= IP4_BYTES_MAX && ip->total >= header && ip->offset % 8 == 0);
    p[0] = (uint8_t)(4 << 4 | header / 4);
    p[1] = ip->tos;
    be16_store(p + 2, ip->total);
    be16_store(p + 4, ip->id);
    be16_store(p + 6, flags_of(ip));
    p[8] = ip->ttl;
    p[9] = ip->protocol;
    be16_store(p + 10, 0);
    memcpy(p + 12, ip->src, 4);
    memcpy(p + 16, ip->dst, 4);
    memcpy(p + IP4_BYTES, ip->options, ip->option_bytes);
    memset(p + IP4_BYTES + ip->option_bytes, OPTION_END, header - IP4_BYTES - ip->option_bytes);
    sum = checksum_finish(checksum_add(0, p, header));
    memcpy(p + 10, &sum, sizeof sum);
    return header;
}
