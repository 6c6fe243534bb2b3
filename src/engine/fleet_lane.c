/* SPDX-License-Identifier: MIT
 * Parcels between workers: into a lane, out of it, and what they are there.
 *
 * A lane is emptied as far as there is room for what comes of it: events, entries of the device's
 * ring, headers for views. The rest stays, the lane fills, and who puts in drops and counts: so
 * one slow worker costs the others nothing.
 *
 * A guest's payload is copied into a buffer of the host's before it is sent, because a device may
 * reach its own pool's memory only. What the host itself received and the guest answered in place
 * comes back as the host's own buffer, and is not copied. */
#include "engine/fleet.h"

#include <string.h>

#define BURST 64u       /* parcels that are looked at together */
#define LANE_POLL 1024u /* of one lane in a poll at most */

/* ---- in ------------------------------------------------------------------------------------- */

struct parcel fleet_parcel(struct weir_buf *buf, enum parcel_kind kind)
{
    struct away away;
    uint16_t flags = frame_meta(buf)->flags;
    buf_leave(buf, &away);
    return (struct parcel){.buf = away.buf,
                           .data = away.data,
                           .len = away.len,
                           .flags = flags,
                           .kind = (uint8_t)kind,
                           .whole = away.whole};
}

bool fleet_push(struct weir_engine *e, unsigned to, const struct parcel *parcel)
{
    struct lane *lane = fleet_lane(e->fleet, e->fleet_index, to);
    uint64_t pos;
    if (weir_spsc_reserve(lane->ring, lane->staged + 1, &pos) <= lane->staged) {
        lane->dropped++;
        return false;
    }
    *(struct parcel *)weir_spsc_slot(lane->ring, pos + lane->staged) = *parcel;
    lane->staged++;
    lane->pushed++;
    lane->touched = true;
    return true;
}

/* The exchange pairs with that of fleet_receive: what was submitted before is seen there. With
 * `sleeping` it is weir_wake's handshake, see weir_wait. */
static void nudge(struct weir_engine *to)
{
    if (!to || to->b.opt.spin)
        return;
    if (!atomic_exchange(&to->nudged, true) && atomic_load(&to->sleeping))
        wake_ring(to->b.wake_fd);
}

void fleet_submit(struct weir_engine *e)
{
    struct fleet *f = e->fleet;
    for (unsigned to = 0; to < f->n; to++) {
        struct lane *lane = fleet_lane(f, e->fleet_index, to);
        if (likely(!lane->touched))
            continue;
        weir_spsc_submit(lane->ring, lane->staged);
        lane->staged = 0;
        lane->touched = false;
        nudge(atomic_load_explicit(&f->member[to].engine, memory_order_acquire));
    }
}

/* ---- out of a lane -------------------------------------------------------------------------- */

static struct away away_of(const struct parcel *parcel)
{
    return (struct away){parcel->buf, parcel->data, parcel->len, parcel->whole};
}

/* Only a guest writes in front of what it got: its host's device is the one that reaches it. */
static struct weir_buf *arrive(struct weir_engine *e, const struct parcel *parcel)
{
    struct away away = away_of(parcel);
    struct weir_buf *buf = buf_arrive(e->b.pool, &away, fleet_me(e)->guest);
    if (likely(buf && parcel->kind != PARCEL_TOLD))
        frame_meta(buf)->flags = parcel->flags;
    return buf;
}

static unsigned take_in(struct weir_engine *e, const struct parcel *parcels, unsigned n)
{
    struct backend *b = &e->b;
    struct weir_buf *frames[BURST];
    struct stack_datagram got[BURST];
    unsigned k = 0, told;
    if (!backend_room(b)) /* notices may have taken more than all of it */
        return 0;
    n = min_of(n, b->max_events - b->n_events);
    while (k < n && (frames[k] = arrive(e, &parcels[k])))
        k++;
    if (k == 0)
        return 0;
    COUNT(&b->counters, taken_over, k);
    told = parcels->kind == PARCEL_IN ? stack_in(e->stack, frames, k, got, b->now_ns)
                                      : stack_take_over(e->stack, frames, k, got, b->now_ns);
    frames_tell(e, got, told);
    return k;
}

