/* SPDX-License-Identifier: MIT
 * Counters with one writer. The writer's increment is a plain load, add and store, because nobody
 * else writes; it is atomic only so that a reader on another thread gets whole values. No order is
 * promised between counters: a reader that needs totals that agree asks after the engine has
 * stopped. */
#ifndef WEIR_COUNTER_H
#define WEIR_COUNTER_H

#include "base/attr.h"

#include <weir/stat.h>

struct counters {
#define X(name, text) _Atomic uint64_t name;
    WEIR_COUNTERS(X)
#undef X
};

/* Pairs with the load in counters_snapshot. */
#define COUNT(c, name, n)                                                                          \
    atomic_store_explicit(&(c)->name,                                                              \
                          atomic_load_explicit(&(c)->name, memory_order_relaxed) + (uint64_t)(n),  \
                          memory_order_relaxed)

void counters_snapshot(const struct counters *c, struct weir_counters *ret);

#endif
