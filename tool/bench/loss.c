/* SPDX-License-Identifier: MIT
 * Loss by layer: where each packet that was sent and not received went.
 *
 * In the flow   a span's readings -> span_loss -> the figures of a run.
 * Invariants    pure. tried - received == the sum of all known layers: each layer takes at most
 *               what is still missing; the sockets, whose count is the least exact, come last;
 *               `unexplained` takes the rest.
 * Source        bench/method.md, "Loss by layer". */
#include "bench/span.h"

#include <math.h>
#include <string.h>

/* UDP_MAX_SEGMENTS of Linux's include/linux/udp.h: what the kernel counts as one drop may have been
 * this many. */
#define SEGMENTS_MAX 128

enum { TX, IMPAIR, NIC, SOFTNET, SOCKET, RING, POOL, STACK, APP, UNEXPLAINED };

struct missing {
    double left;
    double *loss;
};

static void blame(struct missing *m, int layer, double count)
{
    double take = count < m->left ? count : m->left;
    m->loss[layer] = take > 0 ? take : 0;
    m->left -= m->loss[layer];
}

/* Drops at the sockets: ours by the engine's own count, and a generator's by that of its namespace.
 * */
static double socket_drops(const struct span *s)
{
    double server = (double)(s->after.socket_drops - s->before.socket_drops);
    double all = s->net_known ? (double)s->net.udp_rcvbuf : 0;
    return all > server ? all : server;
}

/* The kernel counts a merged receive that it drops once: the count is a lower bound, SEGMENTS_MAX
 * times it an upper. */
static double merged_drops(const struct span *s, const struct cell *cell)
{
    double drops = socket_drops(s);
    return cell->load == WEIR_LOAD_STREAM ? drops * SEGMENTS_MAX : drops;
}

static double nic_drops(const struct span *s)
{
    const struct weir_net_drops *n = &s->net;
    return (double)(n->nic_tx_dropped + n->nic_rx_dropped + n->nic_tx_errors + n->nic_rx_errors +
                    n->nic_rx_missed);
}

static void network(struct missing *m, const struct span *s)
{
    const struct weir_net_drops *n = &s->net;
    if (!s->net_known) {
        m->loss[NIC] = m->loss[SOFTNET] = m->loss[STACK] = NAN;
        return;
    }
    blame(m, NIC, nic_drops(s));
    blame(m, SOFTNET, (double)n->softnet_dropped);
    blame(m, STACK,
          (double)(n->udp_checksum + n->udp_memory + n->udp_no_port + n->ip_discarded +
                   n->ip_bad_header + n->ip_no_route));
}

/* A counter of the engine over the whole span. */
#define SINCE(s, name) (double)((s)->after.engine.name - (s)->before.engine.name)

static double app_drops(const struct span *s)
{
    return (double)(s->after.refused - s->before.refused) + SINCE(s, tx_error) +
           SINCE(s, tx_dropped) + SINCE(s, tx_oversize) + SINCE(s, tx_unreachable);
}

/* ---- our own stack
 * --------------------------------------------------------------------------------- */

/* A ring without a free entry is what an empty pool looks like to the device. */
static double starved_drops(const struct span *s)
{
    return SINCE(s, pool_empty) > 0 ? SINCE(s, rx_ring_full) : 0;
}

/* The device, or another worker's ring, had no room. */
static double ring_drops(const struct span *s)
{
    return SINCE(s, rx_ring_full) - starved_drops(s) + SINCE(s, tx_ring_full) +
           SINCE(s, rx_device_errors) + SINCE(s, tx_device_errors) + SINCE(s, handed_full);
}

