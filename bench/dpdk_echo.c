/* SPDX-License-Identifier: MIT
 * bench/dpdk_echo: the engine's UDP echo over DPDK. bench/testpmd runs it.
 *
 *     bench_dpdk_echo rings [SECONDS]           one process, two ports over two rings in memory
 *     bench_dpdk_echo serve VDEV [SECONDS]      an engine; prints datagrams a second
 *     bench_dpdk_echo load VDEV [SECONDS]       frames for it, at most WINDOW under way; it answers ARP
 *
 * rings: the other end of both rings is this program's own: it takes a burst, writes the question over
 * the answer, and puts it back, so buffers go round and none is copied. Only the engine's polls are
 * counted: the mean, and the least of any LOT datagrams, which the host's other work spoils less. */
#include "backend/dpdk.h"

#include <weir/engine.h>

#include <rte_eth_ring.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST 32u
#define LOT 4096u
#define WINDOW 512u
#define FRAME 60u /* the least of Ethernet: 18 bytes of payload */
#define GIVE_UP_NS 10000000u

static uint8_t arp[42], udp[FRAME];
static const uint8_t me[6] = {2, 9, 0, 0, 0, 2};
static uint64_t echoed;

/* ---- the other side's frames ---- */

static void write_frames(void)
{
    static const uint8_t request[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
    static const uint8_t ip[] = {8,  0, 0x45, 0,  0, FRAME - 14, 0, 0,  0, 0, 64,
                                 17, 0, 0,    10, 9, 0,          2, 10, 9, 0, 7};
    static const uint8_t ports[] = {0x30, 0x39, 0x1b, 0x58, 0, FRAME - 34, 0, 0}; /* 12345, 7000 */
    uint32_t sum = 0;
    memset(arp, 0xff, 6);
    memcpy(arp + 6, me, 6);
    memcpy(arp + 12, request, sizeof request);
    memcpy(arp + 22, me, 6);
    memcpy(arp + 28, ip + 14, 4);
    memcpy(arp + 38, ip + 18, 4);
    memcpy(udp + 6, me, 6);
    memcpy(udp + 12, ip, sizeof ip);
    memcpy(udp + 34, ports, sizeof ports);
    for (unsigned i = 14; i < 34; i += 2)
        sum += (uint32_t)udp[i] << 8 | udp[i + 1];
    sum = ~((sum & 0xffff) + (sum >> 16));
    udp[24] = (uint8_t)(sum >> 8);
    udp[25] = (uint8_t)sum;
}

/* What came: an answer becomes the question again, an ARP request its reply. 0: neither. */
static uint32_t reply(uint8_t *frame)
{
    if (frame[12] == 8 && frame[13] == 0) {
        memcpy(frame, udp, 42);
        return FRAME;
    }
    if (frame[12] != 8 || frame[13] != 6)
        return 0;
    memcpy(udp, frame + 22, 6); /* where the engine is */
    if (frame[21] != 1)
        return 0;
    memcpy(frame, frame + 22, 6);
    memcpy(frame + 6, me, 6);
    memcpy(frame + 32, frame + 22, 10);
    memcpy(frame + 22, arp + 22, 10);
    frame[21] = 2;
    return 42;
}

/* ---- the engine ---- */

static void handler(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    (void)app;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DATAGRAM)
            echoed += weir_send(e, events[i].ep, &events[i].buf, 1) == 1;
}

static struct weir_engine *open_engine(const char *vdev, const char *device)
{
    struct weir_engine_opt opt = {.backend = "dpdk", .spin = 1, .pool.small = 8192};
    struct weir_addr at = weir_addr_ip4(10, 9, 0, 7, 7000);
    struct weir_why why = {0};
    char text[512];
    weir_ep ep;
    opt.frames.vdev = vdev;
    opt.frames.device = device;
    opt.frames.eal = getenv("EAL");
    opt.frames.addresses = 1;
    weir_net_parse("10.9.0.7/24", &opt.frames.address[0]);
    struct weir_engine *e = weir_engine_open(&opt, &why);
    int rc = e ? weir_udp_open(e, &at, handler, NULL, &ep) : why.code;
    if (rc == 0)
        return e;
    weir_why_text(&why, text, sizeof text);
    fprintf(stderr, "%s (%d)\n", text, rc);
    exit(1);
}

