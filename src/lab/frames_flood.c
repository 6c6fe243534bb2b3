/* SPDX-License-Identifier: MIT
 * flood by frames: one prebuilt frame a flow, handed to AF_XDP in turn. The frames never change,
 * so one may be on its way several times, and completions need no more than to be taken away.
 *
 * Above AF_XDP's ceiling, live frames (bpf.c): the kernel makes and sends them in long calls,
 * which can be neither paced nor stopped; a first, short call tells how many make a second, and
 * is the warm-up. */
#include "bpf.h"
#include "frames.h"
#include "xsk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVE_LEAST 50000u /* 10 ms at 5 M/s: a call costs some milliseconds by itself */
#define LIVE_MOST UINT32_C(2000000000)
#define FRAME_MAX 4096u

int frames_path(struct run *r, struct frame_path *ret, uint32_t *frame_bytes)
{
    const struct lab_ends *ends = lab_ends(r->o.lab);
    uint32_t len = FRAME_HEAD + r->o.bytes;

    *frame_bytes = len <= 2048 ? 2048 : FRAME_MAX;
    if (r->o.queue >= lab_queues(r->o.lab))
        return why_set(r->why, -EINVAL, weir_load_name(r->o.load), "use a lab with more queues",
                       "queue %u of %u", r->o.queue, lab_queues(r->o.lab));
    if (len > FRAME_MAX || r->o.bytes + FRAME_HEAD - 14 > lab_mtu(r->o.lab))
        return why_set(r->why, -EINVAL, weir_load_name(r->o.load), "use fewer bytes",
                       "a datagram of %u bytes needs more than one frame", r->o.bytes);
    if (r->o.flows > FRAMES_FLOWS_MAX)
        return why_set(r->why, -EINVAL, weir_load_name(r->o.load), NULL,
                       "%u flows: frames take at most %u", r->o.flows, FRAMES_FLOWS_MAX);
    *ret = (struct frame_path){.src_mac = ends->mac[WEIR_LAB_CLIENT],
                               .dst_mac = ends->mac[WEIR_LAB_SERVER],
                               .src_ip = ends->ip[WEIR_LAB_CLIENT],
                               .dst_ip = r->o.target.ip + 12,
                               .src_port = FRAMES_FIRST_PORT,
                               .dst_port = r->o.target.port};
    return 0;
}

static void build_all(const struct run *r, const struct xsk *x, struct frame_path path,
                      const void *payload)
{
    for (uint32_t i = 0; i < r->o.flows; i++) {
        path.src_port = (uint16_t)(FRAMES_FIRST_PORT + i);
        frame_build(xsk_frame(x, (uint64_t)i * x->frame_bytes), &path, payload, r->o.bytes);
    }
}

static void send_due(struct run *r, struct xsk *x, unsigned n, uint64_t now)
{
    n = xsk_tx_room(x, n);
    for (unsigned i = 0; i < n; i++)
        xsk_tx_put(x, (r->k + i) % r->o.flows * x->frame_bytes, FRAME_HEAD + r->o.bytes);
    xsk_tx_submit(x);
    if (n)
        run_tried(r, n, 0, now);
}

static void kick(struct run *r, struct xsk *x)
{
    xsk_tx_kick(x);
    run_syscalls(r, 1);
    xsk_done(x, NULL, XSK_RING);
}

/* What the kernel does not take was never sent. */
static void finish_sending(struct run *r, struct xsk *x)
{
    struct weir_load_counts *c = &r->part[r->phase];
    uint64_t left;

    while (xsk_tx_waits(x) && run_draining(r, weir_now_ns()))
        kick(r, x);
    left = min_of(x->tx.own - x->tx.theirs, c->sent);
    c->sent -= left;
    c->tx_full += left;
}

static void flood(struct run *r, struct xsk *x)
{
    uint64_t now;

    run_begin(r);
    while (run_on(r, now = weir_now_ns())) {
        unsigned n = run_due_many(r, now, FRAMES_BURST);

        if (n)
            send_due(r, x, n, now);
        if (n || xsk_tx_waits(x))
            kick(r, x);
        else
            weir_pause();
    }
    run_end(r);
    finish_sending(r, x);
    run_drained(r);
}

