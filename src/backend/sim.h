/* SPDX-License-Identifier: MIT
 * The simulator's network and its ports: sim.c is the device that an engine sees, sim_wire.c what
 * moves frames between devices, sim_net.c makes and counts it all. */
#ifndef WEIR_BACKEND_SIM_H
#define WEIR_BACKEND_SIM_H

#include "backend/due.h"
#include "backend/frames.h"
#include "backend/impair.h"

#include <weir/sim.h>

#define SIM_RING 1024u /* entries of each ring, as NIC drivers have by default */
#define SIM_ETHER 14u  /* bytes of an Ethernet header: IEEE 802.3 */
#define SIM_MTU 1500u
#define SIM_MTU_MAX 9000u /* of jumbo frames, as most NICs have it */
#define SIM_FRAME_MAX (SIM_ETHER + SIM_MTU_MAX)
#define SIM_SLOT 2048u /* bytes of the usual slot of the store */

/* Buffers lent to the wire, first in first out. */
struct sim_posted {
    struct weir_buf *buf[SIM_RING];
    uint32_t head, tail, most; /* free-running; how many are lent at once */
};

struct sim_came {
    struct weir_buf *buf;
    uint32_t bytes, flags; /* FRAME_* */
};

/* A device's rings, as long as an engine has it. Indices run freely, & (SIM_RING - 1) is the place.
 * The wire moves came_tail and tx_done, and takes from `posted`; the engine moves the others. */
struct sim_rings {
    struct sim_posted posted[2]; /* of WEIR_SMALL and WEIR_BIG */
    struct sim_came came[SIM_RING];
    struct tx_frame tx[SIM_RING];
    uint32_t came_head, came_tail;
    uint32_t tx_home, tx_done, tx_tail;
    bool starved; /* the pool had less than was wanted */
};

struct weir_sim_port {
    struct weir_sim *sim;
    struct weir_sim_port *peer;
    struct weir_engine *engine;
    struct backend *b; /* of its engine, from open to close */
    struct sim_rings *rings;
    struct impair impair; /* of what this port sends */
    uint32_t index, mtu;
    uint32_t swapped;                   /* frame that lets the next one overtake it, or NIL */
    uint32_t inbox, inbox_end, waiting; /* frames that came to a port without an engine */
    bool plugged, notice;
    uint8_t mac[6];
};

/* A frame under way, or in an inbox. */
struct sim_frame {
    uint64_t order;       /* of its entry in the heap; another one is out of date */
    uint32_t port, bytes; /* where it goes */
    uint32_t next;        /* in the inbox, or of the free ones */
    uint32_t flags;       /* FRAME_* */
};

struct weir_sim {
    uint64_t now_ns, seed, trace;
    struct weir_sim_port *ports;
    uint32_t n_ports, ports_max;
    uint32_t usual, large; /* slots of SIM_SLOT, and of SIM_FRAME_MAX */
    struct sim_frame *frames;
    uint8_t *usual_bytes, *large_bytes;
    uint32_t free_usual, free_large; /* lists of frames */
    struct due due;
    struct weir_sim_counts counts;
    bool offload;
};

/* ---- sim_wire.c ----------------------------------------------------------------------------- */

/* A frame as it is put on a wire: an engine's descriptor, or a tool's bytes. */
struct sim_piece {
    const struct tx_frame *frame;
    const uint8_t *raw;
    uint32_t bytes;
    uint64_t flip;
};

/* False: there was no room for it (counted). What the wire loses was sent all the same. */
bool sim_put(struct weir_sim_port *from, struct sim_piece piece);
/* What the engine queued leaves. */
void sim_leave(struct weir_sim_port *port);
/* What is under way to this port is lost. */
void sim_lose(struct weir_sim_port *to);
void sim_frame_free(struct weir_sim *sim, uint32_t frame);
uint8_t *sim_frame_bytes(const struct weir_sim *sim, uint32_t frame);

/* ---- sim_net.c ------------------------------------------------------------------------------ */

/* The first frame of the inbox, taken out; NIL: none. */
uint32_t sim_inbox_pop(struct weir_sim_port *port);

#endif
