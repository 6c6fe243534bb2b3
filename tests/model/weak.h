/* SPDX-License-Identifier: MIT
 * An exhaustive checker of small programs under the memory order of C (its RC11 reading): every
 * interleaving, and for every load every store that it may see. Real code runs, with its atomics
 * replaced by the calls below.
 *
 * The memory is not an array but, for each location, the list of all stores to it in modification
 * order. A thread has a view: the latest store of each location that it knows of. A load may see
 * any store that is not older than its view; an acquire load of a release store takes over the
 * view that came with it. A plain access must know of all earlier accesses to its location, or it
 * is a data race. (Kang et al., "A Promising Semantics for Relaxed-Memory Concurrency", POPL 2017,
 * without promises.)
 *
 * A thread is a pure function of the values that it has read. So no stacks are switched: to take a
 * step, the function runs again from its start with the values so far, up to the first call that
 * has none yet.
 *
 * Not covered: a load that sees a store which comes later in program order of a thread that
 * depends on it (load buffering; RC11 forbids it as well), sequentially consistent accesses and
 * fences (the rings have none), spurious failures of a weak compare-and-swap (the ring tries again
 * with the same value). */
#ifndef WEAK_H
#define WEAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weak_order { WEAK_RELAXED, WEAK_ACQUIRE, WEAK_RELEASE };
enum weak_kind { WEAK_LOAD, WEAK_STORE, WEAK_CAS, WEAK_READ, WEAK_WRITE };

/* What the code under test calls. READ and WRITE are plain accesses, checked for races. */
uint64_t weak_load(const void *at, enum weak_order order, const char *edge);
void weak_store(void *at, uint64_t value, enum weak_order order, const char *edge);
bool weak_cas(void *at, uint64_t *expected, uint64_t value, enum weak_order order,
              const char *edge);
uint64_t weak_read(const void *at);
void weak_write(void *at, uint64_t value);

#define WEAK_THREADS 5
#define WEAK_NOTES 16

/* What a thread did, for the check at the end. */
struct weak_notes {
    unsigned count;
    uint64_t note[WEAK_NOTES];
};

/* A program. The last thread starts when the others have ended, and knows all that they did. */
struct weak_program {
    const char *name;
    unsigned threads;
    void (*init)(void *image); /* 4096 bytes, zeroed, aligned to 128 */
    void (*run[WEAK_THREADS])(void *image, struct weak_notes *notes);
    const char *(*check)(const struct weak_notes notes[]); /* NULL, or what is wrong */
};

/* The mutation: accesses of this kind with this edge become relaxed; a CAS becomes a load and a
 * store. */
struct weak_mutant {
    const char *edge; /* NULL: none */
    enum weak_kind kind;
};

struct weak_result {
    const char *wrong; /* NULL: nothing, in any execution */
    uint64_t states, ends;
};

/* Run all executions, or until one is wrong. With `verbose` a wrong execution is printed. */
struct weak_result weak_explore(const struct weak_program *p, struct weak_mutant mutant,
                                bool verbose);

#endif
