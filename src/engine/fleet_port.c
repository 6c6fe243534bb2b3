/* SPDX-License-Identifier: MIT
 * Which workers have a port open: what a host must know before it gives a flow to anybody.
 *
 * A port's word has a bit a worker, read for every frame without a lock. Where a port is open at
 * several addresses (PORT_SEVERAL) the word does not suffice and the list of bindings decides, under
 * the lock: a rare arrangement pays for it alone. A frame that is on its way while a port opens or
 * closes ends at a worker that has it not, as it would with a kernel's sockets. */
#include "engine/fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 65536u
#define PORT_FIRST 32768u /* Linux's net.ipv4.ip_local_port_range, */
#define PORT_LAST 60999u  /* as the stack has it */

int ports_open(struct fleet *f, uint32_t endpoints)
{
    f->bindings_max = endpoints * f->n;
    f->ports = calloc(PORTS, sizeof *f->ports);
    f->binding = calloc(f->bindings_max, sizeof *f->binding);
    return f->ports && f->binding ? 0 : -ENOMEM;
}

void ports_close(struct fleet *f)
{
    free(f->ports);
    free(f->binding);
}

/* The word of a port anew from the list. Under the lock. */
static void write_port(struct fleet *f, uint16_t port)
{
    const uint64_t all = (1ull << f->n) - 1;
    uint64_t before = atomic_load_explicit(&f->ports[port], memory_order_relaxed), word = 0;
    unsigned count = 0;
    for (uint32_t i = 0; i < f->bindings; i++)
        if (f->binding[i].at.port == port) {
            word |= f->binding[i].workers;
            count++;
        }
    bool was = (before & all) && ((before & all) != all || before & PORT_SEVERAL);
    bool is = word && (word != all || count > 1);
    atomic_store_explicit(&f->ports[port], word | (count > 1 ? PORT_SEVERAL : 0),
                          memory_order_relaxed); /* pairs with ports_owners */
    atomic_fetch_add_explicit(&f->partial, (unsigned)is - (unsigned)was, memory_order_relaxed);
}

static struct binding *find(struct fleet *f, const struct weir_addr *at)
{
    for (uint32_t i = 0; i < f->bindings; i++)
        if (memcmp(&f->binding[i].at, at, sizeof *at) == 0)
            return &f->binding[i];
    return NULL;
}

static void change(struct fleet *f, const struct weir_addr *at, unsigned worker, bool bound)
{
    struct binding *b = find(f, at);
    if (!b && bound) {
        assert(f->bindings < f->bindings_max); /* no more than there are endpoints */
        b = &f->binding[f->bindings++];
        *b = (struct binding){.at = *at};
    }
    if (b && bound)
        b->workers |= 1ull << worker;
    else if (b)
        b->workers &= ~(1ull << worker);
    if (b && b->workers == 0)
        *b = f->binding[--f->bindings];
}

void fleet_bound(struct weir_engine *e, const struct weir_addr *local, bool bound)
{
    struct fleet *f = e->fleet;
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    change(f, local, e->fleet_index, bound);
    write_port(f, local->port);
    pthread_mutex_unlock(&f->lock);
}

