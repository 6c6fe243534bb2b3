/* SPDX-License-Identifier: MIT
 * The bed of the sim suite. */
#include "bed.h"

#define SMALL 4096u /* buffers of a host: a ring of each kind and some */

/* ---- cases ---------------------------------------------------------------------------------- */

static uint64_t seed;
static const char *program;

struct run {
    const struct sim_case *of;
    int done;
};

static void run_case(void **state)
{
    struct run *run = *state;
    run->of->run(seed);
    run->done = 1;
}

/* A case that skips leaves like one that fails; to tell how to run it again does no harm. */
static int after_case(void **state)
{
    const struct run *run = *state;
    if (!run->done)
        printf("# seed %llu: WEIR_SEED=%llu %s -case %s\n", (unsigned long long)seed,
               (unsigned long long)seed, program, run->of->name);
    return 0;
}

int bed_main(int argc, char **argv, const struct sim_case *cases, unsigned n)
{
    struct CMUnitTest tests[64];
    struct run runs[64];
    const char *text = getenv("WEIR_SEED"), *only = argc == 3 ? argv[2] : NULL;
    unsigned m = 0;
    program = argv[0];
    seed = text ? strtoull(text, NULL, 0) : 1;
    if (n > array_len(tests) || argc == 2 || (only && strcmp(argv[1], "-case") != 0)) {
        fprintf(stderr, "usage: %s [-case NAME]\n", program);
        return 2;
    }
    for (unsigned i = 0; i < n; i++) {
        if (only && strcmp(only, cases[i].name) != 0)
            continue;
        runs[m] = (struct run){.of = &cases[i]};
        tests[m] = (struct CMUnitTest){.name = cases[i].name,
                                       .test_func = run_case,
                                       .teardown_func = after_case,
                                       .initial_state = &runs[m]};
        m++;
    }
    return m ? _cmocka_run_group_tests(program, tests, m, NULL, NULL) : 2;
}

/* ---- two ports ------------------------------------------------------------------------------ */

void bed_open_with(struct bed *bed, const struct weir_sim_opt *opt, const struct weir_impair *there,
                   const struct weir_impair *back)
{
    struct weir_why why = {0};
    bed->sim = weir_sim_open(opt, &why);
    if (!bed->sim)
        fail_msg("weir_sim_open: %s", why.what);
    assert_int_equal(weir_sim_wire(bed->sim, there, back, bed->port), 0);
}

void bed_open(struct bed *bed, uint64_t of, const struct weir_impair *there)
{
    struct weir_sim_opt opt = {.seed = of, .frames_max = 8192};
    bed_open_with(bed, &opt, there, there);
}

void bed_close(struct bed *bed)
{
    assert_int_equal(weir_sim_close(bed->sim), 0);
}

void bed_run(struct bed *bed, uint64_t ns)
{
    uint64_t until_ns = weir_sim_now(bed->sim) + ns;
    int64_t rc = weir_sim_run(bed->sim, until_ns);
    if (rc < 0)
        fail_msg("weir_sim_run: %s", strerror((int)-rc));
    assert_int_equal(weir_sim_now(bed->sim), until_ns);
}

struct weir_sim_counts bed_counts(const struct bed *bed)
{
    struct weir_sim_counts counts;
    weir_sim_counts(bed->sim, &counts);
    return counts;
}

