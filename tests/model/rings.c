/* SPDX-License-Identifier: MIT
 * The rings of weir/ring.h in every execution that C's memory order allows (weak.h), on rings of
 * two slots so that every slot is written again; then once more for each edge weakened, which must
 * be found out. TAP on stdout, exit code 1 when a line is not ok. `rings -v` prints the execution
 * of each mutant. */
#include "litmus.h"

#include <stdio.h>
#include <string.h>

#define WEIR_RING_LOAD(at, order, edge) (__typeof__(*(at)))weak_load(at, WEAK_##order, #edge)
#define WEIR_RING_STORE(at, value, order, edge) weak_store(at, value, WEAK_##order, #edge)
#define WEIR_RING_CAS(at, expected, value, order, edge)                                            \
    weak_cas(at, expected, value, WEAK_##order, #edge)
#include <weir/ring.h>

#define SLOTS 2

/* Mistakes in the use of the rings, or in what the header tells a thread: the check must see them
 * too. */
static enum { SOUND, SUBMIT_BEFORE_WRITE, RELEASE_BEFORE_READ, ONE_SLOT_MORE } mistake;

static void note(struct weak_notes *notes, uint64_t value)
{
    notes->note[notes->count++] = value;
}

/* ---- spsc ----------------------------------------------------------------------------- */

static void spsc_init(void *image)
{
    struct weir_spsc *r = image;
    weir_spsc_init(r, 4096, SLOTS, 8, WEIR_RING_LENS);
    if (mistake == ONE_SLOT_MORE)
        r->slots = 2 * SLOTS, r->elem_bytes = 0; /* twice the room on the same memory */
}

static void spsc_fill(struct weir_spsc *r, uint64_t pos, uint32_t n, uint64_t first)
{
    for (uint32_t i = 0; i < n; i++) {
        weak_write(weir_spsc_slot(r, pos + i), first + i);
        weak_write(weir_spsc_len(r, pos + i), first + i + 100);
    }
}

/* Bursts of two and of one. */
static void spsc_producer(void *image, struct weak_notes *notes)
{
    struct weir_spsc *r = image;
    uint64_t pos, value = 1;
    for (int attempt = 0; attempt < 7; attempt++) {
        uint32_t n = weir_spsc_reserve(r, attempt % 3 == 1 ? 1 : 2, &pos);
        if (n == 0)
            continue;
        if (mistake == SUBMIT_BEFORE_WRITE)
            weir_spsc_submit(r, n);
        spsc_fill(r, pos, n, value);
        if (mistake != SUBMIT_BEFORE_WRITE)
            weir_spsc_submit(r, n);
        value += n;
    }
    note(notes, value - 1);
}

static uint32_t spsc_take(struct weir_spsc *r, uint32_t n, struct weak_notes *notes)
{
    uint64_t pos;
    n = weir_spsc_peek(r, n, &pos);
    if (n && mistake == RELEASE_BEFORE_READ)
        weir_spsc_release(r, n);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t value = weak_read(weir_spsc_slot(r, pos + i));
        note(notes, weak_read(weir_spsc_len(r, pos + i)) == value + 100 ? value : 0);
    }
    if (n && mistake != RELEASE_BEFORE_READ)
        weir_spsc_release(r, n);
    return n;
}

static void spsc_consumer(void *image, struct weak_notes *notes)
{
    for (uint32_t attempt = 0; attempt < 6; attempt++)
        spsc_take(image, 1 + attempt % 2, notes);
}

static void spsc_rest(void *image, struct weak_notes *notes)
{
    struct weir_spsc *r = image;
    r->head_seen = weak_load(&r->tail, WEAK_RELAXED, "OWN"); /* it takes the consumer's place */
    while (spsc_take(r, SLOTS, notes))
        ;
}

