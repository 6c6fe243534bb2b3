/* SPDX-License-Identifier: MIT
 * epoll's datagrams: one recvmmsg and one sendmmsg a burst.
 *
 * rx: `burst` big slots stand ready; recvmmsg fills some; each filled one becomes one event, or,
 * where UDP GRO merged several datagrams, as many views. What finds no room among the poll's
 * events waits in the stash.
 * tx: neighbours of the send queue with one destination and size leave
 * as one GSO message (UDP_SEGMENT). A message that the path refuses in that form is sent again
 * datagram by datagram. */
#include "epoll.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h */
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define SEGMENTS 64u /* UDP_MAX_SEGMENTS of linux/udp.h before it became 128 */
#define MESSAGES 64u /* of one sendmmsg */

union name {
    struct sockaddr_storage any; /* what addr_to_sock writes */
    struct sockaddr_in6 in6;
};

struct epoll_udp {
    /* receive: parallel arrays of `burst` */
    struct mmsghdr *rx;
    struct iovec *rx_iov;
    union name *rx_name;
    char (*rx_ctl)[CMSG_SPACE(sizeof(int))];
    struct weir_buf **slots; /* in state BACKEND */
    unsigned have;
    struct received *stash;
    unsigned stash_at, stash_n;
    /* send */
    struct mmsghdr tx[MESSAGES];
    union name tx_name[MESSAGES];
    char tx_ctl[MESSAGES][CMSG_SPACE(sizeof(uint16_t))];
    struct iovec tx_iov[MESSAGES * SEGMENTS];
    uint16_t tx_items[MESSAGES];
    uint32_t alone; /* items from the head on that a refused merge leaves to be sent one by one */
};

void epoll_udp_features(bool *gro, bool *gso)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), segment = 0;
    socklen_t bytes = sizeof segment;
    *gro = fd >= 0 && socket_gro(fd);
    *gso = fd >= 0 && getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, &bytes) == 0;
    if (fd >= 0)
        close(fd);
}

/* ---- slots ---------------------------------------------------------------------------------- */

static void place(struct epoll_udp *u, unsigned i, struct weir_buf *buf)
{
    buf_to_backend(buf);
    u->slots[i] = buf;
    u->rx_iov[i] = (struct iovec){buf->data, buf->room - weir_buf_headroom(buf)};
}

static void reset_header(struct epoll_udp *u, unsigned i)
{
    u->rx[i].msg_hdr.msg_namelen = sizeof u->rx_name[i];
    u->rx[i].msg_hdr.msg_controllen = sizeof u->rx_ctl[i];
    u->rx[i].msg_hdr.msg_flags = 0;
}

/* Fresh slots behind those that stand ready. */
static void refill(struct backend *b, struct epoll_udp *u)
{
    struct weir_buf *fresh[64];
    while (u->have < b->opt.burst) {
        unsigned want = min_of(b->opt.burst - u->have, (unsigned)array_len(fresh));
        unsigned got = pool_take(b->pool, WEIR_BIG, fresh, want);
        for (unsigned i = 0; i < got; i++)
            place(u, u->have++, fresh[i]);
        if (got < want)
            return;
    }
}

/* The first n slots went with their datagrams: the last of the rest take their places. */
static void close_gap(struct epoll_udp *u, unsigned n)
{
    unsigned left = u->have - n;
    for (unsigned i = 0; i < min_of(n, left); i++) {
        u->slots[i] = u->slots[u->have - 1 - i];
        u->rx_iov[i] = u->rx_iov[u->have - 1 - i];
    }
    u->have = left;
}

int epoll_udp_open(struct backend *b)
{
    struct epoll_udp *u = calloc(1, sizeof *u);
    unsigned n = b->opt.burst;
    epoll_of(b)->udp = u;
    if (!u)
        return -ENOMEM;
    u->rx = calloc(n, sizeof *u->rx);
    u->rx_iov = calloc(n, sizeof *u->rx_iov);
    u->rx_name = calloc(n, sizeof *u->rx_name);
    u->rx_ctl = calloc(n, sizeof *u->rx_ctl);
    u->slots = calloc(n, sizeof(struct weir_buf *));
    u->stash = calloc(n, sizeof *u->stash);
    if (!u->rx || !u->rx_iov || !u->rx_name || !u->rx_ctl || !u->slots || !u->stash)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        u->rx[i].msg_hdr = (struct msghdr){.msg_name = &u->rx_name[i],
                                           .msg_iov = &u->rx_iov[i],
                                           .msg_iovlen = 1,
                                           .msg_control = u->rx_ctl[i]};
        reset_header(u, i);
    }
    bool gro;
    epoll_udp_features(&gro, &epoll_of(b)->gso);
    epoll_of(b)->gso &= !b->opt.no_gro;
    return 0;
}

