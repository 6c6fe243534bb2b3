/* SPDX-License-Identifier: MIT
 * The simulator's network: made, changed and counted here; sim_wire.c moves its frames and sim.c is
 * what an engine sees of it. Everything is allocated by weir_sim_open, and a port's rings by the
 * engine that opens on it. */
#include "backend/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define START_NS UINT64_C(1000000000) /* not 0, which some read as "at once" */
#define PORTS 64u
#define FRAMES 65536u
#define LARGE_MIN 64u

/* ---- birth and death ------------------------------------------------------------------------ */

static void link_slots(struct weir_sim *sim)
{
    sim->free_usual = sim->free_large = NIL;
    for (uint32_t i = sim->usual + sim->large; i-- > 0;)
        sim_frame_free(sim, i);
}

/* Memory that is not touched before it is used: the store's size is a limit, not a need. */
static bool allocate(struct weir_sim *sim)
{
    sim->ports = calloc(sim->ports_max, sizeof *sim->ports);
    sim->frames = calloc(sim->usual + sim->large, sizeof *sim->frames);
    sim->usual_bytes = calloc(sim->usual, SIM_SLOT);
    sim->large_bytes = calloc(sim->large, SIM_FRAME_MAX);
    /* twice: an entry out of date stays until its time */
    return due_open(&sim->due, 2 * (sim->usual + sim->large)) == 0 && sim->ports && sim->frames &&
           sim->usual_bytes && sim->large_bytes;
}

static void release(struct weir_sim *sim)
{
    due_close(&sim->due);
    free(sim->large_bytes);
    free(sim->usual_bytes);
    free(sim->frames);
    free(sim->ports);
    free(sim);
}

struct weir_sim *weir_sim_open(const struct weir_sim_opt *opt, struct weir_why *why)
{
    struct weir_sim_opt zero = {0};
    opt = opt ? opt : &zero;
    struct weir_sim *sim = NULL;
    if (opt->ports_max <= 1u << 16 && opt->frames_max <= 1u << 24)
        sim = calloc(1, sizeof *sim);
    else
        why_set(why, -EINVAL, "sim", "", "at most 65,536 ports and 16,777,216 frames");
    if (!sim)
        return NULL;
    sim->seed = opt->seed ? opt->seed : 1;
    sim->trace = impair_draw(0, 0);
    sim->now_ns = opt->start_ns ? opt->start_ns : START_NS;
    sim->ports_max = opt->ports_max ? opt->ports_max : PORTS;
    sim->usual = opt->frames_max ? opt->frames_max : FRAMES;
    sim->large = max_of(sim->usual / 16, LARGE_MIN);
    sim->offload = opt->offload;
    if (allocate(sim)) {
        link_slots(sim);
        return sim;
    }
    why_set(why, -ENOMEM, "sim", "ask for fewer ports or frames", "no memory");
    release(sim);
    return NULL;
}

int weir_sim_close(struct weir_sim *sim)
{
    for (uint32_t i = 0; i < sim->n_ports; i++)
        if (sim->ports[i].b)
            return -EBUSY;
    release(sim);
    return 0;
}

/* ---- wires ---------------------------------------------------------------------------------- */

static void open_end(struct weir_sim *sim, const struct weir_impair *impair)
{
    struct weir_sim_port *p = &sim->ports[sim->n_ports];
    uint32_t i = sim->n_ports++;
    *p = (struct weir_sim_port){.sim = sim,
                                .peer = &sim->ports[i ^ 1],
                                .index = i,
                                .plugged = true,
                                .swapped = NIL,
                                .mac = {2, 0, 0, 0, (uint8_t)((i + 1) >> 8), (uint8_t)(i + 1)}};
    weir_sim_impair(p, impair);
}

int weir_sim_wire(struct weir_sim *sim, const struct weir_impair *there,
                  const struct weir_impair *back, struct weir_sim_port *ret[2])
{
    if (!impair_valid(there) || !impair_valid(back))
        return -EINVAL;
    if (sim->n_ports + 2 > sim->ports_max)
        return -ENOSPC;
    ret[0] = &sim->ports[sim->n_ports];
    ret[1] = ret[0] + 1;
    open_end(sim, there);
    open_end(sim, back);
    return 0;
}

int weir_sim_impair(struct weir_sim_port *port, const struct weir_impair *impair)
{
    if (!impair_valid(impair))
        return -EINVAL;
    impair_open(&port->impair, impair, impair_draw(port->sim->seed, port->index));
    return 0;
}

static void plug_end(struct weir_sim_port *port, bool in)
{
    if (port->plugged == in)
        return;
    port->plugged = in;
    port->notice = port->b != NULL;
    if (!in)
        sim_lose(port);
}

void weir_sim_plug(struct weir_sim_port *port, int in)
{
    plug_end(port, in != 0);
    plug_end(port->peer, in != 0);
}

/* ---- what it is and was --------------------------------------------------------------------- */

uint64_t weir_sim_now(const struct weir_sim *sim)
{
    return sim->now_ns;
}

uint64_t weir_sim_trace(const struct weir_sim *sim)
{
    return sim->trace;
}

void weir_sim_counts(const struct weir_sim *sim, struct weir_sim_counts *ret)
{
    *ret = sim->counts;
}

/* ---- ports without an engine ---------------------------------------------------------------- */

int weir_sim_send(struct weir_sim_port *port, const void *frame, size_t bytes)
{
    if (port->b)
        return -EBUSY;
    if (bytes < SIM_ETHER || bytes > SIM_FRAME_MAX)
        return -EMSGSIZE;
    return sim_put(port, (struct sim_piece){.raw = frame, .bytes = (uint32_t)bytes}) ? 0 : -ENOBUFS;
}

uint32_t sim_inbox_pop(struct weir_sim_port *port)
{
    uint32_t frame = port->inbox;
    if (!port->waiting)
        return NIL;
    port->waiting--;
    port->inbox = port->sim->frames[frame].next;
    return frame;
}

int weir_sim_receive(struct weir_sim_port *port, void *ret, size_t bytes)
{
    struct weir_sim *sim = port->sim;
    if (port->b)
        return -EBUSY;
    if (!port->waiting)
        return -EAGAIN;
    uint32_t n = sim->frames[port->inbox].bytes;
    if (n > bytes)
        return -EMSGSIZE;
    uint32_t frame = sim_inbox_pop(port);
    memcpy(ret, sim_frame_bytes(sim, frame), n);
    sim_frame_free(sim, frame);
    return (int)n;
}

/* ---- for engine/sim.c ----------------------------------------------------------------------- */

uint64_t sim_next_ns(const struct weir_sim *sim)
{
    return due_next_ns(&sim->due);
}

void sim_set_now(struct weir_sim *sim, uint64_t now_ns)
{
    assert(now_ns >= sim->now_ns);
    sim->now_ns = now_ns;
}

int sim_engine(const struct weir_sim *sim, unsigned i, struct weir_engine **ret)
{
    if (i >= sim->n_ports)
        return -ENOENT;
    *ret = sim->ports[i].engine;
    return 0;
}

void sim_attach(struct weir_sim_port *port, struct weir_engine *engine)
{
    port->engine = engine;
}
