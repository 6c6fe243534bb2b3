/* SPDX-License-Identifier: MIT
 * The MTU of paths: it only becomes smaller, has a floor, ends, and a flood does not evict it. */
#include "stack_tables.h"

#include "stack/pmtu.h"

static struct pmtu *open_with(uint32_t max)
{
    struct pmtu *p = pmtu_open(max, 99, NULL);
    assert_non_null(p);
    return p;
}

static bool learn(struct pmtu *p, struct ip ip, uint32_t mtu, uint64_t now)
{
    return pmtu_learn(p, ip.at, mtu, 1500, now);
}
static uint32_t get(struct pmtu *p, struct ip ip, uint64_t now)
{
    return pmtu_get(p, ip.at, now);
}

static void nothing_is_known_of_others(void **state)
{
    (void)state;
    struct pmtu *p = open_with(8);
    assert_int_equal(get(p, ip4_of(1), START), 0);
    assert_true(learn(p, ip4_of(1), 1400, START));
    assert_int_equal(get(p, ip4_of(1), START), 1400);
    assert_int_equal(get(p, ip4_of(2), START), 0);
    assert_int_equal(get(p, ip6_of(1), START), 0);
    pmtu_close(p);
}

static void it_only_becomes_smaller(void **state)
{
    (void)state;
    struct pmtu *p = open_with(8);
    assert_true(learn(p, ip4_of(1), 1300, START));
    assert_false(learn(p, ip4_of(1), 1400, START));
    assert_false(learn(p, ip4_of(1), 1300, START));
    assert_int_equal(get(p, ip4_of(1), START), 1300);
    assert_true(learn(p, ip4_of(1), 1299, START));
    assert_int_equal(get(p, ip4_of(1), START), 1299);
    pmtu_close(p);
}

static void it_has_a_floor(void **state)
{
    (void)state;
    struct pmtu *p = open_with(8);
    assert_true(learn(p, ip4_of(1), 68, START));
    assert_int_equal(get(p, ip4_of(1), START), PMTU_FLOOR4);
    assert_false(learn(p, ip6_of(1), 1279, START)); /* RFC 8201: discarded */
    assert_int_equal(get(p, ip6_of(1), START), 0);
    assert_true(learn(p, ip6_of(1), 1280, START));
    assert_int_equal(get(p, ip6_of(1), START), PMTU_FLOOR6);
    pmtu_close(p);
}

static void a_packet_that_fits_cannot_have_been_too_big(void **state)
{
    (void)state;
    struct pmtu *p = open_with(8);
    assert_false(learn(p, ip4_of(1), 1500, START));
    assert_false(learn(p, ip4_of(1), 9000, START));
    assert_int_equal(pmtu_count(p), 0);
    pmtu_close(p);
}

static void a_router_that_does_not_say_gets_the_next_plateau(void **state)
{
    (void)state;
    struct pmtu *p = open_with(8);
    struct ip ip = ip4_of(1);
    assert_true(pmtu_learn(p, ip.at, 0, 1500, START));
    assert_int_equal(get(p, ip, START), 1492);
    assert_true(pmtu_learn(p, ip.at, 0, 1492, START));
    assert_int_equal(get(p, ip, START), 1006);
    assert_true(pmtu_learn(p, ip.at, 0, 1006, START));
    assert_int_equal(get(p, ip, START), PMTU_FLOOR4);
    assert_false(pmtu_learn(p, ip.at, 0, 576, START));
    pmtu_close(p);
}

/* What is believed is the floor, and the packet was smaller: it cannot have been too big. */
static void a_packet_below_the_floor_narrows_nothing(void **state)
{
    (void)state;
    struct pmtu *p = open_with(8);
    assert_false(pmtu_learn(p, ip4_of(1).at, 300, 500, START));
    assert_false(pmtu_learn(p, ip4_of(1).at, 300, 576, START));
    assert_false(pmtu_learn(p, ip4_of(1).at, 0, 400, START));
    assert_int_equal(pmtu_count(p), 0);
    assert_true(pmtu_learn(p, ip4_of(1).at, 300, 577, START));
    pmtu_close(p);
}

