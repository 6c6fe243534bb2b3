/* SPDX-License-Identifier: MIT
 * Handlers that count what arrives, or send it back.
 *
 * In the flow   the engine's burst -> one of these -> weir_send of the very same buffers.
 * Invariants    no copy, no allocation, no system call; each count has one writer. A stream whose
 *               queue is full holds at most one buffer and does not consume more until WEIR_DRAIN:
 *               the peer that never reads is stopped by TCP's window and costs nobody else
 *               anything. */
#include "reply.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static void add(uint64_t *count, uint64_t n)
{
    __atomic_store_n(count, *count + n, __ATOMIC_RELAXED);
}

int reply_open(struct reply *r, uint32_t expected, uint32_t streams_max)
{
    *r = (struct reply){.expected = expected, .listener.reply = r};
    if (streams_max == 0)
        return 0;
    r->all = calloc(streams_max, sizeof *r->all);
    if (!r->all)
        return -ENOMEM;
    r->streams_max = streams_max;
    for (uint32_t i = 0; i < streams_max; i++) {
        r->all[i] = (struct reply_stream){.reply = r, .next = r->free};
        r->free = &r->all[i];
    }
    return 0;
}

static void drop_held(struct reply_stream *s)
{
    if (s->held)
        weir_buf_drop(&s->held, 1);
    s->held = NULL;
}

static struct reply_stream *take_stream(struct reply *r)
{
    struct reply_stream *s = r->free;
    if (s) {
        r->free = s->next;
        s->ended = 0;
    }
    return s;
}

static void give_stream(struct reply_stream *s)
{
    drop_held(s);
    s->next = s->reply->free;
    s->reply->free = s;
}

void reply_close(struct reply *r)
{
    for (uint32_t i = 0; i < r->streams_max; i++)
        drop_held(&r->all[i]);
    free(r->all);
    r->all = r->free = NULL;
}

/* ---- datagrams
 * ------------------------------------------------------------------------------------- */

struct tally {
    uint64_t packets, bytes, errors, sum;
};

static void look(struct tally *t, const struct weir_buf *buf, uint32_t expected)
{
    t->packets++;
    t->bytes += buf->len;
    t->errors += expected && buf->len != expected;
    t->sum += buf->len ? buf->data[0] : 0;
}

static void book(struct reply *r, const struct tally *t)
{
    add(&r->packets, t->packets);
    add(&r->bytes, t->bytes);
    if (t->errors)
        add(&r->errors, t->errors);
    r->sum += t->sum;
}

void reply_count(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct reply *r = app;
    struct tally t = {0};
    (void)engine;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DATAGRAM)
            look(&t, events[i].buf, r->expected);
    book(r, &t);
}

static void send_back(struct weir_engine *engine, weir_ep ep, struct weir_buf **bufs, unsigned n,
                      struct reply *r)
{
    int took = weir_send(engine, ep, bufs, n);
    unsigned refused = n - (took > 0 ? (unsigned)took : 0);
    if (refused == 0)
        return;
    add(&r->refused, refused);
    add(&r->errors, refused);
}

void reply_udp(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct reply *r = app;
    struct weir_buf *bufs[64];
    struct tally t = {0};
    unsigned k = 0;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATAGRAM)
            continue;
        look(&t, events[i].buf, r->expected);
        bufs[k++] = events[i].buf;
        if (k == 64) {
            send_back(engine, events->ep, bufs, k, r);
            k = 0;
        }
    }
    if (k)
        send_back(engine, events->ep, bufs, k, r);
    book(r, &t);
}

/* ---- streams
 * --------------------------------------------------------------------------------------- */

static struct reply_stream *opened(struct weir_engine *engine, weir_ep ep, struct reply *r)
{
    struct reply_stream *s = take_stream(r);
    if (!s) {
        add(&r->errors, 1);
        weir_abort(engine, ep);
        return &r->listener;
    }
    add(&r->streams, 1);
    weir_ep_handler(engine, ep, reply_tcp, s);
    return s;
}

/* True once nothing is held any more. */
static bool send_held(struct weir_engine *engine, weir_ep ep, struct reply_stream *s)
{
    if (s->held && weir_send(engine, ep, &s->held, 1) == 1)
        s->held = NULL;
    return !s->held;
}

/* What cannot go now is held; while something is held the rest stays unconsumed behind it. */
static void data(struct weir_engine *engine, weir_ep ep, struct weir_buf *buf,
                 struct reply_stream *s)
{
    struct reply *r = s->reply;
    if (!send_held(engine, ep, s))
        return;
    add(&r->bytes, buf->len);
    r->sum += buf->data[0];
    if (weir_send(engine, ep, &buf, 1) == 0)
        s->held = weir_buf_keep(buf);
}

static void ended(struct weir_engine *engine, weir_ep ep, struct reply_stream *s)
{
    s->ended = 1;
    if (s->held)
        return;
    weir_close(engine, ep);
    give_stream(s);
}

/* Room again: first what is held. Unconsumed bytes come with the next WEIR_DATA. */
static void drained(struct weir_engine *engine, weir_ep ep, struct reply_stream *s)
{
    if (send_held(engine, ep, s) && s->ended)
        ended(engine, ep, s);
}

void reply_tcp(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct reply_stream *s = app;
    for (unsigned i = 0; i < n; i++) {
        const struct weir_event *e = &events[i];
        if (e->kind == WEIR_OPEN)
            s = opened(engine, e->ep, s->reply);
        else if (e->kind == WEIR_DATA)
            data(engine, e->ep, e->buf, s);
        else if (e->kind == WEIR_DRAIN)
            drained(engine, e->ep, s);
        else if (e->kind == WEIR_EOF)
            ended(engine, e->ep, s);
        else if (e->kind == WEIR_CLOSED && s != &s->reply->listener)
            give_stream(s);
    }
}
