/* SPDX-License-Identifier: MIT
 * Yardsticks: what a person who knows the socket calls writes by hand for one purpose. They are
 * measured beside the engine, by the same driver, with the same compiler flags, and are kept
 * honest: no sleeps, no extra work, and the same look at each datagram (length and first byte) as
 * the engine's handler takes. */
#ifndef BENCH_YARD_H
#define BENCH_YARD_H

#include <weir/base.h>

#include <stdbool.h>
#include <stdint.h>

struct yard;

#define YARD_SOCK_BYTES (16 << 20) /* of both socket buffers: the engine's default */

/* A receive loop of recvmmsg in bursts of 64 with UDP GRO. NULL: errno says why. */
struct yard *yard_recv_open(const struct weir_addr *local);
unsigned yard_recv_step(struct yard *yard); /* one call; how many datagrams it brought, 0 = none */
void yard_recv_close(struct yard *yard);

/* A non-blocking recvfrom, and a sendto of what came. */
struct yard *yard_echo_open(const struct weir_addr *local);
unsigned yard_echo_step(struct yard *yard);
void yard_echo_close(struct yard *yard);

/* A bound non-blocking IPv4 socket with large buffers, or -1. */
int yard_socket(const struct weir_addr *local);

/* One that takes part: `step` is called again and again on the thread that called `open`. */
struct contender {
    const char *name;
    void *(*open)(const struct weir_addr *local, const char *backend, bool echo);
    unsigned (*step)(void *self); /* datagrams handled */
    void (*close)(void *self);
};

#define CONTENDERS 3
extern const struct contender contenders[CONTENDERS]; /* the hand-written ones first */

#endif
