/* SPDX-License-Identifier: MIT
 * What the engine's files know of frame backends: frames.c (one engine over one queue) and fleet.c
 * (the engines of one device together). */
#ifndef WEIR_ENGINE_FRAMES_H
#define WEIR_ENGINE_FRAMES_H

#include "engine/engine.h"
#include "stack/stack.h"

/* What stands between loop.c and a frame backend. */
extern const struct backend_ops frames_table;

/* weir_udp_open over frames. */
int frames_udp_open(struct weir_engine *e, const struct weir_addr *local, weir_handler *handler,
                    void *app, weir_ep *ret);
/* weir_tcp_listen (at `local`) and _connect, until our stack has TCP: what is wrong anyway, else
 * -EOPNOTSUPP. */
int frames_no_streams(const struct weir_engine *e, const struct weir_addr *local);
/* When the engine must be polled though nothing arrives. */
uint64_t frames_next_ns(const struct weir_engine *e);
/* Datagrams become events; there is room for them. */
void frames_tell(struct weir_engine *e, const struct stack_datagram *got, unsigned n);
/* Through this engine's own device queue, counted. */
unsigned frames_tx_room(struct weir_engine *e, unsigned n);
void frames_transmit(struct weir_engine *e, const struct tx_frame *frames, unsigned n);

/* ---- fleet.c: several workers of one device. Without a fleet (e->fleet NULL) each of these does
 * the plain thing at the cost of one test. */

#define FLEET_RETRY_NS 50000u /* until what found no room is tried again, when sleeping */

/* The row of the backend for this worker: `row`, or a guest's. */
const struct backend_ops *fleet_row(struct weir_engine *e, const struct backend_ops *row);
/* How many of its buffers may be under way to others; 0 without a fleet. */
uint32_t fleet_held(const struct weir_engine *e);
unsigned fleet_worker(const struct weir_engine *e);               /* 0 without a fleet */
struct neighbours *fleet_neighbours(const struct weir_engine *e); /* worker 0's, or NULL */
/* The stack is open: this worker can be given parcels.  0 or -errno with `why` */
int fleet_join(struct weir_engine *e, struct weir_why *why);
/* Nobody sends to anybody any more, and nothing is on the way to us.  Waits for the others. */
void fleet_leave(struct weir_engine *e);
/* Wait until all of the fleet have come as far (fleet.c says how far). */
void fleet_meet(struct weir_engine *e);
/* A port was bound or is free again: whom frames to it belong to. */
void fleet_bound(struct weir_engine *e, const struct weir_addr *local, bool bound);
/* local->port 0: one that no worker has open, reserved until it is bound or given back. Else as it
 * is.  0 or -EADDRINUSE */
int fleet_choose(struct weir_engine *e, struct weir_addr *local);
/* What fleet_choose chose, and nothing else. */
void fleet_unchoose(struct weir_engine *e, const struct weir_addr *local);
/* NULL: has another worker this port open, at this address? Else the datagram for it is taken over,
 * whether it still has it or not; always true. `arg` is the engine. */
bool fleet_elsewhere(void *arg, const struct weir_addr *local, struct weir_buf *datagram);
/* Frames that came from the device: those of other workers' flows leave over their lanes. Returns
 * how many stay, moved to the front. */
unsigned fleet_spread(struct weir_engine *e, struct weir_buf **frames, unsigned n);
/* What other workers sent over: to the stack, to the device. Bounded by the poll's room. */
void fleet_receive(struct weir_engine *e);
/* The end of a poll: stack_handed goes to worker 0, others are told what is there for them. */
void fleet_hand_over(struct weir_engine *e);
/* Room and transmission: the own queue, or that of the worker that has the device's only one. */
unsigned fleet_tx_room(struct weir_engine *e, unsigned n);
void fleet_transmit(struct weir_engine *e, const struct tx_frame *frames, unsigned n);
/* When the lanes must be looked at though nobody wakes us; UINT64_MAX: then somebody does. */
uint64_t fleet_next_ns(const struct weir_engine *e);
/* The device's link as it was told. */
void fleet_link(struct weir_engine *e, int err);

/* For weir_crew_health.  Thread any.
 * The device queue of this worker alone, or -1; of a guest *host, else -1. Entries of a lane to it
 * (0 without a fleet), and how many are used in the fullest. */
int fleet_queue(const struct weir_engine *e, int *host);
uint32_t fleet_ring(const struct weir_engine *e, uint32_t *used);

#endif
