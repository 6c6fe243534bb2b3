/* SPDX-License-Identifier: MIT
 * ICMP of both families, and neighbour discovery, which is made of ICMPv6.
 *
 *     0 type | 1 code | 2 checksum | 4 rest | 8 data
 *     nd: 4 flags (R S O, of an advertisement) | 8 target | 24 options: type 1, length in 8 bytes 1
 *
 * RFC 792; RFC 4443, 2.1; RFC 4861, 4.3, 4.4, 4.6 and 7.1. */
#include "wire/icmp.h"

enum { ND_ROUTER = 0x80, ND_SOLICITED = 0x40, ND_OVERRIDE = 0x20 };
enum { OPTION_SOURCE = 1, OPTION_TARGET = 2 }; /* link-layer addresses: RFC 4861, 4.6.1 */
#define MULTICAST 0xffu                        /* first byte of a group: RFC 4291, 2.7 */

static void put_checksum(uint8_t *p, size_t n, uint64_t pseudo)
{
    uint16_t sum;

    be16_store(p + 2, 0);
    sum = checksum_finish(checksum_add(pseudo, p, n));
    memcpy(p + 2, &sum, sizeof sum);
}

int icmp_parse(const uint8_t *p, size_t n, uint64_t pseudo, struct icmp *ret)
{
    if (n < ICMP_BYTES)
        return -WIRE_SHORT;
    if (checksum_fold(checksum_add(pseudo, p, n)) != 0xffff)
        return -WIRE_CHECKSUM;
    ret->type = p[0];
    ret->code = p[1];
    ret->rest = be32_load(p + 4);
    return (int)ICMP_BYTES;
}

size_t icmp_emit(uint8_t *p, size_t n, uint64_t pseudo, const struct icmp *icmp)
{
    assert(n >= ICMP_BYTES);
    p[0] = icmp->type;
    p[1] = icmp->code;
    be32_store(p + 4, icmp->rest);
    put_checksum(p, n, pseudo);
    return ICMP_BYTES;
}

static uint8_t address_option(uint8_t type)
{
    return type == ICMP6_SOLICITATION ? OPTION_SOURCE : OPTION_TARGET;
}

static int nd_options(const uint8_t *p, size_t n, struct nd *ret)
{
    for (size_t at = 0, bytes; at < n; at += bytes) {
        if (n - at < 8)
            return -WIRE_OPTIONS;
        bytes = (size_t)p[at + 1] * 8;
        if (!bytes || bytes > n - at)
            return -WIRE_OPTIONS;
        if (p[at] != address_option(ret->type))
            continue;
        if (bytes != 8)
            return -WIRE_OPTIONS;
        if (!ret->has_mac)
            memcpy(ret->mac, p + at + 2, 6);
        ret->has_mac = true;
    }
    return 0;
}

int nd_parse(const uint8_t *p, size_t n, uint64_t pseudo, struct nd *ret)
{
    int bad;

    if (n < ND_BYTES)
        return -WIRE_SHORT;
    if (checksum_fold(checksum_add(pseudo, p, n)) != 0xffff)
        return -WIRE_CHECKSUM;
    memset(ret, 0, sizeof *ret);
    ret->type = p[0];
    if (ret->type != ICMP6_SOLICITATION && ret->type != ICMP6_ADVERTISEMENT)
        return -WIRE_VERSION;
    if (p[1] != 0 || p[8] == MULTICAST)
        return -WIRE_VALUE;
    if (ret->type == ICMP6_ADVERTISEMENT) {
        ret->router = p[4] & ND_ROUTER;
        ret->solicited = p[4] & ND_SOLICITED;
        ret->override = p[4] & ND_OVERRIDE;
    }
    memcpy(ret->target, p + 8, 16);
    bad = nd_options(p + ND_BYTES, n - ND_BYTES, ret);
    return bad ? bad : (int)n;
}

static uint8_t nd_flags(const struct nd *nd)
{
    return (uint8_t)((nd->router ? ND_ROUTER : 0) | (nd->solicited ? ND_SOLICITED : 0) |
                     (nd->override ? ND_OVERRIDE : 0));
}

size_t nd_emit(uint8_t *p, uint64_t pseudo, const struct nd *nd)
{
    size_t n = nd_bytes(nd);

    assert(nd->type == ICMP6_ADVERTISEMENT ||
           (nd->type == ICMP6_SOLICITATION && nd_flags(nd) == 0));
    p[0] = nd->type;
    p[1] = 0;
    be32_store(p + 4, (uint32_t)nd_flags(nd) << 24);
    memcpy(p + 8, nd->target, 16);
    if (nd->has_mac) {
        p[24] = address_option(nd->type);
        p[25] = 1; /* times 8 bytes */
        memcpy(p + 26, nd->mac, 6);
    }
    put_checksum(p, n, pseudo);
    return n;
}
