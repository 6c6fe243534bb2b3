/* SPDX-License-Identifier: MIT
 * Calls that fail for no fault of anyone: EINTR from each of them, ENOBUFS and ENOMEM from those
 * that send; and a receive that says a datagram was cut. The linker sends the calls of libweir through here (--wrap, see meson.build); the
 * peer's calls come through as well, so a fault strikes only within weir_poll. io_uring sends and
 * receives without these calls, so on that backend there is nothing to strike: a SKIP says so. */
#include "bed.h"

#include <errno.h>
#include <sys/socket.h>

enum call { SEND, SENDTO, SENDMSG, SENDMMSG, RECV, RECVFROM, RECVMSG, RECVMMSG, ACCEPT4, CALLS };
#define SENDERS (1u << SEND | 1u << SENDTO | 1u << SENDMSG | 1u << SENDMMSG)
#define STREAM_SENDERS (1u << SEND | 1u << SENDMSG)
#define DATAGRAM_SENDERS (1u << SENDTO | 1u << SENDMMSG)
#define DATAGRAM_RECEIVERS (1u << RECVFROM | 1u << RECVMSG | 1u << RECVMMSG)

/* Of `calls` every first `fails` tries fail, then `passes` go through, and so on. */
static struct fault {
    unsigned calls;
    unsigned fails, passes;
    int err;   /* of the even failures */
    int other; /* of the odd ones */
    unsigned tries[CALLS], struck[CALLS];
} fault;
static bool polling;
static unsigned cuts; /* so many receives are still to say that their first datagram was cut */

static bool strikes(enum call call)
{
    if (!polling || !(fault.calls & 1u << call))
        return false;
    unsigned turn = fault.tries[call]++ % (fault.fails + fault.passes);
    if (turn >= fault.fails)
        return false;
    errno = fault.struck[call]++ % 2 ? fault.other : fault.err;
    return true;
}

static unsigned struck(unsigned calls)
{
    unsigned n = 0;
    for (unsigned i = 0; i < CALLS; i++)
        n += calls & 1u << i ? fault.struck[i] : 0;
    return n;
}

int __real_weir_poll(struct weir_engine *engine, uint64_t now);
ssize_t __real_send(int fd, const void *data, size_t bytes, int flags);
ssize_t __real_sendto(int fd, const void *data, size_t bytes, int flags, const void *to,
                      socklen_t len);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
int __real_sendmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags);
ssize_t __real_recv(int fd, void *ret, size_t bytes, int flags);
ssize_t __real_recvfrom(int fd, void *ret, size_t bytes, int flags, void *from, socklen_t *len);
ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);
int __real_recvmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags, struct timespec *timeout);
int __real_accept4(int fd, void *from, socklen_t *len, int flags);
int __wrap_weir_poll(struct weir_engine *engine, uint64_t now);
ssize_t __wrap_send(int fd, const void *data, size_t bytes, int flags);
ssize_t __wrap_sendto(int fd, const void *data, size_t bytes, int flags, const void *to,
                      socklen_t len);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags);
ssize_t __wrap_recv(int fd, void *ret, size_t bytes, int flags);
ssize_t __wrap_recvfrom(int fd, void *ret, size_t bytes, int flags, void *from, socklen_t *len);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);
int __wrap_recvmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags, struct timespec *timeout);
int __wrap_accept4(int fd, void *from, socklen_t *len, int flags);

static void cut(bool came, struct msghdr *msg)
{
    if (!polling || !came || cuts == 0)
        return;
    msg->msg_flags |= MSG_TRUNC;
    cuts--;
}

int __wrap_weir_poll(struct weir_engine *engine, uint64_t now)
{
    polling = true;
    int n = __real_weir_poll(engine, now);
    polling = false;
    return n;
}

ssize_t __wrap_send(int fd, const void *data, size_t bytes, int flags)
{
    return strikes(SEND) ? -1 : __real_send(fd, data, bytes, flags);
}

ssize_t __wrap_sendto(int fd, const void *data, size_t bytes, int flags, const void *to,
                      socklen_t len)
{
    return strikes(SENDTO) ? -1 : __real_sendto(fd, data, bytes, flags, to, len);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    return strikes(SENDMSG) ? -1 : __real_sendmsg(fd, msg, flags);
}

int __wrap_sendmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags)
{
    return strikes(SENDMMSG) ? -1 : __real_sendmmsg(fd, msg, n, flags);
}

ssize_t __wrap_recv(int fd, void *ret, size_t bytes, int flags)
{
    return strikes(RECV) ? -1 : __real_recv(fd, ret, bytes, flags);
}

