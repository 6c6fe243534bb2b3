/* SPDX-License-Identifier: MIT
 * Counters: the public struct, the private one and the names are the same list, and a reader on
 * another thread gets whole values that never go back. Run under TSan, this is the test that COUNT
 * and the snapshot pair. */
#include "test.h"

#include "stat/counter.h"

#include <ctype.h>
#include <pthread.h>
#include <stdbool.h>

#define COUNTS 200000u
#define STEP                                                                                       \
    UINT64_C(0x100000001) /* both halves of a value change: half of an old one would show */

static void a_snapshot_has_every_counter_in_its_place(void **state)
{
    struct counters c;
    struct weir_counters got;
    uint64_t values[sizeof got / sizeof(uint64_t)];
    (void)state;
    memset(&c, 0, sizeof c);
#define X(name, text) COUNT(&c, name, 1 + offsetof(struct weir_counters, name));
    WEIR_COUNTERS(X)
#undef X
    counters_snapshot(&c, &got);
    memcpy(values, &got, sizeof got);
    assert_int_equal(weir_counter_count, array_len(values));
    for (unsigned i = 0; i < weir_counter_count; i++)
        assert_int_equal(values[i], 1 + i * sizeof(uint64_t));
}

static void names_are_words_and_told_apart(void **state)
{
    (void)state;
    for (unsigned i = 0; i < weir_counter_count; i++) {
        const char *name = weir_counter_names[i].name;
        assert_true(strlen(weir_counter_names[i].text) > 0);
        for (const char *c = name; *c; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(name, weir_counter_names[k].name);
    }
    assert_string_equal(weir_counter_names[0].name, "rx_packets");
}

static void counting_adds(void **state)
{
    struct counters c;
    struct weir_counters got;
    (void)state;
    memset(&c, 0, sizeof c);
    COUNT(&c, rx_bytes, 100);
    COUNT(&c, rx_bytes, (uint16_t)23);
    COUNT(&c, polls, 1);
    counters_snapshot(&c, &got);
    assert_int_equal(got.rx_bytes, 123);
    assert_int_equal(got.polls, 1);
    assert_int_equal(got.rx_packets, 0);
}

static void *count_on(void *arg)
{
    struct counters *c = arg;
    for (unsigned i = 0; i < COUNTS; i++)
        COUNT(c, rx_packets, STEP);
    return NULL;
}

static void another_thread_sees_whole_values_that_only_grow(void **state)
{
    static struct counters c;
    struct weir_counters got;
    uint64_t before = 0;
    pthread_t writer;
    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, count_on, &c), 0);
    do {
        counters_snapshot(&c, &got);
        assert_true(got.rx_packets >= before);
        assert_int_equal(got.rx_packets % STEP, 0);
        before = got.rx_packets;
    } while (before < COUNTS * STEP);
    pthread_join(writer, NULL);
    assert_int_equal(before, COUNTS * STEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_has_every_counter_in_its_place),
        cmocka_unit_test(names_are_words_and_told_apart),
        cmocka_unit_test(counting_adds),
        cmocka_unit_test(another_thread_sees_whole_values_that_only_grow),
    };
    return run_group(tests);
}
