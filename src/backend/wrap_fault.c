/* SPDX-License-Identifier: MIT
 * Impairments around any backend, both ways: what the judge (impair.c) decides is done here.
 *
 *   fault_judge -> leave now | held, in the heap of its direction | dropped (fault_dropped)
 *
 * Streams pass untouched: their bytes must all arrive, in order. Invariants: a held packet owns its
 * buffers (inward one reference, outward a tx reference) and, outward, counts in its endpoint's
 * in_flight, so that a closing endpoint waits for it. What is written to is ours alone, or copied. */
#include "backend/wrap_fault.h"
#include "backend/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ETHER_BYTES 14u /* IEEE 802.3; its addresses are spared, a changed one would only be lost */

/* ---- buffers -------------------------------------------------------------------------------- */

void fault_drop(struct backend *b, enum fault_way way, const struct fault_packet *p)
{
    struct weir_buf *buf = p->frame.buf;
    (void)b;
    if (way == FAULT_IN) {
        weir_buf_drop(&buf, 1);
        return;
    }
    buf_tx_done(buf);
    if (p->frame.body)
        buf_tx_done(p->frame.body);
}

/* A packet of its own with the same bytes, in one piece. False: no buffer (counted). */
static bool copy(struct backend *b, enum fault_way way, const struct fault_packet *p,
                 struct fault_packet *ret)
{
    const struct weir_buf *from = p->frame.buf;
    uint32_t bytes = from->len + (p->frame.body ? p->frame.body->len : 0);
    struct weir_buf *buf = weir_buf_take_bytes(b->pool, bytes);
    if (!buf) {
        COUNT(&b->counters, pool_empty, 1);
        return false;
    }
    gather_bytes(&p->frame, buf->data);
    buf->len = bytes;
    buf->peer = from->peer;
    if (way == FAULT_OUT)
        buf_to_tx(buf);
    *ret = *p;
    ret->frame.buf = buf;
    ret->frame.body = NULL;
    COUNT(&b->counters, copies, 1);
    COUNT(&b->counters, copied_bytes, bytes);
    return true;
}

/* Bytes that nobody else sees, in one piece. */
static bool own(struct backend *b, enum fault_way way, struct fault_packet *p)
{
    struct fault_packet mine;
    const struct weir_buf *buf = p->frame.buf;
    if (buf->refs == 1 && buf->section != WEIR_VIEW && !p->frame.body)
        return true;
    if (!copy(b, way, p, &mine))
        return false;
    fault_drop(b, way, p);
    *p = mine;
    return true;
}

/* A checksum that was left to the device is completed first: it must not vouch for the damage. */
static void damage(struct backend *b, enum fault_way way, struct fault_packet *p, uint64_t flip)
{
    uint32_t from = b->frames ? ETHER_BYTES : 0;
    if (!own(b, way, p))
        return;
    struct weir_buf *buf = p->frame.buf;
    if (p->frame.csum_start)
        gather_checksum(buf->data, buf->len, p->frame.csum_start, p->frame.csum_offset);
    p->frame.csum_start = p->frame.csum_offset = 0;
    if (way == FAULT_IN && b->frames)
        frame_meta(buf)->flags &= (uint16_t) ~(FRAME_CSUM_OK | FRAME_CSUM_PARTIAL);
    if (buf->len > from)
        impair_flip(buf->data + from, buf->len - from, flip);
}

/* ---- what is held --------------------------------------------------------------------------- */

static struct endpoint *endpoint_held(struct backend *b, enum fault_way way, weir_ep handle)
{
    bool counts = way == FAULT_OUT && handle;
    return counts ? endpoint_at(b, (uint32_t)handle - 1) : NULL;
}

/* A receive into a large slot must not pin it for long. */
static void shrink(struct backend *b, struct fault_packet *p)
{
    struct fault_packet small;
    const struct weir_buf *buf = p->frame.buf;
    bool fits = buf->len <= pool_small_bytes(b->pool) - pool_headroom(b->pool);
    if (buf->section == WEIR_SMALL || !fits || !copy(b, FAULT_IN, p, &small))
        return;
    fault_drop(b, FAULT_IN, p);
    *p = small;
}

uint32_t fault_hold(struct backend *b, enum fault_way way, const struct fault_packet *p,
                    uint64_t due_ns)
{
    struct fault *f = fault_of(b);
    uint32_t slot = f->free;
    struct fault_held *h = &f->held[slot == NIL ? 0 : slot];
    uint64_t order;
    if (slot == NIL || !due_add(&f->due[way], due_ns, slot, &order)) {
        COUNT(&b->counters, fault_dropped, 1);
        fault_drop(b, way, p);
        return NIL;
    }
    f->free = h->next;
    f->n_held++;
    *h = (struct fault_held){.packet = *p, .order = order, .next = NIL, .way = (uint8_t)way};
    if (way == FAULT_IN)
        shrink(b, &h->packet);
    struct endpoint *ep = endpoint_held(b, way, p->ep);
    if (ep)
        ep->in_flight++;
    return slot;
}

static void take(struct backend *b, uint32_t slot, struct fault_packet *ret)
{
    struct fault *f = fault_of(b);
    struct fault_held *h = &f->held[slot];
    struct endpoint *ep = endpoint_held(b, h->way, h->packet.ep);
    if (ep)
        ep->in_flight--;
    if (f->swapped[h->way] == slot)
        f->swapped[h->way] = NIL;
    *ret = h->packet;
    h->order = DUE_NEVER;
    h->next = f->free;
    f->free = slot;
    f->n_held--;
}

