/* SPDX-License-Identifier: MIT
 * Handlers that count what arrives, or send it back: what `weir echo` serves and `weir bench`
 * measures. They do what an application has to and no more: look at each packet's length and first
 * byte. */
#ifndef WEIR_TOOL_REPLY_H
#define WEIR_TOOL_REPLY_H

#include <weir/engine.h>

struct reply;

/* One stream, or the listener (which is nobody's peer). */
struct reply_stream {
    struct reply *reply;
    struct weir_buf *held; /* what weir_send would not take: goes out at WEIR_DRAIN */
    struct reply_stream *next;
    uint8_t ended; /* the peer will send no more: close after `held` */
};

/* One worker's. The counts have one writer, the worker; other threads read them with reply_get. */
struct reply {
    _Alignas(64) uint64_t packets; /* datagrams */
    uint64_t bytes;
    uint64_t errors;   /* wrong lengths, and what was refused */
    uint64_t refused;  /* datagrams not sent back because the queue was full */
    uint64_t streams;  /* accepted */
    uint64_t sum;      /* of first bytes: so that the payload is really looked at */
    uint32_t expected; /* bytes of a datagram, 0 = any */
    uint32_t streams_max;
    struct reply_stream listener, *all, *free;
};

/* Errors  -ENOMEM.  `streams_max` may be 0 */
int reply_open(struct reply *reply, uint32_t expected, uint32_t streams_max);

/* On the worker's thread, before its engine closes: gives back what is held. */
void reply_close(struct reply *reply);

/* Any thread: one count as it is now. Pairs with the worker's relaxed stores: a number, no more. */
static inline uint64_t reply_get(const uint64_t *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

weir_handler reply_count; /* app: struct reply; datagrams are counted and dropped */
weir_handler reply_udp;   /* app: struct reply; datagrams go back to where they came from */
weir_handler reply_tcp;   /* app: &reply->listener; bytes go back, in order, with back-pressure */

#endif
