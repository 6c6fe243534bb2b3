/* SPDX-License-Identifier: MIT
 * The yardstick's own state, shared by its two files. */
#ifndef WEIR_NAIVE_H
#define WEIR_NAIVE_H

#include "backend.h"

#include <pthread.h>
#include <sys/epoll.h>

#define NAIVE_CELLS 256u /* of the queue; a power of two */

struct packet {
    struct weir_addr from;
    uint32_t len;
    uint8_t data[WEIR_BIG_BYTES];
};

struct naive {
    int fd;
    int n_told; /* events that epoll_wait told and no rx has handled */
    struct epoll_event told[64];
    bool waits_next; /* the caller's next wait asks epoll: this turn need not */
    struct packet packet;
    struct weir_buf *small,
        *big;             /* the next cells, in state BACKEND: taken before anything is received */
    pthread_mutex_t lock; /* of the queue */
    uint32_t head, tail;
    struct weir_buf *cells[NAIVE_CELLS];
};

static inline struct naive *naive_of(struct backend *b)
{
    return b->priv;
}

/* One copy of `bytes` was made. */
static inline void naive_copied(struct backend *b, size_t bytes)
{
    COUNT(&b->counters, copies, 1);
    COUNT(&b->counters, copied_bytes, bytes);
}

/* ---- naive_rx.c: one receive, and the way through the queue --------------------------------- */
void naive_datagram(struct backend *b, struct endpoint *ep);
void naive_stream(struct backend *b, struct endpoint *ep);
void naive_rx_close(struct backend *b);

#endif