/* Frames that our stack refused. Each dropped one is in one of these: stat.h. */
static double stack_drops(const struct span *s)
{
    double refused = SINCE(s, drop_short) + SINCE(s, drop_mac) + SINCE(s, drop_vlan) +
                     SINCE(s, drop_ethertype) + SINCE(s, dishonest_length) + SINCE(s, bad_version) +
                     SINCE(s, bad_options) + SINCE(s, bad_source) + SINCE(s, bad_checksum) +
                     SINCE(s, partial_checksum) + SINCE(s, not_ours) + SINCE(s, no_protocol) +
                     SINCE(s, no_port) + SINCE(s, fragment_bad) + SINCE(s, fragment_full) +
                     SINCE(s, fragment_timeout);
    return refused + SINCE(s, neighbour_failed) + SINCE(s, park_full) + SINCE(s, no_route);
}

/* The ring goes before the interface: what a full AF_XDP ring refuses, a veth counts as well. The
 * kernel's own protocols have no part in it. */
static void frame_loss(struct missing *m, const struct span *s)
{
    blame(m, IMPAIR, SINCE(s, fault_dropped));
    blame(m, RING, ring_drops(s));
    blame(m, STACK, stack_drops(s));
    blame(m, POOL, starved_drops(s) + SINCE(s, rx_truncated));
    blame(m, APP, app_drops(s) + (double)s->load.all.corrupt);
    blame(m, NIC, s->net_known ? nic_drops(s) : 0);
    blame(m, SOFTNET, s->net_known ? (double)s->net.softnet_dropped : 0);
    m->loss[SOCKET] = 0; /* no socket buffer is between the wire and us */
    if (!s->net_known)
        m->loss[NIC] = m->loss[SOFTNET] = NAN;
}

static void datagram_loss(struct missing *m, const struct span *s, const struct cell *cell)
{
    blame(m, IMPAIR, SINCE(s, fault_dropped));
    network(m, s);
    m->loss[RING] = 0; /* a completion ring that overflows loses nothing: IORING_FEAT_NODROP */
    blame(m, POOL, SINCE(s, rx_truncated));
    blame(m, APP, app_drops(s) + (double)s->load.all.corrupt);
    blame(m, SOCKET, merged_drops(s, cell));
}

/* TCP mends what the network loses: only a listener that refuses and a connection that breaks lose
 * a request. */
static void stream_loss(struct missing *m, const struct span *s)
{
    m->loss[IMPAIR] = 0; /* of datagrams and frames only */
    m->loss[NIC] = m->loss[SOFTNET] = m->loss[RING] = m->loss[STACK] = NAN;
    blame(m, SOCKET,
          s->net_known ? (double)(s->net.tcp_listen_overflow + s->net.tcp_listen_drops) : 0);
    blame(m, POOL, SINCE(s, accept_full));
    blame(m, APP, (double)(s->load.all.reset + s->load.all.unfinished + s->load.all.connect_error));
}

/* A reply that we corrupted is dropped by whoever gets it, where nobody counts it for us. */
static void corrupted(struct missing *m, const struct span *s)
{
    double already = m->loss[IMPAIR];
    blame(m, IMPAIR, SINCE(s, fault_changed));
    m->loss[IMPAIR] += already;
}

static double received(const struct span *s, const struct cell *cell)
{
    if (load_is_one_way(cell->load))
        return (double)(s->after.packets - s->before.packets);
    return (double)s->load.all.received;
}

void span_loss(const struct span *s, const struct cell *cell, double loss[LOSS_COUNT])
{
    const struct weir_load_counts *all = &s->load.all;
    struct missing m = {.left = (double)all->tried - received(s, cell), .loss = loss};
    blame(&m, TX, (double)(all->tx_full + all->tx_refused + all->tx_error));
    if (load_is_stream(cell->load))
        stream_loss(&m, s);
    else if (cell->frames)
        frame_loss(&m, s);
    else
        datagram_loss(&m, s, cell);
    if (cell->choice.impair.corrupt > 0)
        corrupted(&m, s);
    loss[UNEXPLAINED] = m.left; /* below 0: more came than was sent, which span_doubt tells */
}
