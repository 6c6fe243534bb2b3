/* SPDX-License-Identifier: MIT
 * sim: the device that an engine sees, rings as a NIC has them. A poll moves descriptors only; the
 * bytes are moved by sim_wire.c between polls, as by a device's DMA engine.
 *
 *     pool -refill-> posted -(wire)-> came -rx-> engine
 *     engine -tx-> queued -(wire)-> done -reclaim-> pool
 *
 * Invariants: a lent buffer is in state BACKEND, a queued frame's in state TX; each is in exactly
 * one ring. Nothing here asks a clock: b->now_ns is the network's time. */
#include "backend/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFILLS 32u         /* of a ring full: the pool gives in bursts */
#define GATHER_BYTES 512u   /* a guess between eight cache lines copied and a second descriptor */
#define RECLAIM_NS 100000u  /* until sent buffers are fetched from an idle device */
#define STARVED_NS 1000000u /* until an empty pool is asked again: as the engine's own retry */

static struct weir_sim_port *port_of(const struct backend *b)
{
    return b->priv;
}

static int sim_probe(char *modes, size_t bytes, struct weir_why *why)
{
    (void)why;
    snprintf(modes, bytes, "virtual time, wires in memory, no device");
    return 0;
}

static void sim_modes(const struct backend *b, char *text, size_t bytes)
{
    const struct weir_sim_port *p = port_of(b);
    snprintf(text, bytes, "virtual time, %u ports, this one %u, mtu %u, checksums by %s",
             p->sim->n_ports, p->index, p->mtu, p->sim->offload ? "the port" : "the engine");
}

/* ---- buffers lent to the wire --------------------------------------------------------------- */

static uint32_t posted(const struct sim_posted *p)
{
    return p->tail - p->head;
}

/* False: the pool had less than that. */
static bool post(struct backend *b, struct sim_posted *p, unsigned section, uint32_t want)
{
    while (want) {
        uint32_t at = p->tail % SIM_RING;
        unsigned n = min_of(want, SIM_RING - at); /* as far as the ring's end */
        unsigned got = pool_take(b->pool, section, p->buf + at, n);
        buf_to_backend_many(p->buf + at, got);
        p->tail += got;
        want -= got;
        if (got < n)
            return false;
    }
    return true;
}

/* Running out is told once nothing is left to receive into. */
static void refill(struct backend *b, struct sim_rings *r)
{
    struct sim_posted *small = &r->posted[WEIR_SMALL], *big = &r->posted[WEIR_BIG];
    uint32_t lent = posted(small) + (r->came_tail - r->came_head);
    uint32_t missing = lent < small->most ? small->most - lent : 0;
    bool ok = true;
    if (missing * REFILLS >= small->most || r->starved)
        ok = post(b, small, WEIR_SMALL, missing);
    if (unlikely(posted(big) < big->most))
        ok &= post(b, big, WEIR_BIG, big->most - posted(big));
    r->starved = !ok;
    if (unlikely(!ok) && !posted(small) && !posted(big))
        COUNT(&b->counters, pool_empty, 1);
}

static void unpost(struct sim_posted *p)
{
    for (; p->head != p->tail; p->head++) {
        struct weir_buf *buf = p->buf[p->head % SIM_RING];
        buf_from_backend(buf);
        weir_buf_drop(&buf, 1);
    }
}

/* ---- open and close ------------------------------------------------------------------------- */

static int refuse(const struct weir_frames_opt *o, struct weir_why *why)
{
    if (!o->sim)
        return why_set(why, -EINVAL, "sim", "open a network with weir_sim_open and give a port",
                       "no port");
    if (o->sim->b)
        return why_set(why, -EBUSY, "sim", "one engine a port", "port %u has an engine",
                       o->sim->index);
    if (o->mtu > SIM_MTU_MAX)
        return why_set(why, -EINVAL, "sim", "at most 9,000", "an mtu of %u", o->mtu);
    return 0;
}

/* At most half of the pool: the stack and the application live from the rest. */
static void size_rings(const struct backend *b, struct weir_sim_port *p)
{
    struct sim_rings *r = p->rings;
    uint32_t room = pool_small_bytes(b->pool) - pool_headroom(b->pool);
    r->posted[WEIR_SMALL].most = min_of(SIM_RING, max_of(b->opt.pool.small / 2, 1u));
    if (p->mtu + SIM_ETHER > room)
        r->posted[WEIR_BIG].most = min_of(SIM_RING, max_of(b->opt.pool.big / 2, 1u));
}

static int sim_open(struct backend *b, struct weir_why *why)
{
    static const uint8_t none[6];
    const struct weir_frames_opt *o = &b->opt.frames;
    struct weir_sim_port *p = o->sim;
    int rc = refuse(o, why);
    if (rc)
        return rc;
    p->rings = calloc(1, sizeof *p->rings);
    if (!p->rings)
        return why_set(why, -ENOMEM, "sim", "", "no memory for the rings");
    for (uint32_t frame; (frame = sim_inbox_pop(p)) != NIL;)
        sim_frame_free(p->sim, frame);
    b->priv = p;
    p->b = b;
    p->notice = false;
    p->mtu = o->mtu ? o->mtu : SIM_MTU;
    if (memcmp(o->mac, none, sizeof none) != 0)
        memcpy(p->mac, o->mac, sizeof p->mac);
    b->now_ns = p->sim->now_ns;
    if (!o->seed)
        b->opt.frames.seed = impair_draw(p->sim->seed, p->sim->ports_max + p->index) | 1;
    size_rings(b, p);
    p->rings->starved = true; /* fill them, however little is missing */
    refill(b, p->rings);
    return 0;
}

