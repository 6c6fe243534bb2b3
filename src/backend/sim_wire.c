/* SPDX-License-Identifier: MIT
 * The wires: what a NIC's DMA engine and a cable do, between polls, never in one.
 *
 *     tx ring -> judge -+-> posted buffer of the peer -> its came ring     (nothing delays it)
 *                       \-> slot of the store, in the heap -> the same, when it is due
 *
 * A port without an engine has an inbox of slots instead of rings. A frame's bytes are final (its
 * checksum completed, its bit turned) as soon as they stand in the slot or the receiver's buffer.
 *
 * Invariants: sent + duplicated = delivered + lost + overrun + under way. A slot is in the heap, in
 * an inbox or free. A frame that lets the next one overtake it is in the heap as well, for the case
 * that none comes. */
#include "backend/sim.h"
#include "backend/gather.h"

#include <string.h>

#define INBOX_MAX 1024u

/* ---- the store ------------------------------------------------------------------------------ */

uint8_t *sim_frame_bytes(const struct weir_sim *sim, uint32_t frame)
{
    if (frame < sim->usual)
        return sim->usual_bytes + (size_t)frame * SIM_SLOT;
    return sim->large_bytes + (size_t)(frame - sim->usual) * SIM_FRAME_MAX;
}

static uint32_t take_slot(struct weir_sim *sim, uint32_t bytes)
{
    uint32_t *list = bytes <= SIM_SLOT ? &sim->free_usual : &sim->free_large, slot = *list;
    if (slot != NIL)
        *list = sim->frames[slot].next;
    return slot;
}

void sim_frame_free(struct weir_sim *sim, uint32_t frame)
{
    uint32_t *list = frame < sim->usual ? &sim->free_usual : &sim->free_large;
    sim->frames[frame].order = DUE_NEVER;
    sim->frames[frame].next = *list;
    *list = frame;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* Behind the Ethernet header: a frame whose address is wrong would only be lost. */
static void flip(uint8_t *frame, uint32_t bytes, uint64_t which)
{
    uint32_t from = bytes > SIM_ETHER ? SIM_ETHER : 0;
    impair_flip(frame + from, bytes - from, which);
}

static void land_bytes(const struct sim_piece *p, uint8_t *to)
{
    const struct tx_frame *f = p->frame;
    if (p->raw)
        memcpy(to, p->raw, p->bytes);
    else
        gather_bytes(f, to);
    if (f && f->csum_start)
        gather_checksum(to, p->bytes, f->csum_start, f->csum_offset);
    if (unlikely(p->flip))
        flip(to, p->bytes, p->flip);
}

static uint32_t land_flags(const struct sim_piece *p)
{
    return p->frame && p->frame->csum_start && !p->flip ? FRAME_CSUM_OK : 0;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15); /* as impair.c's: odd, bits well spread */
    return hash ^ hash >> 32;
}

static void arrived(struct weir_sim_port *port, const uint8_t *bytes, uint32_t n)
{
    struct weir_sim *sim = port->sim;
    uint64_t hash = mix(mix(sim->trace, sim->now_ns), (uint64_t)port->index << 32 | n), word;
    for (; n >= sizeof word; n -= (uint32_t)sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, bytes, n);
    sim->trace = mix(hash, word);
    sim->counts.delivered++;
}

/* ---- arrival -------------------------------------------------------------------------------- */

static struct weir_buf *take_posted(struct sim_posted *p)
{
    return p->head == p->tail ? NULL : p->buf[p->head++ % SIM_RING];
}

/* A buffer that the engine lent us, large enough; NULL: none (counted). */
static struct weir_buf *buffer_for(struct weir_sim_port *port, uint32_t bytes)
{
    struct sim_rings *r = port->rings;
    struct weir_buf *buf = NULL;
    bool fits = bytes <= port->mtu + SIM_ETHER;
    if (fits && r->came_tail - r->came_head < SIM_RING) {
        if (bytes <= pool_small_bytes(port->b->pool) - pool_headroom(port->b->pool))
            buf = take_posted(&r->posted[WEIR_SMALL]);
        if (!buf)
            buf = take_posted(&r->posted[WEIR_BIG]);
    }
    if (likely(buf))
        return buf;
    port->sim->counts.overrun++;
    if (fits)
        COUNT(&port->b->counters, rx_ring_full, 1);
    else
        COUNT(&port->b->counters, rx_device_errors, 1);
    return NULL;
}

/* To a port with an engine. */
static void receive(struct weir_sim_port *port, const struct sim_piece *p, uint32_t flags)
{
    struct sim_rings *r = port->rings;
    struct weir_buf *buf = buffer_for(port, p->bytes);
    if (!buf)
        return;
    land_bytes(p, buf->data);
    r->came[r->came_tail++ % SIM_RING] =
        (struct sim_came){.buf = buf, .bytes = p->bytes, .flags = flags};
    arrived(port, buf->data, p->bytes);
}

/* To a port without one. */
static void put_in_box(struct weir_sim_port *port, uint32_t frame)
{
    struct weir_sim *sim = port->sim;
    if (port->waiting == INBOX_MAX) {
        sim->counts.overrun++;
        sim_frame_free(sim, frame);
        return;
    }
    sim->frames[frame].next = NIL;
    if (port->waiting++)
        sim->frames[port->inbox_end].next = frame;
    else
        port->inbox = frame;
    port->inbox_end = frame;
    arrived(port, sim_frame_bytes(sim, frame), sim->frames[frame].bytes);
}

