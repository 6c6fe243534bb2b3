/* SPDX-License-Identifier: MIT
 * The DPDK backend: one queue of a port, polled.
 *
 *   rte_eth_rx_burst -> mbuf -> the header in its private area -> frame
 *
 * A received mbuf of our own pool is the buffer; only its state changes. One of another pool (a
 * ring between two engines), one in several segments or with memory of its own is copied, counted.
 *
 * Every LOOK_NS the engine looks at what costs more than a burst: link, device counters, the
 * device's clock. A virtual device has no interrupt, so a sleeping engine naps and looks: the longer
 * nothing came, the longer, up to NAP_MAX_NS; spinning is DPDK's way. Why: docs/why/dpdk.md.
 * Source: DPDK's "Poll Mode Driver" guide, rte_ethdev.h, rte_mbuf_core.h. */
#define ALLOW_EXPERIMENTAL_API /* rte_eth_read_clock, in DPDK since 19.08 */
#include "backend/dpdk.h"

#include <rte_errno.h>
#include <rte_mbuf_dyn.h>
#include <rte_version.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_NS UINT64_C(100000000)
#define NAP_MIN_NS INT64_C(20000)   /* below this a timer costs more than it sleeps */
#define NAP_MAX_NS INT64_C(1000000) /* how late the first frame after a long silence may be seen */
#define FLUSH_NS UINT64_C(20000)
/* Where a body attached costs as much as its copy: 110 cycles, measured over net_ring with a payload
 * in the cache (docs/why/dpdk.md). */
#define GATHER_BYTES 1280u

/* ---- receiving ------------------------------------------------------------------------------ */

/* The device has the frame alone, in our pool's memory: the header is the frame. */
static inline bool ours(const struct dpdk *d, const struct rte_mbuf *m, const struct weir_buf *buf)
{
    return m->pool == d->mempool && m->nb_segs == 1 &&
           !(m->ol_flags & (RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT)) && buf->refs == 1;
}

static uint64_t stamp(const struct dpdk *d, const struct rte_mbuf *m)
{
    uint64_t ticks = *RTE_MBUF_DYNFIELD(m, d->time_at, const rte_mbuf_timestamp_t *);
    double ns = (double)(int64_t)(ticks - d->clock.ticks) * d->clock.ns_a_tick;
    return d->clock.ns + (uint64_t)(int64_t)ns;
}

/* What the device told of the frame. An integrity that it knows though the sum is not in the packet
 * (virtio) is an integrity. */
static inline void describe(const struct dpdk *d, const struct rte_mbuf *m, struct weir_buf *buf)
{
    uint64_t l4 = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    struct frame_meta meta = {0};
    if (l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD || l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE)
        meta.flags |= FRAME_CSUM_OK;
    if (m->ol_flags & RTE_MBUF_F_RX_RSS_HASH) {
        meta.flags |= FRAME_HASH;
        meta.hash = m->hash.rss;
    }
    if (unlikely(d->clock.ns_a_tick > 0 && m->ol_flags & d->time_flag)) {
        meta.flags |= FRAME_TIME;
        meta.rx_ns = stamp(d, m);
    }
    *frame_meta(buf) = meta;
}

/* Into one buffer of our own, segment by segment. NULL: none is left, or none is that large. */
static struct weir_buf *copy_out(struct backend *b, const struct dpdk *d, const struct rte_mbuf *m)
{
    struct weir_buf *buf = weir_buf_take_bytes(d->pool, m->pkt_len);
    if (!buf) {
        COUNT(&b->counters, rx_ring_full, 1);
        return NULL;
    }
    describe(d, m, buf);
    for (const struct rte_mbuf *s = m; s && weir_buf_tailroom(buf) >= s->data_len; s = s->next) {
        memcpy(buf->data + buf->len, rte_pktmbuf_mtod(s, const void *), s->data_len);
        buf->len += s->data_len;
    }
    if (m->nb_segs > 1)
        COUNT(&b->counters, linearized, 1);
    else
        COUNT(&b->counters, foreign_copied, 1);
    COUNT(&b->counters, copies, 1);
    COUNT(&b->counters, copied_bytes, buf->len);
    return buf;
}

