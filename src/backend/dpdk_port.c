/* SPDX-License-Identifier: MIT
 * A port and the engines of its queues.
 *
 *   first engine    configures it for `queues` queues, offloads by its capability bits, RSS
 *   each engine     sets up its own queue with its own mempool
 *   the last one    starts it: so no queue receives what nobody looks at
 *   engines close   all but the last leave their pool with the port, whose queue still holds
 *                   buffers of it; the last one stops and closes the port, then those pools
 *
 * All of it under dpdk_lock; what engines read without it is atomic. A device's threads may free
 * buffers at any time (a link that goes), which the pool allows, and may take some of another
 * engine's when the port starts: for these each pool has a stash.
 * Source: DPDK's "Poll Mode Driver" guide, rte_ethdev.h. */
#include "backend/dpdk.h"

#include <rte_dev.h>
#include <rte_errno.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES 1024u   /* of a ring, where the device allows: 1 ms at 1 Mpps */
#define XSK_KEPT 2048u  /* net_af_xdp's ring has as many, always: ETH_AF_XDP_DFLT_NUM_DESCS */
#define XSK_LEFT 512u   /* for what is received and sent meanwhile */
#define BUSY_TRIES 100u /* a queue that was closed just now is free within milliseconds */
#define BUSY_US 5000u
#define ETH_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN)

static struct dpdk_port *ports;

/* ---- finding it ----------------------------------------------------------------------------- */

static struct dpdk_port *known(uint16_t id)
{
    struct dpdk_port *p = ports;
    while (p && p->id != id)
        p = p->next;
    return p;
}

static struct dpdk_port *port_new(uint16_t id)
{
    struct dpdk_port *p = calloc(1, sizeof *p);
    if (!p || rte_eth_dev_info_get(id, &p->info) < 0) {
        free(p);
        return NULL;
    }
    if (dpdk_link_open(p) < 0) {
        free(p);
        return NULL;
    }
    p->id = id;
    rte_eth_dev_get_name_by_port(id, p->name);
    p->next = ports;
    ports = p;
    return p;
}

static int no_port(const char *device, struct weir_why *why)
{
    if (!device)
        return why_set(why, -ENODEV, "dpdk",
                       "name a virtual device (vdev, such as net_af_xdp0,iface=veth0), or bind a "
                       "network card to vfio-pci (dpdk-devbind.py)",
                       "DPDK has no port");
    return why_set(why, -ENODEV, "dpdk",
                   "a PCI device must be bound to vfio-pci (dpdk-devbind.py -b vfio-pci), a "
                   "virtual "
                   "one named in vdev",
                   "DPDK has no port '%s'", device);
}

static int find(struct backend *b, const char *first, uint16_t *id, struct weir_why *why)
{
    const char *device = b->opt.frames.device;
    const char *name = device ? device : first[0] ? first : NULL;
    *id = (uint16_t)rte_eth_find_next_owned_by(0, RTE_ETH_DEV_NO_OWNER);
    if (name ? rte_eth_dev_get_port_by_name(name, id) < 0 : *id >= RTE_MAX_ETHPORTS)
        return no_port(name, why);
    return 0;
}

static int take_queue(struct dpdk_port *p, const struct weir_frames_opt *o, struct weir_why *why)
{
    unsigned most = min_of(min_of(p->info.max_rx_queues, p->info.max_tx_queues), DPDK_QUEUES_MAX);
    uint16_t queue = o->queue, queues = max_of(o->queues, (uint16_t)1);
    if (o->fewer_queues && most)
        queues = (uint16_t)min_of(queues, most);
    if (queues > most)
        return why_set(why, -ENOTSUP, "dpdk",
                       "ask for fewer workers, or give the device more queues",
                       "%s has %u queues, %u are asked for", p->name, most, queues);
    if (p->engines && p->queues != queues)
        return why_set(why, -EBUSY, "dpdk", "all engines of a port ask for the same number",
                       "%s is configured for %u queues, not %u", p->name, p->queues, queues);
    if (queue >= queues)
        return why_set(why, -EINVAL, "dpdk", "queues count from 0", "queue %u of %u", queue,
                       queues);
    if (p->taken >> queue & 1)
        return why_set(why, -EBUSY, "dpdk", "one engine a queue", "%s: queue %u is in use", p->name,
                       queue);
    if (p->engines + p->orphans >= DPDK_ORPHANS_MAX)
        return why_set(why, -EBUSY, "dpdk", "close the port's other engines, then open all anew",
                       "%s: its queues keep the buffers of %u engines that closed", p->name,
                       p->orphans);
    p->queues = queues;
    p->taken |= UINT64_C(1) << queue;
    p->engines++;
    return 0;
}

