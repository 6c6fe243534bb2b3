/* SPDX-License-Identifier: MIT
 * Token buckets in arithmetic alone: the generic cell rate algorithm (ITU-T I.371, annex A), which
 * keeps one time, that at which the bucket would be full again, instead of tokens and a refill. */
#ifndef WEIR_STACK_LIMIT_H
#define WEIR_STACK_LIMIT_H

#include "base/base.h"

struct limit {
    uint64_t full_ns;  /* when the bucket is full again; in the past: it is */
    uint64_t each_ns;  /* a token's worth */
    uint64_t burst_ns; /* that of all tokens but one */
};

/* `rate` tokens a second, at most `burst` at once; neither 0. */
static inline struct limit limit_of(uint32_t rate, uint32_t burst)
{
    uint64_t each = 1000000000u / rate;
    return (struct limit){.each_ns = each, .burst_ns = each * (burst - 1)};
}
static inline bool limit_ok(const struct limit *l, uint64_t now_ns)
{
    return l->full_ns <= now_ns || l->full_ns - now_ns <= l->burst_ns;
}
/* Take a token; false: there is none. */
static inline bool limit_take(struct limit *l, uint64_t now_ns)
{
    if (!limit_ok(l, now_ns))
        return false;
    l->full_ns = max_of(l->full_ns, now_ns) + l->each_ns;
    return true;
}
/* When there is a token again; `now_ns` where there is one. */
static inline uint64_t limit_next_ns(const struct limit *l, uint64_t now_ns)
{
    return limit_ok(l, now_ns) ? now_ns : l->full_ns - l->burst_ns;
}

/* A bucket a destination, by hash, so that one that provokes answers does not use up another's.
 * Two that collide share one: a seed that nobody knows makes them collide by chance only. */
struct limits;

struct limits *limits_open(uint32_t rate, uint32_t burst, uint64_t seed, struct weir_why *why);
void limits_close(struct limits *l);
bool limits_take(struct limits *l, const uint8_t ip[16], uint64_t now_ns);

#endif
