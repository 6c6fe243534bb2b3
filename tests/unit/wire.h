/* SPDX-License-Identifier: MIT
 * What the tests of src/wire/ share: a seeded generator, bytes at an exact size (so that ASan sees
 * a read past them), and frames that a Linux kernel sent.
 *
 * A property is tried once a seed, 0 .. TRIALS - 1; a failure names its seed. */
#ifndef WEIR_TEST_WIRE_H
#define WEIR_TEST_WIRE_H

#include "test.h"

#include "wire/wire.h"

#define TRIALS 100000u
#define FRAME_MAX 2048u

#define HOLDS(seed, condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %u: %s", (unsigned)(seed), #condition);                                 \
    } while (0)

struct rng {
    uint64_t state;
};

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */
static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
    return rng_next(rng) % n;
}
static inline void rng_fill(struct rng *rng, void *ret, size_t n)
{
    uint8_t *p = ret;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rng_next(rng);
}

/* A copy that ends where its memory does. The caller frees it. */
static inline uint8_t *exact(const void *from, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    assert_non_null(p);
    if (n)
        memcpy(p, from, n);
    return n ? p : p + 1;
}
static inline void exact_free(uint8_t *p, size_t n)
{
    free(n ? p : p - 1);
}

/* What a parser says of the first `n` bytes, none of which lies before the end of the memory. */
typedef int parse_fn(const uint8_t *p, size_t n);
static inline int parse_exact(parse_fn *parse, const uint8_t *p, size_t n)
{
    uint8_t *copy = exact(p, n);
    int r = parse(copy, n);
    exact_free(copy, n);
    return r;
}
/* Every truncation below `whole` is refused, that and longer ones up to `n` are taken alike. */
static inline void assert_truncations(parse_fn *parse, const uint8_t *p, size_t n, size_t whole)
{
    for (size_t i = 0; i <= n; i++) {
        int r = parse_exact(parse, p, i);
        if (i < whole ? r >= 0 : r < 0)
            fail_msg("%d for the first %zu bytes", r, i);
    }
}

static inline size_t unhex(const char *text, uint8_t *ret)
{
    size_t n = strlen(text) / 2;
    assert_true(n <= FRAME_MAX);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        ret[i] = (uint8_t)byte;
    }
    return n;
}

/* Sent by Linux 6.18 over a veth pair, 10.9.0.1 and fd09::1 at one end, .2 and ::2 at the other. */
#define FRAME_ARP_REQUEST                                                                          \
    "ffffffffffff02000000000a0806000108000604000102000000000a0a0900010000000000000a090002"
#define FRAME_ARP_REPLY                                                                            \
    "02000000000a02000000000b0806000108000604000202000000000b0a09000202000000000a0a090001"
#define FRAME_ECHO                                                                                 \
    "02000000000b02000000000a0800450000240fea4000400116db0a0900010a09000208002"                    \
    "41b123400017765697277656972"
#define FRAME_ECHO_REPLY                                                                           \
    "02000000000a02000000000b080045000024913200004001d5920a0900020a0900010000"                     \
    "2c1b123400017765697277656972"
#define FRAME_SOLICITATION                                                                         \
    "3333ff00000202000000000a86dd6000000000203afffd090000000000000000000000000001"                 \
    "ff0200000000000000000001ff00000287007d7c00000000fd0900000000000000000000000000020101"         \
    "02000000000a"
#define FRAME_SOLICITATION_NONCE                                                                   \
    "3333ff00000a02000000000a86dd6000000000203aff00000000000000000000000000000000"                 \
    "ff0200000000000000000001ff00000a87006d6600000000fe80000000000000000000fffe00000a0e01"         \
    "8b72baeebb42"
#define FRAME_ADVERTISEMENT                                                                        \
    "02000000000a02000000000b86dd6000000000203afffd090000000000000000000000000002"                 \
    "fd09000000000000000000000000000188001c7660000000fd0900000000000000000000000000020201"         \
    "02000000000b"
#define FRAME_ECHO6                                                                                \
    "02000000000b02000000000a86dd60056c7400103a40fd090000000000000000000000000001"                 \
    "fd0900000000000000000000000000028000b1b9123400017765697277656972"
/* Leaves a multicast listener report behind a hop-by-hop header with a router alert. */
#define FRAME_HOP_BY_HOP                                                                           \
    "33330000001602000000000b86dd600000000038000100000000000000000000000000000000"                 \
    "ff0200000000000000000000000000163a000502000001008f006d630000000204000000"                     \
    "ff0200000000000000000001ff00000b04000000ff0200000000000000000001ff000002"
#define FRAME_UDP                                                                                  \
    "02000000000b02000000000a0800450000202e6d40004011f84b0a0900010a090002c3541b58"                 \
    "000c2c3d77656972"
#define FRAME_UNREACHABLE                                                                          \
    "02000000000a02000000000b080045c0003c914600004001d4a60a0900020a0900010303112f"                 \
    "00000000450000202e6d40004011f84b0a0900010a090002c3541b58000c2c3d77656972"
/* With a record route option of one address. */
#define FRAME_OPTIONS                                                                              \
    "02000000000b02000000000a0800470000272e6e40004011dd320a0900010a09000207070"                    \
    "80a09000100c3541b59000b29a56f7074"
#define FRAME_LAST_FRAGMENT                                                                        \
    "02000000000b02000000000a0800450000302e6f00b9401137810a0900010a090002"                         \
    "00000000000000000000000000000000000000000000000000000000"
#define FRAME_UDP6                                                                                 \
    "02000000000b02000000000a86dd600532a0000d1140fd090000000000000000000000000001"                 \
    "fd090000000000000000000000000002c6841b58000d22097765697221"
#define FRAME_UNREACHABLE6                                                                         \
    "02000000000a02000000000b86dd600c9239003d3a40fd090000000000000000000000000002"                 \
    "fd0900000000000000000000000000010104609900000000600532a0000d1140fd09000000000000"             \
    "0000000000000001fd090000000000000000000000000002c6841b58000d22097765697221"
/* With a destination options header: an unknown option of 4 bytes that may be skipped. */
#define FRAME_DESTINATION                                                                          \
    "02000000000b02000000000a86dd600f399e00133c40fd090000000000000000000000000001"                 \
    "fd09000000000000000000000000000211001e0401020304c6841b59000b4b70647374"

#endif