bool fault_due(struct backend *b, enum fault_way way, struct fault_packet *ret)
{
    struct fault *f = fault_of(b);
    struct due_item it;
    while (due_pop(&f->due[way], b->now_ns, &it)) {
        if (f->held[it.item].order != it.order)
            continue; /* it went before */
        take(b, it.item, ret);
        return true;
    }
    return false;
}

void fault_forget(struct backend *b, weir_ep ep)
{
    struct fault *f = fault_of(b);
    struct fault_packet p;
    for (uint32_t i = 0; f->n_held && i < f->due[FAULT_IN].max / 2; i++) {
        const struct fault_held *h = &f->held[i];
        enum fault_way way = h->way;
        if (h->order == DUE_NEVER || (ep && h->packet.ep != ep))
            continue;
        take(b, i, &p);
        if (way == FAULT_OUT)
            COUNT(&b->counters, tx_dropped, 1);
        else
            COUNT(&b->counters, stale_events, 1);
        fault_drop(b, way, &p);
    }
}

uint64_t fault_next_ns(const struct backend *b)
{
    const struct fault *f = fault_of(b);
    return min_of(due_next_ns(&f->due[FAULT_IN]), due_next_ns(&f->due[FAULT_OUT]));
}

/* ---- decisions ------------------------------------------------------------------------------ */

/* One leaves at `due_ns`: the one that waited for it follows. */
static unsigned follow(struct backend *b, enum fault_way way, uint64_t due_ns,
                       struct fault_packet *go)
{
    struct fault *f = fault_of(b);
    uint32_t slot = f->swapped[way];
    if (likely(slot == NIL))
        return 0;
    f->swapped[way] = NIL;
    if (due_ns <= b->now_ns) {
        take(b, slot, go);
        return 1;
    }
    due_add(&f->due[way], due_ns, slot, &f->held[slot].order); /* full: its first time stays */
    return 0;
}

/* Now, or later. */
static unsigned leave(struct backend *b, enum fault_way way, const struct fault_packet *p,
                      uint64_t due_ns, struct fault_packet *go)
{
    if (due_ns > b->now_ns) {
        fault_hold(b, way, p, due_ns);
        return 0;
    }
    *go = *p;
    return 1;
}

unsigned fault_judge(struct backend *b, enum fault_way way, struct fault_packet *p,
                     struct fault_packet *go)
{
    struct fault *f = fault_of(b);
    struct fault_packet second;
    struct verdict v =
        impair_judge(&f->way[way], b->now_ns,
                     way == FAULT_OUT && b->frames ? p->frame.bytes : p->frame.buf->len);
    if (v.copies == 0) {
        COUNT(&b->counters, fault_dropped, 1);
        fault_drop(b, way, p);
        return 0;
    }
    COUNT(&b->counters, fault_changed, v.changed);
    if (v.swap && f->swapped[way] == NIL) {
        f->swapped[way] = fault_hold(b, way, p, v.due_ns);
        return 0;
    }
    uint64_t due_ns = v.swap ? v.line_ns : v.due_ns;
    bool twice = v.copies == 2 && copy(b, way, p, &second);
    if (v.flip)
        damage(b, way, p, v.flip);
    unsigned n = leave(b, way, p, due_ns, go);
    if (twice)
        n += leave(b, way, &second, due_ns, go + n);
    return n + follow(b, way, due_ns, go + n);
}

/* ---- birth and death ------------------------------------------------------------------------ */

static bool allocate(struct fault *f, const struct backend *b)
{
    f->held = calloc(BACKEND_FAULT_HELD, sizeof *f->held);
    f->judged = calloc(b->eps_max, sizeof *f->judged);
    if (!f->held || !f->judged)
        return false;
    for (uint32_t i = 0; i < BACKEND_FAULT_HELD; i++) {
        f->held[i].order = DUE_NEVER;
        f->held[i].next = i + 1 < BACKEND_FAULT_HELD ? i + 1 : NIL;
    }
    /* twice: an entry out of date stays until its time */
    return due_open(&f->due[FAULT_IN], 2 * BACKEND_FAULT_HELD) == 0 &&
           due_open(&f->due[FAULT_OUT], 2 * BACKEND_FAULT_HELD) == 0;
}

static void release(struct fault *f)
{
    due_close(&f->due[FAULT_IN]);
    due_close(&f->due[FAULT_OUT]);
    free(f->judged);
    free(f->held);
    free(f);
}

/* Both ways from one seed, but not alike. */
static void open_ways(struct fault *f, const struct weir_impair *opt)
{
    for (unsigned way = 0; way < FAULT_WAYS; way++) {
        struct weir_impair one = *opt;
        one.seed = impair_draw(opt->seed ? opt->seed : 1, way) | 1;
        impair_open(&f->way[way], &one, one.seed);
        f->swapped[way] = NIL;
    }
}

int wrap_fault_open(struct backend *b, struct weir_why *why)
{
    const struct weir_impair *o = &b->opt.impair;
    if (!weir_impair_any(o))
        return 0;
    if (!impair_valid(o))
        return why_set(why, -EINVAL, "impairments", "", "a share is not 0 to 1");
    struct fault *f = calloc(1, sizeof *f);
    if (!f || !allocate(f, b)) {
        if (f)
            release(f);
        return why_set(why, -ENOMEM, "impairments", "", "no memory");
    }
    open_ways(f, o);
    wrap_around(&f->wrap, b);
    b->fault = &f->wrap;
    if (b->frames)
        fault_around_frames(f);
    else
        fault_around_sockets(f);
    return 0;
}

void wrap_fault_close(struct backend *b)
{
    struct fault *f = fault_of(b);
    if (!f)
        return;
    fault_forget(b, 0);
    wrap_off(&f->wrap, b);
    b->fault = NULL;
    release(f);
}
