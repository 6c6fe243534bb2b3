/* SPDX-License-Identifier: MIT
 * bench/dpdk: the DPDK backend at frame level, against testpmd's macswap (bench/testpmd runs both).
 *
 *     bench_dpdk [VDEV [SECONDS [FRAMES]]]      net_null0, 2 s, none
 *
 * Swaps the Ethernet addresses of what comes and sends it back, as testpmd does; FRAMES are sent
 * first, for rings. Prints frames a second sent back, and cycles a frame: the mean, which time that
 * the host took away spoils, and the least of any LOT frames. */
#include "backend/frames.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST 32u   /* testpmd's default */
#define LOT 4096u   /* frames: long against the two readings of the counter */
#define SMALL 8192u /* buffers, as testpmd gets */

static struct backend bed;

static int open_bed(struct backend *b, const char *vdev)
{
    struct weir_why why = {0};
    char text[512];
    *b = (struct backend){.device = &backend_dpdk,
                          .ops = &backend_dpdk,
                          .frames = backend_dpdk.frames,
                          .wake_fd = wake_open(),
                          .now_ns = weir_now_ns()};
    b->opt.pool = (struct weir_pool_opt){.small = SMALL,
                                         .big = 8,
                                         .views = 8,
                                         .headroom = 128,
                                         .small_bytes = 2048};
    b->opt.frames.vdev = vdev;
    b->opt.frames.eal = getenv("EAL");
    b->opt.frames.promiscuous = 1;
    b->opt.frames.addresses = 1; /* nobody above the frames looks at it */
    b->pool = backend_dpdk.pool(b, &why);
    if (b->pool && backend_dpdk.open(b, &why) == 0)
        return 0;
    weir_why_text(&why, text, sizeof text);
    return fprintf(stderr, "%s\n", text), 1;
}

static void send_bufs(struct backend *b, struct weir_buf **bufs, unsigned n)
{
    struct tx_frame frames[BURST];
    for (unsigned i = 0; i < n; i++) {
        buf_to_tx(bufs[i]);
        frames[i] = (struct tx_frame){.buf = bufs[i], .bytes = bufs[i]->len};
    }
    b->frames->tx(b, frames, n);
}

static void send_first(struct backend *b, unsigned count)
{
    struct weir_buf *buf;
    for (unsigned i = 0; i < count && weir_buf_take(b->pool, &buf, 1); i++) {
        memset(buf->data, 0, 64);
        buf->len = 64;
        send_bufs(b, &buf, 1);
    }
    b->frames->submit(b);
}

static void swap_addresses(uint8_t *eth)
{
    uint8_t to[6];
    memcpy(to, eth, 6);
    memcpy(eth, eth + 6, 6);
    memcpy(eth + 6, to, 6);
}

/* One poll. Returns how many frames went back. */
static unsigned turn(struct backend *b)
{
    struct weir_buf *bufs[BURST];
    unsigned room = b->frames->tx_room(b, BURST);
    unsigned n = room ? b->frames->rx(b, bufs, room) : 0;
    for (unsigned i = 0; i < n; i++)
        swap_addresses(bufs[i]->data);
    b->more = n == BURST;
    if (n)
        send_bufs(b, bufs, n);
    b->frames->submit(b);
    return n;
}

static uint64_t run(struct backend *b, uint64_t end_ns, double *least)
{
    uint64_t total = 0;
    *least = 1e9;
    while ((b->now_ns = weir_now_ns()) < end_ns) {
        uint64_t frames = 0, since = weir_cycles();
        for (unsigned polls = 0; frames < LOT && polls < LOT; polls++)
            frames += turn(b);
        double cycles = frames ? (double)(weir_cycles() - since) / (double)frames : *least;
        *least = min_of(*least, cycles);
        total += frames;
    }
    return total;
}

int main(int argc, char **argv)
{
    struct weir_counters c;
    double least, seconds = argc > 2 ? atof(argv[2]) : 2;
    if (open_bed(&bed, argc > 1 ? argv[1] : "net_null0"))
        return 1;
    send_first(&bed, argc > 3 ? (unsigned)atoi(argv[3]) : 0);
    uint64_t start = weir_now_ns(), since = weir_cycles();
    uint64_t total = run(&bed, start + (uint64_t)(seconds * 1e9), &least);
    double cycles = (double)(weir_cycles() - since);
    seconds = (double)(weir_now_ns() - start) / 1e9;
    counters_snapshot(&bed.counters, &c);
    printf("%.3f Mpps, %.1f cycles a frame (least %.1f), copies %" PRIu64 ", lost %" PRIu64 "\n",
           (double)total / seconds / 1e6, total ? cycles / (double)total : 0, least, c.copies,
           c.tx_ring_full + c.rx_ring_full);
    backend_dpdk.close(&bed);
    return weir_pool_close(bed.pool) ? 1 : 0;
}
