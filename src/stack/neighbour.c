/* SPDX-License-Identifier: MIT
 * The cache of next hops: its state machine. What is published is the cell (cells.h): address,
 * state and MAC in one word. What is the writer's alone is the note of the same number.
 *
 * Where in the flow: out.c finds, park.c's packets wait, control.c sends what neighbours_due says and
 * tells what it hears (neighbour_learn.c).
 *
 * Invariants: n->next_ns is at most the earliest due_ns; `unanswered` counts INCOMPLETE and FAILED,
 * `unasked` those that were learned from a request and not sent to since. What waits for an entry's
 * number ends with the entry, so that a number that is used again never has another's packets.
 * Source: RFC 4861, 7.3 (states) and 10 (constants); RFC 1122, 2.3.2 (ARP: flooding, timeouts). */
#include "stack/neighbour_inside.h"
#include "stack/keys.h"
#include "stack/park.h"

#include <errno.h>
#include <stdlib.h>

#define OWN_STEPS 64u  /* entries looked at for a place for one of our own */
#define REQUESTS 1000u /* a second, in all: Linux's icmp_msgs_per_sec */
#define REQUESTS_BURST 100u
#define STRANGERS 100u /* learned a second, in all: more only have to be asked when we need them */
#define STRANGERS_BURST 256u /* a quarter of 1,024, which all may be there after a restart */
#define PATHS_MAX 1024u      /* paths with an MTU of their own */

/* ---- birth and death ------------------------------------------------------------------------- */

static struct neighbours *open_failed(struct neighbours *n, struct weir_why *why)
{
    neighbours_close(n);
    why_set(why, -ENOMEM, "neighbours", "give fewer", "no memory for the neighbour cache");
    return NULL;
}

struct neighbours *neighbours_open(const struct neighbours_opt *opt, struct weir_why *why)
{
    if (opt->max < NEIGHBOURS_MIN || opt->max > CELLS_MAX) {
        why_set(why, -EINVAL, "neighbours_max", "give 4 .. 16777214", "%u neighbours", opt->max);
        return NULL;
    }
    struct neighbours *n = calloc(1, sizeof *n);
    if (!n)
        return open_failed(n, why);
    *n = (struct neighbours){.counters = opt->counters, .random = key_of(opt->seed, KEY_TIMES) | 1};
    n->failed = n->incomplete = (struct unanswered){NEIGHBOUR_NO_LINK, NEIGHBOUR_NO_LINK};
    n->strangers = limit_of(STRANGERS, STRANGERS_BURST);
    n->next_ns = n->earliest_ns = UINT64_MAX;
    n->requests = limit_of(REQUESTS, REQUESTS_BURST);
    n->note = calloc(opt->max, sizeof *n->note);
    n->paths = pmtu_open(PATHS_MAX, key_of(opt->seed, KEY_PATHS), why);
    if (!n->note || !n->paths || !cells_open(&n->cells, opt->max, key_of(opt->seed, KEY_CELLS)))
        return open_failed(n, why);
    return n;
}

void neighbours_close(struct neighbours *n)
{
    if (!n)
        return;
    cells_close(&n->cells);
    if (n->paths)
        pmtu_close(n->paths);
    free(n->note);
    free(n);
}

/* ---- any thread ------------------------------------------------------------------------------ */

uint64_t neighbours_generation(const struct neighbours *n)
{
    return atomic_load_explicit(&n->generation, memory_order_acquire); /* N1, neighbours_changed */
}

int neighbours_find(const struct neighbours *n, const uint8_t ip[16], uint8_t mac[6],
                    uint64_t now_ns)
{
    uint32_t number;
    uint64_t word = cells_read(&n->cells, ip, &number);
    int state = word_state(word);
    if (state < NEIGHBOUR_STALE)
        return state;
    word_mac(word, mac);
    cells_touch(&n->cells, number, now_ns);
    return state;
}

void neighbours_share(struct neighbours *n)
{
    atomic_store_explicit(&n->shared, true,
                          memory_order_relaxed); /* pairs with neighbours_shared */
}

