/* SPDX-License-Identifier: MIT
 * Clocks, cores, priorities and thread numbers. No duration is asserted, only order and unit. */
#include "test.h"

#include "base/base.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

static void time_never_goes_back(void **state)
{
    uint64_t ns = weir_now_ns(), cycles = weir_cycles();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = weir_now_ns(), count = weir_cycles();

        assert_true(now >= ns && count >= cycles);
        ns = now;
        cycles = count;
        weir_pause();
    }
}

static void *read_hz(void *ret)
{
    *(uint64_t *)ret = weir_cycles_hz();
    return NULL;
}

static void every_thread_gets_the_same_rate(void **state)
{
    pthread_t threads[4];
    uint64_t hz[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_hz, &hz[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(hz[i], weir_cycles_hz());
    /* From arm64's slowest generic timer to beyond any CPU. */
    assert_true(hz[0] >= 1000000 && hz[0] < UINT64_C(20000000000));
}

static void the_fallback_says_so(void **state)
{
    int invariant = weir_cycles_invariant();

    (void)state;
    assert_true(invariant == 0 || invariant == 1);
    if (!invariant)
        assert_int_equal(weir_cycles_hz(), 1000000000);
}

static void *pin_everywhere(void *ret)
{
    int *failed = ret;

    for (unsigned i = 0; i < weir_cores(); i++) {
        *failed |= weir_pin(weir_core(i), NULL) != 0;
        *failed |= sched_getcpu() != weir_core(i);
    }
    return NULL;
}

static void a_thread_runs_on_each_allowed_core(void **state)
{
    unsigned before = weir_cores();
    pthread_t thread;
    int failed = 0;

    (void)state;
    assert_true(before >= 1);
    assert_int_equal(weir_core(before), -1);
    assert_int_equal(pthread_create(&thread, NULL, pin_everywhere, &failed), 0);
    pthread_join(thread, NULL);
    assert_int_equal(failed, 0);
    assert_int_equal(weir_cores(), before);
}

static void a_core_out_of_reach_is_refused(void **state)
{
    struct weir_why why = {0};

    (void)state;
    assert_int_equal(weir_pin(-1, &why), -EINVAL);
    assert_string_equal(why.where, "affinity");
    assert_int_equal(weir_pin(8191, NULL), -EINVAL);
    assert_int_equal(weir_pin(1 << 20, &why), -EINVAL);
}

static void *be_fifo(void *ret)
{
    struct weir_why why = {0};
    int *r = ret, policy;
    struct sched_param param;

    *r = weir_fifo(1, &why);
    pthread_getschedparam(pthread_self(), &policy, &param);
    if ((*r == 0) != (policy == SCHED_FIFO) || (*r != 0 && !why.fix[0]))
        *r = 1;
    return NULL;
}

static void fifo_is_granted_or_explained(void **state)
{
    pthread_t thread;
    int r = 1;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, be_fifo, &r), 0);
    pthread_join(thread, NULL);
    assert_true(r == 0 || r == -EPERM);
}

static void a_priority_that_is_none_is_refused(void **state)
{
    struct weir_why why = {0};

    (void)state;
    assert_int_equal(weir_fifo(0, &why), -EINVAL);
    assert_int_equal(weir_fifo(100, &why), -EINVAL);
    assert_string_equal(why.where, "priority");
}

static void *own_id(void *ret)
{
    *(uint32_t *)ret = thread_id();
    return NULL;
}

static void thread_numbers_are_unique_and_stay(void **state)
{
    uint32_t mine = thread_id(), other[2];
    pthread_t thread;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread, NULL, own_id, &other[i]), 0);
        pthread_join(thread, NULL);
    }
    assert_true(mine && other[0] && other[1]);
    assert_true(mine != other[0] && mine != other[1] && other[0] != other[1]);
    assert_int_equal(thread_id(), mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(every_thread_gets_the_same_rate),
        cmocka_unit_test(the_fallback_says_so),
        cmocka_unit_test(a_thread_runs_on_each_allowed_core),
        cmocka_unit_test(a_core_out_of_reach_is_refused),
        cmocka_unit_test(fifo_is_granted_or_explained),
        cmocka_unit_test(a_priority_that_is_none_is_refused),
        cmocka_unit_test(thread_numbers_are_unique_and_stay),
    };

    return run_group(tests);
}