int load_frames_flood(struct run *r)
{
    uint8_t *payload = calloc(1, r->o.bytes);
    struct frame_path path;
    uint32_t frame_bytes;
    struct xsk x;
    int err = frames_path(r, &path, &frame_bytes);

    if (!err && !payload)
        err = why_set(r->why, -ENOMEM, "flood", NULL, "no memory for the payload");
    if (!err)
        err = xsk_open(&x, lab_ends(r->o.lab)->ifindex[WEIR_LAB_CLIENT], r->o.queue, r->o.flows,
                       frame_bytes, r->why);
    if (!err) {
        build_all(r, &x, path, payload);
        snprintf(r->ret->mode, sizeof r->ret->mode, "AF_XDP frames, copy mode, %u flows",
                 r->o.flows);
        flood(r, &x);
        xsk_close(&x);
    }
    free(payload);
    return err;
}

/* One call of about `ns`, by the rate of the one before (frames a ns), which it renews. What it
 * made is sent: what the interface dropped of it is in the interface's counters. */
static int live_call(struct run *r, const struct bpf_flood *b, const uint8_t *frame, uint64_t ns,
                     double *rate)
{
    double want = (double)ns * *rate;
    uint32_t count = want < LIVE_LEAST ? LIVE_LEAST : want < LIVE_MOST ? (uint32_t)want : LIVE_MOST;
    uint64_t from = weir_now_ns();
    int err = bpf_flood_run(b, frame, FRAME_HEAD + r->o.bytes, count);

    run_syscalls(r, 1);
    if (err == -EINTR) { /* a signal: the run ends cleanly, but what it made is not known */
        r->ret->stopped = 1;
        why_set(&r->ret->invalid, err, "live frames", NULL, "interrupted in the middle of a call");
        return 0;
    }
    if (err < 0)
        return why_set(r->why, err, "live frames", "Linux 5.18 brought them", "%s", strerror(-err));
    *rate = (double)count / (double)max_of(weir_now_ns() - from, 1);
    r->part[r->phase].tried += count;
    r->part[r->phase].sent += count;
    r->k += count;
    return 0;
}

static int live_flood(struct run *r, const struct bpf_flood *b, const uint8_t *frame)
{
    const uint64_t call_ns = UINT64_C(1000000000);
    double rate = 0;
    uint64_t now;
    int err;

    run_begin(r);
    err = live_call(r, b, frame, 0, &rate);
    run_open_window(r, now = weir_now_ns());
    r->to_ns = now + r->o.duration_ns;
    while (!err && !r->ret->stopped && run_on(r, now) &&
           r->to_ns - now > r->o.duration_ns / 50) { /* a call costs some ms more */
        err = live_call(r, b, frame, min_of(r->to_ns - now, call_ns), &rate);
        now = weir_now_ns();
    }
    run_end(r);
    run_drained(r);
    return err;
}

int load_live_flood(struct run *r)
{
    const int ifindex = lab_ends(r->o.lab)->ifindex[WEIR_LAB_CLIENT];
    static const uint8_t payload[FRAME_MAX];
    uint8_t frame[FRAME_MAX];
    struct frame_path path;
    uint32_t frame_bytes;
    struct bpf_flood b;
    int err = frames_path(r, &path, &frame_bytes);

    if (err)
        return err;
    frame_build(frame, &path, payload, r->o.bytes);
    err = bpf_flood_open(&b, ifindex, FRAMES_FIRST_PORT, r->o.flows, frame_sum_without_port(frame),
                         r->why);
    if (err)
        return err;
    snprintf(r->ret->mode, sizeof r->ret->mode, "XDP live frames, %u flows", r->o.flows);
    err = live_flood(r, &b, frame);
    bpf_flood_close(&b);
    return err;
}
