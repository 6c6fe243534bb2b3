/* SPDX-License-Identifier: MIT
 * The audit: what the headers say against what the lists and the counters say.
 *
 * Three walks, none of which believes another: the lists of free headers, then every header by
 * itself (noting whose parent it is), then every header against those notes. Notes are in
 * pool->seen, one a header: of a stacked one that it was met, of a parent how many views it has.
 * What a walk finds first is told. */
#include "buf/foreign.h"
#include "buf/inside.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *const section_names[WEIR_SECTIONS] = {"small", "big", "run", "view"};

/* One audit: where it stands, and what it counted. */
struct audit {
    struct weir_pool *pool;
    struct weir_why *why;
    uint64_t count[WEIR_SECTIONS][WEIR_STATES];
};

static int damage(struct audit *a, unsigned section, uint64_t slot, const char *what)
{
    return why_set(a->why, -EILSEQ, "pool", "a buffer was misused: run a debug build under ASan",
                   "%s %" PRIu64 ": %s", section_names[section], slot, what);
}

static uint16_t *seen_of(const struct weir_pool *pool, const struct weir_buf *buf)
{
    return &pool->seen[buf_number(buf)];
}

/* The table ascends, so that a pointer which may be anything is looked up and not followed. */
static bool in_table(const struct weir_pool *pool, const struct weir_buf *buf)
{
    uint32_t low = 0, high = pool->n_table;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (pool->table[middle] == buf)
            return true;
        low = (uintptr_t)pool->table[middle] < (uintptr_t)buf ? middle + 1 : low;
        high = low > middle ? high : middle;
    }
    return false;
}

/* A pointer that is the address of a header in the section. */
static bool in_section(const struct weir_pool *pool, const struct section *s,
                       const struct weir_buf *buf)
{
    uintptr_t off = (uintptr_t)buf - (uintptr_t)s->bufs;

    if (!s->bufs)
        return in_table(pool, buf);
    return off < (uintptr_t)s->total * sizeof *buf && off % sizeof *buf == 0;
}

static int audit_stack(struct audit *a, unsigned section)
{
    const struct section *s = &a->pool->section[section];

    if (s->free > s->total)
        return damage(a, section, s->free, "more are free than there are");
    for (uint32_t i = 0; s->stack && i < s->free; i++) {
        if (!in_section(a->pool, s, s->stack[i]))
            return damage(a, section, i, "the stack of free ones holds what is no header");
        if (s->stack[i]->state != WEIR_FREE)
            return damage(a, section, s->stack[i]->slot, "in use, and on the stack of free ones");
        if ((*seen_of(a->pool, s->stack[i]))++)
            return damage(a, section, s->stack[i]->slot, "twice on the stack of free ones");
    }
    return 0;
}

static const struct weir_buf *header(const struct audit *a, unsigned section, uint32_t i)
{
    return buf_numbered(a->pool, a->pool->first[section] + i);
}

/* What was written at open and may never change. */
static const char *fixed_fault(const struct audit *a, unsigned section, uint32_t i)
{
    const struct section *s = &a->pool->section[section];
    const struct weir_buf *buf = header(a, section, i);

    if (buf->pool != a->pool || buf->slot != i || buf->section != section)
        return "its pool, section or slot was overwritten";
    if (section == WEIR_VIEW)
        return NULL;
    if (buf->base != (s->bufs ? s->base + (uint64_t)i * s->stride : (const uint8_t *)(buf + 1)))
        return "its base was overwritten";
    if (buf->room != s->stride && (section != WEIR_RUN || buf->state == WEIR_FREE))
        return "its room was overwritten";
    return NULL;
}

static const char *refs_fault(const struct weir_buf *buf)
{
    if (buf->state >= WEIR_STATES)
        return "its state is none";
    if ((buf->state == WEIR_FREE) != (buf->refs == 0))
        return buf->refs ? "free, with references" : "in use, without a reference";
    if (buf->tx_refs > buf->refs)
        return "more transmissions than references";
    if ((buf->state == WEIR_TX) != (buf->tx_refs > 0))
        return buf->tx_refs ? "in transmission, not in state TX"
                            : "in state TX, without a transmission";
    if (buf->state == WEIR_BACKEND && buf->refs != 1)
        return "lent to the backend and shared";
    return NULL;
}

/* [data, data + len) lies in [base, base + room). */
static bool inside(const struct weir_buf *buf, const uint8_t *base, uint32_t room)
{
    uintptr_t off = (uintptr_t)buf->data - (uintptr_t)base;

    return off <= room && buf->len <= room - off;
}

/* A pointer that is the address of a header with a slot. */
static bool is_slot(const struct weir_pool *pool, const struct weir_buf *buf)
{
    for (unsigned s = 0; s < WEIR_VIEW; s++)
        if (in_section(pool, &pool->section[s], buf))
            return true;
    return false;
}