void epoll_udp_close(struct backend *b)
{
    struct epoll_udp *u = epoll_of(b)->udp;
    if (!u)
        return;
    for (unsigned i = 0; i < u->have; i++)
        buf_from_backend(u->slots[i]);
    if (u->slots)
        weir_buf_drop(u->slots, u->have);
    for (unsigned i = u->stash_at; i < u->stash_n; i++)
        weir_buf_drop(&u->stash[i].buf, 1);
    free(u->rx);
    free(u->rx_iov);
    free(u->rx_name);
    free(u->rx_ctl);
    free(u->slots);
    free(u->stash);
    free(u);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static uint32_t gro_segment(const struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
        int segment;
        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO)
            continue;
        memcpy(&segment, CMSG_DATA(c), sizeof segment);
        return segment > 0 ? (uint32_t)segment : 0;
    }
    return 0;
}

void epoll_udp_stash(struct backend *b)
{
    struct epoll_udp *u = epoll_of(b)->udp;
    while (u->stash_at < u->stash_n && received_tell(b, &u->stash[u->stash_at]))
        u->stash_at++;
}

/* A closing endpoint's receives are not told any more: received_tell finds the handle stale. */
void epoll_udp_forget(struct backend *b, struct endpoint *ep)
{
    struct epoll_udp *u = epoll_of(b)->udp;
    for (unsigned i = u->stash_at; i < u->stash_n; i++)
        if (u->stash[i].handle == ep->handle)
            u->stash[i].handle = 0;
}

/* The i-th message of a receive goes to the stash, in order. */
static void take_message(struct backend *b, struct endpoint *ep, struct epoll_udp *u, unsigned i)
{
    struct weir_buf *buf = u->slots[i];
    struct msghdr *msg = &u->rx[i].msg_hdr;
    buf_from_backend(buf);
    buf->len = u->rx[i].msg_len;
    if (unlikely(msg->msg_flags & MSG_TRUNC)) {
        COUNT(&b->counters, rx_truncated, 1);
        weir_buf_drop(&buf, 1);
    } else {
        addr_from_sock(&u->rx_name[i], &buf->peer);
        u->stash[u->stash_n++] =
            (struct received){.handle = ep->handle, .buf = buf, .segment = gro_segment(msg)};
    }
    reset_header(u, i);
}

/* One message costs recvmsg a tenth less than recvmmsg, which looks for a second before it
 * returns. So while it spins as many are asked for as the last calls suggest: a lone one alone,
 * four times as many while all that were asked for came. priv[0] is the number, priv[1] how
 * often in a row one alone was not enough. */
static unsigned wanted(const struct backend *b, const struct endpoint *ep,
                       const struct epoll_udp *u)
{
    if (!b->opt.spin)
        return u->have; /* what woke us is dearer than a look for a second one */
    return (unsigned)min_of(max_of(ep->priv[0], UINT64_C(1)), (uint64_t)u->have);
}

static void learn(struct endpoint *ep, unsigned asked, unsigned got, unsigned burst)
{
    ep->priv[1] = asked == 1 ? ep->priv[1] + got : 0;
    if (got < asked)
        ep->priv[0] = got > 1 ? min_of(got * 2, burst) : got; /* the next gathering may be larger */
    else if (asked > 1 || ep->priv[1] > 1)
        ep->priv[0] = min_of(asked * 4, burst);
    if (got == 0)
        ep->priv[1] = 0;
}

static int receive(int fd, struct epoll_udp *u, unsigned asked)
{
    if (asked > 1)
        return recvmmsg(fd, u->rx, asked, MSG_DONTWAIT, NULL);
    ssize_t n = recvmsg(fd, &u->rx[0].msg_hdr, MSG_DONTWAIT);
    u->rx[0].msg_len = n > 0 ? (unsigned)n : 0;
    return n < 0 ? -1 : 1;
}

static bool receive_failed(struct backend *b, int err)
{
    if (err == EAGAIN)
        return false;
    if (err != EINTR)
        COUNT(&b->counters, rx_error, 1); /* an ICMP error was told instead: go on */
    return true;
}

bool epoll_udp_rx(struct backend *b, struct endpoint *ep)
{
    struct epoll_udp *u = epoll_of(b)->udp;
    if (u->stash_at < u->stash_n)
        return true; /* no room for the last burst: none for another */
    if (u->have < b->opt.burst)
        refill(b, u);
    if (u->have == 0) {
        COUNT(&b->counters, pool_empty, 1);
        b->starved = true;
        return true;
    }
    unsigned asked = wanted(b, ep, u);
    int n = receive(ep->fd, u, asked), err = errno;
    COUNT(&b->counters, syscalls, 1);
    learn(ep, asked, n > 0 ? (unsigned)n : 0, b->opt.burst);
    if (n <= 0)
        return receive_failed(b, err);
    COUNT(&b->counters, rx_calls, 1);
    u->stash_at = u->stash_n = 0;
    for (unsigned i = 0; i < (unsigned)n; i++)
        take_message(b, ep, u, i);
    close_gap(u, (unsigned)n);
    epoll_udp_stash(b);
    return (unsigned)n == asked || u->stash_at < u->stash_n;
}

