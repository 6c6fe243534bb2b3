/* SPDX-License-Identifier: MIT
 * Impairments around a frame backend: between the device and the stack. What leaves later does so at
 * the end of a poll, what arrives later at the beginning of one; next_ns asks for that poll.
 *
 * Invariant: no more frames are given to the device than it said that it has room for. */
#include "backend/wrap_fault.h"

#define TURNS 8u /* looks at the device in one harvest: what it gives may all be lost */
#define CHUNK 64u

static const struct frame_ops *inner(const struct backend *b)
{
    return b->fault->inner_frames;
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* ret[from .. from + n) came: what of it arrives now moves to the front, at ret[k] and on. */
static unsigned sift(struct backend *b, struct weir_buf **ret, unsigned k, unsigned from,
                     unsigned n)
{
    for (unsigned i = from; i < from + n; i++) {
        struct fault_packet p = {.frame.buf = ret[i]}, go[FAULT_GO];
        unsigned out = fault_judge(b, FAULT_IN, &p, go);
        for (unsigned j = 0; j < out; j++) {
            if (k <= i)
                ret[k++] = go[j].frame.buf;
            else
                fault_hold(b, FAULT_IN, &go[j], b->now_ns);
        }
    }
    return k;
}

static unsigned fault_rx(struct backend *b, struct weir_buf **ret, unsigned n)
{
    struct fault_packet p;
    unsigned k = 0;
    while (k < n && fault_due(b, FAULT_IN, &p))
        ret[k++] = p.frame.buf;
    for (unsigned turn = 0; turn < TURNS && k < n; turn++) {
        unsigned want = n - k, got = inner(b)->rx(b, ret + k, want);
        k = sift(b, ret, k, k, got);
        if (got < want)
            break;
    }
    return k;
}

/* ---- sending -------------------------------------------------------------------------------- */

static void fault_tx(struct backend *b, const struct tx_frame *frames, unsigned n)
{
    struct tx_frame out[CHUNK];
    unsigned m = 0, sent = 0;
    for (unsigned i = 0; i < n; i++) {
        struct fault_packet p = {.frame = frames[i]}, go[FAULT_GO];
        unsigned k = fault_judge(b, FAULT_OUT, &p, go);
        for (unsigned j = 0; j < k; j++) {
            if (sent > i) { /* the device has room for n */
                fault_hold(b, FAULT_OUT, &go[j], b->now_ns);
                continue;
            }
            out[m++] = go[j].frame;
            sent++;
        }
        if (m < CHUNK - FAULT_GO && i + 1 < n)
            continue;
        if (m)
            inner(b)->tx(b, out, m);
        m = 0;
    }
}

static void fault_submit(struct backend *b)
{
    struct fault_packet p;
    while (fault_due(b, FAULT_OUT, &p)) {
        if (inner(b)->tx_room(b, 1)) {
            inner(b)->tx(b, &p.frame, 1);
            continue;
        }
        fault_hold(b, FAULT_OUT, &p, b->now_ns + FAULT_RETRY_NS);
        break;
    }
    if (inner(b)->submit)
        inner(b)->submit(b);
}

static uint64_t fault_frames_next_ns(const struct backend *b)
{
    uint64_t next = fault_next_ns(b);
    return inner(b)->next_ns ? min_of(next, inner(b)->next_ns(b)) : next;
}

void fault_around_frames(struct fault *f)
{
    f->wrap.frames.rx = fault_rx;
    f->wrap.frames.tx = fault_tx;
    f->wrap.frames.submit = fault_submit;
    f->wrap.frames.next_ns = fault_frames_next_ns;
}
