/* SPDX-License-Identifier: MIT
 * Time: monotonic nanoseconds, and a cycle counter for costs too small for a system clock.
 *
 * The time-stamp counter is used only where the CPU says that it is invariant, that is, runs at
 * one rate in all P-, C- and T-states: CPUID leaf 0x80000007, EDX bit 8 (AMD APM vol. 3, Intel
 * SDM vol. 3 "Invariant TSC"). On arm64 the generic timer is invariant by architecture.
 * Elsewhere cycles are nanoseconds. */
#include "base.h"

#include <pthread.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

/* Each end of the calibration is read to within some 50 ns; over 20 ms that is 5 parts in a
 * million. */
#define CALIBRATION_NS (20 * 1000 * 1000)
#define CALIBRATION_TRIES 16

uint64_t weir_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

static int detect_invariant(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8)) ? 1 : 0;
}

static inline uint64_t read_counter(void)
{
    return __builtin_ia32_rdtsc();
}
#elif defined(__aarch64__)
static int detect_invariant(void)
{
    return 1;
}

static inline uint64_t read_counter(void)
{
    uint64_t value;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
}
#else
static int detect_invariant(void)
{
    return 0;
}

static inline uint64_t read_counter(void)
{
    return weir_now_ns();
}
#endif

int weir_cycles_invariant(void)
{
    /* -1: not asked yet. Relaxed, no partner: threads that race all store the same answer. */
    static _Atomic int invariant = -1;
    int known = atomic_load_explicit(&invariant, memory_order_relaxed);

    if (unlikely(known < 0)) {
        known = detect_invariant();
        atomic_store_explicit(&invariant, known, memory_order_relaxed);
    }
    return known;
}

uint64_t weir_cycles(void)
{
    return likely(weir_cycles_invariant()) ? read_counter() : weir_now_ns();
}

struct instant {
    uint64_t ns, cycles;
};

/* Counter and clock at one instant: of several tries the one in which least time went by
 * between. */
static struct instant read_both(void)
{
    struct instant best = {0, 0};
    uint64_t narrowest = UINT64_MAX;

    for (int i = 0; i < CALIBRATION_TRIES; i++) {
        uint64_t before = weir_now_ns(), cycles = read_counter(), after = weir_now_ns();

        if (after - before < narrowest) {
            narrowest = after - before;
            best = (struct instant){.ns = before + narrowest / 2, .cycles = cycles};
        }
    }
    return best;
}

static uint64_t hz;

static void calibrate(void)
{
    struct timespec pause = {.tv_nsec = CALIBRATION_NS};
    struct instant from = read_both(), to;

    nanosleep(&pause, NULL); /* cut short by a signal, it only costs precision */
    to = read_both();
    hz = (uint64_t)((double)(to.cycles - from.cycles) * (double)NS_PER_S /
                    (double)(to.ns - from.ns));
}

uint64_t weir_cycles_hz(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (!weir_cycles_invariant())
        return NS_PER_S;
    pthread_once(&once, calibrate); /* orders the store to hz before every reader */
    return hz;
}
