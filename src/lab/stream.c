/* SPDX-License-Identifier: MIT
 * stream: one way, one flow, as fast as the kernel can be fed: UDP_SEGMENT hands it up to 64
 * datagrams in one call, which travel as one packet as far as they can
 * (Documentation/networking/segmentation-offloads.rst). Where that is not to be had, or not
 * wanted, sendmmsg hands over the same datagrams one by one. A paced batch leaves when its last
 * datagram is due, so none is early and all but it are a little late. */
#include "load.h"
#include "socket.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* <linux/udp.h> */
#endif
#define BATCH 64          /* UDP_MAX_SEGMENTS, <linux/udp.h>, until Linux 6.8 */
#define GSO_BYTES 65507   /* the whole of it is one IPv4 datagram's payload at most */
#define HEADERS_BYTES 48u /* IPv6 and UDP: what a segment must share its MTU with */

struct stream {
    int fd;
    bool gso;
    unsigned batch;
    uint8_t *payload; /* batch x bytes with gso, else bytes */
    struct mmsghdr msgs[BATCH];
    struct iovec iov;
};

/* Segments must fit the path, or each send would fail. */
static bool try_gso(struct run *r, struct stream *s)
{
    int segment = (int)r->o.bytes, mtu = 0;
    bool ip4 = addr_is_ip4(&r->o.target);
    socklen_t len = sizeof mtu;

    if (r->o.no_merge || 2 * r->o.bytes > GSO_BYTES)
        return false;
    if (getsockopt(s->fd, ip4 ? IPPROTO_IP : IPPROTO_IPV6, ip4 ? IP_MTU : IPV6_MTU, &mtu, &len) <
            0 ||
        r->o.bytes + HEADERS_BYTES - (ip4 ? 20 : 0) > (unsigned)mtu)
        return false;
    return setsockopt(s->fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0;
}

static int open_stream(struct run *r, struct stream *s)
{
    s->fd = socket_udp(r);
    if (s->fd < 0)
        return s->fd;
    s->gso = try_gso(r, s);
    s->batch = s->gso ? min_of(BATCH, GSO_BYTES / r->o.bytes) : BATCH;
    s->payload = calloc(s->gso ? s->batch : 1, r->o.bytes);
    if (!s->payload) {
        close(s->fd);
        return why_set(r->why, -ENOMEM, "stream", NULL, "no memory for the payload");
    }
    s->iov = (struct iovec){.iov_base = s->payload, .iov_len = r->o.bytes};
    for (unsigned i = 0; i < BATCH; i++)
        s->msgs[i].msg_hdr = (struct msghdr){.msg_iov = &s->iov, .msg_iovlen = 1};
    snprintf(r->ret->mode, sizeof r->ret->mode,
             s->gso ? "one socket, UDP_SEGMENT x %u" : "one socket, sendmmsg x %u", s->batch);
    return 0;
}

/* Send up to `n`: how many went, or -1 with errno. A refused segment batch is refused whole. */
static int send_batch(const struct run *r, struct stream *s, unsigned n)
{
    if (!s->gso)
        return sendmmsg(s->fd, s->msgs, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    return send(s->fd, s->payload, (size_t)n * r->o.bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
               ? -1
               : (int)n;
}

/* A batch that fills up, unless the window's edge cuts it short. */
static unsigned next_batch(const struct run *r, const struct stream *s, uint64_t now)
{
    uint64_t edge = r->k < r->first ? r->first : r->last;
    unsigned whole = (unsigned)min_of(edge - r->k, s->batch);

    return run_due_many(r, now, whole) == whole ? whole : 0;
}

static void stream(struct run *r, struct stream *s)
{
    uint64_t now;

    run_begin(r);
    while (run_on(r, now = weir_now_ns())) {
        unsigned n = next_batch(r, s, now);
        int sent, err;

        if (n == 0) {
            weir_pause();
            continue;
        }
        sent = send_batch(r, s, n);
        err = sent < 0 ? errno : 0;
        run_syscalls(r, 1);
        now -= r->o.rate ? weir_pace_ns(r->o.rate, n - 1)
                         : 0; /* the last one's lateness is the batch's */
        if (!err)
            run_tried(r, (unsigned)sent, 0, now);
        for (unsigned i = 0; err && i < (s->gso ? n : 1); i++)
            run_tried(r, 0, err, now);
    }
    run_end(r);
    run_drained(r);
}

int load_stream(struct run *r)
{
    struct stream s = {.fd = -1};
    int err = open_stream(r, &s);

    if (err < 0)
        return err;
    stream(r, &s);
    free(s.payload);
    close(s.fd);
    return 0;
}
