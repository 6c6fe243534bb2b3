/* SPDX-License-Identifier: MIT
 * The DPDK backend at frame level, over rings in memory: which buffers travel, which are copied, and that
 * each comes home. The first case starts EAL for all. No device here has rte_flow: the linker's --wrap puts
 * one in.
 *
 *     net_ring0: what is sent is received          left, right: two ports over two rings, crossed */
#include "../unit/test.h"

#include "backend/dpdk.h"
#include "buf/inside.h"

#include <rte_eth_ring.h>

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#define SLOTS 4096u

static void try_queue(struct backend *b, const char *vdev, const char *device, uint16_t queue,
                      uint16_t queues)
{
    *b = (struct backend){.device = &backend_dpdk,
                          .ops = &backend_dpdk,
                          .frames = backend_dpdk.frames,
                          .wake_fd = wake_open(),
                          .now_ns = weir_now_ns()};
    b->opt.pool = (struct weir_pool_opt){.small = SLOTS,
                                         .big = 8,
                                         .run = 64,
                                         .views = 64,
                                         .headroom = 128,
                                         .small_bytes = 2048};
    b->opt.frames.vdev = vdev;
    b->opt.frames.device = device;
    b->opt.frames.queue = queue;
    b->opt.frames.queues = queues;
    b->opt.frames.addresses = 1; /* nobody above the frames looks at it */
}

static void open_queue(struct backend *b, const char *vdev, const char *device, uint16_t queue,
                       uint16_t queues)
{
    struct weir_why why = {0};
    try_queue(b, vdev, device, queue, queues);
    b->pool = backend_dpdk.pool(b, &why);
    if (!b->pool || backend_dpdk.open(b, &why) < 0)
        fail_msg("%s: %s; %s", why.where, why.what, why.fix);
}

static void open_on(struct backend *b, const char *vdev, const char *device)
{
    open_queue(b, vdev, device, 0, 1);
}

static void close_on(struct backend *b)
{
    backend_dpdk.close(b);
    assert_int_equal(weir_pool_close(b->pool), 0);
    close(b->wake_fd);
}

static void sound(struct backend *b)
{
    struct weir_why why;
    if (weir_pool_check(b->pool, &why) < 0)
        fail_msg("%s; %s", why.what, why.fix);
}

static uint64_t in_state(struct backend *b, unsigned section, unsigned state)
{
    struct weir_pool_stats stats;
    weir_pool_stats(b->pool, &stats);
    return stats.count[section][state];
}

static void write_frame(struct weir_buf *buf, uint32_t len, uint8_t seed)
{
    for (uint32_t i = 0; i < len; i++)
        buf->data[i] = (uint8_t)(seed + i);
    buf->len = len;
}

static void must_be(const uint8_t *data, uint32_t len, uint8_t seed)
{
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(data[i], (uint8_t)(seed + i));
}

static void send_one(struct backend *b, struct weir_buf *buf, struct weir_buf *body)
{
    struct tx_frame f = {.buf = buf, .body = body, .bytes = buf->len + (body ? body->len : 0)};
    buf_to_tx(buf);
    if (body)
        buf_to_tx(body);
    assert_int_equal(b->frames->tx_room(b, 1), 1);
    b->frames->tx(b, &f, 1);
}

static struct weir_buf *receive_one(struct backend *b)
{
    struct weir_buf *buf[2];
    b->frames->submit(b);
    assert_int_equal(b->frames->rx(b, buf, 2), 1);
    assert_true(buf[0]->state == WEIR_APP && buf[0]->refs == 1 && buf[0]->tx_refs == 0);
    return buf[0];
}

/* ---- one port ------------------------------------------------------------------------------- */

static struct backend ring;

static int ring_open(void **state)
{
    (void)state;
    open_on(&ring, "net_ring0", NULL);
    return 0;
}

static int ring_close(void **state)
{
    (void)state;
    sound(&ring);
    close_on(&ring);
    return 0;
}

