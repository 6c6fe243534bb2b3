/* SPDX-License-Identifier: MIT
 * The neighbour cache: its states in virtual time, what strangers can and cannot do to it, and that
 * readers on other threads never see a MAC that is not the address's. */
#include "stack_tables.h"

#include "stack/neighbour.h"

#include <pthread.h>

#define ARP_CLAIM NEIGHBOUR_OVERRIDES
#define ARP_REQUEST_TO_US (NEIGHBOUR_OVERRIDES | NEIGHBOUR_ASKS)
#define ARP_ANSWER (NEIGHBOUR_OVERRIDES | NEIGHBOUR_ANSWERS)

static struct counters counters;

static struct neighbours *open_with(uint32_t max)
{
    struct neighbours_opt opt = {max, 77, &counters};
    memset(&counters, 0, sizeof counters);
    struct neighbours *n = neighbours_open(&opt, NULL);
    assert_non_null(n);
    return n;
}

static int use(struct neighbours *n, struct ip ip, uint64_t now)
{
    uint8_t mac[6];
    uint32_t number;
    return neighbours_use(n, ip.at, mac, &number, now);
}
static int find(struct neighbours *n, struct ip ip, struct mac *mac, uint64_t now)
{
    return neighbours_find(n, ip.at, mac->at, now);
}
/* Returns whether it was refused. */
static bool learn(struct neighbours *n, struct ip ip, struct mac mac, unsigned says, uint64_t now)
{
    bool spoofed;
    neighbours_learn(n, ip.at, mac.at, says, &spoofed, now);
    return spoofed;
}
/* How many are asked now; *failed how many failed. */
static unsigned due(struct neighbours *n, uint64_t now, unsigned *failed)
{
    struct neighbour_task task;
    unsigned asked = 0;
    *failed = 0;
    while (neighbours_due(n, &task, now)) {
        *failed += task.failed;
        asked += !task.failed;
    }
    return asked;
}
static unsigned asked(struct neighbours *n, uint64_t now)
{
    unsigned failed, r = due(n, now, &failed);
    assert_int_equal(failed, 0);
    return r;
}
static void make_reachable(struct neighbours *n, struct ip ip, struct mac mac, uint64_t now)
{
    struct neighbour_task task;
    uint8_t at[6];
    uint32_t number;
    assert_int_equal(neighbours_use(n, ip.at, at, &number, now), NEIGHBOUR_INCOMPLETE);
    assert_true(neighbours_step(n, number, &task, now));
    assert_false(task.failed || task.unicast);
    assert_false(learn(n, ip, mac, ARP_ANSWER, now));
    assert_int_equal(use(n, ip, now), NEIGHBOUR_REACHABLE);
}
static void mac_is(struct neighbours *n, struct ip ip, struct mac mac, uint64_t now)
{
    struct mac found = {{0}};
    assert_true(find(n, ip, &found, now) >= NEIGHBOUR_STALE);
    assert_memory_equal(found.at, mac.at, 6);
}

/* ---- states ---------------------------------------------------------------------------------- */

static void three_questions_then_it_failed(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    unsigned failed;
    assert_int_equal(use(n, ip4_of(1), START), NEIGHBOUR_INCOMPLETE);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(asked(n, START + i * SECOND), 1);
        assert_int_equal(asked(n, START + i * SECOND + SECOND / 2), 0);
        assert_int_equal(use(n, ip4_of(1), START + i * SECOND + 1), NEIGHBOUR_INCOMPLETE);
    }
    assert_int_equal(due(n, START + 3 * SECOND, &failed), 0);
    assert_int_equal(failed, 1);
    assert_int_equal(use(n, ip4_of(1), START + 3 * SECOND), NEIGHBOUR_FAILED);
    assert_int_equal(asked(n, START + 4 * SECOND), 0); /* forgotten */
    assert_int_equal(use(n, ip4_of(1), START + 4 * SECOND), NEIGHBOUR_INCOMPLETE);
    neighbours_close(n);
}

