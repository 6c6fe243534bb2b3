/* SPDX-License-Identifier: MIT
 * The lab's pure parts: the plan of sends, the choice of rungs, frames and their checksums. */
#include "test.h"

#include "lab/book.h"
#include "lab/frame.h"

#include <weir/lab.h>

#include <errno.h>

static void a_send_is_due_exactly_when_its_time_is_past(void **state)
{
    const uint64_t rates[] = {1, 3, 7, 999, 1000, 333333, 1000003, 14880952, 1000000000};
    const uint64_t times[] = {0, 1, 999, 1000000, 333333333, 1000000000, 86400ull * 1000000000};

    (void)state;
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++)
        for (unsigned j = 0; j < sizeof times / sizeof *times; j++) {
            uint64_t due = weir_pace_due(rates[i], times[j]);

            assert_true(due == 0 || weir_pace_ns(rates[i], due - 1) < times[j]);
            assert_true(weir_pace_ns(rates[i], due) >= times[j]);
        }
}

static void the_plan_does_not_drift(void **state)
{
    (void)state;
    for (uint64_t s = 1; s < 100000; s *= 7)
        assert_int_equal(weir_pace_ns(3, 3 * s), s * 1000000000);
    assert_int_equal(weir_pace_ns(1000000000, UINT64_C(1) << 62), UINT64_C(1) << 62);
    assert_int_equal(weir_pace_ns(7, 0), 0);
    assert_int_equal(weir_pace_due(1000, 1000000000), 1000);
    assert_int_equal(weir_pace_due(1000, 1000000001), 1001);
}

/* A receiver that takes up to `capacity` a second, and a generator that manages up to
 * `generator`. */
struct receiver {
    uint64_t capacity, generator;
    double collapse; /* share of the capacity that is left when more is offered */
    int know_idle, runs, fail_at;
};

static int run_rung(struct weir_rung *g, void *arg)
{
    struct receiver *r = arg;
    uint64_t offered = g->rate && g->rate < r->generator ? g->rate : r->generator;

    if (r->fail_at && ++r->runs == r->fail_at)
        return -EINTR;
    g->ns = 1000000000;
    g->sent = offered;
    g->received = offered <= r->capacity ? offered : (uint64_t)((double)r->capacity * r->collapse);
    g->invalid = g->rate > r->generator;
    if (r->know_idle)
        g->idle = offered < r->capacity ? 1 - (double)offered / (double)r->capacity : 0;
    return 0;
}

static struct weir_ladder_result climb(enum weir_ladder_goal goal, struct receiver *r, int unpaced)
{
    const struct weir_ladder_opt opt = {.goal = goal,
                                        .rate_min = 10000,
                                        .rate_max = 100000000,
                                        .unpaced = (uint8_t)unpaced,
                                        .rungs_max = 24,
                                        .run = run_rung,
                                        .arg = r};
    struct weir_ladder_result ret;

    assert_int_equal(weir_ladder(&opt, &ret, NULL), 0);
    assert_in_range(ret.count, 1, 24);
    assert_true(ret.best < (int32_t)ret.count);
    return ret;
}

static void lossless_ends_just_below_the_limit(void **state)
{
    const uint64_t limits[] = {10000, 10001, 123456, 5000000, 99999999};

    (void)state;
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct receiver r = {.capacity = limits[i], .generator = UINT64_MAX, .collapse = 1};
        struct weir_ladder_result ret = climb(WEIR_LADDER_LOSSLESS, &r, 0);

        assert_true(ret.best >= 0);
        assert_true(ret.rungs[ret.best].rate <= limits[i]);
        assert_true((double)ret.rungs[ret.best].rate * 1.1 >= (double)limits[i]);
        assert_false(ret.generator_bound);
    }
}

static void lossless_says_when_nothing_passed_or_all_did(void **state)
{
    struct receiver weak = {.capacity = 9999, .generator = UINT64_MAX, .collapse = 1};
    struct receiver strong = {.capacity = UINT64_MAX, .generator = UINT64_MAX, .collapse = 1};
    struct weir_ladder_result ret = climb(WEIR_LADDER_LOSSLESS, &weak, 0);

    (void)state;
    assert_int_equal(ret.best, -1);
    assert_int_equal(ret.count, 1);
    ret = climb(WEIR_LADDER_LOSSLESS, &strong, 0);
    assert_int_equal(ret.rungs[ret.best].rate, 100000000);
    assert_true(ret.generator_bound);
}

