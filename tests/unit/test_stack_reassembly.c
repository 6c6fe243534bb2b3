/* SPDX-License-Identifier: MIT
 * Fragments: any order gives the datagram, no loss is overlooked, overlaps kill, floods are bounded,
 * and no buffer is lost in any of it. */
#include "stack_tables.h"

#include "stack/reassembly.h"

#define BYTES 4000u
#define PIECES 4u
#define PIECE 1000u /* a multiple of 8 */

static struct counters counters;
static uint8_t payload[65536];

struct bed {
    struct weir_pool *pool;
    struct reassembly *r;
};

static struct bed bed_with(uint32_t big, uint32_t max)
{
    struct bed b = {.pool = pool_with(1, big, 0, 0)};
    struct reassembly_opt opt = {b.pool, &counters, max, 30 * SECOND, 5};
    memset(&counters, 0, sizeof counters);
    b.r = reassembly_open(&opt, NULL);
    assert_non_null(b.r);
    for (uint32_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7 + i / 256);
    return b;
}

static void bed_end(struct bed *b)
{
    assert_sound(b->pool);
    reassembly_close(b->r);
    assert_closes(b->pool);
}

static struct fragment cut(uint32_t src, uint32_t id, uint32_t offset, uint32_t len, bool more)
{
    struct fragment f = {.id = id,
                         .protocol = 17,
                         .ip4 = true,
                         .more = more,
                         .offset = offset,
                         .data = payload + offset,
                         .len = len};
    memcpy(f.src, ip4_of(src).at, 16);
    memcpy(f.dst, ip4_of(0xffff).at, 16);
    return f;
}

/* Number `i` of PIECES. */
static struct fragment piece(uint32_t id, uint32_t i)
{
    return cut(1, id, i * PIECE, PIECE, i + 1 < PIECES);
}

static struct weir_buf *give_at(struct bed *b, struct fragment f, uint64_t now)
{
    uint8_t protocol = 0;
    struct weir_buf *whole = reassembly_in(b->r, &f, &protocol, now);
    assert_sound(b->pool);
    if (whole)
        assert_int_equal(protocol, 17);
    return whole;
}
static struct weir_buf *give(struct bed *b, struct fragment f)
{
    return give_at(b, f, START);
}

static void assert_whole(struct weir_buf *whole, uint32_t bytes)
{
    assert_non_null(whole);
    assert_int_equal(whole->len, bytes);
    assert_memory_equal(whole->data, payload, bytes);
    assert_int_equal(whole->refs, 1);
    drop(whole);
}

static void every_order_gives_the_datagram(void **state)
{
    (void)state;
    struct bed b = bed_with(4, 4);
    unsigned orders = 0;
    for (unsigned code = 0; code < 256; code++) {
        unsigned order[PIECES] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
        unsigned seen = 1u << order[0] | 1u << order[1] | 1u << order[2] | 1u << order[3];
        if (seen != 15)
            continue;
        for (unsigned i = 0; i + 1 < PIECES; i++)
            assert_null(give(&b, piece(code, order[i])));
        assert_whole(give(&b, piece(code, order[PIECES - 1])), BYTES);
        assert_int_equal(reassembly_count(b.r), 0);
        orders++;
    }
    assert_int_equal(orders, 24);
    assert_int_equal(COUNTED(&counters, reassembled), 24);
    assert_int_equal(COUNTED(&counters, copies), 96);
    assert_int_equal(COUNTED(&counters, copied_bytes), 24 * BYTES);
    bed_end(&b);
}

static void the_loss_of_any_is_a_timeout(void **state)
{
    (void)state;
    struct bed b = bed_with(4, 4);
    for (unsigned lost = 0; lost < PIECES; lost++) {
        for (unsigned i = 0; i < PIECES; i++)
            if (i != lost)
                assert_null(give(&b, piece(lost, i)));
        assert_int_equal(reassembly_next_ns(b.r), START + 30 * SECOND);
        reassembly_expire(b.r, START + 30 * SECOND - 1);
        assert_int_equal(COUNTED(&counters, fragment_timeout), lost);
        reassembly_expire(b.r, START + 30 * SECOND);
        assert_int_equal(COUNTED(&counters, fragment_timeout), lost + 1);
        assert_int_equal(reassembly_count(b.r), 0);
        assert_int_equal(count_of(b.pool, WEIR_BIG, WEIR_APP), 0);
    }
    assert_int_equal(reassembly_next_ns(b.r), UINT64_MAX);
    bed_end(&b);
}

