/* SPDX-License-Identifier: MIT
 * Buffers that go to a worker with another pool, and come back.
 *
 *     worker 0                      ring                      worker k
 *     P (APP, refs 1) -buf_leave->  {P, data, len}  -buf_arrive->  view of k's pool, parent P
 *     P               <-buf_arrive- {P, data, len}  <-buf_leave--  that view: its header stays here
 *     P               <- return list (home.c) ---------------------  that view, dropped
 *
 * A header is written by its owner alone, also while the buffer is away: so what the other side
 * changed (where data begins, how long it is) travels beside the pointer. To its pool a buffer that
 * is away is in state APP with the reference that went. */
#ifndef WEIR_BUF_FOREIGN_H
#define WEIR_BUF_FOREIGN_H

#include "base/attr.h"

#include <weir/buf.h>

#define BUF_FOREIGN 4u /* buf->flags of a view: its parent is of another pool */

struct away {
    struct weir_buf *buf;
    uint8_t *data;
    uint32_t len;
    bool whole; /* nobody else has a reference: its memory may be written */
};

/* One APP reference of `buf` leaves this thread. Of a view, which must have one reference only, it
 * is the parent's that leaves, and the view's header is free: what its peer said is lost.
 * Thread  the pool's */
void buf_leave(struct weir_buf *buf, struct away *ret);

/* What arrived, for this thread: a buffer of `pool` itself, or a view of it of what belongs to
 * another, with the same peer (a frame's meta) and one reference. `write`: a view may say
 * WEIR_BUF_WHOLE. NULL: no view header is free; nothing changed.  Thread the pool's */
struct weir_buf *buf_arrive(struct weir_pool *pool, const struct away *from, bool write);

/* What left and nobody takes: home. Thread any */
void away_drop(const struct away *away);

/* A transmission that is not to be after all: its reference is the caller's again. */
void buf_from_tx(struct weir_buf *buf);

#endif
