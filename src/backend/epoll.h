/* SPDX-License-Identifier: MIT
 * The epoll backend's own state, shared by its two files. */
#ifndef WEIR_EPOLL_H
#define WEIR_EPOLL_H

#include "backend.h"

#include <sys/epoll.h>

#define HOT_MAX 8u /* datagram sockets that a spinning engine asks directly */

struct epoll_udp;

struct epoll {
    int fd;
    bool gro, gso, no_pwait2;
    unsigned n_edges;
    unsigned quiet, turn; /* spinning: the last look told of datagrams only; polls so far */
    unsigned n_udp;       /* datagram endpoints; more than HOT_MAX: none is hot */
    uint32_t hot[HOT_MAX];
    struct epoll_udp *udp;
    struct epoll_event edges[256];
};

static inline struct epoll *epoll_of(struct backend *b)
{
    return b->priv;
}

/* ---- epoll_udp.c: bursts of datagrams ------------------------------------------------------- */
int epoll_udp_open(struct backend *b);
void epoll_udp_close(struct backend *b);
void epoll_udp_features(bool *gro, bool *gso);
/* One recvmmsg. True: the socket may hold more. */
bool epoll_udp_rx(struct backend *b, struct endpoint *ep);
/* Emit what an earlier receive brought and no event had room for. */
void epoll_udp_stash(struct backend *b);
void epoll_udp_forget(struct backend *b, struct endpoint *ep);
void epoll_udp_tx(struct backend *b, struct endpoint *ep);

#endif
