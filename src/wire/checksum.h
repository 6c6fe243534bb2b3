/* SPDX-License-Identifier: MIT
 * The Internet checksum: RFC 1071; incremental update: RFC 1624.
 *
 * A sum here is the running one's complement sum of words *as they lie in memory*, not yet folded
 * or inverted, so that no byte is swapped on any host: sums add up, and what is stored is stored as
 * it is.
 *
 * Exactly: a sum is a 64-bit number whose value modulo 0xffff is that of the 16-bit words, and
 * which is 0 only when all of them are. Words are added 32 bits at a time (RFC 1071, 2 (C): the
 * carries out of 16 bits come back when it is folded), so that it grows by less than 2^32 for each
 * 4 bytes: it cannot overflow below 16 GiB. */
#ifndef WEIR_WIRE_CHECKSUM_H
#define WEIR_WIRE_CHECKSUM_H

#include "wire/wire.h"

/* Up to here the sum is inline: headers and small datagrams, where a call costs as much as the
 * sum. Beyond it the loop is wider. */
#define CHECKSUM_INLINE_BYTES 128u

/* Two words of 32 bits each way: 16-byte vectors are in the baseline of x86-64 and arm64. */
typedef uint64_t checksum_pair __attribute__((vector_size(16)));

static inline void checksum_add16(checksum_pair *low, checksum_pair *high, const uint8_t *p)
{
    const checksum_pair mask = {0xffffffff, 0xffffffff};
    checksum_pair v;
    memcpy(&v, p, sizeof v);
    *low += v & mask;
    *high += v >> 32;
}

/* Fewer than 16 bytes. A last odd byte is the first of a word whose second is 0, on any host. */
static inline uint64_t checksum_tail(uint64_t sum, const uint8_t *p, size_t n)
{
    uint32_t word[2];
    uint16_t half = 0, last = 0;

    if (n & 8) {
        memcpy(word, p, 8);
        sum += (uint64_t)word[0] + word[1];
        p += 8;
    }
    if (n & 4) {
        memcpy(word, p, 4);
        sum += word[0];
        p += 4;
    }
    if (n & 2) {
        memcpy(&half, p, 2);
        p += 2;
    }
    if (n & 1)
        memcpy(&last, p, 1);
    return sum + half + last;
}

uint64_t checksum_add_long(uint64_t sum, const void *data, size_t n); /* any n; checksum.c */

/* Add `n` bytes to a sum. Data of an odd length may only come last. Any alignment.
 * Cost 7 to 20 cycles for 64 bytes, as what is around it waits for it or not; over long data about a
 * cycle for 16 */
static inline uint64_t checksum_add(uint64_t sum, const void *data, size_t n)
{
    const uint8_t *p = data;
    checksum_pair low = {0, 0}, high = {0, 0};

    if (n > CHECKSUM_INLINE_BYTES)
        return checksum_add_long(sum, data, n);
    for (; n >= 16; n -= 16, p += 16)
        checksum_add16(&low, &high, p);
    low += high;
    return checksum_tail(sum + low[0] + low[1], p, n);
}

/* The pseudo-header of UDP, TCP and ICMPv6; addresses of 4 or 16 bytes, `len` the protocol's.
 * RFC 768 (12 bytes: zero, protocol, 16 bits of length) and RFC 8200, 8.1 (40 bytes, 32 bits of
 * it) sum up alike: a 0 more changes nothing. */
static inline uint64_t checksum_pseudo4(const uint8_t src[4], const uint8_t dst[4],
                                        uint8_t protocol, uint32_t len)
{
    uint32_t a, b;
    memcpy(&a, src, 4);
    memcpy(&b, dst, 4);
    return (uint64_t)a + b + be32(protocol) + be32(len);
}
static inline uint64_t checksum_pseudo6(const uint8_t src[16], const uint8_t dst[16],
                                        uint8_t protocol, uint32_t len)
{
    checksum_pair low = {0, 0}, high = {0, 0};
    checksum_add16(&low, &high, src);
    checksum_add16(&low, &high, dst);
    low += high;
    return low[0] + low[1] + be32(protocol) + be32(len);
}

/* Fold to 16 bits without inverting, in memory order: 0xffff over data with a right checksum. (0
 * comes of zeros alone, never of a negative zero.) Adding a number to itself with its halves
 * swapped leaves their sum, the carry brought round, in the upper half. */
static inline uint16_t checksum_fold(uint64_t sum)
{
    uint32_t half;
    sum += sum << 32 | sum >> 32;
    half = (uint32_t)(sum >> 32);
    half += half << 16 | half >> 16;
    return (uint16_t)(half >> 16);
}
/* What goes into the field (memory order). */
static inline uint16_t checksum_finish(uint64_t sum)
{
    return (uint16_t)~checksum_fold(sum);
}

/* A field's new value when one covered 16-bit word changes from `was` to `is` (RFC 1624, equation
 * 3); all three in memory order. Right wherever the covered words are not all 0, as those of no
 * header are. UDP writes 0xffff where this gives 0, which there means that there is none. */
static inline uint16_t checksum_update(uint16_t checksum, uint16_t was, uint16_t is)
{
    return checksum_finish((uint64_t)(uint16_t)~checksum + (uint16_t)~was + is);
}

#endif
