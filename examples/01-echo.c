/* SPDX-License-Identifier: MIT
 * The smallest server: what comes back is the buffer that came in. Try: nc -u 127.0.0.1 7000 */
#include <weir.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct weir_engine *engine;

static void echo(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    (void)app;
    for (unsigned i = 0; i < n; i++) /* what is not sent (queue full) goes home by itself */
        if (events[i].kind == WEIR_DATAGRAM)
            weir_send(e, events[i].ep, &events[i].buf, 1);
}

static void stop(int sig)
{
    (void)sig;
    weir_stop(engine);
}

int main(int argc, char **argv)
{
    struct weir_engine_opt opt = {.backend = argc > 2 ? argv[2] : NULL};
    struct weir_addr local;
    struct weir_why why;
    weir_ep ep;
    char text[512];
    if (weir_addr_parse(argc > 1 ? argv[1] : "127.0.0.1:7000", &local))
        return 2;
    engine = weir_engine_open(&opt, &why);
    if (!engine) {
        weir_why_text(&why, text, sizeof text);
        fprintf(stderr, "%s\n", text);
        return 1;
    }
    int rc = weir_udp_open(engine, &local, echo, NULL, &ep);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    if (rc == 0 && weir_ep_local(engine, ep, &local) == 0) {
        printf("%s echoes on %s\n", weir_engine_backend(engine), weir_addr_text(&local, text));
        fflush(stdout);
        rc = weir_run(engine);
    }
    weir_engine_close(engine);
    return rc ? 1 : 0;
}
