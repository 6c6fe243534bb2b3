/* SPDX-License-Identifier: MIT
 * Options: zero fields get their defaults here, in one place, and what cannot be is refused.
 *
 * A pool's size is a sum, one line a holder, so that an engine which uses all that its options
 * promise does not run out; running out all the same is counted and is back-pressure. */
#include "engine.h"

#include <errno.h>

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

#define DEVICE_RX 4096u /* buffers lent to a frame device to receive into */
#define DEVICE_TX 4096u /* and on its transmit ring */

#define STACK_OWN 1280u /* park.h's 256 packets and inside.h's OUT_MAX */

static void size_pool(struct weir_engine_opt *opt, bool frames)
{
    struct weir_pool_opt *pool = &opt->pool;
    pool->headroom = or_default(pool->headroom, 128);
    pool->small_bytes = or_default(pool->small_bytes, 2048);
    uint32_t small =
        1024                                         /* posted to a completion ring for streams */
        + opt->tx_max                                /* queued at one busy endpoint */
        + min_of(opt->endpoints_max, UINT32_C(1024)) /* first bytes of so many streams at once */
        + (frames ? DEVICE_RX + DEVICE_TX : 0)       /* at the device */
        + (frames ? STACK_OWN : 0)                   /* waiting for neighbours, or our answers */
        + (weir_impair_any(&opt->impair) ? BACKEND_FAULT_HELD : 0) +
        1024;                     /* the application's own */
    uint32_t big = 2 * opt->burst /* ready for the next receive, and being told */
                   + 64           /* streams with much unconsumed, or bulk reads */
                   + 64           /* merged receives whose views are being sent */
                   + (frames ? or_default(opt->frames.fragments_max, 64) : 0); /* reassembly */
    uint32_t run =
        4 * (opt->rx_max + pool->headroom) / pool->small_bytes; /* four streams beyond 64 KiB */
    uint32_t views = opt->poll_events + opt->tx_max + 128; /* told, queued, and one receive more */
    pool->small = or_default(pool->small, small);
    pool->big = or_default(pool->big, big);
    pool->run = or_default(pool->run, run);
    pool->views = or_default(pool->views, views);
}

int config_resolve(struct weir_engine_opt *opt, bool frames, struct weir_why *why)
{
    opt->endpoints_max = or_default(opt->endpoints_max, 4096);
    opt->timers_max = or_default(opt->timers_max, 1024);
    opt->tx_max = or_default(opt->tx_max, 4096);
    opt->rx_max = or_default(opt->rx_max, 65536 - or_default(opt->pool.headroom, 128));
    opt->burst = or_default(opt->burst, 64);
    opt->poll_events = or_default(opt->poll_events, 1024);
    opt->sock_bytes = or_default(opt->sock_bytes, 16u << 20);
    if (!opt->linger_ns)
        opt->linger_ns = UINT64_C(10000000000);
    if (!opt->coalesce_ns)
        opt->coalesce_ns = 50000;
    if (opt->no_coalesce || frames) /* a look at a frame device costs next to nothing */
        opt->coalesce_ns = 0;
    if (!opt->zerocopy_bytes)
        opt->zerocopy_bytes = 16384;
    bool sane = opt->burst <= 1024 && opt->poll_events <= 65536 && opt->tx_max <= 1u << 20 &&
                opt->endpoints_max <= 1u << 24 && opt->timers_max <= 1u << 24 &&
                opt->rx_max <= 16u << 20 && opt->sock_bytes <= 1u << 30;
    if (!sane)
        return why_set(why, -EINVAL, "engine options", "see weir_engine_opt",
                       "burst <= 1024, poll_events <= 65536, tx_max <= 2^20, endpoints and timers "
                       "<= 2^24, rx_max <= 16 MiB");
    size_pool(opt, frames);
    return 0;
}

/* Send items: every queue may not be full at once; the busiest few may. */
uint32_t config_items(const struct weir_engine_opt *opt)
{
    return 4 * opt->tx_max + opt->endpoints_max;
}
