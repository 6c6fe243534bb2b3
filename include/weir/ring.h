/* SPDX-License-Identifier: MIT
 * Bounded lock-free rings: one producer (spsc) or many (mpsc), always one consumer.
 *
 *     n = weir_spsc_reserve(r, 32, &pos);            n = weir_spsc_peek(r, 32, &pos);
 *     for (i = 0; i < n; i++)                        for (i = 0; i < n; i++)
 *         fill(weir_spsc_slot(r, pos + i));              use(weir_spsc_slot(r, pos + i));
 *     weir_spsc_submit(r, n);                        weir_spsc_release(r, n);
 *
 * Elements of up to some cache lines are as fast with weir_spsc_push and weir_spsc_pop, which copy.
 * A ring lies in one block of memory, holds no pointer and makes no system call, so it may lie in
 * shared memory. Sides trust each other: a slot is always inside of the ring, but what is in it is
 * the peer's.
 *
 * Positions count up for ever in 64 bits: they never wrap, and the slot is the position modulo the
 * size. Nothing here waits. What to do about a full or an empty ring is the caller's affair.
 *
 * Memory order: each atomic below carries the label of its edge, S1 S2 (spsc) or M1 M2 M3 (mpsc);
 * the two ends of an edge have one label. OWN is an index read by its only writer, CLAIM one that
 * orders nothing. docs/why/rings.md explains them; tests/model/ runs this very header under every
 * reordering that C allows, and shows that no edge can be weakened. */
