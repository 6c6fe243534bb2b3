/* SPDX-License-Identifier: MIT
 * The book of an open-loop echo: what a request's payload says, and which replies have come.
 *
 *     0       8       16                    bytes
 *     | id, k | ~    | pattern ...         |  k: the send's number, 36 bits; id: the run's, 28
 *
 * The second word is the first's complement, so that the checksum of a frame is the same for
 * every k. */
#ifndef WEIR_LAB_BOOK_H
#define WEIR_LAB_BOOK_H

#include "load.h"

#include <string.h>

#define BOOK_K_BITS 36
#define BOOK_HEAD 16

struct book {
    uint64_t id;       /* of this run, already in its place */
    uint64_t answered; /* distinct right replies, both parts */
    uint64_t sends;    /* bits in `seen` */
    uint64_t *seen;    /* a bit a send */
    uint64_t *highest; /* a flow: the highest k + 1 that has been answered */
    uint8_t *pattern;  /* a whole payload, head 0 */
};

int book_open(struct run *r, struct book *b);
void book_close(struct book *b);

/* Write the head of send k. */
static inline void book_stamp(const struct book *b, void *payload, uint64_t k)
{
    uint64_t head[2] = {b->id | k, ~(b->id | k)};

    memcpy(payload, head, sizeof head);
}

/* A packet came at `now`: book it as whatever it is. */
void book_reply(struct run *r, struct book *b, const uint8_t *payload, size_t len, uint64_t now);

/* Sends that no reply has come for. */
static inline uint64_t book_open_sends(const struct run *r, const struct book *b)
{
    return r->part[WARMUP].sent + r->part[WINDOW].sent - b->answered;
}

#endif
