/* SPDX-License-Identifier: MIT
 * Frame backends under the same loop: the device gives frames, the stack makes datagrams of them, and
 * the other way. What loop.c calls is the table at the end of this file.
 *
 *   device -rx-> frames -> stack_in -> events        queue -> stack_udp_out -> frames -tx-> device
 *
 * Invariants: a socket of the stack has the number of its endpoint; an endpoint is unbound before
 * it is freed, so that the stack never tells of one that is gone. What the device or the pool has
 * no room for stays in the queue and is tried again. */
#include "engine/frames.h"
#include "backend/frames.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BURST 64u     /* frames of one harvest */
#define TX_BURST 128u /* frames of one tx: 65,507 bytes in fragments of the smallest MTU are 119 */
#define RETRY_NS 50000u /* until a full ring or an empty pool is looked at again, when sleeping */

static struct weir_engine *engine_of(struct backend *b)
{
    return (struct weir_engine *)(void *)b; /* its first member */
}

/* ---- birth and death ------------------------------------------------------------------------ */

static uint64_t seed_of(const struct weir_engine_opt *opt)
{
    return opt->frames.seed ? opt->frames.seed : seed_random();
}

/* A datagram larger than the device takes would be lost. */
static uint32_t mtu_of(struct backend *b, const struct frame_port *port)
{
    uint32_t asked = b->opt.frames.mtu;
    if (asked > port->mtu)
        backend_lesser(b, -EMSGSIZE, "mtu", "raise the device's", "the MTU is %u instead of %u",
                       port->mtu, asked);
    return asked ? min_of(asked, port->mtu) : port->mtu;
}

static int open_stack(struct weir_engine *e, struct weir_why *why)
{
    const struct weir_frames_opt *o = &e->b.opt.frames;
    struct frame_port port = {0};
    e->b.frames->port(&e->b, &port);
    e->link_err = port.up ? 0 : -ENETDOWN;
    struct stack_opt opt = {
        .pool = e->b.pool,
        .counters = &e->b.counters,
        .mtu = mtu_of(&e->b, &port),
        .address = o->addresses ? o->address : port.address,
        .addresses = o->addresses ? o->addresses : port.addresses,
        .route = o->addresses ? o->route : port.route,
        .routes = o->addresses ? o->routes : port.routes,
        .answers = !port.shared,
        .tx_checksum = port.tx_checksum && !o->no_offload,
        .gather_bytes = port.tx_gather ? port.gather_bytes : 0,
        .sockets_max = e->b.eps_max,
        .neighbours_max = o->neighbours_max,
        .fragments_max = o->fragments_max,
        .reassembly_ns = o->reassembly_ns,
        .seed = seed_of(&e->b.opt),
        .worker = fleet_worker(e),
        .shared = fleet_neighbours(e),
        .elsewhere = e->fleet ? fleet_elsewhere : NULL,
        .elsewhere_arg = e,
    };
    memcpy(opt.mac, port.mac, sizeof opt.mac);
    e->stack = stack_open(&opt, why);
    return e->stack ? fleet_join(e, why) : why && why->code ? why->code : -EINVAL;
}

static int frames_open(struct backend *b, struct weir_why *why)
{
    struct weir_engine *e = engine_of(b);
    int rc = b->device->open(b, why);
    rc = rc ? rc : wrap_pcap_open(b, why);
    rc = rc ? rc : wrap_fault_open(b, why);
    rc = rc ? rc : open_stack(e, why);
    if (rc == 0 && b->device == &backend_sim)
        sim_attach(b->opt.frames.sim, e);
    return rc;
}

static void frames_close(struct backend *b)
{
    struct weir_engine *e = engine_of(b);
    fleet_leave(e);
    if (fleet_worker(e) == 0)
        fleet_meet(e); /* the others read our neighbours until here */
    if (e->stack)
        stack_close(e->stack);
    if (fleet_worker(e) != 0)
        fleet_meet(e);
    fleet_meet(e); /* every buffer is home, or on its way */
    e->stack = NULL;
    wrap_fault_close(b);
    wrap_pcap_close(b);
    if (b->device == &backend_sim)
        sim_attach(b->opt.frames.sim, NULL);
    b->device->close(b);
}

