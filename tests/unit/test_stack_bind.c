/* SPDX-License-Identifier: MIT
 * Binding: what an address means, which sockets may share a port, which ports are drawn. */
#include "two_stacks.h"

static int bind_to(struct host *h, uint32_t socket, const char *text)
{
    struct weir_addr at = addr_of(text), ret;
    return stack_bind(h->s, socket, &at, &ret);
}

static void assert_told(struct host *h, uint32_t socket, const char *asked, const char *told)
{
    struct weir_addr is = host_bind(h, socket, asked), want = addr_of(told);
    assert_memory_equal(&is, &want, sizeof is);
    stack_unbind(h->s, socket);
}

static void a_wildcard_with_one_meaning_is_that_address(void **state)
{
    struct host a;
    (void)state;
    host_open(&a, "10.0.0.1/24", mac_a);
    assert_told(&a, 0, "*:7", "10.0.0.1:7");
    assert_told(&a, 0, "0.0.0.0:7", "10.0.0.1:7");
    assert_told(&a, 0, "10.0.0.1:7", "10.0.0.1:7");
    host_close(&a);
    host_open(&a, "10.0.0.1/24 fd00::1/64", mac_a);
    assert_told(&a, 0, "*:7", "*:7");
    assert_told(&a, 0, "0.0.0.0:7", "10.0.0.1:7");
    host_close(&a);
    host_open(&a, "10.0.0.1/24 10.0.1.1/24", mac_a);
    assert_told(&a, 0, "0.0.0.0:7", "0.0.0.0:7");
    host_close(&a);
}

static void only_our_addresses_can_be_bound(void **state)
{
    struct host a;
    (void)state;
    host_open(&a, "10.0.0.1/24", mac_a);
    assert_int_equal(bind_to(&a, 0, "10.0.0.2:7"), -EADDRNOTAVAIL);
    assert_int_equal(bind_to(&a, 0, "127.0.0.1:7"), -EADDRNOTAVAIL);
    assert_int_equal(bind_to(&a, 0, "10.0.0.255:7"), -EADDRNOTAVAIL);
    assert_int_equal(bind_to(&a, 0, "224.0.0.1:7"), -EADDRNOTAVAIL);
    assert_int_equal(bind_to(&a, 0, "[fd00::1]:7"), -EADDRNOTAVAIL);
    host_close(&a);
    host_open(&a, "fd00::1/64", mac_a);
    assert_int_equal(bind_to(&a, 0, "0.0.0.0:7"), -EADDRNOTAVAIL);
    host_close(&a);
}

static void a_port_is_shared_by_different_addresses_only(void **state)
{
    struct host a;
    (void)state;
    host_open(&a, "10.0.0.1/24 10.0.1.1/24 fd00::1/64", mac_a);
    assert_int_equal(bind_to(&a, 0, "10.0.0.1:7"), 0);
    assert_int_equal(bind_to(&a, 1, "10.0.0.1:7"), -EADDRINUSE);
    assert_int_equal(bind_to(&a, 1, "10.0.1.1:7"), 0);
    assert_int_equal(bind_to(&a, 2, "0.0.0.0:7"), 0);
    assert_int_equal(bind_to(&a, 3, "*:7"), -EADDRINUSE);
    assert_int_equal(bind_to(&a, 3, "[fd00::1]:7"), 0);
    stack_unbind(a.s, 2);
    assert_int_equal(bind_to(&a, 2, "*:7"), 0);
    assert_int_equal(bind_to(&a, 4, "0.0.0.0:7"), -EADDRINUSE);
    stack_unbind(a.s, 0);
    assert_int_equal(bind_to(&a, 0, "10.0.0.1:7"), 0);
    host_close(&a);
}

/* What was told is what is taken. */
static void a_wildcard_that_became_an_address_holds_it(void **state)
{
    struct host a;
    (void)state;
    host_open(&a, "10.0.0.1/24", mac_a);
    assert_int_equal(bind_to(&a, 0, "0.0.0.0:7"), 0);
    assert_int_equal(bind_to(&a, 1, "10.0.0.1:7"), -EADDRINUSE);
    host_close(&a);
}

static void a_socket_is_bound_once(void **state)
{
    struct host a;
    (void)state;
    host_open(&a, "10.0.0.1/24", mac_a);
    assert_int_equal(bind_to(&a, 0, "*:7"), 0);
    assert_int_equal(bind_to(&a, 0, "*:8"), -EINVAL);
    assert_int_equal(bind_to(&a, 16, "*:8"), -EINVAL); /* sockets_max */
    stack_unbind(a.s, 0);
    stack_unbind(a.s, 0);
    assert_int_equal(bind_to(&a, 0, "*:8"), 0);
    host_close(&a);
}