/* Mbufs become frames: ours in one go at the end, because most are. */
static unsigned take(struct backend *b, struct dpdk *d, struct rte_mbuf **m, unsigned n,
                     struct weir_buf **ret)
{
    struct weir_buf *landed[DPDK_BURST];
    unsigned k = 0, own = 0;
    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *buf = dpdk_buf(m[i]);
        if (likely(ours(d, m[i], buf))) {
            buf->data = (uint8_t *)m[i]->buf_addr + m[i]->data_off;
            buf->len = m[i]->data_len;
            describe(d, m[i], buf);
            landed[own++] = buf;
        } else {
            buf = copy_out(b, d, m[i]);
            rte_pktmbuf_free(m[i]);
        }
        if (likely(buf))
            ret[k++] = buf;
    }
    pool_landed(d->pool, landed, own);
    return k;
}

/* One burst of the device's, none of one that cannot give any. */
static unsigned receive(struct dpdk *d, struct rte_mbuf **m, unsigned n)
{
    if (unlikely(!atomic_load_explicit(&d->port->started, memory_order_acquire) ||
                 atomic_load_explicit(&d->port->removed, memory_order_relaxed)))
        return 0;
    return rte_eth_rx_burst(d->id, d->queue, m, (uint16_t)n);
}

/* What a sleep ended with. */
static unsigned take_early(struct backend *b, struct dpdk *d, struct weir_buf **ret, unsigned n)
{
    unsigned early = min_of(n, d->early);
    unsigned k = take(b, d, d->arrived, early, ret);
    d->early = (uint16_t)(d->early - early);
    memmove(d->arrived, d->arrived + early, d->early * sizeof *d->arrived);
    return k;
}

static void look(struct backend *b, struct dpdk *d, uint64_t now_ns);

/* Drivers give a burst at most, however many are asked for. */
static unsigned dpdk_rx(struct backend *b, struct weir_buf **ret, unsigned n)
{
    struct dpdk *d = b->priv;
    struct rte_mbuf *m[DPDK_BURST];
    unsigned k = 0, want, got;
    if (unlikely(b->now_ns >= d->look_ns))
        look(b, d, b->now_ns);
    if (unlikely(d->early))
        k = take_early(b, d, ret, n);
    do {
        want = min_of(n - k, DPDK_BURST);
        got = receive(d, m, want);
        k += take(b, d, m, got, ret + k);
    } while (got == want && k < n);
    if (k)
        d->arrived_ns = b->now_ns;
    return k;
}

/* ---- the slow look -------------------------------------------------------------------------- */

/* Two moments of the device's clock give its rate. */
static void look_at_clock(struct dpdk *d)
{
    uint64_t ticks, ns = weir_now_ns();
    if (d->time_at < 0 || rte_eth_read_clock(d->id, &ticks) < 0)
        return;
    if (d->clock.ns && ticks > d->clock.ticks)
        d->clock.ns_a_tick = (double)(ns - d->clock.ns) / (double)(ticks - d->clock.ticks);
    d->clock.ticks = ticks;
    d->clock.ns = ns;
}

/* They are the device's, so one engine counts them: that of queue 0. */
static void look_at_stats(struct backend *b, struct dpdk *d)
{
    struct rte_eth_stats now;
    if (d->queue != 0 || rte_eth_stats_get(d->id, &now) < 0)
        return;
    COUNT(&b->counters, rx_ring_full,
          now.imissed - d->seen.imissed + now.rx_nombuf - d->seen.rx_nombuf);
    COUNT(&b->counters, rx_device_errors, now.ierrors - d->seen.ierrors);
    COUNT(&b->counters, tx_device_errors, now.oerrors - d->seen.oerrors);
    d->seen = now;
}

static void look(struct backend *b, struct dpdk *d, uint64_t now_ns)
{
    d->look_ns = now_ns + LOOK_NS;
    int err = dpdk_link_look(b, d);
    d->tell_link |= err != d->told_link;
    d->told_link = (int16_t)err;
    if (err == -ENODEV)
        return;
    look_at_stats(b, d);
    look_at_clock(d);
}

static unsigned dpdk_notices(struct backend *b, struct port_notice *ret, unsigned n)
{
    struct dpdk *d = b->priv;
    if (likely(!d->tell_link) || n == 0)
        return 0;
    d->tell_link = false;
    ret[0] = (struct port_notice){.kind = PORT_LINK, .err = d->told_link};
    return 1;
}

/* ---- the report ----------------------------------------------------------------------------- */

static void dpdk_port(const struct backend *b, struct frame_port *ret)
{
    const struct dpdk *d = b->priv;
    const struct dpdk_port *p = d->port;
    *ret = (struct frame_port){
        .queues = p->queues,
        .mtu = p->mtu,
        .up = d->told_link == 0,
        .tx_checksum = p->tx_offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
        .tx_gather = d->bodies != NULL,
        .gather_bytes = GATHER_BYTES,
    };
    snprintf(ret->name, sizeof ret->name, "%.40s, queue %u of %u", p->name, d->queue, p->queues);
    memcpy(ret->mac, p->mac, sizeof ret->mac);
}

