/* SPDX-License-Identifier: MIT
 * The ring of many producers and one consumer: its memory. The hot paths are inline in weir/ring.h.
 *
 * Invariant: tail <= head <= tail + slots. A slot's turn is position + 1 of the last element
 * submitted there; only producers write it, each at the positions that it claimed, so the consumer
 * never has to give a slot back by itself: its index says it for all.
 * After Vyukov's bounded queue (1024cores.net), with one compare-and-swap a burst. */
#include "ring/layout.h"

#include <weir/ring.h>

#include <errno.h>

_Static_assert(offsetof(struct weir_mpsc, head) == WEIR_RING_ALIGN, "the producers' own lines");
_Static_assert(offsetof(struct weir_mpsc, tail) == 2 * WEIR_RING_ALIGN, "the consumer's own lines");
_Static_assert(sizeof(struct weir_mpsc) == 3 * WEIR_RING_ALIGN, "slots start on a line");
_Static_assert(sizeof(struct weir_mpsc_cell) == 8, "elements are aligned to 8");

static uint64_t slot_bytes(uint32_t elem_bytes)
{
    return round_up(sizeof(struct weir_mpsc_cell) + (uint64_t)elem_bytes, 8);
}

size_t weir_mpsc_bytes(uint32_t slots, uint32_t elem_bytes, unsigned flags)
{
    if (!ring_slots_ok(slots) || elem_bytes == 0 || flags != 0)
        return 0;
    return ring_sum(sizeof(struct weir_mpsc), slots, slot_bytes(elem_bytes), 0);
}

int weir_mpsc_init(struct weir_mpsc *r, size_t bytes, uint32_t slots, uint32_t elem_bytes,
                   unsigned flags)
{
    size_t need = weir_mpsc_bytes(slots, elem_bytes, flags);
    if (!r || (uintptr_t)r % WEIR_RING_ALIGN || need == 0 || bytes < need)
        return -EINVAL;
    *r = (struct weir_mpsc){.slots = slots, .elem_bytes = elem_bytes};
    r->slot_bytes = slot_bytes(elem_bytes);
    for (uint32_t i = 0; i < slots; i++) /* turn 0 is no position's of the first lap */
        *weir_mpsc_at(r, i) = (struct weir_mpsc_cell){0};
    /* Last, so that a peer that looks too early finds no ring */
    __atomic_store_n(&r->magic, MPSC_MAGIC, __ATOMIC_RELEASE); /* pairs with weir_mpsc_check */
    return 0;
}

int weir_mpsc_check(const struct weir_mpsc *r, size_t bytes)
{
    if (!r || (uintptr_t)r % WEIR_RING_ALIGN || bytes < sizeof *r)
        return -EINVAL;
    if (__atomic_load_n(&r->magic, __ATOMIC_ACQUIRE) != MPSC_MAGIC) /* pairs with weir_mpsc_init */
        return -EINVAL;
    size_t need = weir_mpsc_bytes(r->slots, r->elem_bytes, r->reserved);
    if (need == 0 || bytes < need || r->slot_bytes != slot_bytes(r->elem_bytes))
        return -EINVAL;
    /* Pairs with weir_mpsc_release (M2) */
    uint64_t tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
    uint64_t head = __atomic_load_n(&r->head, __ATOMIC_RELAXED); /* CLAIM; orders nothing */
    return head >= tail ? 0 : -EINVAL;
}

uint32_t weir_mpsc_count(const struct weir_mpsc *r)
{
    /* Pairs with weir_mpsc_release (M2) */
    uint64_t tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
    uint64_t head = __atomic_load_n(&r->head, __ATOMIC_RELAXED); /* CLAIM; orders nothing */
    return ring_between(head, tail, r->slots);
}
