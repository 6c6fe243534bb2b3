/* SPDX-License-Identifier: MIT
 * What backends and the engine do with buffers, beyond the public buf.h: the transitions
 *
 *     FREE -> APP <-> BACKEND (posted to a kernel ring), APP -> TX (a send queue holds it) -> FREE
 *
 * All on the pool's own thread. Every function asserts the state that it leaves. */
#ifndef WEIR_POOL_INTERNAL_H
#define WEIR_POOL_INTERNAL_H

#include "base/attr.h"

#include <weir/buf.h>

/* Take up to `n` buffers of WEIR_SMALL or WEIR_BIG for receiving, data at headroom, len 0, refs
 * 1, state APP. What is not used goes back with weir_buf_drop. Does not count pool_empty: the
 * caller does. */
unsigned pool_take(struct weir_pool *pool, unsigned section, struct weir_buf **ret, unsigned n);

/* APP <-> BACKEND: the kernel (a provided buffer ring, a UMEM) may write the slot. */
void buf_to_backend(struct weir_buf *buf);
void buf_from_backend(struct weir_buf *buf);
/* The same of a burst of one pool, WEIR_SMALL and WEIR_BIG only. */
void buf_to_backend_many(struct weir_buf **bufs, unsigned n);
void buf_from_backend_many(struct weir_buf **bufs, unsigned n);

/* `n` more references to a buffer, of a view as well (weir_buf_keep would copy it): what is sent
 * to many has one for each. False: refs would pass 65,535, and nothing changed. */
bool buf_ref(struct weir_buf *buf, unsigned n);

/* One reference changes from its holder to a transmission, and comes home from it. A buffer is
 * in state TX while tx_refs > 0; buf_tx_done drops the reference and so may free the buffer (or
 * its parent). */
void buf_to_tx(struct weir_buf *buf);
void buf_tx_done(struct weir_buf *buf);
/* In bursts; what was lent to a handler (WEIR_BUF_BORROWED) is the transmission's from then on. */
void buf_to_tx_many(struct weir_buf **bufs, unsigned n);
void buf_tx_done_many(struct weir_buf **bufs, unsigned n);

/* Cut `bytes` at parent->data into views of `segment` bytes (the last may be shorter) with
 * parent->peer, state APP, refs 1; each holds a reference to the parent, the caller keeps its
 * own. Returns how many were made: fewer than asked where `max` or the pool's view headers end;
 * the caller goes on later from data + made * segment. */
unsigned buf_views(struct weir_buf *parent, const uint8_t *data, uint32_t bytes, uint32_t segment,
                   struct weir_buf **ret, unsigned max);

/* The n-th buffer of a section: what a kernel ring's buffer id means. */
struct weir_buf *pool_buf(struct weir_pool *pool, unsigned section, uint32_t slot);

/* How many of a section are free. */
uint32_t pool_free(const struct weir_pool *pool, unsigned section);

/* The memory of all slots, to register with the kernel. */
const struct weir_mem *pool_mem(const struct weir_pool *pool);
uint32_t pool_headroom(const struct weir_pool *pool);
uint32_t pool_small_bytes(const struct weir_pool *pool);

/* ---- another's memory ----------------------------------------------------------------------- */

/* Small slots in memory that a library made, because its devices accept no other (DPDK's mempool):
 * `table[i]` are the headers, ascending, `room` bytes of slot right behind each. */
struct pool_memory {
    struct weir_buf **table;    /* opt->small of them; read at open only */
    uint32_t room;              /* a multiple of 8, more than the headroom */
    struct weir_mem mem;        /* for the report */
    void (*release)(void *arg); /* when the pool is closed, or could not be opened */
    void *arg;
};
struct weir_pool *pool_open_over(const struct weir_pool_opt *opt, const struct pool_memory *memory,
                                 struct weir_why *why);

/* The library's allocator as its devices call it. Lend: FREE -> BACKEND, `n` small slots or none.
 * Thread the owner's. Return: a transmission is done, or what was lent comes back unused; each was
 * given to the device once.  Thread any */
bool pool_lend(struct weir_pool *pool, struct weir_buf **ret, unsigned n);
void pool_return(struct weir_buf **bufs, unsigned n);
/* What a device received into, or was sent and came back to us by its other end: sole again, APP. */
void pool_landed(struct weir_pool *pool, struct weir_buf **bufs, unsigned n);
/* The device is gone and gives nothing back any more: what it had of the small slots is free. With
 * `sent` what was under transmission as well. The owner's. */
void pool_reclaim(struct weir_pool *pool, bool sent);
/* How many small slots are in transmission.  The owner's */
uint32_t pool_sent(const struct weir_pool *pool);
/* Whether this is the pool's own thread. */
bool pool_at_home(const struct weir_pool *pool);
/* Whether the pool is over another's memory: its small slots, or the slot that a view lies in. */
bool buf_over(const struct weir_buf *buf);

/* Bring home what other threads dropped. Once a poll.  Cost one load when there is nothing */
void pool_collect(struct weir_pool *pool);

#endif
