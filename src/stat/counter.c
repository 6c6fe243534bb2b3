/* SPDX-License-Identifier: MIT
 * Counters seen from outside: whole values by snapshot, and their names to print them all.
 *
 * In the flow   the engine's thread counts (COUNT in counter.h); weir_engine_counters, weir bench
 *               and weir top read.
 * Invariants    the public struct, the private one and the names come from one list,
 *               WEIR_COUNTERS. */
#include "counter.h"

/* Pairs with the store of COUNT: relaxed, a value is whole but says nothing about its
 * neighbours. */
void counters_snapshot(const struct counters *c, struct weir_counters *ret)
{
#define X(name, text) ret->name = atomic_load_explicit(&c->name, memory_order_relaxed);
    WEIR_COUNTERS(X)
#undef X
}

#define X(name, text) {#name, text},
const struct weir_counter_name weir_counter_names[] = {WEIR_COUNTERS(X)};
#undef X

const unsigned weir_counter_count = array_len(weir_counter_names);

_Static_assert(sizeof(struct weir_counters) == sizeof(uint64_t) * array_len(weir_counter_names),
               "a program may walk struct weir_counters as an array beside weir_counter_names");