/* Another pool's bytes into a buffer of ours; NULL: we have none. */
static struct weir_buf *copy_in(struct weir_engine *e, const struct parcel *parcel)
{
    struct backend *b = &e->b;
    struct weir_buf *buf = weir_buf_take_bytes(b->pool, parcel->len);
    if (!buf)
        return NULL;
    memcpy(buf->data, parcel->data, parcel->len);
    buf->len = parcel->len;
    COUNT(&b->counters, foreign_copied, 1);
    COUNT(&b->counters, copies, 1);
    COUNT(&b->counters, copied_bytes, parcel->len);
    away_drop(&(struct away){.buf = parcel->buf});
    return buf;
}

static struct weir_buf *to_send(struct weir_engine *e, const struct parcel *parcel)
{
    bool ours = parcel->buf->pool == e->b.pool && parcel->whole;
    return likely(ours) ? arrive(e, parcel) : copy_in(e, parcel);
}

static unsigned take_out(struct weir_engine *e, const struct parcel *parcels, unsigned n)
{
    struct tx_frame frames[BURST];
    unsigned room = n ? frames_tx_room(e, n) : 0, k = 0;
    for (; k < min_of(n, room); k++) {
        struct weir_buf *buf = to_send(e, &parcels[k]);
        if (!buf)
            break;
        buf_to_tx(buf);
        frames[k] = (struct tx_frame){.buf = buf,
                                      .csum_start = parcels[k].csum_start,
                                      .csum_offset = parcels[k].csum_offset,
                                      .bytes = buf->len};
    }
    if (k)
        frames_transmit(e, frames, k);
    return k;
}

/* Datagrams that worker 0 put together, for sockets of ours. */
static unsigned take_told(struct weir_engine *e, const struct parcel *parcels, unsigned n)
{
    struct backend *b = &e->b;
    unsigned k = 0;
    for (; k < n && backend_room(b); k++) {
        struct stack_datagram got = {.buf = arrive(e, &parcels[k])};
        struct weir_addr at;
        if (!got.buf)
            break;
        memcpy(&at, parcels[k].data - sizeof at, sizeof at); /* fleet_elsewhere put it there */
        COUNT(&b->counters, taken_over, 1);
        if (stack_whose(e->stack, &at, &got.socket)) {
            frames_tell(e, &got, 1);
            continue;
        }
        COUNT(&b->counters, no_port, 1);
        weir_buf_drop(&got.buf, 1);
    }
    return k;
}

/* The first parcels, as many as are of one kind and as there is room for. Returns how many. */
static unsigned take_some(struct weir_engine *e, const struct parcel *parcels, unsigned n)
{
    unsigned same = 1;
    while (same < n && parcels[same].kind == parcels->kind)
        same++;
    switch (parcels->kind) {
    case PARCEL_OUT: return take_out(e, parcels, same);
    case PARCEL_TOLD: return take_told(e, parcels, same);
    default: return take_in(e, parcels, same);
    }
}

/* The parcels from `pos` on lie in one piece up to the ring's end. */
static unsigned look(struct lane *lane, struct parcel **ret)
{
    uint64_t pos;
    unsigned n = weir_spsc_peek(lane->ring, BURST, &pos);
    unsigned to_end = LANE_SLOTS - (unsigned)(pos & (LANE_SLOTS - 1));
    *ret = weir_spsc_slot(lane->ring, pos);
    return min_of(n, to_end);
}

