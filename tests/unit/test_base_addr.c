/* SPDX-License-Identifier: MIT
 * Addresses: what parses, what does not, and that text, struct and sockaddr agree. */
#include "test.h"

#include "base/base.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <errno.h>

static struct weir_addr parsed(const char *text)
{
    struct weir_addr addr;

    memset(&addr, 0xa5, sizeof addr);
    assert_int_equal(weir_addr_parse(text, &addr), 0);
    return addr;
}

static void assert_text(const char *from, const char *wanted)
{
    char text[WEIR_ADDR_TEXT];
    struct weir_addr addr = parsed(from), again;

    assert_ptr_equal(weir_addr_text(&addr, text), text);
    assert_string_equal(text, wanted);
    again = parsed(text);
    assert_true(addr_equal(&addr, &again));
}

static void text_survives_a_round_trip(void **state)
{
    (void)state;
    assert_text("127.0.0.1:7000", "127.0.0.1:7000");
    assert_text("0.0.0.0:0", "0.0.0.0:0");
    assert_text("255.255.255.255:65535", "255.255.255.255:65535");
    assert_text("[::1]:7000", "[::1]:7000");
    assert_text("[2001:DB8:0:0::1]:1", "[2001:db8::1]:1");
    assert_text("[::ffff:10.0.0.1]:9", "10.0.0.1:9");
    assert_text("*:7000", "*:7000");
    assert_text("7000", "*:7000");
    assert_text("[::]:7000", "*:7000");
    assert_text("[fe80::1]:5", "[fe80::1]:5");
}

static void what_is_not_an_address_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "*",
        "*:",
        "::1",
        "::1:7000",
        "[::1]",
        "[::1]:",
        "[::1:7000",
        "::1]:7000",
        "[]:1",
        "[:1",
        "[",
        "1.2.3:1",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4: 1",
        "1.2.3.4:1 ",
        " 1.2.3.4:1",
        "1.2.3.4:65536",
        "1.2.3.4:000001",
        "1.2.3.256:1",
        "01.2.3.4:1x",
        "[1.2.3.4]:1",
        "[::g]:1",
        "[fe80::1%]:1",
        "[fe80::1%0]:1",
        "[fe80::1%65536]:1",
        "[fe80::1%no-such-if]:1",
        "[2001:db8::1%1]:1",
        "[::ffff:1.2.3.4%1]:1",
        "localhost:7000",
        "[fe80::1%aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]:"
        "1",
    };
    struct weir_addr addr, before;

    (void)state;
    memset(&addr, 0x5a, sizeof addr);
    before = addr;
    for (size_t i = 0; i < array_len(bad); i++) {
        if (weir_addr_parse(bad[i], &addr) != -EINVAL)
            fail_msg("\"%s\" was taken for an address", bad[i]);
        assert_true(addr_equal(&addr, &before));
    }
}

static void a_zone_belongs_to_a_link_local_address(void **state)
{
    char name[IF_NAMESIZE], text[WEIR_ADDR_TEXT], wanted[WEIR_ADDR_TEXT];
    struct weir_addr addr = parsed("[ff02::1%65535]:5");

    (void)state;
    assert_int_equal(addr.scope, 65535);
    assert_string_equal(weir_addr_text(&addr, text), "[ff02::1%65535]:5");
    if (!if_indextoname(1, name))
        SKIP("there is no interface of index 1");
    snprintf(wanted, sizeof wanted, "[fe80::1%%%s]:5", name);
    assert_text("[fe80::1%1]:5", wanted);
}

static void the_longest_text_fits(void **state)
{
    char text[WEIR_ADDR_TEXT];
    struct weir_addr addr = {.port = 65535, .scope = 65535};

    (void)state;
    memset(addr.ip, 0xfe, sizeof addr.ip);
    weir_addr_text(&addr, text);
    assert_string_equal(text, "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe%65535]:65535");
}

static void wildcards_and_families_are_told_apart(void **state)
{
    struct weir_addr any6 = parsed("*:1"), any4 = parsed("0.0.0.0:1"), v6 = parsed("[::1]:1");
    struct weir_addr v4 = weir_addr_ip4(10, 1, 2, 3, 4000), same = parsed("10.1.2.3:4000");

    (void)state;
    assert_true(addr_is_any(&any6) && addr_is_any(&any4));
    assert_false(addr_is_any(&v6) || addr_is_any(&v4));
    assert_true(addr_is_ip4(&v4) && addr_is_ip4(&any4));
    assert_false(addr_is_ip4(&v6) || addr_is_ip4(&any6));
    assert_true(addr_equal(&v4, &same));
    assert_false(addr_equal(&v4, &any4));
}

static void a_sockaddr_of_either_family_comes_back(void **state)
{
    static const struct {
        const char *text;
        int family;
    } cases[] = {
        {"10.1.2.3:4000", AF_INET},      {"10.1.2.3:4000", AF_INET6}, {"[::1]:1", AF_INET6},
        {"[fe80::2%65535]:9", AF_INET6}, {"*:80", AF_INET6},
    };
    struct sockaddr_storage sock;
    uint8_t odd[1 + sizeof sock];

    (void)state;
    for (size_t i = 0; i < array_len(cases); i++) {
        struct weir_addr addr = parsed(cases[i].text), back;
        unsigned len = addr_to_sock(&addr, cases[i].family, &sock);

        assert_int_equal(len, cases[i].family == AF_INET ? sizeof(struct sockaddr_in)
                                                         : sizeof(struct sockaddr_in6));
        assert_int_equal(sock.ss_family, cases[i].family);
        memcpy(odd + 1, &sock, len);
        addr_from_sock(odd + 1, &back);
        assert_true(addr_equal(&addr, &back));
    }
}

static void a_sockaddr_that_cannot_be_is_refused(void **state)
{
    struct weir_addr v6 = parsed("[::1]:1"), any = parsed("*:80"), back;
    struct sockaddr_storage sock;
    struct sockaddr_in in4;

    (void)state;
    assert_int_equal(addr_to_sock(&v6, AF_INET, &sock), 0);
    assert_int_equal(addr_to_sock(&v6, AF_UNIX, &sock), 0);
    assert_int_equal(addr_to_sock(&any, AF_INET, &sock), sizeof in4);
    memcpy(&in4, &sock, sizeof in4);
    assert_int_equal(in4.sin_addr.s_addr, INADDR_ANY);
    assert_int_equal(ntohs(in4.sin_port), 80);

    memset(&sock, 0xff, sizeof sock);
    sock.ss_family = AF_UNIX;
    addr_from_sock(&sock, &back);
    assert_true(addr_is_any(&back));
    assert_int_equal(back.port, 0);
}

static void a_zone_of_a_global_address_is_dropped(void **state)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_scope_id = 3};
    struct weir_addr addr;

    (void)state;
    in6.sin6_addr.s6_addr[0] = 0x20;
    addr_from_sock(&in6, &addr);
    assert_int_equal(addr.scope, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_survives_a_round_trip),
        cmocka_unit_test(what_is_not_an_address_is_refused),
        cmocka_unit_test(a_zone_belongs_to_a_link_local_address),
        cmocka_unit_test(the_longest_text_fits),
        cmocka_unit_test(wildcards_and_families_are_told_apart),
        cmocka_unit_test(a_sockaddr_of_either_family_comes_back),
        cmocka_unit_test(a_sockaddr_that_cannot_be_is_refused),
        cmocka_unit_test(a_zone_of_a_global_address_is_dropped),
    };

    return run_group(tests);
}