static void a_buffer_is_the_mbuf(void **state)
{
    struct weir_buf *out[64], *in[64];
    (void)state;
    assert_int_equal(weir_buf_take(ring.pool, out, 64), 64);
    for (unsigned i = 0; i < 64; i++) {
        write_frame(out[i], 60 + i, (uint8_t)i);
        send_one(&ring, out[i], NULL);
    }
    ring.frames->submit(&ring);
    assert_int_equal(in_state(&ring, WEIR_SMALL, WEIR_TX), 64);
    sound(&ring);
    assert_int_equal(ring.frames->rx(&ring, in, 64), 64);
    for (unsigned i = 0; i < 64; i++) {
        assert_ptr_equal(in[i], out[i]);
        assert_int_equal(in[i]->len, 60 + i);
        must_be(in[i]->data, in[i]->len, (uint8_t)i);
    }
    assert_int_equal(in_state(&ring, WEIR_SMALL, WEIR_TX), 0);
    assert_int_equal(ring.counters.copies, 0);
    weir_buf_drop(in, 64);
}

/* One payload behind three heads: each transmission holds it, and the last lets it go. */
static void a_body_is_sent_from_where_it_lies(void **state)
{
    struct weir_buf *head[3], *body, *in;
    uint64_t copies = ring.counters.copies;
    (void)state;
    weir_buf_take(ring.pool, head, 3);
    weir_buf_take(ring.pool, &body, 1);
    write_frame(body, 1000, 7);
    assert_true(buf_ref(body, 3));
    for (unsigned i = 0; i < 3; i++) {
        write_frame(head[i], 42, (uint8_t)i);
        send_one(&ring, head[i], body);
    }
    assert_int_equal(body->tx_refs, 3);
    assert_int_equal(ring.counters.copies, copies);
    for (unsigned i = 0; i < 3; i++) {
        struct weir_buf *two[1];
        ring.frames->submit(&ring);
        assert_int_equal(ring.frames->rx(&ring, two, 1), 1);
        in = two[0];
        assert_int_equal(in->len, 1042);
        must_be(in->data, 42, (uint8_t)i);
        must_be(in->data + 42, 1000, 7);
        assert_int_equal(body->tx_refs, 2 - i);
        weir_buf_drop(&in, 1);
    }
    assert_true(body->refs == 1 && body->state == WEIR_APP);
    assert_int_equal(ring.counters.linearized, 3);
    weir_buf_drop(&body, 1);
}

/* A view's memory is its parent's. */
static void a_view_is_a_body_too(void **state)
{
    struct weir_buf *head, *parent, *view, *in;
    (void)state;
    weir_buf_take(ring.pool, &head, 1);
    weir_buf_take(ring.pool, &parent, 1);
    write_frame(parent, 500, 3);
    assert_int_equal(buf_views(parent, parent->data + 100, 300, 300, &view, 1), 1);
    weir_buf_drop(&parent, 1);
    write_frame(head, 42, 9);
    send_one(&ring, head, view);
    in = receive_one(&ring);
    assert_int_equal(in->len, 342);
    must_be(in->data + 42, 300, 103);
    assert_int_equal(parent->state, WEIR_FREE);
    weir_buf_drop(&in, 1);
}

/* Memory that is not EAL's, and buffers that others hold: copied, counted, and given back. */
static void what_the_device_may_not_have_is_copied(void **state)
{
    struct weir_pool_opt opt = {.small = 4, .mem_flags = WEIR_MEM_NO_HUGE | WEIR_MEM_NO_LOCK};
    struct weir_pool *other = weir_pool_open(&opt, NULL);
    struct weir_buf *buf[3], *in;
    uint64_t copies = ring.counters.copies, bytes = ring.counters.copied_bytes;
    (void)state;
    assert_int_equal(weir_buf_take(other, &buf[0], 1), 1);
    buf[1] = weir_buf_take_bytes(ring.pool, 4000);
    assert_int_equal(buf[1]->section, WEIR_BIG);
    weir_buf_take(ring.pool, &buf[2], 1);
    for (unsigned i = 0; i < 3; i++) {
        write_frame(buf[i], 700, (uint8_t)(i * 50));
        if (i == 2)
            assert_true(buf_ref(buf[i], 1));
        send_one(&ring, buf[i], NULL);
        in = receive_one(&ring);
        assert_ptr_not_equal(in, buf[i]);
        assert_int_equal(in->len, 700);
        must_be(in->data, 700, (uint8_t)(i * 50));
        weir_buf_drop(&in, 1);
    }
    assert_int_equal(ring.counters.copies - copies, 3);
    assert_int_equal(ring.counters.copied_bytes - bytes, 2100);
    assert_true(buf[2]->refs == 1 && buf[2]->state == WEIR_APP);
    weir_buf_drop(&buf[2], 1);
    assert_int_equal(weir_pool_close(other), 0);
}

