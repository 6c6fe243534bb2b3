/* SPDX-License-Identifier: MIT
 * Fragments to datagrams.
 *
 *   fragment -> its partial (by source, destination, identification) -> parts_put: overlap? whole?
 *
 * Where in the flow: ethernet.c -> fragment4_in, fragment6_in (control.c) -> here, on worker 0 alone.
 *
 * Invariants: live partials are on the list by age, whose first ends first, as all have the same
 * time; a partial without a buffer is dead: it only swallows the rest of its fragments. The sum of a
 * partial's fragments is `have`, because no two overlap; it is whole when have == total.
 * Source: RFC 791, 3.2; RFC 8200, 4.5; RFC 5722 (overlaps kill); RFC 1858 (tiny first fragments). */
#include "stack/reassembly.h"
#include "stack/inside.h"
#include "stack/parts.h"

#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX
#define FIRST_MIN 8u    /* the UDP header, which is all that anybody looks at: RFC 1858, 3 */
#define PAYLOAD4 65515u /* RFC 791: total length of 16 bits, 20 of them the header's */
#define PAYLOAD6 65535u /* RFC 8200, 4.5: a payload length of 16 bits */

struct partial {
    uint64_t ends_ns;
    uint8_t src[16], dst[16];
    uint32_t id, pieces;
    uint32_t chain;        /* the next of the same hash, or of the spare ones */
    uint32_t older, newer; /* by age */
    uint8_t protocol, family;
    struct weir_buf *whole; /* NULL: dead */
    struct parts parts;
};

struct reassembly {
    struct weir_pool *pool;
    struct counters *counters;
    uint64_t timeout_ns, seed;
    uint32_t max, count, mask;
    uint32_t spare, oldest, newest;
    struct partial *partial;
    uint32_t *bucket; /* mask + 1 of them: the first of a chain */
};

/* ---- birth and death ------------------------------------------------------------------------- */

static void make_lists(struct reassembly *r)
{
    for (uint32_t i = 0; i <= r->mask; i++)
        r->bucket[i] = NONE;
    for (uint32_t i = 0; i < r->max; i++)
        r->partial[i].chain = i + 1 < r->max ? i + 1 : NONE;
    r->oldest = r->newest = NONE;
}

struct reassembly *reassembly_open(const struct reassembly_opt *opt, struct weir_why *why)
{
    assert(opt->max > 0 && opt->timeout_ns > 0);
    struct reassembly *r = calloc(1, sizeof *r);
    uint32_t buckets = 8;
    while (buckets < opt->max && buckets < 1u << 30)
        buckets *= 2;
    struct partial *partial = calloc(opt->max, sizeof *partial);
    uint32_t *bucket = calloc(buckets, sizeof *bucket);
    if (!r || !partial || !bucket) {
        free(r), free(partial), free(bucket);
        why_set(why, -ENOMEM, "fragments_max", "give fewer", "no memory for %u datagrams",
                opt->max);
        return NULL;
    }
    *r = (struct reassembly){.pool = opt->pool,
                             .counters = opt->counters,
                             .timeout_ns = opt->timeout_ns,
                             .seed = opt->seed | 1,
                             .max = opt->max,
                             .mask = buckets - 1,
                             .partial = partial,
                             .bucket = bucket};
    make_lists(r);
    return r;
}

/* ---- the lists ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)a * b; /* after wyhash, as in cells.c */
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t *bucket_of(struct reassembly *r, const uint8_t src[16], uint32_t id)
{
    uint64_t half[2];
    memcpy(half, src, 16);
    uint64_t hash = mix(half[0] ^ r->seed ^ id, half[1] ^ r->seed * 0x9e3779b97f4a7c15u);
    return &r->bucket[hash & r->mask];
}

static uint8_t family_of(const struct fragment *f)
{
    return f->ip4 ? 4 : 6;
}

static bool is_its(const struct partial *p, const struct fragment *f)
{
    return p->id == f->id && ip_equal(p->src, f->src) && ip_equal(p->dst, f->dst) &&
           p->family == family_of(f) && (!f->ip4 || p->protocol == f->protocol);
}

static struct partial *find(struct reassembly *r, const struct fragment *f)
{
    for (uint32_t i = *bucket_of(r, f->src, f->id); i != NONE; i = r->partial[i].chain)
        if (is_its(&r->partial[i], f))
            return &r->partial[i];
    return NULL;
}

static void unchain(struct reassembly *r, uint32_t number)
{
    struct partial *p = &r->partial[number];
    uint32_t *at = bucket_of(r, p->src, p->id);
    while (*at != number)
        at = &r->partial[*at].chain;
    *at = p->chain;
    *(p->older == NONE ? &r->oldest : &r->partial[p->older].newer) = p->newer;
    *(p->newer == NONE ? &r->newest : &r->partial[p->newer].older) = p->older;
}

/* Its buffer is the caller's, or gone. */
static void forget(struct reassembly *r, struct partial *p)
{
    uint32_t number = (uint32_t)(p - r->partial);
    unchain(r, number);
    p->whole = NULL;
    p->chain = r->spare;
    r->spare = number;
    r->count--;
}