static void a_rung_that_the_generator_missed_is_no_answer(void **state)
{
    struct receiver r = {.capacity = UINT64_MAX, .generator = 700000, .collapse = 1};
    struct weir_ladder_result ret = climb(WEIR_LADDER_LOSSLESS, &r, 0);

    (void)state;
    assert_true(ret.best >= 0 && !ret.rungs[ret.best].invalid);
    assert_true(ret.rungs[ret.best].rate <= 700000 && ret.rungs[ret.best].rate * 11 / 10 >= 700000);
    assert_true(ret.generator_bound);
}

static void goodput_finds_the_peak_before_the_collapse(void **state)
{
    struct receiver r = {.capacity = 750000, .generator = 8000000, .collapse = 0.3, .know_idle = 1};
    struct weir_ladder_result ret = climb(WEIR_LADDER_GOODPUT, &r, 1);

    (void)state;
    assert_true(ret.rungs[ret.best].received * 12 / 10 >= 750000);
    assert_int_equal(ret.rungs[ret.count - 1].rate, 0);
    assert_false(ret.generator_bound);
}

static void goodput_of_an_idle_receiver_is_the_generators(void **state)
{
    struct receiver r = {.capacity = 5000000, .generator = 700000, .collapse = 1, .know_idle = 1};
    struct weir_ladder_result ret = climb(WEIR_LADDER_GOODPUT, &r, 1);

    (void)state;
    assert_true(ret.generator_bound);
    r.know_idle = 0; /* then the absence of loss says so */
    ret = climb(WEIR_LADDER_GOODPUT, &r, 1);
    assert_true(ret.generator_bound);
    assert_int_equal(ret.rungs[ret.best].received, 700000);
}

static void the_ladder_passes_errors_and_checks_its_bounds(void **state)
{
    struct receiver r = {.capacity = 5000000, .generator = 700000, .collapse = 1, .fail_at = 3};
    struct weir_ladder_opt opt = {.rate_min = 10, .rate_max = 100000, .run = run_rung, .arg = &r};
    struct weir_ladder_result ret;
    struct weir_why why;

    (void)state;
    assert_int_equal(weir_ladder(&opt, &ret, &why), -EINTR);
    assert_int_equal(ret.count, 2);
    opt.rate_min = 0;
    assert_int_equal(weir_ladder(&opt, &ret, &why), -EINVAL);
    opt = (struct weir_ladder_opt){.rate_min = 2, .rate_max = 1, .run = run_rung};
    assert_int_equal(weir_ladder(&opt, &ret, &why), -EINVAL);
    assert_true(strlen(why.what) > 0);
}

/* RFC 1071 as slowly as can be: bit by bit of meaning, nothing shared with frame.c. */
static unsigned ones_sum(const uint8_t *data, size_t len, unsigned sum)
{
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? data[i] : (unsigned)data[i] * 256;
        if (sum > 0xffff)
            sum -= 0xffff;
    }
    return sum;
}

static unsigned udp_ones_sum(const uint8_t *frame)
{
    const unsigned udp_len = (unsigned)frame[38] * 256 + frame[39];
    uint8_t pseudo[12] = {0};

    memcpy(pseudo, frame + 26, 8);
    pseudo[9] = frame[23];
    memcpy(pseudo + 10, frame + 38, 2);
    return ones_sum(frame + 34, udp_len, ones_sum(pseudo, sizeof pseudo, 0));
}

static const uint8_t mac[2][6] = {{2, 1, 2, 3, 4, 5}, {2, 9, 8, 7, 6, 5}};
static const uint8_t ip[2][4] = {{10, 99, 0, 1}, {10, 99, 0, 2}};
static const struct frame_path path = {mac[0], mac[1], ip[0], ip[1], 10000, 7000};

