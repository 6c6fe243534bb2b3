/* SPDX-License-Identifier: MIT
 * The neighbour cache in time: questions, probes, what becomes stale, what failed.
 *
 * A walk around the table finds what is due; it may take several calls of neighbours_due, goes on
 * where the last one ended, so that the limit of requests is fair to all, and happens at most a
 * hundred times a second. What is sent for the first time need not wait for it (neighbours_step).
 *
 * Invariant: n->next_ns is at most the earliest due_ns.
 * Source: RFC 4861, 7.3.3 and 10; RFC 1122, 2.3.2.1. */
#include "stack/neighbour_inside.h"

#define REACHABLE_NS 30000000000u /* RFC 4861, 10: REACHABLE_TIME, times 0.5 .. 1.5 */
#define RETRANS_NS 1000000000u    /* RFC 4861, 10: RETRANS_TIMER; RFC 1122, 2.3.2.1 */
#define TRIES 3u                  /* RFC 4861, 10: MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT */
#define WATCH_NS 1000000000u      /* how soon another worker's use of a stale entry is seen */
#define LOOK_NS 10000000u         /* at most a hundred walks of the table a second */
#define IN_USE 2u                 /* ticks of about a second: sent to just now */

/* xorshift64: Marsaglia, Journal of Statistical Software 8 (14), 2003. */
static uint64_t random_next(struct neighbours *n)
{
    n->random ^= n->random << 13;
    n->random ^= n->random >> 7;
    n->random ^= n->random << 17;
    return n->random;
}

void neighbour_confirm(struct neighbours *n, uint32_t number, const uint8_t mac[6], uint64_t now_ns)
{
    neighbour_set(n, number, NEIGHBOUR_REACHABLE, mac);
    n->note[number].tries = 0;
    n->note[number].everybody = false;
    neighbour_due_at(n, number, now_ns + REACHABLE_NS / 2 + random_next(n) % REACHABLE_NS);
}

bool neighbours_shared(const struct neighbours *n)
{
    return atomic_load_explicit(&n->shared, memory_order_relaxed); /* pairs with neighbours_share */
}

void neighbour_stale(struct neighbours *n, uint32_t number, const uint8_t mac[6], uint64_t now_ns)
{
    neighbour_set(n, number, NEIGHBOUR_STALE, mac);
    n->note[number].tries = 0;
    n->note[number].everybody = false;
    neighbour_due_at(n, number, neighbours_shared(n) ? now_ns + WATCH_NS : UINT64_MAX);
}

/* What is sent to at this moment is probed at once, so that there is no time in which strangers may
 * change it. */
static void expired(struct neighbours *n, uint32_t number, uint64_t now_ns)
{
    uint8_t mac[6];
    bool reachable = neighbour_state(n, number) == NEIGHBOUR_REACHABLE;
    if (cells_age(&n->cells, number, now_ns) <= IN_USE) {
        neighbour_asked_for(n, number);
        neighbour_probe(n, number, reachable ? now_ns : now_ns + NEIGHBOUR_DELAY_NS);
        return;
    }
    word_mac(cells_word(&n->cells, number), mac);
    neighbour_stale(n, number, mac, now_ns);
}

static void tell_task(const struct neighbours *n, uint32_t number, struct neighbour_task *ret)
{
    *ret = (struct neighbour_task){.number = number};
    cells_ip(&n->cells, number, ret->ip);
    word_mac(cells_word(&n->cells, number), ret->mac);
}

/* A question is due, or its last one was in vain. */
static bool ask(struct neighbours *n, uint32_t number, struct neighbour_task *ret, uint64_t now_ns)
{
    static const uint8_t none[6];
    struct note *note = &n->note[number];
    tell_task(n, number, ret);
    if (note->tries == TRIES) {
        neighbour_set(n, number, NEIGHBOUR_FAILED, none);
        neighbour_due_at(n, number, now_ns + RETRANS_NS);
        ret->failed = true;
        return true;
    }
    if (!limit_take(&n->requests, now_ns))
        return false;
    note->tries++;
    note->asked_ns = now_ns;
    /* The last one asks everybody: the neighbour may have a new card */
    note->everybody = neighbour_state(n, number) == NEIGHBOUR_INCOMPLETE || note->tries == TRIES;
    ret->unicast = !note->everybody;
    neighbour_due_at(n, number, now_ns + RETRANS_NS);
    return true;
}

void neighbours_unsent(struct neighbours *n, uint32_t number)
{
    struct note *note = &n->note[number];
    if (neighbour_state(n, number) != NEIGHBOUR_PROBE)
        return; /* what waits for it may be what holds the buffers: that must end */
    note->tries -= note->tries > 0;
    note->everybody = false;
}

bool neighbours_step(struct neighbours *n, uint32_t number, struct neighbour_task *ret,
                     uint64_t now_ns)
{
    int state = neighbour_state(n, number);
    n->now_ns = now_ns;
    if (state == NEIGHBOUR_NONE || n->note[number].due_ns > now_ns)
        return false;
    if (state == NEIGHBOUR_REACHABLE || state == NEIGHBOUR_STALE)
        expired(n, number, now_ns);
    state = neighbour_state(n, number);
    if (state == NEIGHBOUR_FAILED)
        neighbour_remove(n, number);
    if (state != NEIGHBOUR_INCOMPLETE && state != NEIGHBOUR_PROBE)
        return false;
    return n->note[number].due_ns <= now_ns && ask(n, number, ret, now_ns);
}

/* Another worker reads from now on: what is stale already is watched as well. */
static void watch(struct neighbours *n, uint64_t now_ns)
{
    n->watching = true;
    for (uint32_t i = 0; i < n->cells.max; i++)
        if (neighbour_state(n, i) == NEIGHBOUR_STALE)
            neighbour_due_at(n, i, now_ns);
}

static uint64_t walked(struct neighbours *n, uint64_t now_ns)
{
    uint64_t next = n->earliest_ns;
    if (next <= now_ns) /* only the limit of requests leaves something that is due */
        next = limit_next_ns(&n->requests, now_ns);
    n->walk_left = 0;
    return next == UINT64_MAX ? next : max_of(next, now_ns + LOOK_NS);
}

/* A walk around the table, from where the last one ended, which may take several calls. */
bool neighbours_due(struct neighbours *n, struct neighbour_task *ret, uint64_t now_ns)
{
    if (neighbours_shared(n) && !n->watching)
        watch(n, now_ns);
    if (n->walk_left == 0) {
        if (now_ns < n->next_ns)
            return false;
        n->walk_left = n->cells.max;
        n->earliest_ns = UINT64_MAX;
    }
    while (n->walk_left) {
        uint32_t number = n->walk;
        n->walk = number + 1 < n->cells.max ? number + 1 : 0;
        n->walk_left--;
        bool due = neighbours_step(n, number, ret, now_ns);
        if (neighbour_state(n, number) != NEIGHBOUR_NONE)
            n->earliest_ns = min_of(n->earliest_ns, n->note[number].due_ns);
        if (due)
            return true;
    }
    n->next_ns = walked(n, now_ns);
    return false;
}

uint64_t neighbours_next_ns(const struct neighbours *n)
{
    return neighbours_shared(n) && !n->watching ? 0 : n->next_ns;
}
