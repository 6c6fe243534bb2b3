/* SPDX-License-Identifier: MIT
 * Echo past the kernel's stack, through a backend and a device of your choice. Try, as root:
 *     04-device xdp eth1 7000                                   the interface's own addresses
 *     04-device xdp eth1 7000 192.0.2.7/24                      an address of our own
 *     04-device dpdk net_tap0,iface=tap0 7000 192.0.2.7/24      a virtual device of DPDK
 *     04-device epoll - 127.0.0.1:7000                          sockets: the same handler */
#include <weir.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct weir_engine *engine;

static void echo(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    (void)app;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DATAGRAM)
            weir_send(e, events[i].ep, &events[i].buf, 1); /* headers are written in front of it */
}

/* A link may come back; a device that is gone for good does not. */
static void link_changed(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    (void)app;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_LINK && events[i].err == -ENODEV)
            weir_stop(e);
}

static void say(const struct weir_why *why, void *app)
{
    char text[512];
    (void)app;
    weir_why_text(why, text, sizeof text);
    fprintf(stderr, "%s\n", text);
}

static void stop(int sig)
{
    (void)sig;
    weir_stop(engine);
}

int main(int argc, char **argv)
{
    struct weir_engine_opt opt = {.backend = argc > 1 ? argv[1] : NULL, .handler = link_changed};
    struct weir_addr local;
    struct weir_why why = {0};
    weir_ep ep;
    char text[WEIR_ADDR_TEXT];
    if (argc < 4 || weir_addr_parse(argv[3], &local) ||
        (argc > 4 && weir_net_parse(argv[4], &opt.frames.address[opt.frames.addresses++]))) {
        fprintf(stderr, "usage: %s BACKEND DEVICE|- [ADDRESS:]PORT [OWN-ADDRESS/PREFIX]\n",
                argv[0]);
        return 2;
    }
    *(strcmp(argv[1], "dpdk") ? &opt.frames.device : &opt.frames.vdev) = argv[2];
    engine = weir_engine_open(&opt, &why);
    if (!engine) {
        say(&why, NULL);
        return 1;
    }
    weir_engine_report(engine, say, NULL); /* what the host gave, and the lesser modes it took */
    int rc = weir_udp_open(engine, &local, echo, NULL, &ep);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    if (rc == 0 && weir_ep_local(engine, ep, &local) == 0) {
        printf("%s echoes on %s\n", weir_engine_backend(engine), weir_addr_text(&local, text));
        fflush(stdout);
        rc = weir_run(engine);
    }
    if (rc)
        fprintf(stderr, "%s: %s\n", argv[3], strerror(-rc));
    weir_engine_close(engine);
    return rc ? 1 : 0;
}