static void an_answer_makes_it_reachable(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    struct mac mac;
    assert_int_equal(find(n, ip4_of(1), &mac, START), NEIGHBOUR_NONE);
    make_reachable(n, ip4_of(1), mac_of(1), START);
    mac_is(n, ip4_of(1), mac_of(1), START);
    make_reachable(n, ip6_of(1), mac_of(2), START);
    mac_is(n, ip6_of(1), mac_of(2), START);
    mac_is(n, ip4_of(1), mac_of(1), START);
    neighbours_close(n);
}

static void what_is_not_used_becomes_stale_and_use_probes_it(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    struct neighbour_task task;
    uint64_t later = START + 50 * SECOND; /* beyond 45, the longest reachable time */
    make_reachable(n, ip4_of(1), mac_of(1), START);
    uint64_t next = neighbours_next_ns(n);
    assert_in_range(next, START, START + 45 * SECOND);
    assert_int_equal(asked(n, later), 0);
    assert_int_equal(neighbours_next_ns(n), UINT64_MAX); /* nothing is due ever */
    assert_int_equal(use(n, ip4_of(1), later), NEIGHBOUR_PROBE);
    mac_is(n, ip4_of(1), mac_of(1), later);
    assert_int_equal(asked(n, later + 4 * SECOND), 0); /* RFC 4861's delay */
    assert_true(neighbours_due(n, &task, later + 5 * SECOND));
    assert_true(task.unicast && !task.failed);
    assert_memory_equal(task.mac, mac_of(1).at, 6);
    assert_memory_equal(task.ip, ip4_of(1).at, 16);
    learn(n, ip4_of(1), mac_of(1), ARP_ANSWER, later + 5 * SECOND);
    assert_int_equal(use(n, ip4_of(1), later + 5 * SECOND), NEIGHBOUR_REACHABLE);
    neighbours_close(n);
}

/* It answers each probe, and is never anything that strangers could change. */
static void what_is_in_use_stays_known_for_an_hour(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    struct neighbour_task task;
    unsigned probes = 0;
    uint64_t generation;
    make_reachable(n, ip4_of(1), mac_of(1), START);
    generation = neighbours_generation(n);
    for (uint64_t now = START; now < START + 3600 * SECOND; now += SECOND / 4) {
        assert_true(use(n, ip4_of(1), now) >= NEIGHBOUR_PROBE);
        while (neighbours_due(n, &task, now)) {
            assert_true(task.unicast && !task.failed);
            learn(n, ip4_of(1), mac_of(1), ARP_ANSWER, now);
            probes++;
        }
        mac_is(n, ip4_of(1), mac_of(1), now);
    }
    assert_in_range(probes, 3600 / 45 - 1, 3600 / 15 + 1);
    assert_int_equal(neighbours_generation(n), generation);
    neighbours_close(n);
}

static void what_no_longer_answers_goes(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    unsigned failures = 0, questions = 0, failed;
    make_reachable(n, ip4_of(1), mac_of(1), START);
    uint64_t generation = neighbours_generation(n), now;
    for (now = START; now < START + 120 * SECOND && !failures; now += SECOND / 4) {
        assert_true(use(n, ip4_of(1), now) >= NEIGHBOUR_PROBE);
        questions += due(n, now, &failed);
        failures += failed;
    }
    assert_int_equal(failures, 1);
    assert_int_equal(questions, 3);
    assert_true(neighbours_generation(n) != generation);
    assert_int_equal(use(n, ip4_of(1), now), NEIGHBOUR_FAILED);
    neighbours_close(n);
}

/* The third probe asks everybody, and a new card may answer. */
static void a_new_card_is_found_by_the_last_probe(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    struct neighbour_task task;
    uint64_t later = START + 50 * SECOND;
    make_reachable(n, ip4_of(1), mac_of(1), START);
    assert_int_equal(asked(n, later), 0);
    use(n, ip4_of(1), later);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t now = later + (5 + i) * SECOND;
        assert_true(neighbours_due(n, &task, now));
        assert_int_equal(task.unicast, i < 2);
        assert_int_equal(learn(n, ip4_of(1), mac_of(2), ARP_ANSWER, now), i < 2);
        assert_int_equal(asked(n, now), 0);
        mac_is(n, ip4_of(1), mac_of(i < 2 ? 1 : 2), now);
    }
    neighbours_close(n);
}

