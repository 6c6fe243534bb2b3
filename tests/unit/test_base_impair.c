/* SPDX-License-Identifier: MIT
 * Texts of impairments and networks: what they mean, and that a wrong word is named. */
#include "test.h"

#include <weir/frames.h>

#include <errno.h>

static void all_words_are_read(void **state)
{
    struct weir_impair i;
    (void)state;
    assert_int_equal(weir_impair_parse("loss=1%,delay=5ms,jitter=1ms,reorder=0.5%,dup=0.1%,"
                                       "corrupt=0.01%,rate=100mbit,seed=7",
                                       &i, NULL),
                     0);
    assert_true(i.loss == 0.01 && i.reorder == 0.005 && i.duplicate == 0.001 &&
                i.corrupt == 0.0001);
    assert_int_equal(i.delay_ns, 5000000);
    assert_int_equal(i.jitter_ns, 1000000);
    assert_int_equal(i.rate_bits, 100000000);
    assert_int_equal(i.seed, 7);
    assert_true(weir_impair_any(&i));
}

static void what_is_not_named_is_zero(void **state)
{
    struct weir_impair i = {.loss = 1, .seed = 9};
    (void)state;
    assert_int_equal(weir_impair_parse("seed=3", &i, NULL), 0);
    assert_false(weir_impair_any(&i));
    assert_int_equal(i.seed, 3);
    assert_int_equal(weir_impair_parse("rate=1.5gbit,delay=0.25us", &i, NULL), 0);
    assert_int_equal(i.rate_bits, 1500000000);
    assert_int_equal(i.delay_ns, 250);
    assert_int_equal(weir_impair_parse("loss=100%,delay=3600s,jitter=1ns,rate=1bit", &i, NULL), 0);
    assert_true(i.loss == 1);
    assert_int_equal(i.delay_ns, UINT64_C(3600000000000));
}

static void a_bad_word_is_named_and_changes_nothing(void **state)
{
    static const struct {
        const char *text, *word;
    } bad[] = {
        {"", "''"},
        {"loss=1%,", "''"},
        {",loss=1%", "''"},
        {"loss", "'loss'"},
        {"loss=", "'loss='"},
        {"loss=1", "'loss=1'"},
        {"loss=101%", "'loss=101%'"},
        {"loss=-1%", "'loss=-1%'"},
        {"loss=1.%", "'loss=1.%'"},
        {"loss=.5%", "'loss=.5%'"},
        {"loss=1e1%", "'loss=1e1%'"},
        {"loss=1%,loss=2%", "'loss=2%'"},
        {"loss = 1%", "'loss = 1%'"},
        {"delay=5", "'delay=5'"},
        {"delay=5 ms", "'delay=5 ms'"},
        {"delay=3600.1s", "'delay=3600.1s'"},
        {"delay=1234567890123456ns", "'delay=1234567890123456ns'"},
        {"rate=0mbit", "'rate=0mbit'"},
        {"rate=1001gbit", "'rate=1001gbit'"},
        {"rate=100Mbit", "'rate=100Mbit'"},
        {"seed=18446744073709551616", "'seed=18446744073709551616'"},
        {"seed=0x7", "'seed=0x7'"},
        {"dup=1%,lose=1%", "'lose=1%'"},
    };
    (void)state;
    for (unsigned n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        struct weir_impair i = {.seed = 42};
        struct weir_why why = {0};
        assert_int_equal(weir_impair_parse(bad[n].text, &i, &why), -EINVAL);
        assert_int_equal(i.seed, 42);
        if (!strstr(why.what, bad[n].word))
            fail_msg("'%s': %s", bad[n].text, why.what);
    }
}

static void assert_net(const char *text, const char *ip6, unsigned prefix)
{
    struct weir_net net, want;
    assert_int_equal(weir_net_parse(text, &net), 0);
    assert_int_equal(weir_net_parse(ip6, &want), 0);
    assert_memory_equal(net.ip, want.ip, sizeof net.ip);
    assert_int_equal(net.prefix, prefix);
}

static void networks_are_read(void **state)
{
    (void)state;
    assert_net("10.0.0.2/24", "::ffff:10.0.0.2", 120);
    assert_net("10.0.0.2", "::ffff:10.0.0.2", 128);
    assert_net("0.0.0.0/0", "::ffff:0.0.0.0", 96);
    assert_net("fd00::2/64", "fd00:0:0::2", 64);
    assert_net("fd00::2", "fd00::2", 128);
    assert_net("::/0", "::", 0);
}

static void bad_networks_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "/24",
                                      "10.0.0.2/",
                                      "10.0.0.2/33",
                                      "10.0.0/24",
                                      "10.0.0.2/-1",
                                      "10.0.0.2/+1",
                                      "10.0.0.2/ 1",
                                      "fd00::/129",
                                      "fd00::2%eth0",
                                      "10.0.0.2/24x",
                                      "10.0.0.2/0024",
                                      "fd00::2/6400000000"};
    (void)state;
    for (unsigned n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        struct weir_net net = {.prefix = 42};
        assert_int_equal(weir_net_parse(bad[n], &net), -EINVAL);
        assert_int_equal(net.prefix, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_words_are_read),
        cmocka_unit_test(what_is_not_named_is_zero),
        cmocka_unit_test(a_bad_word_is_named_and_changes_nothing),
        cmocka_unit_test(networks_are_read),
        cmocka_unit_test(bad_networks_are_refused),
    };
    return run_group(tests);
}
