/* SPDX-License-Identifier: MIT
 * Sockets of the generators: non-blocking and connected, so that a send needs no address. */
#ifndef WEIR_LAB_SOCKET_H
#define WEIR_LAB_SOCKET_H

#include "load.h"

/* `what` and the target cannot be had: fill r->why and return -err. */
int socket_refuse(struct run *r, int err, const char *what);

/* A UDP socket connected to the target, its own source port.  -errno with r->why. */
int socket_udp(struct run *r);
/* `n` of them into `fds` (all or none). */
int socket_udp_many(struct run *r, int *fds, unsigned n);
void socket_close_many(const int *fds, unsigned n);

/* Datagrams that found its receive buffer full. */
uint32_t lab_socket_drops(int fd);

/* A TCP socket that has begun to connect. `source`: bind to this IPv4 address first, 0 = none
 * (network order). -errno; r->why is left alone, because for the load `connect` a failure is a
 * count. */
int socket_tcp(const struct weir_addr *target, uint32_t source_be32);

#endif
