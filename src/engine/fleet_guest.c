/* SPDX-License-Identifier: MIT
 * A worker without a queue of its own, as a frame backend: its device is its host.
 *
 * It receives nothing by itself (fleet_receive brings it in), sends over a lane (fleet_transmit),
 * has its host's addresses, MAC and offloads, and sleeps on its wake descriptor alone. */
#include "engine/fleet.h"

#include <errno.h>
#include <stdio.h>

static struct weir_engine *engine_of(const struct backend *b)
{
    return (struct weir_engine *)(void *)(uintptr_t)b; /* its first member */
}

static struct weir_engine *host_of(const struct backend *b)
{
    struct member *me = fleet_me(engine_of(b));
    return atomic_load_explicit(&engine_of(b)->fleet->member[me->host].engine,
                                memory_order_acquire);
}

static int guest_open(struct backend *b, struct weir_why *why)
{
    (void)why; /* its host opened before: crew.c */
    struct weir_engine *e = engine_of(b);
    fleet_me(e)->link_err = e->fleet->port.up ? 0 : -ENETDOWN;
    b->priv = fleet_me(e);
    return 0;
}

static void guest_close(struct backend *b)
{
    b->priv = NULL;
}

static void guest_modes(const struct backend *b, char *text, size_t bytes)
{
    const struct member *me = fleet_me(engine_of(b));
    snprintf(text, bytes, "guest of worker %u, whose queue of %.63s it shares", me->host,
             engine_of(b)->fleet->port.name);
}

static int guest_wait(struct backend *b, int64_t timeout_ns)
{
    COUNT(&b->counters, syscalls, 2);
    return wake_wait(b->wake_fd, timeout_ns);
}

static unsigned guest_rx(struct backend *b, struct weir_buf **ret, unsigned n)
{
    (void)b;
    (void)ret;
    (void)n;
    return 0;
}

static unsigned guest_tx_room(struct backend *b, unsigned n)
{
    return fleet_tx_room(engine_of(b), n);
}

static void guest_tx(struct backend *b, const struct tx_frame *frames, unsigned n)
{
    fleet_transmit(engine_of(b), frames, n);
}

/* Bodies would be a second buffer to copy: none. */
static void guest_port(const struct backend *b, struct frame_port *ret)
{
    *ret = engine_of(b)->fleet->port;
    ret->tx_gather = false;
}

/* The host's device is asked; it may be, on any thread (frames.h). */
static int guest_steer(struct backend *b, const struct weir_addr *local, bool on,
                       struct weir_why *why)
{
    struct backend *host = &host_of(b)->b;
    return host->device->frames->steer(host, local, on, why);
}

/* The link is its host's. */
static unsigned guest_notices(struct backend *b, struct port_notice *ret, unsigned n)
{
    struct weir_engine *e = engine_of(b);
    struct member *me = fleet_me(e);
    int err = atomic_load_explicit(&e->fleet->link_err[me->host], memory_order_relaxed);
    if (n == 0 || err == me->link_err)
        return 0;
    me->link_err = (int16_t)err;
    *ret = (struct port_notice){.kind = PORT_LINK, .err = (int16_t)err};
    return 1;
}

static const struct frame_ops guest_frames = {
    .rx = guest_rx,
    .tx_room = guest_tx_room,
    .tx = guest_tx,
    .port = guest_port,
    .notices = guest_notices,
};
static const struct frame_ops guest_steered = {
    .rx = guest_rx,
    .tx_room = guest_tx_room,
    .tx = guest_tx,
    .port = guest_port,
    .steer = guest_steer,
    .notices = guest_notices,
};

void guest_row(struct fleet *f, const struct backend_ops *host)
{
    f->guest = (struct backend_ops){.name = host->name,
                                    .title = host->title,
                                    .kind = BACKEND_FRAMES,
                                    .frames = host->frames->steer ? &guest_steered : &guest_frames,
                                    .open = guest_open,
                                    .close = guest_close,
                                    .modes = guest_modes,
                                    .wait = guest_wait,
                                    .virtual_time = host->virtual_time};
}
