/* SPDX-License-Identifier: MIT
 * Fragments of four sources in any order, overlapping or not, with time going on, against a model
 * that keeps a list of what came and compares each with each. Both agree in every counter and in
 * every datagram; the pool stays sound. An input is a list of commands of five bytes. */
#include "stack/reassembly.h"

#include "stat/counter.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 8, BIG = 6, KEYS = 32, SOURCES = 4, PIECES_MAX = 512, COMMAND = 5 };
#define TIMEOUT_NS 1000u

/* Not assert: a build without assertions must fuzz as well. */
static void demand(bool holds)
{
    if (!holds)
        abort();
}

/* ---- the model ------------------------------------------------------------------------------- */

struct piece {
    uint32_t offset, len, version;
    bool more;
};

struct model {
    struct of_key {
        bool begun, dead;
        uint64_t ends_ns;
        uint64_t heard; /* when it began, grew or died, in order */
        unsigned n;
        struct piece piece[PIECES_MAX];
    } key[KEYS];
    uint64_t bad, again, full, timeout, whole, order;
};

static struct model model;
static struct counters counters;
static uint8_t pattern[65536 + 8];

static uint32_t source_of(unsigned key)
{
    return key % SOURCES;
}

static bool model_sound(const struct piece *p)
{
    if (p->len == 0 || p->offset + p->len > 65515 || (p->more && p->len % 8))
        return false;
    return p->offset != 0 || p->len >= 8;
}

/* The oldest of one piece, or dead: of a source, or (SOURCES) of all. What has more never stalls
 * here: its time is over before. */
static bool model_evict(unsigned source)
{
    struct of_key *oldest = NULL;
    for (unsigned i = 0; i < KEYS; i++) {
        struct of_key *k = &model.key[i];
        if (k->begun && (k->dead || k->n < 2) && (source == SOURCES || source_of(i) == source) &&
            (!oldest || k->heard < oldest->heard))
            oldest = k;
    }
    if (!oldest)
        return false;
    model.full += !oldest->dead;
    oldest->begun = false;
    return true;
}

static unsigned model_count(unsigned source, bool alive)
{
    unsigned n = 0;
    for (unsigned i = 0; i < KEYS; i++)
        n += model.key[i].begun && (source == SOURCES || source_of(i) == source) &&
             !(alive && model.key[i].dead);
    return n;
}

static bool model_may_begin(unsigned key)
{
    unsigned source = source_of(key);
    if (model_count(source, false) >= MAX / 4 && !model_evict(source))
        return false;
    if (model_count(SOURCES, false) == MAX && !model_evict(SOURCES))
        return false;
    while (model_count(SOURCES, true) == BIG)
        if (!model_evict(SOURCES))
            return false;
    return true;
}

static bool same_piece(const struct piece *a, const struct piece *b)
{
    return a->offset == b->offset && a->len == b->len && a->more == b->more;
}

static bool same_bytes(const struct piece *a, const struct piece *b)
{
    return memcmp(pattern + a->version + a->offset, pattern + b->version + b->offset, a->len) == 0;
}

/* Can both be of one datagram, and are not the same? */
static bool compatible(const struct piece *a, const struct piece *b)
{
    uint32_t a_end = a->offset + a->len, b_end = b->offset + b->len;
    if (!a->more && !b->more)
        return false;
    if ((!a->more && b_end > a_end) || (!b->more && a_end > b_end))
        return false;
    return a_end <= b->offset || b_end <= a->offset;
}

enum outcome { NOTHING, WHOLE };

static enum outcome model_add(struct of_key *k, const struct piece *p)
{
    uint32_t sum = p->len, total = p->more ? 0 : p->offset + p->len;
    for (unsigned i = 0; i < k->n; i++) {
        if (same_piece(&k->piece[i], p) && same_bytes(&k->piece[i], p)) {
            model.again++;
            return NOTHING;
        }
        if (!compatible(&k->piece[i], p)) {
            model.bad += k->n + 1;
            k->dead = true;
            k->heard = ++model.order;
            return NOTHING;
        }
        sum += k->piece[i].len;
        total = k->piece[i].more ? total : k->piece[i].offset + k->piece[i].len;
    }
    k->piece[k->n++] = *p;
    k->heard = ++model.order;
    if (total == 0 || sum != total)
        return NOTHING;
    model.whole++;
    return WHOLE;
}

