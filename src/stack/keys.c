/* SPDX-License-Identifier: MIT
 * SipHash-2-4, and what is derived by it. Where in the flow: stack_open makes the secret; hashes of
 * tables get their seeds, socket.c its ports, and fragment.c its identifications from it.
 *
 * Invariant: what leaves on the wire is only ever the value of a keyed hash, never a state.
 * Source: Aumasson, Bernstein, "SipHash", INDOCRYPT 2012, section 2 and appendix A. */
#include "stack/keys.h"

#include <string.h>

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void rounds(struct sip *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        v->a += v->b, v->b = rotate(v->b, 13) ^ v->a, v->a = rotate(v->a, 32);
        v->c += v->d, v->d = rotate(v->d, 16) ^ v->c;
        v->a += v->d, v->d = rotate(v->d, 21) ^ v->a;
        v->c += v->b, v->b = rotate(v->b, 17) ^ v->c, v->c = rotate(v->c, 32);
    }
}

static void absorb(struct sip *v, uint64_t word)
{
    v->d ^= word;
    rounds(v, 2);
    v->a ^= word;
}

/* Little-endian, as the paper's test vectors are. */
static uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)p[i] << 8 * i;
    return word;
}

uint64_t siphash(const struct secret *key, const void *p, size_t n)
{
    const uint8_t *at = p;
    struct sip v = {/* "somepseudorandomlygeneratedbytes" */
                    key->half[0] ^ 0x736f6d6570736575u, key->half[1] ^ 0x646f72616e646f6du,
                    key->half[0] ^ 0x6c7967656e657261u, key->half[1] ^ 0x7465646279746573u};
    for (size_t left = n; left >= 8; left -= 8, at += 8)
        absorb(&v, load(at, 8));
    absorb(&v, (uint64_t)n << 56 | load(at, n % 8));
    v.c ^= 0xff;
    rounds(&v, 4);
    return v.a ^ v.b ^ v.c ^ v.d;
}

uint64_t secret_number(const struct secret *s, enum key_purpose purpose, uint64_t i)
{
    const uint64_t of[2] = {purpose, i};
    return siphash(s, of, sizeof of);
}

struct secret secret_for(const struct secret *s, enum key_purpose purpose)
{
    return (struct secret){{secret_number(s, purpose, 0), secret_number(s, purpose, 1)}};
}

uint64_t key_of(uint64_t seed, enum key_purpose purpose)
{
    const struct secret s = {{seed, 0}};
    return secret_number(&s, purpose, 0);
}

struct secret secret_of(uint64_t seed, unsigned worker)
{
    const struct secret s = {{seed, worker}};
    return secret_for(&s, KEY_SECRET);
}
