/* SPDX-License-Identifier: MIT
 * The MTU of paths. A cell's word is the MTU; when it is to be forgotten is the writer's note.
 *
 * Where in the flow: icmp_error.c learns (after it looked whether we may have sent what is quoted),
 * out.c asks when it makes a flow.
 *
 * Invariants: a known MTU is at least its family's floor and only becomes smaller; one that was
 * asked for in the last minute is not evicted, one that nobody asked for yet is at once. What is forged at worst makes packets smaller, down
 * to the floor, for ten minutes.
 * Source: RFC 1191 (7: plateaus), RFC 8201 (4: floor, expiry). */
#include "stack/pmtu.h"
#include "stack/cells.h"
#include "stack/inside.h"

#include <errno.h>
#include <stdlib.h>

#define IDLE 60u  /* ticks of about a second that nobody asked for it: evictable */
#define STEPS 16u /* entries looked at for a place */

struct pmtu {
    struct cells cells;
    _Atomic uint32_t known; /* cells.count for other threads: pmtu_get pairs with count_again */
    uint64_t *expires_ns;   /* one a cell */
    uint64_t next_ns;
};

struct pmtu *pmtu_open(uint32_t max, uint64_t seed, struct weir_why *why)
{
    struct pmtu *p = calloc(1, sizeof *p);
    uint64_t *expires_ns = calloc(max ? max : 1, sizeof *expires_ns);
    if (p && expires_ns && cells_open(&p->cells, max, seed)) {
        p->expires_ns = expires_ns;
        p->next_ns = UINT64_MAX;
        return p;
    }
    free(expires_ns);
    free(p);
    why_set(why, -ENOMEM, "path MTUs", "", "no memory for %u paths", max);
    return NULL;
}

void pmtu_close(struct pmtu *p)
{
    cells_close(&p->cells);
    free(p->expires_ns);
    free(p);
}

uint32_t pmtu_get(const struct pmtu *p, const uint8_t ip[16], uint64_t now_ns)
{
    uint32_t number;
    /* Pairs with count_again: what is not seen yet is told by the next generation */
    if (atomic_load_explicit(&p->known, memory_order_relaxed) == 0)
        return 0;
    uint64_t word = cells_read(&p->cells, ip, &number);
    if (word && now_ns)
        cells_touch(&p->cells, number, now_ns);
    return (uint32_t)word;
}

static void count_again(struct pmtu *p)
{
    atomic_store_explicit(&p->known, p->cells.count, memory_order_relaxed); /* with pmtu_get */
}

/* RFC 1191, table 7-1: a router that does not tell its MTU; the next smaller one that is common. */
static uint32_t plateau(uint32_t packet)
{
    static const uint32_t common[] = {65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006};
    for (unsigned i = 0; i < array_len(common); i++)
        if (common[i] < packet)
            return common[i];
    return PMTU_FLOOR4;
}

/* What is to be believed of it; 0: nothing. */
static uint32_t sensible(const uint8_t ip[16], uint32_t mtu, uint32_t packet)
{
    if (packet && mtu >= packet)
        return 0; /* then it would have fitted */
    if (!ip_is_4(ip))
        return mtu < PMTU_FLOOR6 ? 0 : mtu; /* RFC 8201, 4: below that it must be discarded */
    if (mtu == 0 && packet == 0)
        return 0;
    uint32_t believed = max_of(mtu ? mtu : plateau(packet), PMTU_FLOOR4);
    return packet && believed >= packet ? 0 : believed; /* as above, of what is left of it */
}

static bool evict(struct pmtu *p, uint64_t now_ns)
{
    for (unsigned i = 0; i < STEPS && i < p->cells.max; i++) {
        uint32_t number = cells_turn(&p->cells);
        if (cells_word(&p->cells, number) && cells_age(&p->cells, number, now_ns) > IDLE) {
            cells_remove(&p->cells, number);
            return true;
        }
    }
    return false;
}

static uint32_t place_for(struct pmtu *p, const uint8_t ip[16], uint32_t mtu, uint64_t now_ns)
{
    if (p->cells.count == p->cells.max && !evict(p, now_ns))
        return NO_CELL;
    return cells_add(&p->cells, ip, mtu);
}

bool pmtu_learn(struct pmtu *p, const uint8_t ip[16], uint32_t mtu, uint32_t packet,
                uint64_t now_ns)
{
    uint32_t believed = sensible(ip, mtu, packet), number = cells_find(&p->cells, ip);
    if (believed == 0)
        return false;
    if (number == NO_CELL)
        number = place_for(p, ip, believed, now_ns);
    else if (cells_word(&p->cells, number) <= believed)
        return false;
    else
        cells_set(&p->cells, number, believed);
    if (number == NO_CELL)
        return false;
    p->expires_ns[number] = now_ns + PMTU_EXPIRY_NS;
    p->next_ns = min_of(p->next_ns, p->expires_ns[number]);
    count_again(p);
    return true;
}

bool pmtu_expire(struct pmtu *p, uint64_t now_ns)
{
    uint32_t before = p->cells.count;
    if (now_ns < p->next_ns)
        return false;
    p->next_ns = UINT64_MAX;
    for (uint32_t i = 0; i < p->cells.max; i++) {
        if (cells_word(&p->cells, i) == 0)
            continue;
        if (p->expires_ns[i] <= now_ns)
            cells_remove(&p->cells, i);
        else
            p->next_ns = min_of(p->next_ns, p->expires_ns[i]);
    }
    count_again(p);
    return p->cells.count != before;
}

uint64_t pmtu_next_ns(const struct pmtu *p)
{
    return p->next_ns;
}

uint32_t pmtu_count(const struct pmtu *p)
{
    return p->cells.count;
}