static void empty(struct weir_engine *e, struct lane *lane)
{
    struct member *m = fleet_me(e);
    struct parcel *parcels;
    unsigned n, left = LANE_POLL;
    while (left && (n = look(lane, &parcels))) {
        unsigned took = take_some(e, parcels, min_of(n, left));
        if (took)
            weir_spsc_release(lane->ring, took);
        lane->popped += took;
        left -= took;
        if (took)
            continue;
        m->more |= !backend_room(&e->b);
        m->stuck |= backend_room(&e->b);
        return;
    }
    m->more |= left == 0;
}

void fleet_receive(struct weir_engine *e)
{
    struct fleet *f = e->fleet;
    if (!f)
        return;
    struct member *m = fleet_me(e);
    m->more = m->stuck = false;
    if (atomic_load_explicit(&e->nudged, memory_order_relaxed))
        atomic_exchange(&e->nudged, false); /* pairs with nudge */
    for (unsigned i = 1; i < f->n; i++) /* beginning with our neighbour: no lane is always first */
        empty(e, fleet_lane(f, (e->fleet_index + i) % f->n, e->fleet_index));
    if (m->spread)
        spread_turn(e);
}

/* ---- a guest's transmissions ---------------------------------------------------------------- */

unsigned fleet_tx_room(struct weir_engine *e, unsigned n)
{
    if (likely(!e->fleet || !fleet_me(e)->guest))
        return frames_tx_room(e, n);
    struct lane *lane = fleet_lane(e->fleet, e->fleet_index, fleet_me(e)->host);
    uint64_t pos;
    unsigned room = weir_spsc_reserve(lane->ring, lane->staged + n, &pos);
    return room > lane->staged ? room - lane->staged : 0;
}

void fleet_transmit(struct weir_engine *e, const struct tx_frame *frames, unsigned n)
{
    if (likely(!e->fleet || !fleet_me(e)->guest)) {
        frames_transmit(e, frames, n);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        assert(!frames[i].body); /* a guest's port has no tx_gather */
        buf_from_tx(frames[i].buf);
        struct parcel parcel = fleet_parcel(frames[i].buf, PARCEL_OUT);
        parcel.csum_start = frames[i].csum_start;
        parcel.csum_offset = frames[i].csum_offset;
        if (fleet_push(e, fleet_me(e)->host, &parcel))
            continue;
        /* What went to the host's own ports meanwhile took the room: fleet_elsewhere */
        COUNT(&e->b.counters, handed_full, 1);
        away_drop(&(struct away){.buf = parcel.buf});
    }
}

/* ---- the end -------------------------------------------------------------------------------- */

static void drain(struct weir_engine *e, struct lane *lane, bool device)
{
    struct parcel *parcels;
    unsigned n;
    while ((n = look(lane, &parcels))) {
        unsigned took = 0;
        if (device && parcels->kind == PARCEL_OUT)
            took = take_out(e, parcels, 1);
        if (took == 0) {
            COUNT(&e->b.counters, tx_dropped, parcels->kind == PARCEL_OUT);
            away_drop(&(struct away){.buf = parcels->buf});
        }
        weir_spsc_release(lane->ring, 1);
    }
}

void fleet_drain(struct weir_engine *e)
{
    struct fleet *f = e->fleet;
    const unsigned me = e->fleet_index;
    for (unsigned i = 0; i < f->n; i++) {
        if (i == me)
            continue;
        drain(e, fleet_lane(f, i, me), !fleet_me(e)->guest);
        if (f->one_thread) /* nobody else does, once we are gone */
            drain(e, fleet_lane(f, me, i), false);
    }
    if (!fleet_me(e)->guest && e->b.frames->submit)
        e->b.frames->submit(&e->b);
}

uint32_t fleet_backlog(const struct fleet *f, unsigned worker)
{
    uint32_t most = 0;
    for (unsigned from = 0; from < f->n; from++)
        if (from != worker)
            most = max_of(most, weir_spsc_count(f->lane[from * f->n + worker].ring));
    return most;
}