#ifndef WEIR_RING_H
#define WEIR_RING_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef WEIR_RING_LOAD /* tests/model/ puts its own here */
#define WEIR_RING_LOAD(at, order, edge) __atomic_load_n(at, __ATOMIC_##order)
#define WEIR_RING_STORE(at, value, order, edge) __atomic_store_n(at, value, __ATOMIC_##order)
#define WEIR_RING_CAS(at, expected, value, order, edge)                                            \
    __atomic_compare_exchange_n(at, expected, value, 1, __ATOMIC_##order, __ATOMIC_RELAXED)
#endif

/* Two lines of 64 bytes, because prefetchers pull pairs (Intel SDM vol. 3, "Data Prefetching"). */
#define WEIR_RING_ALIGN 128
#define WEIR_RING_LINE __attribute__((aligned(WEIR_RING_ALIGN)))

#define WEIR_RING_LENS 1u              /* flag of an spsc ring: keep a length beside each element */
#define WEIR_RING_SLOTS_MAX (1u << 31) /* an mpsc slot's turn tells laps apart by 32 bits */

/* ---- one producer, one consumer ------------------------------------------------------------- */

/* The header of the block; the elements follow it, then their lengths. Visible for inlining. */
struct weir_spsc {
    uint32_t magic, flags;
    uint32_t slots, elem_bytes;
    uint64_t lens_offset;         /* of the lengths from the header, 0: none */
    WEIR_RING_LINE uint64_t head; /* the producer's: elements submitted */
    uint64_t tail_seen;           /* its copy of tail: reading that costs a cache miss */
    WEIR_RING_LINE uint64_t tail; /* the consumer's: elements released */
    uint64_t head_seen;           /* its copy of head */
};

/* How much memory a ring takes. Returns 0 where weir_spsc_init would refuse the numbers. */
size_t weir_spsc_bytes(uint32_t slots, uint32_t elem_bytes, unsigned flags);

/* Make an empty ring of `bytes` bytes of memory aligned to WEIR_RING_ALIGN.
 * Shape   slots: a power of two, 2 .. WEIR_RING_SLOTS_MAX; elem_bytes >= 1; flags: 0 or
 *         WEIR_RING_LENS
 * Owner   the memory stays the caller's, and there is nothing to close
 * Errors  -EINVAL: one of these, or fewer bytes than weir_spsc_bytes says
 * Thread  any, before both sides know of the ring.  Cost touches the header and the lengths */
int weir_spsc_init(struct weir_spsc *r, size_t bytes, uint32_t slots, uint32_t elem_bytes,
                   unsigned flags);

/* Whether `bytes` bytes at `r`, shared by another process, hold a sound ring.
 * Errors  -EINVAL: no ring of this version, or it does not fit.  Thread any */
int weir_spsc_check(const struct weir_spsc *r, size_t bytes);

/* A copy; of the usual sizes, a pointer and a cache line (also a burst of eight pointers), the
 * compiler makes moves instead of a call: 1 to 5 cycles less an element in bench/ring. */
static inline void weir_ring_copy(void *to, const void *from, size_t bytes)
{
    if (bytes == sizeof(void *)) {
        memcpy(to, from, sizeof(void *));
    } else if (bytes == 64) {
        /* Forget what these point to: the compiler sees callers' smaller arrays, and warns of this
         * branch although `bytes` never exceeds them */
        __asm__("" : "+r"(to), "+r"(from));
        memcpy(to, from, 64);
    } else {
        memcpy(to, from, bytes);
    }
}

/* The element at a position that reserve or peek gave, aligned as far as elem_bytes allows. */
static inline void *weir_spsc_slot(struct weir_spsc *r, uint64_t pos)
{
    return (char *)(r + 1) + (pos & (r->slots - 1)) * r->elem_bytes;
}

/* The length kept beside it: any number that the producer likes.
 * Errors  asserted: a ring without WEIR_RING_LENS */
static inline uint32_t *weir_spsc_len(struct weir_spsc *r, uint64_t pos)
{
    assert(r->lens_offset != 0);
    return (uint32_t *)(void *)((char *)r + r->lens_offset) + (pos & (r->slots - 1));
}

/* Reserve up to `n` slots, positions *pos .. *pos + returned - 1, to be filled and submitted.
 * Owner   the producer's until it submits; reserving again before that gives the same slots
 * Errors  0 = full
 * Thread  the producer's.  Cost a few cycles; a cache miss when tail_seen no longer suffices */
static inline uint32_t weir_spsc_reserve(struct weir_spsc *r, uint32_t n, uint64_t *pos)
{
    uint64_t head = WEIR_RING_LOAD(&r->head, RELAXED, OWN);
    uint64_t room = r->slots - (head - r->tail_seen);
    *pos = head;
    if (room >= n)
        return n;
    /* S2: the consumer has read what it released before we overwrite it */
    r->tail_seen = WEIR_RING_LOAD(&r->tail, ACQUIRE, S2);
    room = r->slots - (head - r->tail_seen);
    return room < n ? (uint32_t)room : n;
}

/* Hand the first `n` reserved slots to the consumer; the others were never taken.
 * Errors  asserted: n is more than was reserved.  Thread the producer's.  Cost one store */
static inline void weir_spsc_submit(struct weir_spsc *r, uint32_t n)
{
    uint64_t head = WEIR_RING_LOAD(&r->head, RELAXED, OWN);
    assert(head + n - r->tail_seen <= r->slots);
    /* S1: the consumer that sees this index sees the elements */
    WEIR_RING_STORE(&r->head, head + n, RELEASE, S1);
}

/* Look at up to `n` elements, positions *pos .. *pos + returned - 1, and leave them in the ring.
 * Owner   the consumer's until it releases them; it may write to them
 * Errors  0 = empty
 * Thread  the consumer's.  Cost a few cycles; a cache miss when head_seen no longer suffices */
static inline uint32_t weir_spsc_peek(struct weir_spsc *r, uint32_t n, uint64_t *pos)
{
    uint64_t tail = WEIR_RING_LOAD(&r->tail, RELAXED, OWN);
    uint64_t ready = r->head_seen - tail;
    *pos = tail;
    if (ready >= n)
        return n;
    /* S1: what the producer wrote before it submitted */
    r->head_seen = WEIR_RING_LOAD(&r->head, ACQUIRE, S1);
    ready = r->head_seen - tail;
    return ready < n ? (uint32_t)ready : n;
}

/* Give the first `n` elements that were peeked at back to the producer.
 * Errors  asserted: n is more than was seen.  Thread the consumer's.  Cost one store */
static inline void weir_spsc_release(struct weir_spsc *r, uint32_t n)
{
    uint64_t tail = WEIR_RING_LOAD(&r->tail, RELAXED, OWN);
    assert(n <= r->head_seen - tail);
    /* S2: our reads of the slots end before the producer may write there */
    WEIR_RING_STORE(&r->tail, tail + n, RELEASE, S2);
}

/* Copy `n` elements into the ring. Returns how many it took, 0 = full; lengths are left alone.
 * Thread  the producer's.  Cost reserve, a copy in at most two runs, submit */
static inline uint32_t weir_spsc_push(struct weir_spsc *r, const void *elems, uint32_t n)
{
    uint64_t pos;
    n = weir_spsc_reserve(r, n, &pos);
    if (n == 0)
        return 0; /* without a store: the consumer may be about to read that line */
    uint32_t to_end = r->slots - (uint32_t)(pos & (r->slots - 1));
    uint32_t run = n < to_end ? n : to_end;
    weir_ring_copy(weir_spsc_slot(r, pos), elems, (size_t)run * r->elem_bytes);
    if (run < n)
        memcpy(r + 1, (const char *)elems + (size_t)run * r->elem_bytes,
               (size_t)(n - run) * r->elem_bytes);
    weir_spsc_submit(r, n);
    return n;
}

/* Copy up to `n` elements out of the ring. Returns how many, 0 = empty.
 * Thread  the consumer's.  Cost peek, a copy in at most two runs, release */
static inline uint32_t weir_spsc_pop(struct weir_spsc *r, void *ret, uint32_t n)
{
    uint64_t pos;
    n = weir_spsc_peek(r, n, &pos);
    if (n == 0)
        return 0; /* as in weir_spsc_push */
    uint32_t to_end = r->slots - (uint32_t)(pos & (r->slots - 1));
    uint32_t run = n < to_end ? n : to_end;
    weir_ring_copy(ret, weir_spsc_slot(r, pos), (size_t)run * r->elem_bytes);
    if (run < n)
        memcpy((char *)ret + (size_t)run * r->elem_bytes, r + 1, (size_t)(n - run) * r->elem_bytes);
    weir_spsc_release(r, n);
    return n;
}

/* How many elements are in the ring: exact while the other side rests, else a moment's view. */
uint32_t weir_spsc_count(const struct weir_spsc *r);

/* ---- many producers, one consumer ----------------------------------------------------------- */

/* A producer claims positions by moving head, fills the slots and submits each by its turn.
 * Producers wait for nothing: one that is preempted between reserve and submit holds back the
 * consumer at its slots, and the others only once the ring is full. One that dies there stops the
 * ring for good. */
struct weir_mpsc_cell {
    uint32_t turn; /* position + 1 of the element that is in here, low 32 bits */
    uint32_t len;
    /* elem_bytes bytes follow, aligned to 8 */
};

/* The header of the block; the slots follow it. Visible for inlining. */
struct weir_mpsc {
    uint32_t magic, reserved;
    uint32_t slots, elem_bytes;
    uint64_t slot_bytes;          /* header and element, rounded up to 8 */
    WEIR_RING_LINE uint64_t head; /* the producers': positions claimed */
    uint64_t tail_seen;           /* their copy of tail */
    WEIR_RING_LINE uint64_t tail; /* the consumer's: elements released */
};

/* As of weir_spsc_bytes, _init and _check. Every element has a length; no flags yet: 0. */
size_t weir_mpsc_bytes(uint32_t slots, uint32_t elem_bytes, unsigned flags);
int weir_mpsc_init(struct weir_mpsc *r, size_t bytes, uint32_t slots, uint32_t elem_bytes,
                   unsigned flags);
int weir_mpsc_check(const struct weir_mpsc *r, size_t bytes);

static inline struct weir_mpsc_cell *weir_mpsc_at(struct weir_mpsc *r, uint64_t pos)
{
    return (struct weir_mpsc_cell *)(void *)((char *)(r + 1) +
                                             (pos & (r->slots - 1)) * r->slot_bytes);
}

/* The element at a position that reserve or peek gave, aligned to 8, and its length. */
static inline void *weir_mpsc_slot(struct weir_mpsc *r, uint64_t pos)
{
    return weir_mpsc_at(r, pos) + 1;
}
static inline uint32_t *weir_mpsc_len(struct weir_mpsc *r, uint64_t pos)
{
    return &weir_mpsc_at(r, pos)->len;
}

/* How many positions are free for a producer that saw `head`; looks at the consumer's index only
 * if the producers' copy of it does not show room for `n`. Below 0 where that index is older than
 * `head` by more than the ring: producers store their copy in any order, so it may go back. */
static inline int64_t weir_mpsc_room(struct weir_mpsc *r, uint64_t head, uint32_t n)
{
    /* M3: whoever stored this copy saw the consumer's release (M2), so we inherit it */
    uint64_t seen = WEIR_RING_LOAD(&r->tail_seen, ACQUIRE, M3);
    if ((int64_t)(seen + r->slots - head) >= (int64_t)n)
        return n;
    /* M2: the consumer has read what it released before we overwrite it */
    uint64_t tail = WEIR_RING_LOAD(&r->tail, ACQUIRE, M2);
    if (tail > seen) /* M3: pass it on; not while the ring stays full, others work on this line */
        WEIR_RING_STORE(&r->tail_seen, tail, RELEASE, M3);
    return (int64_t)(tail + r->slots - head);
}

/* Reserve up to `n` slots, positions *pos .. *pos + returned - 1, to be filled and ALL submitted.
 * Owner   the caller's until it submits them
 * Errors  0 = full, at once
 * Thread  any.  Cost one compare-and-swap, repeated only where another producer's succeeded */
static inline uint32_t weir_mpsc_reserve(struct weir_mpsc *r, uint32_t n, uint64_t *pos)
{
    uint64_t head = WEIR_RING_LOAD(&r->head, RELAXED, CLAIM);
    int64_t room;
    do {
        /* A head older than the tail shows too much room: then the compare-and-swap fails */
        room = weir_mpsc_room(r, head, n);
        *pos = head;
        if (room <= 0)
            return 0;
        n = room < n ? (uint32_t)room : n;
        /* CLAIM orders nothing: it only makes the positions ours. The slots are safe by M2 */
    } while (!WEIR_RING_CAS(&r->head, &head, head + n, RELAXED, CLAIM));
    return n;
}

/* Hand `n` reserved slots from `pos` on to the consumer. May be done in parts and in any order.
 * Thread  the one that reserved them.  Cost one store each */
static inline void weir_mpsc_submit(struct weir_mpsc *r, uint64_t pos, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        /* M1: the consumer that sees its turn sees the element */
        WEIR_RING_STORE(&weir_mpsc_at(r, pos + i)->turn, (uint32_t)(pos + i + 1), RELEASE, M1);
}

/* Look at up to `n` elements, positions *pos .. *pos + returned - 1, and leave them in the ring.
 * Owner   the consumer's until it releases them; it may write to them
 * Errors  0 = empty, or the next element is reserved and not yet submitted
 * Thread  the consumer's.  Cost a look at each slot */
static inline uint32_t weir_mpsc_peek(struct weir_mpsc *r, uint32_t n, uint64_t *pos)
{
    uint64_t tail = WEIR_RING_LOAD(&r->tail, RELAXED, OWN);
    uint32_t i = 0;
    /* M1: what the producer wrote before it submitted. After one lap an old turn ends this */
    while (i < n && WEIR_RING_LOAD(&weir_mpsc_at(r, tail + i)->turn, ACQUIRE, M1) ==
                        (uint32_t)(tail + i + 1))
        i++;
    *pos = tail;
    return i;
}

/* Give the first `n` elements that were peeked at back to the producers.
 * Thread  the consumer's.  Cost one store */
static inline void weir_mpsc_release(struct weir_mpsc *r, uint32_t n)
{
    uint64_t tail = WEIR_RING_LOAD(&r->tail, RELAXED, OWN);
    /* M2: our reads of the slots end before a producer may write there */
    WEIR_RING_STORE(&r->tail, tail + n, RELEASE, M2);
}

/* Copy `n` elements into the ring, each with the length elem_bytes.
 * Returns how many it took, 0 = full.
 * Thread  any.  Cost reserve, a copy and a store each */
static inline uint32_t weir_mpsc_push(struct weir_mpsc *r, const void *elems, uint32_t n)
{
    uint64_t pos;
    const uint32_t bytes = r->elem_bytes;
    n = weir_mpsc_reserve(r, n, &pos);
    for (uint32_t i = 0; i < n; i++) {
        weir_ring_copy(weir_mpsc_slot(r, pos + i), (const char *)elems + (size_t)i * bytes, bytes);
        *weir_mpsc_len(r, pos + i) = bytes;
        weir_mpsc_submit(r, pos + i, 1);
    }
    return n;
}

/* Copy up to `n` elements out of the ring. Returns how many, 0 as of weir_mpsc_peek.
 * Thread  the consumer's.  Cost peek, a copy each, release */
static inline uint32_t weir_mpsc_pop(struct weir_mpsc *r, void *ret, uint32_t n)
{
    uint64_t pos;
    const uint32_t bytes = r->elem_bytes;
    n = weir_mpsc_peek(r, n, &pos);
    for (uint32_t i = 0; i < n; i++)
        weir_ring_copy((char *)ret + (size_t)i * bytes, weir_mpsc_slot(r, pos + i), bytes);
    if (n > 0)
        weir_mpsc_release(r, n);
    return n;
}

/* How many positions are claimed and not yet released: an upper bound of what peek would show.
 * Thread any */
uint32_t weir_mpsc_count(const struct weir_mpsc *r);

#ifdef __cplusplus
}
#endif
#endif
