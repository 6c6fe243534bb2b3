/* SPDX-License-Identifier: MIT
 * Keys and numbers that strangers cannot foresee, of one seed: SipHash-2-4 (Aumasson, Bernstein,
 * "SipHash: a fast short-input PRF", INDOCRYPT 2012), which tells nothing of its key, however much
 * of what it makes is seen. Each purpose has a key of its own. */
#ifndef WEIR_STACK_KEYS_H
#define WEIR_STACK_KEYS_H

#include <stddef.h>
#include <stdint.h>

struct secret {
    uint64_t half[2];
};

enum key_purpose {
    KEY_SECRET, /* of a stack: all others of it come from that */
    KEY_NUMBERS,
    KEY_FLOWS,
    KEY_IDS,
    KEY_ID_PLACES,
    KEY_CELLS,
    KEY_PATHS,
    KEY_TIMES
};

uint64_t siphash(const struct secret *key, const void *p, size_t n);
/* Of one seed: the same for the same purpose. */
uint64_t key_of(uint64_t seed, enum key_purpose purpose);
/* Of a worker's stack: those of other workers with the same seed are others. */
struct secret secret_of(uint64_t seed, unsigned worker);
uint64_t secret_number(const struct secret *s, enum key_purpose purpose, uint64_t i);
struct secret secret_for(const struct secret *s, enum key_purpose purpose);

#endif
