/* SPDX-License-Identifier: MIT
 * A pool whose small slots are mbufs.
 *
 *     object  | rte_mbuf 128 | weir_buf 64 | slot: headroom, data |
 *
 * The mempool has operations of our own, whose stack of free objects is the pool's: what devices
 * allocate and free are calls of pool_lend and pool_return, and our own take and drop stay what
 * they are. So a free of a sent mbuf is its completion. There is no per-core cache in between,
 * which would hide buffers from the pool's count. Why: docs/why/dpdk.md.
 *
 * Invariant: an mbuf of the pool that no device has is as rte_mbuf_raw_free left it: refcnt 1,
 * nb_segs 1, next NULL. Source: DPDK's programmer's guide, "Mempool Library", "Mbuf Library". */
#include "backend/dpdk.h"

#include <rte_errno.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPS "weir"
#define BODIES_CACHE 64u /* two bursts */

/* What a mempool's operations work on. */
struct dpdk_pool {
    struct rte_mempool *mempool;
    struct weir_pool *pool; /* NULL while objects are being gathered */
    struct weir_buf **table;
    unsigned gathered;
    pthread_mutex_t lock; /* of the stash */
    struct weir_buf **stash;
    unsigned stashed;
};

static int ops_alloc(struct rte_mempool *mp)
{
    struct dpdk_pool *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->mempool = mp;
    p->table = calloc(mp->size, sizeof *p->table);
    pthread_mutex_init(&p->lock, NULL);
    mp->pool_data = p;
    return p->table ? 0 : -ENOMEM;
}

static void ops_free(struct rte_mempool *mp)
{
    struct dpdk_pool *p = mp->pool_data;
    if (!p)
        return;
    pthread_mutex_destroy(&p->lock);
    free(p->table);
    free(p->stash);
    free(p);
}

/* Objects are mbufs, and the pool wants their headers: one constant apart. */
static int ops_enqueue(struct rte_mempool *mp, void *const *objects, unsigned n)
{
    struct dpdk_pool *p = mp->pool_data;
    struct weir_buf *bufs[DPDK_BURST];
    if (unlikely(!p->pool)) {
        for (unsigned i = 0; i < n; i++)
            p->table[p->gathered++] = dpdk_buf(objects[i]);
        return 0;
    }
    for (unsigned done = 0, k; done < n; done += k) {
        k = min_of(n - done, DPDK_BURST);
        for (unsigned i = 0; i < k; i++)
            bufs[i] = dpdk_buf(objects[done + i]);
        pool_return(bufs, k);
    }
    return 0;
}

