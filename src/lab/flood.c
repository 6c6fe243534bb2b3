/* SPDX-License-Identifier: MIT
 * flood over sockets: one way, many flows, none twice in a row, so that neither sender nor
 * receiver can merge. A flow is a socket, because only its own port makes one; hence one system
 * call a packet, and on loopback the sender's core does the receiver's protocol work as well. So
 * this load is bound by its sender: it compares costs at an equal rate, and frames
 * (flood_frames.c) find a fast receiver's limit. */
#include "load.h"
#include "socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void flood(struct run *r, const int *fds, const void *payload)
{
    uint64_t now;
    unsigned flow = 0;

    run_begin(r);
    while (run_on(r, now = weir_now_ns())) {
        ssize_t n;

        if (!run_due(r, now)) {
            weir_pause();
            continue;
        }
        n = send(fds[flow], payload, r->o.bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        run_syscalls(r, 1);
        run_tried(r, n >= 0, n < 0 ? errno : 0, now);
        flow = flow + 1 == r->o.flows ? 0 : flow + 1;
    }
    run_end(r);
    run_drained(r);
}

int load_flood(struct run *r)
{
    int *fds = calloc(r->o.flows, sizeof *fds);
    void *payload = calloc(1, r->o.bytes);
    int err = -ENOMEM;

    if (fds && payload)
        err = socket_udp_many(r, fds, r->o.flows);
    else
        why_set(r->why, err, "flood", NULL, "no memory for %u flows", r->o.flows);
    if (!err) {
        snprintf(r->ret->mode, sizeof r->ret->mode, "%u sockets, one send a datagram", r->o.flows);
        flood(r, fds, payload);
        socket_close_many(fds, r->o.flows);
    }
    free(payload);
    free(fds);
    return err;
}