static enum outcome model_in(unsigned key, const struct piece *p, uint64_t now_ns)
{
    struct of_key *k = &model.key[key];
    if (!model_sound(p) || (k->begun && k->dead)) {
        model.bad++;
        return NOTHING;
    }
    if (!k->begun && !model_may_begin(key)) {
        model.full++;
        return NOTHING;
    }
    if (!k->begun)
        k->n = 0, k->dead = false, k->ends_ns = now_ns + TIMEOUT_NS;
    k->begun = true;
    return model_add(k, p);
}

static void model_expire(uint64_t now_ns)
{
    for (unsigned i = 0; i < KEYS; i++) {
        struct of_key *k = &model.key[i];
        if (!k->begun || k->ends_ns > now_ns)
            continue;
        model.timeout += !k->dead;
        k->begun = false;
    }
}

/* ---- both ------------------------------------------------------------------------------------ */

static void check_whole(unsigned key, const struct weir_buf *buf)
{
    struct of_key *k = &model.key[key];
    uint32_t sum = 0;
    for (unsigned i = 0; i < k->n; i++) {
        const struct piece *p = &k->piece[i];
        demand(memcmp(buf->data + p->offset, pattern + p->version + p->offset, p->len) == 0);
        sum += p->len;
    }
    demand(buf->len == sum);
    k->begun = false;
}

#define SAME(name, of_model) demand(atomic_load(&counters.name) == (of_model))

static void check_counters(void)
{
    SAME(fragment_bad, model.bad);
    SAME(fragment_again, model.again);
    SAME(fragment_full, model.full);
    SAME(fragment_timeout, model.timeout);
    SAME(reassembled, model.whole);
}

/* key 5 bits, time 3 | offset 16: units, so that most are near each other | len 8 | more, version */
static void step(struct reassembly *r, const uint8_t *c, uint64_t *now_ns)
{
    unsigned key = c[0] & 31;
    struct piece p = {.offset = (c[1] | (c[4] & 0x40 ? c[2] << 8 : 0)) * 8u % 65536,
                      .more = c[4] & 1,
                      .version = c[4] >> 1 & 1};
    p.len = c[4] & 4 ? c[3] * 8u : c[3];
    *now_ns += (c[0] >> 5) * (c[0] >> 5) * 8u;
    reassembly_expire(r, *now_ns);
    model_expire(*now_ns);
    if (model.key[key].begun && model.key[key].n == PIECES_MAX)
        return;
    struct fragment f = {.src = {[10] = 0xff, [11] = 0xff, [15] = (uint8_t)source_of(key)},
                         .id = key / SOURCES,
                         .protocol = 17,
                         .ip4 = true,
                         .more = p.more,
                         .offset = p.offset,
                         .len = p.len};
    uint8_t *copy = malloc(p.len ? p.len : 1), protocol; /* so that a read beyond it is seen */
    demand(copy != NULL);
    if (p.offset + p.len <= 65536)
        memcpy(copy, pattern + p.version + p.offset, p.len);
    f.data = copy;
    struct weir_buf *whole = reassembly_in(r, &f, &protocol, *now_ns);
    free(copy);
    demand((model_in(key, &p, *now_ns) == WHOLE) == (whole != NULL));
    check_counters();
    if (whole) {
        check_whole(key, whole);
        weir_buf_drop(&whole, 1);
    }
}

static struct weir_pool *pool_once(void)
{
    static struct weir_pool *pool;
    struct weir_pool_opt opt = {.small = 1,
                                .big = BIG,
                                .node = WEIR_NODE_ANY,
                                .mem_flags = WEIR_MEM_NO_HUGE | WEIR_MEM_NO_LOCK};
    for (uint32_t i = 0; !pool && i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 31 + (i >> 8));
    if (!pool)
        pool = weir_pool_open(&opt, NULL);
    demand(pool != NULL);
    return pool;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_pool *pool = pool_once();
    struct reassembly_opt opt = {pool, &counters, MAX, TIMEOUT_NS, 1};
    struct reassembly *r = reassembly_open(&opt, NULL);
    uint64_t now_ns = 1;
    demand(r != NULL);
    for (unsigned i = 0; i < KEYS; i++)
        model.key[i].begun = false;
    model.bad = model.again = model.full = model.timeout = model.whole = 0;
    memset(&counters, 0, sizeof counters);
    for (; size >= COMMAND; data += COMMAND, size -= COMMAND)
        step(r, data, &now_ns);
    demand(weir_pool_check(pool, NULL) == 0);
    reassembly_close(r);
    demand(weir_pool_check(pool, NULL) == 0);
    return 0;
}
