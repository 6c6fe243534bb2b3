/* SPDX-License-Identifier: MIT
 * Option values: every kind with good and bad texts; a bad one leaves its field as it was. */
#include "test.h"

#include "options_table.h"

#include <errno.h>

static void numbers_and_what_they_mean(void **state)
{
    static const struct {
        unsigned row;
        const char *text;
        int result;
        uint64_t value;
    } cases[] = {
        {BYTES, "0", 0, 0},
        {BYTES, "64", 0, 64},
        {BYTES, "007", 0, 7},
        {BYTES, "1k", 0, 1000},
        {BYTES, "1.5k", 0, 1500},
        {BYTES, "4Ki", 0, 4096},
        {BYTES, "0.5Ki", 0, 512},
        {BYTES, "2M", 0, 2000000},
        {BYTES, "1.50M", 0, 1500000},
        {BYTES, "3G", 0, 3000000000},
        {BYTES, "1Gi", 0, 1 << 30},
        {BYTES, "1.0", 0, 1},
        {BYTES, "18446744073709551615", 0, UINT64_MAX},
        {BYTES, "18446744073709551616", -ERANGE, 0},
        {BYTES, "18446744073709551615k", -ERANGE, 0},
        {BYTES, "18446744073.8G", -ERANGE, 0},
        {BYTES, "", -EINVAL, 0},
        {BYTES, "k", -EINVAL, 0},
        {BYTES, "-1", -EINVAL, 0},
        {BYTES, "+1", -EINVAL, 0},
        {BYTES, " 1", -EINVAL, 0},
        {BYTES, "1 ", -EINVAL, 0},
        {BYTES, "1 k", -EINVAL, 0},
        {BYTES, "0x10", -EINVAL, 0},
        {BYTES, "1e3", -EINVAL, 0},
        {BYTES, "1.", -EINVAL, 0},
        {BYTES, ".5k", -EINVAL, 0},
        {BYTES, "1.5", -EINVAL, 0},
        {BYTES, "1.0005k", -EINVAL, 0},
        {BYTES, "1K", -EINVAL, 0},
        {BYTES, "1kk", -EINVAL, 0},
        {BYTES, "1.2.3k", -EINVAL, 0},
        {BYTES, "1,5k", -EINVAL, 0},
        {BYTES, "max", -EINVAL, 0},
        {BYTES, "0.00000000000000000001k", -ERANGE, 0},
        {TIME, "2", 0, 2 * SECOND},
        {TIME, "0.5", 0, SECOND / 2},
        {TIME, "500ms", 0, SECOND / 2},
        {TIME, "2s", 0, 2 * SECOND},
        {TIME, "1m", 0, 60 * SECOND},
        {TIME, "1h", 0, 3600 * SECOND},
        {TIME, "1500us", 0, 1500000},
        {TIME, "1000000ns", 0, 1000000},
        {TIME, "0.1", 0, SECOND / 10},
        {TIME, "1.000000001", 0, SECOND + 1},
        {TIME, "1.0000000001", -EINVAL, 0},
        {TIME, "999us", -ERANGE, 0},
        {TIME, "0", -ERANGE, 0},
        {TIME, "61m", -ERANGE, 0},
        {TIME, "2 s", -EINVAL, 0},
        {TIME, "2sec", -EINVAL, 0},
        {TIME, "1k", -EINVAL, 0},
        {TIME, "-1s", -EINVAL, 0},
        {RATE, "max", 0, OPTION_RATE_MAX},
        {RATE, "100k", 0, 100000},
        {RATE, "1.5M", 0, 1500000},
        {RATE, "1", 0, 1},
        {RATE, "0", -ERANGE, 0},
        {RATE, "2G", -ERANGE, 0},
        {RATE, "Max", -EINVAL, 0},
        {RATE, "max ", -EINVAL, 0},
        {RATE, "", -EINVAL, 0},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct all all;
        memset(&all, 0x5a, sizeof all);
        uint64_t *field = (uint64_t *)((char *)&all + rows[cases[i].row].offset), before = *field;
        int r = option_set(&rows[cases[i].row], cases[i].text, &all);
        if (r != cases[i].result || *field != (r ? before : cases[i].value))
            fail_msg("\"%s\" gave %d and %llu", cases[i].text, r, (unsigned long long)*field);
    }
}