static void frames_modes(const struct backend *b, char *text, size_t bytes)
{
    b->device->modes(b, text, bytes);
}

/* ---- endpoints ------------------------------------------------------------------------------ */

int frames_udp_open(struct weir_engine *e, const struct weir_addr *local, weir_handler *handler,
                    void *app, weir_ep *ret)
{
    struct backend *b = &e->b;
    struct endpoint *ep = endpoint_new(b, EP_UDP, -1, handler, app);
    if (!ep)
        return -ENFILE;
    uint32_t socket = endpoint_index(ep);
    struct weir_addr at = *local;
    int rc = fleet_choose(e, &at);
    rc = rc ? rc : stack_bind(e->stack, socket, &at, &ep->local);
    if (rc == 0 && b->frames->steer && (rc = b->frames->steer(b, &ep->local, true, NULL)))
        stack_unbind(e->stack, socket);
    if (rc) {
        if (local->port == 0)
            fleet_unchoose(e, &at);
        endpoint_free(b, ep);
        return rc;
    }
    fleet_bound(e, &ep->local, true);
    ep->state = EP_OPEN;
    *ret = ep->handle;
    return 0;
}

int frames_no_streams(const struct weir_engine *e, const struct weir_addr *local)
{
    if (e->b.eps_free == NIL)
        return -ENFILE;
    bool ours = !local || addr_is_any(local) || stack_owns(e->stack, local->ip);
    return ours ? -EOPNOTSUPP : -EADDRNOTAVAIL;
}

static void frames_del(struct backend *b, struct endpoint *ep)
{
    struct weir_engine *e = engine_of(b);
    fleet_bound(e, &ep->local, false);
    if (b->frames->steer)
        b->frames->steer(b, &ep->local, false, NULL);
    stack_unbind(e->stack, endpoint_index(ep));
    endpoint_free(b, ep);
}

static int frames_add(struct backend *b, struct endpoint *ep)
{
    (void)b;
    (void)ep;
    return -EOPNOTSUPP; /* an endpoint with a descriptor */
}

static void frames_resume(struct backend *b, struct endpoint *ep)
{
    (void)b;
    (void)ep; /* datagrams are never stopped */
}

/* ---- receiving ------------------------------------------------------------------------------ */

void frames_tell(struct weir_engine *e, const struct stack_datagram *got, unsigned n)
{
    struct backend *b = &e->b;
    struct weir_event *event = b->events + b->n_events;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct stack_datagram *d = &got[i];
        bytes += d->buf->len;
        event[i] = (struct weir_event){.kind = WEIR_DATAGRAM,
                                       .flags = d->rx_ns ? WEIR_RX_STAMPED : 0,
                                       .ep = endpoint_at(b, d->socket)->handle,
                                       .buf = d->buf,
                                       .rx_ns = d->rx_ns ? d->rx_ns : b->now_ns};
    }
    b->n_events += n;
    COUNT(&b->counters, rx_packets, n);
    COUNT(&b->counters, rx_bytes, bytes);
}

/* One harvest. Returns the number of frames. */
static unsigned harvest(struct weir_engine *e, unsigned want)
{
    struct backend *b = &e->b;
    struct weir_buf *frames[BURST];
    struct stack_datagram got[BURST];
    unsigned n = b->frames->rx(b, frames, want);
    if (n == 0)
        return 0;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; i++)
        bytes += frames[i]->len;
    COUNT(&b->counters, rx_calls, 1);
    COUNT(&b->counters, rx_frames, n);
    COUNT(&b->counters, rx_frame_bytes, bytes);
    unsigned ours = fleet_spread(e, frames, n);
    frames_tell(e, got, stack_in(e->stack, frames, ours, got, b->now_ns));
    return n;
}

/* What our endpoints sent to our own addresses. */
static void looped(struct weir_engine *e)
{
    struct backend *b = &e->b;
    struct stack_datagram got[BURST];
    while (unlikely(stack_has_looped(e->stack)) && backend_room(b)) {
        unsigned room = min_of(BURST, b->max_events - b->n_events);
        frames_tell(e, got, stack_looped(e->stack, got, room));
    }
}

