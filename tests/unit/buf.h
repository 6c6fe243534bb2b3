/* SPDX-License-Identifier: MIT
 * What the tests of the room buf share: a small pool, and an audit after each step. */
#ifndef WEIR_TEST_BUF_H
#define WEIR_TEST_BUF_H

#include "test.h"

#include "buf/inside.h"

#include <errno.h>

/* Without hugepages and locks: the tests run on any host, and beside each other. */
#define PLAIN .node = WEIR_NODE_ANY, .mem_flags = WEIR_MEM_NO_HUGE | WEIR_MEM_NO_LOCK

static inline struct weir_pool *pool_with(uint32_t small, uint32_t big, uint32_t run,
                                          uint32_t views)
{
    struct weir_pool_opt opt = {.small = small, .big = big, .run = run, .views = views, PLAIN};
    struct weir_why why;
    struct weir_pool *pool = weir_pool_open(&opt, &why);

    if (!pool)
        fail_msg("weir_pool_open: %s", why.what);
    return pool;
}

static inline void assert_sound(struct weir_pool *pool)
{
    struct weir_why why;

    if (weir_pool_check(pool, &why) < 0)
        fail_msg("%s; %s", why.what, why.fix);
}

static inline uint64_t count_of(const struct weir_pool *pool, unsigned section, unsigned state)
{
    struct weir_pool_stats stats;

    weir_pool_stats(pool, &stats);
    return stats.count[section][state];
}

/* Everything is home, and the pool closes. */
static inline void assert_closes(struct weir_pool *pool)
{
    assert_sound(pool);
    assert_int_equal(weir_pool_close(pool), 0);
}

static inline void drop(struct weir_buf *buf)
{
    weir_buf_drop(&buf, 1);
}

#endif
