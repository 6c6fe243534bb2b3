/* SPDX-License-Identifier: MIT
 * Is the checker as weak as C, and no weaker? The classic tests of two to four threads, each with
 * an outcome that C allows (the checker must find it) or forbids (it must not). Names after
 * Alglave and others, "Herding Cats", TOPLAS 2014. x, y: first words of the image. */
#include "litmus.h"

#include <stdio.h>

#define X(image) ((uint64_t *)(image))
#define Y(image) ((uint64_t *)(image) + 1)
#define D(image) ((uint64_t *)(image) + 2)

static enum weak_order load_order, store_order;

static void none(void *image)
{
    (void)image;
}

static void nothing(void *image, struct weak_notes *notes)
{
    (void)image, (void)notes;
}

static uint64_t get(const uint64_t *at)
{
    return weak_load(at, load_order, NULL);
}

static void put(uint64_t *at, uint64_t value)
{
    weak_store(at, value, store_order, NULL);
}

static void add_note(struct weak_notes *notes, uint64_t value)
{
    notes->note[notes->count++] = value;
}

#define THREAD(name, ...)                                                                          \
    static void name(void *image, struct weak_notes *notes)                                        \
    {                                                                                              \
        (void)notes;                                                                               \
        __VA_ARGS__                                                                                \
    }
#define SEEN(name, ...)                                                                            \
    static const char *name(const struct weak_notes n[])                                           \
    {                                                                                              \
        return (__VA_ARGS__) ? "seen" : NULL;                                                      \
    }

/* Store buffering: each thread misses the other's store. */
THREAD(sb_1, put(X(image), 1); add_note(notes, get(Y(image)));)
THREAD(sb_2, put(Y(image), 1); add_note(notes, get(X(image)));)
SEEN(sb_seen, n[0].note[0] == 0 && n[1].note[0] == 0)
static const struct weak_program sb = {"store buffering", 3, none, {sb_1, sb_2, nothing}, sb_seen};

/* Message passing: the flag without the message. */
THREAD(mp_1, put(X(image), 1); put(Y(image), 1);)
THREAD(mp_2, add_note(notes, get(Y(image))); add_note(notes, get(X(image)));)
SEEN(mp_seen, n[1].note[0] == 1 && n[1].note[1] == 0)
static const struct weak_program mp = {"message passing", 3, none, {mp_1, mp_2, nothing}, mp_seen};

/* Coherence: new, then old, of one location. */
THREAD(co_1, put(X(image), 1); put(X(image), 2);)
THREAD(co_2, add_note(notes, get(X(image))); add_note(notes, get(X(image)));)
SEEN(co_seen, n[1].note[0] > n[1].note[1])
static const struct weak_program co = {"coherence", 3, none, {co_1, co_2, nothing}, co_seen};

/* 2+2W: both first stores come last. */
THREAD(ww_1, put(X(image), 1); put(Y(image), 2);)
THREAD(ww_2, put(Y(image), 1); put(X(image), 2);)
THREAD(ww_3, add_note(notes, get(X(image))); add_note(notes, get(Y(image)));)
SEEN(ww_seen, n[2].note[0] == 1 && n[2].note[1] == 1)
static const struct weak_program ww = {"2+2 writes", 3, none, {ww_1, ww_2, ww_3}, ww_seen};

/* Independent reads of independent writes, in two orders. */
THREAD(ir_0, put(X(image), 1);)
THREAD(ir_1, put(Y(image), 1);)
THREAD(ir_2, add_note(notes, get(X(image))); add_note(notes, get(Y(image)));)
THREAD(ir_3, add_note(notes, get(Y(image))); add_note(notes, get(X(image)));)
SEEN(ir_seen, n[2].note[0] > n[2].note[1] && n[3].note[0] > n[3].note[1])
static const struct weak_program ir = {"reads in two orders",
                                       5,
                                       none,
                                       {ir_0, ir_1, ir_2, ir_3, nothing},
                                       ir_seen};

/* Release sequence: a relaxed compare-and-swap passes the release that it read from on. */
THREAD(rs_1, weak_write(D(image), 7); put(X(image), 1);)
THREAD(rs_2, uint64_t one = 1; weak_cas(X(image), &one, 2, WEAK_RELAXED, NULL);)
THREAD(rs_3, if (get(X(image)) == 2) add_note(notes, weak_read(D(image)));)
SEEN(rs_seen, n[2].count &&n[2].note[0] != 7)
static const struct weak_program rs = {"release sequence",
                                       4,
                                       none,
                                       {rs_1, rs_2, rs_3, nothing},
                                       rs_seen};

/* Two increments by compare-and-swap: one is lost. */
static void increment(void *image, struct weak_notes *notes)
{
    uint64_t old = get(X(image));
    while (!weak_cas(X(image), &old, old + 1, WEAK_RELAXED, NULL))
        ;
    (void)notes;
}
THREAD(in_3, add_note(notes, get(X(image)));)
SEEN(in_seen, n[2].note[0] != 2)
static const struct weak_program in = {"lost increment",
                                       3,
                                       none,
                                       {increment, increment, in_3},
                                       in_seen};

/* Plain accesses without an order between them. */
THREAD(dr_1, weak_write(D(image), 1);)
THREAD(dr_2, weak_read(D(image));)
SEEN(dr_seen, n == NULL)
static const struct weak_program dr = {"data race", 3, none, {dr_1, dr_2, nothing}, dr_seen};

static void expect(const struct weak_program *p, bool ordered, bool possible, weak_line *line)
{
    char text[64];
    load_order = ordered ? WEAK_ACQUIRE : WEAK_RELAXED;
    store_order = ordered ? WEAK_RELEASE : WEAK_RELAXED;
    struct weak_result r = weak_explore(p, (struct weak_mutant){NULL, WEAK_LOAD}, false);
    snprintf(text, sizeof text, "%s is %s", ordered ? "acquire and release" : "relaxed",
             possible ? "possible" : "impossible");
    line((r.wrong != NULL) == possible, p->name, text, r);
}

void litmus(weak_line *line)
{
    expect(&sb, false, true, line);
    expect(&sb, true, true, line); /* what sequential consistency forbids and x86 does */
    expect(&mp, false, true, line);
    expect(&mp, true, false, line);
    expect(&co, false, false, line);
    expect(&ww, false, true, line);
    expect(&ww, true, true, line);
    expect(&ir, false, true, line);
    expect(&ir, true, true,
           line); /* threads need not agree on the order of stores of two locations */
    expect(&rs, false, true, line); /* a data race then */
    expect(&rs, true, false, line);
    expect(&in, false, false, line);
    expect(&dr, true, true, line);
}
