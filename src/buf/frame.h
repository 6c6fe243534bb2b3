/* SPDX-License-Identifier: MIT
 * Frames as they pass between a backend and the stack.
 *
 * A received frame is a buffer whose data begins with the Ethernet header; until the stack has
 * parsed it, its `peer` holds what the device told of it. */
#ifndef WEIR_BUF_FRAME_H
#define WEIR_BUF_FRAME_H

#include "base/attr.h"

#include <weir/buf.h>

#define FRAME_CSUM_OK 1u      /* the device verified the transport checksum */
#define FRAME_CSUM_PARTIAL 2u /* a local sender left it to an offload: only the pseudo-header's */
#define FRAME_HASH 4u         /* `hash` is the device's flow hash */
#define FRAME_TIME 8u         /* `rx_ns` is when the device received it (monotonic) */
#define FRAME_OUTWARD 16u     /* not received: another worker's packet (from its IP header on)
                                 that waits for a neighbour; the engine's fleet hands it over */

struct frame_meta {
    uint64_t rx_ns;
    uint32_t hash;
    uint16_t flags; /* FRAME_*; 0: nothing is known */
    uint16_t reserved;
};

_Static_assert(sizeof(struct frame_meta) <= sizeof(struct weir_addr), "lies in buf->peer");
_Static_assert(offsetof(struct weir_buf, peer) % alignof(struct frame_meta) == 0, "aligned");

static inline struct frame_meta *frame_meta(struct weir_buf *buf)
{
    return (struct frame_meta *)(void *)&buf->peer;
}

/* A frame to send: buf->data[0 .. len), then body's, if there is one. Both are in state TX and one
 * tx reference of each goes with the frame: the backend calls buf_tx_done on completion. */
struct tx_frame {
    struct weir_buf *buf, *body;
    /* Not 0: the device sums from csum_start to the end and stores at csum_start + csum_offset,
     * where the pseudo-header's sum lies already. Only where the port has tx_checksum. */
    uint16_t csum_start, csum_offset;
    uint32_t bytes; /* of the whole frame */
};

#endif
