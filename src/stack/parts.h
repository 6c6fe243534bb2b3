/* SPDX-License-Identifier: MIT
 * Which parts of a datagram have come: a bit for each unit of 8 bytes, and one where a fragment
 * begins, so that one that came twice is told from one that overlaps. */
#ifndef WEIR_STACK_PARTS_H
#define WEIR_STACK_PARTS_H

#include "base/attr.h"

#define PARTS_UNITS 8192u /* RFC 791: offsets of 13 bits, in units of 8 bytes */

struct parts {
    uint32_t have, total; /* bytes; total 0: the last fragment did not come yet */
    uint32_t furthest;    /* where the furthest fragment ends */
    uint64_t here[PARTS_UNITS / 64], first[PARTS_UNITS / 64];
};

enum parts_is {
    PARTS_NEW,
    PARTS_WHOLE, /* new, and the last that was missing */
    PARTS_AGAIN, /* the same bounds as one before; nothing is noted */
    PARTS_BAD    /* overlaps, or does not agree about the end; nothing is noted */
};

/* `offset` is a multiple of 8, and so is `len` where `more`; offset + len <= 65,535, len > 0. */
enum parts_is parts_put(struct parts *p, uint32_t offset, uint32_t len, bool more);

#endif
