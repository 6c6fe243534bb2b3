/* SPDX-License-Identifier: MIT
 * The checker of weak.h: a depth-first search over states (stores of all locations, each thread's
 * view and the values that it has read), leaving out states seen before by a hash of 128 bits. */
#include "weak.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE 4096
#define LOCATIONS 20
#define STORES 24 /* a location, initial one and plain accesses included */
#define STEPS 64  /* a thread: more is an endless loop */
#define STATES_MAX (1u << 24)

struct store {
    uint16_t value;
    uint8_t rmw; /* of a compare-and-swap: nothing may come between it and the one before */
    uint8_t view[LOCATIONS];
};

struct location {
    uint8_t count;
    struct store store[STORES];
};

struct op {
    uint8_t kind, order, location;
    uint16_t value, expected;
    const char *edge;
};

struct thread {
    uint8_t done, started, steps;
    uint8_t view[LOCATIONS];
    uint16_t seen[STEPS];
    struct op next;
};

struct state {
    struct location location[LOCATIONS];
    struct thread thread[WEAK_THREADS];
};

static const struct weak_program *program;
static struct weak_mutant mutant;
static struct weak_result result;
static bool verbose;

/* ---- running a thread up to its next access ------------------------------------------- */

static _Alignas(128) unsigned char image_first[IMAGE], image[IMAGE];
static size_t offset_of[LOCATIONS];
static unsigned locations;
static bool found_location; /* a new one: the search starts again with it in every state */
static struct thread *running;
static unsigned played;
static jmp_buf at_next;

static uint8_t location_of(const void *at)
{
    size_t offset = (size_t)((const unsigned char *)at - image);
    for (unsigned i = 0; i < locations; i++)
        if (offset_of[i] == offset)
            return (uint8_t)i;
    if (locations == LOCATIONS || offset >= IMAGE)
        abort();
    offset_of[locations] = offset;
    found_location = true;
    return (uint8_t)locations++;
}

/* The value of this access from the thread's past, or out of the thread with the access as its
 * next. */
static uint64_t play(struct op op)
{
    if (played < running->steps)
        return running->seen[played++];
    bool weakened =
        mutant.edge && op.edge && mutant.kind == op.kind && !strcmp(mutant.edge, op.edge);
    if (weakened)
        op.order =
            op.kind == WEAK_CAS ? WEAK_ACQUIRE : WEAK_RELAXED; /* ACQUIRE marks a split one */
    running->next = op;
    longjmp(at_next, 1);
}

static uint16_t narrow(uint64_t value)
{
    if (value > UINT16_MAX)
        abort();
    return (uint16_t)value;
}

uint64_t weak_load(const void *at, enum weak_order order, const char *edge)
{
    return play((struct op){WEAK_LOAD, order, location_of(at), 0, 0, edge});
}

void weak_store(void *at, uint64_t value, enum weak_order order, const char *edge)
{
    play((struct op){WEAK_STORE, order, location_of(at), narrow(value), 0, edge});
}

bool weak_cas(void *at, uint64_t *expected, uint64_t value, enum weak_order order, const char *edge)
{
    uint64_t seen =
        play((struct op){WEAK_CAS, order, location_of(at), narrow(value), narrow(*expected), edge});
    bool same = seen == *expected;
    *expected = seen;
    return same;
}

uint64_t weak_read(const void *at)
{
    return play((struct op){WEAK_READ, 0, location_of(at), 0, 0, "plain"});
}

void weak_write(void *at, uint64_t value)
{
    play((struct op){WEAK_WRITE, 0, location_of(at), narrow(value), 0, "plain"});
}

static void advance(struct state *s, unsigned t, struct weak_notes *notes)
{
    running = &s->thread[t];
    played = 0;
    memcpy(image, image_first, IMAGE);
    memset(&running->next, 0, sizeof running->next);
    if (setjmp(at_next) == 0) {
        program->run[t](image, notes);
        running->done = 1;
    }
}

/* ---- what an access may do ------------------------------------------------------------ */

static void join(uint8_t *into, const uint8_t *from)
{
    for (unsigned i = 0; i < locations; i++)
        into[i] = into[i] > from[i] ? into[i] : from[i];
}

/* A store at place `at` of the modification order: those behind it move up, and so do views of
 * them. */
static void insert(struct state *s, unsigned t, unsigned at, uint16_t value, bool release,
                   const uint8_t *pass)
{
    struct thread *th = &s->thread[t];
    unsigned l = th->next.location;
    struct location *loc = &s->location[l];
    if (loc->count == STORES)
        abort();
    for (unsigned i = 0; i < WEAK_THREADS; i++)
        s->thread[i].view[l] += s->thread[i].view[l] >= at;
    for (unsigned i = 0; i < locations; i++)
        for (unsigned j = 0; j < s->location[i].count; j++)
            s->location[i].store[j].view[l] += s->location[i].store[j].view[l] >= at;
    memmove(&loc->store[at + 1], &loc->store[at], (loc->count - at) * sizeof loc->store[0]);
    loc->count++;
    th->view[l] = (uint8_t)at;
    struct store *st = &loc->store[at];
    memset(st, 0, sizeof *st);
    st->value = value;
    if (release)
        memcpy(st->view, th->view, sizeof st->view);
    if (pass)
        join(st->view, pass);
    st->view[l] = (uint8_t)at;
}

