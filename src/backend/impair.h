/* SPDX-License-Identifier: MIT
 * What happens to the packets of one direction of a link: one judge for the simulator's wires and for
 * wrap_fault. It decides, its caller does.
 *
 * Each decision is drawn from the seed, the packet's number and the kind of decision alone, so that
 * another impairment beside it, or another time, changes none of the others. */
#ifndef WEIR_BACKEND_IMPAIR_H
#define WEIR_BACKEND_IMPAIR_H

#include "base/attr.h"

#include <weir/frames.h>

struct impair {
    struct weir_impair opt;
    uint64_t seed, packets;
    uint64_t loss, reorder, duplicate, corrupt; /* shares of 2^53 */
    uint64_t free_ns,
        bits_left;      /* the line has sent what it took at free_ns and bits_left / rate */
    uint64_t latest_ns; /* arrival of the packet that arrives last */
    bool any;
};

struct verdict {
    uint64_t due_ns;  /* when it arrives: now, or later */
    uint64_t line_ns; /* when its last bit left */
    uint64_t flip;    /* not 0: impair_flip turns a bit */
    uint8_t copies;   /* 0: lost; 2: twice, the second just behind */
    bool swap;        /* comes behind the next packet, or at due_ns if there is none before; where
                         one waits for that already, at line_ns */
    bool early;       /* arrives before one that was sent earlier */
    bool changed;     /* anything of the above, or a delay */
};

/* Shares are 0 to 1 each. NULL: perfect. */
bool impair_valid(const struct weir_impair *opt);
/* `seed` is used where opt->seed is 0. opt NULL: perfect. */
void impair_open(struct impair *i, const struct weir_impair *opt, uint64_t seed);
/* The next packet of this direction.  Cost a few cycles where nothing is impaired */
struct verdict impair_judge(struct impair *i, uint64_t now_ns, uint32_t bytes);
/* Turn the bit of bytes > 0 that the verdict chose. */
void impair_flip(uint8_t *data, uint32_t bytes, uint64_t flip);

/* The n-th number of the sequence that a seed begins (splitmix64). */
uint64_t impair_draw(uint64_t seed, uint64_t n);

#endif
