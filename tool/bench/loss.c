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

enum { TX, NIC, SOFTNET, SOCKET, RING, POOL, STACK, APP, UNEXPLAINED };

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

static void network(struct missing *m, const struct span *s)
{
    const struct weir_net_drops *n = &s->net;
    if (!s->net_known) {
        m->loss[NIC] = m->loss[SOFTNET] = m->loss[STACK] = NAN;
        return;
    }
    blame(m, NIC,
          (double)(n->nic_tx_dropped + n->nic_rx_dropped + n->nic_tx_errors + n->nic_rx_errors +
                   n->nic_rx_missed));
    blame(m, SOFTNET, (double)n->softnet_dropped);
    blame(m, STACK,
          (double)(n->udp_checksum + n->udp_memory + n->udp_no_port + n->ip_discarded +
                   n->ip_bad_header + n->ip_no_route));
}

static double app_drops(const struct span *s)
{
    const struct weir_counters *a = &s->after.engine, *b = &s->before.engine;
    return (double)(s->after.refused - s->before.refused) + (double)(a->tx_error - b->tx_error) +
           (double)(a->tx_dropped - b->tx_dropped) + (double)(a->tx_oversize - b->tx_oversize) +
           (double)(a->tx_unreachable - b->tx_unreachable);
}

static void datagram_loss(struct missing *m, const struct span *s, const struct cell *cell)
{
    const struct weir_counters *a = &s->after.engine, *b = &s->before.engine;
    network(m, s);
    m->loss[RING] = 0; /* a completion ring that overflows loses nothing: IORING_FEAT_NODROP */
    blame(m, POOL, (double)(a->rx_truncated - b->rx_truncated));
    blame(m, APP, app_drops(s) + (double)s->load.all.corrupt);
    blame(m, SOCKET, merged_drops(s, cell));
}

/* TCP mends what the network loses: only a listener that refuses and a connection that breaks lose
 * a request. */
static void stream_loss(struct missing *m, const struct span *s)
{
    const struct weir_counters *a = &s->after.engine, *b = &s->before.engine;
    m->loss[NIC] = m->loss[SOFTNET] = m->loss[RING] = m->loss[STACK] = NAN;
    blame(m, SOCKET,
          s->net_known ? (double)(s->net.tcp_listen_overflow + s->net.tcp_listen_drops) : 0);
    blame(m, POOL, (double)(a->accept_full - b->accept_full));
    blame(m, APP, (double)(s->load.all.reset + s->load.all.unfinished + s->load.all.connect_error));
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
    else
        datagram_loss(&m, s, cell);
    loss[UNEXPLAINED] = m.left; /* below 0: more came than was sent, which span_doubt tells */
}
