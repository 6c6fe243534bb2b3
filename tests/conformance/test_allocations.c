/* SPDX-License-Identifier: MIT
 * What an engine allocates: all of it in weir_engine_open, nothing for a packet, at most 512 bytes
 * for an idle stream. The linker sends every allocating call of this program and of libweir through
 * here (--wrap, see meson.build); the C library's own inner calls are not seen, and the hot path
 * has none. The yardstick allocates one message a packet: that is what it is for, and the same
 * count proves this test. */
#include "bed.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

static _Atomic uint64_t calls,
    bytes_asked; /* relaxed would do: one thread; a crew's would be counted as well */

static void count(size_t bytes)
{
    atomic_fetch_add(&calls, 1);
    atomic_fetch_add(&bytes_asked, bytes);
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
int __real_posix_memalign(void **ret, size_t align, size_t bytes);
void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t from);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
int __wrap_posix_memalign(void **ret, size_t align, size_t bytes);
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t from);

void *__wrap_malloc(size_t bytes)
{
    count(bytes);
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    count(n * bytes);
    return __real_calloc(n, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    count(bytes);
    return __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    count(bytes);
    return __real_aligned_alloc(align, bytes);
}

int __wrap_posix_memalign(void **ret, size_t align, size_t bytes)
{
    count(bytes);
    return __real_posix_memalign(ret, align, bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t from)
{
    count(bytes);
    return __real_mmap(at, bytes, prot, flags, fd, from);
}

static bool is_yardstick(const struct bed *bed)
{
    return strcmp(bed->backend, "naive") == 0;
}

/* ---- steady state ---- */

#define WARM 500u
#define MEASURED 4000u

struct traffic {
    int fd;
    struct weir_addr at;
    struct flow flow;
};

/* Eight datagrams and a few hundred stream bytes there and back. */
static void exchange(struct bed *bed, struct traffic *t)
{
    uint8_t data[200] = {0};
    unsigned back = 0;
    for (unsigned i = 0; i < 8; i++)
        peer_send(t->fd, &t->at, data, sizeof data);
    uint64_t upto = t->flow.sent + 700;
    UNTIL(bed, flow_push(&t->flow, upto));
    UNTIL(bed, (back += peer_recv(t->fd, data, sizeof data, NULL) == sizeof data) == 8);
    UNTIL(bed, flow_pull(&t->flow, upto));
    assert_false(t->flow.bad);
}

static void steady_state_allocates_nothing(struct bed *bed)
{
    struct weir_addr at;
    struct traffic t;
    bed_open(bed);
    bed_udp(bed, echo, NULL, &t.at);
    bed_listen(bed, echo, NULL, &at);
    t.fd = peer_udp();
    t.flow = (struct flow){.fd = peer_connect(&at)};
    for (unsigned i = 0; i < WARM / 8; i++)
        exchange(bed, &t);
    struct weir_counters before = bed_count(bed);
    uint64_t since = calls;
    for (unsigned i = 0; i < MEASURED / 8; i++)
        exchange(bed, &t);
    uint64_t allocated = calls - since;
    struct weir_counters after = bed_count(bed);
    uint64_t packets = after.rx_packets - before.rx_packets;
    uint64_t reads = after.stream_reads - before.stream_reads;
    assert_int_equal(packets, MEASURED);
    if (is_yardstick(bed))
        assert_true(allocated >= packets && allocated <= packets + reads); /* one a message */
    else
        assert_int_equal(allocated, 0);
    peer_close(&t.fd);
    peer_close(&t.flow.fd);
    bed_close(bed);
}

/* Streams come and go, timers and wakes too. */
static void coming_and_going_allocates_nothing(struct bed *bed)
{
    struct weir_addr at;
    uint64_t since = 0;
    bed_open(bed);
    bed_listen(bed, echo, NULL, &at);
    for (unsigned i = 0; i < 60; i++) {
        if (i == 10)
            since = calls;
        struct seen seen = {0};
        weir_ep ep = 0;
        assert_int_equal(weir_tcp_connect(bed->engine, &at, record, &seen, &ep), 0);
        weir_timer(bed->engine, weir_now_ns(), i);
        weir_wake(bed->engine);
        UNTIL(bed, seen.kinds[WEIR_OPEN]);
        assert_int_equal(weir_shutdown(bed->engine, ep), 0);
        UNTIL(bed, seen.kinds[WEIR_CLOSED]);
        weir_close(bed->engine, bed_udp(bed, echo, NULL, NULL));
        bed_turn(bed);
    }
    assert_int_equal(calls - since, 0); /* nobody sends: the yardstick has no message either */
    bed_close(bed);
}

/* Copies are counted as they happen, a packet there and back. */
static void copies_are_counted_as_defined(struct bed *bed)
{
    struct weir_addr at;
    uint8_t data[100] = {0};
    bed_open(bed);
    bed_udp(bed, echo, NULL, &at);
    int fd = peer_udp();
    struct weir_counters before = bed_count(bed);
    for (unsigned i = 0; i < 100; i++) {
        peer_send(fd, &at, data, sizeof data);
        UNTIL(bed, peer_recv(fd, data, sizeof data, NULL) == sizeof data);
    }
    UNTIL(bed, bed_home(bed));
    struct weir_counters after = bed_count(bed);
    unsigned each = bed_copies(bed);
    assert_int_equal(after.copies - before.copies, 100 * each);
    assert_int_equal(after.copied_bytes - before.copied_bytes,
                     100 * each * bed_copied(bed, sizeof data));
    peer_close(&fd);
    bed_close(bed);
}

/* ---- idle streams ---- */

#define IDLE 1000u
#define IDLE_BYTES 512u

static uint64_t cost_of_opening(struct bed *bed, uint32_t endpoints)
{
    struct weir_engine_opt opt = bed_opt(bed);
    opt.endpoints_max = endpoints;
    uint64_t before = bytes_asked;
    struct weir_engine *engine = weir_engine_open(&opt, NULL);
    uint64_t cost = bytes_asked - before;
    assert_non_null(engine);
    assert_int_equal(weir_engine_close(engine), 0);
    return cost;
}

static void room_for_a_stream_is_512_bytes(struct bed *bed)
{
    uint64_t small = cost_of_opening(bed, 4096), large = cost_of_opening(bed, 4096 + IDLE);
    assert_true(large > small);
    assert_true((large - small) / IDLE <= IDLE_BYTES);
}

static bool descriptors_for(rlim_t n)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= n)
        return true;
    limit.rlim_cur = n;
    return limit.rlim_max >= n && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static uint64_t slots_out(struct bed *bed)
{
    struct weir_pool_stats stats;
    uint64_t out = 0;
    weir_pool_stats(bed->pool, &stats);
    for (unsigned s = 0; s < WEIR_SECTIONS; s++)
        out += stats.total[s] - stats.count[s][WEIR_FREE];
    return out;
}

/* Streams that have spoken once and are silent now hold no buffer and took no memory. */
static void idle_streams_hold_no_buffer(struct bed *bed)
{
    struct weir_engine_opt opt = bed_opt(bed);
    static struct flow flow[IDLE];
    struct weir_addr at;
    if (!descriptors_for(2 * IDLE + 100))
        SKIP("RLIMIT_NOFILE allows fewer than %u descriptors", 2 * IDLE + 100);
    opt.endpoints_max = IDLE + 8;
    bed_open_with(bed, &opt);
    bed_listen(bed, echo, NULL, &at);
    uint64_t before = 0, since = calls;
    for (unsigned i = 0; i < IDLE; i++) {
        flow[i] = (struct flow){.fd = peer_connect(&at)};
        UNTIL(bed, flow_push(&flow[i], 100) && flow_pull(&flow[i], 100));
        UNTIL(bed, bed_home(bed));
        if (i == 0)
            before = slots_out(bed); /* what a completion ring holds it holds for all streams */
    }
    assert_int_equal(bed_count(bed).stream_opened, IDLE);
    assert_true(slots_out(bed) < before + 64);
    if (!is_yardstick(bed))
        assert_int_equal(calls - since, 0);
    for (unsigned i = 0; i < IDLE; i++)
        peer_close(&flow[i].fd);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(steady_state_allocates_nothing), CASE(coming_and_going_allocates_nothing),
    CASE(copies_are_counted_as_defined),  CASE(room_for_a_stream_is_512_bytes),
    CASE(idle_streams_hold_no_buffer),
};
BED_MAIN(cases)
