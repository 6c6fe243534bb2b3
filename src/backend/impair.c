/* SPDX-License-Identifier: MIT
 * The judge of impaired packets, in the order in which a link does it: loss, the line's rate, its
 * delay, and on the way a copy, a turned bit, an overtaking.
 *
 * Numbers: splitmix64 (Sebastiano Vigna, public domain; Steele, Lea, Flood, "Fast splittable
 * pseudorandom number generators", 2014). Its n-th output is a mix of seed + n * GOLDEN, so that
 * every decision has a place of its own in the sequence and none depends on those before.
 * Rate: virtual finish times: a packet begins when the one before has left. */
#include "impair.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / the golden ratio, odd */
#define NS_PER_S UINT64_C(1000000000)
#define SHARE_BITS 53 /* a double's mantissa: the share 1 is above every draw */
#define QUEUE_NS                                                                                   \
    (100 * 1000 * 1000u) /* of the line: about what home routers' buffers hold; more is lost */
#define SWAP_NS 1000000u /* how long a packet waits for one that overtakes it */

enum kind { LOSS, DUPLICATE, REORDER, CORRUPT, JITTER, BIT, KINDS = 8 };

uint64_t impair_draw(uint64_t seed, uint64_t n)
{
    uint64_t z = seed + (n + 1) * GOLDEN;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t share(double of)
{
    return (uint64_t)(of * (double)(UINT64_C(1) << SHARE_BITS));
}

/* Not a number is not within. */
static bool within(double of)
{
    return of >= 0 && of <= 1;
}

bool impair_valid(const struct weir_impair *opt)
{
    return !opt || (within(opt->loss) && within(opt->reorder) && within(opt->duplicate) &&
                    within(opt->corrupt));
}

void impair_open(struct impair *i, const struct weir_impair *opt, uint64_t seed)
{
    *i = (struct impair){.opt = opt ? *opt : (struct weir_impair){0}};
    i->seed = i->opt.seed ? i->opt.seed : seed;
    i->loss = share(i->opt.loss);
    i->reorder = share(i->opt.reorder);
    i->duplicate = share(i->opt.duplicate);
    i->corrupt = share(i->opt.corrupt);
    i->any = weir_impair_any(&i->opt);
}

static uint64_t draw(const struct impair *i, enum kind kind)
{
    return impair_draw(i->seed, i->packets * KINDS + kind);
}

static bool chance(const struct impair *i, enum kind kind, uint64_t of)
{
    return of && draw(i, kind) >> (64 - SHARE_BITS) < of;
}

/* The line takes the packet: *at is when its last bit has left. False: the queue is full. */
static bool line(struct impair *i, uint64_t now_ns, uint32_t bytes, uint64_t *at)
{
    uint64_t rate = i->opt.rate_bits;
    *at = now_ns;
    if (!rate)
        return true;
    if (i->free_ns <= now_ns) {
        i->free_ns = now_ns;
        i->bits_left = 0;
    }
    if (i->free_ns - now_ns > QUEUE_NS)
        return false;
    uint64_t bits = (uint64_t)bytes * 8 * NS_PER_S + i->bits_left;
    i->free_ns += bits / rate;
    i->bits_left = bits % rate; /* so that rounding never adds up */
    *at = i->free_ns;
    return true;
}

/* The delay, plus or minus up to jitter. */
static uint64_t delay(const struct impair *i)
{
    uint64_t jitter = i->opt.jitter_ns, delay_ns = i->opt.delay_ns;
    if (!jitter)
        return delay_ns;
    delay_ns += draw(i, JITTER) % (2 * jitter + 1);
    return delay_ns > jitter ? delay_ns - jitter : 0;
}

static void send_on(struct impair *i, struct verdict *v, uint64_t left_ns)
{
    bool delays = i->opt.delay_ns || i->opt.jitter_ns;
    bool reorder = chance(i, REORDER, i->reorder);
    v->copies = chance(i, DUPLICATE, i->duplicate) ? 2 : 1;
    v->flip = chance(i, CORRUPT, i->corrupt) ? draw(i, BIT) | 1 : 0;
    v->swap = reorder && !delays && v->copies == 1;
    v->line_ns = left_ns;
    v->due_ns = left_ns + (v->swap ? SWAP_NS : reorder ? 0 : delay(i));
    v->early = v->due_ns < i->latest_ns;
    if (!v->swap)
        i->latest_ns = max_of(i->latest_ns, v->due_ns);
}

struct verdict impair_judge(struct impair *i, uint64_t now_ns, uint32_t bytes)
{
    struct verdict v = {.due_ns = now_ns, .line_ns = now_ns, .copies = 1};
    uint64_t left_ns;
    if (!i->any)
        return v;
    if (chance(i, LOSS, i->loss) || !line(i, now_ns, bytes, &left_ns))
        v.copies = 0;
    else
        send_on(i, &v, left_ns);
    i->packets++;
    v.changed = v.copies != 1 || v.flip || v.swap || v.due_ns != now_ns;
    return v;
}

void impair_flip(uint8_t *data, uint32_t bytes, uint64_t flip)
{
    uint64_t bit = flip / 2 % ((uint64_t)bytes * 8);
    data[bit / 8] ^= (uint8_t)(1u << bit % 8);
}
