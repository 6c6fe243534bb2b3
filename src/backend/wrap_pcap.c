/* SPDX-License-Identifier: MIT
 * A capture around any backend. Of frames: every frame as it is. Of sockets: every datagram, behind
 * IP and UDP headers made up for it (the kernel keeps the real ones); streams are not captured.
 *
 * It stands next to the backend, inside of wrap_fault, so that a capture shows what the wire saw.
 * A datagram of a socket is captured when it is given to the kernel for the first time; one that
 * waits in its queue is not captured again. Nothing here ever disturbs the traffic: what cannot be
 * written is counted (pcap_missed). */
#include "backend/pcapng.h"
#include "backend/wrap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES_MAX (64u << 20) /* of a file, when nothing is said */
#define PARTS_MAX 2u
#define IP4_BYTES 20u
#define IP6_BYTES 40u
#define UDP_BYTES 8u
#define PROTOCOL_UDP 17
#define HOPS 64

struct capture {
    struct wrap wrap; /* first: b->pcap points to it */
    struct pcapng file;
    uint64_t wall_ns; /* to be added to the engine's time; 0 where that is virtual */
    uint32_t *seen;   /* of each endpoint: queued items at the front that are captured already */
};

static struct capture *capture_of(const struct backend *b)
{
    return (struct capture *)b->pcap;
}

static void add(struct backend *b, enum pcapng_direction direction, const struct pcapng_part *part,
                unsigned n)
{
    struct capture *c = capture_of(b);
    if (pcapng_packet(&c->file, c->wall_ns + b->now_ns, direction, part, n))
        COUNT(&b->counters, pcap_packets, 1);
    else
        COUNT(&b->counters, pcap_missed, 1);
}

/* ---- frames --------------------------------------------------------------------------------- */

static unsigned capture_rx(struct backend *b, struct weir_buf **ret, unsigned n)
{
    struct capture *c = capture_of(b);
    n = c->wrap.inner_frames->rx(b, ret, n);
    for (unsigned i = 0; i < n; i++)
        add(b, PCAPNG_IN, &(struct pcapng_part){ret[i]->data, ret[i]->len}, 1);
    pcapng_tick(&c->file, b->now_ns);
    return n;
}

static void capture_tx(struct backend *b, const struct tx_frame *frames, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct tx_frame *f = &frames[i];
        struct pcapng_part part[PARTS_MAX] = {{f->buf->data, f->buf->len}};
        if (f->body)
            part[1] = (struct pcapng_part){f->body->data, f->body->len};
        add(b, PCAPNG_OUT, part, f->body ? 2 : 1);
    }
    capture_of(b)->wrap.inner_frames->tx(b, frames, n);
}

/* ---- datagrams of sockets ------------------------------------------------------------------- */