static void questions_are_limited_in_all(void **state)
{
    (void)state;
    struct neighbours *n = open_with(8192);
    uint64_t questions = 0;
    unsigned failed;
    for (uint32_t i = 0; i < 4096; i++)
        assert_int_equal(use(n, ip4_of(i), START), NEIGHBOUR_INCOMPLETE);
    for (uint64_t now = START; now < START + 2 * SECOND; now += MS)
        questions += due(n, now, &failed);
    assert_in_range(questions, 1800, 2101); /* 1,000 a second and a burst of 100 */
    neighbours_close(n);
}

/* ---- what is told ---------------------------------------------------------------------------- */

static void what_is_told_stays(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    for (uint32_t i = 0; i < 16; i++)
        assert_true(neighbours_tell(n, ip4_of(i).at, mac_of(i).at, START) != NO_CELL);
    assert_int_equal(neighbours_tell(n, ip4_of(16).at, mac_of(16).at, START), NO_CELL);
    assert_int_equal(neighbours_next_ns(n), UINT64_MAX);
    for (uint32_t i = 100; i < 10000; i++)
        learn(n, ip4_of(i), mac_of(i), ARP_REQUEST_TO_US, START + i * SECOND);
    for (uint32_t i = 0; i < 16; i++) {
        assert_true(learn(n, ip4_of(i), mac_of(999), ARP_ANSWER, START + 20000 * SECOND));
        mac_is(n, ip4_of(i), mac_of(i), START + 20000 * SECOND);
    }
    uint64_t generation = neighbours_generation(n);
    assert_true(neighbours_forget(n, ip4_of(3).at) != NO_CELL);
    assert_int_equal(neighbours_forget(n, ip4_of(3).at), NO_CELL);
    assert_true(neighbours_generation(n) != generation);
    neighbours_close(n);
}

static void telling_resolves_what_waits(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    uint8_t mac[6];
    uint32_t number;
    neighbours_use(n, ip4_of(1).at, mac, &number, START);
    assert_int_equal(neighbours_tell(n, ip4_of(1).at, mac_of(1).at, START), number);
    assert_int_equal(use(n, ip4_of(1), START), NEIGHBOUR_TOLD);
    uint64_t generation = neighbours_generation(n);
    neighbours_tell(n, ip4_of(1).at, mac_of(1).at, START);
    assert_int_equal(neighbours_generation(n), generation);
    neighbours_tell(n, ip4_of(1).at, mac_of(2).at, START);
    assert_true(neighbours_generation(n) != generation);
    neighbours_close(n);
}

/* ---- strangers ------------------------------------------------------------------------------- */

static void an_answer_that_nobody_asked_for_creates_nothing(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    struct neighbours_stats stats;
    struct mac mac;
    learn(n, ip4_of(1), mac_of(1), ARP_ANSWER, START);
    learn(n, ip4_of(2), mac_of(2), ARP_CLAIM, START);
    neighbours_stats(n, &stats);
    assert_int_equal(stats.count, 0);
    learn(n, ip4_of(3), mac_of(3), ARP_REQUEST_TO_US, START);
    assert_int_equal(find(n, ip4_of(3), &mac, START), NEIGHBOUR_STALE);
    neighbours_close(n);
}

/* An answer before the question is none. */
static void an_early_answer_does_not_confirm(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    struct mac mac;
    use(n, ip4_of(1), START); /* not asked yet */
    learn(n, ip4_of(1), mac_of(1), ARP_ANSWER, START);
    assert_int_equal(find(n, ip4_of(1), &mac, START), NEIGHBOUR_PROBE);
    assert_int_equal(asked(n, START), 1);
    neighbours_close(n);
}