static void what_comes_twice_is_ignored(void **state)
{
    (void)state;
    struct bed b = bed_with(4, 4);
    for (unsigned i = 0; i + 1 < PIECES; i++) {
        assert_null(give(&b, piece(1, i)));
        assert_null(give(&b, piece(1, i)));
    }
    assert_int_equal(COUNTED(&counters, fragment_again), PIECES - 1);
    assert_whole(give(&b, piece(1, PIECES - 1)), BYTES);
    assert_int_equal(COUNTED(&counters, fragment_bad), 0);
    bed_end(&b);
}

/* The same bounds with other bytes is an attack. */
static void what_comes_twice_with_other_bytes_kills(void **state)
{
    (void)state;
    struct bed b = bed_with(4, 4);
    struct fragment forged = piece(1, 1);
    forged.data = payload + 3;
    give(&b, piece(1, 0));
    give(&b, piece(1, 1));
    assert_null(give(&b, forged));
    assert_int_equal(COUNTED(&counters, fragment_bad), 3);
    bed_end(&b);
}

struct pair {
    const char *name;
    struct {
        uint32_t offset, len;
        bool more;
    } a, b;
};

/* Two fragments that cannot be of one datagram. */
static const struct pair impossible[] = {
    {"teardrop: inside the first", {0, 40, true}, {24, 4, false}},
    {"the first again, shorter", {0, 40, true}, {0, 32, true}},
    {"the first again, longer", {0, 40, true}, {0, 48, true}},
    {"from the left", {40, 40, true}, {0, 48, true}},
    {"from the right", {0, 48, true}, {40, 40, true}},
    {"inside", {0, 80, true}, {16, 16, true}},
    {"around", {16, 16, true}, {0, 80, true}},
    {"one unit", {0, 48, true}, {40, 8, true}},
    {"two ends", {40, 8, false}, {80, 8, false}},
    {"the end moves back", {80, 8, false}, {40, 8, false}},
    {"behind the end", {40, 8, false}, {48, 8, true}},
    {"up to the end, and more", {48, 8, false}, {48, 8, true}},
    {"an end before what is there", {80, 8, true}, {40, 8, false}},
    {"the end's last unit, shorter", {40, 16, false}, {48, 7, false}},
    {"the same, but the end", {40, 8, true}, {40, 8, false}},
};

static void what_overlaps_kills(void **state)
{
    (void)state;
    struct bed b = bed_with(4, 4);
    for (unsigned i = 0; i < array_len(impossible); i++) {
        const struct pair *p = &impossible[i];
        uint64_t bad = COUNTED(&counters, fragment_bad), now = START + i * 60 * SECOND;
        reassembly_expire(b.r, now);
        assert_null(give_at(&b, cut(1, i, p->a.offset, p->a.len, p->a.more), now));
        assert_null(give_at(&b, cut(1, i, p->b.offset, p->b.len, p->b.more), now));
        if (COUNTED(&counters, fragment_bad) != bad + 2)
            fail_msg("%s", p->name);
        assert_int_equal(count_of(b.pool, WEIR_BIG, WEIR_APP), 0);
        /* RFC 5722: and what would make it whole comes to nothing */
        assert_null(give_at(&b, cut(1, i, 0, 4000, false), now));
        assert_int_equal(COUNTED(&counters, fragment_bad), bad + 3);
    }
    assert_int_equal(COUNTED(&counters, reassembled), 0);
    bed_end(&b);
}

static void a_dead_one_is_no_timeout_and_its_id_lives_again(void **state)
{
    (void)state;
    struct bed b = bed_with(4, 4);
    give(&b, cut(1, 9, 0, 40, true));
    give(&b, cut(1, 9, 24, 4, false));
    reassembly_expire(b.r, START + 30 * SECOND);
    assert_int_equal(COUNTED(&counters, fragment_timeout), 0);
    for (unsigned i = 0; i + 1 < PIECES; i++)
        give_at(&b, piece(9, i), START + 31 * SECOND);
    assert_whole(give_at(&b, piece(9, PIECES - 1), START + 31 * SECOND), BYTES);
    bed_end(&b);
}