void neighbours_parks(struct neighbours *n, struct park *park)
{
    n->park = park;
}

struct pmtu *neighbours_pmtu(struct neighbours *n)
{
    return n->paths;
}

void neighbours_changed(struct neighbours *n)
{
    /* N1: pairs with neighbours_generation. Release: who sees the new generation finds what is new */
    uint64_t next = atomic_load_explicit(&n->generation, memory_order_relaxed) + 1;
    atomic_store_explicit(&n->generation, next, memory_order_release);
}

/* ---- entries --------------------------------------------------------------------------------- */

void neighbour_due_at(struct neighbours *n, uint32_t number, uint64_t due_ns)
{
    n->note[number].due_ns = due_ns;
    n->next_ns = min_of(n->next_ns, due_ns);
    n->earliest_ns = min_of(n->earliest_ns, due_ns);
}

static bool is_unanswered(int state)
{
    return state == NEIGHBOUR_INCOMPLETE || state == NEIGHBOUR_FAILED;
}

static struct unanswered *list_of(struct neighbours *n, int state)
{
    return state == NEIGHBOUR_FAILED ? &n->failed : &n->incomplete;
}

static void link_last(struct neighbours *n, struct unanswered *list, uint32_t number)
{
    struct note *note = &n->note[number];
    note->older = list->newest;
    note->newer = NEIGHBOUR_NO_LINK;
    *(note->older == NEIGHBOUR_NO_LINK ? &list->oldest : &n->note[note->older].newer) = number;
    list->newest = number;
}

static void unlink_it(struct neighbours *n, struct unanswered *list, uint32_t number)
{
    const struct note *note = &n->note[number];
    bool first = note->older == NEIGHBOUR_NO_LINK, last = note->newer == NEIGHBOUR_NO_LINK;
    *(first ? &list->oldest : &n->note[note->older].newer) = note->newer;
    *(last ? &list->newest : &n->note[note->newer].older) = note->older;
}

static void count_states(struct neighbours *n, uint32_t number, int was, int is)
{
    if (was == is)
        return;
    if (is_unanswered(was))
        unlink_it(n, list_of(n, was), number);
    if (is_unanswered(is))
        link_last(n, list_of(n, is), number);
    n->unanswered -= is_unanswered(was);
    n->unanswered += is_unanswered(is);
}

/* Somebody may have headers with its MAC: it was sent to so lately that they are still used. All
 * others change in silence, or a stranger with a new MAC each time would make all flows stale. (A
 * worker that begins to use it in this very moment finds out a tick later.) */
static bool is_cached(const struct neighbours *n, uint32_t number)
{
    return cells_age(&n->cells, number, n->now_ns) <= NEIGHBOUR_CACHED;
}

void neighbour_set(struct neighbours *n, uint32_t number, int state, const uint8_t mac[6])
{
    uint64_t was = cells_word(&n->cells, number), is = word_of(state, mac);
    count_states(n, number, word_state(was), state);
    cells_set(&n->cells, number, is);
    if (word_state(was) >= NEIGHBOUR_STALE && (was ^ is) & WORD_MAC && is_cached(n, number))
        neighbours_changed(n);
}

void neighbour_asked_for(struct neighbours *n, uint32_t number)
{
    n->unasked -= n->note[number].unasked;
    n->note[number].unasked = false;
}

void neighbour_remove(struct neighbours *n, uint32_t number)
{
    int state = neighbour_state(n, number);
    bool cached = state >= NEIGHBOUR_STALE && is_cached(n, number);
    count_states(n, number, state, NEIGHBOUR_NONE);
    neighbour_asked_for(n, number);
    if (n->park)
        park_fail(n->park, number);
    cells_remove(&n->cells, number);
    if (cached)
        neighbours_changed(n);
}