/* A frame longer than a slot leaves in several segments and is one buffer again. */
static void a_long_frame_is_one_buffer_again(void **state)
{
    struct weir_buf *big = weir_buf_take_bytes(ring.pool, 9000), *in;
    (void)state;
    write_frame(big, 9000, 1);
    send_one(&ring, big, NULL);
    in = receive_one(&ring);
    assert_int_equal(in->section, WEIR_BIG);
    assert_int_equal(in->len, 9000);
    must_be(in->data, 9000, 1);
    weir_buf_drop(&in, 1);
}

/* While there is more to receive a burst gathers, but no longer than it may. */
static void an_unfull_burst_waits_no_longer_than_it_may(void **state)
{
    struct weir_buf *buf, *in;
    (void)state;
    weir_buf_take(ring.pool, &buf, 1);
    write_frame(buf, 60, 0);
    ring.more = true;
    send_one(&ring, buf, NULL);
    ring.frames->submit(&ring);
    assert_int_equal(ring.frames->rx(&ring, &in, 1), 0);
    assert_true(ring.frames->next_ns(&ring) <= ring.now_ns + 20000);
    ring.now_ns += 20000;
    ring.frames->submit(&ring);
    assert_int_equal(ring.frames->rx(&ring, &in, 1), 1);
    ring.now_ns += 1000000;
    ring.frames->submit(&ring); /* asks for what was sent; it came back */
    assert_true(ring.frames->next_ns(&ring) == UINT64_MAX);
    ring.more = false;
    weir_buf_drop(&in, 1);
}

/* Nobody receives: the ring fills, then there is no room, then what waits is lost and counted. */
static void a_device_that_takes_nothing_is_back_pressure(void **state)
{
    struct weir_buf *buf, *in[64];
    unsigned sent = 0, n, got = 0;
    (void)state;
    while (sent < 3000 && ring.frames->tx_room(&ring, 1)) {
        weir_buf_take(ring.pool, &buf, 1);
        write_frame(buf, 60, 0);
        send_one(&ring, buf, NULL);
        sent++;
    }
    assert_true(sent >= DPDK_STAGE && sent < 3000);
    assert_int_equal(ring.counters.tx_ring_full, 0);
    ring.now_ns += 2000000;
    ring.frames->submit(&ring);
    assert_int_equal(ring.counters.tx_ring_full, DPDK_STAGE);
    assert_int_equal(in_state(&ring, WEIR_SMALL, WEIR_TX), sent - DPDK_STAGE);
    sound(&ring);
    for (; (n = ring.frames->rx(&ring, in, 64)); got += n)
        weir_buf_drop(in, n);
    assert_int_equal(got, sent - DPDK_STAGE);
}

/* What stands in the ring when the engine closes goes home: ring_close asserts it. */
static void an_engine_closes_with_frames_under_way(void **state)
{
    struct weir_buf *buf[40];
    (void)state;
    weir_buf_take(ring.pool, buf, 40);
    for (unsigned i = 0; i < 40; i++) {
        write_frame(buf[i], 60, 0);
        send_one(&ring, buf[i], NULL);
    }
    assert_int_equal(in_state(&ring, WEIR_SMALL, WEIR_TX), 40);
}

/* ---- two ports, two pools ------------------------------------------------------------------- */