/* While we ask: a claim is nothing, a request of its own will do for now, the answer counts. */
static void the_answer_counts_more_than_what_came_before(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    struct mac mac;
    use(n, ip4_of(1), START);
    assert_int_equal(asked(n, START), 1);
    assert_false(learn(n, ip4_of(1), mac_of(666), ARP_CLAIM, START));
    assert_int_equal(find(n, ip4_of(1), &mac, START), NEIGHBOUR_INCOMPLETE);
    assert_false(learn(n, ip4_of(1), mac_of(667), ARP_REQUEST_TO_US, START));
    mac_is(n, ip4_of(1), mac_of(667), START);
    use(n, ip4_of(1), START);
    assert_false(learn(n, ip4_of(1), mac_of(1), ARP_ANSWER, START));
    mac_is(n, ip4_of(1), mac_of(1), START);
    assert_int_equal(use(n, ip4_of(1), START), NEIGHBOUR_REACHABLE);
    assert_true(learn(n, ip4_of(1), mac_of(667), ARP_ANSWER, START)); /* it comes too late */
    mac_is(n, ip4_of(1), mac_of(1), START);
    neighbours_close(n);
}

static void nobody_changes_a_reachable_entry(void **state)
{
    (void)state;
    static const unsigned says[] = {ARP_CLAIM, ARP_REQUEST_TO_US, ARP_ANSWER};
    struct neighbours *n = open_with(16);
    make_reachable(n, ip4_of(1), mac_of(1), START);
    uint64_t generation = neighbours_generation(n);
    for (unsigned i = 0; i < 30000; i++)
        assert_true(learn(n, ip4_of(1), mac_of(666), says[i % 3], START + i));
    mac_is(n, ip4_of(1), mac_of(1), START);
    assert_int_equal(neighbours_generation(n), generation);
    neighbours_close(n);
}

/* The same while the true one is asked because of it, and answers: once a second at most. */
static void a_claim_makes_us_ask_the_one_we_know(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    struct neighbour_task task;
    unsigned questions = 0;
    make_reachable(n, ip4_of(1), mac_of(1), START);
    for (uint64_t now = START; now < START + 10 * SECOND; now += MS) {
        learn(n, ip4_of(1), mac_of(666), ARP_ANSWER, now);
        while (neighbours_due(n, &task, now)) {
            assert_true(task.unicast && !task.failed);
            assert_memory_equal(task.mac, mac_of(1).at, 6);
            assert_false(learn(n, ip4_of(1), mac_of(1), ARP_ANSWER, now));
            questions++;
        }
        mac_is(n, ip4_of(1), mac_of(1), now);
    }
    assert_in_range(questions, 8, 10);
    neighbours_close(n);
}

/* RFC 4861, 7.2.5: without the override flag a MAC is not replaced, and nobody is blamed. */
static void an_advertisement_without_override_only_raises_doubt(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    make_reachable(n, ip6_of(1), mac_of(1), START);
    assert_false(learn(n, ip6_of(1), mac_of(2), NEIGHBOUR_ANSWERS, START + SECOND));
    mac_is(n, ip6_of(1), mac_of(1), START + SECOND);
    assert_int_equal(use(n, ip6_of(1), START + SECOND), NEIGHBOUR_PROBE);
    assert_int_equal(asked(n, START + 2 * SECOND), 1);
    bool spoofed; /* no address in it: it confirms */
    neighbours_learn(n, ip6_of(1).at, NULL, NEIGHBOUR_ANSWERS, &spoofed, START + 2 * SECOND);
    assert_false(spoofed);
    assert_int_equal(use(n, ip6_of(1), START + 2 * SECOND), NEIGHBOUR_REACHABLE);
    neighbours_close(n);
}

static void an_idle_entry_follows_a_claim(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    make_reachable(n, ip4_of(1), mac_of(1), START);
    asked(n, START + 50 * SECOND);
    uint64_t generation = neighbours_generation(n);
    assert_false(learn(n, ip4_of(1), mac_of(2), ARP_CLAIM, START + 70 * SECOND));
    assert_int_equal(neighbours_generation(n),
                     generation); /* nobody has headers with the old one */
    mac_is(n, ip4_of(1), mac_of(2), START + 70 * SECOND);
    neighbours_close(n);
}

