/* SPDX-License-Identifier: MIT
 * Fragments to datagrams.
 *
 *   fragment -> its partial (by source, destination, identification) -> parts_put: overlap? whole?
 *
 * Where in the flow: ethernet.c -> fragment4_in, fragment6_in (control.c) -> here, on worker 0 alone.
 *
 * Invariants: partials are on the list by age, whose first ends first, as all have the same time; and
 * by their last progress on two of four lists, all's and their source's: young, of one piece, and
 * grown. A partial without a buffer is dead: it only swallows the rest of its fragments, and counts
 * as young. The sum of a partial's fragments is `have`, because no two overlap; it is whole when
 * have == total.
 * Source: RFC 791, 3.2; RFC 8200, 4.5; RFC 5722 (overlaps kill); RFC 1858 (tiny first fragments). */
#include "stack/reassembly.h"
#include "stack/inside.h"
#include "stack/parts.h"

#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX
#define STALLED_NS                                                                                 \
    2000000000u         /* of one datagram the pieces come within a round trip, which
                                  RFC 6298, 2 takes for 1 s where it is not known; twice that */
#define SOURCES_EACH 4u /* for each partial, so that few share; a power of two */
#define FIRST_MIN 8u    /* the UDP header, which is all that anybody looks at: RFC 1858, 3 */
#define PAYLOAD4 65515u /* RFC 791: total length of 16 bits, 20 of them the header's */
#define PAYLOAD6 65535u /* RFC 8200, 4.5: a payload length of 16 bits */

struct partial {
    uint64_t ends_ns;
    uint8_t src[16], dst[16];
    uint32_t id, pieces;
    uint32_t chain;        /* the next of the same hash, or of the spare ones */
    uint32_t older, newer; /* by age */
    uint32_t source;       /* of the sources */
    bool grown;
    struct link {
        uint32_t before, after;
    } link[2]; /* by progress: BY_ALL, BY_SOURCE */
    uint64_t progress_ns;
    uint8_t protocol, family;
    struct weir_buf *whole; /* NULL: dead */
    struct parts parts;
};

enum { YOUNG, GROWN };
enum { BY_ALL, BY_SOURCE };

/* Partials by their last progress. */
struct queues {
    uint32_t first[2], last[2]; /* YOUNG, GROWN */
    uint32_t count;             /* of both */
};

struct reassembly {
    struct weir_pool *pool;
    struct counters *counters;
    uint64_t timeout_ns, seed;
    uint32_t max, count, mask;
    uint32_t spare, oldest, newest;
    struct partial *partial;
    uint32_t *bucket; /* mask + 1 of them: the first of a chain */
    uint32_t sources_mask;
    struct queues all, *source; /* by a keyed hash; two that collide share a quarter */
};

/* ---- birth and death ------------------------------------------------------------------------- */

static void make_lists(struct reassembly *r)
{
    for (uint32_t i = 0; i <= r->mask; i++)
        r->bucket[i] = NONE;
    for (uint32_t i = 0; i < r->max; i++)
        r->partial[i].chain = i + 1 < r->max ? i + 1 : NONE;
    r->oldest = r->newest = NONE;
    r->all = (struct queues){{NONE, NONE}, {NONE, NONE}, 0};
    for (uint32_t i = 0; i <= r->sources_mask; i++)
        r->source[i] = r->all;
}