static void a_late_fragment_begins_anew(void **state)
{
    (void)state;
    struct bed b = bed_with(4, 4);
    give(&b, piece(1, 0));
    assert_null(give_at(&b, piece(1, 1), START + 30 * SECOND)); /* without a tick in between */
    assert_int_equal(COUNTED(&counters, fragment_timeout), 1);
    assert_int_equal(reassembly_count(b.r), 1);
    bed_end(&b);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct bed b = bed_with(4, 4);
    const struct fragment bad[] = {
        cut(1, 1, 0, 4, true),       /* not of 8 bytes, and no UDP header */
        cut(1, 2, 0, 7, false),      /* tiny */
        cut(1, 3, 8, 12, true),      /* not of 8 bytes */
        cut(1, 4, 8, 0, false),      /* empty */
        cut(1, 5, 65512, 8, false),  /* ping of death: longer than a packet may be */
        cut(1, 6, 65528, 16, false), /* beyond any offset */
    };
    for (unsigned i = 0; i < array_len(bad); i++)
        assert_null(give(&b, bad[i]));
    assert_int_equal(COUNTED(&counters, fragment_bad), array_len(bad));
    assert_int_equal(reassembly_count(b.r), 0);
    bed_end(&b);
}

static void the_largest_datagram_fits(void **state)
{
    (void)state;
    struct bed b = bed_with(1, 4);
    uint32_t offset = 0;
    for (; offset + 1480 < 65515; offset += 1480)
        assert_null(give(&b, cut(1, 1, offset, 1480, true)));
    assert_whole(give(&b, cut(1, 1, offset, 65515 - offset, false)), 65515);
    bed_end(&b);
}

static void the_smallest_pieces_fit_backwards(void **state)
{
    (void)state;
    struct bed b = bed_with(1, 4);
    for (uint32_t offset = 4000; offset; offset -= 8)
        assert_null(give(&b, cut(1, 1, offset, offset == 4000 ? 5 : 8, offset != 4000)));
    assert_whole(give(&b, cut(1, 1, 0, 8, true)), 4005);
    bed_end(&b);
}

static void what_differs_in_the_key_is_another_datagram(void **state)
{
    (void)state;
    struct bed b = bed_with(16, 64);
    struct fragment f = piece(1, 0);
    give(&b, f);
    f.id = 2, give(&b, f);
    f.id = 1, f.dst[15] ^= 1, give(&b, f);
    f.dst[15] ^= 1, f.src[15] ^= 1;
    give(&b, f);
    f.src[15] ^= 1;
    assert_int_equal(reassembly_count(b.r), 4);
    uint8_t protocol;
    f.protocol = 1;
    assert_null(reassembly_in(b.r, &f, &protocol, START));
    assert_int_equal(reassembly_count(b.r), 5);
    f.ip4 = false; /* IPv6: the protocol is not of the key */
    assert_null(reassembly_in(b.r, &f, &protocol, START));
    f.protocol = 17;
    f.offset = PIECE, f.data = payload + PIECE, f.more = false;
    f.len = 3000;
    struct weir_buf *whole = reassembly_in(b.r, &f, &protocol, START);
    assert_int_equal(protocol, 1); /* that of the fragment at 0 */
    assert_whole(whole, BYTES);
    bed_end(&b);
}

static void one_source_has_a_quarter_at_most(void **state)
{
    (void)state;
    struct bed b = bed_with(16, 16);
    for (uint32_t id = 0; id < 100000; id++)
        assert_null(reassembly_in(b.r,
                                  &(struct fragment){.ip4 = true,
                                                     .id = id,
                                                     .more = true,
                                                     .src = {1},
                                                     .data = payload,
                                                     .len = 8},
                                  &(uint8_t){0}, START));
    assert_int_equal(reassembly_count(b.r), 4);
    assert_int_equal(COUNTED(&counters, fragment_full), 100000 - 4);
    for (unsigned i = 0; i + 1 < PIECES; i++)
        assert_null(give(&b, piece(1, i)));
    assert_whole(give(&b, piece(1, PIECES - 1)), BYTES);
    bed_end(&b);
}