/* A stranger with a new MAC each time: no headers that others use become stale. */
static void a_stranger_who_changes_is_nobodys_affair(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    make_reachable(n, ip4_of(1), mac_of(1), START);
    uint64_t generation = neighbours_generation(n);
    for (uint32_t i = 0; i < 1000; i++) {
        learn(n, ip4_of(100 + i % 7), mac_of(1000 + i), ARP_REQUEST_TO_US, START + i * MS);
        learn(n, ip4_of(100 + i % 7), mac_of(5000 + i), ARP_CLAIM, START + i * MS);
    }
    assert_int_equal(neighbours_generation(n), generation);
    struct mac mac; /* one that is sent to */
    assert_true(find(n, ip4_of(1), &mac, START + 2 * SECOND) >= NEIGHBOUR_STALE);
    neighbours_tell(n, ip4_of(1).at, mac_of(2).at, START + 2 * SECOND);
    assert_true(neighbours_generation(n) != generation);
    neighbours_close(n);
}

/* Fewer are learned than ask: 256 at once, 100 a second. */
static void strangers_are_learned_slowly(void **state)
{
    (void)state;
    struct neighbours *n = open_with(4096);
    struct neighbours_stats stats;
    for (uint32_t i = 0; i < 1000; i++)
        learn(n, ip4_of(i), mac_of(i), ARP_REQUEST_TO_US, START);
    neighbours_stats(n, &stats);
    assert_int_equal(stats.unasked, 256);
    assert_int_equal(COUNTED(&counters, neighbour_full), 1000 - 256);
    for (uint32_t i = 0; i < 1000; i++)
        learn(n, ip4_of(1000 + i), mac_of(i), ARP_REQUEST_TO_US, START + SECOND);
    neighbours_stats(n, &stats);
    assert_int_equal(stats.unasked, 356);
    neighbours_close(n);
}

/* Half of the table is unanswered: an honest newcomer finds a place all the same, and what failed
 * goes before what is still asked for. */
static void the_oldest_unanswered_makes_room(void **state)
{
    (void)state;
    enum { MAX = 64 };
    struct neighbours *n = open_with(MAX);
    struct neighbours_stats stats;
    uint8_t mac[6];
    uint32_t number;
    unsigned failed;
    use(n, ip4_of(1), START);
    for (unsigned i = 0; i < 4; i++)
        due(n, START + i * SECOND, &failed);
    assert_int_equal(find(n, ip4_of(1), &(struct mac){{0}}, START + 3 * SECOND), NEIGHBOUR_FAILED);
    for (uint32_t i = 2; i <= MAX / 2; i++)
        assert_int_equal(use(n, ip4_of(i), START + 3 * SECOND), NEIGHBOUR_INCOMPLETE);
    make_reachable(n, ip6_of(1), mac_of(9), START + 3 * SECOND);
    assert_int_equal(find(n, ip4_of(1), &(struct mac){{0}}, START + 3 * SECOND), NEIGHBOUR_NONE);
    use(n, ip4_of(1000), START + 3 * SECOND);
    make_reachable(n, ip6_of(2), mac_of(9), START + 3 * SECOND);
    assert_int_equal(find(n, ip4_of(2), &(struct mac){{0}}, START + 3 * SECOND), NEIGHBOUR_NONE);
    assert_int_equal(find(n, ip4_of(3), &(struct mac){{0}}, START + 3 * SECOND),
                     NEIGHBOUR_INCOMPLETE);
    for (uint32_t i = 0; i < 100000; i++)
        assert_int_equal(neighbours_use(n, ip4_of(2000 + i).at, mac, &number, START + 3 * SECOND),
                         NEIGHBOUR_INCOMPLETE);
    neighbours_stats(n, &stats);
    assert_int_equal(stats.unanswered, MAX / 2);
    make_reachable(n, ip6_of(3), mac_of(9), START + 10 * SECOND);
    neighbours_close(n);
}

/* A known one is not given up because there was no buffer to ask it. */
static void what_did_not_leave_is_no_try(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    struct neighbour_task task;
    make_reachable(n, ip4_of(1), mac_of(1), START);
    uint64_t now = START + 50 * SECOND;
    asked(n, now);
    use(n, ip4_of(1), now); /* stale: it is probed */
    for (unsigned i = 0; i < 20; i++)
        for (now += SECOND; neighbours_due(n, &task, now);) {
            assert_false(task.failed);
            neighbours_unsent(n, task.number);
        }
    assert_int_equal(use(n, ip4_of(1), now), NEIGHBOUR_PROBE);
    neighbours_close(n);
}