/* Nobody sends to it, and nothing waits for it. */
static bool is_idle(const struct neighbours *n, uint32_t number, uint64_t now_ns)
{
    int state = neighbour_state(n, number);
    return state != NEIGHBOUR_NONE && state != NEIGHBOUR_TOLD && state != NEIGHBOUR_INCOMPLETE &&
           cells_age(&n->cells, number, now_ns) > NEIGHBOUR_IDLE;
}

bool neighbour_evict(struct neighbours *n, unsigned steps, bool unasked, uint64_t now_ns)
{
    for (unsigned i = 0; i < steps && i < n->cells.max; i++) {
        uint32_t number = cells_turn(&n->cells);
        if (is_idle(n, number, now_ns) && (!unasked || n->note[number].unasked)) {
            neighbour_remove(n, number);
            return true;
        }
    }
    return false;
}

uint32_t neighbour_new(struct neighbours *n, const uint8_t ip[16], int state, const uint8_t mac[6])
{
    uint32_t number = cells_add(&n->cells, ip, word_of(state, mac));
    if (number == NO_CELL) {
        COUNT(n->counters, neighbour_full, 1);
        return NO_CELL;
    }
    n->note[number] = (struct note){.due_ns = UINT64_MAX};
    count_states(n, number, NEIGHBOUR_NONE, state);
    return number;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Half of the table at most are unanswered; then the oldest goes, so that a peer that makes us send
 * to addresses where nobody is cannot keep out those who answer, which they do at once. */
static void recycle(struct neighbours *n)
{
    bool failed = n->failed.oldest != NEIGHBOUR_NO_LINK;
    neighbour_remove(n, failed ? n->failed.oldest : n->incomplete.oldest);
    COUNT(n->counters, neighbour_full, 1);
}

static uint32_t begin(struct neighbours *n, const uint8_t ip[16], uint64_t now_ns)
{
    static const uint8_t none[6];
    if (n->unanswered >= n->cells.max / 2)
        recycle(n);
    if (n->cells.count == n->cells.max)
        neighbour_evict(n, OWN_STEPS, false, now_ns);
    uint32_t number = neighbour_new(n, ip, NEIGHBOUR_INCOMPLETE, none);
    if (number != NO_CELL)
        neighbour_due_at(n, number, now_ns);
    return number;
}

void neighbour_probe(struct neighbours *n, uint32_t number, uint64_t due_ns)
{
    uint8_t mac[6];
    struct note *note = &n->note[number];
    word_mac(cells_word(&n->cells, number), mac);
    neighbour_set(n, number, NEIGHBOUR_PROBE, mac);
    note->tries = 0;
    note->everybody = false;
    neighbour_due_at(n, number, due_ns);
}

int neighbours_use(struct neighbours *n, const uint8_t ip[16], uint8_t mac[6], uint32_t *number,
                   uint64_t now_ns)
{
    uint32_t i = cells_find(&n->cells, ip);
    n->now_ns = now_ns;
    if (i == NO_CELL)
        i = begin(n, ip, now_ns);
    *number = i;
    if (i == NO_CELL)
        return NEIGHBOUR_NONE;
    if (neighbour_state(n, i) == NEIGHBOUR_STALE)
        neighbour_probe(n, i, now_ns + NEIGHBOUR_DELAY_NS);
    cells_touch(&n->cells, i, now_ns);
    neighbour_asked_for(n, i);
    word_mac(cells_word(&n->cells, i), mac);
    return neighbour_state(n, i);
}

bool neighbours_in_use(const struct neighbours *n, const uint8_t ip[16], const uint8_t mac[6])
{
    uint8_t known[6];
    uint32_t number = cells_find(&n->cells, ip);
    if (number == NO_CELL || neighbour_state(n, number) < NEIGHBOUR_STALE)
        return false;
    word_mac(cells_word(&n->cells, number), known);
    return !n->note[number].unasked && memcmp(mac, known, 6) == 0;
}

void neighbours_stats(const struct neighbours *n, struct neighbours_stats *ret)
{
    *ret = (struct neighbours_stats){.count = n->cells.count,
                                     .unasked = n->unasked,
                                     .unanswered = n->unanswered};
}
