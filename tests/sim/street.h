/* SPDX-License-Identifier: MIT
 * A street: the host under test, a good peer that it echoes for, and a stranger with bad intentions, all
 * on one link. The test is the switch in the middle, and the stranger.
 *
 *     target (10.0.0.2/8, fd00::2) ==== port 0 [ the test ] port 2 ==== good (10.0.0.1/8, fd00::1)
 *                                               ^ stranger (10.0.0.66, fd00::42) */
#ifndef WEIR_SIM_STREET_H
#define WEIR_SIM_STREET_H

#include "bed.h"
#include "craft.h"

struct street {
    struct weir_sim *sim;
    struct weir_sim_port *target_end, *good_end; /* the switch's: ports 0 and 2 */
    struct weir_sim_port *target_port;           /* 1 */
    struct host target, good;                    /* numbers 1 and 0 */
    unsigned asked;                              /* echoes that good asked for */
    uint64_t to_stranger; /* frames that the target sent to others than good */
};

void street_open(struct street *s, uint64_t seed);
/* Nothing of either is lost: the pools are whole and nobody holds a buffer. */
void street_close(struct street *s);
/* Everything that happens now, back and forth, without time passing. */
void street_settle(struct street *s);
/* Let time pass, in steps of which each is settled. */
void street_pass(struct street *s, uint64_t ns, unsigned steps);
/* The stranger sends. What the target answers is swallowed. */
void street_strike(struct street *s, const struct craft *frame);
/* Good asks for `n` echoes, of IPv4 or IPv6, now; all come back, whole and now. What the stranger makes
 * the target send to good by its name is no echo that good asked for. */
void street_echo(struct street *s, unsigned n, int ip4);

/* ---- counters -------------------------------------------------------------------------------- */

/* Each frame that came to `host` ended once, and each drop has a name: of what the two looks differ by. */
void assert_sum_rule(const struct weir_counters *before, const struct weir_counters *after,
                     const char *what);
uint64_t counter_of(const struct weir_counters *counters, const char *name);
/* What of the frames' counters rose, as "name*2 other", in the order of stat.h: `ends` and nothing else. */
void assert_ends(const struct weir_counters *before, const struct weir_counters *after,
                 const char *ends, const char *what);
void assert_pool_whole(struct host *host);

#endif