static const char *view_fault(const struct audit *a, const struct weir_buf *buf)
{
    const struct weir_buf *parent = buf->parent;
    const struct weir_pool *pool = a->pool;

    if (buf->flags & BUF_FOREIGN) /* of its parent only this is not its owner's alone */
        return inside(buf, parent->base, parent->room) ? NULL
                                                       : "its payload is outside of its parent";
    if (!is_slot(pool, parent))
        return "its parent is no slot of the pool";
    if (parent->state == WEIR_FREE)
        return "its parent is free";
    if (!inside(buf, parent->base, parent->room))
        return "its payload is outside of its parent";
    (*seen_of(pool, parent))++;
    return NULL;
}

/* A run's slots: within the section, all marked taken. */
static const char *run_fault(const struct audit *a, const struct weir_buf *buf)
{
    const struct section *s = &a->pool->section[WEIR_RUN];
    uint32_t k = buf_slots(buf);

    if (k == 0 || k > s->total - buf->slot || k << a->pool->small_shift != buf->room)
        return "its room was overwritten";
    for (uint32_t i = 0; i < k; i++)
        if (!run_taken(a->pool, buf->slot + i))
            return "in use, and free in the map";
    for (uint32_t i = 1; i < k; i++)
        if (buf[i].state != WEIR_FREE)
            return "two runs overlap";
    return NULL;
}

static const char *used_fault(const struct audit *a, const struct weir_buf *buf)
{
    const char *fault = NULL;

    if (buf->section == WEIR_VIEW)
        fault = view_fault(a, buf);
    else if (buf->section == WEIR_RUN)
        fault = run_fault(a, buf);
    if (!fault && buf->section != WEIR_VIEW && !inside(buf, buf->base, buf->room))
        fault = "its payload is outside of its slot";
    return fault;
}

/* Every header by itself. A run's other slots are its own, whatever their headers hold. */
static int audit_headers(struct audit *a, unsigned section)
{
    const struct section *s = &a->pool->section[section];

    for (uint32_t i = 0, k; i < s->total; i += k) {
        const struct weir_buf *buf = header(a, section, i);
        const char *fault = fixed_fault(a, section, i);
        fault = fault ? fault : refs_fault(buf);
        if (!fault && buf->state != WEIR_FREE)
            fault = used_fault(a, buf);
        else if (!fault && section == WEIR_RUN && run_taken(a->pool, i))
            fault = "free, and taken in the map";
        if (fault)
            return damage(a, section, i, fault);
        k = buf->state == WEIR_FREE ? 1 : buf_slots(buf);
        a->count[section][buf->state] += k;
    }
    return 0;
}

/* Every header against the notes: a free one is on the stack, a parent has a reference for each
 * view. */
static int audit_notes(struct audit *a, unsigned section)
{
    const struct section *s = &a->pool->section[section];

    for (uint32_t i = 0; i < s->total; i++) {
        const struct weir_buf *buf = header(a, section, i);
        uint16_t seen = a->pool->seen[a->pool->first[section] + i];
        if (buf->state != WEIR_FREE && seen > buf->refs)
            return damage(a, section, i, "more views than references");
        if (buf->state == WEIR_FREE && s->stack && !seen)
            return damage(a, section, i, "leaked: free, and not on the stack of free ones");
    }
    return 0;
}

static int audit_counts(struct audit *a, unsigned section)
{
    const struct section *s = &a->pool->section[section];
    const uint64_t *count = a->count[section];

    if (count[WEIR_FREE] != s->free)
        return damage(a, section, s->free, "free slots counted, the headers say otherwise");
    if (count[WEIR_TX] != s->tx)
        return damage(a, section, s->tx,
                      "slots in transmission counted, the headers say otherwise");
    if (count[WEIR_BACKEND] != s->backend)
        return damage(a, section, s->backend,
                      "slots in the backend counted, the headers say otherwise");
    return 0;
}

int weir_pool_check(struct weir_pool *pool, struct weir_why *why)
{
    static int (*const steps[])(struct audit *, unsigned) = {audit_stack, audit_headers,
                                                             audit_notes, audit_counts};
    struct audit a = {.pool = pool, .why = why};

    assert(at_home(pool));
    memset(pool->seen, 0, pool->n_bufs * sizeof *pool->seen);
    for (unsigned step = 0; step < array_len(steps); step++)
        for (unsigned s = 0; s < WEIR_SECTIONS; s++)
            if (steps[step](&a, s) < 0)
                return -EILSEQ;
    return 0;
}

void weir_pool_stats(const struct weir_pool *pool, struct weir_pool_stats *ret)
{
    *ret = (struct weir_pool_stats){.empty = pool->empty,
                                    .returned = pool->returned,
                                    .copied = pool->copied,
                                    .mem = *pool_mem(pool)};
    for (unsigned i = 0; i < WEIR_SECTIONS; i++) {
        const struct section *s = &pool->section[i];
        ret->total[i] = s->total;
        ret->count[i][WEIR_FREE] = s->free;
        ret->count[i][WEIR_TX] = s->tx;
        ret->count[i][WEIR_BACKEND] = s->backend;
        ret->count[i][WEIR_APP] = (uint64_t)s->total - s->free - s->tx - s->backend;
    }
}