/* ---- sending -------------------------------------------------------------------------------- */

static void set_segment(struct msghdr *msg, char *ctl, uint32_t segment)
{
    msg->msg_control = segment ? ctl : NULL;
    msg->msg_controllen = segment ? CMSG_SPACE(sizeof(uint16_t)) : 0;
    if (!segment)
        return;
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    uint16_t size = (uint16_t)segment;
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(c), &size, sizeof size);
}

/* One message of the burst from `*item` on. */
static void build_message(struct backend *b, struct endpoint *ep, unsigned i, struct tx_item **item)
{
    struct epoll_udp *u = epoll_of(b)->udp;
    struct weir_buf *bufs[SEGMENTS];
    struct iovec *iov = &u->tx_iov[i * SEGMENTS];
    struct weir_addr *to = &(*item)->to;
    uint32_t segment;
    bool merge = epoll_of(b)->gso && i >= u->alone;
    unsigned n = txq_gather(b, item, bufs, merge ? SEGMENTS : 1, &segment);
    for (unsigned k = 0; k < n; k++)
        iov[k] = (struct iovec){bufs[k]->data, bufs[k]->len};
    struct msghdr *msg = &u->tx[i].msg_hdr;
    msg->msg_name = &u->tx_name[i];
    msg->msg_namelen = addr_to_sock(to, ep->family, &u->tx_name[i].any);
    msg->msg_iov = iov;
    msg->msg_iovlen = n;
    set_segment(msg, u->tx_ctl[i], segment);
    u->tx_items[i] = (uint16_t)n;
}

static unsigned build_burst(struct backend *b, struct endpoint *ep)
{
    unsigned n = 0, max = min_of(b->opt.burst, MESSAGES);
    for (struct tx_item *item = txq_head(b, ep); item && n < max;)
        build_message(b, ep, n++, &item);
    return n;
}

static void burst_sent(struct backend *b, struct endpoint *ep, unsigned n)
{
    struct epoll_udp *u = epoll_of(b)->udp;
    unsigned packets = 0;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        packets += u->tx_items[i];
        bytes += u->tx[i].msg_len;
    }
    COUNT(&b->counters, tx_packets, packets);
    COUNT(&b->counters, tx_bytes, bytes);
    COUNT(&b->counters, copies, packets);
    COUNT(&b->counters, copied_bytes, bytes);
    u->alone -= min_of(u->alone, n);
    txq_pop(b, ep, packets);
}

/* The first message was refused. True: go on with the next, or with the same one unmerged: a path
 * whose MTU is below the segments refuses the merged form only (udp(7)). Nothing is concluded for
 * later bursts: a single bad destination is refused alike. */
static bool burst_failed(struct backend *b, struct endpoint *ep, int err)
{
    struct epoll_udp *u = epoll_of(b)->udp;
    bool merged = u->tx[0].msg_hdr.msg_controllen > 0;
    if (err == EINTR)
        return true;
    if (merged && (err == EINVAL || err == EMSGSIZE || err == EIO)) {
        u->alone = u->tx_items[0];
        return true;
    }
    if (!socket_send_failed(b, ep, -err))
        return false;
    COUNT(&b->counters, tx_dropped, u->tx_items[0] - 1); /* merged with the one that was counted */
    u->alone -= u->alone > 0;
    txq_pop(b, ep, u->tx_items[0]);
    return true;
}

/* A lone datagram leaves by sendto, which is the cheapest. */
static int transmit(int fd, struct epoll_udp *u, unsigned n)
{
    struct msghdr *msg = &u->tx[0].msg_hdr;
    if (n > 1 || msg->msg_controllen)
        return sendmmsg(fd, u->tx, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    ssize_t sent = sendto(fd, msg->msg_iov->iov_base, msg->msg_iov->iov_len,
                          MSG_DONTWAIT | MSG_NOSIGNAL, msg->msg_name, msg->msg_namelen);
    u->tx[0].msg_len = sent > 0 ? (unsigned)sent : 0;
    return sent < 0 ? -1 : 1;
}

void epoll_udp_tx(struct backend *b, struct endpoint *ep)
{
    epoll_of(b)->udp->alone = 0; /* another endpoint's, or an earlier poll's */
    while (ep->tx_count) {
        unsigned n = build_burst(b, ep);
        int sent = transmit(ep->fd, epoll_of(b)->udp, n), err = errno;
        COUNT(&b->counters, syscalls, 1);
        COUNT(&b->counters, tx_calls, 1);
        if (sent > 0)
            burst_sent(b, ep, (unsigned)sent);
        else if (!burst_failed(b, ep, err))
            return;
    }
}
