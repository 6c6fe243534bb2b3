/* SPDX-License-Identifier: MIT
 * What packets and persons say of neighbours, and what of it is believed.
 *
 * ARP and neighbour discovery prove nothing, so what limits the harm is the question: an answer
 * counts only while a question is open; another MAC for an entry that is in use only where
 * everybody was asked. Who claims another MAC unasked is refused, and makes us ask the known one
 * again, so that a real move (a failover) is found within three seconds.
 * Source: RFC 4861, 7.2.3 and 7.2.5; RFC 826; RFC 5227, 2.4; both stricter here, as above. */
#include "stack/neighbour_inside.h"

#include <stdlib.h>

#define STRANGER_STEPS 16u   /* entries looked at for a place for one that nobody asked for */
#define AGAIN_NS 1000000000u /* RFC 4861, 10: RETRANS_TIMER, the least time between questions */

/* From a request to us. A quarter of the table at most. */
static void stranger(struct neighbours *n, const uint8_t ip[16], const uint8_t mac[6],
                     uint64_t now_ns)
{
    bool many = n->unasked >= n->cells.max / 4;
    if (!limit_take(&n->strangers, now_ns)) {
        COUNT(n->counters, neighbour_full, 1);
        return;
    }
    if (many || n->cells.count == n->cells.max) {
        if (!neighbour_evict(n, STRANGER_STEPS, many, now_ns)) {
            COUNT(n->counters, neighbour_full, 1);
            return;
        }
    }
    uint32_t number = neighbour_new(n, ip, NEIGHBOUR_STALE, mac);
    n->note[number].unasked = true;
    n->unasked++;
    neighbour_stale(n, number, mac, now_ns);
}

/* Somebody says something else than we know: ask the one that we know. */
static void doubt(struct neighbours *n, uint32_t number, uint64_t now_ns)
{
    if (neighbour_state(n, number) != NEIGHBOUR_PROBE)
        neighbour_probe(n, number, max_of(now_ns, n->note[number].asked_ns + AGAIN_NS));
}

static bool question_open(const struct neighbours *n, uint32_t number)
{
    return n->note[number].tries > 0;
}

/* The first that we hear of one we asked for, or gave up. One that asks for us while we ask for it
 * is believed for now, but the question stays open, so that its answer counts more. */
static uint32_t first(struct neighbours *n, uint32_t number, const uint8_t *mac, unsigned says,
                      uint64_t now_ns)
{
    if (!mac)
        return NO_CELL;
    if ((says & NEIGHBOUR_ANSWERS) && question_open(n, number))
        neighbour_confirm(n, number, mac, now_ns);
    else if (neighbour_state(n, number) == NEIGHBOUR_FAILED)
        neighbour_stale(n, number, mac, now_ns);
    else if (says & (NEIGHBOUR_ANSWERS | NEIGHBOUR_ASKS))
        neighbour_set(n, number, NEIGHBOUR_PROBE, mac);
    else
        return NO_CELL; /* a claim: whom we asked will tell */
    return number;
}

/* May another MAC replace the one that we know? */
static bool may_change(const struct neighbours *n, uint32_t number, unsigned says, uint64_t now_ns)
{
    if (!(says & NEIGHBOUR_OVERRIDES))
        return false;
    if ((says & NEIGHBOUR_ANSWERS) && n->note[number].everybody)
        return true;
    return neighbour_state(n, number) == NEIGHBOUR_STALE &&
           cells_age(&n->cells, number, now_ns) > NEIGHBOUR_IDLE;
}

static void other_mac(struct neighbours *n, uint32_t number, const uint8_t mac[6], unsigned says,
                      bool *spoofed, uint64_t now_ns)
{
    if (!may_change(n, number, says, now_ns)) {
        *spoofed = says & NEIGHBOUR_OVERRIDES; /* without that it is a proxy's, and honest */
        doubt(n, number, now_ns);
    } else if ((says & NEIGHBOUR_ANSWERS) && question_open(n, number)) {
        neighbour_confirm(n, number, mac, now_ns);
    } else {
        neighbour_stale(n, number, mac, now_ns);
    }
}

/* Of one whose MAC is known. */
static void again(struct neighbours *n, uint32_t number, const uint8_t *mac, unsigned says,
                  bool *spoofed, uint64_t now_ns)
{
    uint8_t known[6];
    word_mac(cells_word(&n->cells, number), known);
    bool same = !mac || memcmp(mac, known, 6) == 0;
    if (neighbour_state(n, number) == NEIGHBOUR_TOLD)
        *spoofed = !same;
    else if (!same)
        other_mac(n, number, mac, says, spoofed, now_ns);
    else if ((says & NEIGHBOUR_ANSWERS) && question_open(n, number))
        neighbour_confirm(n, number, known, now_ns);
}

uint32_t neighbours_learn(struct neighbours *n, const uint8_t ip[16], const uint8_t *mac,
                          unsigned says, bool *spoofed, uint64_t now_ns)
{
    uint32_t number = cells_find(&n->cells, ip);
    n->now_ns = now_ns;
    *spoofed = false;
    if (number == NO_CELL) {
        if (mac && (says & NEIGHBOUR_ASKS))
            stranger(n, ip, mac, now_ns);
        return NO_CELL;
    }
    if (neighbour_state(n, number) < NEIGHBOUR_STALE)
        return first(n, number, mac, says, now_ns);
    again(n, number, mac, says, spoofed, now_ns);
    return NO_CELL;
}

uint32_t neighbours_tell(struct neighbours *n, const uint8_t ip[16], const uint8_t mac[6],
                         uint64_t now_ns)
{
    uint32_t number = cells_find(&n->cells, ip);
    n->now_ns = now_ns;
    if (number == NO_CELL) {
        if (n->cells.count == n->cells.max)
            neighbour_evict(n, n->cells.max, false, now_ns);
        number = neighbour_new(n, ip, NEIGHBOUR_TOLD, mac);
    } else {
        neighbour_asked_for(n, number);
        neighbour_set(n, number, NEIGHBOUR_TOLD, mac);
    }
    if (number != NO_CELL)
        neighbour_due_at(n, number, UINT64_MAX);
    return number;
}

uint32_t neighbours_forget(struct neighbours *n, const uint8_t ip[16])
{
    uint32_t number = cells_find(&n->cells, ip);
    if (number != NO_CELL)
        neighbour_remove(n, number);
    return number;
}