static void narrow_fields_touch_only_themselves(void **state)
{
    struct all all;
    (void)state;
    memset(&all, 0x5a, sizeof all);
    assert_int_equal(option_set(&rows[PORT], "65535", &all), 0);
    assert_int_equal(option_set(&rows[SOCKETS], "20k", &all), 0);
    assert_int_equal(all.port, 65535);
    assert_int_equal(all.sockets, 20000);
    assert_int_equal(*(uint8_t *)&all.quiet, 0x5a);
    assert_int_equal(all.bytes, UINT64_C(0x5a5a5a5a5a5a5a5a));
    assert_int_equal(option_set(&rows[PORT], "65536", &all), -ERANGE);
    assert_int_equal(option_set(&rows[SOCKETS], "20001", &all), -ERANGE);
    assert_int_equal(all.port, 65535);
}

static void names(void **state)
{
    struct all all = {0};
    static const char *const bad[] = {"", "Echo", "ech", "echoo", "echo,flood", " echo", "all"};
    (void)state;
    assert_int_equal(option_set(&rows[LOAD], "players", &all), 0);
    assert_int_equal(all.load, PLAYERS);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(option_set(&rows[LOAD], bad[i], &all), -EINVAL);
    assert_int_equal(all.load, PLAYERS);
}

static void sets_of_names(void **state)
{
    struct all all = {0};
    (void)state;
    assert_int_equal(option_set(&rows[MASK], "uring,naive,uring", &all), 0);
    assert_int_equal(all.mask, 5);
    assert_int_equal(option_set(&rows[MASK], "all", &all), 0);
    assert_int_equal(all.mask, 7);
    assert_int_equal(option_set(&rows[MASK], "epoll,all", &all), -EINVAL);
    assert_int_equal(all.mask, 7);
}

static void lists_keep_their_order(void **state)
{
    struct all all = {0};
    static const char *const bad[] =
        {"",         ",", "epoll,", ",epoll", "epoll,,uring", "epoll;uring", "epol", "epoll, uring",
         "all,epoll"};
    (void)state;
    assert_int_equal(option_set(&rows[BACKENDS], "uring,epoll,uring", &all), 0);
    assert_int_equal(all.backends.count, 3);
    assert_int_equal(all.backends.value[0], 2);
    assert_int_equal(all.backends.value[1], 1);
    assert_int_equal(all.backends.value[2], 2);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(option_set(&rows[BACKENDS], bad[i], &all), -EINVAL);
    assert_int_equal(all.backends.count, 3);
}

static void lists_of_numbers_have_ranges_and_an_end(void **state)
{
    struct all all = {0};
    char many[3 * (OPTION_LIST_MAX + 1) + 1] = "";
    (void)state;
    assert_int_equal(option_set(&rows[SIZES], "64,1.2k,4Ki", &all), 0);
    assert_int_equal(all.sizes.count, 3);
    assert_int_equal(all.sizes.value[1], 1200);
    assert_int_equal(all.sizes.value[2], 4096);
    assert_int_equal(option_set(&rows[SIZES], "64,15", &all), -ERANGE);
    assert_int_equal(option_set(&rows[SIZES], "64,x", &all), -EINVAL);
    assert_int_equal(option_set(&rows[SIZES], "all", &all), -EINVAL);
    for (unsigned i = 0; i < OPTION_LIST_MAX; i++)
        strcat(many, i ? ",99" : "99");
    assert_int_equal(option_set(&rows[SIZES], many, &all), 0);
    assert_int_equal(all.sizes.count, OPTION_LIST_MAX);
    assert_int_equal(option_set(&rows[SIZES], strcat(many, ",99"), &all), -ERANGE);
    memset(many, '1', sizeof many - 1); /* an entry longer than any number */
    assert_int_equal(option_set(&rows[SIZES], many, &all), -EINVAL);
}

static void addresses(void **state)
{
    struct all all = {0};
    struct weir_addr wanted = weir_addr_ip4(127, 0, 0, 1, 7001);
    (void)state;
    assert_int_equal(option_set(&rows[BIND], "127.0.0.1:7001", &all), 0);
    assert_memory_equal(&all.bind, &wanted, sizeof wanted);
    assert_int_equal(option_set(&rows[BIND], "localhost:7001", &all), -EINVAL);
    assert_int_equal(option_set(&rows[BIND], "127.0.0.1:70000", &all), -EINVAL);
    assert_memory_equal(&all.bind, &wanted, sizeof wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_what_they_mean),
        cmocka_unit_test(narrow_fields_touch_only_themselves),
        cmocka_unit_test(names),
        cmocka_unit_test(sets_of_names),
        cmocka_unit_test(lists_keep_their_order),
        cmocka_unit_test(lists_of_numbers_have_ranges_and_an_end),
        cmocka_unit_test(addresses),
    };
    return run_group(tests);
}