static void port_free(struct dpdk_port *p)
{
    struct dpdk_port **at = &ports;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    dpdk_link_close(p);
    free(p);
}

int dpdk_port_hold(struct backend *b, struct dpdk *d, struct weir_why *why)
{
    const struct weir_frames_opt *o = &b->opt.frames;
    char first[RTE_ETH_NAME_MAX_LEN] = "";
    int rc = o->vdev ? dpdk_vdevs_hold(o->vdev, first, sizeof first, why) : 0;
    if (rc)
        return rc;
    d->vdevs = o->vdev ? strdup(o->vdev) : NULL;
    rc = find(b, first, &d->id, why);
    if (rc)
        return rc;
    struct dpdk_port *p = known(d->id);
    if (!p && !(p = port_new(d->id)))
        return why_set(why, -ENODEV, "dpdk", "", "port %u: %s", d->id, dpdk_first_log());
    rc = take_queue(p, o, why);
    if (rc == 0) {
        d->port = p;
        d->queue = o->queue;
    } else if (p->engines == 0) {
        port_free(p);
    }
    return rc;
}

static bool is_af_xdp(const struct dpdk_port *p)
{
    return strcmp(p->info.driver_name, "net_af_xdp") == 0;
}

void dpdk_port_share(struct backend *b, const struct dpdk *d)
{
    uint32_t asked = b->opt.pool.small;
    if (!is_af_xdp(d->port) || asked == 0 || asked >= XSK_KEPT + XSK_LEFT)
        return;
    b->opt.pool.small = XSK_KEPT + asked;
    backend_lesser(b, -ENOBUFS, "dpdk pool", "give the pool 2560 small buffers, or more",
                   "net_af_xdp keeps %u buffers; the pool has %u small ones, not %u", XSK_KEPT,
                   b->opt.pool.small, asked);
}

/* ---- configuring it ------------------------------------------------------------------------- */

/* The same bytes over and over: the hash is the same for both directions of a flow. Source: Woo and
 * Park, "Scalable TCP Session Monitoring with Symmetric Receive-side Scaling", 2012. */
static uint8_t rss_key[64];

static void rss_key_make(void)
{
    for (unsigned i = 0; i < sizeof rss_key; i++)
        rss_key[i] = i % 2 ? 0x5a : 0x6d;
}

#define RSS_WANTED                                                                                 \
    (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV4_UDP |                          \
     RTE_ETH_RSS_NONFRAG_IPV6_UDP)
#define RX_WANTED                                                                                  \
    (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TIMESTAMP)

static void choose(struct backend *b, struct dpdk_port *p)
{
    const struct weir_frames_opt *o = &b->opt.frames;
    bool large = p->mtu + ETH_OVERHEAD > pool_small_bytes(b->pool);
    if (!o->no_offload) {
        p->rx_offloads = p->info.rx_offload_capa & RX_WANTED;
        p->tx_offloads = p->info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
    }
    p->tx_offloads |= p->info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    if (large)
        p->rx_offloads |= p->info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
    if (p->queues > 1)
        p->rss_types = p->info.flow_type_rss_offloads & RSS_WANTED;
    if (p->rss_types)
        p->rx_offloads |= p->info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
    if (p->queues > 1 && !p->rss_types)
        backend_lesser(b, -EOPNOTSUPP, "dpdk", "use one worker, or a device with RSS",
                       "%s has no RSS: it spreads flows over the queues as it likes", p->name);
}

static int configure(struct backend *b, struct dpdk_port *p, struct weir_why *why)
{
    struct rte_eth_conf conf = {0};
    choose(b, p);
    rss_key_make();
    conf.rxmode.mtu = p->mtu;
    conf.rxmode.offloads = p->rx_offloads;
    conf.txmode.offloads = p->tx_offloads;
    if (p->rss_types) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_key = rss_key;
        conf.rx_adv_conf.rss_conf.rss_key_len = p->info.hash_key_size ? p->info.hash_key_size : 40;
        conf.rx_adv_conf.rss_conf.rss_hf = p->rss_types;
    }
    int rc = rte_eth_dev_configure(p->id, p->queues, p->queues, &conf);
    if (rc < 0)
        return why_set(why, rc, "dpdk", "ask for fewer queues, or no_offload",
                       "%s refuses its configuration: %s", p->name, dpdk_first_log());
    p->rx_entries = p->tx_entries = ENTRIES;
    rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &p->rx_entries, &p->tx_entries);
    p->configured = true;
    return 0;
}

