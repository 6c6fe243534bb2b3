/* SPDX-License-Identifier: MIT
 * What the fuzzers of src/wire/ share. libFuzzer and replay.c give inputs in memory of exactly
 * their size, so that ASan sees any read past them. */
#ifndef WEIR_FUZZ_WIRE_H
#define WEIR_FUZZ_WIRE_H

#include "wire/checksum.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: a build without assertions must fuzz as well. */
static inline void demand(bool holds)
{
    if (!holds)
        abort();
}

/* A copy to be changed, of exactly its size; NULL: out of memory. */
static inline uint8_t *copied(const uint8_t *data, size_t size)
{
    uint8_t *p = malloc(size ? size : 1);
    if (p && size)
        memcpy(p, data, size);
    return p;
}

/* Make the checksum at `at` right over all `size` bytes: chance finds one in 65,536. */
static inline void mend(uint8_t *p, size_t size, size_t at, uint64_t pseudo)
{
    uint16_t sum = 0;
    memcpy(p + at, &sum, 2);
    sum = checksum_finish(checksum_add(pseudo, p, size));
    memcpy(p + at, &sum, 2);
}

#endif
