/* SPDX-License-Identifier: MIT
 * A pool's life: options are judged, two regions are mapped, every header is written once. After
 * that nothing is allocated, and what never changes in a header (slot, section, base, room,
 * pool) is not written again.
 *
 * Payload lies as small, big, run: small first and without gaps, so that a small slot's index
 * times its size is its UMEM address. Every slot begins on a multiple of small_bytes; a big one
 * on a multiple of 4,096.
 *
 * A big slot is WEIR_BIG_BYTES *behind* its headroom: 65,536 bytes, one page or more for the
 * headroom. So the largest UDP datagram (65,507 bytes over IPv4, 65,527 over IPv6) fits with its
 * headroom in front. */
#include "buf/inside.h"

#include <errno.h>
#include <string.h>

/* Ethernet, IPv6 and TCP with all its options are 14 + 40 + 60 bytes; two cache lines. */
#define HEADROOM 128u

#define BIG_ALIGN 4096u /* a page: what a kernel maps or pins */

/* Of one section. 32 GiB of small slots; and the indexes of all headers stay far within 32 bits. */
#define SLOTS_MAX (1u << 24)

/* The sizes of both regions, before they are mapped. */
struct plan {
    struct weir_pool_opt opt; /* zero fields resolved */
    uint32_t total[WEIR_SECTIONS], stride[WEIR_SECTIONS];
    uint64_t at[WEIR_SECTIONS]; /* offset of the section's first slot */
    uint64_t slot_bytes, head_bytes;
    uint64_t bufs, table, stacks, returns, seen, map; /* offsets in the region of headers */
    uint32_t n_bufs;
    const struct pool_memory *over; /* NULL: the small slots are ours as well */
};

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static int refuse(struct weir_why *why, const char *fix, const char *what, uint64_t value)
{
    return why_set(why, -EINVAL, "pool", fix, "%s is %llu", what, (unsigned long long)value);
}

static int judge_counts(const struct weir_pool_opt *o, struct weir_why *why)
{
    const uint32_t counts[WEIR_SECTIONS] = {o->small, o->big, o->run, o->views};
    static const char *const names[WEIR_SECTIONS] = {"small", "big", "run", "views"};

    for (unsigned s = 0; s < WEIR_SECTIONS; s++)
        if (counts[s] > SLOTS_MAX)
            return refuse(why, "at most 16,777,216 of a kind", names[s], counts[s]);
    if (o->small == 0 && o->big == 0 && o->run == 0)
        return refuse(why, "ask for small, big or run slots", "the number of slots", 0);
    return 0;
}

/* Resolve the defaults, refuse what cannot be. */
static int judge(struct weir_pool_opt *o, struct weir_why *why)
{
    o->small_bytes = o->small_bytes ? o->small_bytes : 2048;
    o->headroom = o->headroom ? o->headroom : HEADROOM;
    if (o->small_bytes != 2048 && o->small_bytes != 4096)
        return refuse(why, "2048 or 4096", "small_bytes", o->small_bytes);
    if (o->headroom > o->small_bytes / 2)
        return refuse(why, "at most half of small_bytes", "headroom", o->headroom);
    if (o->mem_flags & ~(WEIR_MEM_NO_HUGE | WEIR_MEM_NO_LOCK | WEIR_MEM_BIND))
        return refuse(why, "WEIR_MEM_ bits", "mem_flags", o->mem_flags);
    return judge_counts(o, why);
}

static void plan_slots(struct plan *p)
{
    const struct weir_pool_opt *o = &p->opt;
    const uint32_t big = (uint32_t)round_up(WEIR_BIG_BYTES + o->headroom, BIG_ALIGN);
    const uint32_t total[WEIR_SECTIONS] = {o->small, o->big, o->run, o->views};
    const uint32_t stride[WEIR_SECTIONS] = {o->small_bytes, big, o->small_bytes, 0};

    for (unsigned s = 0; s < WEIR_SECTIONS; s++) {
        p->at[s] = p->slot_bytes;
        p->total[s] = total[s];
        p->stride[s] = stride[s];
        if (s != WEIR_SMALL || !p->over)
            p->slot_bytes = round_up(p->slot_bytes + (uint64_t)total[s] * stride[s], BIG_ALIGN);
        p->n_bufs += total[s];
    }
    if (p->over)
        p->stride[WEIR_SMALL] = p->over->room;
    p->slot_bytes = max_of(p->slot_bytes, BIG_ALIGN); /* something to map, in any case */
}

static void plan_heads(struct plan *p)
{
    const uint32_t table = p->over ? p->opt.small : 0;

    p->bufs = round_up(sizeof(struct weir_pool), CACHE_PAIR);
    p->table = p->bufs + (uint64_t)(p->n_bufs - table) * sizeof(struct weir_buf);
    p->stacks = p->table + (uint64_t)table * sizeof(struct weir_buf *);
    p->map = p->stacks + (uint64_t)(p->n_bufs - p->opt.run) * sizeof(struct weir_buf *);
    p->returns = p->map + round_up(p->opt.run, 64) / 8;
    p->seen = p->returns + (uint64_t)p->n_bufs * sizeof(struct returns);
    p->head_bytes = p->seen + (uint64_t)p->n_bufs * sizeof(uint16_t);
}

static uint8_t *slot_base(const struct section *s, struct weir_buf *buf, uint32_t i)
{
    if (!s->bufs)
        return (uint8_t *)(buf + 1);
    return s->base ? s->base + (uint64_t)i * s->stride : NULL;
}

/* Write what never changes in the headers of one section, and stack them so that slot 0 is taken
 * first. */
