/* SPDX-License-Identifier: MIT
 * The calls on endpoints: handles are checked here, and nothing below sees a stale one.
 *
 * weir_send only queues: who owns a buffer changes here, in one step, and the queue leaves at the
 * end of the poll. */
#include "engine/frames.h"

#include <errno.h>

#define UDP_PAYLOAD_MAX 65507 /* 65,535 less the IPv4 and UDP headers: RFC 791, RFC 768 */

/* What an application opens: a socket, or -errno, that becomes an endpoint. */
struct opening {
    int fd;
    unsigned kind;
    uint8_t family;
    const struct weir_addr *peer; /* of a stream */
    weir_handler *handler;
    void *app;
};

/* Hand it to the backend, or take everything down again. */
static int adopt(struct weir_engine *e, const struct opening *o, weir_ep *ret)
{
    if (o->fd < 0)
        return o->fd;
    struct endpoint *ep = endpoint_new(&e->b, o->kind, o->fd, o->handler, o->app);
    int rc = ep ? 0 : -ENFILE;
    if (ep) {
        ep->family = o->family;
        if (o->peer)
            ep->peer = *o->peer;
        else
            socket_local(o->fd, &ep->local);
        rc = e->b.ops->add(&e->b, ep);
        *ret = rc ? 0 : ep->handle;
    }
    if (rc && ep)
        endpoint_free(&e->b, ep);
    if (rc)
        socket_close(o->fd);
    return rc;
}

int weir_udp_open(struct weir_engine *e, const struct weir_addr *local, weir_handler *handler,
                  void *app, weir_ep *ret)
{
    struct opening o = {.kind = EP_UDP, .handler = handler, .app = app};
    if (e->b.frames)
        return frames_udp_open(e, local, handler, app, ret);
    o.fd = socket_datagram(&e->b, local, &o.family);
    return adopt(e, &o, ret);
}

int weir_tcp_listen(struct weir_engine *e, const struct weir_addr *local, weir_handler *handler,
                    void *app, weir_ep *ret)
{
    struct opening o = {.kind = EP_LISTEN, .handler = handler, .app = app};
    if (e->b.frames)
        return frames_no_streams(e, local);
    o.fd = socket_listen(&e->b, local, &o.family);
    return adopt(e, &o, ret);
}

int weir_tcp_connect(struct weir_engine *e, const struct weir_addr *remote, weir_handler *handler,
                     void *app, weir_ep *ret)
{
    struct opening o = {.kind = EP_STREAM, .peer = remote, .handler = handler, .app = app};
    if (e->b.frames)
        return frames_no_streams(e, NULL);
    o.fd = socket_stream(&e->b, remote, &o.family);
    return adopt(e, &o, ret);
}

int weir_ep_handler(struct weir_engine *e, weir_ep handle, weir_handler *handler, void *app)
{
    struct endpoint *ep = endpoint_get(&e->b, handle);
    if (!ep)
        return -EBADF;
    ep->handler = handler;
    ep->app = app;
    return 0;
}

int weir_ep_local(struct weir_engine *e, weir_ep handle, struct weir_addr *ret)
{
    struct endpoint *ep = endpoint_get(&e->b, handle);
    if (!ep)
        return -EBADF;
    if (ep->kind == EP_STREAM && ep->fd >= 0)
        return socket_local(ep->fd, ret);
    *ret = ep->local;
    return 0;
}

int weir_ep_peer(struct weir_engine *e, weir_ep handle, struct weir_addr *ret)
{
    struct endpoint *ep = endpoint_get(&e->b, handle);
    if (!ep)
        return -EBADF;
    if (ep->kind != EP_STREAM)
        return -ENOTCONN;
    *ret = ep->peer;
    return 0;
}

int64_t weir_ep_drops(struct weir_engine *e, weir_ep handle)
{
    struct endpoint *ep = endpoint_get(&e->b, handle);
    if (!ep)
        return -EBADF;
    return e->b.frames ? 0
                       : socket_drops(ep->fd); /* no socket buffer is between us and the device */
}

int64_t weir_ep_mtu(struct weir_engine *e, weir_ep handle)
{
    struct endpoint *ep = endpoint_get(&e->b, handle);
    if (!ep)
        return -EBADF;
    return ep->kind == EP_UDP ? UDP_PAYLOAD_MAX : INT32_MAX;
}

/* ---- sending -------------------------------------------------------------------------------- */

