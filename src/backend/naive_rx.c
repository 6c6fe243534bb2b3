/* SPDX-License-Identifier: MIT
 * How the yardstick receives: one call, four copies, a lock.
 *
 *     kernel -recvfrom-> raw -> message -> packet -> cell
 *
 * Room is made sure of before the call, because what was received has to have its place: a datagram
 * of any size a big cell, a stream's bytes their place behind those that stand unconsumed. */
#include "naive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct message {
    struct weir_addr from;
    uint32_t len;
    uint8_t data[];
};

/* ---- the copies: the first is the kernel's -------------------------------------------------- */

/* The second: the stack buffer into a message of its own. NULL: no memory, what came is lost and
 * counted. */
static struct message *to_message(struct backend *b, const uint8_t *raw, size_t len,
                                  const struct weir_addr *from)
{
    struct message *msg = malloc(sizeof *msg + len);
    if (!msg) {
        COUNT(&b->counters, rx_error, 1);
        return NULL;
    }
    msg->from = *from;
    msg->len = (uint32_t)len;
    memcpy(msg->data, raw, len);
    naive_copied(b, len);
    return msg;
}

/* The third: the message, parsed into a packet. */
static const struct packet *to_packet(struct backend *b, struct message *msg)
{
    struct packet *packet = &naive_of(b)->packet;
    packet->from = msg->from;
    packet->len = msg->len;
    memcpy(packet->data, msg->data, msg->len);
    naive_copied(b, msg->len);
    free(msg);
    return packet;
}

static struct weir_buf *choose_cell(struct naive *p, uint32_t len)
{
    bool fits = p->small && p->small->room - weir_buf_headroom(p->small) >= len;
    struct weir_buf **from = fits ? &p->small : &p->big, *cell = *from;
    *from = NULL;
    buf_from_backend(cell);
    return cell;
}

/* The fourth: the packet into a cell of the queue. */
static void push(struct backend *b, const struct packet *packet)
{
    struct naive *p = naive_of(b);
    pthread_mutex_lock(&p->lock);
    struct weir_buf *cell = choose_cell(p, packet->len);
    cell->peer = packet->from;
    cell->len = packet->len;
    memcpy(cell->data, packet->data, packet->len);
    naive_copied(b, packet->len);
    p->cells[p->head++ % NAIVE_CELLS] = cell;
    pthread_mutex_unlock(&p->lock);
}

static struct weir_buf *pop(struct naive *p)
{
    pthread_mutex_lock(&p->lock);
    struct weir_buf *cell = p->head == p->tail ? NULL : p->cells[p->tail++ % NAIVE_CELLS];
    pthread_mutex_unlock(&p->lock);
    return cell;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static bool stand_ready(struct backend *b, unsigned section, struct weir_buf **cell)
{
    if (*cell)
        return true;
    if (pool_take(b->pool, section, cell, 1) == 0)
        return false;
    buf_to_backend(*cell);
    return true;
}

/* No buffer: this endpoint is heard again at the next poll. */
static void starve(struct backend *b, struct endpoint *ep)
{
    b->starved = true;
    endpoint_ready(b, ep);
}

/* A datagram's size shows only once it was received, so a big cell must stand ready for any. */
static bool cells_ready(struct backend *b, struct endpoint *ep)
{
    struct naive *p = naive_of(b);
    stand_ready(b, WEIR_SMALL, &p->small);
    if (stand_ready(b, WEIR_BIG, &p->big))
        return true;
    COUNT(&b->counters, pool_empty, 1);
    starve(b, ep);
    return false;
}

void naive_datagram(struct backend *b, struct endpoint *ep)
{
    uint8_t raw[WEIR_BIG_BYTES];
    struct sockaddr_storage name;
    socklen_t bytes = sizeof name;
    struct weir_addr from;
    if (!cells_ready(b, ep))
        return;
    ssize_t n = recvfrom(ep->fd, raw, sizeof raw, MSG_DONTWAIT, (void *)&name, &bytes);
    COUNT(&b->counters, syscalls, 1);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            COUNT(&b->counters, rx_error, 1); /* an ICMP error was told instead */
        return;
    }
    naive_copied(b, (size_t)n);
    COUNT(&b->counters, rx_calls, 1);
    addr_from_sock(&name, &from);
    struct message *msg = to_message(b, raw, (size_t)n, &from);
    if (!msg)
        return;
    push(b, to_packet(b, msg));
    COUNT(&b->counters, rx_packets, 1);
    COUNT(&b->counters, rx_bytes, n);
    backend_emit(b, ep, WEIR_DATAGRAM, pop(naive_of(b)));
}

/* Bytes of a stream, by the same four; stream_append's is the last. */
static void pass_on(struct backend *b, struct endpoint *ep, const uint8_t *raw, size_t n)
{
    struct naive *p = naive_of(b);
    naive_copied(b, n);
    COUNT(&b->counters, rx_calls, 1);
    struct message *msg = to_message(b, raw, n, &ep->peer);
    if (!msg) {
        endpoint_fail(b, ep, -ENOMEM); /* a stream with a hole is no stream */
        return;
    }
    const struct packet *packet = to_packet(b, msg);
    pthread_mutex_lock(&p->lock);
    bool fits = stream_append(b, ep, packet->data, packet->len);
    pthread_mutex_unlock(&p->lock);
    assert(fits); /* stream_room said so, and nothing came between */
    (void)fits;
    naive_copied(b, n);
}

void naive_stream(struct backend *b, struct endpoint *ep)
{
    uint8_t raw[WEIR_BIG_BYTES], *to;
    size_t room =
        stream_room(b, ep, &to); /* before reading: a byte that was read must have its place */
    if (room == 0) {
        if (!(ep->flags & EP_RX_STOPPED))
            starve(b, ep);
        return;
    }
    ssize_t n = recv(ep->fd, raw, min_of(room, sizeof raw), MSG_DONTWAIT);
    int err = errno;
    COUNT(&b->counters, syscalls, 1);
    if (n > 0) {
        pass_on(b, ep, raw, (size_t)n);
        return;
    }
    stream_landed(b, ep, 0);
    if (n == 0)
        stream_eof(b, ep);
    else if (err != EAGAIN && err != EINTR)
        endpoint_fail(b, ep, -err);
}

static void give_back(struct weir_buf *cell)
{
    if (!cell)
        return;
    buf_from_backend(cell);
    weir_buf_drop(&cell, 1);
}

void naive_rx_close(struct backend *b)
{
    give_back(naive_of(b)->small);
    give_back(naive_of(b)->big);
}
