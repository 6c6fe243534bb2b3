/* SPDX-License-Identifier: MIT
 * The test bed: opening, turning and closing an engine with its bystander. See bed.h. */
#include "bed.h"
#include "net.h"

#include <unistd.h>

#define TURN_NS                                                                                    \
    1000000 /* the longest sleep of a turn: the peer on this thread must not wait long */

static void engine_handler(struct weir_engine *engine, struct weir_event *events, unsigned n,
                           void *app)
{
    struct bed *bed = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++) {
        bed->engine_last = events[i];
        if (events[i].kind == WEIR_TIMER)
            bed->tokens[bed->timers++ % array_len(bed->tokens)] = events[i].token;
        else if (events[i].kind == WEIR_WAKE)
            bed->wakes++;
    }
}

struct weir_engine_opt bed_opt(const struct bed *bed)
{
    struct weir_engine_opt opt = {
        .backend = bed->backend,
        .handler = engine_handler,
        .app = (void *)(uintptr_t)bed,
        .endpoints_max = 256,
        .timers_max = 64,
        .tx_max = 512,
        .sock_bytes = 4 << 20,
        .linger_ns = PATIENCE_NS,
        .pool = {.node = WEIR_NODE_ANY, .mem_flags = WEIR_MEM_NO_LOCK | WEIR_MEM_NO_HUGE},
    };
    if (bed->info->frames)
        net_opt(bed->backend, &opt);
    opt.pcap = getenv("WEIR_PCAP");
    return opt;
}

static void turn(void *arg)
{
    bed_turn(arg);
}

void bed_open_with(struct bed *bed, const struct weir_engine_opt *opt)
{
    struct weir_why why = {0};
    char text[400];
    bed->engine = weir_engine_open(opt, &why);
    if (!bed->engine) {
        weir_why_text(&why, text, sizeof text);
        fail_msg("the engine does not open: %s", text);
    }
    bed->pool = weir_engine_pool(bed->engine);
    if (net_used())
        net_meet(turn, bed);
    bed->bystander = bed_udp(bed, echo, NULL, &bed->bystander_at);
    bed->bystander_fd = peer_udp();
}

void bed_open(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    bed_open_with(bed, &opt);
}

int bed_turn(struct bed *bed)
{
    net_carry();
    uint64_t now = weir_now_ns();
    int n = weir_poll(bed->engine, now);
    assert_true(n >= 0);
    uint64_t next = weir_next_ns(bed->engine);
    net_carry();
    if (n == 0 && next > now)
        weir_wait(bed->engine, next - now < TURN_NS ? (int64_t)(next - now) : TURN_NS);
    return n;
}

void bed_turns(struct bed *bed, unsigned n)
{
    while (n--)
        bed_turn(bed);
}

void bed_bystander(struct bed *bed)
{
    uint32_t sent = ++bed->bystander_turn, got = 0;
    peer_send(bed->bystander_fd, &bed->bystander_at, &sent, sizeof sent);
    UNTIL(bed, peer_recv(bed->bystander_fd, &got, sizeof got, NULL) == sizeof got);
    assert_int_equal(got, sent);
}

bool bed_home(struct bed *bed)
{
    struct weir_pool_stats stats;
    uint64_t out = 0;
    weir_pool_stats(bed->pool, &stats);
    for (unsigned i = 0; i < WEIR_SECTIONS; i++)
        out += stats.count[i][WEIR_APP] + stats.count[i][WEIR_TX];
    return out == 0;
}

void bed_check_pool(struct bed *bed)
{
    struct weir_why why = {0};
    char text[400];
    if (weir_pool_check(bed->pool, &why) != 0) {
        weir_why_text(&why, text, sizeof text);
        fail_msg("the pool: %s", text);
    }
}

void bed_close(struct bed *bed)
{
    bed_bystander(bed);
    assert_int_equal(weir_close(bed->engine, bed->bystander), 0);
    UNTIL(bed, bed_home(bed));
    bed_check_pool(bed);
    assert_int_equal(weir_engine_close(bed->engine), 0);
    bed->engine = NULL;
    peer_close(&bed->bystander_fd);
    net_done();
}

void bed_end(struct bed *bed)
{
    if (bed->engine)
        weir_engine_close(bed->engine);
    bed->engine = NULL;
    peer_close(&bed->bystander_fd);
    net_done();
}

struct weir_counters bed_count(struct bed *bed)
{
    struct weir_counters counters;
    weir_engine_counters(bed->engine, &counters);
    return counters;
}

unsigned bed_copies(const struct bed *bed)
{
    static const struct {
        const char *backend;
        unsigned copies;
    } path[] = {
        {"naive", 5},             /* four in, one out */
        {"epoll", 2},             /* the kernel's, each way */
        {"uring", 2}, {"xdp", 2}, /* of xdp in copy mode, which is what a veth pair has */
        {"dpdk", 0},  {"sim", 0},
    };
    for (unsigned i = 0; i < array_len(path); i++)
        if (strcmp(path[i].backend, bed->backend) == 0)
            return path[i].copies;
    fail_msg("how many copies does %s make?", bed->backend);
    return 0;
}

size_t bed_copied(const struct bed *bed, size_t len)
{
    return len + (bed->info->frames ? 42 : 0); /* Ethernet, IPv4, UDP */
}

weir_ep bed_udp(struct bed *bed, weir_handler *handler, void *app, struct weir_addr *at)
{
    struct weir_addr any = peer_loopback(0, false);
    weir_ep ep = 0;
    assert_int_equal(weir_udp_open(bed->engine, &any, handler, app, &ep), 0);
    if (at)
        assert_int_equal(weir_ep_local(bed->engine, ep, at), 0);
    return ep;
}

weir_ep bed_listen(struct bed *bed, weir_handler *handler, void *app, struct weir_addr *at)
{
    struct weir_addr any = peer_loopback(0, false);
    weir_ep ep = 0;
    if (!bed->info->streams)
        SKIP("%s has no streams", bed->backend);
    assert_int_equal(weir_tcp_listen(bed->engine, &any, handler, app, &ep), 0);
    if (at)
        assert_int_equal(weir_ep_local(bed->engine, ep, at), 0);
    return ep;
}

struct weir_buf *bed_buf(struct bed *bed, uint64_t at, size_t len)
{
    struct weir_buf *buf = weir_buf_take_bytes(bed->pool, len);
    if (!buf)
        return NULL;
    pattern_fill(buf->data, at, len);
    buf->len = (uint32_t)len;
    return buf;
}