/* A quarter of the places at most are of one source. */
static bool has_many(const struct reassembly *r, const uint8_t src[16])
{
    uint32_t n = 0, most = max_of(r->max / 4, 1u);
    for (uint32_t i = r->oldest; i != NONE && n < most; i = r->partial[i].newer)
        n += ip_equal(r->partial[i].src, src);
    return n >= most;
}

static struct partial *begin(struct reassembly *r, const struct fragment *f, uint64_t now_ns)
{
    struct weir_buf *whole;
    if (r->count == r->max || has_many(r, f->src) || !pool_take(r->pool, WEIR_BIG, &whole, 1)) {
        COUNT(r->counters, fragment_full, 1);
        return NULL;
    }
    uint32_t number = r->spare, *bucket = bucket_of(r, f->src, f->id);
    struct partial *p = &r->partial[number];
    r->spare = p->chain;
    *p = (struct partial){.ends_ns = now_ns + r->timeout_ns,
                          .id = f->id,
                          .chain = *bucket,
                          .older = r->newest,
                          .newer = NONE,
                          .protocol = f->protocol,
                          .family = family_of(f),
                          .whole = whole};
    memcpy(p->src, f->src, 16);
    memcpy(p->dst, f->dst, 16);
    *bucket = number;
    *(r->newest == NONE ? &r->oldest : &r->partial[r->newest].newer) = number;
    r->newest = number;
    r->count++;
    return p;
}

/* ---- fragments ------------------------------------------------------------------------------- */

/* Whatever datagram it is of. */
static bool is_sound(const struct fragment *f)
{
    uint32_t most = f->ip4 ? PAYLOAD4 : PAYLOAD6;
    if (f->len == 0 || f->offset % 8 || f->offset > most || f->len > most - f->offset)
        return false;
    if (f->more && f->len % 8)
        return false;
    return f->offset || f->len >= FIRST_MIN;
}

/* RFC 5722: all that came of it and all that still comes is dropped. */
static void kill_partial(struct reassembly *r, struct partial *p)
{
    COUNT(r->counters, fragment_bad, p->pieces);
    p->pieces = 0;
    frame_drop(p->whole);
    p->whole = NULL;
}

static void put(struct reassembly *r, struct partial *p, const struct fragment *f)
{
    memcpy(p->whole->data + f->offset, f->data, f->len);
    COUNT(r->counters, copies, 1);
    COUNT(r->counters, copied_bytes, f->len);
    p->pieces++;
    if (f->offset == 0)
        p->protocol = f->protocol;
}

static struct weir_buf *finish(struct reassembly *r, struct partial *p, uint8_t *protocol)
{
    struct weir_buf *whole = p->whole;
    whole->len = p->parts.total;
    *protocol = p->protocol;
    COUNT(r->counters, reassembled, 1);
    forget(r, p);
    return whole;
}

static struct weir_buf *add(struct reassembly *r, struct partial *p, const struct fragment *f,
                            uint8_t *protocol)
{
    switch (parts_put(&p->parts, f->offset, f->len, f->more)) {
    case PARTS_NEW: put(r, p, f); return NULL;
    case PARTS_WHOLE: put(r, p, f); return finish(r, p, protocol);
    case PARTS_AGAIN:
        if (memcmp(p->whole->data + f->offset, f->data, f->len) == 0) {
            COUNT(r->counters, fragment_again, 1);
            return NULL;
        }
        break;
    case PARTS_BAD: break;
    }
    COUNT(r->counters, fragment_bad, 1);
    kill_partial(r, p);
    return NULL;
}

struct weir_buf *reassembly_in(struct reassembly *r, const struct fragment *f, uint8_t *protocol,
                               uint64_t now_ns)
{
    struct partial *p = find(r, f);
    if (p && p->ends_ns <= now_ns) {
        reassembly_expire(r, now_ns); /* identifications come again; its time is over */
        p = NULL;
    }
    if (!is_sound(f) || (p && !p->whole)) {
        COUNT(r->counters, fragment_bad, 1);
        return NULL;
    }
    if (!p)
        p = begin(r, f, now_ns);
    return p ? add(r, p, f, protocol) : NULL;
}

/* ---- time ------------------------------------------------------------------------------------ */

static void end(struct reassembly *r, struct partial *p)
{
    if (p->whole)
        frame_drop(p->whole);
    forget(r, p);
}

void reassembly_expire(struct reassembly *r, uint64_t now_ns)
{
    while (r->oldest != NONE && r->partial[r->oldest].ends_ns <= now_ns) {
        COUNT(r->counters, fragment_timeout, r->partial[r->oldest].whole != NULL);
        end(r, &r->partial[r->oldest]);
    }
}

uint64_t reassembly_next_ns(const struct reassembly *r)
{
    return r->oldest == NONE ? UINT64_MAX : r->partial[r->oldest].ends_ns;
}

uint32_t reassembly_count(const struct reassembly *r)
{
    return r->count;
}

void reassembly_close(struct reassembly *r)
{
    while (r->oldest != NONE)
        end(r, &r->partial[r->oldest]);
    free(r->partial);
    free(r->bucket);
    free(r);
}