ssize_t __wrap_recvfrom(int fd, void *ret, size_t bytes, int flags, void *from, socklen_t *len)
{
    return strikes(RECVFROM) ? -1 : __real_recvfrom(fd, ret, bytes, flags, from, len);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
    ssize_t n = strikes(RECVMSG) ? -1 : __real_recvmsg(fd, msg, flags);
    cut(n >= 0, msg);
    return n;
}

int __wrap_recvmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags, struct timespec *timeout)
{
    int got = strikes(RECVMMSG) ? -1 : __real_recvmmsg(fd, msg, n, flags, timeout);
    cut(got > 0, &msg->msg_hdr);
    return got;
}

int __wrap_accept4(int fd, void *from, socklen_t *len, int flags)
{
    return strikes(ACCEPT4) ? -1 : __real_accept4(fd, from, len, flags);
}

/* ---- traffic that must not notice ---- */

#define DATAGRAMS 100u
#define STREAM_BYTES (1u << 20)

/* Numbered datagrams there and back: first `lone` one by one, then the rest at once. */
static void datagrams_hold(struct bed *bed, const struct weir_addr *at, unsigned lone)
{
    int fd = peer_udp();
    uint32_t number, got, next = 0;
    for (number = 0; number < DATAGRAMS; number++) {
        peer_send(fd, at, &number, sizeof number);
        if (number >= lone && number + 1 < DATAGRAMS)
            continue;
        while (next <= number) {
            UNTIL(bed, peer_recv(fd, &got, sizeof got, NULL) == sizeof got);
            assert_int_equal(got, next);
            next++;
        }
    }
    bed_turns(bed, 3);
    assert_int_equal(peer_recv(fd, &got, sizeof got, NULL), -1); /* none twice */
    peer_close(&fd);
}

static void stream_holds(struct bed *bed, const struct weir_addr *at)
{
    struct flow flow = {.fd = peer_connect(at)};
    uint64_t closed = bed_count(bed).stream_closed;
    UNTIL(bed, flow_push(&flow, STREAM_BYTES) & flow_pull(&flow, STREAM_BYTES));
    assert_int_equal(flow.err, 0);
    assert_int_equal(flow.got, STREAM_BYTES);
    assert_false(flow.bad);
    shutdown(flow.fd, SHUT_WR);
    UNTIL(bed, flow_ended(&flow));
    assert_true(flow.eof && flow.got == STREAM_BYTES);
    peer_close(&flow.fd);
    UNTIL(bed, bed_count(bed).stream_closed > closed);
}

static bool makes_no_calls(const struct bed *bed)
{
    return strcmp(bed->backend, "uring") == 0;
}

static void all_holds(struct bed *bed)
{
    struct weir_addr udp, tcp;
    bed_open(bed);
    bed_udp(bed, echo, NULL, &udp);
    bed_listen(bed, echo, NULL, &tcp);
    datagrams_hold(bed, &udp, DATAGRAMS / 2);
    stream_holds(bed, &tcp);
    bed_bystander(bed);
}

static void unharmed(struct bed *bed)
{
    struct weir_counters counters = bed_count(bed);
    assert_int_equal(counters.stream_reset, 0);
    assert_int_equal(counters.rx_error, 0);
    assert_int_equal(counters.tx_error, 0);
    assert_int_equal(counters.tx_dropped, 0);
    assert_int_equal(counters.accept_error, 0);
}

/* ---- cases ---- */

/* Of every call the first try is interrupted and the second works. */
static void an_interrupted_call_is_made_again(struct bed *bed)
{
    fault = (struct fault){(1u << CALLS) - 1, 1, 1, EINTR, EINTR, {0}, {0}};
    all_holds(bed);
    unharmed(bed);
    assert_int_equal(bed_count(bed).tx_nobufs, 0);
    bed_close(bed);
    unsigned n = struck((1u << CALLS) - 1);
    if (makes_no_calls(bed) && n == 0)
        SKIP("%s makes none of these calls: its ring does their work", bed->backend);
    assert_true(struck(1u << ACCEPT4) > 0); /* none of them escaped the linker's wrapping */
    assert_true(struck(1u << RECV) > 0);
    assert_true(struck(DATAGRAM_RECEIVERS) > 0);
    assert_true(struck(STREAM_SENDERS) > 0);
    assert_true(struck(DATAGRAM_SENDERS) > 0);
}

