/* SPDX-License-Identifier: MIT
 * The audit finds damage that was planted, and debug builds stop at misuse. Each case breaks one
 * thing of a sound pool, is named by what the audit must say, and mends it again. */
#include "buf.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct weir_pool *pool;
static struct weir_buf *small[3], *big, *run, *view; /* small: free to be, sent, lent */

static int open_all(void **state)
{
    (void)state;
    pool = pool_with(8, 2, 64, 4);
    weir_buf_take(pool, small, 3);
    buf_to_tx(small[1]);
    buf_to_backend(small[2]);
    big = weir_buf_take_bytes(pool, 4000);
    buf_views(big, big->data, 100, 100, &view, 1);
    run = weir_buf_take_bytes(pool, 90000);
    assert_sound(pool);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    buf_tx_done(small[1]);
    buf_from_backend(small[2]);
    drop(small[0]);
    drop(small[2]);
    drop(view);
    drop(big);
    drop(run);
    assert_closes(pool);
    return 0;
}

static void assert_found(const char *what)
{
    struct weir_why why = {0};

    assert_int_equal(weir_pool_check(pool, NULL), -EILSEQ);
    assert_int_equal(weir_pool_check(pool, &why), -EILSEQ);
    assert_int_equal(why.code, -EILSEQ);
    if (!strstr(why.what, what))
        fail_msg("\"%s\" does not say: %s", why.what, what);
}

/* `field` is `bad` for the time of one audit, which must say `what`. */
#define FINDS(field, bad, what)                                                                    \
    do {                                                                                           \
        __typeof__(field) good = (field);                                                          \
        (field) = (bad);                                                                           \
        assert_found(what);                                                                        \
        (field) = good;                                                                            \
        assert_sound(pool);                                                                        \
    } while (0)

static void an_overwritten_header(void **state)
{
    (void)state;
    FINDS(small[0]->slot, 7, "small 0: its pool, section or slot");
    FINDS(small[0]->section, WEIR_BIG, "its pool, section or slot");
    FINDS(small[0]->pool, NULL, "its pool, section or slot");
    FINDS(big->base, big->base + 64, "big 0: its base");
    FINDS(small[0]->room, 4096, "its room");
    FINDS(run->room, run->room + 1, "run 0: its room");
    FINDS(run->room, 0, "run 0: its room");
    FINDS(run->room, 65 * 2048, "run 0: its room");
    FINDS(run[50].room, 4096, "run 50: its room");
}

static void a_payload_outside_of_its_memory(void **state)
{
    (void)state;
    FINDS(small[0]->data, small[0]->base - 1, "outside of its slot");
    FINDS(small[0]->len, 2048 - 127, "outside of its slot");
    FINDS(run->len, UINT32_MAX, "outside of its slot");
    FINDS(view->data, big->base + big->room - 99, "outside of its parent");
}

static void a_state_that_its_references_contradict(void **state)
{
    (void)state;
    FINDS(small[0]->state, WEIR_STATES, "its state is none");
    FINDS(small[0]->state, WEIR_TX, "in state TX, without a transmission");
    FINDS(small[1]->state, WEIR_APP, "in transmission, not in state TX");
    FINDS(small[1]->tx_refs, 2, "more transmissions than references");
    FINDS(small[0]->refs, 0, "in use, without a reference");
    FINDS(small[0]->state, WEIR_FREE, "free, with references");
    FINDS(small[2]->refs, 2, "lent to the backend and shared");
    FINDS(small[0]->state, WEIR_BACKEND, "counted, the headers say otherwise");
    FINDS(pool_buf(pool, WEIR_SMALL, 7)->refs, 1, "free, with references");
}

static void a_view_whose_parent_is_wrong(void **state)
{
    (void)state;
    FINDS(view->parent, pool_buf(pool, WEIR_BIG, 1), "its parent is free");
    FINDS(view->parent, view, "its parent is no slot");
    FINDS(view->parent, NULL, "its parent is no slot");
    FINDS(view->parent, (struct weir_buf *)((char *)big + 8), "its parent is no slot");
    drop(big); /* now the view's is the only reference */
    FINDS(pool_buf(pool, WEIR_BIG, 0)->refs, 0, "in use, without a reference");
    assert_true(buf_ref(big, 1));
}

static void more_views_than_references(void **state)
{
    struct weir_buf *more[2];

    (void)state;
    assert_int_equal(buf_views(big, big->data, 2, 1, more, 2), 2);
    FINDS(big->refs, 2, "more views than references");
    weir_buf_drop(more, 2);
}

