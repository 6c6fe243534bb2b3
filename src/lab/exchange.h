/* SPDX-License-Identifier: MIT
 * One request and its response on a non-blocking stream: the response must be the request again. */
#ifndef WEIR_LAB_EXCHANGE_H
#define WEIR_LAB_EXCHANGE_H

#include "load.h"

/* What all exchanges of a run share. */
struct message {
    uint32_t bytes;
    uint8_t *tx; /* a pattern; its first 8 bytes are overwritten with the exchange's number */
    uint8_t *rx; /* bytes + 1: a longer response is seen */
};

struct exchange {
    int fd;
    uint32_t sent, got;
    uint64_t k;
    uint64_t since_ns; /* where its latency counts from */
};

int message_open(struct run *r, struct message *m);
void message_close(struct message *m);

static inline void exchange_begin(struct exchange *x, uint64_t k, uint64_t since_ns)
{
    x->sent = x->got = 0;
    x->k = k;
    x->since_ns = since_ns;
}

/* Send what is left of the request. 0, also when the socket is full for now, or -errno. */
int exchange_push(struct run *r, struct message *m, struct exchange *x);

/* Take what has come of the response. 1: it is whole. 0: not yet. -EBADMSG: wrong content or
 * length. -ECONNRESET: the peer ended the stream, or another -errno. */
int exchange_pull(struct run *r, struct message *m, struct exchange *x);

#endif
