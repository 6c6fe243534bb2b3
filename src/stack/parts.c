/* SPDX-License-Identifier: MIT
 * Which parts of a datagram have come. Pure: no buffers, no time.
 * Invariant: `have` is the sum of all fragments noted, none of which overlap; so the datagram is
 * whole exactly when have == total. Source: RFC 791, 3.2 (the bit table); RFC 5722. */
#include "stack/parts.h"

static bool bit(const uint64_t *map, uint32_t i)
{
    return map[i / 64] >> (i % 64) & 1;
}

/* The bits of word `w` that lie in [from, to). */
static uint64_t mask_of(uint32_t w, uint32_t from, uint32_t to)
{
    uint64_t mask = ~UINT64_C(0);
    if (from > w * 64)
        mask &= ~UINT64_C(0) << (from - w * 64);
    if (to < w * 64 + 64)
        mask &= ~(~UINT64_C(0) << (to - w * 64));
    return mask;
}

static uint32_t count(const uint64_t *map, uint32_t from, uint32_t to)
{
    uint32_t n = 0;
    for (uint32_t w = from / 64; w <= (to - 1) / 64; w++)
        n += (uint32_t)__builtin_popcountll(map[w] & mask_of(w, from, to));
    return n;
}

static void note(struct parts *p, uint32_t from, uint32_t to)
{
    for (uint32_t w = from / 64; w <= (to - 1) / 64; w++)
        p->here[w] |= mask_of(w, from, to);
    p->first[from / 64] |= UINT64_C(1) << (from % 64);
}

/* One fragment before had these bounds: it began here, and the next begins (or nothing is) where
 * this one ends. */
static bool same_bounds(const struct parts *p, uint32_t from, uint32_t to)
{
    bool ends = to == PARTS_UNITS || !bit(p->here, to) || bit(p->first, to);
    return ends && bit(p->first, from) && count(p->first, from, to) == 1 &&
           count(p->here, from, to) == to - from;
}

/* The last fragment tells the total, once; none lies behind it. */
static bool ends_agree(const struct parts *p, uint32_t end, bool more)
{
    if (!more)
        return p->total ? p->total == end : p->furthest <= end;
    return p->total == 0 || end < p->total;
}

enum parts_is parts_put(struct parts *p, uint32_t offset, uint32_t len, bool more)
{
    uint32_t end = offset + len, from = offset / 8, to = (end + 7) / 8;
    assert(len > 0 && offset % 8 == 0 && end <= PARTS_UNITS * 8 && (!more || len % 8 == 0));
    if (!ends_agree(p, end, more))
        return PARTS_BAD;
    if (count(p->here, from, to)) {
        bool last_again = more || p->total == end;
        return last_again && same_bounds(p, from, to) ? PARTS_AGAIN : PARTS_BAD;
    }
    note(p, from, to);
    p->have += len;
    p->furthest = max_of(p->furthest, end);
    if (!more)
        p->total = end;
    return p->have == p->total ? PARTS_WHOLE : PARTS_NEW;
}