static void see(struct state *s, unsigned t, unsigned from, bool acquire)
{
    struct thread *th = &s->thread[t];
    unsigned l = th->next.location;
    if (acquire)
        join(th->view, s->location[l].store[from].view);
    th->view[l] = (uint8_t)(th->view[l] > from ? th->view[l] : from);
}

static bool place_free(const struct location *loc, unsigned at)
{
    return at == loc->count || !loc->store[at].rmw;
}

#define NO_WAY UINT16_MAX /* as what was seen: this choice cannot be, others may */

/* A store behind place `from` of the modification order. */
static uint16_t take_store(struct state *s, unsigned t, unsigned from)
{
    const struct op op = s->thread[t].next;
    if (!place_free(&s->location[op.location], from + 1))
        return NO_WAY;
    insert(s, t, from + 1, op.value, op.order == WEAK_RELEASE, NULL);
    return 0;
}

/* A compare-and-swap that finds what it expects. A split one (a mutant) is a load, then a store at
 * the end. */
static uint16_t take_swap(struct state *s, unsigned t, unsigned from)
{
    const struct op op = s->thread[t].next;
    struct location *loc = &s->location[op.location];
    const struct store read = loc->store[from];
    bool split = op.order == WEAK_ACQUIRE;
    if (!split && !place_free(loc, from + 1))
        return NO_WAY;
    see(s, t, from, false);
    insert(s, t, split ? loc->count : from + 1, op.value, false, split ? NULL : read.view);
    loc->store[s->thread[t].view[op.location]].rmw = !split;
    return read.value;
}

/* Take the `choice`-th way of thread t's next access; *seen is what it reads. False: no more. */
static bool take(struct state *s, unsigned t, unsigned choice, uint16_t *seen)
{
    const struct op op = s->thread[t].next;
    const struct location *loc = &s->location[op.location];
    unsigned from = s->thread[t].view[op.location] + choice;
    if (from >= loc->count)
        return false;
    if (op.kind == WEAK_STORE) {
        *seen = take_store(s, t, from);
    } else if (op.kind == WEAK_CAS && loc->store[from].value == op.expected) {
        *seen = take_swap(s, t, from);
    } else {
        *seen = loc->store[from].value;
        see(s, t, from, op.kind == WEAK_LOAD && op.order == WEAK_ACQUIRE);
    }
    return true;
}

/* A plain access: it must know of every earlier one. It counts as a store itself, so that a later
 * write must know of this read as well. False: a data race. */
static bool take_plain(struct state *s, unsigned t, uint16_t *seen)
{
    struct thread *th = &s->thread[t];
    struct location *loc = &s->location[th->next.location];
    unsigned last = loc->count - 1u;
    if (th->view[th->next.location] != last)
        return false;
    *seen = loc->store[last].value;
    insert(s, t, last + 1, th->next.kind == WEAK_WRITE ? th->next.value : *seen, false, NULL);
    return true;
}

/* ---- states seen before --------------------------------------------------------------- */

static uint64_t (*table)[2];
static uint64_t table_size, table_used;

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio (Knuth, TAOCP 3, 6.4) */
    return h ^ h >> 29;
}

static void hash_bytes(uint64_t h[2], const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (uint64_t v = 0; n > 0; n -= n < 8 ? n : 8, p += 8, v = 0) {
        memcpy(&v, p, n < 8 ? n : 8);
        h[0] = mix(h[0], v);
        h[1] = mix(h[1] + 0x632be59bd9b4e019u, v); /* an odd constant, to differ from h[0] */
    }
}

static void hash_state(const struct state *s, uint64_t h[2])
{
    h[0] = 1, h[1] = 2;
    for (unsigned i = 0; i < locations; i++) {
        const struct location *loc = &s->location[i];
        hash_bytes(h, &loc->count, 1);
        hash_bytes(h, loc->store, loc->count * sizeof loc->store[0]);
    }
    for (unsigned t = 0; t < program->threads; t++) {
        const struct thread *th = &s->thread[t];
        hash_bytes(h, &th->done, 3);
        hash_bytes(h, th->view, sizeof th->view);
        hash_bytes(h, th->seen, th->steps * sizeof th->seen[0]);
    }
    h[0] |= 1; /* 0 is an empty place */
}

static bool place(uint64_t (*in)[2], uint64_t size, const uint64_t h[2])
{
    uint64_t i = h[1] & (size - 1);
    for (; in[i][0]; i = (i + 1) & (size - 1))
        if (in[i][0] == h[0] && in[i][1] == h[1])
            return false;
    in[i][0] = h[0], in[i][1] = h[1];
    return true;
}

static void table_grow(void)
{
    uint64_t size = table_size ? table_size * 2 : 1u << 16;
    uint64_t(*bigger)[2] = calloc(size, sizeof *bigger);
    if (!bigger || size > 2ull * STATES_MAX)
        abort();
    for (uint64_t i = 0; i < table_size; i++)
        if (table[i][0])
            place(bigger, size, table[i]);
    free(table);
    table = bigger;
    table_size = size;
}