/* What frames may be long: as the device says, or as the person does. */
static int choose_mtu(struct backend *b, struct dpdk_port *p, struct weir_why *why)
{
    uint32_t asked = b->opt.frames.mtu;
    uint16_t mtu = RTE_ETHER_MTU;
    rte_eth_dev_get_mtu(p->id, &mtu);
    p->mtu = asked ? asked : mtu;
    if (p->mtu > UINT16_MAX || (p->info.max_mtu && p->mtu > p->info.max_mtu))
        return why_set(why, -EINVAL, "dpdk", "ask for a smaller MTU", "%s takes at most %u bytes",
                       p->name, p->info.max_mtu);
    bool one = p->mtu + ETH_OVERHEAD <= pool_small_bytes(b->pool);
    if (one || (p->info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER &&
                p->info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS))
        return 0;
    if (asked)
        return why_set(why, -EINVAL, "dpdk", "a smaller MTU, or a pool with small_bytes 4096",
                       "%s does not take a frame in several buffers", p->name);
    p->mtu = pool_small_bytes(b->pool) - ETH_OVERHEAD;
    return 0;
}

/* ---- its queues, its start ------------------------------------------------------------------ */

static int queue_refused(const struct dpdk *d, int rc, const char *what, struct weir_why *why)
{
    return why_set(why, rc, "dpdk", "look at the device's arguments and the pool's size",
                   "%s: %s queue %u: %s", d->port->name, what, d->queue, dpdk_first_log());
}

/* The socket is remembered: see dpdk_xsk.c. */
static int set_up_rx(struct dpdk *d, unsigned node, const struct rte_eth_rxconf *conf)
{
    struct dpdk_port *p = d->port;
    struct dpdk_xsks before = {0};
    bool xsk = is_af_xdp(p) && !(d->vdevs && strstr(d->vdevs, "shared_umem"));
    if (xsk)
        dpdk_xsk_list(&before);
    int rc = rte_eth_rx_queue_setup(p->id, d->queue, p->rx_entries, node, conf, d->mempool);
    if (rc == 0 && xsk)
        p->xsk[d->queue] = dpdk_xsk_new(&before);
    return rc;
}

static int set_up(struct dpdk *d, struct weir_why *why)
{
    struct dpdk_port *p = d->port;
    struct rte_eth_rxconf rx = p->info.default_rxconf;
    struct rte_eth_txconf tx = p->info.default_txconf;
    unsigned node = (unsigned)rte_eth_dev_socket_id(p->id);
    rx.offloads = p->rx_offloads;
    tx.offloads = p->tx_offloads;
    if (p->queues > 1)
        dpdk_pool_stash(d, p->rx_entries);
    int rc = set_up_rx(d, node, &rx);
    if (rc < 0)
        return queue_refused(d, rc, "receive", why);
    rc = rte_eth_tx_queue_setup(p->id, d->queue, p->tx_entries, node, &tx);
    if (rc < 0)
        return queue_refused(d, rc, "transmit", why);
    d->set_up = true;
    p->ready++;
    return 0;
}

/* EAL's thread tells that the device is gone. */
static int gone(uint16_t id, enum rte_eth_event_type event, void *arg, void *ret)
{
    struct dpdk_port *p = arg;
    (void)id, (void)event, (void)ret;
    atomic_store(&p->removed, true);
    return 0;
}

static void address(struct backend *b, struct dpdk_port *p)
{
    static const uint8_t none[6];
    struct rte_ether_addr mac;
    const uint8_t *asked = b->opt.frames.mac;
    bool promiscuous = b->opt.frames.promiscuous;
    if (rte_eth_macaddr_get(p->id, &mac) == 0)
        memcpy(p->mac, mac.addr_bytes, sizeof p->mac);
    if (memcmp(asked, none, sizeof none) != 0 && memcmp(asked, p->mac, sizeof p->mac) != 0) {
        memcpy(mac.addr_bytes, asked, sizeof mac.addr_bytes);
        memcpy(p->mac, asked, sizeof p->mac);
        promiscuous |= rte_eth_dev_default_mac_addr_set(p->id, &mac) < 0;
    }
    if (promiscuous && rte_eth_promiscuous_enable(p->id) < 0)
        backend_lesser(b, -EOPNOTSUPP, "dpdk", "leave it the MAC that the device has",
                       "%s cannot be promiscuous", p->name);
    rte_eth_allmulticast_enable(
        p->id); /* neighbour discovery's groups; where it is not known, all come */
}

