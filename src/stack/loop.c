/* SPDX-License-Identifier: MIT
 * Datagrams to one of our own addresses: copied, and told with the next poll, because a kernel's
 * sockets reach each other that way too and no device brings our own frames back. */
#include "stack/out.h"

#include <errno.h>

static void enqueue(struct stack *s, uint32_t target, struct weir_buf *copy)
{
    s->looped[s->looped_head++ % LOOPED_MAX] =
        (struct stack_datagram){.buf = copy, .socket = target};
    COUNT(s->counters, looped, 1);
}

int out_looped(struct stack *s, uint32_t socket, struct weir_buf *buf, const struct weir_addr *to,
               const struct local *from)
{
    uint32_t target = socket_find(s, to->ip, to->port);
    bool away =
        target == NO_SOCKET && s->opt.elsewhere && s->opt.elsewhere(s->opt.elsewhere_arg, to, NULL);
    if (target == NO_SOCKET && !away) {
        COUNT(s->counters, looped, 1);
        COUNT(s->counters, no_port, 1);
        buf_tx_done(buf);
        return 0;
    }
    struct weir_buf *copy = NULL;
    if (s->looped_head - s->looped_tail < LOOPED_MAX)
        copy = weir_buf_take_bytes(s->pool, buf->len);
    if (!copy)
        return -ENOBUFS;
    memcpy(copy->data, buf->data, buf->len);
    copy->len = buf->len;
    copy->peer = (struct weir_addr){.port = s->sock[socket].port};
    memcpy(copy->peer.ip, from->ip, 16);
    COUNT(s->counters, copies, 1);
    COUNT(s->counters, copied_bytes, buf->len);
    buf_tx_done(buf);
    if (away)
        s->opt.elsewhere(s->opt.elsewhere_arg, to, copy); /* another worker's: it tells it */
    else
        enqueue(s, target, copy);
    return 0;
}

unsigned stack_looped(struct stack *s, struct stack_datagram *ret, unsigned n)
{
    unsigned got = 0;
    for (; got < n && s->looped_tail != s->looped_head; got++)
        ret[got] = s->looped[s->looped_tail++ % LOOPED_MAX];
    return got;
}

bool stack_has_looped(const struct stack *s)
{
    return s->looped_head != s->looped_tail;
}

void looped_forget(struct stack *s, uint32_t socket)
{
    uint32_t keep = s->looped_tail;
    for (uint32_t i = s->looped_tail; i != s->looped_head; i++) {
        struct stack_datagram *d = &s->looped[i % LOOPED_MAX];
        if (d->socket == socket) {
            COUNT(s->counters, no_port, 1);
            frame_drop(d->buf);
        } else {
            s->looped[keep++ % LOOPED_MAX] = *d;
        }
    }
    s->looped_head = keep;
}
