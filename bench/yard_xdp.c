/* SPDX-License-Identifier: MIT
 * The hand-written AF_XDP loops: receive in bursts of 64, and an echo that turns each frame round where
 * it lies (addresses and ports swapped, which leaves every checksum right). Nothing is parsed: the XDP
 * program lets only IPv4 and UDP to one port through, without options. What a person writes who has
 * read Documentation/networking/af_xdp.rst and needs one port on one interface. */
#include "yard_xdp.h"

#include "base/attr.h"
#include "lab/xsk.h"

#pragma GCC diagnostic ignored "-Woverlength-strings" /* the skeleton is one long string */
#include "yard_xdp.skel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define BURST 64u
#define CHUNK 2048u
#define CHUNKS (2 * XSK_RING) /* as many as the engine lends to the device */
#define HEAD 42u              /* Ethernet, IPv4, UDP */

struct yard_xdp {
    struct xsk x;
    struct yard_xdp_bpf *program;
    struct bpf_link *link;
    uint64_t sum;
};

static void fill_all(struct yard_xdp *y)
{
    for (unsigned i = 0; i < XSK_RING; i++)
        xsk_fill(&y->x, (uint64_t)i * CHUNK);
    xsk_fill_submit(&y->x);
}

static bool attach(struct yard_xdp *y, int ifindex, uint16_t port)
{
    const uint32_t zero = 0;
    y->program = yard_xdp_bpf__open();
    if (!y->program)
        return false;
    y->program->rodata->port_be = htons(port);
    if (yard_xdp_bpf__load(y->program))
        return false;
    bpf_map__update_elem(y->program->maps.sockets, &zero, sizeof zero, &y->x.fd, sizeof y->x.fd, 0);
    y->link = bpf_program__attach_xdp(y->program->progs.yard, ifindex);
    return y->link;
}

struct yard_xdp *yard_xdp_open(const char *ifname, uint16_t port, struct weir_why *why)
{
    int ifindex = (int)if_nametoindex(ifname);
    struct yard_xdp *y = calloc(1, sizeof *y);
    if (!y || xsk_open(&y->x, ifindex, 0, CHUNKS, CHUNK, why)) {
        free(y);
        return NULL;
    }
    fill_all(y);
    if (attach(y, ifindex, port))
        return y;
    *why = (struct weir_why){.code = -errno, .where = "XDP", .what = "the yardstick's program"};
    yard_xdp_close(y);
    return NULL;
}

void yard_xdp_close(struct yard_xdp *y)
{
    bpf_link__destroy(y->link);
    yard_xdp_bpf__destroy(y->program);
    xsk_close(&y->x);
    free(y);
}

unsigned yard_xdp_receive(struct yard_xdp *y)
{
    struct xdp_desc got[BURST];
    unsigned n = xsk_receive(&y->x, got, BURST);
    for (unsigned i = 0; i < n; i++) {
        y->sum += got[i].len + xsk_frame(&y->x, got[i].addr)[HEAD];
        xsk_fill(&y->x, got[i].addr & ~(uint64_t)(CHUNK - 1));
    }
    if (n)
        xsk_fill_submit(&y->x);
    return n;
}

static inline void swap(uint8_t *a, uint8_t *b, size_t bytes)
{
    uint8_t t[6];
    memcpy(t, a, bytes);
    memcpy(a, b, bytes);
    memcpy(b, t, bytes);
}

static inline void turn_round(uint8_t *frame)
{
    swap(frame, frame + 6, 6);
    swap(frame + 26, frame + 30, 4);
    swap(frame + 34, frame + 36, 2);
}

/* Frames that were sent are received into again. */
static void recycle(struct yard_xdp *y)
{
    uint64_t home[BURST];
    for (unsigned n; (n = xsk_done(&y->x, home, BURST));) {
        for (unsigned i = 0; i < n; i++)
            xsk_fill(&y->x, home[i] & ~(uint64_t)(CHUNK - 1));
        xsk_fill_submit(&y->x);
    }
}

unsigned yard_xdp_echo(struct yard_xdp *y)
{
    struct xdp_desc got[BURST];
    unsigned n = xsk_receive(&y->x, got, xsk_tx_room(&y->x, BURST));
    for (unsigned i = 0; i < n; i++) {
        uint8_t *frame = xsk_frame(&y->x, got[i].addr);
        y->sum += got[i].len + frame[HEAD];
        turn_round(frame);
        xsk_tx_put(&y->x, got[i].addr, got[i].len);
    }
    if (n) {
        xsk_tx_submit(&y->x);
        while (xsk_tx_waits(&y->x) && xsk_tx_kick(&y->x) != -EBUSY) {}
        recycle(y);
    }
    return n;
}
