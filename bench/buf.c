/* SPDX-License-Identifier: MIT
 * bench/buf: what a buffer costs, in cycles (TSC) each, beside malloc and free of the same size.
 *
 * A round has DEPTH buffers out: it takes them in bursts, then gives them back in bursts, and
 * each half is timed as a whole, less the two readings of the counter. The row is the median of
 * ROUNDS rounds; the least is beside it. Rows interleave. Like for like: malloc hands out 2,048
 * bytes and its first line is written, as a taken buffer's header is, and glibc may keep what
 * was freed, where its default would give it back to the kernel each round. "away" is dropped on
 * another core and collected at home; the canary tells the hop between the two. */
#include "buf/pool.h"
#include "pair.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#define DEPTH 256u /* buffers out: their headers are 16 KiB, half of a first-level cache */
#define ROUNDS 4001
#define SEGMENT 128u /* bytes of a view */

struct bench {
    struct weir_pool *pool;
    struct weir_buf *bufs[DEPTH], *parent;
    void *blocks[DEPTH];
};

/* A row: get and give move `n` buffers from `at` on. */
struct row {
    const char *name;
    void (*get)(struct bench *b, unsigned at, unsigned n);
    void (*give)(struct bench *b, unsigned at, unsigned n);
};

static void small_get(struct bench *b, unsigned at, unsigned n)
{
    weir_buf_take(b->pool, b->bufs + at, n);
}

static void small_give(struct bench *b, unsigned at, unsigned n)
{
    weir_buf_drop(b->bufs + at, n);
}

static void tx_get(struct bench *b, unsigned at, unsigned n)
{
    weir_buf_take(b->pool, b->bufs + at, n);
    for (unsigned i = at; i < at + n; i++)
        buf_to_tx(b->bufs[i]);
}

static void tx_give(struct bench *b, unsigned at, unsigned n)
{
    buf_tx_done_many(b->bufs + at, n);
}

static void view_get(struct bench *b, unsigned at, unsigned n)
{
    buf_views(b->parent, b->parent->data + at * SEGMENT, n * SEGMENT, SEGMENT, b->bufs + at, n);
}

static void malloc_get(struct bench *b, unsigned at, unsigned n)
{
    for (unsigned i = at; i < at + n; i++) {
        b->blocks[i] = malloc(2048);
        *(void *volatile *)b->blocks[i] = b; /* volatile: or the pair is optimised away */
    }
}

static void malloc_give(struct bench *b, unsigned at, unsigned n)
{
    for (unsigned i = at; i < at + n; i++)
        free(b->blocks[i]);
}

static const struct row rows[] = {
    {"small: take, drop", small_get, small_give},
    {"sent: take and queue, done", tx_get, tx_give},
    {"view: cut, drop", view_get, small_give},
    {"malloc, free", malloc_get, malloc_give},
};
static const unsigned bursts[] = {1, 8, 32, 256};

#define ROWS (sizeof rows / sizeof rows[0])
#define BURSTS (sizeof bursts / sizeof bursts[0])

static uint64_t get_cycles[ROWS][BURSTS][ROUNDS], give_cycles[ROWS][BURSTS][ROUNDS];
static uint64_t away_cycles[BURSTS][ROUNDS], collect_cycles[BURSTS][ROUNDS];

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* What two readings of the counter take themselves. */
static uint64_t counter_cost(void)
{
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < 10000; i++) {
        uint64_t from = weir_cycles(), cost = weir_cycles() - from;
        least = cost < least ? cost : least;
    }
    return least;
}

static uint64_t timed(void (*move)(struct bench *, unsigned, unsigned), struct bench *b,
                      unsigned burst)
{
    uint64_t from = weir_cycles();

    for (unsigned at = 0; at < DEPTH; at += burst)
        move(b, at, burst);
    return weir_cycles() - from;
}

static void print_half(uint64_t *cycles, uint64_t counter)
{
    qsort(cycles, ROUNDS, sizeof *cycles, by_value);
    printf("  %6.1f (%5.1f)", (double)(cycles[ROUNDS / 2] - counter) / DEPTH,
           (double)(cycles[0] - counter) / DEPTH);
}