struct reassembly *reassembly_open(const struct reassembly_opt *opt, struct weir_why *why)
{
    assert(opt->max > 0 && opt->timeout_ns > 0);
    struct reassembly *r = calloc(1, sizeof *r);
    uint32_t buckets = 8;
    while (buckets < opt->max && buckets < 1u << 28)
        buckets *= 2;
    struct partial *partial = calloc(opt->max, sizeof *partial);
    uint32_t *bucket = calloc(buckets, sizeof *bucket);
    struct queues *source = calloc(SOURCES_EACH * buckets, sizeof *source);
    if (!r || !partial || !bucket || !source) {
        free(r), free(partial), free(bucket), free(source);
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
                             .bucket = bucket,
                             .sources_mask = (uint32_t)(SOURCES_EACH * buckets - 1),
                             .source = source};
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

/* Who sends: of IPv6 a /64, which is what anybody has as a whole (RFC 4291, 2.5.4). */
static uint32_t source_of(const struct reassembly *r, const uint8_t src[16])
{
    uint64_t half[2];
    memcpy(half, src, 16);
    uint64_t low = ip_is_4(src) ? half[1] : 0, key = r->seed * 0xbf58476d1ce4e5b9u; /* splitmix64 */
    return (uint32_t)(mix(half[0] ^ key, low ^ (key >> 32 | 1)) & r->sources_mask);
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

static void queue_last(struct reassembly *r, struct queues *q, unsigned by, struct partial *p)
{
    uint32_t number = (uint32_t)(p - r->partial), last = q->last[p->grown];
    p->link[by] = (struct link){last, NONE};
    *(last == NONE ? &q->first[p->grown] : &r->partial[last].link[by].after) = number;
    q->last[p->grown] = number;
    q->count++;
}

static void queue_leave(struct reassembly *r, struct queues *q, unsigned by, struct partial *p)
{
    struct link l = p->link[by];
    *(l.before == NONE ? &q->first[p->grown] : &r->partial[l.before].link[by].after) = l.after;
    *(l.after == NONE ? &q->last[p->grown] : &r->partial[l.after].link[by].before) = l.before;
    q->count--;
}

static void enqueue(struct reassembly *r, struct partial *p, bool grown)
{
    p->grown = grown;
    queue_last(r, &r->all, BY_ALL, p);
    queue_last(r, &r->source[p->source], BY_SOURCE, p);
}

static void dequeue(struct reassembly *r, struct partial *p)
{
    queue_leave(r, &r->all, BY_ALL, p);
    queue_leave(r, &r->source[p->source], BY_SOURCE, p);
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
    dequeue(r, p);
    p->whole = NULL;
    p->chain = r->spare;
    r->spare = number;
    r->count--;
}

static void end(struct reassembly *r, struct partial *p)
{
    if (p->whole)
        frame_drop(p->whole);
    forget(r, p);
}

/* A place of these: the oldest of one piece, else one whose last piece is long ago. A flood of first
 * pieces, which costs nothing to forge, so takes places from itself. */
static bool evict(struct reassembly *r, const struct queues *q, uint64_t now_ns)
{
    uint32_t number = q->first[YOUNG];
    if (number == NONE) {
        number = q->first[GROWN];
        if (number == NONE || now_ns < r->partial[number].progress_ns + STALLED_NS)
            return false;
    }
    COUNT(r->counters, fragment_full, r->partial[number].whole != NULL);
    end(r, &r->partial[number]);
    return true;
}

/* A place and a buffer. A quarter of the places at most are of one source. */
static bool make_room(struct reassembly *r, uint32_t source, struct weir_buf **whole,
                      uint64_t now_ns)
{
    const struct queues *its = &r->source[source];
    if (its->count >= max_of(r->max / 4, 1u) && !evict(r, its, now_ns))
        return false;
    if (r->count == r->max && !evict(r, &r->all, now_ns))
        return false;
    while (!pool_take(r->pool, WEIR_BIG, whole, 1))
        if (!evict(r, &r->all, now_ns))
            return false;
    return true;
}

static struct partial *begin(struct reassembly *r, const struct fragment *f, uint64_t now_ns)
{
    struct weir_buf *whole;
    uint32_t source = source_of(r, f->src);
    if (!make_room(r, source, &whole, now_ns)) {
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
                          .source = source,
                          .progress_ns = now_ns,
                          .protocol = f->protocol,
                          .family = family_of(f),
                          .whole = whole};
    memcpy(p->src, f->src, 16);
    memcpy(p->dst, f->dst, 16);
    *bucket = number;
    *(r->newest == NONE ? &r->oldest : &r->partial[r->newest].newer) = number;
    r->newest = number;
    enqueue(r, p, false);
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
    dequeue(r, p);
    enqueue(r, p, false);
}

static void put(struct reassembly *r, struct partial *p, const struct fragment *f, uint64_t now_ns)
{
    memcpy(p->whole->data + f->offset, f->data, f->len);
    COUNT(r->counters, copies, 1);
    COUNT(r->counters, copied_bytes, f->len);
    if (p->pieces++) {
        dequeue(r, p);
        enqueue(r, p, true);
    }
    p->progress_ns = now_ns;
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
                            uint8_t *protocol, uint64_t now_ns)
{
    switch (parts_put(&p->parts, f->offset, f->len, f->more)) {
    case PARTS_NEW: put(r, p, f, now_ns); return NULL;
    case PARTS_WHOLE: put(r, p, f, now_ns); return finish(r, p, protocol);
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
    return p ? add(r, p, f, protocol, now_ns) : NULL;
}

/* ---- time ------------------------------------------------------------------------------------ */

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
    free(r->source);
    free(r);
}
