/* SPDX-License-Identifier: MIT
 * A binary heap of what is under way. Invariant: an item is not before its parent, by (time, order
 * of adding), so that equal times keep their order and a run is the same each time. */
#include "due.h"

#include <errno.h>
#include <stdlib.h>

int due_open(struct due *d, uint32_t max)
{
    *d = (struct due){.max = max, .heap = calloc(max, sizeof *d->heap)};
    return d->heap ? 0 : -ENOMEM;
}

void due_close(struct due *d)
{
    free(d->heap);
    *d = (struct due){0};
}

static bool before(const struct due_item *a, const struct due_item *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

bool due_add(struct due *d, uint64_t at_ns, uint32_t item, uint64_t *order)
{
    struct due_item it = {at_ns, d->added, item};
    if (d->n == d->max)
        return false;
    *order = d->added++;
    uint32_t at = d->n++;
    for (; at && before(&it, &d->heap[(at - 1) / 2]); at = (at - 1) / 2)
        d->heap[at] = d->heap[(at - 1) / 2];
    d->heap[at] = it;
    return true;
}

/* The last item sinks from the root to its place. */
static void sink(struct due *d, const struct due_item *it)
{
    uint32_t at = 0;
    for (uint32_t child; (child = 2 * at + 1) < d->n; at = child) {
        if (child + 1 < d->n && before(&d->heap[child + 1], &d->heap[child]))
            child++;
        if (!before(&d->heap[child], it))
            break;
        d->heap[at] = d->heap[child];
    }
    d->heap[at] = *it;
}

bool due_pop(struct due *d, uint64_t now_ns, struct due_item *ret)
{
    if (!d->n || d->heap[0].at_ns > now_ns)
        return false;
    *ret = d->heap[0];
    d->n--;
    if (d->n)
        sink(d, &d->heap[d->n]);
    return true;
}
