/* SPDX-License-Identifier: MIT
 * Who takes part: the loops written by hand, and the engine on each of its socket backends, all
 * behind the same three functions. The engine's handlers look at each datagram as the hand-written
 * loops do. */
#include "yard.h"

#include <weir/engine.h>

#include <stdlib.h>

struct ours {
    struct weir_engine *engine;
    uint64_t packets, sum;
};

static void count(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct ours *o = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DATAGRAM)
            o->sum += events[i].buf->len + events[i].buf->data[0];
    o->packets += n;
}

static void echo(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct ours *o = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATAGRAM)
            continue;
        o->sum += events[i].buf->len + events[i].buf->data[0];
        weir_send(engine, events->ep, &events[i].buf, 1);
    }
    o->packets += n;
}

static void *ours_open(const struct weir_addr *local, const char *backend, bool echoes)
{
    struct weir_engine_opt opt = {.backend = backend, .spin = 1, .busy_poll = 1};
    struct ours *o = calloc(1, sizeof *o);
    struct weir_why why = {0};
    weir_ep ep;
    if (o && (o->engine = weir_engine_open(&opt, &why)) &&
        weir_udp_open(o->engine, local, echoes ? echo : count, o, &ep) == 0)
        return o;
    if (o && o->engine)
        weir_engine_close(o->engine);
    free(o);
    return NULL;
}

static unsigned ours_step(void *self)
{
    struct ours *o = self;
    uint64_t before = o->packets;
    weir_poll(o->engine, weir_now_ns());
    return (unsigned)(o->packets - before);
}

static void ours_close(void *self)
{
    struct ours *o = self;
    weir_engine_close(o->engine);
    free(o);
}

struct hand {
    struct yard *yard;
    bool echo;
};

static void *hand_open(const struct weir_addr *local, const char *backend, bool echoes)
{
    struct hand *h = calloc(1, sizeof *h);
    (void)backend;
    if (h)
        *h = (struct hand){.yard = echoes ? yard_echo_open(local) : yard_recv_open(local),
                           .echo = echoes};
    if (h && h->yard)
        return h;
    free(h);
    return NULL;
}

static unsigned hand_step(void *self)
{
    const struct hand *h = self;
    return h->echo ? yard_echo_step(h->yard) : yard_recv_step(h->yard);
}

static void hand_close(void *self)
{
    struct hand *h = self;
    if (h->echo)
        yard_echo_close(h->yard);
    else
        yard_recv_close(h->yard);
    free(h);
}

const struct contender contenders[CONTENDERS] = {
    {"hand", hand_open, hand_step, hand_close},
    {"epoll", ours_open, ours_step, ours_close},
    {"uring", ours_open, ours_step, ours_close},
};