static void link_changed(struct weir_engine *e, int err)
{
    struct backend *b = &e->b;
    if (err == e->link_err)
        return;
    e->link_err = (int16_t)err;
    fleet_link(e, err);
    COUNT(&b->counters, link_changes, 1);
    b->events[b->n_events++] =
        (struct weir_event){.kind = WEIR_LINK, .err = (int16_t)err, .rx_ns = b->now_ns};
}

static void notices(struct weir_engine *e)
{
    struct backend *b = &e->b;
    struct port_notice notice[8];
    unsigned n = b->frames->notices ? b->frames->notices(b, notice, array_len(notice)) : 0;
    for (unsigned i = 0; i < n; i++) {
        if (notice[i].kind == PORT_NEIGHBOUR)
            stack_neighbour(e->stack, notice[i].ip, notice[i].known ? notice[i].mac : NULL,
                            b->now_ns);
        else if (notice[i].kind == PORT_LINK)
            link_changed(e, notice[i].err);
    }
}

/* Bounded by poll_events frames, whether they become events or not. A device that is gone is told
 * once, as WEIR_LINK; after that the engine is beyond repair. */
static int frames_rx(struct backend *b)
{
    struct weir_engine *e = engine_of(b);
    if (unlikely(e->link_err == -ENODEV))
        return -ENODEV;
    notices(e);
    fleet_receive(e);
    looped(e);
    b->more = false;
    for (unsigned left = b->max_events; left && backend_room(b);) {
        unsigned want = min_of(min_of(left, b->max_events - b->n_events), BURST);
        unsigned n = harvest(e, want);
        left -= n;
        b->more = n == want;
        if (n < want)
            break;
    }
    if (b->now_ns >= stack_next_ns(e->stack))
        stack_tick(e->stack, b->now_ns);
    return 0;
}

/* ---- sending -------------------------------------------------------------------------------- */

static void not_sent(struct backend *b, int err)
{
    switch (err) {
    case -ENETUNREACH: COUNT(&b->counters, no_route, 1); break;
    case -EHOSTUNREACH: COUNT(&b->counters, tx_unreachable, 1); break;
    case -EMSGSIZE: COUNT(&b->counters, tx_oversize, 1); break;
    default: COUNT(&b->counters, tx_error, 1); break;
    }
}

/* The beginning of the queue. */
static unsigned look(struct backend *b, const struct endpoint *ep, struct stack_send *ret)
{
    unsigned n = min_of(ep->tx_count, BURST);
    for (unsigned i = 0, at = ep->tx_head; i < n; i++, at = b->items[at].next)
        ret[i] = (struct stack_send){.buf = b->items[at].buf, .to = &b->items[at].to};
    return n;
}

/* One that is not as usual. Returns how many frames, or -ENOBUFS. */
static int build_one(struct weir_engine *e, uint32_t socket, const struct stack_send *send,
                     struct tx_frame *frames, unsigned room)
{
    struct backend *b = &e->b;
    uint32_t len = send->buf->len;
    int rc = stack_udp_out(e->stack, socket, send->buf, send->to, frames, room, b->now_ns);
    if (rc == -ENOBUFS)
        return rc;
    if (rc >= 0) {
        COUNT(&b->counters, tx_packets, 1);
        COUNT(&b->counters, tx_bytes, len);
        return rc;
    }
    not_sent(b, rc);
    buf_tx_done(send->buf);
    return 0;
}

/* Datagrams of the queue become frames, as many as fit. Returns how many frames; *stuck: the next
 * one does not fit. */
