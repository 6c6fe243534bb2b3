/* SPDX-License-Identifier: MIT
 * Request and response over a stream, in as few system calls as there are segments. The request
 * carries its number, so that a response to another one is not taken for right. Edge-triggered
 * callers may rely on this: a pull that returns 0 has taken everything that there was. */
#include "exchange.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int message_open(struct run *r, struct message *m)
{
    m->bytes = r->o.bytes;
    m->tx = malloc((size_t)m->bytes + sizeof(uint64_t));
    m->rx = malloc((size_t)m->bytes + 1);
    if (!m->tx || !m->rx) {
        message_close(m);
        return why_set(r->why, -ENOMEM, weir_load_name(r->o.load), NULL, "no memory for %u bytes",
                       r->o.bytes);
    }
    for (uint32_t i = 0; i < m->bytes; i++)
        m->tx[i] = (uint8_t)(i * 7 + 1);
    return 0;
}

void message_close(struct message *m)
{
    free(m->tx);
    free(m->rx);
    *m = (struct message){0};
}

static void stamp(struct message *m, uint64_t k)
{
    memcpy(m->tx, &k, min_of(sizeof k, (size_t)m->bytes));
}

int exchange_push(struct run *r, struct message *m, struct exchange *x)
{
    ssize_t n;

    stamp(m, x->k);
    n = send(x->fd, m->tx + x->sent, m->bytes - x->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    run_syscalls(r, 1);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    x->sent += (uint32_t)n;
    return 0;
}

int exchange_pull(struct run *r, struct message *m, struct exchange *x)
{
    ssize_t n = recv(x->fd, m->rx, m->bytes - x->got + 1, MSG_DONTWAIT);

    run_syscalls(r, 1);
    if (n == 0)
        return -ECONNRESET;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    stamp(m, x->k);
    if ((size_t)n > m->bytes - x->got || memcmp(m->rx, m->tx + x->got, (size_t)n) != 0)
        return -EBADMSG;
    x->got += (uint32_t)n;
    return x->got == m->bytes;
}