/* The kernel has no memory for a send three times in ten, ENOBUFS and ENOMEM by turns. */
static void a_send_without_memory_is_put_off(struct bed *bed)
{
    fault = (struct fault){SENDERS, 3, 7, ENOBUFS, ENOMEM, {0}, {0}};
    all_holds(bed);
    unharmed(bed);
    uint64_t nobufs = bed_count(bed).tx_nobufs, before = struck(SENDERS);
    fault.calls = 0;
    bed_close(bed);
    if (makes_no_calls(bed) && before == 0)
        SKIP("%s makes none of these calls: its ring does their work", bed->backend);
    assert_true(struck(STREAM_SENDERS) >= 3);
    assert_true(struck(DATAGRAM_SENDERS) >= 3);
    assert_int_equal(nobufs, before);
}

#define STAYS 50u

/* Memory stays away: a poll tries once or so an endpoint and returns, and the others are served. */
static void a_poll_does_not_wait_for_memory(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    bed_open(bed);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, seen.stream);
    struct source source = {.ep = seen.stream, .piece = 1000};
    fault = (struct fault){STREAM_SENDERS, 1, 0, ENOBUFS, ENOMEM, {0}, {0}};
    assert_true(source_push(bed, &source, 20000));
    bed_turns(bed, STAYS);
    unsigned tries = struck(STREAM_SENDERS);
    bed_bystander(bed);
    bool untouched = makes_no_calls(bed) && tries == 0;
    if (!untouched) {
        assert_true(tries > 1); /* it is tried again, with no event that says so */
        assert_true(tries <= 2 * STAYS);
        assert_false(flow_pull(&flow, 1));
    }
    fault.calls = 0;
    UNTIL(bed, flow_pull(&flow, 20000));
    assert_int_equal(flow.got, 20000);
    assert_false(flow.bad);
    peer_close(&flow.fd);
    bed_close(bed);
    if (untouched)
        SKIP("%s makes none of these calls: its ring does their work", bed->backend);
}

/* A close that finds no memory for the last bytes keeps them until there is some. */
static void a_close_waits_for_memory(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    bed_open(bed);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, seen.stream);
    struct source source = {.ep = seen.stream, .piece = 1000};
    fault = (struct fault){STREAM_SENDERS, STAYS, 1000000, ENOBUFS, ENOMEM, {0}, {0}};
    assert_true(source_push(bed, &source, 20000));
    assert_int_equal(weir_close(bed->engine, seen.stream), 0);
    UNTIL(bed, flow_ended(&flow));
    unsigned tries = struck(STREAM_SENDERS);
    assert_true(flow.eof && !flow.bad);
    assert_int_equal(flow.got, 20000);
    peer_close(&flow.fd);
    UNTIL(bed, bed_count(bed).stream_closed == 1);
    assert_int_equal(bed_count(bed).linger_expired, 0);
    assert_int_equal(bed_count(bed).tx_dropped, 0);
    fault.calls = 0;
    bed_close(bed);
    if (makes_no_calls(bed) && tries == 0)
        SKIP("%s makes none of these calls: its ring does their work", bed->backend);
    assert_int_equal(tries, STAYS);
}

/* No datagram is larger than a slot, so the kernel never says this of its own: see
 * test_bad_datagrams.c. The one that it says it of is dropped and counted, the others are told. */
static void a_cut_datagram_is_dropped_and_counted(struct bed *bed)
{
    struct weir_addr at;
    uint32_t got;
    if (strcmp(bed->backend, "epoll") != 0)
        SKIP("%s learns of a cut by none of these calls", bed->backend);
    fault = (struct fault){0};
    bed_open(bed);
    bed_udp(bed, echo, NULL, &at);
    int fd = peer_udp();
    cuts = 3;
    for (uint32_t i = 0; i < 3; i++) {
        peer_send(fd, &at, &i, sizeof i);
        UNTIL(bed, bed_count(bed).rx_truncated == i + 1);
    }
    assert_int_equal(cuts, 0);
    for (uint32_t i = 10; i < 20; i++) {
        peer_send(fd, &at, &i, sizeof i);
        UNTIL(bed, peer_recv(fd, &got, sizeof got, NULL) == sizeof got);
        assert_int_equal(got, i); /* not one of those that were cut */
    }
    assert_int_equal(bed_count(bed).rx_truncated, 3);
    peer_close(&fd);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(an_interrupted_call_is_made_again),     CASE(a_send_without_memory_is_put_off),
    CASE(a_poll_does_not_wait_for_memory),       CASE(a_close_waits_for_memory),
    CASE(a_cut_datagram_is_dropped_and_counted),
};
BED_MAIN(cases)