static void reclaim(struct sim_rings *r);

/* What was queued still leaves. */
static void sim_close(struct backend *b)
{
    struct weir_sim_port *p = port_of(b);
    struct sim_rings *r = p->rings;
    sim_leave(p);
    reclaim(r);
    for (; r->came_head != r->came_tail; r->came_head++) {
        struct weir_buf *buf = r->came[r->came_head % SIM_RING].buf;
        buf_from_backend(buf);
        weir_buf_drop(&buf, 1);
    }
    unpost(&r->posted[WEIR_SMALL]);
    unpost(&r->posted[WEIR_BIG]);
    free(r);
    p->rings = NULL;
    p->b = NULL;
    b->priv = NULL;
}

/* ---- frames --------------------------------------------------------------------------------- */

/* The wire is done with these: home, in bursts. */
static void reclaim(struct sim_rings *r)
{
    struct weir_buf *home[64];
    while (r->tx_home != r->tx_done) {
        unsigned some = min_of(r->tx_done - r->tx_home, (uint32_t)array_len(home) / 2), n = 0;
        for (unsigned i = 0; i < some; i++) {
            const struct tx_frame *f = &r->tx[(r->tx_home + i) % SIM_RING];
            home[n++] = f->buf;
            if (unlikely(f->body))
                home[n++] = f->body;
        }
        r->tx_home += some;
        buf_tx_done_many(home, n);
    }
}

static unsigned sim_rx(struct backend *b, struct weir_buf **ret, unsigned n)
{
    struct sim_rings *r = port_of(b)->rings;
    if (r->tx_home != r->tx_done)
        reclaim(r);
    n = min_of(n, r->came_tail - r->came_head);
    for (unsigned i = 0; i < n; i++) {
        const struct sim_came *came = &r->came[(r->came_head + i) % SIM_RING];
        struct weir_buf *buf = came->buf;
        buf->len = came->bytes;
        *frame_meta(buf) = (struct frame_meta){.flags = (uint16_t)came->flags};
        ret[i] = buf;
    }
    r->came_head += n;
    buf_from_backend_many(ret, n);
    if (n || r->starved)
        refill(b, r);
    return n;
}

static unsigned sim_tx_room(struct backend *b, unsigned n)
{
    struct sim_rings *r = port_of(b)->rings;
    return min_of(n, SIM_RING - (r->tx_tail - r->tx_home));
}

static void sim_tx(struct backend *b, const struct tx_frame *frames, unsigned n)
{
    struct sim_rings *r = port_of(b)->rings;
    uint32_t at = r->tx_tail % SIM_RING, first = min_of(n, SIM_RING - at);
    assert(n <= SIM_RING - (r->tx_tail - r->tx_home));
    for (unsigned i = 0; i < n; i++)
        assert(frames[i].bytes >= SIM_ETHER && frames[i].bytes <= SIM_FRAME_MAX);
    memcpy(r->tx + at, frames, first * sizeof *frames);
    memcpy(r->tx, frames + first, (n - first) * sizeof *frames);
    r->tx_tail += n;
    COUNT(&b->counters, tx_calls, 1);
}

static void sim_port(const struct backend *b, struct frame_port *ret)
{
    const struct weir_sim_port *p = port_of(b);
    *ret = (struct frame_port){.queues = 1,
                               .mtu = p->mtu,
                               .up = p->plugged,
                               .tx_checksum = p->sim->offload,
                               .tx_gather = true,
                               .gather_bytes = GATHER_BYTES};
    snprintf(ret->name, sizeof ret->name, "sim port %u", p->index);
    memcpy(ret->mac, p->mac, sizeof ret->mac);
}

static unsigned sim_notices(struct backend *b, struct port_notice *ret, unsigned n)
{
    struct weir_sim_port *p = port_of(b);
    if (!p->notice || n == 0)
        return 0;
    p->notice = false;
    ret[0] = (struct port_notice){.kind = PORT_LINK, .err = p->plugged ? 0 : -ENETDOWN};
    return 1;
}

static uint64_t sim_port_next_ns(const struct backend *b)
{
    const struct weir_sim_port *p = port_of(b);
    const struct sim_rings *r = p->rings;
    if (p->notice || r->came_head != r->came_tail)
        return 0;
    uint64_t next = r->tx_home != r->tx_done ? b->now_ns + RECLAIM_NS : UINT64_MAX;
    return r->starved ? min_of(next, b->now_ns + STARVED_NS) : next;
}

static void sim_stats(const struct backend *b, void (*line)(const char *, uint64_t, void *),
                      void *arg)
{
    const struct weir_sim_counts *c = &port_of(b)->sim->counts;
#define X(name, text) line("sim " #name, c->name, arg);
    WEIR_SIM_COUNTS(X)
#undef X
}

static const struct frame_ops sim_frames = {
    .rx = sim_rx,
    .tx_room = sim_tx_room,
    .tx = sim_tx,
    .port = sim_port,
    .notices = sim_notices,
    .next_ns = sim_port_next_ns,
    .stats = sim_stats,
};

/* A wait would be for a time that only weir_sim_run lets pass. */
static int sim_wait(struct backend *b, int64_t timeout_ns)
{
    (void)b;
    (void)timeout_ns;
    return 0;
}

const struct backend_ops backend_sim = {
    .name = "sim",
    .title = "our own stack over wires in memory, in virtual time",
    .kind = BACKEND_FRAMES,
    .virtual_time = true,
    .frames = &sim_frames,
    .probe = sim_probe,
    .open = sim_open,
    .close = sim_close,
    .modes = sim_modes,
    .wait = sim_wait,
};
