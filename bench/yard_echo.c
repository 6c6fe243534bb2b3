/* SPDX-License-Identifier: MIT
 * The hand-written echo: spin on a non-blocking socket, send back what came. The lowest latency
 * that sockets give to one thread, which is why it is the yardstick. Source  recvfrom(2),
 * sendto(2) */
#include "yard.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct yard {
    int fd;
    uint64_t sum;
    uint8_t slot[65536];
};

struct yard *yard_echo_open(const struct weir_addr *local)
{
    struct yard *y = calloc(1, sizeof *y);
    if (y && (y->fd = yard_socket(local)) >= 0)
        return y;
    free(y);
    return NULL;
}

unsigned yard_echo_step(struct yard *y)
{
    struct sockaddr_in from;
    socklen_t bytes = sizeof from;
    ssize_t n = recvfrom(y->fd, y->slot, sizeof y->slot, 0, (struct sockaddr *)&from, &bytes);
    if (n < 0)
        return 0;
    y->sum += (uint64_t)n + y->slot[0];
    sendto(y->fd, y->slot, (size_t)n, 0, (struct sockaddr *)&from, bytes);
    return 1;
}

void yard_echo_close(struct yard *y)
{
    close(y->fd);
    free(y);
}
