/* SPDX-License-Identifier: MIT
 * The ring of one producer and one consumer: its memory. The hot paths are inline in weir/ring.h.
 *
 * Invariant: tail <= head <= tail + slots, each index written by one side only, and
 * tail_seen <= tail, head_seen <= head: an old copy shows less room or fewer elements, never more.
 * After rte_ring, libxdp's xsk_ring and FastForward (Giacomoni et al., PPoPP 2008: cached
 * indices). */
#include "ring/layout.h"

#include <weir/ring.h>

#include <errno.h>

/* The model and the benchmark count on it, and so does a peer that was compiled elsewhere. */
_Static_assert(offsetof(struct weir_spsc, head) == WEIR_RING_ALIGN, "the producer's own lines");
_Static_assert(offsetof(struct weir_spsc, tail) == 2 * WEIR_RING_ALIGN, "the consumer's own lines");
_Static_assert(sizeof(struct weir_spsc) == 3 * WEIR_RING_ALIGN, "elements start on a line");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "indices of 64 bits must not need a lock");

/* Where the lengths start, or 0 without them. */
static uint64_t lens_offset(uint32_t slots, uint32_t elem_bytes, unsigned flags)
{
    if (!(flags & WEIR_RING_LENS))
        return 0;
    return round_up(sizeof(struct weir_spsc) + (uint64_t)slots * elem_bytes, WEIR_RING_ALIGN);
}

size_t weir_spsc_bytes(uint32_t slots, uint32_t elem_bytes, unsigned flags)
{
    if (!ring_slots_ok(slots) || elem_bytes == 0 || (flags & ~WEIR_RING_LENS))
        return 0;
    uint64_t lens = lens_offset(slots, elem_bytes, flags);
    if (lens)
        return ring_sum((size_t)lens, slots, sizeof(uint32_t), 0);
    return ring_sum(sizeof(struct weir_spsc), slots, elem_bytes, 0);
}

int weir_spsc_init(struct weir_spsc *r, size_t bytes, uint32_t slots, uint32_t elem_bytes,
                   unsigned flags)
{
    size_t need = weir_spsc_bytes(slots, elem_bytes, flags);
    if (!r || (uintptr_t)r % WEIR_RING_ALIGN || need == 0 || bytes < need)
        return -EINVAL;
    *r = (struct weir_spsc){.flags = flags, .slots = slots, .elem_bytes = elem_bytes};
    r->lens_offset = lens_offset(slots, elem_bytes, flags);
    if (r->lens_offset)
        memset((char *)r + r->lens_offset, 0, slots * sizeof(uint32_t));
    /* Last, so that a peer that looks too early finds no ring */
    __atomic_store_n(&r->magic, SPSC_MAGIC, __ATOMIC_RELEASE); /* pairs with weir_spsc_check */
    return 0;
}

int weir_spsc_check(const struct weir_spsc *r, size_t bytes)
{
    if (!r || (uintptr_t)r % WEIR_RING_ALIGN || bytes < sizeof *r)
        return -EINVAL;
    if (__atomic_load_n(&r->magic, __ATOMIC_ACQUIRE) != SPSC_MAGIC) /* pairs with weir_spsc_init */
        return -EINVAL;
    size_t need = weir_spsc_bytes(r->slots, r->elem_bytes, r->flags);
    if (need == 0 || bytes < need ||
        r->lens_offset != lens_offset(r->slots, r->elem_bytes, r->flags))
        return -EINVAL;
    /* Pairs with weir_spsc_release (S2) */
    uint64_t tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
    /* Pairs with weir_spsc_submit (S1). After the tail, so that a working ring never shows less
     * than none */
    uint64_t head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
    return head >= tail ? 0 : -EINVAL;
}

uint32_t weir_spsc_count(const struct weir_spsc *r)
{
    /* Pairs with weir_spsc_release (S2) */
    uint64_t tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
    /* Pairs with weir_spsc_submit (S1). After the tail, so that a working ring never shows less
     * than none */
    uint64_t head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
    return ring_between(head, tail, r->slots);
}
