/* SPDX-License-Identifier: MIT
 * The other end: plain non-blocking kernel sockets, which know nothing of Weir. */
#ifndef WEIR_CONFORMANCE_PEER_H
#define WEIR_CONFORMANCE_PEER_H

#include "test.h"

#include <stdbool.h>
#include <sys/types.h>

#include <weir.h>

/* A byte of the endless pattern that every stream carries: a lost, doubled or swapped piece shows.
 */
static inline uint8_t pattern_at(uint64_t i)
{
    return (uint8_t)(((uint32_t)i * 2654435761u) >> 24); /* Knuth's multiplicative hash */
}
void pattern_fill(uint8_t *to, uint64_t at, size_t bytes);
bool pattern_holds(const uint8_t *from, uint64_t at, size_t bytes);

/* 127.0.0.1:port, or ::1 where `ip6`; over a frame backend the engine's address in net.h, for which
 * a peer that binds to it takes its own. */
struct weir_addr peer_loopback(uint16_t port, bool ip6);
struct weir_addr peer_addr(int fd); /* what the socket is bound to */
bool peer_has_ip6(void);
uint16_t peer_free_port(int type); /* free a moment ago: SOCK_DGRAM or SOCK_STREAM */

int peer_udp(void); /* bound to a free port of 127.0.0.1, with large buffers */
int peer_udp_at(const struct weir_addr *at);
int peer_listen(void);                        /* listens on a free port of 127.0.0.1 */
int peer_accept(int listener);                /* -1: none yet */
int peer_connect(const struct weir_addr *to); /* asks; the engine has to answer */
bool peer_connected(int fd);
void peer_reset(int *fd); /* closes with a reset */
void peer_close(int *fd);

/* One datagram. The kernel has to take it: buffers are large. */
void peer_send(int fd, const struct weir_addr *to, const void *data, size_t len);
/* `len` bytes cut to datagrams of `segment` by one call (UDP_SEGMENT). False: not on this host. */
bool peer_segments(int fd, const struct weir_addr *to, const void *data, size_t len,
                   uint16_t segment);
/* A datagram's length, or -1 when there is none. `from` may be NULL. */
ssize_t peer_recv(int fd, void *ret, size_t bytes, struct weir_addr *from);

/* One stream of the pattern, both ways. */
struct flow {
    int fd;
    uint64_t sent, got;
    bool bad; /* a byte was not the pattern's */
    bool eof;
    int err; /* errno of what ended it */
};

bool flow_push(struct flow *f, uint64_t upto); /* true once all of it was sent */
bool flow_pull(struct flow *f, uint64_t upto); /* true once that much came, or an end */
bool flow_ended(struct flow *f);               /* reads on to the end; true once there */

#endif
