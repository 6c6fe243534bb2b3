/* SPDX-License-Identifier: MIT
 * A random walk against a model: any order of calls that is allowed keeps every slot in exactly
 * one state.
 *
 * The model is a list of holdings: a buffer, how many references the walk has, how many
 * transmissions, whether the backend has it. After each step the pool's counts must be the
 * model's, the audit must be silent, and the bytes that the walk wrote into each buffer must
 * still be there (slots that overlap would show). The seed is printed, and SEED=n in the
 * environment walks it again. */
#include "buf.h"

#define HELD_MAX 64
#define STEPS 4000

struct holding {
    struct weir_buf *buf, *parent;
    uint32_t slots, mark, refs, tx;
    bool lent;
};

struct walk {
    struct weir_pool *pool;
    struct holding held[HELD_MAX];
    unsigned n;
    uint32_t mark;
    uint64_t random;
};

/* xorshift64* (Vigna 2016): small, and the same on every host. */
static uint32_t random_below(struct walk *w, uint32_t limit)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return (uint32_t)((w->random * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % limit;
}

/* The two ends of the slot bear the holding's mark. */
static void mark_set(const struct holding *h)
{
    if (h->parent)
        return;
    memcpy(h->buf->base, &h->mark, 4);
    memcpy(h->buf->base + h->buf->room - 4, &h->mark, 4);
}

static void mark_check(const struct holding *h)
{
    if (h->parent)
        return;
    assert_memory_equal(h->buf->base, &h->mark, 4);
    assert_memory_equal(h->buf->base + h->buf->room - 4, &h->mark, 4);
}

static void hold(struct walk *w, struct weir_buf *buf, struct weir_buf *parent)
{
    uint32_t slots = buf->section == WEIR_RUN ? buf->room / 2048 : 1;

    w->held[w->n] = (struct holding){.buf = buf,
                                     .parent = parent,
                                     .slots = slots,
                                     .refs = 1,
                                     .mark = ++w->mark};
    mark_set(&w->held[w->n++]);
}

static struct holding *any(struct walk *w)
{
    return w->n ? &w->held[random_below(w, w->n)] : NULL;
}

/* Is the slot somebody else's parent still? Then it stays in state APP when the walk lets go of
 * it. */
static bool has_views(const struct walk *w, const struct weir_buf *buf)
{
    for (unsigned i = 0; i < w->n; i++)
        if (w->held[i].parent == buf)
            return true;
    return false;
}

/* Forget what has no reference left. A parent is forgotten with its last view. */
static void forget(struct walk *w)
{
    for (unsigned i = 0; i < w->n;) {
        struct holding *h = &w->held[i];
        if (h->refs > 0 || has_views(w, h->buf)) {
            i++;
            continue;
        }
        *h = w->held[--w->n];
        i = 0; /* a view that went may have been the last of a parent before it */
    }
}

static void step_take(struct walk *w)
{
    struct weir_buf *bufs[8];
    unsigned n = min_of(1 + random_below(w, 8), HELD_MAX - w->n);

    n = pool_take(w->pool, random_below(w, 2), bufs, n);
    for (unsigned i = 0; i < n; i++)
        hold(w, bufs[i], NULL);
}

static void step_take_bytes(struct walk *w)
{
    static const uint32_t most[] = {1920, 65536, 300000};
    struct weir_buf *buf = NULL;

    if (w->n < HELD_MAX)
        buf = weir_buf_take_bytes(w->pool, random_below(w, most[random_below(w, 3)]));
    if (buf)
        hold(w, buf, NULL);
}

static void step_keep(struct walk *w)
{
    struct holding *h = any(w);
    struct weir_buf *kept;

    if (!h || h->lent || h->refs == 0 || w->n == HELD_MAX)
        return;
    kept = weir_buf_keep(h->buf);
    if (h->parent && kept)
        hold(w, kept, NULL);
    else if (!h->parent)
        h->refs++;
}

static void step_drop(struct walk *w)
{
    struct holding *h = any(w);

    if (!h || h->lent || h->refs == h->tx)
        return;
    h->refs--;
    drop(h->buf);
    forget(w);
}

/* A burst of buffers of all kinds, each once. */
static void step_drop_many(struct walk *w)
{
    struct weir_buf *bufs[HELD_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < w->n; i++) {
        struct holding *h = &w->held[i];
        if (h->lent || h->refs == h->tx || random_below(w, 3) == 0)
            continue;
        h->refs--;
        bufs[n++] = h->buf;
    }
    weir_buf_drop(bufs, n);
    forget(w);
}

static void step_send(struct walk *w)
{
    struct holding *h = any(w);
    unsigned more = random_below(w, 5);

    if (!h || h->lent || h->refs == h->tx)
        return;
    assert_true(buf_ref(h->buf, more));
    h->refs += more;
    for (unsigned i = 0; i <= more; i++, h->tx++)
        buf_to_tx(h->buf);
}

static void step_sent(struct walk *w)
{
    struct weir_buf *bufs[HELD_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < w->n; i++) {
        struct holding *h = &w->held[i];
        if (h->tx == 0 || random_below(w, 2) == 0)
            continue;
        h->tx--;
        h->refs--;
        bufs[n++] = h->buf;
    }
    buf_tx_done_many(bufs, n);
    forget(w);
}

static void step_lend(struct walk *w)
{
    struct holding *h = any(w);

    if (!h || h->parent || has_views(w, h->buf) || h->tx > 0 || h->refs != 1)
        return;
    if (h->lent)
        buf_from_backend(h->buf);
    else
        buf_to_backend(h->buf);
    h->lent = !h->lent;
}

static void step_cut(struct walk *w)
{
    struct holding *h = any(w);
    struct weir_buf *views[8];
    unsigned n;

    if (!h || h->parent || h->lent || h->refs == 0)
        return;
    n = min_of(1 + random_below(w, 8), HELD_MAX - w->n);
    n = buf_views(h->buf, h->buf->data, 1 + random_below(w, 1500), 1 + random_below(w, 300), views,
                  n);
    for (unsigned i = 0; i < n; i++)
        hold(w, views[i], h->buf);
}

static void compare(struct walk *w)
{
    uint64_t count[WEIR_SECTIONS][WEIR_STATES] = {0};
    struct weir_pool_stats stats;

    assert_sound(w->pool);
    weir_pool_stats(w->pool, &stats);
    for (unsigned i = 0; i < w->n; i++) {
        const struct holding *h = &w->held[i];
        unsigned state = h->lent ? WEIR_BACKEND : h->tx > 0 ? WEIR_TX : WEIR_APP;
        assert_int_equal(h->buf->state, state);
        count[h->buf->section][state] += h->slots;
        mark_check(h);
    }
    for (unsigned s = 0; s < WEIR_SECTIONS; s++) {
        count[s][WEIR_FREE] =
            stats.total[s] - count[s][WEIR_APP] - count[s][WEIR_TX] - count[s][WEIR_BACKEND];
        assert_memory_equal(count[s], stats.count[s], sizeof count[s]);
    }
}

/* Everything home: by completion, from the backend, by drop. */
static void go_home(struct walk *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        struct holding *h = &w->held[i];
        if (h->lent)
            buf_from_backend(h->buf);
        for (; h->tx > 0; h->tx--, h->refs--)
            buf_tx_done(h->buf);
        for (; h->refs > 0; h->refs--)
            drop(h->buf);
    }
    assert_closes(w->pool);
}

static void walk(uint64_t seed)
{
    static void (*const steps[])(
        struct walk *) = {step_take, step_take_bytes, step_keep, step_drop, step_drop_many,
                          step_send, step_sent,       step_sent, step_lend, step_cut};
    struct walk w = {.pool = pool_with(24, 6, 250, 20), .random = seed ? seed : 1};

    printf("# SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout); /* a crash must not swallow it */
    for (unsigned i = 0; i < STEPS; i++) {
        steps[random_below(&w, array_len(steps))](&w);
        compare(&w);
    }
    go_home(&w);
}

static void known_seeds_walk_in_step_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        walk(seed);
}

static void a_fresh_seed_walks_in_step_with_the_model(void **state)
{
    const char *seed = getenv("SEED");

    (void)state;
    walk(seed ? strtoull(seed, NULL, 10) : weir_now_ns());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_seeds_walk_in_step_with_the_model),
        cmocka_unit_test(a_fresh_seed_walks_in_step_with_the_model),
    };

    return run_group(tests);
}