static const char *spsc_verdict(const struct weak_notes notes[])
{
    uint64_t next = 1;
    for (unsigned t = 1; t <= 2; t++)
        for (unsigned i = 0; i < notes[t].count; i++)
            if (notes[t].note[i] != next++)
                return "elements lost, doubled or out of order";
    if (next - 1 != notes[0].note[0])
        return "not every element arrived";
    return notes[0].note[0] < SLOTS ? "an empty ring refused elements" : NULL;
}

static const struct weak_program spsc = {"spsc",
                                         3,
                                         spsc_init,
                                         {spsc_producer, spsc_consumer, spsc_rest},
                                         spsc_verdict};

/* ---- mpsc ----------------------------------------------------------------------------- */

static void mpsc_init(void *image)
{
    struct weir_mpsc *r = image;
    weir_mpsc_init(r, 4096, SLOTS, 8, 0);
    if (mistake == ONE_SLOT_MORE)
        r->slots = 2 * SLOTS, r->slot_bytes = 0;
}

/* One burst of up to n elements; values tell the producer (tens) and its count (ones). */
static uint64_t mpsc_give(struct weir_mpsc *r, uint32_t n, uint64_t value)
{
    uint64_t pos;
    n = weir_mpsc_reserve(r, n, &pos);
    if (mistake == SUBMIT_BEFORE_WRITE)
        weir_mpsc_submit(r, pos, n);
    for (uint32_t i = 0; i < n; i++)
        weak_write(weir_mpsc_slot(r, pos + i), value + i);
    if (mistake != SUBMIT_BEFORE_WRITE)
        weir_mpsc_submit(r, pos, n);
    return value + n;
}

static void mpsc_first(void *image, struct weak_notes *notes)
{
    uint64_t value = mpsc_give(image, 2, 11);
    value = mpsc_give(image, 1, value);
    note(notes, value - 11);
}

static void mpsc_second(void *image, struct weak_notes *notes)
{
    uint64_t value = mpsc_give(image, 1, 21);
    value = mpsc_give(image, 2, value);
    note(notes, value - 21);
}

static uint32_t mpsc_take(struct weir_mpsc *r, uint32_t n, struct weak_notes *notes)
{
    uint64_t pos;
    n = weir_mpsc_peek(r, n, &pos);
    if (n && mistake == RELEASE_BEFORE_READ)
        weir_mpsc_release(r, n);
    for (uint32_t i = 0; i < n; i++)
        note(notes, weak_read(weir_mpsc_slot(r, pos + i)));
    if (n && mistake != RELEASE_BEFORE_READ)
        weir_mpsc_release(r, n);
    return n;
}

static void mpsc_consumer(void *image, struct weak_notes *notes)
{
    for (uint32_t attempt = 0; attempt < 4; attempt++)
        mpsc_take(image, 1 + attempt % 2, notes);
}

static void mpsc_rest(void *image, struct weak_notes *notes)
{
    while (mpsc_take(image, SLOTS, notes))
        ;
}

/* Each producer's elements, all of those that were taken from it, in its order. */
static const char *mpsc_verdict(const struct weak_notes notes[])
{
    uint64_t next[3] = {0, 11, 21};
    for (unsigned t = 2; t <= 3; t++)
        for (unsigned i = 0; i < notes[t].count; i++) {
            uint64_t who = notes[t].note[i] / 10;
            if (who < 1 || who > 2 || notes[t].note[i] != next[who]++)
                return "elements lost, doubled or out of order";
        }
    if (next[1] - 11 != notes[0].note[0] || next[2] - 21 != notes[1].note[0])
        return "not every element arrived";
    return notes[0].note[0] + notes[1].note[0] < SLOTS ? "an empty ring refused elements" : NULL;
}

static const struct weak_program mpsc = {"mpsc",
                                         4,
                                         mpsc_init,
                                         {mpsc_first, mpsc_second, mpsc_consumer, mpsc_rest},
                                         mpsc_verdict};

/* ---- mpsc, one producer preempted for ever between reserve and submit ----------------- */

