/* SPDX-License-Identifier: MIT
 * What is under way: a bounded heap of items by time; of equal times the one added first. */
#ifndef WEIR_BACKEND_DUE_H
#define WEIR_BACKEND_DUE_H

#include "base/attr.h"

struct due_item {
    uint64_t at_ns, order;
    uint32_t item; /* the caller's */
};

#define DUE_NEVER UINT64_MAX /* no entry has this order */

struct due {
    struct due_item *heap;
    uint64_t added;
    uint32_t n, max;
};

int due_open(struct due *d, uint32_t max); /* 0 or -ENOMEM */
void due_close(struct due *d);
/* *order tells this entry from all others: who changes his mind adds another one and takes no notice
 * of the first when it comes. False: full */
bool due_add(struct due *d, uint64_t at_ns, uint32_t item, uint64_t *order);
/* The first item that is due; false: none. */
bool due_pop(struct due *d, uint64_t now_ns, struct due_item *ret);
static inline uint64_t due_next_ns(const struct due *d)
{
    return d->n ? d->heap[0].at_ns : UINT64_MAX;
}

#endif
