/* SPDX-License-Identifier: MIT
 * Impairments around a backend: wrap_fault.c decides and holds, fault_frames.c stands around frames,
 * fault_sockets.c around the datagrams of sockets. */
#ifndef WEIR_BACKEND_WRAP_FAULT_H
#define WEIR_BACKEND_WRAP_FAULT_H

#include "backend/due.h"
#include "backend/impair.h"
#include "backend/wrap.h"

#define FAULT_RETRY_NS 50000u /* until a full device or queue is asked again: as engine/frames.c */

enum fault_way { FAULT_IN, FAULT_OUT, FAULT_WAYS };

/* A frame, or a datagram (frame.buf alone). Inward it is in state APP, outward in TX. */
struct fault_packet {
    struct tx_frame frame;
    weir_ep ep; /* of a datagram */
    struct weir_addr to;
};

struct fault_held {
    struct fault_packet packet;
    uint64_t order; /* of its entry in the heap, DUE_NEVER: the slot is free */
    uint32_t next;
    uint8_t way;
};

struct fault {
    struct wrap wrap; /* first: b->fault points to it */
    struct impair way[FAULT_WAYS];
    struct due due[FAULT_WAYS];
    uint32_t swapped[FAULT_WAYS]; /* the one that lets the next overtake it, or NIL */
    struct fault_held *held;
    uint32_t free, n_held;
    uint32_t
        *judged; /* of each endpoint: items at the front of its queue that were judged before */
};

#define FAULT_GO 3u /* itself, its copy, and the one that it overtook */

static inline struct fault *fault_of(const struct backend *b)
{
    return (struct fault *)b->fault;
}

/* The next packet of a direction, which is taken over. Returns how many of `go` leave now. */
unsigned fault_judge(struct backend *b, enum fault_way way, struct fault_packet *p,
                     struct fault_packet *go);
/* Keep one until `due_ns`. Returns its slot; NIL: there is none, it was dropped (counted). */
uint32_t fault_hold(struct backend *b, enum fault_way way, const struct fault_packet *p,
                    uint64_t due_ns);
/* The next one that is due; false: none. */
bool fault_due(struct backend *b, enum fault_way way, struct fault_packet *ret);
void fault_drop(struct backend *b, enum fault_way way, const struct fault_packet *p);
/* What is held of an endpoint that ends (ep 0: of all) is dropped. */
void fault_forget(struct backend *b, weir_ep ep);
uint64_t fault_next_ns(const struct backend *b);

void fault_around_frames(struct fault *f);
void fault_around_sockets(struct fault *f);

#endif
