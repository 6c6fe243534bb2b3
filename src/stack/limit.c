/* SPDX-License-Identifier: MIT
 * A bucket a destination: a table of times by the hash of the address (limit.h has the rest).
 * Invariant: an entry is what limit.full_ns is; 0 is full. Source: RFC 4443, 2.4 (f); Linux's
 * icmp_ratelimit is a bucket a destination as well. */
#include "stack/limit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024u /* a power of two; 8 KiB */

struct limits {
    struct limit shape;
    uint64_t seed[2];
    uint64_t full_ns[BUCKETS];
};

struct limits *limits_open(uint32_t rate, uint32_t burst, uint64_t seed, struct weir_why *why)
{
    struct limits *l = calloc(1, sizeof *l);
    if (!l) {
        why_set(why, -ENOMEM, "rate limits", "", "no memory for %u buckets", BUCKETS);
        return NULL;
    }
    l->shape = limit_of(rate, burst);
    /* The constants of splitmix64, as in cells.c */
    l->seed[0] = (seed ^ 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    l->seed[1] = (l->seed[0] ^ l->seed[0] >> 29) * 0x94d049bb133111ebu;
    return l;
}

void limits_close(struct limits *l)
{
    free(l);
}

bool limits_take(struct limits *l, const uint8_t ip[16], uint64_t now_ns)
{
    uint64_t half[2];
    __extension__ typedef unsigned __int128 u128;
    memcpy(half, ip, 16);
    u128 product = (u128)(half[0] ^ l->seed[0]) * (half[1] ^ l->seed[1]);
    uint64_t *full_ns =
        &l->full_ns[((uint64_t)product ^ (uint64_t)(product >> 64)) & (BUCKETS - 1)];
    struct limit limit = l->shape;
    limit.full_ns = *full_ns;
    bool taken = limit_take(&limit, now_ns);
    *full_ns = limit.full_ns;
    return taken;
}
