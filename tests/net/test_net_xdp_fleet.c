/* SPDX-License-Identifier: MIT
 * A crew over AF_XDP: several workers behind one queue, two behind two, three behind two. Every flow
 * has one worker, all flows are served in order, every buffer comes home; sleeping and spinning. */
#include "net.h"

#include <stdatomic.h>

#define FLOWS 64
#define EACH 20
#define WORKERS_MAX 3

struct served {
    struct weir_addr at[2];
    weir_ep ep[WORKERS_MAX];
    _Atomic uint64_t told[WORKERS_MAX];
    _Atomic bool unsound;
    int only; /* the worker that opens the port, -1: all */
};
static struct served served;
static _Thread_local unsigned me;

static void serve(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    (void)app;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DATAGRAM) {
            served.told[me]++;
            weir_send(e, events[i].ep, &events[i].buf, 1);
        }
}

static int start(struct weir_engine *e, unsigned worker, void *app, struct weir_why *why)
{
    (void)app;
    (void)why;
    me = worker;
    if (served.only >= 0 && served.only != (int)worker)
        return 0;
    return weir_udp_open(e, &served.at[0], serve, NULL, &served.ep[worker]);
}

static void stop(struct weir_engine *e, unsigned worker, void *app)
{
    struct weir_why why;
    (void)app;
    (void)worker;
    if (weir_pool_check(weir_engine_pool(e), &why))
        served.unsound = true;
}

static struct weir_crew *crew_of(const struct weir_engine_opt *engine, unsigned workers)
{
    struct weir_crew_opt opt = {.engine = *engine,
                                .workers = workers,
                                .unpinned = 1,
                                .start = start,
                                .stop = stop};
    struct weir_why why = {0};
    struct weir_crew *crew = weir_crew_start(&opt, &why);
    if (!crew && why.code == -ENOSYS)
        SKIP("%s: %s; %s", why.where, why.what, why.fix);
    if (!crew)
        fail_msg("%s: %s; %s", why.where, why.what, why.fix);
    for (unsigned i = 0; i < workers; i++)
        weir_engine_report(weir_crew_engine(crew, i), print_line, NULL);
    return crew;
}

struct flow {
    int fd;
    uint32_t sent, got; /* the next to send; the next to come */
    unsigned quiet;     /* looks since the last of either */
};

/* One datagram under way at a time; what was lost (the first, to nobody known) is sent again. */
static void flow_turn(struct flow *f)
{
    uint32_t word;
    while (recv(f->fd, &word, sizeof word, 0) == sizeof word) {
        assert_true(word <= f->got); /* never a later one before it */
        if (word != f->got)
            continue; /* a second answer */
        f->got++;
        f->quiet = 0;
    }
    if (f->got < EACH && f->quiet++ % 200 == 0)
        send(f->fd, &f->got, sizeof f->got, 0);
}

static void all_flows_are_answered(struct flow flow[FLOWS])
{
    uint64_t until = weir_now_ns() + UINT64_C(20000000000);
    for (unsigned done = 0; done < FLOWS;) {
        done = 0;
        for (unsigned i = 0; i < FLOWS; i++) {
            flow_turn(&flow[i]);
            done += flow[i].got == EACH;
        }
        usleep(50);
        if (weir_now_ns() > until)
            fail_msg("20 s, and %u of %u flows are served", done, FLOWS);
    }
}

static void print_workers(struct weir_crew *crew)
{
    struct weir_health health[WORKERS_MAX];
    unsigned n = weir_crew_health(crew, health, WORKERS_MAX);
    for (unsigned i = 0; i < n; i++) {
        printf("# worker %u: queue %d, host %d, busy %.3f, %.0f cycles a packet\n", i,
               health[i].queue, health[i].host, health[i].busy, health[i].cycles_a_packet);
        print_counters(&health[i].counters);
    }
}

static void serve_flows(struct weir_engine_opt opt, const char *local, unsigned queues,
                        unsigned workers, int only)
{
    static struct flow flow[FLOWS];
    struct net n;
    net_open_as(&n, 1500, queues);
    served = (struct served){.only = only};
    must(weir_addr_parse(local, &served.at[0]), local);
    struct weir_crew *crew = crew_of(&opt, workers);
    char ip[64];
    snprintf(ip, sizeof ip, "%.*s", (int)strcspn(local, ":"), local);
    for (unsigned i = 0; i < FLOWS; i++)
        flow[i] = (struct flow){.fd = there_udp(&n, ip, 7000)};
    all_flows_are_answered(flow);
    print_workers(crew);
    for (unsigned i = 0; i < FLOWS; i++)
        close(flow[i].fd);
    for (unsigned i = 0; i < workers; i++)
        assert_true(only < 0 || only == (int)i ? served.told[i] > 0 : served.told[i] == 0);
    assert_int_equal(weir_crew_stop(crew), 0);
    assert_false(served.unsound);
    net_close(&n);
}

static void two_workers_behind_one_queue(void **state)
{
    (void)state;
    serve_flows(xdp_options(), "10.9.0.1:7000", 1, 2, -1);
}

static void the_same_with_addresses_of_our_own(void **state)
{
    (void)state;
    serve_flows(own_options(), "10.9.0.7:7000", 1, 2, -1);
}

static void the_same_without_sleep(void **state)
{
    struct weir_engine_opt opt = own_options();
    (void)state;
    opt.spin = 1;
    serve_flows(opt, "10.9.0.7:7000", 1, 2, -1);
}

static void three_workers_behind_one_queue(void **state)
{
    (void)state;
    serve_flows(own_options(), "10.9.0.7:7000", 1, 3, -1);
}

static void two_workers_with_a_queue_each(void **state)
{
    (void)state;
    serve_flows(own_options(), "10.9.0.7:7000", 2, 2, -1);
}

static void two_workers_with_a_queue_each_and_the_kernels_address(void **state)
{
    (void)state;
    serve_flows(xdp_options(), "10.9.0.1:7000", 2, 2, -1);
}

static void three_workers_behind_two_queues(void **state)
{
    (void)state;
    serve_flows(own_options(), "10.9.0.7:7000", 2, 3, -1);
}

/* Whatever queue a flow comes to. */
static void a_port_that_one_worker_opened(void **state)
{
    (void)state;
    for (int only = 0; only < 3; only++)
        serve_flows(own_options(), "10.9.0.7:7000", 2, 3, only);
}

static void a_guest_alone_has_the_kernels_address(void **state)
{
    (void)state;
    serve_flows(xdp_options(), "10.9.0.1:7000", 1, 2, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_workers_behind_one_queue),
        cmocka_unit_test(the_same_with_addresses_of_our_own),
        cmocka_unit_test(the_same_without_sleep),
        cmocka_unit_test(three_workers_behind_one_queue),
        cmocka_unit_test(two_workers_with_a_queue_each),
        cmocka_unit_test(two_workers_with_a_queue_each_and_the_kernels_address),
        cmocka_unit_test(three_workers_behind_two_queues),
        cmocka_unit_test(a_port_that_one_worker_opened),
        cmocka_unit_test(a_guest_alone_has_the_kernels_address),
    };
    return run_group(tests);
}