/* A million spoofed sources; what is used stays, and the table and their share are bounded. */
static void a_storm_of_a_million_leaves_what_is_in_use(void **state)
{
    (void)state;
    enum { MAX = 64, USED = 40, STORM = 1000000 };
    struct neighbours *n = open_with(MAX);
    struct neighbours_stats stats;
    for (uint32_t i = 0; i < USED; i++)
        make_reachable(n, ip4_of(i), mac_of(i), START);
    for (uint32_t i = 0; i < STORM; i++) {
        uint64_t now = START + i * 20000ull; /* 50,000 a second, for 20 seconds */
        assert_false(learn(n, ip4_of(1000 + i), mac_of(1000 + i), ARP_REQUEST_TO_US, now));
        learn(n, ip4_of(i % USED), mac_of(i | 1u << 31), ARP_REQUEST_TO_US, now);
        if (i % 10000)
            continue;
        neighbours_stats(n, &stats);
        assert_true(stats.count <= MAX && stats.unasked <= MAX / 4);
        for (uint32_t j = 0; j < USED; j++)
            mac_is(n, ip4_of(j), mac_of(j), now);
    }
    /* And a new one of our own still finds a place */
    make_reachable(n, ip6_of(1), mac_of(9), START + 20 * SECOND);
    neighbours_close(n);
}

/* A peer that makes us send to where nobody is. */
static void the_unanswered_have_half(void **state)
{
    (void)state;
    struct neighbours *n = open_with(64);
    struct neighbours_stats stats;
    make_reachable(n, ip4_of(1), mac_of(1), START);
    for (uint32_t i = 0; i < 100000; i++)
        use(n, ip4_of(1000 + i), START);
    neighbours_stats(n, &stats);
    assert_int_equal(stats.unanswered, 32);
    assert_int_equal(stats.count, 33);
    assert_int_equal(COUNTED(&counters, neighbour_full), 100000 - 32);
    unsigned failed, failures = 0;
    for (uint64_t now = START; now < START + 6 * SECOND; now += 10 * MS) {
        due(n, now, &failed);
        failures += failed;
    }
    assert_int_equal(failures, 32);
    neighbours_stats(n, &stats);
    assert_int_equal(stats.unanswered, 0);
    assert_int_equal(stats.count, 1);
    neighbours_close(n);
}

/* ---- against a model, and readers ------------------------------------------------------------ */

/* Adding and removing at random: what is told is found, what is forgotten is not. */
static void a_long_random_walk_agrees_with_a_model(void **state)
{
    (void)state;
    enum { IPS = 200, MAX = 128 };
    struct neighbours *n = open_with(MAX);
    uint32_t known[IPS] = {0}, count = 0;
    srand(3);
    for (uint32_t step = 1; step < 100000; step++) {
        uint32_t i = (uint32_t)rand() % IPS;
        struct mac mac;
        if (rand() % 2) {
            uint32_t number = neighbours_tell(n, ip4_of(i).at, mac_of(step).at, START);
            assert_int_equal(number == NO_CELL, !known[i] && count == MAX);
            count += number != NO_CELL && !known[i];
            known[i] = number == NO_CELL ? 0 : step;
        } else {
            assert_int_equal(neighbours_forget(n, ip4_of(i).at) != NO_CELL, known[i] != 0);
            count -= known[i] != 0;
            known[i] = 0;
        }
        i = (uint32_t)rand() % IPS;
        assert_int_equal(find(n, ip4_of(i), &mac, START) == NEIGHBOUR_TOLD, known[i] != 0);
        if (known[i])
            assert_memory_equal(mac.at, mac_of(known[i]).at, 6);
    }
    neighbours_close(n);
}

#define SHARED_IPS 64u

struct reader {
    struct neighbours *n;
    _Atomic bool end; /* pairs with the reader's load */
    uint64_t found, wrong;
};

