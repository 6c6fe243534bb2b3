/* SPDX-License-Identifier: MIT
 * UDP in, the long way: names what is wrong with a datagram; and other workers' frames, whose
 * datagrams are copied because their memory is not ours.
 * Sources: RFC 768, RFC 8200 section 8.1. */
#include "stack/control.h"
#include "stack/in.h"
#include "stack/out.h"

static bool sum_ok(struct stack *s, enum udp_sum sum)
{
    if (sum == SUM_TOLD || sum == SUM_PARTIAL)
        COUNT(s->counters, partial_checksum, 1);
    else if (sum == SUM_BAD)
        COUNT(s->counters, bad_checksum, 1);
    return sum == SUM_GOOD || sum == SUM_TOLD;
}

/* A broadcast is for wildcards alone: a socket of one address did not ask for it. */
static uint32_t find(const struct stack *s, const struct ends *ends, uint16_t port)
{
    uint32_t socket = socket_find(s, ends->dst, port);
    return socket == NO_SOCKET || ends->unicast || s->sock[socket].any ? socket : NO_SOCKET;
}

/* A datagram of another worker's memory, copied to ours. The frame stays the caller's. */
static void deliver_copy(struct arrival *a, const struct ends *ends, const uint8_t *at,
                         uint32_t bytes, uint32_t socket)
{
    struct stack *s = a->s;
    struct weir_buf *copy = weir_buf_take_bytes(s->pool, bytes);
    if (!copy) {
        COUNT(s->counters, handed_full, 1);
        return;
    }
    memcpy(copy->data, at, bytes);
    *frame_meta(copy) = (struct frame_meta){0};
    COUNT(s->counters, copies, 1);
    COUNT(s->counters, copied_bytes, bytes);
    COUNT(s->counters, foreign_copied, 1);
    udp_deliver(a, copy, ends, copy->data, bytes, socket);
}

/* Reassembled here, or so odd that it was not told whose it is: for a socket of another worker. */
static bool goes_elsewhere(struct stack *s, struct weir_buf *frame, const struct ends *ends,
                           const uint8_t *at, const struct udp *udp)
{
    struct weir_addr local = {.port = udp->dst};
    memcpy(local.ip, ends->dst, sizeof local.ip);
    if (!s->opt.elsewhere || frame->pool != s->pool ||
        !s->opt.elsewhere(s->opt.elsewhere_arg, &local, NULL))
        return false;
    frame->data += at + UDP_BYTES - frame->data;
    frame->len = udp->bytes - UDP_BYTES;
    frame->peer = (struct weir_addr){.port = udp->src};
    memcpy(frame->peer.ip, ends->src, sizeof local.ip);
    return s->opt.elsewhere(s->opt.elsewhere_arg, &local, frame);
}

bool udp_in(struct arrival *a, struct weir_buf *frame, const struct ends *ends,
            const struct udp_packet *p)
{
    struct stack *s = a->s;
    struct udp udp;
    if (udp_parse(p->at, p->bytes, &udp) < 0) {
        if (p->bytes < UDP_BYTES)
            COUNT(s->counters, drop_short, 1);
        else
            COUNT(s->counters, dishonest_length, 1);
        frame_drop(frame);
        return true;
    }
    if (!sum_ok(s, udp_verdict(ends, p->at, udp.bytes, frame_meta(frame)->flags))) {
        frame_drop(frame);
        return true;
    }
    uint32_t socket = find(s, ends, udp.dst);
    if (socket == NO_SOCKET && goes_elsewhere(s, frame, ends, p->at, &udp))
        return true;
    if (socket == NO_SOCKET) {
        COUNT(s->counters, no_port, 1);
        return false;
    }
    if (frame->pool == s->pool) {
        udp_deliver(a, frame, ends, p->at, udp.bytes, socket);
    } else {
        deliver_copy(a, ends, p->at, udp.bytes, socket);
        frame_drop(frame);
    }
    return true;
}

void udp_note(struct stack *s, uint32_t socket, const struct ends *ends, uint16_t port)
{
    const struct local *l = local_find(s, ends->dst);
    if (l)
        flow_note(s, socket, ends->src, port, (uint8_t)(l - s->local + 1));
}

unsigned stack_take_over(struct stack *s, struct weir_buf **frames, unsigned n,
                         struct stack_datagram *ret, uint64_t now_ns)
{
    struct arrival a = {.s = s, .ret = ret, .now_ns = now_ns};
    s->now_ns = now_ns;
    for (unsigned i = 0; i < n; i++) {
        if (frame_meta(frames[i])->flags & FRAME_OUTWARD) {
            out_take_over(s, frames[i], now_ns);
            frame_drop(frames[i]);
        } else {
            ethernet_in(&a, frames[i]);
        }
    }
    return a.n;
}