/* From everywhere: bounded, and who began before it ends well. */
static void a_flood_of_many_sources_is_bounded(void **state)
{
    (void)state;
    struct bed b = bed_with(16, 16);
    give(&b, piece(1, 0));
    give(&b, piece(1, 1)); /* two: it is under way, and stays */
    for (uint32_t i = 0; i < 100000; i++) {
        struct fragment f = cut(100 + i, i, 8, 8, true);
        assert_null(reassembly_in(b.r, &f, &(uint8_t){0}, START + i));
    }
    assert_int_equal(reassembly_count(b.r), 16);
    assert_int_equal(COUNTED(&counters, fragment_full), 100000 - 15);
    for (unsigned i = 2; i + 1 < PIECES; i++)
        give(&b, piece(1, i));
    assert_whole(give(&b, piece(1, PIECES - 1)), BYTES);
    reassembly_expire(b.r, START + 31 * SECOND);
    assert_int_equal(reassembly_count(b.r), 0);
    bed_end(&b);
}

/* First pieces alone fill the table, of forged sources, or of the honest one's own name: those who
 * send whole datagrams are not kept out. */
static void forged_first_pieces_keep_nobody_out(void **state)
{
    (void)state;
    for (uint32_t sources = 1; sources <= 64; sources *= 4) {
        struct bed b = bed_with(64, 64);
        for (uint32_t i = 0; i < 64; i++)
            assert_null(give(&b, cut(1 + i % sources, 1000 + i, 8, 8, true)));
        for (unsigned i = 0; i + 1 < PIECES; i++)
            assert_null(give(&b, piece(1, i)));
        assert_whole(give(&b, piece(1, PIECES - 1)), BYTES);
        bed_end(&b);
    }
}

/* Two pieces each: they keep their places for two seconds after the last, not for thirty. */
static void what_stalls_makes_room(void **state)
{
    (void)state;
    struct bed b = bed_with(64, 64);
    for (uint32_t i = 0; i < 64; i++)
        for (uint32_t j = 1; j < 3; j++)
            assert_null(give(&b, cut(2 + i, 1000 + i, 8 * j, 8, true)));
    assert_null(give_at(&b, piece(1, 0), START + SECOND));
    assert_int_equal(COUNTED(&counters, fragment_full), 1);
    for (unsigned i = 0; i + 1 < PIECES; i++)
        assert_null(give_at(&b, piece(2, i), START + 2 * SECOND));
    assert_whole(give_at(&b, piece(2, PIECES - 1), START + 2 * SECOND), BYTES);
    bed_end(&b);
}

/* Of IPv6 anybody has a whole /64. */
static void a_prefix_of_ip6_is_one_source(void **state)
{
    (void)state;
    struct bed b = bed_with(64, 64);
    for (uint32_t i = 0; i < 64; i++)
        for (uint32_t j = 1; j < 3; j++) {
            struct fragment f = cut(1, 1000 + i, 8 * j, 8, true);
            f.ip4 = false;
            memcpy(f.src, (const uint8_t[16]){0x20, 1, [15] = (uint8_t)i}, 16);
            assert_null(give(&b, f));
        }
    assert_int_equal(reassembly_count(b.r), 16);
    bed_end(&b);
}

static void without_buffers_it_is_full(void **state)
{
    (void)state;
    struct bed b = bed_with(1, 16);
    give(&b, piece(1, 0));
    assert_null(give(&b, piece(2, 0)));
    assert_int_equal(COUNTED(&counters, fragment_full), 1);
    bed_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_gives_the_datagram),
        cmocka_unit_test(the_loss_of_any_is_a_timeout),
        cmocka_unit_test(what_comes_twice_is_ignored),
        cmocka_unit_test(what_comes_twice_with_other_bytes_kills),
        cmocka_unit_test(what_overlaps_kills),
        cmocka_unit_test(a_dead_one_is_no_timeout_and_its_id_lives_again),
        cmocka_unit_test(a_late_fragment_begins_anew),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(the_largest_datagram_fits),
        cmocka_unit_test(the_smallest_pieces_fit_backwards),
        cmocka_unit_test(what_differs_in_the_key_is_another_datagram),
        cmocka_unit_test(one_source_has_a_quarter_at_most),
        cmocka_unit_test(a_flood_of_many_sources_is_bounded),
        cmocka_unit_test(without_buffers_it_is_full),
        cmocka_unit_test(forged_first_pieces_keep_nobody_out),
        cmocka_unit_test(what_stalls_makes_room),
        cmocka_unit_test(a_prefix_of_ip6_is_one_source),
    };
    return run_group(tests);
}
