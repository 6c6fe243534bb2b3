/* SPDX-License-Identifier: MIT
 * How a worker stands, as others see it: counters, the watchdog, what its pool and its rings hold.
 *
 * Everything here is read while the worker runs, each number by itself and by a relaxed load: sums
 * of one look may differ by what happened while it was taken. The worker's own part is three stores
 * a poll (engine.h); nobody waits for anybody. */
#include "engine/frames.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

/* Where packets end, from the wire to the application and back. The first is a cause: what a device
 * then had no buffer for is in the next. */
#define DROPS(X)                                                                                   \
    X(pool_empty)                                                                                  \
    X(rx_ring_full)                                                                                \
    X(rx_device_errors)                                                                            \
    X(fault_dropped)                                                                               \
    X(drop_short)                                                                                  \
    X(drop_mac)                                                                                    \
    X(drop_vlan)                                                                                   \
    X(drop_ethertype)                                                                              \
    X(dishonest_length)                                                                            \
    X(bad_version)                                                                                 \
    X(bad_options)                                                                                 \
    X(bad_source)                                                                                  \
    X(bad_checksum)                                                                                \
    X(partial_checksum)                                                                            \
    X(not_ours)                                                                                    \
    X(no_protocol)                                                                                 \
    X(no_port)                                                                                     \
    X(arp_bad)                                                                                     \
    X(nd_bad)                                                                                      \
    X(icmp_bad)                                                                                    \
    X(fragment_bad)                                                                                \
    X(fragment_full)                                                                               \
    X(fragment_timeout)                                                                            \
    X(handed_full)                                                                                 \
    X(rx_truncated)                                                                                \
    X(no_route)                                                                                    \
    X(neighbour_failed)                                                                            \
    X(park_full)                                                                                   \
    X(tx_unreachable)                                                                              \
    X(tx_oversize)                                                                                 \
    X(tx_error)                                                                                    \
    X(tx_dropped)                                                                                  \
    X(tx_ring_full)                                                                                \
    X(tx_device_errors)

static const uint16_t drops[] = {
#define X(name) offsetof(struct weir_counters, name) / sizeof(uint64_t),
    DROPS(X)
#undef X
};

static uint64_t count_of(const struct weir_counters *counters, unsigned i)
{
    return ((const uint64_t *)(const void *)counters)[drops[i]];
}

int weir_health_drop(const struct weir_health *health, unsigned i, const char **name,
                     const char **text, uint64_t *count)
{
    if (i >= array_len(drops))
        return -ENOENT;
    *name = weir_counter_names[drops[i]].name;
    *text = weir_counter_names[drops[i]].text;
    *count = count_of(&health->counters, i);
    return 0;
}

/* What follows from the counters and ret->at_ns: `elapsed_ns` is how long they counted. */
static void derive(struct weir_health *ret, uint64_t elapsed_ns)
{
    const struct weir_counters *c = &ret->counters;
    double cycles = (double)elapsed_ns * 1e-9 * (double)weir_cycles_hz();
    uint64_t moved = c->rx_packets + c->tx_packets;
    ret->packets = c->rx_packets;
    ret->sent = c->tx_packets;
    ret->dropped = 0;
    for (unsigned i = 0; i < array_len(drops); i++)
        ret->dropped += count_of(c, i);
    ret->dropped -= c->pool_empty;
    ret->cycles_a_packet = moved ? (double)c->busy_cycles / (double)moved : 0;
    ret->busy = cycles > 0 ? min_of((double)c->busy_cycles / cycles, 1.0) : 0;
}

static void watch(const struct weir_engine *e, uint64_t stall_ns, struct weir_health *ret)
{
    static const char *const about[] = {"between two polls", "receiving", "in a handler",
                                        "sending"};
    uint64_t since = ret->at_ns - min_of(ret->polled_ns, ret->at_ns);
    unsigned stage = atomic_load_explicit(&e->stage, memory_order_relaxed);
    if (ret->sleeping || ret->polled_ns == 0 || since <= stall_ns)
        return;
    ret->stalled_ns = since;
    why_set(&ret->why, -ETIMEDOUT, "watchdog",
            stage == STAGE_HANDLERS ? "let handlers return soon: move long work to other threads"
                                    : "is its core taken by another thread?",
            "worker %u has not polled for %.3f s: it is %s", ret->worker, (double)since * 1e-9,
            about[min_of(stage, (unsigned)STAGE_SEND)]);
}

void health_of(const struct weir_engine *e, uint64_t now_ns, uint64_t stall_ns,
               struct weir_health *ret)
{
    int host;
    uint32_t used;
    weir_engine_counters(e, &ret->counters);
    ret->at_ns = now_ns;
    ret->polled_ns = atomic_load_explicit(&e->polled_ns, memory_order_relaxed);
    ret->sleeping = atomic_load(&e->sleeping);
    ret->queue = fleet_queue(e, &host);
    ret->host = host;
    ret->pool_total = e->b.opt.pool.small;
    ret->pool_free = atomic_load_explicit(&e->pool_free, memory_order_relaxed);
    ret->ring_slots = fleet_ring(e, &used);
    ret->ring_used = used;
    derive(ret, now_ns - min_of(e->opened_ns, now_ns));
    watch(e, stall_ns, ret);
}

void weir_health_since(const struct weir_health *after, const struct weir_health *before,
                       struct weir_health *ret)
{
    const uint64_t *last = (const uint64_t *)(const void *)&before->counters;
    struct weir_health h = *after;
    uint64_t *each = (uint64_t *)(void *)&h.counters;
    for (unsigned i = 0; i < weir_counter_count; i++)
        each[i] -= last[i];
    h.at_ns = after->at_ns - before->at_ns;
    derive(&h, h.at_ns);
    *ret = h;
}