static int start(struct backend *b, struct dpdk_port *p, struct weir_why *why)
{
    int rc = rte_eth_dev_start(p->id);
    if (rc < 0)
        return why_set(why, rc, "dpdk", "look at the device's arguments", "%s does not start: %s",
                       p->name, dpdk_first_log());
    address(b, p);
    rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_INTR_RMV, gone, p);
    atomic_store_explicit(&p->started, true, memory_order_release);
    dpdk_steer_all(b, p);
    return 0;
}

/* Some drivers keep what stands in their rings (net_af_xdp), for the memory goes with the pool. But
 * what a ring to another port holds is that port's to free. */
static void reclaim(const struct dpdk_port *p, struct weir_pool *pool)
{
    pool_reclaim(pool, strcmp(p->info.driver_name, "net_ring") != 0);
}

/* The kernel gives a queue of net_af_xdp's free some time after its socket was closed, and the driver
 * cannot try a queue again: its rings keep what the first try wrote, its pool's buffers are gone. So
 * the device is made anew. False: that would not help, or is not ours to do. */
static bool renew(struct backend *b, struct dpdk *d)
{
    struct dpdk_port *p = d->port;
    uint16_t id;
    if (!is_af_xdp(p) || !p->configured || p->ready || !d->vdevs)
        return false;
    rte_eth_dev_close(p->id);
    p->configured = false;
    dpdk_pool_unstash(d);
    reclaim(p, b->pool);
    usleep(BUSY_US);
    return dpdk_vdev_renew(d->vdevs, p->name) == 0 &&
           rte_eth_dev_get_port_by_name(p->name, &id) == 0 && id == p->id &&
           rte_eth_dev_info_get(id, &p->info) == 0;
}

int dpdk_port_open(struct backend *b, struct dpdk *d, struct weir_why *why)
{
    struct dpdk_port *p = d->port;
    int rc = 0;
    if (!p->configured) {
        rc = choose_mtu(b, p, why);
        rc = rc ? rc : configure(b, p, why);
        address(b, p);
    }
    if (rc == 0 && p->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
        rc = dpdk_bodies_open(d, p->tx_entries + DPDK_STAGE, rte_eth_dev_socket_id(p->id), why);
    rc = rc ? rc : set_up(d, why);
    for (unsigned tries = 0; rc < 0 && tries < BUSY_TRIES && renew(b, d); tries++) {
        rc = configure(b, p, why);
        rc = rc ? rc : set_up(d, why);
    }
    if (rc == 0 && p->ready == p->queues)
        rc = start(b, p, why);
    return rc;
}

/* ---- letting go ----------------------------------------------------------------------------- */

static void close_orphans(struct dpdk_port *p)
{
    for (unsigned i = 0; i < p->orphans; i++) {
        weir_pool_adopt(p->orphan[i]);
        reclaim(p, p->orphan[i]);
        weir_pool_close(p->orphan[i]); /* -EBUSY: the application kept some; it is leaked then */
    }
}

/* What stands in a ring of buffers (net_ring) is ours and is nobody's otherwise. */
static void drain(const struct dpdk *d)
{
    struct rte_mbuf *m[DPDK_BURST];
    for (unsigned i = 0; i < 2u * d->port->rx_entries / DPDK_BURST; i++) {
        unsigned n = rte_eth_rx_burst(d->id, d->queue, m, DPDK_BURST);
        if (n == 0)
            return;
        rte_pktmbuf_free_bulk(m, n);
    }
}

static void close_port(struct dpdk_port *p, struct weir_pool *own)
{
    rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_INTR_RMV, gone, p);
    if (atomic_load(&p->started))
        rte_eth_dev_stop(p->id);
    if (p->configured)
        rte_eth_dev_close(p->id);
    for (unsigned i = 0; i < DPDK_QUEUES_MAX; i++)
        dpdk_xsk_close(&p->xsk[i]);
    if (own)
        reclaim(p, own);
    close_orphans(p);
    port_free(p);
}

void dpdk_port_release(struct backend *b, struct dpdk *d)
{
    struct dpdk_port *p = d->port;
    if (p) {
        if (atomic_load(&p->started) && !atomic_load(&p->removed))
            drain(d);
        p->taken &= ~(UINT64_C(1) << d->queue);
        p->ready -= d->set_up;
        if (--p->engines == 0) {
            close_port(p, b->pool);
        } else if (d->set_up) { /* its queue has buffers until then; take_queue keeps room */
            p->orphan[p->orphans++] = b->pool;
            b->pool = NULL;
        }
        d->port = NULL;
    }
    if (d->vdevs)
        dpdk_vdevs_release(d->vdevs);
    free(d->vdevs);
    d->vdevs = NULL;
}
