/* SPDX-License-Identifier: MIT
 * Runs: several neighbouring small slots as one buffer, for what is larger than a big slot.
 *
 * A bitmap, a bit a slot, and a search that goes on where the last one ended (next fit: the
 * start of the section does not fill up with splinters). The header of a run is its first
 * slot's, with `room` for all; the headers of the other slots rest, state FREE, until the run is
 * dropped. */
#include "buf/inside.h"

/* First bit of [from, end) that is `want`, else end. */
static uint32_t bit_find(const uint64_t *map, uint32_t from, uint32_t end, bool want)
{
    while (from < end) {
        uint64_t word = (want ? map[from / 64] : ~map[from / 64]) >> (from % 64);
        if (word) {
            from += (uint32_t)__builtin_ctzll(word);
            return min_of(from, end);
        }
        from = (from / 64 + 1) * 64;
    }
    return end;
}

static void bits_flip(uint64_t *map, uint32_t from, uint32_t k)
{
    while (k > 0) {
        uint32_t n = min_of(k, 64 - from % 64);
        map[from / 64] ^= (~UINT64_C(0) >> (64 - n)) << (from % 64);
        from += n;
        k -= n;
    }
}

/* The first gap of `k` slots that lies in [from, end). */
static uint32_t gap_find(const uint64_t *map, uint32_t from, uint32_t end, uint32_t k)
{
    while (from < end && end - from >= k) {
        uint32_t start = bit_find(map, from, end, false);
        if (end - start < k)
            return NO_BUF;
        from = bit_find(map, start, start + k, true);
        if (from == start + k)
            return start;
    }
    return NO_BUF;
}

struct weir_buf *run_take(struct weir_pool *pool, uint32_t k)
{
    struct section *s = &pool->section[WEIR_RUN];
    uint32_t start = k <= s->free ? gap_find(pool->map, pool->run_next, s->total, k) : NO_BUF;

    if (start == NO_BUF && k <= s->free) /* a gap may lie across the place where the search began */
        start = gap_find(pool->map, 0, min_of(pool->run_next + k - 1, s->total), k);
    if (start == NO_BUF)
        return NULL;
    bits_flip(pool->map, start, k);
    pool->run_next = start + k;
    s->free -= k;
    s->bufs[start].room = k << pool->small_shift;
    return &s->bufs[start];
}

void run_free(struct weir_pool *pool, struct weir_buf *buf)
{
    uint32_t k = buf_slots(buf);

    bits_flip(pool->map, buf->slot, k);
    pool->section[WEIR_RUN].free += k;
    buf->room = pool->small_bytes;
}