static void section_fill(struct weir_pool *pool, unsigned section)
{
    struct section *s = &pool->section[section];

    for (uint32_t i = 0; i < s->total; i++) {
        struct weir_buf *buf = s->bufs ? &s->bufs[i] : pool->table[i];
        *buf = (struct weir_buf){.slot = i,
                                 .section = (uint8_t)section,
                                 .room = s->stride,
                                 .base = slot_base(s, buf, i),
                                 .pool = pool};
        if (s->stack)
            s->stack[s->total - 1 - i] = buf;
        if (!s->bufs)
            poison(buf->base, buf->room);
    }
    s->free = s->total;
}

static void sections_make(struct weir_pool *pool, const struct plan *p)
{
    struct weir_buf *bufs = pool->bufs;
    struct weir_buf **stack = (void *)((uint8_t *)pool + p->stacks);
    uint32_t first = 0;

    for (unsigned s = 0; s < WEIR_SECTIONS; s++) {
        bool over = p->over && s == WEIR_SMALL;
        uint8_t *base = s == WEIR_VIEW || over ? NULL : (uint8_t *)pool->slots.base + p->at[s];
        pool->first[s] = first;
        pool->section[s] = (struct section){.bufs = over ? NULL : bufs,
                                            .stack = s == WEIR_RUN ? NULL : stack,
                                            .base = base,
                                            .stride = p->stride[s],
                                            .total = p->total[s]};
        section_fill(pool, s);
        bufs += over ? 0 : p->total[s];
        first += p->total[s];
        stack += s == WEIR_RUN ? 0 : p->total[s];
    }
}

static struct weir_pool *pool_make(const struct plan *p, struct weir_mem slots,
                                   struct weir_mem heads)
{
    uint8_t *at = heads.base;
    struct weir_pool *pool = (struct weir_pool *)heads.base;

    *pool = (struct weir_pool){.owner = thread_id(),
                               .headroom = p->opt.headroom,
                               .small_bytes = p->opt.small_bytes,
                               .small_shift = (uint32_t)__builtin_ctz(p->opt.small_bytes),
                               .map = (uint64_t *)(void *)(at + p->map),
                               .table = (struct weir_buf **)(void *)(at + p->table),
                               .n_table = p->over ? p->opt.small : 0,
                               .bufs = (struct weir_buf *)(void *)(at + p->bufs),
                               .returns = (struct returns *)(void *)(at + p->returns),
                               .n_bufs = p->n_bufs,
                               .seen = (uint16_t *)(void *)(at + p->seen),
                               .slots = slots,
                               .heads = heads,
                               .away = NO_BUF};
    if (p->over) {
        pool->over = *p->over;
        memcpy(pool->table, p->over->table, pool->n_table * sizeof *pool->table);
    }
    sections_make(pool, p);
    poison(slots.base, slots.bytes);
    return pool;
}

static struct weir_pool *pool_open(const struct weir_pool_opt *opt, const struct pool_memory *over,
                                   struct weir_why *why)
{
    struct plan p = {.opt = *opt, .over = over};
    struct weir_mem slots, heads;
    unsigned flags = opt->mem_flags & ~WEIR_MEM_BIND;
    int node = opt->mem_flags & WEIR_MEM_BIND ? opt->node : WEIR_NODE_ANY;

    if (judge(&p.opt, why) < 0)
        return NULL;
    plan_slots(&p);
    plan_heads(&p);
    if (weir_mem_open(&slots, p.slot_bytes, flags, node, why) < 0)
        return NULL;
    if (weir_mem_open(&heads, p.head_bytes, flags, node, why) < 0) {
        weir_mem_close(&slots);
        return NULL;
    }
    return pool_make(&p, slots, heads);
}

struct weir_pool *weir_pool_open(const struct weir_pool_opt *opt, struct weir_why *why)
{
    return pool_open(opt, NULL, why);
}

struct weir_pool *pool_open_over(const struct weir_pool_opt *opt, const struct pool_memory *memory,
                                 struct weir_why *why)
{
    struct weir_pool *pool = pool_open(opt, memory, why);

    assert(memory->room % 8 == 0 && memory->room > opt->headroom);
    if (!pool)
        memory->release(memory->arg);
    return pool;
}

/* Another's memory goes back as nobody's: its owner may write it again. */
static void over_close(const struct pool_memory *over, struct weir_buf **table, uint32_t n)
{
    if (!over->release)
        return;
    for (uint32_t i = 0; i < n; i++)
        unpoison(table[i]->base, table[i]->room);
    over->release(over->arg);
}

int weir_pool_close(struct weir_pool *pool)
{
    struct weir_mem slots = pool->slots, heads = pool->heads;
    struct pool_memory over = pool->over;

    pool_collect(pool);
    for (unsigned s = 0; s < WEIR_SECTIONS; s++)
        if (pool->section[s].free != pool->section[s].total)
            return -EBUSY;
    over_close(&over, pool->table, pool->n_table);
    unpoison(slots.base, slots.bytes);
    weir_mem_close(&slots);
    weir_mem_close(&heads); /* the pool itself lies in here */
    return 0;
}

void weir_pool_adopt(struct weir_pool *pool)
{
    pool->owner = thread_id();
}

struct weir_buf *pool_buf(struct weir_pool *pool, unsigned section, uint32_t slot)
{
    assert(section < WEIR_SECTIONS && slot < pool->section[section].total);
    return buf_numbered(pool, pool->first[section] + slot);
}

uint32_t pool_free(const struct weir_pool *pool, unsigned section)
{
    return pool->section[section].free;
}

const struct weir_mem *pool_mem(const struct weir_pool *pool)
{
    return pool->n_table ? &pool->over.mem : &pool->slots;
}

uint32_t pool_headroom(const struct weir_pool *pool)
{
    return pool->headroom;
}

uint32_t pool_small_bytes(const struct weir_pool *pool)
{
    return pool->small_bytes;
}