static void print_row(const char *name, uint64_t (*get)[ROUNDS], uint64_t (*give)[ROUNDS])
{
    uint64_t counter = counter_cost();

    for (unsigned k = 0; k < BURSTS; k++) {
        printf("%-28s %5u", k == 0 ? name : "", bursts[k]);
        print_half(get[k], counter);
        print_half(give[k], counter);
        printf("\n");
    }
}

static void run_rows(struct bench *b)
{
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned r = 0; r < ROWS; r++)
            for (unsigned k = 0; k < BURSTS; k++) {
                get_cycles[r][k][round] = timed(rows[r].get, b, bursts[k]);
                give_cycles[r][k][round] = timed(rows[r].give, b, bursts[k]);
            }
}

/* Two cores: the home thread fills b->bufs and raises `turn`, the other drops them and raises it
 * again. */
struct away {
    struct bench *b;
    int core;
    _Alignas(128) unsigned turn;
};

static void turn_wait(struct away *a, unsigned turn)
{
    while (__atomic_load_n(&a->turn, __ATOMIC_ACQUIRE) !=
           turn) /* pairs with turn_pass on the other core */
        weir_pause();
}

static void turn_pass(struct away *a, unsigned turn)
{
    __atomic_store_n(&a->turn, turn, __ATOMIC_RELEASE); /* pairs with turn_wait on the other core */
}

static void *away_run(void *arg)
{
    struct away *a = arg;
    unsigned turn = 1;

    weir_pin(a->core, NULL);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned k = 0; k < BURSTS; k++, turn += 2) {
            turn_wait(a, turn);
            away_cycles[k][round] = timed(small_give, a->b, bursts[k]);
            turn_pass(a, turn + 1);
        }
    return NULL;
}

static bool run_away(struct bench *b)
{
    struct away a = {.b = b, .core = weir_core(1)};
    unsigned turn = 1;
    pthread_t thread;

    if (pthread_create(&thread, NULL, away_run, &a) != 0)
        return false;
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned k = 0; k < BURSTS; k++, turn += 2) {
            weir_buf_take(b->pool, b->bufs, DEPTH);
            turn_pass(&a, turn);
            turn_wait(&a, turn + 1);
            uint64_t from = weir_cycles();
            pool_collect(b->pool);
            collect_cycles[k][round] = weir_cycles() - from;
        }
    pthread_join(thread, NULL);
    return true;
}

static void print_away(struct bench *b)
{
    if (weir_cores() < 2) {
        printf("away: needs two cores\n");
        return;
    }
    double before = canary(weir_core(0), weir_core(1));
    if (run_away(b))
        print_row("away: drop there, collect", away_cycles, collect_cycles);
    printf("canary: %.0f ns a hop before, %.0f after\n", before,
           canary(weir_core(0), weir_core(1)));
}

static bool bench_open(struct bench *b)
{
    struct weir_pool_opt opt = {.small = 8192, .big = 4, .views = 2 * DEPTH};
    struct weir_why why;
    char text[512];

    b->pool = weir_pool_open(&opt, &why);
    if (!b->pool) {
        weir_why_text(&why, text, sizeof text);
        fprintf(stderr, "bench/buf: %s\n", text);
        return false;
    }
    b->parent = weir_buf_take_bytes(b->pool, WEIR_BIG_BYTES);
    return true;
}

int main(void)
{
    static struct bench b;
    struct weir_pool_stats stats;

    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    weir_pin(weir_core(0), NULL);
    if (!bench_open(&b))
        return 1;
    run_rows(&b);
    weir_pool_stats(b.pool, &stats);
    printf("cycles (TSC%s) a buffer, median (least) of %d rounds; %u out; %s\n",
           weir_cycles_invariant() ? "" : " absent: ns", ROUNDS, DEPTH,
           weir_pages_name(stats.mem.pages));
    printf("%-28s %5s  %-14s  %s\n", "", "burst", "get", "give back");
    for (unsigned r = 0; r < ROWS; r++)
        print_row(rows[r].name, get_cycles[r], give_cycles[r]);
    print_away(&b);
    weir_buf_drop(&b.parent, 1);
    return weir_pool_close(b.pool) == 0 ? 0 : 1;
}