static void stalled_producer(void *image, struct weak_notes *notes)
{
    uint64_t pos;
    note(notes, weir_mpsc_reserve(image, 1, &pos));
}

/* The other one must get all slots but one in some order, and 0 at once after that. */
static void stalled_other(void *image, struct weak_notes *notes)
{
    uint64_t value = 21;
    for (int attempt = 0; attempt < SLOTS + 1; attempt++)
        value = mpsc_give(image, 1, value);
    note(notes, value - 21);
}

static const char *stalled_verdict(const struct weak_notes notes[])
{
    uint64_t arrived = notes[2].count + notes[3].count;
    if (notes[1].note[0] < SLOTS - 1)
        return "a stalled producer kept the other from reserving";
    for (unsigned t = 2, next = 21; t <= 3; t++)
        for (unsigned i = 0; i < notes[t].count; i++)
            if (notes[t].note[i] != next++)
                return "elements lost, doubled or out of order";
    if (notes[0].note[0] == 0 && arrived != notes[1].note[0])
        return "not every element arrived";
    return arrived > notes[1].note[0] ? "an element that nobody submitted" : NULL;
}

static const struct weak_program stalled = {"mpsc stalled",
                                            4,
                                            mpsc_init,
                                            {stalled_producer, stalled_other, mpsc_consumer,
                                             mpsc_rest},
                                            stalled_verdict};

/* ---- the lines of the test ------------------------------------------------------------ */

static unsigned lines, failed;
static bool loud;

static void line(bool ok, const char *what, const char *mutation, struct weak_result r)
{
    failed += !ok;
    printf("%s %u - %s: %s: %s (%llu states, %llu ends)\n", ok ? "ok" : "not ok", ++lines, what,
           mutation, r.wrong ? r.wrong : "no wrong execution", (unsigned long long)r.states,
           (unsigned long long)r.ends);
    fflush(stdout);
}

static void sound(const struct weak_program *p)
{
    struct weak_result r = weak_explore(p, (struct weak_mutant){NULL, WEAK_LOAD}, true);
    line(r.wrong == NULL && r.ends > 0, p->name, "as it is", r);
}

static void weakened(const struct weak_program *p, const char *edge, enum weak_kind kind)
{
    static const char *side[] = {"load relaxed", "store relaxed", "not atomic"};
    char text[64];
    struct weak_result r = weak_explore(p, (struct weak_mutant){edge, kind}, loud);
    snprintf(text, sizeof text, "%s %s is found out", edge, side[kind]);
    line(r.wrong != NULL, p->name, text, r);
}

static void mistaken(const struct weak_program *p, int which, const char *text)
{
    mistake = which;
    struct weak_result r = weak_explore(p, (struct weak_mutant){NULL, WEAK_LOAD}, loud);
    mistake = SOUND;
    line(r.wrong != NULL, p->name, text, r);
}

int main(int argc, char **argv)
{
    static const struct weak_program *const both[] = {&spsc, &mpsc};
    loud = argc > 1 && !strcmp(argv[1], "-v");
    litmus(line);
    sound(&spsc);
    sound(&mpsc);
    sound(&stalled);
    for (int kind = WEAK_LOAD; kind <= WEAK_STORE; kind++) {
        weakened(&spsc, "S1", kind);
        weakened(&spsc, "S2", kind);
        weakened(&mpsc, "M1", kind);
        weakened(&mpsc, "M2", kind);
        weakened(&mpsc, "M3", kind);
    }
    weakened(&mpsc, "CLAIM", WEAK_CAS);
    for (int i = 0; i < 2; i++) {
        mistaken(both[i], SUBMIT_BEFORE_WRITE, "submit before write is found out");
        mistaken(both[i], RELEASE_BEFORE_READ, "release before read is found out");
        mistaken(both[i], ONE_SLOT_MORE, "more room than slots is found out");
    }
    printf("1..%u\n", lines);
    return failed != 0;
}