static void a_frame_carries_right_checksums(void **state)
{
    uint8_t frame[FRAME_HEAD + 1472], payload[1472];

    (void)state;
    for (unsigned i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31 + 5);
    for (uint32_t bytes = 0; bytes <= sizeof payload; bytes += bytes < 70 ? 1 : 351) {
        assert_int_equal(frame_build(frame, &path, payload, bytes), FRAME_HEAD + bytes);
        assert_int_equal(ones_sum(frame + 14, 20, 0), 0xffff);
        assert_int_equal(udp_ones_sum(frame), 0xffff);
        assert_int_equal(frame[16] * 256 + frame[17], 28 + bytes);
        assert_memory_equal(frame + FRAME_HEAD, payload, bytes);
    }
    assert_memory_equal(frame, mac[1], 6);
    assert_memory_equal(frame + 6, mac[0], 6);
}

/* What the live frames' program does: another port, the checksum finished from the sum without
 * one. */
static void another_port_is_finished_from_the_partial_sum(void **state)
{
    uint8_t frame[FRAME_HEAD + 64] = {0}, payload[64] = {1, 2, 3};
    struct frame_path other = path;
    unsigned partial, sum;

    (void)state;
    frame_build(frame, &path, payload, sizeof payload);
    partial = frame_sum_without_port(frame);
    for (unsigned port = 1; port < 65536; port += 977) {
        other.src_port = (uint16_t)port;
        frame_build(frame, &other, payload, sizeof payload);
        sum = partial + port;
        sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
        assert_int_equal(sum ? sum : 0xffff, frame[40] * 256 + frame[41]);
    }
}

static void a_stamp_does_not_change_the_checksum(void **state)
{
    uint8_t frame[FRAME_HEAD + 64], payload[64] = {0};
    const struct book book = {.id = UINT64_C(0xabcdef1) << BOOK_K_BITS};

    (void)state;
    frame_build(frame, &path, payload, sizeof payload);
    for (uint64_t k = 0; k < UINT64_C(1) << BOOK_K_BITS; k = k * 5 + 3) {
        book_stamp(&book, frame + FRAME_HEAD, k);
        assert_int_equal(udp_ones_sum(frame), 0xffff);
    }
}

static void only_a_whole_udp_frame_has_a_payload(void **state)
{
    uint8_t frame[FRAME_HEAD + 64], payload[64] = {0};
    size_t len, whole = frame_build(frame, &path, payload, sizeof payload);

    (void)state;
    assert_ptr_equal(frame_payload(frame, whole, &len), frame + FRAME_HEAD);
    assert_int_equal(len, 64);
    for (size_t n = 0; n < whole; n++)
        assert_null(frame_payload(frame, n, &len));
    for (unsigned at = 12; at < 15; at++) { /* type, version and header length */
        frame[at] ^= 0x10;
        assert_null(frame_payload(frame, whole, &len));
        frame[at] ^= 0x10;
    }
    frame[39] = 7; /* a UDP length below its own header, and one beyond the IP length */
    frame[38] = 0;
    assert_null(frame_payload(frame, whole, &len));
    frame[39] = 73;
    assert_null(frame_payload(frame, whole, &len));
}

static void a_canary_moved_when_a_quarter_is_between(void **state)
{
    (void)state;
    assert_false(weir_canary_moved(49, 49));
    assert_false(weir_canary_moved(49, 61));
    assert_true(weir_canary_moved(49, 62));
    assert_true(weir_canary_moved(62, 49));
    assert_true(weir_canary_moved(25, 200));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_is_due_exactly_when_its_time_is_past),
        cmocka_unit_test(the_plan_does_not_drift),
        cmocka_unit_test(lossless_ends_just_below_the_limit),
        cmocka_unit_test(lossless_says_when_nothing_passed_or_all_did),
        cmocka_unit_test(a_rung_that_the_generator_missed_is_no_answer),
        cmocka_unit_test(goodput_finds_the_peak_before_the_collapse),
        cmocka_unit_test(goodput_of_an_idle_receiver_is_the_generators),
        cmocka_unit_test(the_ladder_passes_errors_and_checks_its_bounds),
        cmocka_unit_test(a_frame_carries_right_checksums),
        cmocka_unit_test(another_port_is_finished_from_the_partial_sum),
        cmocka_unit_test(a_stamp_does_not_change_the_checksum),
        cmocka_unit_test(only_a_whole_udp_frame_has_a_payload),
        cmocka_unit_test(a_canary_moved_when_a_quarter_is_between),
    };

    return run_group(tests);
}
