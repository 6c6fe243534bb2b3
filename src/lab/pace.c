/* SPDX-License-Identifier: MIT
 * Pacing: when send number k of a run is intended, and how many are due after some time. Pure
 * arithmetic, so that every generator plans alike and a test can check the plan without a clock.
 *
 * Invariant: k < weir_pace_due(rate, t) exactly when weir_pace_ns(rate, k) < t. Each time is
 * computed from k alone and never by adding up intervals: the rounding of 10^9 / rate would add
 * up to a drift. */
#include <weir/lab.h>

#define NS_PER_S UINT64_C(1000000000)

__extension__ typedef unsigned __int128 uint128;

uint64_t weir_pace_ns(uint64_t rate, uint64_t k)
{
    /* The division in 64 bits is several times faster, and holds for minutes at any rate. */
    if (k <= UINT64_MAX / NS_PER_S)
        return k * NS_PER_S / rate;
    return (uint64_t)((uint128)k * NS_PER_S / rate);
}

uint64_t weir_pace_due(uint64_t rate, uint64_t elapsed_ns)
{
    return (uint64_t)(((uint128)elapsed_ns * rate + NS_PER_S - 1) / NS_PER_S);
}
