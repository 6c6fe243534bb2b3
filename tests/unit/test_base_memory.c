/* SPDX-License-Identifier: MIT
 * Memory: zeroed, aligned, bound and locked as far as the host allows, and honest about what it
 * granted. */
#include "test.h"

#include "base/base.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <errno.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static void assert_usable(const struct weir_mem *mem, size_t asked)
{
    const uint8_t *bytes = mem->base;

    assert_non_null(mem->base);
    assert_true(mem->bytes >= asked);
    for (size_t at = 0; at < mem->bytes; at += 512)
        assert_int_equal(bytes[at], 0);
    memset(mem->base, 0x5a, mem->bytes);
    if (asked >= 2 * MIB)
        assert_int_equal((uintptr_t)mem->base % (2 * MIB), 0);
}

static void a_region_is_zeroed_and_aligned(void **state)
{
    struct weir_mem mem;

    (void)state;
    assert_int_equal(weir_mem_open(&mem, 3 * MIB, 0, WEIR_NODE_ANY, NULL), 0);
    assert_usable(&mem, 3 * MIB);
    assert_int_equal(mem.node, WEIR_NODE_ANY);
    if (mem.pages != WEIR_PAGES_PLAIN)
        assert_int_equal(mem.bytes, 4 * MIB);
    if (mem.pages != WEIR_PAGES_HUGE || !mem.locked) {
        assert_int_not_equal(mem.lesser.code, 0);
        assert_int_not_equal(strlen(mem.lesser.what), 0);
        assert_int_not_equal(strlen(mem.lesser.fix), 0);
    }
    weir_mem_close(&mem);
    assert_null(mem.base);
}

static void without_hugepages_it_is_plain_and_nothing_was_refused(void **state)
{
    struct weir_mem mem;

    (void)state;
    assert_int_equal(weir_mem_open(&mem, 2 * MIB + 1, WEIR_MEM_NO_HUGE | WEIR_MEM_NO_LOCK,
                                   WEIR_NODE_ANY, NULL),
                     0);
    assert_usable(&mem, 2 * MIB + 1);
    assert_int_equal(mem.pages, WEIR_PAGES_PLAIN);
    assert_int_equal(mem.bytes, 2 * MIB + (size_t)sysconf(_SC_PAGESIZE));
    assert_int_equal(mem.locked, 0);
    assert_int_equal(mem.lesser.code, 0);
    weir_mem_close(&mem);
}

static void a_small_region_is_plain(void **state)
{
    struct weir_mem mem;

    (void)state;
    assert_int_equal(weir_mem_open(&mem, 1, WEIR_MEM_NO_LOCK, WEIR_NODE_ANY, NULL), 0);
    assert_usable(&mem, 1);
    assert_int_equal(mem.bytes, sysconf(_SC_PAGESIZE));
    assert_int_equal(mem.pages, WEIR_PAGES_PLAIN);
    assert_int_equal(mem.lesser.code, 0);
    weir_mem_close(&mem);
    weir_mem_close(&mem); /* closing what is closed does nothing */
}

static void what_cannot_be_had_is_an_error(void **state)
{
    struct weir_mem mem;
    struct weir_why why = {0};

    (void)state;
    assert_int_equal(weir_mem_open(&mem, SIZE_MAX, 0, WEIR_NODE_ANY, &why), -ENOMEM);
    assert_int_equal(why.code, -ENOMEM);
    assert_null(mem.base);
    assert_int_equal(weir_mem_open(&mem, SIZE_MAX / 2 - MIB, 0, WEIR_NODE_ANY, &why), -ENOMEM);
    assert_null(mem.base);
    assert_int_equal(weir_mem_open(&mem, 0, 0, WEIR_NODE_ANY, &why), -EINVAL);
    assert_int_equal(why.code, -EINVAL);
}

static void a_node_that_does_not_exist_is_an_error(void **state)
{
    struct weir_mem mem;
    struct weir_why why = {0};

    (void)state;
    assert_int_equal(weir_mem_open(&mem, MIB, 0, -2, &why), -EINVAL);
    assert_int_equal(weir_mem_open(&mem, MIB, 0, 1024, &why), -EINVAL);
    if (weir_mem_open(&mem, MIB, 0, 1023, &why) == 0) {
        weir_mem_close(&mem);
        SKIP("mbind is not available here");
    }
    assert_int_equal(why.code, -EINVAL);
    assert_null(mem.base);
    assert_int_equal(weir_mem_open(&mem, 4 * MIB, 0, 1023, NULL), -EINVAL);
}

static void node_0_can_be_bound(void **state)
{
    struct weir_mem mem;

    (void)state;
    assert_int_equal(weir_mem_open(&mem, 2 * MIB, 0, 0, NULL), 0);
    assert_usable(&mem, 2 * MIB);
    assert_true(mem.node == 0 || mem.lesser.code != 0);
    weir_mem_close(&mem);
}

/* In a child, because a limit that was lowered cannot always be raised again; and root ignores
 * it. */
static int lock_refused(void)
{
    struct rlimit none = {0, 0};
    static uint8_t byte;
    struct weir_mem mem;

    if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || (geteuid() == 0 && setuid(65534) < 0))
        return 77;
    if (mlock(&byte, 1) == 0)
        return 78;
    if (weir_mem_open(&mem, MIB, 0, WEIR_NODE_ANY, NULL) < 0)
        return 1;
    if (mem.locked || mem.lesser.code == 0 || strcmp(mem.lesser.where, "memory lock") != 0)
        return 2;
    return 0;
}

static void a_refused_lock_is_told_and_the_region_works(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(lock_refused());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        SKIP("cannot give up privileges here");
    if (WEXITSTATUS(status) == 78)
        SKIP("mlock is never refused here (sanitizers answer it themselves)");
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void page_kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(weir_pages_name(WEIR_PAGES_HUGE), "2 MiB hugepages");
    assert_string_equal(weir_pages_name(WEIR_PAGES_THP), "transparent hugepages");
    assert_string_equal(weir_pages_name(WEIR_PAGES_PLAIN), "plain pages");
    assert_string_equal(weir_pages_name(99), "unknown pages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_is_zeroed_and_aligned),
        cmocka_unit_test(without_hugepages_it_is_plain_and_nothing_was_refused),
        cmocka_unit_test(a_small_region_is_plain),
        cmocka_unit_test(what_cannot_be_had_is_an_error),
        cmocka_unit_test(a_node_that_does_not_exist_is_an_error),
        cmocka_unit_test(node_0_can_be_bound),
        cmocka_unit_test(a_refused_lock_is_told_and_the_region_works),
        cmocka_unit_test(page_kinds_have_names),
    };

    return run_group(tests);
}
