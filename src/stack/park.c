/* SPDX-License-Identifier: MIT
 * Packets that wait for a neighbour. Every item is on two lists: its neighbour's, oldest first, and
 * that of all by age.
 *
 * Where in the flow: out.c -> park_put (control.c) -> here -> on an answer stack_push.
 *
 * Invariants: what is taken from a neighbour's list is its oldest, so the oldest of all is also the
 * first of its neighbour's; counts agree with lists; a packet here is in state APP with one
 * reference, ours.
 * Source: RFC 1122, 2.3.2.2; RFC 4861, 7.2.2 (a small queue for each neighbour, the oldest goes). */
#include "stack/park.h"

#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX

struct item {
    struct weir_buf *packet;
    uint32_t neighbour;
    uint32_t next;         /* the same neighbour's, younger; of a spare item the next spare one */
    uint32_t older, newer; /* of all */
};

struct queue {
    uint32_t first, last, count;
};

struct park {
    struct counters *counters;
    uint32_t neighbours, each, all, count;
    uint32_t spare, oldest, newest;
    struct item *item;
    struct queue *queue; /* one a neighbour */
};

struct park *park_open(const struct park_opt *opt, struct weir_why *why)
{
    assert(opt->neighbours && opt->each && opt->all);
    struct park *p = calloc(1, sizeof *p);
    struct item *item = calloc(opt->all, sizeof *item);
    struct queue *queue = calloc(opt->neighbours, sizeof *queue);
    if (!p || !item || !queue) {
        free(p), free(item), free(queue);
        why_set(why, -ENOMEM, "parked packets", "give fewer neighbours", "no memory");
        return NULL;
    }
    *p = (struct park){opt->counters,  opt->neighbours, opt->each,    opt->all,
                       .oldest = NONE, .newest = NONE,  .item = item, .queue = queue};
    for (uint32_t i = 0; i < opt->all; i++)
        item[i].next = i + 1 < opt->all ? i + 1 : NONE;
    for (uint32_t i = 0; i < opt->neighbours; i++)
        queue[i] = (struct queue){.first = NONE, .last = NONE};
    return p;
}

void park_close(struct park *p)
{
    while (p->oldest != NONE) {
        struct weir_buf *packet = park_take(p, p->item[p->oldest].neighbour);
        weir_buf_drop(&packet, 1);
    }
    free(p->item);
    free(p->queue);
    free(p);
}

/* Out of the list of all. */
static void unlink_item(struct park *p, const struct item *item)
{
    if (item->older == NONE)
        p->oldest = item->newer;
    else
        p->item[item->older].newer = item->newer;
    if (item->newer == NONE)
        p->newest = item->older;
    else
        p->item[item->newer].older = item->older;
}

struct weir_buf *park_take(struct park *p, uint32_t neighbour)
{
    assert(neighbour < p->neighbours);
    struct queue *q = &p->queue[neighbour];
    uint32_t i = q->first;
    if (i == NONE)
        return NULL;
    struct item *item = &p->item[i];
    q->first = item->next;
    if (q->first == NONE)
        q->last = NONE;
    q->count--;
    unlink_item(p, item);
    item->next = p->spare;
    p->spare = i;
    p->count--;
    return item->packet;
}

/* The oldest of a neighbour's makes room. */
static void make_room(struct park *p, uint32_t neighbour)
{
    struct weir_buf *packet = park_take(p, neighbour);
    weir_buf_drop(&packet, 1);
    COUNT(p->counters, park_full, 1);
}

void park_add(struct park *p, uint32_t neighbour, struct weir_buf *packet)
{
    assert(neighbour < p->neighbours && packet->state == WEIR_APP);
    struct queue *q = &p->queue[neighbour];
    if (q->count == p->each)
        make_room(p, neighbour);
    else if (p->count == p->all)
        make_room(p, p->item[p->oldest].neighbour);
    uint32_t i = p->spare;
    p->spare = p->item[i].next;
    p->item[i] = (struct item){packet, neighbour, NONE, p->newest, NONE};
    *(q->last == NONE ? &q->first : &p->item[q->last].next) = i;
    q->last = i;
    *(p->newest == NONE ? &p->oldest : &p->item[p->newest].newer) = i;
    p->newest = i;
    q->count++;
    p->count++;
}

void park_fail(struct park *p, uint32_t neighbour)
{
    for (struct weir_buf *packet; (packet = park_take(p, neighbour)) != NULL;) {
        weir_buf_drop(&packet, 1);
        COUNT(p->counters, neighbour_failed, 1);
    }
}

uint32_t park_count(const struct park *p)
{
    return p->count;
}
