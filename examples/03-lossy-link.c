/* SPDX-License-Identifier: MIT
 * A client that retries, and a server, over a bad link: 1 % of the frames are lost, each takes
 * 50 ms. All in virtual time: it is over at once, and a seed prints the same line every time. Exits
 * with 0 where every request was answered, and done once however often it came. Try: 7 loss=20% */
#include <weir.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS 1000u
#define MS UINT64_C(1000000)

struct host {
    struct weir_sim *sim;
    struct weir_engine *engine;
    weir_ep ep;
    unsigned sent, done, again;
    char seen[REQUESTS]; /* of the server: done; of the client: answered */
};

static void heard(struct host *host, const struct weir_buf *buf)
{
    uint32_t number = REQUESTS;
    if (buf->len == sizeof number)
        memcpy(&number, buf->data, sizeof number);
    if (number >= REQUESTS)
        return;
    host->done += !host->seen[number];
    host->again += host->seen[number];
    host->seen[number] = 1;
}

static void serve(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DATAGRAM) {
            heard(app, events[i].buf); /* and is answered again: the first answer may be lost */
            weir_send(e, events[i].ep, &events[i].buf, 1);
        }
}

static void ask(struct host *host, uint32_t number)
{
    struct weir_buf *buf;
    if (weir_buf_take(weir_engine_pool(host->engine), &buf, 1)) {
        memcpy(buf->data, &number, buf->len = sizeof number);
        buf->peer = weir_addr_ip4(10, 0, 0, 2, 7000);
        host->sent++;
        if (weir_send(host->engine, host->ep, &buf, 1) != 1)
            weir_buf_drop(&buf, 1);
    }
    weir_timer(host->engine, weir_sim_now(host->sim) + 250 * MS, number);
}

static void client(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    struct host *host = app;
    (void)e;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DATAGRAM)
            heard(host, events[i].buf);
        else if (events[i].kind == WEIR_TIMER && !host->seen[events[i].token])
            ask(host, (uint32_t)events[i].token);
}

static int start(struct host *host, struct weir_sim_port *port, const char *net, weir_handler *does)
{
    struct weir_addr any = {.port = 7000};
    struct weir_engine_opt opt = {.backend = "sim", .handler = does, .app = host};
    opt.frames = (struct weir_frames_opt){.sim = port, .addresses = 1};
    return weir_net_parse(net, &opt.frames.address[0]) ||
           !(host->engine = weir_engine_open(&opt, NULL)) ||
           weir_udp_open(host->engine, &any, does, host, &host->ep);
}

int main(int argc, char **argv)
{
    static struct host a, b; /* the client, the server */
    struct weir_sim_opt opt = {.seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1};
    struct weir_sim *sim = a.sim = weir_sim_open(&opt, NULL);
    struct weir_sim_port *port[2];
    struct weir_impair link;
    if (!sim || weir_impair_parse(argc > 2 ? argv[2] : "loss=1%,delay=50ms", &link, NULL) ||
        weir_sim_wire(sim, &link, &link, port) || start(&a, port[0], "10.0.0.1/24", client) ||
        start(&b, port[1], "10.0.0.2/24", serve))
        return 2;
    uint64_t begin_ns = weir_sim_now(sim), end_ns = begin_ns + 600000 * MS;
    for (uint32_t i = 0; i < REQUESTS; i++)
        weir_timer(a.engine, begin_ns + i * MS, i);
    for (int rc = 1; rc > 0 && a.done < REQUESTS;)
        rc = weir_sim_step(sim, end_ns);
    double took = (double)(weir_sim_now(sim) - begin_ns) / 1e9;
    printf("%u requests, sent %u times; %u done, %u seen again; %u answered; %.3f s; trace %llx\n",
           REQUESTS, a.sent, b.done, b.again, a.done, took,
           (unsigned long long)weir_sim_trace(sim));
    int bad = weir_engine_close(a.engine) || weir_engine_close(b.engine) || weir_sim_close(sim);
    return bad || a.done != REQUESTS || b.done != REQUESTS;
}
