/* SPDX-License-Identifier: MIT
 * Booking the replies of an open-loop echo, alike for sockets and frames: each is right, a
 * repetition, corrupt, or no reply to this run at all (a straggler of the one before, which used
 * the same ports). Latency counts from the intended time, which follows from k: a stalled server
 * cannot hide its stall. */
#include "book.h"

#include <stdlib.h>

int book_open(struct run *r, struct book *b)
{
    b->sends = weir_pace_due(r->o.rate, r->o.warmup_ns + r->o.duration_ns);
    b->id = (weir_now_ns() >> 10) << BOOK_K_BITS; /* a microsecond is shorter than any run */
    b->seen = calloc(b->sends / 64 + 1, sizeof *b->seen);
    b->highest = calloc(r->o.flows, sizeof *b->highest);
    b->pattern = calloc(1, r->o.bytes);
    if (!b->seen || !b->highest || !b->pattern) {
        book_close(b);
        return why_set(r->why, -ENOMEM, "echo", NULL, "no memory to book %llu sends",
                       (unsigned long long)b->sends);
    }
    for (uint32_t i = BOOK_HEAD; i < r->o.bytes; i++)
        b->pattern[i] = (uint8_t)(i * 7);
    return 0;
}

void book_close(struct book *b)
{
    free(b->seen);
    free(b->highest);
    free(b->pattern);
    *b = (struct book){0};
}

/* The number in a payload, or UINT64_MAX where it is not one of this run's. */
static uint64_t read_head(const struct book *b, const uint8_t *payload, size_t len)
{
    const uint64_t k_mask = (UINT64_C(1) << BOOK_K_BITS) - 1;
    uint64_t head[2];

    if (len < sizeof head)
        return UINT64_MAX;
    memcpy(head, payload, sizeof head);
    if (head[1] != ~head[0] || (head[0] & ~k_mask) != b->id || (head[0] & k_mask) >= b->sends)
        return UINT64_MAX;
    return head[0] & k_mask;
}

static bool book_twice(struct book *b, uint64_t k)
{
    uint64_t bit = UINT64_C(1) << (k % 64), *word = &b->seen[k / 64];
    bool twice = *word & bit;

    *word |= bit;
    return twice;
}

static void book_right(struct run *r, struct book *b, uint64_t k, uint64_t now)
{
    unsigned part = run_part(r, k);
    uint64_t *highest = &b->highest[k % r->o.flows];

    b->answered++;
    r->part[part].received++;
    if (k + 1 < *highest)
        r->part[part].reordered++;
    else
        *highest = k + 1;
    if (part == WINDOW && r->o.latency)
        weir_histogram_record(r->o.latency, now - (r->start_ns + weir_pace_ns(r->o.rate, k)), 1);
}

void book_reply(struct run *r, struct book *b, const uint8_t *payload, size_t len, uint64_t now)
{
    uint64_t k = read_head(b, payload, len);

    if (unlikely(k >= r->k)) /* not ours, or not even sent yet */
        r->part[r->phase].foreign++;
    else if (unlikely(len != r->o.bytes ||
                      memcmp(payload + BOOK_HEAD, b->pattern + BOOK_HEAD, len - BOOK_HEAD) != 0))
        r->part[run_part(r, k)].corrupt++;
    else if (unlikely(book_twice(b, k)))
        r->part[run_part(r, k)].duplicate++;
    else
        book_right(r, b, k, now);
}
