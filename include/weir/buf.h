/* SPDX-License-Identifier: MIT
 * Buffers: one header of 64 bytes a slot, payload in a pool's region, one owner at any time.
 *
 *     FREE --take/rx--> APP --send--> TX --completion--> FREE
 *
 * A handler borrows a received buffer until it returns. weir_send takes it. weir_buf_keep holds it.
 * References are counted, not pointers: in a handler the first weir_send of a borrowed buffer takes
 * the loan itself, and each weir_buf_keep gives one reference more, to be sent or dropped. To send
 * one buffer to n streams keep it n - 1 times; to n datagram peers use weir_send_many.
 * Nothing else. A pool belongs to the thread that opened it (or called weir_pool_adopt); a buffer
 * that is dropped on another thread goes home through the pool's return list. */
#ifndef WEIR_BUF_H
#define WEIR_BUF_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_pool;

enum weir_buf_section {
    WEIR_SMALL, /* one slot of small_bytes */
    WEIR_BIG, /* one slot with WEIR_BIG_BYTES behind its headroom: what one UDP GRO receive may bring */
    WEIR_RUN,  /* several neighbouring small slots */
    WEIR_VIEW, /* no slot: a range of its parent's, without head- or tailroom */
    WEIR_SECTIONS
};

enum weir_buf_state { WEIR_FREE, WEIR_APP, WEIR_TX, WEIR_BACKEND, WEIR_STATES };

#define WEIR_BUF_BORROWED 1u /* the engine's, lent to a handler until it returns */
#define WEIR_BUF_WHOLE                                                                             \
    2u /* a view that has its parent to itself: what is in front of it may be written */

struct weir_buf {
    uint8_t *data;         /* first byte of the payload */
    uint32_t len;          /* bytes of payload at data */
    uint32_t slot;         /* index in its section */
    struct weir_addr peer; /* a datagram's source when received, destination when sent */
    uint16_t refs;    /* references, the engine's included; changed by the owning thread only */
    uint16_t tx_refs; /* those of them that a transmission holds */
    uint8_t section;  /* enum weir_buf_section */
    uint8_t state;    /* enum weir_buf_state */
    uint8_t flags;
    uint8_t reserved;
    uint32_t room; /* bytes of memory from base; of a view its len */
    union {
        uint8_t *base;           /* first byte of the slot */
        struct weir_buf *parent; /* of a view: whose memory it is */
    };
    struct weir_pool *pool;
};

#ifdef __cplusplus
static_assert(sizeof(struct weir_buf) == 64, "one cache line");
#else
_Static_assert(sizeof(struct weir_buf) == 64, "one cache line");
_Static_assert(sizeof(struct weir_addr) == 20, "plain data");
#endif

#define WEIR_BIG_BYTES 65536u /* a UDP datagram or one GRO receive: RFC 768's 16-bit length */

struct weir_pool_opt {
    uint32_t small;       /* slots of small_bytes */
    uint32_t small_bytes; /* 2048 or 4096; 0 = 2048 */
    uint32_t big;         /* slots of WEIR_BIG_BYTES and the headroom, rounded up to 4,096 */
    uint32_t run;         /* small slots set apart for runs of neighbours */
    uint32_t views;       /* headers for the datagrams of GRO receives */
    uint32_t
        headroom; /* bytes kept free before data in small, big and run; 0 = 128, at most small_bytes / 2 */
    int node;           /* NUMA node, where mem_flags has WEIR_MEM_BIND */
    unsigned mem_flags; /* WEIR_MEM_* */
};

/* Open a pool owned by the calling thread. Everything is allocated here, nothing later.
 * Shape   at most 16,777,216 of each section, and one slot at least
 * Errors  NULL with `why` filled (may be NULL): -EINVAL the options, -ENOMEM.  Cost system calls,
 * touches all memory */
struct weir_pool *weir_pool_open(const struct weir_pool_opt *opt, struct weir_why *why);

/* Close a pool. Every buffer must be home, or on the return list.
 * Errors  -EBUSY: buffers are out (the pool stays open, so that a late drop is still safe). 
 * Thread the owner's */
int weir_pool_close(struct weir_pool *pool);

/* Make the calling thread the owner. For a pool that was opened on one thread and is used by
 * another; no other thread may be inside a call on it. */
void weir_pool_adopt(struct weir_pool *pool);

/* Take up to `n` small buffers, len 0, refs 1, headroom in front.
 * Returns how many; fewer than n is counted as pool_empty.  Thread the owner's.  Cost <= 10 cycles
 * each in bursts */
unsigned weir_buf_take(struct weir_pool *pool, struct weir_buf **ret, unsigned n);

/* Take one buffer with at least `bytes` behind its headroom: small, else big, else a run of
 * neighbours; the first section that is large enough and has one left.
 * Returns NULL when there is none (counted).  Thread the owner's.  Cost a run: a scan of a bitmap
 * */
struct weir_buf *weir_buf_take_bytes(struct weir_pool *pool, size_t bytes);

/* Hold a buffer beyond the handler, or for one more owner: returns it with one more reference,
 * which the caller must drop. A view is copied out into a buffer of its own (counted), because it
 * would pin its 64 KiB parent; NULL when the pool is empty, or the buffer has 65,535 references. 
 * Thread the owner's */
struct weir_buf *weir_buf_keep(struct weir_buf *buf);

/* Give up one reference to each of `n` buffers. Thread any; on a foreign thread each goes home
 * through the return list, which is never too small.  Cost <= 10 cycles each in bursts, at home */
void weir_buf_drop(struct weir_buf **bufs, unsigned n);

/* Bytes free behind the payload and in front of it. A received buffer of refs > 1 may not be
 * written. */
static inline uint32_t weir_buf_tailroom(const struct weir_buf *b)
{
    return b->section == WEIR_VIEW ? 0 : b->room - (uint32_t)(b->data - b->base) - b->len;
}
static inline uint32_t weir_buf_headroom(const struct weir_buf *b)
{
    if (b->section == WEIR_VIEW)
        return b->flags & WEIR_BUF_WHOLE ? (uint32_t)(b->data - b->parent->base) : 0;
    return (uint32_t)(b->data - b->base);
}

/* How a pool stands. total == count of all states together, in slots (a shared slot counts once).
 * */
struct weir_pool_stats {
    uint64_t total[WEIR_SECTIONS];
    uint64_t count[WEIR_SECTIONS][WEIR_STATES];
    uint64_t empty;      /* takes that got fewer than they asked for */
    uint64_t returned;   /* buffers that came home from another thread */
    uint64_t copied;     /* views copied out by weir_buf_keep */
    struct weir_mem mem; /* what the host granted */
};
void weir_pool_stats(const struct weir_pool *pool, struct weir_pool_stats *ret);

/* Walk every header: each slot is in exactly one state, free lists hold what is free, and
 * free + app + tx + in_backend == total. Returns 0, or -EILSEQ with the first disagreement in
 * `why`.
 * Thread the owner's.  Cost touches all headers; debug builds call it after polls */
int weir_pool_check(struct weir_pool *pool, struct weir_why *why);

#ifdef __cplusplus
}
#endif
#endif