static void arrive_stored(struct weir_sim *sim, uint32_t frame)
{
    struct sim_frame *f = &sim->frames[frame];
    struct weir_sim_port *to = &sim->ports[f->port];
    if (to->peer->swapped == frame)
        to->peer->swapped = NIL;
    f->order = DUE_NEVER;
    if (!to->b) {
        put_in_box(to, frame);
        return;
    }
    receive(to, &(struct sim_piece){.raw = sim_frame_bytes(sim, frame), .bytes = f->bytes},
            f->flags);
    sim_frame_free(sim, frame);
}

/* ---- departure ------------------------------------------------------------------------------ */

/* Into a slot, which is NIL where there is none (counted). */
static uint32_t store(struct weir_sim_port *to, const struct sim_piece *p)
{
    struct weir_sim *sim = to->sim;
    uint32_t slot = take_slot(sim, p->bytes);
    if (slot == NIL) {
        sim->counts.overrun++;
        return NIL;
    }
    land_bytes(p, sim_frame_bytes(sim, slot));
    sim->frames[slot] = (struct sim_frame){.order = DUE_NEVER,
                                           .port = to->index,
                                           .bytes = p->bytes,
                                           .flags = land_flags(p)};
    return slot;
}

static uint32_t store_until(struct weir_sim_port *to, const struct sim_piece *p, uint64_t due_ns)
{
    struct weir_sim *sim = to->sim;
    uint32_t slot = store(to, p);
    if (slot == NIL || due_add(&sim->due, due_ns, slot, &sim->frames[slot].order))
        return slot;
    sim->counts.overrun++;
    sim_frame_free(sim, slot);
    return NIL;
}

/* One copy of a frame. False: no room. */
static bool pass(struct weir_sim_port *to, const struct sim_piece *p, uint64_t due_ns)
{
    if (due_ns > to->sim->now_ns)
        return store_until(to, p, due_ns) != NIL;
    if (to->b) {
        receive(to, p, land_flags(p));
        return true;
    }
    uint32_t slot = store(to, p);
    if (slot != NIL)
        put_in_box(to, slot);
    return slot != NIL;
}

/* One passed by and arrives at `due_ns`: the one that waited for it follows. */
static void follow(struct weir_sim_port *from, uint64_t due_ns)
{
    struct weir_sim *sim = from->sim;
    uint32_t frame = from->swapped;
    from->swapped = NIL;
    sim->counts.reordered++;
    if (due_ns <= sim->now_ns)
        arrive_stored(sim, frame);
    else
        due_add(&sim->due, due_ns, frame,
                &sim->frames[frame].order); /* full: its first time stays */
}

bool sim_put(struct weir_sim_port *from, struct sim_piece p)
{
    struct weir_sim *sim = from->sim;
    sim->counts.sent++;
    struct verdict v = impair_judge(&from->impair, sim->now_ns, p.bytes);
    if (!from->plugged || v.copies == 0) {
        sim->counts.lost++;
        return true;
    }
    p.flip = v.flip;
    sim->counts.corrupted += v.flip != 0;
    sim->counts.reordered += v.early;
    if (v.swap && from->swapped == NIL) {
        from->swapped = store_until(from->peer, &p, v.due_ns);
        return from->swapped != NIL;
    }
    uint64_t due_ns = v.swap ? v.line_ns : v.due_ns;
    bool ok = pass(from->peer, &p, due_ns);
    if (v.copies == 2) {
        p.flip = 0;
        sim->counts.duplicated++;
        ok &= pass(from->peer, &p, due_ns);
    }
    if (from->swapped != NIL)
        follow(from, due_ns);
    return ok;
}

void sim_leave(struct weir_sim_port *port)
{
    struct sim_rings *r = port->rings;
    while (r->tx_done != r->tx_tail) {
        const struct tx_frame *f = &r->tx[r->tx_done++ % SIM_RING];
        sim_put(port, (struct sim_piece){.frame = f, .bytes = f->bytes});
    }
}

/* Its heap entries are out of date from now on; their turn comes. */
void sim_lose(struct weir_sim_port *to)
{
    struct weir_sim *sim = to->sim;
    for (uint32_t i = 0; i < sim->due.n; i++) {
        const struct due_item *it = &sim->due.heap[i];
        struct sim_frame *f = &sim->frames[it->item];
        if (f->order != it->order || f->port != to->index)
            continue;
        sim_frame_free(sim, it->item);
        sim->counts.lost++;
    }
    to->peer->swapped = NIL;
}

unsigned sim_move(struct weir_sim *sim, uint64_t now_ns)
{
    uint64_t before = sim->counts.delivered;
    struct due_item it;
    sim->now_ns = now_ns;
    while (due_pop(&sim->due, now_ns, &it))
        if (sim->frames[it.item].order == it.order)
            arrive_stored(sim, it.item);
    for (uint32_t i = 0; i < sim->n_ports; i++)
        if (sim->ports[i].rings)
            sim_leave(&sim->ports[i]);
    return (unsigned)(sim->counts.delivered - before);
}
