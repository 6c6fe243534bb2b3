/* SPDX-License-Identifier: MIT
 * Secrets of one engine: what its ports, identifications and hashes are drawn from, when nobody
 * named a seed. The kernel's random bytes, so that no peer can aim at a table's bucket
 * (getrandom(2)). */
#include "base.h"

#include <sys/random.h>

uint64_t seed_random(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed ^= weir_now_ns(); /* before Linux 3.17, or a filter that forbids it */
    return seed | 1;
}
