/* SPDX-License-Identifier: MIT
 * What stands around a backend: the capture next to it, so that it shows what the wire saw, and
 * faults around that.
 *
 *     engine -> [stack] -> wrap_fault -> wrap_pcap -> the backend
 *
 * A wrapper copies the table that it finds, replaces what it cares about and calls `inner` with the
 * same `b`. It leaves b->ops (sockets) or b->frames (frames) pointing to its copy. */
#ifndef WEIR_BACKEND_WRAP_H
#define WEIR_BACKEND_WRAP_H

#include "backend/frames.h"

struct wrap {
    struct backend_ops ops;  /* around a socket backend */
    struct frame_ops frames; /* around a frame backend */
    const struct backend_ops *inner;
    const struct frame_ops *inner_frames;
    void *priv; /* the wrapper's own */
};

/* Copy what b points to now; the caller then replaces what it wraps in w->ops or w->frames. */
static inline void wrap_around(struct wrap *w, struct backend *b)
{
    w->inner = b->ops;
    w->inner_frames = b->frames;
    if (b->frames) {
        w->frames = *b->frames;
        b->frames = &w->frames;
    } else {
        w->ops = *b->ops;
        b->ops = &w->ops;
    }
}

/* The last one put around is the first to go. */
static inline void wrap_off(struct wrap *w, struct backend *b)
{
    b->ops = w->inner;
    b->frames = w->inner_frames;
}

#endif