static void ports_are_drawn_by_the_seed(void **state)
{
    struct weir_addr first[3], again[3];
    struct host a;
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        host_open(&a, "10.0.0.1/24", mac_a);
        for (uint32_t i = 0; i < 3; i++)
            (round ? again : first)[i] = host_bind(&a, i, "*:0");
        host_close(&a);
    }
    assert_memory_equal(first, again, sizeof first);
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(first[i].port, 32768, 60999);
    assert_int_not_equal(first[0].port, first[1].port);
}

static void ports_run_out(void **state)
{
    static bool seen[65536];
    struct stack_opt opt = host_opt(mac_a);
    struct weir_addr any = addr_of("*:0"), ret;
    struct host a;
    const uint32_t ports = 60999 - 32768 + 1;
    (void)state;
    opt.sockets_max = ports + 1;
    host_open_with(&a, "10.0.0.1/24", opt, (struct weir_pool_opt){.small = 4});
    for (uint32_t i = 0; i < ports; i++) {
        assert_int_equal(stack_bind(a.s, i, &any, &ret), 0);
        assert_false(seen[ret.port]);
        seen[ret.port] = true;
    }
    assert_int_equal(stack_bind(a.s, ports, &any, &ret), -EADDRINUSE);
    stack_unbind(a.s, 100);
    assert_int_equal(stack_bind(a.s, ports, &any, &ret), 0);
    host_close(&a);
}

/* ---- opening --------------------------------------------------------------------------------- */

static struct stack *try_open(struct weir_pool *pool, struct counters *c, const char *address,
                              uint32_t mtu, const char *to, const char *via)
{
    struct weir_net net = net_of(address);
    struct weir_route route = {0};
    struct stack_opt opt = host_opt(mac_a);
    struct weir_why why = {0};
    opt.pool = pool;
    opt.counters = c;
    opt.mtu = mtu;
    opt.address = &net;
    opt.addresses = 1;
    opt.route = &route;
    opt.routes = to != NULL;
    if (to) {
        struct weir_net gateway = net_of(via);
        route.to = net_of(to);
        memcpy(route.via, gateway.ip, 16);
    }
    struct stack *s = stack_open(&opt, &why);
    assert_true(s != NULL || (why.code == -EINVAL && why.what[0]));
    return s;
}

static void what_cannot_be_is_refused_with_the_reason(void **state)
{
    struct weir_pool_opt opt = {.small = 4};
    struct weir_pool *pool = weir_pool_open(&opt, NULL);
    struct counters c = {0};
    (void)state;
    assert_null(try_open(pool, &c, "10.0.0.1/24", 575, NULL, NULL));
    assert_null(try_open(pool, &c, "10.0.0.1/24", 65536, NULL, NULL));
    assert_null(try_open(pool, &c, "fd00::1/64", 1279, NULL, NULL));
    assert_null(try_open(pool, &c, "127.0.0.1/8", 1500, NULL, NULL));
    assert_null(try_open(pool, &c, "224.0.0.1/8", 1500, NULL, NULL));
    assert_null(try_open(pool, &c, "::1/128", 1500, NULL, NULL));
    assert_null(try_open(pool, &c, "ff02::1/16", 1500, NULL, NULL));
    assert_null(try_open(pool, &c, "10.0.0.1/24", 1500, "0.0.0.0/0", "10.0.1.1"));
    assert_null(try_open(pool, &c, "10.0.0.1/24", 1500, "::/0", "10.0.0.9"));
    struct stack *s = try_open(pool, &c, "10.0.0.1/24", 1500, "0.0.0.0/0", "10.0.0.9");
    assert_non_null(s);
    stack_close(s);
    assert_int_equal(weir_pool_close(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wildcard_with_one_meaning_is_that_address),
        cmocka_unit_test(only_our_addresses_can_be_bound),
        cmocka_unit_test(a_port_is_shared_by_different_addresses_only),
        cmocka_unit_test(a_wildcard_that_became_an_address_holds_it),
        cmocka_unit_test(a_socket_is_bound_once),
        cmocka_unit_test(ports_are_drawn_by_the_seed),
        cmocka_unit_test(ports_run_out),
        cmocka_unit_test(what_cannot_be_is_refused_with_the_reason),
    };
    return run_group(tests);
}
