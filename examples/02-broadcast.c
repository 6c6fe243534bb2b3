/* SPDX-License-Identifier: MIT
 * One payload to many peers: whoever sends a datagram joins the room, and what he says reaches everybody in it. The payload
 * is held once, however many receive it. Two workers may serve it as well: see weir_crew_start. */
#include <weir.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define ROOM_MAX 1024

struct room {
    struct weir_addr members[ROOM_MAX];
    unsigned n;
};

static struct weir_engine *engine;

static void join(struct room *room, const struct weir_addr *who)
{
    for (unsigned i = 0; i < room->n; i++)
        if (memcmp(&room->members[i], who, sizeof *who) == 0)
            return;
    if (room->n < ROOM_MAX)
        room->members[room->n++] = *who;
}

static void talk(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    struct room *room = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATAGRAM)
            continue;
        struct weir_buf *said =
            events[i].buf; /* borrowed: goes home after the last receiver had it */
        join(room, &said->peer);
        weir_send_many(e, events[i].ep, said, room->members, room->n);
    }
}

static void stop(int sig)
{
    (void)sig;
    weir_stop(engine);
}

int main(int argc, char **argv)
{
    static struct room room;
    struct weir_engine_opt opt = {.backend = argc > 2 ? argv[2] : NULL};
    struct weir_addr local;
    struct weir_why why;
    weir_ep ep;
    char text[WEIR_ADDR_TEXT];
    if (weir_addr_parse(argc > 1 ? argv[1] : "127.0.0.1:7001", &local))
        return 2;
    engine = weir_engine_open(&opt, &why);
    if (!engine) {
        fprintf(stderr, "%s: %s; %s\n", why.where, why.what, why.fix);
        return 1;
    }
    int rc = weir_udp_open(engine, &local, talk, &room, &ep);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    if (rc == 0 && weir_ep_local(engine, ep, &local) == 0) {
        printf("the room is at %s\n", weir_addr_text(&local, text));
        fflush(stdout);
        rc = weir_run(engine);
    }
    weir_engine_close(engine);
    return rc ? 1 : 0;
}
