/* SPDX-License-Identifier: MIT
 * The hand-written receive loop: recvmmsg in bursts of 64, UDP GRO, nothing else.
 * Source  recvmmsg(2), udp(7), Documentation/networking/segmentation-offloads.rst */
#include "yard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104 /* linux/udp.h */
#endif

#define BURST 64
#define SLOT_BYTES 65536 /* what one merged receive may bring */

struct yard {
    int fd;
    uint64_t sum; /* keeps the look at each datagram from being optimised away */
    struct mmsghdr msgs[BURST];
    struct iovec iov[BURST];
    struct sockaddr_in from[BURST];
    char control[BURST][CMSG_SPACE(sizeof(int))];
    uint8_t *slots;
};

int yard_socket(const struct weir_addr *local)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(local->port)};
    int bytes = YARD_SOCK_BYTES, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    memcpy(&in.sin_addr, local->ip + 12, 4);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (bind(fd, (struct sockaddr *)&in, sizeof in) == 0)
        return fd;
    close(fd);
    return -1;
}

/* recvmmsg shortens these; they are made whole before each call. */
static void ready(struct yard *y, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        y->msgs[i].msg_hdr.msg_namelen = sizeof y->from[i];
        y->msgs[i].msg_hdr.msg_controllen = sizeof y->control[i];
    }
}

struct yard *yard_recv_open(const struct weir_addr *local)
{
    struct yard *y = calloc(1, sizeof *y);
    int on = 1;
    if (!y || !(y->slots = aligned_alloc(4096, (size_t)BURST * SLOT_BYTES)) ||
        (y->fd = yard_socket(local)) < 0) {
        if (y)
            free(y->slots);
        free(y);
        return NULL;
    }
    memset(y->slots, 0, (size_t)BURST * SLOT_BYTES);
    setsockopt(y->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    for (unsigned i = 0; i < BURST; i++) {
        y->iov[i] =
            (struct iovec){.iov_base = y->slots + (size_t)i * SLOT_BYTES, .iov_len = SLOT_BYTES};
        y->msgs[i].msg_hdr = (struct msghdr){.msg_name = &y->from[i],
                                             .msg_iov = &y->iov[i],
                                             .msg_iovlen = 1,
                                             .msg_control = y->control[i]};
    }
    ready(y, BURST);
    return y;
}

static unsigned segment_bytes(struct msghdr *msg, unsigned len)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        int segment;
        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO)
            continue;
        memcpy(&segment, CMSG_DATA(c), sizeof segment);
        return segment > 0 ? (unsigned)segment : len;
    }
    return len;
}

/* Each datagram of one receive: its length and first byte. */
static unsigned look(struct yard *y, unsigned i)
{
    unsigned len = y->msgs[i].msg_len, segment = segment_bytes(&y->msgs[i].msg_hdr, len), n = 0;
    const uint8_t *at = y->iov[i].iov_base;
    do {
        unsigned bytes = len < segment ? len : segment;
        y->sum += bytes + (bytes ? *at : 0);
        at += bytes;
        len -= bytes;
        n++;
    } while (len);
    return n;
}

unsigned yard_recv_step(struct yard *y)
{
    int got = recvmmsg(y->fd, y->msgs, BURST, MSG_DONTWAIT, NULL);
    unsigned n = 0;
    if (got <= 0)
        return 0;
    for (int i = 0; i < got; i++)
        n += look(y, (unsigned)i);
    ready(y, (unsigned)got);
    return n;
}

void yard_recv_close(struct yard *y)
{
    close(y->fd);
    free(y->slots);
    free(y);
}