/* A MAC carries its address's number in its lower half. */
static struct mac marked(uint32_t i, uint32_t version)
{
    return mac_of(version << 16 | i);
}

static void *read_on(void *arg)
{
    struct reader *r = arg;
    uint64_t now = START;
    for (uint32_t i = 0; !atomic_load(&r->end); i = (i + 1) % SHARED_IPS) {
        struct mac mac;
        now += MS;
        (void)neighbours_generation(r->n);
        if (neighbours_find(r->n, ip4_of(i).at, mac.at, now) < NEIGHBOUR_STALE)
            continue;
        r->found++;
        r->wrong += ((uint32_t)mac.at[4] << 8 | mac.at[5]) != i;
    }
    return NULL;
}

/* One writer that adds, changes, forgets; readers that look all the time. */
static void readers_see_whole_entries(void **state)
{
    (void)state;
    struct neighbours *n = open_with(SHARED_IPS / 2);
    struct reader reader[2] = {{.n = n}, {.n = n}};
    pthread_t thread[2];
    neighbours_share(n);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, read_on, &reader[i]), 0);
    srand(11);
    for (uint32_t step = 0; step < 200000; step++) {
        uint32_t i = (uint32_t)rand() % SHARED_IPS;
        if (rand() % 3)
            neighbours_tell(n, ip4_of(i).at, marked(i, step).at, START);
        else
            neighbours_forget(n, ip4_of(i).at);
    }
    for (unsigned i = 0; i < 2; i++)
        atomic_store(&reader[i].end, true);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(reader[i].wrong, 0);
    }
    neighbours_close(n);
}

/* What another worker sends to is probed although worker 0 itself never uses it. */
static void another_workers_use_is_noticed(void **state)
{
    (void)state;
    struct neighbours *n = open_with(16);
    struct mac mac;
    unsigned probes = 0;
    make_reachable(n, ip4_of(1), mac_of(1), START);
    asked(n, START + 50 * SECOND); /* stale by now */
    neighbours_share(n);
    assert_int_equal(neighbours_next_ns(n), 0);
    for (uint64_t now = START + 50 * SECOND; now < START + 57 * SECOND; now += SECOND / 4) {
        assert_true(find(n, ip4_of(1), &mac, now) >= NEIGHBOUR_STALE);
        probes += asked(n, now);
    }
    assert_in_range(probes, 1, 4);
    neighbours_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_questions_then_it_failed),
        cmocka_unit_test(an_answer_makes_it_reachable),
        cmocka_unit_test(what_is_not_used_becomes_stale_and_use_probes_it),
        cmocka_unit_test(what_is_in_use_stays_known_for_an_hour),
        cmocka_unit_test(what_no_longer_answers_goes),
        cmocka_unit_test(a_new_card_is_found_by_the_last_probe),
        cmocka_unit_test(questions_are_limited_in_all),
        cmocka_unit_test(what_is_told_stays),
        cmocka_unit_test(telling_resolves_what_waits),
        cmocka_unit_test(an_answer_that_nobody_asked_for_creates_nothing),
        cmocka_unit_test(an_early_answer_does_not_confirm),
        cmocka_unit_test(the_answer_counts_more_than_what_came_before),
        cmocka_unit_test(nobody_changes_a_reachable_entry),
        cmocka_unit_test(a_claim_makes_us_ask_the_one_we_know),
        cmocka_unit_test(an_advertisement_without_override_only_raises_doubt),
        cmocka_unit_test(an_idle_entry_follows_a_claim),
        cmocka_unit_test(a_stranger_who_changes_is_nobodys_affair),
        cmocka_unit_test(strangers_are_learned_slowly),
        cmocka_unit_test(the_oldest_unanswered_makes_room),
        cmocka_unit_test(what_did_not_leave_is_no_try),
        cmocka_unit_test(a_storm_of_a_million_leaves_what_is_in_use),
        cmocka_unit_test(the_unanswered_have_half),
        cmocka_unit_test(a_long_random_walk_agrees_with_a_model),
        cmocka_unit_test(readers_see_whole_entries),
        cmocka_unit_test(another_workers_use_is_noticed),
    };
    return run_group(tests);
}
