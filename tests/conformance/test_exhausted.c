/* SPDX-License-Identifier: MIT
 * What runs out beside buffers: queue items, descriptors, endpoints. Each is counted, waits, and
 * goes on when there is some again; nothing that was accepted is lost. */
#include "bed.h"

#include <sys/resource.h>
#include <unistd.h>

/* ---- send queues ---- */

static void full_datagram_queue_refuses_and_drains(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct seen seen = {0};
    struct weir_buf *bufs[50];
    uint8_t got[64];
    opt.tx_max = 16;
    bed_open_with(bed, &opt);
    weir_ep ep = bed_udp(bed, record, &seen, NULL);
    int fd = peer_udp();
    for (unsigned i = 0; i < 50; i++) {
        bufs[i] = bed_buf(bed, i, 20);
        assert_non_null(bufs[i]);
        bufs[i]->peer = peer_addr(fd);
    }
    unsigned sent = 0;
    for (unsigned drains = 0; sent < 50; drains++) {
        int took = weir_send(bed->engine, ep, bufs + sent, 50 - sent);
        assert_true(took > 0 && took <= 16);
        sent += (unsigned)took;
        if (sent == 50)
            break;
        assert_int_equal(weir_send(bed->engine, ep, bufs + sent, 1), 0);
        UNTIL(bed, seen.kinds[WEIR_DRAIN] > drains);
    }
    for (unsigned i = 0; i < 50; i++) {
        UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 20);
        assert_true(pattern_holds(got, i, 20));
    }
    assert_true(bed_count(bed).tx_full >= 3);
    peer_close(&fd);
    bed_close(bed);
}

static void full_stream_queue_refuses_and_drains(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct seen seen = {0};
    opt.tx_max = 16;
    bed_open_with(bed, &opt);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, seen.stream);
    struct source source = {.ep = seen.stream, .piece = 1500};
    const uint64_t total = 16u << 20;
    UNTIL(bed, source_push(bed, &source, total) || bed_count(bed).tx_again);
    unsigned drains = seen.kinds[WEIR_DRAIN];
    assert_false(source_push(bed, &source, total)); /* the kernel is full, and now our queue */
    UNTIL(bed, flow_pull(&flow, source.queued) || seen.kinds[WEIR_DRAIN] > drains);
    UNTIL(bed, seen.kinds[WEIR_DRAIN] > drains ||
                   source_push(bed, &source, total) | flow_pull(&flow, total));
    assert_true(seen.kinds[WEIR_DRAIN] > drains);
    UNTIL(bed, source_push(bed, &source, total) & flow_pull(&flow, total));
    assert_int_equal(flow.got, total);
    assert_false(flow.bad);
    assert_true(bed_count(bed).tx_full > 0);
    peer_close(&flow.fd);
    bed_close(bed);
}

/* Answers each question with 1,000 bytes, and leaves it where it is while they find no room. */
struct polite {
    struct bed *bed;
    struct source source;
    unsigned told;
    uint64_t answered;
    bool bad;
};

static void on_polite(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct polite *p = app;
    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != WEIR_DATA)
            continue;
        struct weir_buf *buf = events[i].buf;
        p->told++;
        p->bad |= !pattern_holds(buf->data, p->answered, buf->len);
        if (!source_push(p->bed, &p->source, p->source.queued + p->source.piece))
            continue;
        p->answered += buf->len;
        p->bad |= weir_consume(engine, events[i].ep, buf->len) != 0;
    }
}

static void what_could_not_be_answered_is_told_again(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct seen seen = {0};
    struct polite p = {.bed = bed, .source = {.piece = 1000}};
    uint64_t before;
    opt.tx_max = 16;
    bed_open_with(bed, &opt);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, seen.stream);
    p.source.ep = seen.stream;
    do { /* until neither kernel nor queue takes anything for 20 turns */
        before = p.source.queued;
        for (unsigned i = 0; i < 20; i++) {
            source_push(bed, &p.source, 256u << 20);
            bed_turn(bed);
        }
    } while (p.source.queued > before);
    assert_int_equal(weir_ep_handler(bed->engine, seen.stream, on_polite, &p), 0);
    UNTIL(bed, flow_push(&flow, 500) && p.told);
    assert_int_equal(p.answered, 0);
    UNTIL(bed, flow_pull(&flow, p.source.queued) && p.answered == 500); /* it says no more */
    UNTIL(bed, flow_pull(&flow, p.source.queued));
    assert_int_equal(flow.got, p.source.queued);
    assert_false(p.bad || flow.bad);
    peer_close(&flow.fd);
    bed_close(bed);
}

