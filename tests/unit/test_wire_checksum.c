/* SPDX-License-Identifier: MIT
 * The checksum is that of the RFCs: of their examples, of a naive sum over any data, and when one
 * word of it changes. */
#include "wire.h"

#include "wire/checksum.h"

/* Word by word, as RFC 1071 begins: big-endian words, carries brought round at the end. */
static uint16_t naive(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? p[i] : (uint64_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static void the_example_of_rfc_1071(void **state)
{
    static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

    (void)state;
    assert_int_equal(be16(checksum_fold(checksum_add(0, data, sizeof data))), 0xddf2);
    assert_int_equal(be16(checksum_finish(checksum_add(0, data, sizeof data))), 0x220d);
}

static void the_example_of_rfc_1624(void **state)
{
    (void)state;
    assert_int_equal(checksum_update(be16(0xdd2f), be16(0x5555), be16(0x3285)), 0x0000);
    assert_int_equal(checksum_update(be16(0xdd2f), be16(0x5555), be16(0x5555)), be16(0xdd2f));
}

static void nothing_is_zero_and_zeros_are_too(void **state)
{
    static const uint8_t zeros[200];

    (void)state;
    for (size_t n = 0; n <= sizeof zeros; n++)
        assert_int_equal(checksum_fold(checksum_add(0, zeros, n)), 0);
    assert_int_equal(checksum_finish(0), 0xffff);
}

/* What is not zero folds to 1 .. 0xffff: negative zero is 0xffff, also at the largest sums. */
static void folding_brings_every_carry_round(void **state)
{
    static const struct {
        uint64_t sum;
        uint16_t folded;
    } cases[] = {{1, 1},
                 {0xffff, 0xffff},
                 {0x10000, 1},
                 {0x1fffe, 0xffff},
                 {0xffffffff, 0xffff},
                 {0x100000000, 1},
                 {0xffff0000ffff, 0xffff},
                 {0xfffffffffffffffe, 0xfffe},
                 {0xffffffffffffffff, 0xffff}};

    (void)state;
    for (size_t i = 0; i < array_len(cases); i++)
        assert_int_equal(checksum_fold(cases[i].sum), cases[i].folded);
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        uint64_t sum = rng_next(&(struct rng){seed}) >> seed % 64 | 1;
        HOLDS(seed, (sum - checksum_fold(sum)) % 0xffff == 0 && checksum_fold(sum) != 0);
    }
}

/* Every length that takes another path, at every alignment within a cache line, exactly sized. */
static void any_length_and_alignment_agree_with_a_naive_sum(void **state)
{
    static uint8_t data[2048];

    (void)state;
    rng_fill(&(struct rng){1}, data, sizeof data);
    for (size_t n = 0; n <= 600; n++) {
        uint8_t *copy = exact(data, n);
        assert_int_equal(be16(checksum_fold(checksum_add(0, copy, n))), naive(copy, n));
        assert_int_equal(be16(checksum_fold(checksum_add_long(0, copy, n))), naive(copy, n));
        exact_free(copy, n);
        for (size_t at = 1; at < 64; at++)
            if (be16(checksum_fold(checksum_add(0, data + at, n))) != naive(data + at, n))
                fail_msg("%zu bytes at %zu", n, at);
    }
}

static void parts_of_even_length_sum_up(void **state)
{
    static uint8_t data[1500];

    (void)state;
    rng_fill(&(struct rng){2}, data, sizeof data);
    for (unsigned seed = 0; seed < TRIALS / 10; seed++) {
        struct rng rng = {seed};
        size_t n = rng_below(&rng, sizeof data + 1), first = rng_below(&rng, n / 2 + 1) * 2;
        uint64_t sum = checksum_add(checksum_add(0, data, first), data + first, n - first);
        HOLDS(seed, be16(checksum_fold(sum)) == naive(data, n));
    }
}

/* The largest datagram of the largest words, a thousand times over: far above 32 bits, no carry is
 * lost. */
static void long_sums_do_not_overflow(void **state)
{
    static uint8_t data[65535];
    uint64_t sum = 0;

    (void)state;
    memset(data, 0xff, sizeof data);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t more = checksum_add(sum, data, sizeof data - 1);
        assert_true(more > sum && more - sum < (sizeof data + 3) / 4 * (uint64_t)UINT32_MAX);
        sum = more;
    }
    assert_int_equal(checksum_fold(sum), 0xffff);
    assert_int_equal(be16(checksum_fold(checksum_add(sum, "\1", 2))), 0x0100);
}

static void pseudo_headers_are_those_of_the_rfcs(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        struct rng rng = {seed};
        uint8_t head[40];
        uint32_t len = (uint32_t)rng_below(&rng, 65536);
        rng_fill(&rng, head, sizeof head);
        head[8] = 0;
        be16_store(head + 10, (uint16_t)len);
        HOLDS(seed, be16(checksum_fold(checksum_pseudo4(head, head + 4, head[9], len))) ==
                        naive(head, 12));
        len = (uint32_t)rng_next(&rng);
        be32_store(head + 32, len);
        memset(head + 36, 0, 3);
        HOLDS(seed, be16(checksum_fold(checksum_pseudo6(head, head + 16, head[39], len))) ==
                        naive(head, 40));
    }
}

/* Also where words are 0 and 0xffff, and sums negative zeros, which are half of these trials. The
 * first word never is 0, as in every header. */
static void an_update_is_what_summing_again_gives(void **state)
{
    static const uint16_t corners[] = {0, 0xffff, 1, 0xfffe, 0x00ff, 0xff00, 0x8000, 0x7fff};

    (void)state;
    for (unsigned seed = 0; seed < TRIALS; seed++) {
        struct rng rng = {seed};
        uint16_t word[4], was, now;
        bool corner = seed % 2;
        for (unsigned i = 0; i < 4; i++)
            word[i] =
                corner ? corners[rng_below(&rng, array_len(corners))] : (uint16_t)rng_next(&rng);
        word[0] |= 0x45;
        was = checksum_finish(checksum_add(0, word, sizeof word));
        now = corner ? corners[rng_below(&rng, array_len(corners))] : (uint16_t)rng_next(&rng);
        was = checksum_update(was, word[3], now);
        word[3] = now;
        HOLDS(seed, was == checksum_finish(checksum_add(0, word, sizeof word)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_1071),
        cmocka_unit_test(the_example_of_rfc_1624),
        cmocka_unit_test(nothing_is_zero_and_zeros_are_too),
        cmocka_unit_test(folding_brings_every_carry_round),
        cmocka_unit_test(any_length_and_alignment_agree_with_a_naive_sum),
        cmocka_unit_test(parts_of_even_length_sum_up),
        cmocka_unit_test(long_sums_do_not_overflow),
        cmocka_unit_test(pseudo_headers_are_those_of_the_rfcs),
        cmocka_unit_test(an_update_is_what_summing_again_gives),
    };
    return run_group(tests);
}
