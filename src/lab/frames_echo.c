/* SPDX-License-Identifier: MIT
 * echo by frames: as echo.c, with an AF_XDP socket in place of the UDP socket.
 *
 *     free stack -> stamp -> tx ... done -> free stack       fill -> rx -> book -> fill
 *
 * The frames' first half sends, the second receives. A frame's payload changes with every send,
 * but its checksum does not (book.h). Receiving makes no system call: the kernel fills the ring
 * in the softirq that follows the server's send. (Preferred busy polling would take that to this
 * core, but a veth of Linux 6.18 has no NAPI number in its receive queues, and with its
 * interrupts deferred each reply waited for the timer.)
 */
#include "book.h"
#include "bpf.h"
#include "frames.h"
#include "xsk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES (2 * XSK_RING)

struct flow {
    uint8_t port[2], checksum[2]; /* as they stand in the frame */
};

struct echo {
    struct book book;
    struct xsk x;
    struct bpf_receive bpf;
    struct flow *flows;
    uint64_t *free; /* stack of frames to send */
    uint32_t free_count;
};

/* Each sending frame is whole but for the flow and the head; each receiving one is the kernel's. */
static int lay_out(struct run *r, struct echo *e, struct frame_path path)
{
    e->flows = calloc(r->o.flows, sizeof *e->flows);
    e->free = calloc(XSK_RING, sizeof *e->free);
    if (!e->flows || !e->free)
        return why_set(r->why, -ENOMEM, "echo", NULL, "no memory for %u flows", r->o.flows);
    for (uint32_t i = 0; i < r->o.flows; i++) {
        path.src_port = (uint16_t)(FRAMES_FIRST_PORT + i);
        frame_build(e->x.umem, &path, e->book.pattern, r->o.bytes);
        memcpy(e->flows[i].port, e->x.umem + FRAME_PORT_AT, 2);
        memcpy(e->flows[i].checksum, e->x.umem + FRAME_CHECKSUM_AT, 2);
    }
    for (uint32_t i = 0; i < XSK_RING; i++) {
        e->free[i] = (uint64_t)i * e->x.frame_bytes;
        frame_build(xsk_frame(&e->x, e->free[i]), &path, e->book.pattern, r->o.bytes);
        xsk_fill(&e->x, (uint64_t)(XSK_RING + i) * e->x.frame_bytes);
    }
    e->free_count = XSK_RING;
    xsk_fill_submit(&e->x);
    return 0;
}

static void put(struct run *r, struct echo *e, uint64_t k)
{
    uint64_t address = e->free[--e->free_count];
    uint8_t *frame = xsk_frame(&e->x, address);
    const struct flow *flow = &e->flows[k % r->o.flows];

    memcpy(frame + FRAME_PORT_AT, flow->port, 2);
    memcpy(frame + FRAME_CHECKSUM_AT, flow->checksum, 2);
    book_stamp(&e->book, frame + FRAME_HEAD, k);
    xsk_tx_put(&e->x, address, FRAME_HEAD + r->o.bytes);
}

static void reap(struct echo *e)
{
    e->free_count += xsk_done(&e->x, e->free + e->free_count, XSK_RING - e->free_count);
}

static void send_due(struct run *r, struct echo *e, uint64_t now)
{
    unsigned n = run_due_many(r, now, FRAMES_BURST);

    n = xsk_tx_room(&e->x, min_of(n, e->free_count));
    for (unsigned i = 0; i < n; i++)
        put(r, e, r->k + i);
    if (n) {
        xsk_tx_submit(&e->x);
        run_tried(r, n, 0, now);
    }
}

static void kick(struct run *r, struct echo *e)
{
    if (!xsk_tx_waits(&e->x))
        return;
    xsk_tx_kick(&e->x);
    run_syscalls(r, 1);
    reap(e);
}

static void take_frame(struct run *r, struct echo *e, const struct xdp_desc *d, uint64_t now)
{
    size_t len;
    const uint8_t *payload = frame_payload(xsk_frame(&e->x, d->addr), d->len, &len);

    if (payload)
        book_reply(r, &e->book, payload, len, now);
    else
        r->part[r->phase].foreign++;
    xsk_fill(&e->x, d->addr);
}

static void take(struct run *r, struct echo *e)
{
    struct xdp_desc descs[FRAMES_BURST];
    uint64_t now;
    uint32_t n;

    if (!book_open_sends(r, &e->book)) {
        weir_pause();
        return;
    }
    n = xsk_receive(&e->x, descs, FRAMES_BURST);
    now = weir_now_ns();
    for (uint32_t i = 0; i < n; i++)
        take_frame(r, e, &descs[i], now);
    if (n)
        xsk_fill_submit(&e->x);
}

static void echo(struct run *r, struct echo *e)
{
    uint64_t now;

    run_begin(r);
    while (run_on(r, now = weir_now_ns())) {
        send_due(r, e, now);
        kick(r, e);
        take(r, e);
    }
    run_end(r);
    while (book_open_sends(r, &e->book) && run_draining(r, weir_now_ns())) {
        kick(r, e);
        take(r, e);
    }
    r->part[WINDOW].rx_full = xsk_dropped(&e->x);
    run_drained(r);
}

static int open_echo(struct run *r, struct echo *e)
{
    const int ifindex = lab_ends(r->o.lab)->ifindex[WEIR_LAB_CLIENT];
    struct frame_path path;
    uint32_t frame_bytes;
    int err = frames_path(r, &path, &frame_bytes);

    if (!err)
        err = book_open(r, &e->book);
    if (!err)
        err = xsk_open(&e->x, ifindex, r->o.queue, FRAMES, frame_bytes, r->why);
    if (!err)
        err = lay_out(r, e, path);
    if (!err)
        err = bpf_receive_open(&e->bpf,
                               &(struct bpf_receive_opt){.ifindex = ifindex,
                                                         .xsk = e->x.fd,
                                                         .server_port = r->o.target.port,
                                                         .queue = r->o.queue},
                               r->why);
    return err;
}

int load_frames_echo(struct run *r)
{
    struct echo e = {.x.fd = -1, .bpf = {-1, -1, -1}};
    int err = open_echo(r, &e);

    if (!err) {
        snprintf(r->ret->mode, sizeof r->ret->mode, "AF_XDP frames, copy mode, %u flows",
                 r->o.flows);
        echo(r, &e);
    }
    bpf_receive_close(&e.bpf);
    xsk_close(&e.x);
    free(e.flows);
    free(e.free);
    book_close(&e.book);
    return err;
}
