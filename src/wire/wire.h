/* SPDX-License-Identifier: MIT
 * What every parser of this room shares: how it refuses, and how bytes are read.
 *
 * A parser takes the bytes from its own header on and says how many bytes that header has, or
 * why not (-enum wire_bad). It reads nothing beyond `n`; what it returned is copied out, so that
 * no accessor can fail afterwards. Nothing here knows of buffers, time or state. */
#ifndef WEIR_WIRE_H
#define WEIR_WIRE_H

#include "base/attr.h"

#include <string.h>

enum wire_bad {
    WIRE_SHORT = 1, /* fewer bytes than the header has */
    WIRE_LENGTH,    /* a length field that cannot be: dishonest */
    WIRE_VERSION,   /* not this protocol, or not for this header */
    WIRE_CHECKSUM,
    WIRE_OPTIONS, /* options or extension headers that do not parse, or too many */
    WIRE_VALUE    /* a field with a value that nothing sends */
};

/* Between the host's order and the wire's, which is big-endian (RFC 1700); the same both ways. */
static inline uint16_t be16(uint16_t v)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap16(v) : v;
}
static inline uint32_t be32(uint32_t v)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap32(v) : v;
}

/* By memcpy: a header lies at any address, and a compiler makes one load of it. */
static inline uint16_t be16_load(const void *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return be16(v);
}
static inline uint32_t be32_load(const void *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return be32(v);
}
static inline void be16_store(void *at, uint16_t v)
{
    v = be16(v);
    memcpy(at, &v, sizeof v);
}
static inline void be32_store(void *at, uint32_t v)
{
    v = be32(v);
    memcpy(at, &v, sizeof v);
}

#endif