/* Another thread than the pool's: the port is being started for all its queues. */
static int from_stash(struct dpdk_pool *p, void **objects, unsigned n)
{
    int rc = -ENOBUFS;
    pthread_mutex_lock(&p->lock);
    if (n <= p->stashed) {
        for (unsigned i = 0; i < n; i++)
            objects[i] = dpdk_mbuf(p->stash[--p->stashed]);
        rc = 0;
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

static int ops_dequeue(struct rte_mempool *mp, void **objects, unsigned n)
{
    struct dpdk_pool *p = mp->pool_data;
    struct weir_buf **bufs = (struct weir_buf **)(void *)objects;
    if (unlikely(!p->pool))
        return -ENOBUFS;
    if (unlikely(!pool_at_home(p->pool)))
        return from_stash(p, objects, n);
    if (unlikely(!pool_lend(p->pool, bufs, n)))
        return -ENOBUFS;
    for (unsigned i = 0; i < n; i++)
        objects[i] = dpdk_mbuf(bufs[i]);
    return 0;
}

static unsigned ops_count(const struct rte_mempool *mp)
{
    const struct dpdk_pool *p = mp->pool_data;
    return p->pool ? pool_free(p->pool, WEIR_SMALL) : p->gathered;
}

static const struct rte_mempool_ops ops = {
    .name = OPS,
    .alloc = ops_alloc,
    .free = ops_free,
    .enqueue = ops_enqueue,
    .dequeue = ops_dequeue,
    .get_count = ops_count,
};

static int refuse(struct weir_why *why, const char *what, unsigned slots)
{
    return why_set(why, -ENOMEM, "dpdk",
                   "reserve hugepages (sysctl vm.nr_hugepages), give EAL more memory (-m), or ask "
                   "for a smaller pool",
                   "%s: no memory for %u buffers (%s)", what, slots, rte_strerror(rte_errno));
}

static struct rte_mempool *mempool_make(uint32_t slots, uint32_t room, int node)
{
    static atomic_uint serial;
    struct rte_pktmbuf_pool_private shape = {.mbuf_data_room_size = (uint16_t)room,
                                             .mbuf_priv_size = sizeof(struct weir_buf)};
    char name[RTE_MEMPOOL_NAMESIZE];
    snprintf(name, sizeof name, "weir_%u", atomic_fetch_add(&serial, 1));
    struct rte_mempool *mp =
        rte_mempool_create_empty(name, slots, sizeof(struct rte_mbuf) + shape.mbuf_priv_size + room,
                                 0, sizeof shape, node, 0);
    if (!mp)
        return NULL;
    int rc = rte_mempool_set_ops_byname(mp, OPS, NULL);
    if (rc == 0) {
        rte_pktmbuf_pool_init(mp, &shape);
        rc = rte_mempool_populate_default(mp);
    }
    if (rc < 0) {
        rte_errno = -rc;
        rte_mempool_free(mp);
        return NULL;
    }
    rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
    return mp;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

static void release(void *arg)
{
    rte_mempool_free(arg);
}

static struct weir_mem memory_of(const struct rte_mempool *mp)
{
    struct weir_mem mem = {.node = (int16_t)mp->socket_id, .locked = 1};
    struct rte_mempool_memhdr *part;
    STAILQ_FOREACH(part, &mp->mem_list, next)
    {
        mem.base = mem.base ? mem.base : part->addr;
        mem.bytes += part->len;
    }
    mem.pages = rte_eal_has_hugepages() ? WEIR_PAGES_HUGE : WEIR_PAGES_PLAIN;
    mem.locked = rte_eal_has_hugepages() != 0;
    return mem;
}

struct weir_pool *dpdk_pool_open(struct dpdk *d, const struct weir_pool_opt *opt, int node,
                                 struct weir_why *why)
{
    struct weir_pool_opt o = *opt;
    uint32_t bytes = o.small_bytes ? o.small_bytes : 2048;
    /* Drivers reckon with RTE_PKTMBUF_HEADROOM beside the 2,048 bytes that a frame may take. */
    uint32_t room = bytes + RTE_PKTMBUF_HEADROOM;
    if (o.small == 0 || bytes > 4096) {
        why_set(why, -EINVAL, "dpdk", "small slots, of 2048 or 4096 bytes", "the pool has none");
        return NULL;
    }
    struct rte_mempool *mp = mempool_make(o.small, room, node);
    if (!mp) {
        refuse(why, "mempool", o.small);
        return NULL;
    }
    struct dpdk_pool *p = mp->pool_data;
    qsort(p->table, p->gathered, sizeof *p->table, by_address);
    struct pool_memory memory = {p->table, room, memory_of(mp), release, mp};
    d->pool = pool_open_over(&o, &memory, why);
    if (d->pool) {
        p->pool = d->pool;
        d->mempool = mp;
    }
    return d->pool;
}

void dpdk_pool_stash(struct dpdk *d, unsigned n)
{
    struct dpdk_pool *p = d->mempool->pool_data;
    if (!p->stash)
        p->stash = calloc(n, sizeof *p->stash);
    if (p->stash && pool_lend(d->pool, p->stash, n))
        p->stashed = n;
}

void dpdk_pool_unstash(struct dpdk *d)
{
    struct dpdk_pool *p = d->mempool->pool_data;
    pthread_mutex_lock(&p->lock);
    pool_return(p->stash, p->stashed);
    p->stashed = 0;
    pthread_mutex_unlock(&p->lock);
}

int dpdk_bodies_open(struct dpdk *d, unsigned n, int node, struct weir_why *why)
{
    static atomic_uint serial;
    char name[RTE_MEMPOOL_NAMESIZE];
    snprintf(name, sizeof name, "weir_body_%u", atomic_fetch_add(&serial, 1));
    /* A cache is right here: what lies in it is nobody's, and no count has to know of it. */
    d->bodies = rte_pktmbuf_pool_create(name, n + 2 * BODIES_CACHE, BODIES_CACHE,
                                        RTE_ALIGN(sizeof(struct rte_mbuf_ext_shared_info),
                                                  RTE_MBUF_PRIV_ALIGN),
                                        0, node);
    return d->bodies ? 0 : refuse(why, "bodies", n);
}

int dpdk_pool_register(void)
{
    int rc = rte_mempool_register_ops(&ops);
    return rc < 0 ? rc : 0;
}