static void one_payload_to_more_peers_than_the_queue_holds(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct seen seen = {0};
    struct weir_addr to[40];
    uint8_t got[64];
    opt.tx_max = 16;
    bed_open_with(bed, &opt);
    weir_ep ep = bed_udp(bed, record, &seen, NULL);
    int fd = peer_udp();
    for (unsigned i = 0; i < 40; i++)
        to[i] = peer_addr(fd);
    struct weir_buf *buf = bed_buf(bed, 5, 20);
    assert_int_equal(weir_send_many(bed->engine, ep, buf, to, 40), 16);
    assert_int_equal(weir_send_many(bed->engine, ep, buf, to, 1), 0);
    assert_int_equal(buf->refs, 17);
    UNTIL(bed, seen.kinds[WEIR_DRAIN] && buf->refs == 1);
    assert_int_equal(weir_send_many(bed->engine, ep, buf, to + 16, 10), 10);
    weir_buf_drop(&buf, 1);
    for (unsigned i = 0; i < 26; i++) {
        UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 20);
        assert_true(pattern_holds(got, 5, 20));
    }
    bed_turns(bed, 3);
    assert_int_equal(peer_recv(fd, got, sizeof got, NULL), -1);
    peer_close(&fd);
    bed_close(bed);
}

/* A tiny send buffer of the kernel: what it cannot take now is kept and sent later, or the case
 * would lose some. */
static void small_kernel_buffers_lose_nothing_of_ours(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_buf *bufs[200];
    uint8_t got[1400];
    opt.sock_bytes = 4096;
    bed_open_with(bed, &opt);
    weir_ep ep = bed_udp(bed, echo, NULL, NULL);
    int fd = peer_udp();
    for (unsigned i = 0; i < 200; i++) {
        bufs[i] = bed_buf(bed, i, 1400);
        assert_non_null(bufs[i]);
        bufs[i]->peer = peer_addr(fd);
    }
    assert_int_equal(weir_send(bed->engine, ep, bufs, 200), 200);
    for (unsigned i = 0; i < 200; i++) {
        UNTIL(bed, peer_recv(fd, got, sizeof got, NULL) == 1400);
        assert_true(pattern_holds(got, i, 1400));
    }
    UNTIL(bed, bed_home(bed));
    assert_int_equal(bed_count(bed).tx_packets, 200);
    peer_close(&fd);
    bed_close(bed);
}

/* ---- descriptors and endpoints ---- */

#define CALLERS 6u

static void no_descriptors_for_accept(struct bed *bed)
{
    struct rlimit limit, low;
    struct weir_addr at;
    struct flow flow[CALLERS];
    const char *preload = getenv("LD_PRELOAD");
    if (preload && strstr(preload, "vgpreload"))
        SKIP("valgrind plays the limit itself and closes what was accepted beyond it");
    bed_open(bed);
    bed_listen(bed, echo, NULL, &at);
    for (unsigned i = 0; i < CALLERS; i++)
        flow[i] = (struct flow){.fd = peer_connect(&at)};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    int next = dup(0); /* the lowest that is free: two more fit, at most */
    close(next);
    low.rlim_cur = (rlim_t)next + 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    bool counted = false;
    for (uint64_t until = weir_now_ns() + PATIENCE_NS; !counted && weir_now_ns() < until;) {
        bed_turn(bed);
        counted = bed_count(bed).accept_nofile > 0;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0); /* before anything can fail */
    assert_true(counted);
    bed_bystander(bed);
    for (unsigned i = 0; i < CALLERS; i++) {
        UNTIL(bed, flow_push(&flow[i], 1000) && flow_pull(&flow[i], 1000));
        assert_int_equal(flow[i].got, 1000);
        assert_false(flow[i].bad);
        peer_close(&flow[i].fd);
    }
    assert_int_equal(bed_count(bed).stream_opened, CALLERS);
    bed_close(bed);
}

static void no_endpoints_for_accept(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    struct weir_addr at;
    struct flow flow[CALLERS];
    unsigned served = 0;
    opt.endpoints_max = 2 + 3; /* bystander, listener, three streams */
    bed_open_with(bed, &opt);
    bed_listen(bed, echo, NULL, &at);
    for (unsigned i = 0; i < CALLERS; i++)
        flow[i] = (struct flow){.fd = peer_connect(&at)};
    UNTIL(bed, bed_count(bed).stream_opened + bed_count(bed).accept_full == CALLERS);
    assert_int_equal(bed_count(bed).accept_full, 3);
    for (unsigned i = 0; i < CALLERS; i++) {
        UNTIL(bed, flow_push(&flow[i], 100) && flow_pull(&flow[i], 100));
        served += flow[i].got == 100;
    }
    assert_int_equal(served, 3);
    for (unsigned i = 0; i < CALLERS; i++)
        peer_close(&flow[i].fd);
    UNTIL(bed, bed_count(bed).stream_closed == 3);
    struct flow late = {.fd = peer_connect(&at)}; /* there is room again */
    UNTIL(bed, flow_push(&late, 100) && flow_pull(&late, 100));
    assert_int_equal(late.got, 100);
    peer_close(&late.fd);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(full_datagram_queue_refuses_and_drains),
    CASE(full_stream_queue_refuses_and_drains),
    CASE(what_could_not_be_answered_is_told_again),
    CASE(one_payload_to_more_peers_than_the_queue_holds),
    CASE(small_kernel_buffers_lose_nothing_of_ours),
    CASE(no_descriptors_for_accept),
    CASE(no_endpoints_for_accept),
};
BED_MAIN(cases)