static bool new_state(const struct state *s)
{
    uint64_t h[2];
    hash_state(s, h);
    if (table_used * 2 >= table_size)
        table_grow();
    bool is_new = place(table, table_size, h);
    table_used += is_new;
    return is_new;
}

/* ---- the search ----------------------------------------------------------------------- */

static struct {
    unsigned thread;
    struct op op;
    uint16_t seen;
} path[WEAK_THREADS * STEPS];

static void print_path(unsigned depth)
{
    static const char *kind[] = {"load", "store", "cas", "read", "write"};
    for (unsigned i = 0; verbose && i < depth; i++)
        printf("#   thread %u %-5s %-6s +%zu value %u expected %u saw %u\n", path[i].thread,
               kind[path[i].op.kind], path[i].op.edge, offset_of[path[i].op.location],
               path[i].op.value, path[i].op.expected, path[i].seen);
}

static void wrong(const char *what, unsigned depth)
{
    result.wrong = what;
    if (verbose)
        printf("# %s: %s\n", program->name, what);
    print_path(depth);
}

static void search(const struct state *s, unsigned depth);

/* Thread t made its access in `s` and saw `seen`: on to its next one. */
static void step(struct state *s, unsigned t, uint16_t seen, unsigned depth)
{
    struct thread *th = &s->thread[t];
    path[depth].thread = t, path[depth].op = th->next, path[depth].seen = seen;
    if (th->steps == STEPS) {
        wrong("a thread does not end", depth);
        return;
    }
    th->seen[th->steps++] = seen;
    struct weak_notes notes = {0};
    advance(s, t, &notes);
    if (!found_location && new_state(s))
        search(s, depth + 1);
}

static void finish(const struct state *s, unsigned depth)
{
    struct state copy = *s;
    struct weak_notes notes[WEAK_THREADS] = {0};
    result.ends++;
    for (unsigned t = 0; t < program->threads; t++)
        advance(&copy, t, &notes[t]);
    const char *what = program->check(notes);
    if (what)
        wrong(what, depth);
}

/* All but the last thread have ended: the last one starts, and knows what they know. */
static void start_last(const struct state *s, unsigned depth)
{
    struct state copy = *s;
    unsigned last = program->threads - 1;
    struct weak_notes notes = {0};
    for (unsigned t = 0; t < last; t++)
        join(copy.thread[last].view, s->thread[t].view);
    copy.thread[last].started = 1;
    advance(&copy, last, &notes);
    if (!found_location)
        search(&copy, depth);
}

/* Plain accesses need no interleaving: whether they race does not depend on the moment. */
static bool search_plain(const struct state *s, unsigned depth)
{
    for (unsigned t = 0; t < program->threads; t++) {
        const struct thread *th = &s->thread[t];
        if (!th->started || th->done || th->next.kind < WEAK_READ)
            continue;
        struct state copy = *s;
        uint16_t seen;
        if (take_plain(&copy, t, &seen))
            step(&copy, t, seen, depth);
        else
            wrong("data race", depth);
        return true;
    }
    return false;
}

/* Thread t's next access in all of its ways. */
static void search_thread(const struct state *s, unsigned t, unsigned depth)
{
    for (unsigned choice = 0; !result.wrong && !found_location; choice++) {
        struct state copy = *s;
        uint16_t seen;
        if (!take(&copy, t, choice, &seen))
            break;
        if (seen != NO_WAY)
            step(&copy, t, seen, depth);
    }
}

static void search(const struct state *s, unsigned depth)
{
    bool any = false;
    result.states++;
    if (search_plain(s, depth))
        return;
    for (unsigned t = 0; t < program->threads; t++)
        if (s->thread[t].started && !s->thread[t].done) {
            any = true;
            search_thread(s, t, depth);
        }
    if (any)
        return;
    if (s->thread[program->threads - 1].done)
        finish(s, depth);
    else
        start_last(s, depth);
}

static void initial(struct state *s)
{
    struct weak_notes notes = {0};
    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < locations; i++) {
        uint64_t value;
        memcpy(&value, image_first + offset_of[i], sizeof value);
        s->location[i].count = 1;
        s->location[i].store[0].value = narrow(value & UINT32_MAX); /* turns have 32 bits */
    }
    for (unsigned t = 0; t + 1 < program->threads; t++) {
        s->thread[t].started = 1;
        advance(s, t, &notes);
    }
}

struct weak_result weak_explore(const struct weak_program *p, struct weak_mutant m, bool loud)
{
    struct state first;
    program = p;
    mutant = m;
    verbose = loud;
    memset(image_first, 0, IMAGE);
    p->init(image_first);
    locations = 0;
    do {
        found_location = false;
        result = (struct weak_result){0};
        if (table)
            memset(table, 0, table_size * sizeof *table);
        table_used = 0;
        initial(&first);
        if (!found_location)
            search(&first, 0);
    } while (found_location);
    return result;
}