/* Learned, and nobody sends there. */
static void what_was_never_asked_for_makes_room_at_once(void **state)
{
    (void)state;
    struct pmtu *p = open_with(16);
    for (uint32_t i = 0; i < 16; i++)
        assert_true(learn(p, ip4_of(1000 + i), 1400, START));
    assert_true(learn(p, ip4_of(1), 1400, START));
    assert_int_equal(get(p, ip4_of(1), START), 1400);
    for (uint32_t i = 0; i < 1000; i++)
        assert_true(learn(p, ip4_of(2000 + i), 1400, START));
    assert_int_equal(get(p, ip4_of(1), START), 1400);
    pmtu_close(p);
}

static void it_is_forgotten_after_ten_minutes(void **state)
{
    (void)state;
    struct pmtu *p = open_with(8);
    assert_int_equal(pmtu_next_ns(p), UINT64_MAX);
    learn(p, ip4_of(1), 1400, START);
    learn(p, ip4_of(2), 1400, START + 60 * SECOND);
    assert_int_equal(pmtu_next_ns(p), START + PMTU_EXPIRY_NS);
    assert_false(pmtu_expire(p, START + PMTU_EXPIRY_NS - 1));
    assert_true(pmtu_expire(p, START + PMTU_EXPIRY_NS));
    assert_int_equal(get(p, ip4_of(1), START + PMTU_EXPIRY_NS), 0);
    assert_int_equal(get(p, ip4_of(2), START + PMTU_EXPIRY_NS), 1400);
    assert_true(pmtu_expire(p, START + PMTU_EXPIRY_NS + 60 * SECOND));
    assert_int_equal(pmtu_next_ns(p), UINT64_MAX);
    pmtu_close(p);
}

static void a_flood_does_not_evict_what_is_in_use(void **state)
{
    (void)state;
    enum { IN_USE = 8 };
    struct pmtu *p = open_with(16);
    for (uint32_t i = 0; i < IN_USE; i++)
        assert_true(learn(p, ip4_of(i), 1000 + i, START));
    for (uint32_t i = 0; i < 200000; i++) {
        uint64_t now = START + i * MS;
        learn(p, ip4_of(1000 + i), 1400, now);
        for (uint32_t j = 0; i % 1000 == 0 && j < IN_USE; j++)
            assert_int_equal(get(p, ip4_of(j), now), 1000 + j);
    }
    assert_int_equal(pmtu_count(p), 16);
    pmtu_close(p);
}

static void what_nobody_asks_for_makes_room(void **state)
{
    (void)state;
    struct pmtu *p = open_with(16);
    for (uint32_t i = 0; i < 16; i++) {
        learn(p, ip4_of(i), 1400, START);
        get(p, ip4_of(i), START);
    }
    assert_false(learn(p, ip4_of(100), 1400, START + 50 * SECOND));
    assert_true(learn(p, ip4_of(100), 1400, START + 100 * SECOND));
    assert_int_equal(pmtu_count(p), 16);
    assert_int_equal(get(p, ip4_of(100), START + 100 * SECOND), 1400);
    pmtu_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_of_others),
        cmocka_unit_test(it_only_becomes_smaller),
        cmocka_unit_test(it_has_a_floor),
        cmocka_unit_test(a_packet_that_fits_cannot_have_been_too_big),
        cmocka_unit_test(a_router_that_does_not_say_gets_the_next_plateau),
        cmocka_unit_test(it_is_forgotten_after_ten_minutes),
        cmocka_unit_test(a_flood_does_not_evict_what_is_in_use),
        cmocka_unit_test(what_nobody_asks_for_makes_room),
        cmocka_unit_test(a_packet_below_the_floor_narrows_nothing),
        cmocka_unit_test(what_was_never_asked_for_makes_room_at_once),
    };
    return run_group(tests);
}
