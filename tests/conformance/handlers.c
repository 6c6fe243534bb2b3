/* SPDX-License-Identifier: MIT
 * Handlers that many cases share: echo, record, and the engine's end of a stream of the pattern. */
#include "bed.h"

void echo(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    (void)app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind == WEIR_DATAGRAM || events[i].kind == WEIR_DATA)
            weir_send(engine, events[i].ep, &events[i].buf,
                      1); /* a refused one is missed by the peer */
        else if (events[i].kind == WEIR_EOF)
            weir_shutdown(engine, events[i].ep);
    }
}

static void record_data(struct weir_engine *engine, struct weir_event *event, struct seen *seen)
{
    struct weir_buf *buf = event->buf;
    seen->bad |= buf->len == 0 || !pattern_holds(buf->data, seen->bytes, buf->len);
    seen->bytes += buf->len;
    seen->bad |= weir_consume(engine, event->ep, buf->len) != 0;
}

static void record_datagram(const struct weir_buf *buf, struct seen *seen)
{
    seen->bad |= !pattern_holds(buf->data, 0, buf->len);
    seen->bytes += buf->len;
    seen->len = buf->len;
    seen->peer = buf->peer;
}

void record(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct seen *seen = app;
    for (unsigned i = 0; i < n; i++) {
        struct weir_event *event = &events[i];
        seen->kinds[event->kind]++;
        seen->ep = event->ep;
        seen->rx_ns = event->rx_ns;
        switch (event->kind) {
        case WEIR_OPEN: seen->stream = event->ep; break;
        case WEIR_DATA: record_data(engine, event, seen); break;
        case WEIR_DATAGRAM: record_datagram(event->buf, seen); break;
        case WEIR_CLOSED: seen->err = event->err; break;
        default: break;
        }
    }
}

bool source_push(struct bed *bed, struct source *s, uint64_t upto)
{
    while (s->queued < upto) {
        size_t len = upto - s->queued < s->piece ? (size_t)(upto - s->queued) : s->piece;
        struct weir_buf *buf = bed_buf(bed, s->queued, len);
        if (!buf)
            return false; /* the pool is lent to the queue: later */
        int took = weir_send(bed->engine, s->ep, &buf, 1);
        if (took != 1)
            weir_buf_drop(&buf, 1);
        if (took < 0)
            s->err = took;
        if (took != 1)
            return false;
        s->queued += len;
    }
    return true;
}
