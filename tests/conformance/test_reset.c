/* SPDX-License-Identifier: MIT
 * Resets at awkward moments: each is told once, as an error, behind all that came before it. */
#include "bed.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Leaves what it gets: the stream stops at rx_max, what comes later stands in the kernel. */
static void on_listless(struct weir_engine *engine, struct weir_event *events, unsigned n,
                        void *app)
{
    struct seen *seen = app;
    (void)engine;
    for (unsigned i = 0; i < n; i++) {
        seen->kinds[events[i].kind]++;
        seen->stream = events[i].ep;
        if (events[i].kind == WEIR_DATA)
            seen->len = events[i].buf->len;
    }
}

/* All that the peer sent is with our kernel: its own could take back what is not. */
static bool delivered(int fd)
{
    int left = 1;
    return ioctl(fd, SIOCOUTQ, &left) == 0 && left == 0;
}

#define TOTAL 120000u /* more than rx_max, less than rx_max and a kernel's first window */

/* The stream is full when the reset comes, so nobody reads it, and it is a send that fails. */
static void a_failed_send_hides_nothing_received(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    bed_open(bed);
    bed_listen(bed, on_listless, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, flow_push(&flow, TOTAL) && delivered(flow.fd) && bed_count(bed).rx_stopped);
    UNTIL(bed, seen.len >= 65536 - 128); /* the default rx_max */
    peer_reset(&flow.fd);
    struct source source = {.ep = seen.stream, .piece = 100};
    source_push(bed, &source, 100);
    bed_turns(bed, 5);
    struct seen rest = {.bytes = seen.len};
    assert_int_equal(weir_ep_handler(bed->engine, seen.stream, record, &rest), 0);
    assert_int_equal(weir_consume(bed->engine, seen.stream, seen.len), 0);
    UNTIL(bed, rest.kinds[WEIR_CLOSED]);
    assert_int_equal(rest.bytes, TOTAL);
    assert_false(rest.bad);
    assert_true(rest.err == -ECONNRESET || rest.err == -EPIPE);
    bed_turns(bed, 5);
    assert_int_equal(rest.kinds[WEIR_CLOSED], 1);
    assert_int_equal(rest.kinds[WEIR_EOF], 0);
    assert_int_equal(weir_close(bed->engine, seen.stream), -EBADF);
    assert_int_equal(bed_count(bed).stream_reset, 1);
    bed_close(bed);
}

/* Half-closed: the peer said its last, we may answer for ever, and then it is gone. */
static void a_reset_after_the_end_is_told(struct bed *bed)
{
    struct weir_addr at;
    struct seen seen = {0};
    bed_open(bed);
    bed_listen(bed, record, &seen, &at);
    struct flow flow = {.fd = peer_connect(&at)};
    UNTIL(bed, flow_push(&flow, 5000));
    shutdown(flow.fd, SHUT_WR);
    UNTIL(bed, seen.kinds[WEIR_EOF]);
    assert_int_equal(seen.bytes, 5000);
    bed_turns(bed, 5);
    assert_int_equal(seen.kinds[WEIR_CLOSED], 0);
    peer_reset(&flow.fd);
    UNTIL(bed, seen.kinds[WEIR_CLOSED]);
    assert_true(seen.err == -EPIPE || seen.err == -ECONNRESET); /* tcp(7): EPIPE after an end */
    bed_turns(bed, 5);
    assert_int_equal(seen.kinds[WEIR_CLOSED], 1);
    assert_int_equal(seen.kinds[WEIR_EOF], 1);
    assert_int_equal(weir_close(bed->engine, seen.stream), -EBADF);
    bed_close(bed);
}

static const struct bed_case cases[] = {
    CASE(a_failed_send_hides_nothing_received),
    CASE(a_reset_after_the_end_is_told),
};
BED_MAIN(cases)