/* One's complement sum over big-endian words: RFC 1071. */
static uint32_t sum(uint32_t sum, const uint8_t *data, uint32_t bytes)
{
    for (uint32_t i = 0; i + 1 < bytes; i += 2)
        sum += (uint32_t)data[i] << 8 | data[i + 1];
    if (bytes & 1)
        sum += (uint32_t)data[bytes - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void store16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t head4(uint8_t *h, const struct weir_addr *src, const struct weir_addr *dst,
                      uint32_t len)
{
    h[0] = 0x45;
    store16(h + 2, IP4_BYTES + UDP_BYTES + len);
    h[8] = HOPS;
    h[9] = PROTOCOL_UDP;
    memcpy(h + 12, src->ip + 12, 4);
    memcpy(h + 16, dst->ip + 12, 4);
    store16(h + 10, ~sum(0, h, IP4_BYTES));
    return IP4_BYTES;
}

static uint32_t head6(uint8_t *h, const struct weir_addr *src, const struct weir_addr *dst,
                      uint32_t len)
{
    h[0] = 0x60;
    store16(h + 4, UDP_BYTES + len);
    h[6] = PROTOCOL_UDP;
    h[7] = HOPS;
    memcpy(h + 8, src->ip, 16);
    memcpy(h + 24, dst->ip, 16);
    return IP6_BYTES;
}

static void add_datagram(struct backend *b, enum pcapng_direction direction,
                         const struct weir_addr *src, const struct weir_addr *dst,
                         const struct weir_buf *buf)
{
    uint8_t h[IP6_BYTES + UDP_BYTES] = {0};
    bool ip4 = addr_is_ip4(direction == PCAPNG_IN ? src : dst); /* our own may be a wildcard */
    uint32_t ip = ip4 ? head4(h, src, dst, buf->len) : head6(h, src, dst, buf->len);
    uint8_t *udp = h + ip;
    store16(udp, src->port);
    store16(udp + 2, dst->port);
    store16(udp + 4, UDP_BYTES + buf->len);
    uint32_t pseudo = sum(PROTOCOL_UDP + UDP_BYTES + buf->len, ip4 ? h + 12 : h + 8, ip4 ? 8 : 32);
    uint32_t checksum = 0xffff & ~sum(sum(pseudo, udp, UDP_BYTES), buf->data, buf->len);
    store16(udp + 6, checksum ? checksum : 0xffff);
    const struct pcapng_part part[PARTS_MAX] = {{h, ip + UDP_BYTES}, {buf->data, buf->len}};
    add(b, direction, part, 2);
}

static int capture_harvest(struct backend *b)
{
    struct capture *c = capture_of(b);
    uint32_t from = b->n_events;
    int rc = c->wrap.inner->rx(b);
    for (uint32_t i = from; i < b->n_events; i++) {
        const struct weir_event *event = &b->events[i];
        if (event->kind != WEIR_DATAGRAM)
            continue;
        const struct endpoint *ep = endpoint_at(b, (uint32_t)event->ep - 1);
        add_datagram(b, PCAPNG_IN, &event->buf->peer, &ep->local, event->buf);
    }
    pcapng_tick(&c->file, b->now_ns);
    return rc;
}

static void capture_flush(struct backend *b, struct endpoint *ep)
{
    struct capture *c = capture_of(b);
    uint32_t *seen = &c->seen[ep - b->eps], skip = *seen;
    bool datagrams = ep->kind == EP_UDP;
    struct tx_item *item = datagrams ? txq_head(b, ep) : NULL;
    for (; item; item = txq_next(b, item)) {
        if (skip)
            skip--;
        else
            add_datagram(b, PCAPNG_OUT, &ep->local, &item->to, item->buf);
    }
    c->wrap.inner->flush(b, ep);
    *seen = datagrams ? ep->tx_count : 0;
}

/* Another endpoint may have its place next. */
static void capture_del(struct backend *b, struct endpoint *ep)
{
    struct capture *c = capture_of(b);
    c->seen[ep - b->eps] = 0;
    c->wrap.inner->del(b, ep);
}

/* ---- open and close ------------------------------------------------------------------------- */

static uint64_t wall_offset(const struct backend *b)
{
    struct timespec ts;
    if (b->device == &backend_sim)
        return 0;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec - weir_now_ns();
}

/* The file of a crew's second worker is FILE.1, and so on. */
static int open_file(struct backend *b, struct capture *c, struct weir_why *why)
{
    char path[4096], about[128];
    uint64_t bytes = b->opt.pcap_bytes ? b->opt.pcap_bytes : BYTES_MAX;
    unsigned worker = b->opt.worker;
    int n = worker ? snprintf(path, sizeof path, "%s.%u", b->opt.pcap, worker)
                   : snprintf(path, sizeof path, "%s", b->opt.pcap);
    if (n < 0 || (size_t)n >= sizeof path)
        return why_set(why, -ENAMETOOLONG, "capture", "", "the name of the file is too long");
    snprintf(about, sizeof about, "weir, backend %s, %s", b->device->name,
             b->frames ? "frames as they are" : "datagrams behind headers made up for them");
    return pcapng_open(&c->file, path, b->frames ? PCAPNG_ETHERNET : PCAPNG_RAW_IP, bytes, about,
                       why);
}

int wrap_pcap_open(struct backend *b, struct weir_why *why)
{
    if (!b->opt.pcap)
        return 0;
    struct capture *c = calloc(1, sizeof *c + b->eps_max * sizeof *c->seen);
    if (!c)
        return why_set(why, -ENOMEM, "capture", "", "no memory");
    c->seen = (uint32_t *)(void *)(c + 1);
    int rc = open_file(b, c, why);
    if (rc) {
        free(c);
        return rc;
    }
    c->wall_ns = wall_offset(b);
    wrap_around(&c->wrap, b);
    c->wrap.frames.rx = capture_rx;
    c->wrap.frames.tx = capture_tx;
    c->wrap.ops.rx = capture_harvest;
    c->wrap.ops.flush = capture_flush;
    c->wrap.ops.del = capture_del;
    b->pcap = &c->wrap;
    return 0;
}

void wrap_pcap_close(struct backend *b)
{
    struct capture *c = capture_of(b);
    if (!c)
        return;
    wrap_off(&c->wrap, b);
    b->pcap = NULL;
    pcapng_close(&c->file);
    free(c);
}
