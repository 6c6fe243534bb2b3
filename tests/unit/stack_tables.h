/* SPDX-License-Identifier: MIT
 * What the tests of the stack's tables share: addresses, MACs, times, counters. */
#ifndef WEIR_TEST_STACK_TABLES_H
#define WEIR_TEST_STACK_TABLES_H

#include "buf.h"

#include "stat/counter.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define START (1000 * SECOND) /* nothing begins at 0 */

struct ip {
    uint8_t at[16];
};
struct mac {
    uint8_t at[6];
};

/* 10.x.y.z, mapped, from a number. */
static inline struct ip ip4_of(uint32_t n)
{
    return (struct ip){{[10] = 0xff,
                        [11] = 0xff,
                        [12] = 10,
                        [13] = (uint8_t)(n >> 16),
                        [14] = (uint8_t)(n >> 8),
                        [15] = (uint8_t)n}};
}
static inline struct ip ip6_of(uint32_t n)
{
    return (struct ip){
        {0xfd, [13] = (uint8_t)(n >> 16), [14] = (uint8_t)(n >> 8), [15] = (uint8_t)n}};
}
static inline struct mac mac_of(uint32_t n)
{
    return (struct mac){
        {2, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

#define COUNTED(c, name) ((uint64_t)atomic_load(&(c)->name))

#endif
