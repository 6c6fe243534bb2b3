/* SPDX-License-Identifier: MIT
 * Placement of threads: which cores this process may use, pinning, real-time priority, thread
 * numbers.
 *
 * The allowed set is read once, before the first pin through here, because a pinned thread sees
 * only its own core in it. A child keeps its parent's set through fork, also when the parent had
 * pinned itself. */
#include "base.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

/* Linux allows 8192 CPUs at most (arch/x86/Kconfig, NR_CPUS_RANGE_END); a cpu_set_t holds 1024. */
#define CORES_MAX 8192

static cpu_set_t allowed[CORES_MAX / CPU_SETSIZE];

static void read_allowed(void)
{
    CPU_ZERO_S(sizeof allowed, allowed);
    if (sched_getaffinity(getpid(), sizeof allowed, allowed) < 0)
        CPU_SET_S(0, sizeof allowed, allowed); /* refused by a sandbox: one core is always there */
}

static void know_allowed(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, read_allowed);
}

unsigned weir_cores(void)
{
    know_allowed();
    return (unsigned)CPU_COUNT_S(sizeof allowed, allowed);
}

int weir_core(unsigned index)
{
    know_allowed();
    for (int core = 0; core < CORES_MAX; core++)
        if (CPU_ISSET_S((unsigned)core, sizeof allowed, allowed) && index-- == 0)
            return core;
    return -1;
}

int weir_pin(int core, struct weir_why *why)
{
    cpu_set_t set[array_len(allowed)];

    know_allowed();
    if (core < 0 || core >= CORES_MAX || !CPU_ISSET_S((unsigned)core, sizeof allowed, allowed))
        return why_set(why, -EINVAL, "affinity",
                       "choose a core that taskset or the container allows",
                       "core %d is not among the %u that this process may run on", core,
                       weir_cores());
    CPU_ZERO_S(sizeof set, set);
    CPU_SET_S((unsigned)core, sizeof set, set);
    if (sched_setaffinity(0, sizeof set, set) < 0)
        return why_set(why, -errno, "affinity", "is the core online?", "core %d: %s", core,
                       strerror(errno));
    return 0;
}

int weir_fifo(int priority, struct weir_why *why)
{
    struct sched_param param = {.sched_priority = priority};
    int err = pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);

    if (err == EPERM)
        return why_set(why, -EPERM, "priority",
                       "run as root, grant CAP_SYS_NICE or raise the limit rtprio (ulimit -r)",
                       "SCHED_FIFO %d is not permitted", priority);
    if (err)
        return why_set(why, -err, "priority", "SCHED_FIFO takes 1 to 99", "SCHED_FIFO %d: %s",
                       priority, strerror(err));
    return 0;
}

uint32_t thread_id(void)
{
    /* Relaxed, no partner: only that no two threads get the same number matters. */
    static _Atomic uint32_t last;
    /* Initial-exec: one read also in the shared library, where the default would call __tls_get_addr. */
    static _Thread_local uint32_t own __attribute__((tls_model("initial-exec")));

    if (unlikely(own == 0))
        own = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
    return own;
}
