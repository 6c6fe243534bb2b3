/* SPDX-License-Identifier: MIT
 * The seam of frame backends: what xdp, dpdk and sim are to the engine.
 *
 * A frame backend's row has the same open, close, modes, probe and wait as a socket backend's and,
 * instead of endpoints, this table. The engine (engine/frames.c) puts the stack between it and the
 * endpoints; wrap_fault and wrap_pcap stand between, with tables of their own.
 *
 * Buffers: rx gives them in state APP with one reference, tx takes a tx reference with each
 * frame. A backend holds what the device may write in state BACKEND. */
#ifndef WEIR_BACKEND_FRAMES_H
#define WEIR_BACKEND_FRAMES_H

#include "backend/backend.h"
#include "buf/frame.h"

#include <weir/frames.h>

/* What the device is. */
struct frame_port {
    char name[64]; /* "veth0, queue 0 of 1" */
    uint8_t mac[6];
    uint16_t queues;
    uint32_t mtu; /* of IP */
    /* Shared-address mode: the kernel's addresses and routes, the kernel answers. */
    bool shared;
    struct weir_net address[WEIR_NETS_MAX];
    uint32_t addresses;
    struct weir_route route[WEIR_ROUTES_MAX];
    uint32_t routes;
    bool up;
    bool tx_checksum; /* completes transport checksums */
    bool tx_gather;   /* sends tx_frame.body */
    uint32_t gather_bytes; /* from which a body is cheaper than a copy, as measured; with tx_gather */
};

enum port_notice_kind { PORT_LINK = 1, PORT_NEIGHBOUR };

struct port_notice {
    uint8_t kind;
    bool known;    /* PORT_NEIGHBOUR: mac is right; else it is gone */
    int16_t err;   /* PORT_LINK: 0 up, -ENETDOWN down, -ENODEV gone for good */
    uint8_t ip[16], mac[6];
};

struct frame_ops {
    /* Received frames, up to `n`. Never blocks. A device that is gone gives none. */
    unsigned (*rx)(struct backend *b, struct weir_buf **ret, unsigned n);
    /* How many frames tx would take now, up to `n`. */
    unsigned (*tx_room)(struct backend *b, unsigned n);
    /* Send; n <= what tx_room said last. Counts tx_calls, syscalls and copies of its own; what the
     * device did not take in the end is dropped and counted (tx_ring_full). */
    void (*tx)(struct backend *b, const struct tx_frame *frames, unsigned n);
    /* End of a poll: make the device look. */
    void (*submit)(struct backend *b);
    void (*port)(const struct backend *b, struct frame_port *ret);
    /* Take (or no longer take) UDP datagrams to `local` off the device for us; the wildcard is all
     * addresses. 0 or -errno with `why`. NULL: everything comes anyway.
     * Thread  any, while the backend is open: a fleet's guests open ports as well. */
    int (*steer)(struct backend *b, const struct weir_addr *local, bool on, struct weir_why *why);
    /* What happened to the port since: up to `n` notices. NULL: nothing ever does. */
    unsigned (*notices)(struct backend *b, struct port_notice *ret, unsigned n);
    /* Ask whoever keeps neighbours (the kernel) to resolve one. NULL: nobody does. */
    void (*resolve)(struct backend *b, const uint8_t ip[16]);
    /* When submit or rx must be called next though nothing arrives; UINT64_MAX = never. NULL:
     * never. */
    uint64_t (*next_ns)(const struct backend *b);
    /* Frames or answers of a lesser kind since the start, by layer, for the report (dpdk: xstats).
     * NULL: none. */
    void (*stats)(const struct backend *b, void (*line)(const char *name, uint64_t value, void *),
                  void *arg);
};

/* ---- sim.c: what engine/sim.c needs of the wires --------------------------------------------- */

struct weir_sim;
/* Move what engines queued onto their wires, and into receiving ports what is due at `now_ns`.
 * Returns the number of frames that arrived. */
unsigned sim_move(struct weir_sim *sim, uint64_t now_ns);
/* When the next frame arrives anywhere; UINT64_MAX: nothing is under way. */
uint64_t sim_next_ns(const struct weir_sim *sim);
void sim_set_now(struct weir_sim *sim, uint64_t now_ns);
/* The engine of port i, or NULL; -ENOENT past the end. A port knows its engine from open on. */
int sim_engine(const struct weir_sim *sim, unsigned i, struct weir_engine **ret);
/* Called by engine/frames.c when an engine on the port opens and closes (NULL). */
void sim_attach(struct weir_sim_port *port, struct weir_engine *engine);

/* ---- wrap_fault.c, wrap_pcap.c --------------------------------------------------------------- */

/* Put a capture (b->opt.pcap) or impairments (b->opt.impair) around b->ops, or b->frames of a frame
 * backend; nothing when neither is asked for. The capture is next to the device: it goes on first
 * and comes off last. 0 or -errno with `why`. */
int wrap_pcap_open(struct backend *b, struct weir_why *why);
void wrap_pcap_close(struct backend *b);
int wrap_fault_open(struct backend *b, struct weir_why *why);
void wrap_fault_close(struct backend *b); /* what it delays is dropped */

#endif