int fleet_choose(struct weir_engine *e, struct weir_addr *local)
{
    struct fleet *f = e->fleet;
    int rc = -EADDRINUSE;
    if (!f || local->port)
        return 0;
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; rc && i <= PORT_LAST - PORT_FIRST; i++) {
        uint16_t port = (uint16_t)(PORT_FIRST + f->rover++ % (PORT_LAST - PORT_FIRST + 1));
        if (atomic_load_explicit(&f->ports[port], memory_order_relaxed))
            continue;
        atomic_store_explicit(&f->ports[port], PORT_RESERVED, memory_order_relaxed);
        local->port = port;
        rc = 0;
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

void fleet_unchoose(struct weir_engine *e, const struct weir_addr *local)
{
    struct fleet *f = e->fleet;
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    if (atomic_load_explicit(&f->ports[local->port], memory_order_relaxed) == PORT_RESERVED)
        atomic_store_explicit(&f->ports[local->port], 0, memory_order_relaxed);
    pthread_mutex_unlock(&f->lock);
}

static void address_of(const struct rss_flow *flow, uint8_t ret[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(ret, mapped, sizeof mapped);
    memcpy(ret + 16 - flow->to_bytes, flow->to, flow->to_bytes);
}

/* The address itself before a wildcard, as within a stack. */
uint64_t ports_owners_at(struct fleet *f, const struct rss_flow *flow)
{
    struct weir_addr at = {.port = flow->port};
    uint64_t any = 0, exact = 0;
    address_of(flow, at.ip);
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->bindings; i++) {
        const struct binding *b = &f->binding[i];
        if (b->at.port != flow->port)
            continue;
        exact |= memcmp(b->at.ip, at.ip, 16) == 0 ? b->workers : 0;
        any |= addr_is_any(&b->at) && (!addr_is_ip4(&b->at) || addr_is_ip4(&at)) ? b->workers : 0;
    }
    pthread_mutex_unlock(&f->lock);
    return exact ? exact : any;
}

/* ---- datagrams for other workers ------------------------------------------------------------ */

/* The other workers that have the port open at just this address. */
static uint64_t others(struct weir_engine *e, const struct weir_addr *local)
{
    struct rss_flow flow = {.port = local->port, .to = local->ip, .to_bytes = 16};
    /* As in ports_owners; most of what comes here is for a port that nobody has */
    if (atomic_load_explicit(&e->fleet->ports[local->port], memory_order_relaxed) == 0)
        return 0;
    return ports_owners_at(e->fleet, &flow) & ~(1ull << e->fleet_index);
}

/* With a header of its own, which can hold the peer, and memory of ours in front of it: a view has
 * neither. NULL: no buffer; the datagram is dropped. */
static struct weir_buf *own(struct weir_engine *e, struct weir_buf *datagram)
{
    struct backend *b = &e->b;
    if (datagram->section != WEIR_VIEW && weir_buf_headroom(datagram) >= sizeof datagram->peer)
        return datagram;
    struct weir_buf *copy = weir_buf_take_bytes(b->pool, datagram->len);
    if (copy && weir_buf_headroom(copy) < sizeof datagram->peer)
        weir_buf_drop(&copy, 1);
    if (copy) {
        memcpy(copy->data, datagram->data, datagram->len);
        copy->len = datagram->len;
        copy->peer = datagram->peer;
        COUNT(&b->counters, foreign_copied, 1);
        COUNT(&b->counters, copies, 1);
        COUNT(&b->counters, copied_bytes, copy->len);
    }
    weir_buf_drop(&datagram, 1);
    return copy;
}

static bool hand(struct weir_engine *e, unsigned to, const struct weir_addr *local,
                 struct weir_buf *datagram)
{
    datagram = own(e, datagram);
    if (!datagram)
        return false;
    memcpy(datagram->data - sizeof *local, local, sizeof *local); /* take_told reads it there */
    struct parcel parcel = fleet_parcel(datagram, PARCEL_TOLD);
    if (fleet_push(e, to, &parcel))
        return true;
    away_drop(&(struct away){.buf = parcel.buf});
    return false;
}

/* A datagram that this worker's stack has no socket for, and another has. */
bool fleet_elsewhere(void *arg, const struct weir_addr *local, struct weir_buf *datagram)
{
    struct weir_engine *e = arg;
    uint64_t owners = others(e, local);
    if (!datagram)
        return owners != 0;
    if (!owners) { /* closed since it was asked */
        COUNT(&e->b.counters, no_port, 1);
        weir_buf_drop(&datagram, 1);
    } else if (hand(e, (unsigned)__builtin_ctzll(owners), local, datagram)) {
        COUNT(&e->b.counters, handed_over, 1);
    } else {
        COUNT(&e->b.counters, handed_full, 1);
    }
    return true;
}