struct cost {
    uint64_t cycles, lot_cycles, lot_from;
    double least;
};

static void poll_counted(struct weir_engine *e, struct cost *c)
{
    uint64_t before = echoed, since = weir_cycles();
    weir_poll(e, weir_now_ns());
    since = weir_cycles() - since;
    if (echoed == before)
        return; /* an empty poll is the spinning, not the echo */
    c->cycles += since;
    c->lot_cycles += since;
    if (echoed - c->lot_from < LOT)
        return;
    c->least = min_of(c->least, (double)c->lot_cycles / (double)(echoed - c->lot_from));
    c->lot_from = echoed;
    c->lot_cycles = 0;
}

static void print_cost(const struct cost *c, double seconds)
{
    printf("%.3f Mpps, %.1f cycles a datagram (least %.1f)\n", (double)echoed / seconds / 1e6,
           echoed ? (double)c->cycles / (double)echoed : 0, echoed ? c->least : 0);
}

/* ---- rings ---- */

static void ring_turn(struct rte_ring *from, struct rte_ring *to)
{
    void *m[BURST];
    unsigned n = rte_ring_sc_dequeue_burst(from, m, BURST, NULL), k = 0;
    for (unsigned i = 0; i < n; i++) {
        uint32_t len = reply(rte_pktmbuf_mtod((struct rte_mbuf *)m[i], uint8_t *));
        if (len)
            m[k++] = m[i];
        else
            rte_pktmbuf_free(m[i]);
    }
    for (k -= rte_ring_sp_enqueue_burst(to, m, k, NULL); k > 0; k--)
        abort(); /* more than were put in */
}

static void put_first(struct rte_ring *to, struct rte_mempool *pool, const uint8_t *frame,
                      uint16_t len, unsigned n)
{
    while (n--) {
        struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
        if (!m)
            abort();
        memcpy(rte_pktmbuf_append(m, len), frame, len);
        rte_ring_sp_enqueue(to, m);
    }
}

