/* SPDX-License-Identifier: MIT
 * Provided buffer rings that are the pool's own slots: what the kernel fills is what a handler
 * gets, uncopied.
 *
 *     pool --group_fill--> posted --kernel fills--> completion --group_take--> handler --> pool
 *
 * Three groups: small slots for streams, big ones for streams whose bytes come in bulk, and big
 * ones for datagrams, of which UDP GRO may merge 64 KiB. Few are posted at a time: the kernel takes
 * them in ring order, so each posted slot is one more that has left the cache when its turn comes.
 * A buffer id names a place in `bufs`, not a slot: ids have 16 bits, a pool may have more slots.
 * Invariant: every slot in state BACKEND stands in `bufs` under an id that is not in `ids`.
 * Source: io_uring_register(2), IORING_REGISTER_PBUF_RING. */
#include "uring.h"

#include <errno.h>
#include <stdlib.h>

#define BURST 64u

static uint32_t section_total(const struct backend *b, unsigned section)
{
    return section == WEIR_SMALL ? b->opt.pool.small : b->opt.pool.big;
}

/* At most `most`, and at most a quarter of the section: the other holders (weir_pool_opt's sum)
 * need theirs. */
static uint32_t fair_share(const struct backend *b, unsigned section, uint32_t most)
{
    uint32_t quarter = section_total(b, section) / 4;
    return max_of(min_of(most, quarter), 1u);
}

static int register_ring(struct backend *b, struct group *g)
{
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)g->ring,
                                   .ring_entries = g->entries,
                                   .bgid = g->id};
    io_uring_buf_ring_init(g->ring);
    return io_uring_register_buf_ring(&uring_of(b)->ring, &reg, 0);
}

int group_open(struct backend *b, struct group *g, uint16_t id, unsigned section, uint32_t most,
               uint32_t bytes)
{
    g->id = id;
    g->section = (uint8_t)section;
    g->target = fair_share(b, section, most);
    g->offset = pool_headroom(b->pool);
    g->bytes = bytes;
    for (g->entries = 1; g->entries < g->target;)
        g->entries *= 2;
    size_t pages = (g->entries * sizeof(struct io_uring_buf) + 4095) / 4096;
    g->ring = aligned_alloc(4096, pages * 4096); /* the kernel pins whole pages */
    g->bufs = calloc(g->entries, sizeof(struct weir_buf *));
    g->ids = calloc(g->entries, sizeof *g->ids);
    if (!g->ring || !g->bufs || !g->ids)
        return -ENOMEM;
    for (uint32_t i = 0; i < g->entries; i++)
        g->ids[i] = (uint16_t)i;
    g->n_ids = g->entries;
    return register_ring(b, g);
}

/* After the ring has been closed: the kernel writes no slot any more. */
void group_close(struct group *g)
{
    for (uint32_t i = 0; g->bufs && i < g->entries; i++) {
        if (!g->bufs[i])
            continue;
        buf_from_backend(g->bufs[i]);
        weir_buf_drop(&g->bufs[i], 1);
    }
    free(g->ring);
    free(g->bufs);
    free(g->ids);
    *g = (struct group){0};
}

static void post(struct group *g, struct weir_buf *buf, int place)
{
    uint16_t id = g->ids[--g->n_ids];
    buf_to_backend(buf);
    g->bufs[id] = buf;
    assert(buf->room - g->offset >= g->bytes);
    io_uring_buf_ring_add(g->ring, buf->base + g->offset, g->bytes, id, (int)g->entries - 1, place);
}

/* Bulk streams leave a burst of big slots for datagrams (as stream.c does). */
static unsigned left_for(struct backend *b, const struct group *g)
{
    uint32_t spare = pool_free(b->pool, g->section);
    if (g != &uring_of(b)->bulk)
        return spare;
    return spare > b->opt.burst ? spare - b->opt.burst : 0;
}

void group_fill(struct backend *b, struct group *g)
{
    struct weir_buf *fresh[BURST];
    while (g->wanted && g->posted < g->target) {
        unsigned want = min_of(min_of(g->target - g->posted, BURST), left_for(b, g));
        if (want == 0)
            return;
        unsigned got = pool_take(b->pool, g->section, fresh, want);
        for (unsigned i = 0; i < got; i++)
            post(g, fresh[i], (int)i);
        /* A release store of the ring's tail: pairs with the kernel's acquire load, so that it sees
         * whole entries. */
        io_uring_buf_ring_advance(g->ring, (int)got);
        g->posted += got;
        if (got < want)
            return;
    }
}

struct group *group_of(struct uring *u, enum uring_op op)
{
    return op == OP_RECV ? &u->small : op == OP_BULK ? &u->bulk : &u->big;
}

struct weir_buf *group_take(struct group *g, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_BUFFER))
        return NULL;
    uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    assert(id < g->entries && g->bufs[id]);
    struct weir_buf *buf = g->bufs[id];
    g->bufs[id] = NULL;
    g->ids[g->n_ids++] = id;
    g->posted--;
    buf_from_backend(buf);
    return buf;
}

/* ---- slots that landed while their stream was full ------------------------------------------ */

static uint32_t held_index(const struct backend *b, const struct weir_buf *buf)
{
    return buf->section == WEIR_SMALL ? buf->slot : b->opt.pool.small + buf->slot;
}

static struct weir_buf *held_buf(const struct backend *b, uint32_t index)
{
    uint32_t small = b->opt.pool.small;
    return index < small ? pool_buf(b->pool, WEIR_SMALL, index)
                         : pool_buf(b->pool, WEIR_BIG, index - small);
}

void held_push(struct backend *b, struct endpoint *ep, struct weir_buf *buf)
{
    struct uring *u = uring_of(b);
    struct uring_ep *x = uring_ep(ep);
    uint32_t index = held_index(b, buf);
    u->held_next[index] = NIL;
    if (x->held_head == NIL)
        x->held_head = index;
    else
        u->held_next[x->held_tail] = index;
    x->held_tail = index;
}

void held_front(struct backend *b, struct endpoint *ep, struct weir_buf *buf)
{
    struct uring_ep *x = uring_ep(ep);
    uint32_t index = held_index(b, buf);
    uring_of(b)->held_next[index] = x->held_head;
    if (x->held_head == NIL)
        x->held_tail = index;
    x->held_head = index;
}

struct weir_buf *held_pop(struct backend *b, struct endpoint *ep)
{
    struct uring_ep *x = uring_ep(ep);
    if (x->held_head == NIL)
        return NULL;
    struct weir_buf *buf = held_buf(b, x->held_head);
    x->held_head = uring_of(b)->held_next[x->held_head];
    return buf;
}

void held_drop(struct backend *b, struct endpoint *ep)
{
    struct weir_buf *buf;
    while ((buf = held_pop(b, ep)))
        weir_buf_drop(&buf, 1);
}