static void dpdk_stats(const struct backend *b,
                       void (*line)(const char *name, uint64_t value, void *), void *arg)
{
    const struct dpdk *d = b->priv;
    if (atomic_load(&d->port->removed))
        return;
    int n = rte_eth_xstats_get(d->id, d->values, d->n_values);
    for (int i = 0; i < n && (unsigned)n <= d->n_values; i++)
        if (d->values[i].value && d->values[i].id < d->n_values)
            line(d->names[d->values[i].id].name, d->values[i].value, arg);
}

/* A virtual function has a link to its physical one; a physical one says how many it has. */
static const char *kind_of(const struct dpdk_port *p, char *text, size_t bytes)
{
    char path[128];
    unsigned vfs = 0;
    struct stat st;
    if (p->info.switch_info.name && p->info.switch_info.domain_id != 0 &&
        *p->info.dev_flags & RTE_ETH_DEV_REPRESENTOR)
        return ", a representor";
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.63s/physfn", p->name);
    if (stat(path, &st) == 0)
        return ", a virtual function";
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.63s/sriov_numvfs", p->name);
    FILE *f = fopen(path, "re");
    bool has = f && fscanf(f, "%u", &vfs) == 1 && vfs > 0;
    if (f)
        fclose(f);
    if (has)
        snprintf(text, bytes, ", with %u virtual functions", vfs);
    return has ? text : "";
}

static void dpdk_modes(const struct backend *b, char *text, size_t bytes)
{
    const struct dpdk *d = b->priv;
    const struct dpdk_port *p = d->port;
    char kind[48];
    snprintf(text, bytes, "%s by %s%s, queue %u of %u, %s%s%s%s%s%s", p->name, p->info.driver_name,
             kind_of(p, kind, sizeof kind), d->queue, p->queues, dpdk_memory_text(),
             p->rss_types ? ", RSS" : "",
             p->rx_offloads & RTE_ETH_RX_OFFLOAD_UDP_CKSUM ? ", rx checksums" : "",
             p->tx_offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM ? ", tx checksums" : "",
             d->bodies ? ", bodies" : "", d->time_at >= 0 ? ", timestamps" : "");
}

static int dpdk_probe(char *modes, size_t bytes, struct weir_why *why)
{
    struct stat st;
    if (stat(RTE_EAL_PMD_PATH, &st) < 0)
        return why_set(why, -errno, "dpdk", "install DPDK's drivers: Debian's package dpdk",
                       "no drivers in " RTE_EAL_PMD_PATH);
    uint64_t free_bytes = dpdk_huge_free();
    if (free_bytes)
        snprintf(modes, bytes, "%s, %llu MiB of hugepages free", rte_version(),
                 (unsigned long long)free_bytes >> 20);
    else
        snprintf(modes, bytes, "%s, no hugepages: plain memory (sysctl vm.nr_hugepages=256)",
                 rte_version());
    return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int open_names(struct dpdk *d)
{
    int n = rte_eth_xstats_get_names(d->id, NULL, 0);
    if (n <= 0)
        return 0;
    d->names = calloc((size_t)n, sizeof *d->names);
    d->values = calloc((size_t)n, sizeof *d->values);
    if (!d->names || !d->values)
        return -ENOMEM;
    d->n_values = (unsigned)n;
    rte_eth_xstats_get_names(d->id, d->names, d->n_values);
    return 0;
}

static int open_epoll(struct backend *b, struct dpdk *d)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (d->epoll_fd < 0 || epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, b->wake_fd, &event) < 0)
        return -errno;
    return 0;
}

static void open_time(struct dpdk *d)
{
    d->time_at = -1;
    if (d->port->rx_offloads & RTE_ETH_RX_OFFLOAD_TIMESTAMP)
        rte_mbuf_dyn_rx_timestamp_register(&d->time_at, &d->time_flag);
}