static int rings(double seconds)
{
    struct cost cost = {.least = 1e9};
    weir_engine_close(open_engine("net_ring0", NULL)); /* starts EAL */
    struct rte_ring *go = rte_ring_create("go", 1024, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
    struct rte_ring *come = rte_ring_create("come", 1024, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
    struct rte_mempool *first = rte_pktmbuf_pool_create("first", 255, 0, 0, 2176, 0);
    if (!go || !come || !first || rte_eth_from_rings("left", &come, 1, &go, 1, 0) < 0)
        return fprintf(stderr, "no rings\n"), 1;
    struct weir_engine *e = open_engine(NULL, "net_ring_left");
    put_first(come, first, arp, sizeof arp, 1);
    for (unsigned i = 0; i < 100; i++) {
        weir_poll(e, weir_now_ns());
        ring_turn(go, come);
    }
    put_first(come, first, udp, FRAME, 2 * BURST);
    uint64_t start = weir_now_ns(), end = start + (uint64_t)(seconds * 1e9);
    while (weir_now_ns() < end) {
        poll_counted(e, &cost);
        ring_turn(go, come);
    }
    print_cost(&cost, (double)(weir_now_ns() - start) / 1e9);
    return 0; /* what stands in the rings goes with the process */
}

/* ---- two processes ---- */

static int serve(const char *vdev, double seconds)
{
    struct weir_engine *e = open_engine(vdev, NULL);
    struct cost cost = {.least = 1e9};
    uint64_t start = 0, now;
    uint64_t give_up = weir_now_ns() + UINT64_C(20000000000);
    while ((now = weir_now_ns()) < (start ? start + (uint64_t)(seconds * 1e9) : give_up)) {
        poll_counted(e, &cost);
        if (!start && echoed > 1000) { /* the load is there */
            start = now;
            echoed = 0;
            cost = (struct cost){.least = 1e9};
        }
    }
    print_cost(&cost, seconds);
    return weir_engine_close(e) ? 1 : 0;
}

static struct backend bed;

static void send_frames(const uint8_t *frame, uint32_t len, unsigned n)
{
    struct weir_buf *bufs[BURST];
    struct tx_frame frames[BURST];
    n = bed.frames->tx_room(&bed, n);
    n = weir_buf_take(bed.pool, bufs, n);
    for (unsigned i = 0; i < n; i++) {
        memcpy(bufs[i]->data, frame, len);
        bufs[i]->len = len;
        buf_to_tx(bufs[i]);
        frames[i] = (struct tx_frame){.buf = bufs[i], .bytes = len};
    }
    bed.frames->tx(&bed, frames, n);
    bed.frames->submit(&bed);
}

/* Returns how many of the frames were answers. */
static unsigned look_at(struct weir_buf **bufs, unsigned n)
{
    unsigned answers = 0;
    for (unsigned i = 0; i < n; i++) {
        uint32_t len = reply(bufs[i]->data);
        answers += len == FRAME;
        if (len == 42)
            send_frames(bufs[i]->data, len, 1);
    }
    weir_buf_drop(bufs, n);
    return answers;
}

static int load(const char *vdev, double seconds)
{
    struct weir_buf *bufs[BURST];
    struct weir_why why = {0};
    unsigned away = 0;
    bed = (struct backend){.device = &backend_dpdk,
                           .ops = &backend_dpdk,
                           .frames = backend_dpdk.frames,
                           .wake_fd = wake_open(),
                           .now_ns = weir_now_ns()};
    bed.opt.pool = (struct weir_pool_opt){.small = 8192,
                                          .big = 8,
                                          .views = 8,
                                          .headroom = 128,
                                          .small_bytes = 2048};
    bed.opt.frames.vdev = vdev;
    bed.opt.frames.eal = getenv("EAL");
    bed.opt.frames.addresses = 1;
    bed.opt.spin = 1;
    bed.pool = backend_dpdk.pool(&bed, &why);
    if (!bed.pool || backend_dpdk.open(&bed, &why) < 0)
        return fprintf(stderr, "%s: %s\n", why.where, why.what), 1;
    uint64_t end = weir_now_ns() + (uint64_t)(seconds * 1e9), heard = weir_now_ns();
    while ((bed.now_ns = weir_now_ns()) < end) {
        unsigned n = bed.frames->rx(&bed, bufs, BURST);
        unsigned answers = look_at(bufs, n);
        away -= min_of(away, answers);
        heard = n ? bed.now_ns : heard;
        if (bed.now_ns - heard > GIVE_UP_NS) { /* lost, or nobody there yet: who has 10.9.0.7? */
            heard = bed.now_ns;
            away = 0;
            send_frames(arp, sizeof arp, 1);
        } else if (udp[0] | udp[5] && away + BURST <= WINDOW) {
            send_frames(udp, FRAME, BURST);
            away += BURST;
        }
        bed.frames->submit(&bed);
    }
    backend_dpdk.close(&bed);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "rings";
    bool on_rings = strcmp(mode, "rings") == 0;
    const char *text = argc > (on_rings ? 2 : 3) ? argv[on_rings ? 2 : 3] : "2";
    write_frames();
    if (on_rings)
        return rings(atof(text));
    if (argc < 3)
        return fprintf(stderr, "bench_dpdk_echo rings | serve VDEV | load VDEV [SECONDS]\n"), 2;
    return strcmp(mode, "serve") == 0 ? serve(argv[2], atof(text)) : load(argv[2], atof(text));
}