static unsigned build(struct weir_engine *e, struct endpoint *ep, struct tx_frame *frames,
                      unsigned room, bool *stuck)
{
    struct backend *b = &e->b;
    struct stack_send send[BURST];
    uint32_t socket = endpoint_index(ep);
    unsigned n = 0, at = 0, end = look(b, ep, send);
    *stuck = false;
    while (at < end && n < room && !*stuck) {
        struct stack_sent sent = stack_udp_burst(e->stack, socket, send + at,
                                                 min_of(end - at, room - n), frames + n, b->now_ns);
        COUNT(&b->counters, tx_packets, sent.packets);
        COUNT(&b->counters, tx_bytes, sent.bytes);
        at += (unsigned)sent.packets;
        n += (unsigned)sent.packets;
        if (at == end || n == room)
            break;
        int rc = build_one(e, socket, send + at, frames + n, room - n);
        *stuck = rc < 0;
        at += rc >= 0;
        n += rc > 0 ? (unsigned)rc : 0;
    }
    txq_detach_many(b, ep, at);
    return n;
}

static void transmit(struct backend *b, const struct tx_frame *frames, unsigned n)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; i++)
        bytes += frames[i].bytes;
    COUNT(&b->counters, tx_frames, n);
    COUNT(&b->counters, tx_frame_bytes, bytes);
    b->frames->tx(b, frames, n);
}

/* No room: the next poll tries again; a sleeping engine a little later. */
static void again(struct backend *b, struct endpoint *ep)
{
    COUNT(&b->counters, tx_again, 1);
    if (b->opt.spin) {
        endpoint_dirty(b, ep);
        return;
    }
    ep->flags |= EP_BLOCKED;
    uint64_t at_ns = b->now_ns + RETRY_NS;
    endpoint_linger(b, ep, ep->state == EP_CLOSING ? min_of(at_ns, ep->end_ns) : at_ns);
}

static void frames_flush(struct backend *b, struct endpoint *ep)
{
    struct weir_engine *e = engine_of(b);
    struct tx_frame frames[TX_BURST];
    bool stuck = false;
    ep->flags &= ~(uint32_t)EP_BLOCKED;
    while (ep->tx_count && !stuck) {
        unsigned room = fleet_tx_room(e, TX_BURST), n = 0;
        if (room)
            n = build(e, ep, frames, room, &stuck);
        if (n)
            fleet_transmit(e, frames, n);
        stuck = n == 0 && (stuck || room == 0);
    }
    if (ep->tx_count)
        again(b, ep);
    endpoint_tx_moved(b, ep);
}

unsigned frames_tx_room(struct weir_engine *e, unsigned n)
{
    return e->b.frames->tx_room(&e->b, n);
}

void frames_transmit(struct weir_engine *e, const struct tx_frame *frames, unsigned n)
{
    transmit(&e->b, frames, n);
}

/* The stack's own frames leave behind the endpoints'. */
static void frames_submit(struct backend *b)
{
    struct weir_engine *e = engine_of(b);
    struct tx_frame frames[BURST];
    uint8_t ip[16];
    while (stack_has_out(e->stack)) {
        unsigned room = fleet_tx_room(e, BURST);
        unsigned n = room ? stack_out(e->stack, frames, room) : 0;
        if (n == 0)
            break;
        fleet_transmit(e, frames, n);
    }
    while (b->frames->resolve && stack_wanted(e->stack, ip))
        b->frames->resolve(b, ip);
    fleet_hand_over(e);
    if (b->frames->submit)
        b->frames->submit(b);
}

static int frames_wait(struct backend *b, int64_t timeout_ns)
{
    return b->device->wait(b, timeout_ns);
}

uint64_t frames_next_ns(const struct weir_engine *e)
{
    const struct backend *b = &e->b;
    if (b->more || stack_has_looped(e->stack))
        return 0;
    uint64_t next = min_of(stack_next_ns(e->stack), fleet_next_ns(e));
    if (stack_has_out(e->stack))
        next = min_of(next, b->now_ns + RETRY_NS);
    if (b->frames->next_ns)
        next = min_of(next, b->frames->next_ns(b));
    return next;
}

const struct backend_ops frames_table = {
    .kind = BACKEND_FRAMES,
    .open = frames_open,
    .close = frames_close,
    .modes = frames_modes,
    .add = frames_add,
    .del = frames_del,
    .rx = frames_rx,
    .flush = frames_flush,
    .submit = frames_submit,
    .resume = frames_resume,
    .wait = frames_wait,
};
