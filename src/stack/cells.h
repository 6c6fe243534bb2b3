/* SPDX-License-Identifier: MIT
 * A bounded table from addresses to a word, with one writer and any number of readers on other
 * threads: what neighbour.c and pmtu.c publish.
 *
 *     slot[hash]: tag, number of a cell -> cell[number]: address, word, when it was last used
 *
 * A cell keeps its number as long as it lives, so that an owner's notes lie in an array beside it.
 * A reader may miss a cell for the moment in which another one is removed; it never gets a word
 * that is not its address's. */
#ifndef WEIR_STACK_CELLS_H
#define WEIR_STACK_CELLS_H

#include "base/attr.h"

#include <string.h>

#define NO_CELL UINT32_MAX
#define CELLS_MAX ((1u << 24) - 2u) /* a slot has 8 bits of tag, 24 of number + 1 */

struct cell {
    _Atomic uint32_t seq;  /* odd while the address changes; pairs C1, see cells.c */
    _Atomic uint32_t used; /* CELL_AGE's time of the last use, 0 never; readers write it as well */
    _Atomic uint64_t key[2]; /* the address as it lies in memory */
    _Atomic uint64_t word;   /* 0: the cell is free */
};

struct cells {
    uint32_t max, count, mask;
    uint32_t hand; /* where the next search for something to evict begins */
    uint64_t seed[2];
    _Atomic uint32_t *slot; /* mask + 1 of them, 0 = empty; pairs C2, see cells.c */
    struct cell *cell;      /* max of them */
    uint32_t *spare;        /* numbers of the free ones, a stack of max - count */
};

/* Errors  false: out of memory, or max is 0 or above CELLS_MAX.  Cost allocates everything */
bool cells_open(struct cells *c, uint32_t max, uint64_t seed);
void cells_close(struct cells *c);

/* ---- reading: inline, because each packet that leaves may need it ----------------------------- */

#define CELL_TRIES 4u /* then it is a miss: the writer may have lost its core inside a change */

struct cell_key {
    uint64_t half[2], hash;
};

/* Multiply and fold 128 bits, keyed by a seed that strangers do not know: after wyhash (Wang Yi,
 * public domain), which passes SMHasher. */
static inline struct cell_key cells_key(const struct cells *c, const uint8_t ip[16])
{
    struct cell_key k;
    memcpy(k.half, ip, 16);
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)(k.half[0] ^ c->seed[0]) * (k.half[1] ^ c->seed[1]);
    k.hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    return k;
}

static inline uint32_t cells_slot(const struct cells *c, uint32_t at)
{
    return atomic_load_explicit(&c->slot[at & c->mask], memory_order_relaxed); /* C2 */
}
static inline uint32_t slot_of(uint64_t hash, uint32_t number)
{
    return (uint32_t)(hash >> 56) << 24 | (number + 1);
}
static inline uint32_t slot_number(uint32_t slot)
{
    return (slot & 0xffffff) - 1;
}
static inline bool slot_may_be(uint32_t slot, uint64_t hash)
{
    return slot >> 24 == (uint32_t)(hash >> 56);
}

/* The word where the cell's address is `k`, else 0; *again: it was being changed. */
static inline uint64_t cell_read(const struct cell *cell, const struct cell_key *k, bool *again)
{
    /* C1: pairs with cell_write */
    uint32_t seq = atomic_load_explicit(&cell->seq, memory_order_acquire);
    uint64_t a = atomic_load_explicit(&cell->key[0], memory_order_acquire);
    uint64_t b = atomic_load_explicit(&cell->key[1], memory_order_acquire);
    uint64_t word = atomic_load_explicit(&cell->word, memory_order_acquire);
    *again = (seq & 1) || atomic_load_explicit(&cell->seq, memory_order_relaxed) != seq;
    return !*again && a == k->half[0] && b == k->half[1] ? word : 0;
}

static inline uint64_t cell_try(const struct cell *cell, const struct cell_key *k)
{
    bool again = true;
    uint64_t word = 0;
    for (unsigned i = 0; again && i < CELL_TRIES; i++)
        word = cell_read(cell, k, &again);
    return word;
}

/* The word of `ip`, 0 where there is none; `number` gets its cell. Thread any.  Cost about 15
 * cycles, warm */
static inline uint64_t cells_read(const struct cells *c, const uint8_t ip[16], uint32_t *number)
{
    struct cell_key k = cells_key(c, ip);
    for (uint32_t i = 0; i <= c->mask; i++) {
        uint32_t slot = cells_slot(c, (uint32_t)k.hash + i);
        if (unlikely(slot == 0))
            break;
        if (unlikely(!slot_may_be(slot, k.hash)))
            continue;
        uint64_t word = cell_try(&c->cell[slot_number(slot)], &k);
        if (likely(word)) {
            *number = slot_number(slot);
            return word;
        }
    }
    *number = NO_CELL;
    return 0;
}

/* ---- writing: the owner's alone -------------------------------------------------------------- */

/* NO_CELL: none. */
uint32_t cells_find(const struct cells *c, const uint8_t ip[16]);
/* `ip` is not there yet, and `word` not 0. NO_CELL: all are taken. */
uint32_t cells_add(struct cells *c, const uint8_t ip[16], uint64_t word);
void cells_set(struct cells *c, uint32_t number, uint64_t word); /* not 0 */
void cells_remove(struct cells *c, uint32_t number);
/* The next cell by turns, taken or not: a search for something to evict. */
static inline uint32_t cells_turn(struct cells *c)
{
    c->hand = c->hand + 1 < c->max ? c->hand + 1 : 0;
    return c->hand;
}

static inline uint64_t cells_word(const struct cells *c, uint32_t number)
{
    return atomic_load_explicit(&c->cell[number].word, memory_order_relaxed); /* our own store */
}
static inline void cells_ip(const struct cells *c, uint32_t number, uint8_t ip[16])
{
    for (unsigned i = 0; i < 2; i++) { /* our own stores */
        uint64_t half = atomic_load_explicit(&c->cell[number].key[i], memory_order_relaxed);
        memcpy(ip + 8 * i, &half, 8);
    }
}

/* The age of a cell, in ticks of about a second: 2^30 ns, a shift instead of a division. */
#define CELL_SHIFT 30
#define CELL_NEVER UINT32_MAX

static inline uint32_t cell_time(uint64_t now_ns)
{
    return (uint32_t)(now_ns >> CELL_SHIFT) + 1; /* 0 is never */
}
/* Note a use. Thread any: pairs with the load in cells_age; a lost one is made up for a second
 * later, and the line is written once a second at most. */
static inline void cells_touch(const struct cells *c, uint32_t number, uint64_t now_ns)
{
    struct cell *cell = &c->cell[number];
    uint32_t now = cell_time(now_ns);
    if (atomic_load_explicit(&cell->used, memory_order_relaxed) != now)
        atomic_store_explicit(&cell->used, now, memory_order_relaxed);
}
/* Ticks since the last use, or CELL_NEVER. */
static inline uint32_t cells_age(const struct cells *c, uint32_t number, uint64_t now_ns)
{
    /* Pairs with cells_touch */
    uint32_t used = atomic_load_explicit(&c->cell[number].used, memory_order_relaxed);
    uint32_t age = cell_time(now_ns) - used;
    return used == 0         ? CELL_NEVER
           : age > INT32_MAX ? 0
                             : age; /* another thread's clock ran ahead */
}

#endif
