/* SPDX-License-Identifier: MIT
 * UDP: RFC 768; over IPv6 RFC 8200, section 8.1. */
#ifndef WEIR_WIRE_UDP_H
#define WEIR_WIRE_UDP_H

#include "wire/checksum.h"

#define UDP_BYTES 8u

struct udp {
    uint16_t src, dst; /* ports */
    uint16_t bytes;    /* of header and payload */
    uint16_t checksum; /* as it lies in memory; 0 = none */
};

/* Lengths only; the checksum is verified by udp_checksum_ok. Returns 8 or -WIRE_SHORT,
 * -WIRE_LENGTH (fewer than 8, or more than there is). */
static inline int udp_parse(const uint8_t *p, size_t n, struct udp *ret)
{
    if (unlikely(n < UDP_BYTES))
        return -WIRE_SHORT;
    ret->src = be16_load(p);
    ret->dst = be16_load(p + 2);
    ret->bytes = be16_load(p + 4);
    memcpy(&ret->checksum, p + 6, 2);
    return unlikely(ret->bytes < UDP_BYTES || ret->bytes > n) ? -WIRE_LENGTH : (int)UDP_BYTES;
}

/* `pseudo` of checksum_pseudo4 or 6 with udp->bytes, all of which are at `p`. No checksum (0) is
 * right over IPv4 only, which is the caller's to know. */
static inline bool udp_checksum_ok(const uint8_t *p, const struct udp *udp, uint64_t pseudo)
{
    return udp->checksum == 0 || checksum_fold(checksum_add(pseudo, p, udp->bytes)) == 0xffff;
}

static inline size_t udp_put(uint8_t *p, const struct udp *udp, uint16_t checksum)
{
    assert(udp->bytes >= UDP_BYTES);
    be16_store(p, udp->src);
    be16_store(p + 2, udp->dst);
    be16_store(p + 4, udp->bytes);
    memcpy(p + 6, &checksum, 2);
    return UDP_BYTES;
}
/* The header in front of udp->bytes - 8 bytes of payload; both return UDP_BYTES. With `pseudo` the
 * checksum is computed over all (udp->checksum is not looked at); udp_emit_partial stores the
 * folded pseudo sum alone, which a device completes. */
size_t udp_emit(uint8_t *p, const struct udp *udp, uint64_t pseudo);
static inline size_t udp_emit_partial(uint8_t *p, const struct udp *udp, uint64_t pseudo)
{
    return udp_put(p, udp, checksum_fold(pseudo));
}

#endif