void bed_assert_balance(const struct bed *bed)
{
    struct weir_sim_counts c = bed_counts(bed);
    assert_int_equal(c.sent + c.duplicated, c.delivered + c.lost + c.overrun);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static uint8_t pattern(size_t i, size_t bytes)
{
    return (uint8_t)(i * 7 + bytes);
}

static int is_pattern(const struct weir_buf *buf)
{
    for (size_t i = 0; i < buf->len; i++)
        if (buf->data[i] != pattern(i, buf->len))
            return 0;
    return 1;
}

static void received(struct weir_engine *engine, struct weir_event *event, struct host *host)
{
    host->got++;
    host->wrong += !is_pattern(event->buf);
    host->bytes += event->buf->len;
    host->last_ns = event->rx_ns;
    if (host->keep && host->n_kept < array_len(host->kept))
        host->kept[host->n_kept++] = weir_buf_keep(event->buf);
    else if (host->echo)
        weir_send(engine, event->ep, &event->buf, 1);
}

static void on_events(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct host *host = app;
    for (unsigned i = 0; i < n; i++) {
        switch (events[i].kind) {
        case WEIR_DATAGRAM: received(engine, &events[i], host); break;
        case WEIR_LINK:
            host->links++;
            host->link_err = events[i].err;
            break;
        case WEIR_TIMER:
            host->timers++;
            host->timer_ns = events[i].rx_ns;
            break;
        default: break;
        }
    }
}

struct weir_addr host_addr(unsigned number)
{
    return weir_addr_ip4(10, 0, (uint8_t)(number + 1) >> 8, (uint8_t)(number + 1), ECHO_PORT);
}

struct weir_addr host_addr6(unsigned number)
{
    return (struct weir_addr){.ip = {0xfd, [15] = (uint8_t)(number + 1)}, .port = ECHO_PORT};
}

struct weir_engine_opt host_opt(struct weir_sim_port *port, unsigned number)
{
    struct weir_engine_opt opt = {.backend = "sim",
                                  .handler = on_events,
                                  .endpoints_max = 16,
                                  .tx_max = 2048,
                                  .pool = {.small = SMALL,
                                           .big = 64,
                                           .node = WEIR_NODE_ANY,
                                           .mem_flags = WEIR_MEM_NO_HUGE | WEIR_MEM_NO_LOCK},
                                  .frames = {.sim = port, .addresses = 2}};
    char text[32];
    snprintf(text, sizeof text, "10.0.0.%u/24", number + 1);
    assert_int_equal(weir_net_parse(text, &opt.frames.address[0]), 0);
    snprintf(text, sizeof text, "fd00::%x/64", number + 1);
    assert_int_equal(weir_net_parse(text, &opt.frames.address[1]), 0);
    return opt;
}

void host_open_with(struct host *host, const struct weir_engine_opt *opt, unsigned number)
{
    struct weir_addr any = {.port = ECHO_PORT}, loopback = weir_addr_ip4(127, 0, 0, 1, 0);
    struct weir_engine_opt mine = *opt;
    struct weir_why why = {0};
    memset(host, 0, sizeof *host);
    host->number = number;
    mine.app = host;
    host->engine = weir_engine_open(&mine, &why);
    if (!host->engine)
        fail_msg("weir_engine_open: %s: %s", why.where, why.what);
    assert_int_equal(weir_udp_open(host->engine, opt->frames.sim ? &any : &loopback, on_events,
                                   host, &host->ep),
                     0);
}

void host_open(struct host *host, struct weir_sim_port *port, unsigned number)
{
    struct weir_engine_opt opt = host_opt(port, number);
    host_open_with(host, &opt, number);
}

void host_close(struct host *host)
{
    weir_buf_drop(host->kept, host->n_kept);
    assert_int_equal(weir_engine_close(host->engine), 0);
}

unsigned host_send(struct host *host, const struct weir_addr *to, unsigned n, size_t bytes)
{
    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *buf = weir_buf_take_bytes(weir_engine_pool(host->engine), bytes);
        if (!buf)
            return i;
        buf->len = (uint32_t)bytes;
        for (size_t k = 0; k < bytes; k++)
            buf->data[k] = pattern(k, bytes);
        buf->peer = *to;
        if (weir_send(host->engine, host->ep, &buf, 1) == 1)
            continue;
        weir_buf_drop(&buf, 1);
        return i;
    }
    return n;
}

struct weir_counters host_counters(const struct host *host)
{
    struct weir_counters counters;
    weir_engine_counters(host->engine, &counters);
    return counters;
}