/* May this endpoint send at all? 0 or -errno. */
static int may_send(const struct endpoint *ep)
{
    if (!ep)
        return -EBADF;
    if (ep->kind == EP_LISTEN)
        return -EOPNOTSUPP;
    bool ended = ep->flags & (EP_SHUT_ASKED | EP_SHUT_DONE | EP_CLOSED_OWED | EP_TX_FAILED);
    return ended ? -EPIPE : 0;
}

static uint32_t room(const struct weir_engine *e, const struct endpoint *ep)
{
    return e->b.opt.tx_max > ep->tx_count ? e->b.opt.tx_max - ep->tx_count : 0;
}

static void refuse(struct weir_engine *e, struct endpoint *ep)
{
    ep->flags |= EP_REFUSED;
    COUNT(&e->b.counters, tx_full, 1);
}

/* How many of the first may be sent by their length. */
static unsigned fitting(struct weir_buf *const *bufs, unsigned n, uint32_t max)
{
    unsigned i = 0;
    while (i < n && bufs[i]->len <= max)
        i++;
    return i;
}

int weir_send(struct weir_engine *e, weir_ep handle, struct weir_buf **bufs, unsigned n)
{
    struct endpoint *ep = endpoint_get(&e->b, handle);
    int rc = may_send(ep);
    if (rc)
        return rc;
    unsigned most = min_of(n, room(e, ep));
    unsigned fit = fitting(bufs, most, ep->kind == EP_UDP ? UDP_PAYLOAD_MAX : INT32_MAX);
    unsigned took = txq_push_many(&e->b, ep, bufs, fit);
    buf_to_tx_many(bufs, took); /* a reference of each becomes a transmission's */
    bool fits = took < fit || fit == most;
    if (!fits && !took)
        return -EMSGSIZE;
    if (took < n && fits)
        refuse(e, ep);
    /* dirty though nothing was taken: the flush is what finds room and owes WEIR_DRAIN */
    endpoint_dirty(&e->b, ep);
    return (int)took;
}

int weir_send_many(struct weir_engine *e, weir_ep handle, struct weir_buf *buf,
                   const struct weir_addr *to, unsigned n)
{
    struct endpoint *ep = endpoint_get(&e->b, handle);
    int rc = may_send(ep);
    if (rc)
        return rc;
    if (ep->kind != EP_UDP)
        return -EOPNOTSUPP;
    if (buf->len > UDP_PAYLOAD_MAX)
        return -EMSGSIZE;
    uint32_t free = room(e, ep);
    unsigned took = 0;
    for (; took < n && took < free; took++) {
        if (!buf_ref(buf, 1))
            break;
        if (!txq_push(&e->b, ep, buf, &to[took])) {
            weir_buf_drop(&buf, 1);
            break;
        }
        buf_to_tx(buf);
    }
    if (took < n)
        refuse(e, ep);
    endpoint_dirty(
        &e->b, ep); /* though nothing was taken: the flush is what finds room and owes WEIR_DRAIN */
    return (int)took;
}

/* ---- streams -------------------------------------------------------------------------------- */

int weir_consume(struct weir_engine *e, weir_ep handle, size_t bytes)
{
    struct endpoint *ep = endpoint_get(&e->b, handle);
    return ep ? stream_consume(&e->b, ep, bytes) : -EBADF;
}

int weir_shutdown(struct weir_engine *e, weir_ep handle)
{
    struct endpoint *ep = endpoint_get(&e->b, handle);
    if (!ep)
        return -EBADF;
    if (ep->kind != EP_STREAM)
        return -EOPNOTSUPP;
    if (ep->flags & EP_SHUT_ASKED)
        return 0;
    ep->flags |= EP_SHUT_ASKED;
    endpoint_dirty(&e->b, ep);
    return 0;
}

static void blank(struct weir_engine *e, weir_ep handle)
{
    for (unsigned i = 0; i < e->burst_n; i++)
        if (e->burst[i].ep == handle)
            e->burst[i].kind = WEIR_NONE;
}

static int end(struct weir_engine *e, weir_ep handle, bool abort)
{
    struct endpoint *ep = endpoint_get(&e->b, handle);
    if (!ep)
        return -EBADF;
    blank(e, handle);
    endpoint_close(&e->b, ep, abort);
    return 0;
}

int weir_close(struct weir_engine *e, weir_ep handle)
{
    return end(e, handle, false);
}

int weir_abort(struct weir_engine *e, weir_ep handle)
{
    return end(e, handle, true);
}
