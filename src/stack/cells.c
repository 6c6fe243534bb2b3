/* SPDX-License-Identifier: MIT
 * The published table: open addressing over slots of 4 bytes that name cells.
 *
 * C1, a cell: the writer makes seq odd, stores address and word with release, makes seq even with
 * release. A reader loads seq, address and word with acquire, and seq again: whoever sees one store
 * of a change sees the odd seq before it as well, so that the two differ. A lone store of the word
 * (cells_set) leaves seq as it is: one word is never torn.
 * C2, a slot: no order at all. What a slot names is proved by its cell's address.
 *
 * Invariants: a slot lies between its hash's place and the first empty slot (no tombstones: removing
 * moves the followers up), and at most half of the slots are taken. Seqlocks in C11: Boehm, "Can
 * seqlocks get along with programming language memory models?", MSPC 2012. */
#include "stack/cells.h"

#include <stdlib.h>

static inline void slot_put(struct cells *c, uint32_t at, uint32_t slot)
{
    atomic_store_explicit(&c->slot[at & c->mask], slot, memory_order_relaxed); /* C2 */
}

static uint32_t power_of_two(uint32_t least)
{
    uint32_t n = 8;
    while (n < least)
        n *= 2;
    return n;
}

bool cells_open(struct cells *c, uint32_t max, uint64_t seed)
{
    *c = (struct cells){.max = max};
    if (max == 0 || max > CELLS_MAX)
        return false;
    c->mask = power_of_two(2 * max) - 1;
    c->slot = calloc(c->mask + 1, sizeof *c->slot);
    c->cell = calloc(max, sizeof *c->cell);
    c->spare = calloc(max, sizeof *c->spare);
    /* The two odd constants of splitmix64 (Steele, Lea, Flood, OOPSLA 2014) */
    c->seed[0] = (seed ^ 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    c->seed[1] = (c->seed[0] ^ c->seed[0] >> 29) * 0x94d049bb133111ebu;
    for (uint32_t i = 0; c->spare && i < max; i++)
        c->spare[i] = max - 1 - i;
    if (c->slot && c->cell && c->spare)
        return true;
    cells_close(c);
    return false;
}

void cells_close(struct cells *c)
{
    free(c->slot);
    free(c->cell);
    free(c->spare);
    *c = (struct cells){0};
}

uint32_t cells_find(const struct cells *c, const uint8_t ip[16])
{
    uint32_t number;
    cells_read(c, ip, &number);
    return number;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void cell_write(struct cell *cell, const uint64_t half[2], uint64_t word)
{
    /* C1: pairs with cell_read; our own store is what we load */
    uint32_t seq = atomic_load_explicit(&cell->seq, memory_order_relaxed);
    atomic_store_explicit(&cell->seq, seq + 1, memory_order_relaxed);
    atomic_store_explicit(&cell->key[0], half[0], memory_order_release);
    atomic_store_explicit(&cell->key[1], half[1], memory_order_release);
    atomic_store_explicit(&cell->word, word, memory_order_release);
    atomic_store_explicit(&cell->seq, seq + 2, memory_order_release);
}

uint32_t cells_add(struct cells *c, const uint8_t ip[16], uint64_t word)
{
    struct cell_key k = cells_key(c, ip);
    uint32_t at = (uint32_t)k.hash;
    assert(word != 0 && cells_find(c, ip) == NO_CELL);
    if (c->count == c->max)
        return NO_CELL;
    uint32_t number = c->spare[c->max - ++c->count];
    /* Pairs with cells_touch of a reader who still holds this number: at worst the new cell looks
     * used for a while */
    atomic_store_explicit(&c->cell[number].used, 0, memory_order_relaxed);
    cell_write(&c->cell[number], k.half, word);
    while (cells_slot(c, at))
        at++;
    slot_put(c, at, slot_of(k.hash, number));
    return number;
}

void cells_set(struct cells *c, uint32_t number, uint64_t word)
{
    assert(word != 0 && cells_word(c, number) != 0);
    /* C1: release, so that who reads it sees the seq that belongs to it as well */
    atomic_store_explicit(&c->cell[number].word, word, memory_order_release);
}

static struct cell_key key_of(const struct cells *c, uint32_t number)
{
    uint8_t ip[16];
    cells_ip(c, number, ip);
    return cells_key(c, ip);
}

/* Followers move up into the gap unless that lies before their hash's place (Knuth, The Art of
 * Computer Programming, volume 3, 6.4, algorithm R). */
static void close_gap(struct cells *c, uint32_t gap)
{
    for (uint32_t at = gap + 1;; at++) {
        uint32_t slot = cells_slot(c, at);
        if (slot == 0)
            break;
        uint32_t home = (uint32_t)key_of(c, slot_number(slot)).hash;
        if (((at - home) & c->mask) < ((at - gap) & c->mask))
            continue;
        slot_put(c, gap, slot);
        gap = at;
    }
    slot_put(c, gap, 0);
}

void cells_remove(struct cells *c, uint32_t number)
{
    struct cell_key k = key_of(c, number);
    uint32_t at = (uint32_t)k.hash;
    assert(cells_word(c, number) != 0);
    while (cells_slot(c, at) != slot_of(k.hash, number))
        at++;
    close_gap(c, at);
    cell_write(&c->cell[number], k.half, 0);
    c->spare[c->max - c->count--] = number;
}