static void make_pair(void)
{
    struct rte_ring *go = rte_ring_create("go", 1024, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
    struct rte_ring *come = rte_ring_create("come", 1024, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
    assert_true(go && come);
    assert_true(rte_eth_from_rings("left", &come, 1, &go, 1, 0) >= 0);
    assert_true(rte_eth_from_rings("right", &go, 1, &come, 1, 0) >= 0);
}

struct far {
    struct backend b;
    pthread_barrier_t open, sent, done;
    unsigned got;
};

/* Another thread's engine: its copies are its own, and what it frees goes home from here. */
static void *far_thread(void *arg)
{
    struct far *far = arg;
    struct weir_buf *in[64];
    open_on(&far->b, NULL, "net_ring_right");
    pthread_barrier_wait(&far->open);
    pthread_barrier_wait(&far->sent);
    far->got = far->b.frames->rx(&far->b, in, 64);
    for (unsigned i = 0; i < far->got; i++)
        must_be(in[i]->data, in[i]->len, (uint8_t)i);
    weir_buf_drop(in, far->got);
    sound(&far->b);
    close_on(&far->b);
    pthread_barrier_wait(&far->done);
    return NULL;
}

static void anothers_buffers_are_copied_and_go_home(void **state)
{
    static struct far far;
    struct backend b;
    struct weir_buf *out[20];
    pthread_t thread;
    (void)state;
    make_pair();
    open_on(&b, NULL, "net_ring_left");
    pthread_barrier_init(&far.open, NULL, 2);
    pthread_barrier_init(&far.sent, NULL, 2);
    pthread_barrier_init(&far.done, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, far_thread, &far), 0);
    pthread_barrier_wait(&far.open);
    weir_buf_take(b.pool, out, 20);
    for (unsigned i = 0; i < 20; i++) {
        write_frame(out[i], 300, (uint8_t)i);
        send_one(&b, out[i], NULL);
    }
    b.frames->submit(&b);
    assert_int_equal(in_state(&b, WEIR_SMALL, WEIR_TX), 20);
    pthread_barrier_wait(&far.sent);
    pthread_barrier_wait(&far.done);
    assert_int_equal(far.got, 20);
    assert_int_equal(far.b.counters.foreign_copied, 20);
    pool_collect(b.pool);
    assert_int_equal(in_state(&b, WEIR_SMALL, WEIR_FREE), SLOTS);
    sound(&b);
    pthread_join(thread, NULL);
    close_on(&b);
}

/* ---- two queues ----------------------------------------------------------------------------- */

static void refuses(uint16_t queue, uint16_t queues, const char *what)
{
    struct weir_why why = {0};
    struct backend b = {.device = &backend_dpdk, .ops = &backend_dpdk, .wake_fd = -1};
    b.opt.pool = (struct weir_pool_opt){.small = 64};
    b.opt.frames.vdev = "net_ring2";
    b.opt.frames.queue = queue;
    b.opt.frames.queues = queues;
    assert_null(backend_dpdk.pool(&b, &why));
    if (!strstr(why.what, what))
        fail_msg("\"%s\" does not say: %s", why.what, what);
    backend_dpdk.close(&b);
}

/* The port starts with the last of its engines, and each has its own queue; the first to close leaves its
 * pool with the port. */
static void queues_have_an_engine_each(void **state)
{
    struct backend one, two;
    struct frame_port port;
    struct port_notice notice;
    struct weir_buf *buf, *in;
    (void)state;
    open_queue(&one, "net_ring2", NULL, 0, 2);
    one.frames->port(&one, &port);
    assert_false(port.up);
    assert_int_equal(one.frames->rx(&one, &in, 1), 0);
    refuses(0, 2, "queue 0 is in use");
    refuses(1, 3, "is configured for 2 queues, not 3");
    open_queue(&two, "net_ring2", NULL, 1, 2);
    one.now_ns += 1000000000;
    assert_int_equal(one.frames->rx(&one, &in, 1), 0);
    assert_int_equal(one.frames->notices(&one, &notice, 1), 1);
    assert_true(notice.kind == PORT_LINK && notice.err == 0);
    weir_buf_take(two.pool, &buf, 1);
    write_frame(buf, 60, 5);
    send_one(&two, buf, NULL);
    assert_ptr_equal(receive_one(&two), buf);
    assert_int_equal(one.frames->rx(&one, &in, 1), 0);
    weir_buf_drop(&buf, 1);
    backend_dpdk.close(&one);
    assert_null(one.pool);
    close(one.wake_fd);
    sound(&two);
    close_on(&two);
}

/* Engines that come and go at a port that others hold: bounded, and all of it ends with the port. */
static void a_port_keeps_so_many_pools_and_no_more(void **state)
{
    struct weir_why why = {0};
    struct backend one, more;
    unsigned closed = 0;
    (void)state;
    open_queue(&one, "net_ring3", NULL, 0, 3);
    struct dpdk_port *p = ((struct dpdk *)one.priv)->port;
    for (; p->engines + p->orphans < DPDK_ORPHANS_MAX; closed++) {
        try_queue(&more, "net_ring3", NULL, 1, 3);
        more.opt.pool.small = 64;
        more.pool = backend_dpdk.pool(&more, &why);
        if (!more.pool || backend_dpdk.open(&more, &why) < 0)
            fail_msg("%u: %s; %s", closed, why.what, why.fix);
        backend_dpdk.close(&more);
        assert_null(more.pool);
        close(more.wake_fd);
    }
    assert_int_equal(closed, DPDK_ORPHANS_MAX - 1);
    try_queue(&more, "net_ring3", NULL, 1, 3);
    assert_null(backend_dpdk.pool(&more, &why));
    assert_int_equal(why.code, -EBUSY);
    assert_non_null(strstr(why.what, "engines that closed"));
    backend_dpdk.close(&more);
    close(more.wake_fd);
    close_on(&one);
}

/* ---- a removed device ----------------------------------------------------------------------- */

/* What waits is dropped and counted, nothing is asked of it, and what it had comes home at its end. */
static void a_removed_device_is_not_touched(void **state)
{
    struct backend b;
    struct port_notice notice;
    struct weir_buf *buf[3], *in;
    (void)state;
    open_queue(&b, "net_ring5", NULL, 0, 1);
    struct dpdk *d = b.priv;
    weir_buf_take(b.pool, buf, 3);
    for (unsigned i = 0; i < 3; i++)
        write_frame(buf[i], 60, 0);
    send_one(&b, buf[0], NULL);
    b.frames->submit(&b);
    send_one(&b, buf[1], NULL);
    uint64_t calls = b.counters.tx_calls;
    atomic_store(&d->port->removed, true); /* as the callback of RTE_ETH_EVENT_INTR_RMV does */
    b.frames->submit(&b);
    send_one(&b, buf[2], NULL);
    b.frames->submit(&b);
    assert_int_equal(b.counters.tx_device_errors, 2);
    b.now_ns += 1000000000;
    b.frames->submit(&b);
    assert_int_equal(b.counters.tx_calls, calls);
    assert_true(b.frames->next_ns(&b) == UINT64_MAX);
    assert_int_equal(b.frames->rx(&b, &in, 1), 0);
    assert_int_equal(b.frames->notices(&b, &notice, 1), 1);
    assert_true(notice.kind == PORT_LINK && notice.err == -ENODEV);
    assert_int_equal(in_state(&b, WEIR_SMALL, WEIR_TX), 1);
    rte_pktmbuf_free(dpdk_mbuf(buf[0])); /* its ring is memory, which stays */
    sound(&b);
    close_on(&b);
}

/* ---- rules, by a fake of rte_flow ----------------------------------------------------------- */

int __wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attr,
                             const struct rte_flow_item item[],
                             const struct rte_flow_action action[], struct rte_flow_error *error);
struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
                                        const struct rte_flow_item item[],
                                        const struct rte_flow_action action[],
                                        struct rte_flow_error *error);
int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error);

static struct rules {
    bool refuse;
    unsigned live;
    uint16_t port[2 * DPDK_RULES_MAX]; /* 0: free */
} rules;

int __wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attr,
                             const struct rte_flow_item item[],
                             const struct rte_flow_action action[], struct rte_flow_error *error)
{
    (void)port;
    assert_true(attr->ingress && item[2].type == RTE_FLOW_ITEM_TYPE_UDP);
    assert_int_equal(action[0].type, RTE_FLOW_ACTION_TYPE_RSS);
    error->message = "by a fake";
    return rules.refuse ? -ENOTSUP : 0;
}

struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
                                        const struct rte_flow_item item[],
                                        const struct rte_flow_action action[],
                                        struct rte_flow_error *error)
{
    const struct rte_flow_item_udp *udp = item[2].spec;
    unsigned i = 0;
    assert_int_equal(__wrap_rte_flow_validate(port, attr, item, action, error), 0);
    while (rules.port[i])
        assert_true(++i < 2 * DPDK_RULES_MAX);
    rules.port[i] = rte_be_to_cpu_16(udp->hdr.dst_port);
    rules.live++;
    return (struct rte_flow *)(void *)&rules.port[i];
}