static int dpdk_open(struct backend *b, struct weir_why *why)
{
    struct dpdk *d = b->priv;
    if (b->opt.frames.addresses == 0)
        return why_set(why, -EINVAL, "dpdk",
                       "give one, such as 10.0.0.2/24 (weir_frames_opt.address)",
                       "a DPDK port has no address of its own");
    dpdk_lock();
    int rc = dpdk_port_open(b, d, why);
    dpdk_unlock();
    if (rc)
        return rc;
    open_time(d);
    rc = open_names(d);
    rc = rc ? rc : open_epoll(b, d);
    if (rc)
        return why_set(why, rc, "dpdk", "", "cannot allocate");
    d->flush_ns = b->opt.frames.tx_flush_ns ? b->opt.frames.tx_flush_ns : FLUSH_NS;
    rte_eth_stats_get(d->id, &d->seen);
    d->told_link = (int16_t)dpdk_link_look(b, d);
    d->tell_link = d->told_link == -ENODEV; /* the engine knows up and down */
    d->arrived_ns = b->now_ns;
    d->look_ns = b->now_ns + (atomic_load(&d->port->started) ? LOOK_NS : 0);
    return 0;
}

/* Also of a start that failed half way, on the same thread. */
static void dpdk_close(struct backend *b)
{
    struct dpdk *d = b->priv;
    dpdk_lock();
    dpdk_tx_close(d);
    if (d->mempool)
        dpdk_pool_unstash(d);
    dpdk_port_release(b, d);
    dpdk_unlock();
    if (d->bodies)
        rte_mempool_free(d->bodies);
    if (d->epoll_fd >= 0)
        close(d->epoll_fd);
    dpdk_thread_leave();
    free(d->names);
    free(d->values);
    free(d);
    b->priv = NULL;
}

static struct weir_pool *pool_locked(struct backend *b, struct dpdk *d, struct weir_why *why)
{
    if (dpdk_eal_start(b, why) < 0 || dpdk_thread_enter(why) < 0 || dpdk_port_hold(b, d, why) < 0)
        return NULL;
    dpdk_port_share(b, d);
    return dpdk_pool_open(d, &b->opt.pool, rte_eth_dev_socket_id(d->id), why);
}

/* The engine closes what has a priv, so a pool that cannot be is no special case. */
static struct weir_pool *dpdk_pool(struct backend *b, struct weir_why *why)
{
    struct dpdk *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->epoll_fd = -1;
    b->priv = d;
    dpdk_lock();
    struct weir_pool *pool = pool_locked(b, d, why);
    dpdk_unlock();
    return pool;
}

/* ---- sleeping ------------------------------------------------------------------------------- */

/* Whether there is a reason to poll: a frame, or something to say of the link. */
static bool roused(struct backend *b, struct dpdk *d, uint64_t now_ns)
{
    if (now_ns >= d->look_ns)
        look(b, d, now_ns);
    if (d->early == 0)
        d->early = (uint16_t)receive(d, d->arrived, DPDK_BURST);
    return d->early || d->tell_link;
}

/* One nap. 1: a wake, 0: none, or -errno. `mask`: the signals that may end it. */
static int nap(struct backend *b, struct dpdk *d, int64_t left_ns, uint64_t now_ns,
               const sigset_t *mask)
{
    struct epoll_event event;
    int64_t silent = (int64_t)(now_ns - d->arrived_ns) / 8;
    struct timespec ts = {.tv_nsec =
                              min_of(left_ns, min_of(max_of(silent, NAP_MIN_NS), NAP_MAX_NS))};
    COUNT(&b->counters, syscalls, 1);
    int n = epoll_pwait2(d->epoll_fd, &event, 1, &ts, mask);
    return n < 0 ? -errno : n;
}

/* Signals wait for the naps, so that none passes between two of them unseen. */
static int dpdk_wait(struct backend *b, int64_t timeout_ns)
{
    struct dpdk *d = b->priv;
    uint64_t now = weir_now_ns(), until = timeout_ns < 0 ? INT64_MAX : now + (uint64_t)timeout_ns;
    sigset_t all, before;
    int rc = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (rc == 0 && now < until && !roused(b, d, now)) {
        rc = nap(b, d, (int64_t)(until - now), now, &before);
        now = weir_now_ns();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return min_of(rc, 0);
}

static const struct frame_ops frames = {
    .rx = dpdk_rx,
    .tx_room = dpdk_tx_room,
    .tx = dpdk_tx,
    .submit = dpdk_submit,
    .port = dpdk_port,
    .steer = dpdk_steer,
    .notices = dpdk_notices,
    .next_ns = dpdk_next_ns,
    .stats = dpdk_stats,
};

const struct backend_ops backend_dpdk = {
    .name = "dpdk",
    .title = "our own stack over DPDK",
    .kind = BACKEND_FRAMES,
    .frames = &frames,
    .pool = dpdk_pool,
    .probe = dpdk_probe,
    .open = dpdk_open,
    .close = dpdk_close,
    .modes = dpdk_modes,
    .wait = dpdk_wait,
};