/* The same slot twice on the stack: what a double drop would do to it. */
static void a_double_drop(void **state)
{
    struct section *s = &pool->section[WEIR_SMALL];

    (void)state;
    FINDS(s->stack[0], s->stack[1], "twice on the stack");
    FINDS(s->stack[0], small[0], "in use, and on the stack");
    FINDS(s->stack[0], NULL, "what is no header");
    FINDS(s->stack[0], big, "what is no header");
    FINDS(s->free, UINT32_MAX, "more are free than there are");
}

/* A slot that is free and that nobody can take any more. */
static void a_leak(void **state)
{
    (void)state;
    FINDS(pool->section[WEIR_SMALL].free, pool->section[WEIR_SMALL].free - 1, "leaked");
    FINDS(pool->section[WEIR_VIEW].free, pool->section[WEIR_VIEW].free - 1, "leaked");
    FINDS(pool->map[0], pool->map[0] | UINT64_C(1) << 63, "run 63: free, and taken in the map");
    FINDS(pool->map[0], pool->map[0] & ~UINT64_C(2), "run 0: in use, and free in the map");
    FINDS(run[1].state, WEIR_APP, "two runs overlap");
}

static void counters_that_drifted(void **state)
{
    (void)state;
    FINDS(pool->section[WEIR_SMALL].tx, 2, "in transmission counted");
    FINDS(pool->section[WEIR_BIG].backend, 1, "in the backend counted");
    FINDS(pool->section[WEIR_RUN].free, 5, "free slots counted");
}

/* A buffer that nobody drops is no disagreement; it shows in the counts, and close refuses. */
static void what_is_never_dropped_shows_at_close(void **state)
{
    (void)state;
    assert_int_equal(count_of(pool, WEIR_SMALL, WEIR_APP), 1);
    assert_int_equal(weir_pool_close(pool), -EBUSY);
}

/* ---- misuse, stopped by an assertion: in a child, silent, without a core file
 * ---------------------- */

static void assert_aborts(void (*misuse)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGABRT, SIG_DFL); /* cmocka's own handler would call it a failed test */
        fclose(stderr);
        misuse();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void drop_twice(void)
{
    drop(small[0]);
    drop(small[0]);
}

static void drop_twice_in_a_burst(void)
{
    struct weir_buf *twice[] = {small[0], small[0]};

    weir_buf_drop(twice, 2);
}

static void drop_what_is_sent(void)
{
    drop(small[1]);
}

static void drop_what_is_lent(void)
{
    drop(small[2]);
}

static void lend_twice(void)
{
    buf_to_backend(small[2]);
}

static void send_more_than_there_are_references(void)
{
    buf_to_tx(small[1]);
}

static void complete_what_is_not_sent(void)
{
    buf_tx_done(small[0]);
}

static void keep_what_is_free(void)
{
    drop(small[0]);
    weir_buf_keep(small[0]);
}

static void cut_a_view_of_a_view(void)
{
    struct weir_buf *ret;

    buf_views(view, view->data, 10, 10, &ret, 1);
}

static void cut_beyond_the_slot(void)
{
    struct weir_buf *ret;

    buf_views(big, big->data, big->room, 1000, &ret, 1);
}

static void take_on_a_foreign_thread(void)
{
    struct weir_buf *ret;

    pool->owner++; /* as if another thread had adopted it */
    weir_buf_take(pool, &ret, 1);
}

static void misuse_is_asserted(void **state)
{
    static void (*const misuses[])(void) = {drop_twice,
                                            drop_twice_in_a_burst,
                                            drop_what_is_sent,
                                            drop_what_is_lent,
                                            lend_twice,
                                            send_more_than_there_are_references,
                                            complete_what_is_not_sent,
                                            keep_what_is_free,
                                            cut_a_view_of_a_view,
                                            cut_beyond_the_slot,
                                            take_on_a_foreign_thread};
    volatile bool asserts = false;

    (void)state;
    assert((asserts = true));
    if (!asserts)
        SKIP("built with NDEBUG");
    for (unsigned i = 0; i < array_len(misuses); i++)
        assert_aborts(misuses[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_overwritten_header),
        TEST(a_payload_outside_of_its_memory),
        TEST(a_state_that_its_references_contradict),
        TEST(a_view_whose_parent_is_wrong),
        TEST(more_views_than_references),
        TEST(a_double_drop),
        TEST(a_leak),
        TEST(counters_that_drifted),
        TEST(what_is_never_dropped_shows_at_close),
        TEST(misuse_is_asserted),
    };

    return run_group(tests);
}
