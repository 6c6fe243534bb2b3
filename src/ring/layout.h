/* SPDX-License-Identifier: MIT
 * What both kinds of ring share: the numbers they accept and how their block is checked.
 *
 *     header | slots * slot_bytes | slots * 4 bytes of lengths (spsc with WEIR_RING_LENS)
 */
#ifndef WEIR_RING_LAYOUT_H
#define WEIR_RING_LAYOUT_H

#include "base/attr.h"

/* The first word of a block, kind and version in one: a change of layout changes them. */
#define SPSC_MAGIC 0x31435053u /* "SPC1" in memory of a little-endian host */
#define MPSC_MAGIC 0x3143504du /* "MPC1" */

/* A power of two; 2 at least, so that a full ring and its next lap differ in the turn of a slot. */
static inline bool ring_slots_ok(uint32_t slots)
{
    return slots >= 2 && (slots & (slots - 1)) == 0; /* so at most 2^31, WEIR_RING_SLOTS_MAX */
}

/* header + slots * slot_bytes + tail_bytes, or 0 where it does not fit size_t. */
static inline size_t ring_sum(size_t header, uint32_t slots, uint64_t slot_bytes,
                              uint64_t tail_bytes)
{
    size_t sum;
    if (__builtin_mul_overflow((size_t)slots, slot_bytes, &sum) ||
        __builtin_add_overflow(sum, header, &sum) ||
        __builtin_add_overflow(sum, tail_bytes, &sum) || sum > PTRDIFF_MAX)
        return 0;
    return sum;
}

static inline uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

/* Elements between two indices that were read one after the other while both may have moved. */
static inline uint32_t ring_between(uint64_t head, uint64_t tail, uint32_t slots)
{
    int64_t n = (int64_t)(head - tail);
    return n <= 0 ? 0 : n < slots ? (uint32_t)n : slots;
}

#endif