int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error)
{
    uint16_t *at = (uint16_t *)(void *)flow;
    (void)port, (void)error;
    assert_true(*at != 0);
    *at = 0;
    rules.live--;
    return 0;
}

static unsigned rules_of(uint16_t port)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 2 * DPDK_RULES_MAX; i++)
        n += rules.port[i] == port;
    return n;
}

static void steer(struct backend *b, uint16_t port, bool on)
{
    struct weir_addr local = weir_addr_ip4(10, 9, 0, 7, port);
    assert_int_equal(b->frames->steer(b, &local, on, NULL), 0);
}

static void rules_begin(struct backend two[2])
{
    rules = (struct rules){0};
    open_queue(&two[0], "net_ring4", NULL, 0, 2);
}

static void rules_end(struct backend two[2])
{
    backend_dpdk.close(&two[0]);
    close(two[0].wake_fd);
    close_on(&two[1]);
}

/* Asked for before the port runs, or after: a port has its rules while somebody holds it. */
static void rules_are_there_while_somebody_holds_the_port(void **state)
{
    struct backend two[2];
    (void)state;
    rules_begin(two);
    steer(&two[0], 7000, true);
    steer(&two[0], 7001, true);
    steer(&two[0], 7001, false);
    assert_int_equal(rules.live, 0);
    open_queue(&two[1], "net_ring4", NULL, 1, 2);
    assert_true(rules.live == 2 && rules_of(7000) == 2);
    steer(&two[1], 7000, true);
    steer(&two[1], 7002, true);
    assert_true(rules.live == 4 && rules_of(7002) == 2);
    steer(&two[0], 7000, false);
    assert_int_equal(rules_of(7000), 2);
    steer(&two[1], 7000, false);
    assert_int_equal(rules_of(7000), 0);
    steer(&two[1], 7002, false);
    assert_int_equal(rules.live, 0);
    rules_end(two);
}

static unsigned lines(const struct backend *b, int code)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < b->n_lesser; i++)
        if (b->lesser[i].code == code && strcmp(b->lesser[i].where, "rte_flow") == 0) {
            assert_true(b->lesser[i].fix[0]);
            n++;
        }
    return n;
}

/* More ports than rules, or a device that refuses: one line each. */
static void what_is_not_steered_is_said_once(void **state)
{
    struct backend two[2];
    (void)state;
    rules_begin(two);
    open_queue(&two[1], "net_ring4", NULL, 1, 2);
    for (uint16_t i = 0; i < DPDK_RULES_MAX + 2; i++)
        steer(&two[0], (uint16_t)(7000 + i), true);
    assert_int_equal(rules.live, 2 * DPDK_RULES_MAX);
    assert_int_equal(lines(&two[0], -ENOSPC), 1);
    for (uint16_t i = 0; i < DPDK_RULES_MAX + 2; i++)
        steer(&two[0], (uint16_t)(7000 + i), false);
    assert_int_equal(rules.live, 0);
    rules.refuse = true;
    steer(&two[0], 7000, true);
    steer(&two[0], 7001, true);
    assert_int_equal(lines(&two[0], -EOPNOTSUPP), 1);
    rules_end(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_is_the_mbuf),
        cmocka_unit_test(a_body_is_sent_from_where_it_lies),
        cmocka_unit_test(a_view_is_a_body_too),
        cmocka_unit_test(what_the_device_may_not_have_is_copied),
        cmocka_unit_test(a_long_frame_is_one_buffer_again),
        cmocka_unit_test(an_unfull_burst_waits_no_longer_than_it_may),
        cmocka_unit_test(a_device_that_takes_nothing_is_back_pressure),
        cmocka_unit_test(an_engine_closes_with_frames_under_way),
    };
    const struct CMUnitTest more[] = {
        cmocka_unit_test(anothers_buffers_are_copied_and_go_home),
        cmocka_unit_test(queues_have_an_engine_each),
        cmocka_unit_test(a_port_keeps_so_many_pools_and_no_more),
        cmocka_unit_test(a_removed_device_is_not_touched),
        cmocka_unit_test(rules_are_there_while_somebody_holds_the_port),
        cmocka_unit_test(what_is_not_steered_is_said_once),
    };
    int failed = cmocka_run_group_tests_name("one port", tests, ring_open, ring_close);
    return failed + cmocka_run_group_tests_name("several", more, NULL, NULL);
}
