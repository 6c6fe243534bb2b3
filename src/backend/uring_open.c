/* SPDX-License-Identifier: MIT
 * The io_uring backend's birth and death: everything is allocated here, and close sees the last
 * completion before it takes the slots back.
 *
 * Sizes: as many submission entries as a poll has events, because each may be answered; a record
 * for each; four times as many completions, because a multishot request has many. What does not fit
 * is kept by the kernel (IORING_FEAT_NODROP) and counted. Source: io_uring_setup(2). */
#include "uring.h"

#include "base/base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define ENTRIES_MIN 64u
#define ENTRIES_MAX 4096u
#define COMPLETIONS 4u /* for each submission entry */
#define MEMLOCK "raise the memlock limit (ulimit -l), or take epoll"
#define SMALL_MOST 1024u /* slots posted for streams */
#define BULK_MOST 32u    /* and for those whose bytes come in bulk */
#define CLOSE_TURNS 1000 /* of at most 1 ms, for the last completions */

static unsigned entries(const struct backend *b)
{
    unsigned n = ENTRIES_MIN;
    while (n < b->opt.poll_events && n < ENTRIES_MAX)
        n *= 2;
    return n;
}

/* As many files as endpoints, where the limit of open files allows. None: descriptors serve as
 * well. */
static void open_files(struct backend *b)
{
    struct uring *u = uring_of(b);
    struct rlimit limit;
    if (!(u->features & URING_FILES) || getrlimit(RLIMIT_NOFILE, &limit))
        return;
    uint32_t n = (uint32_t)min_of((rlim_t)b->opt.endpoints_max, limit.rlim_cur);
    int rc = io_uring_register_files_sparse(&u->ring, n);
    if (rc == 0) {
        u->files = n;
        return;
    }
    u->features &= ~URING_FILES;
    backend_lesser(b, rc, "registered files", "raise ulimit -n", "a table of %u was refused", n);
}

/* A little less than rx_max: one full slot is no reason to stop receiving. */
static uint32_t bulk_bytes(const struct backend *b)
{
    uint32_t most = min_of(b->opt.rx_max, WEIR_BIG_BYTES);
    return most > 4096 ? most - 64 : most;
}

static int open_parts(struct backend *b, unsigned n)
{
    struct uring *u = uring_of(b);
    uint32_t small = pool_small_bytes(b->pool) - pool_headroom(b->pool);
    u->held_next = calloc((size_t)b->opt.pool.small + b->opt.pool.big, sizeof *u->held_next);
    int rc = u->held_next ? records_open(b, n) : -ENOMEM;
    if (rc == 0)
        rc = group_open(b, &u->small, 0, WEIR_SMALL, SMALL_MOST, small);
    if (rc == 0)
        rc = group_open(b, &u->bulk, 1, WEIR_BIG, BULK_MOST, bulk_bytes(b));
    if (rc == 0)
        rc = group_open(b, &u->big, 2, WEIR_BIG, b->opt.burst, RX_FRONT + WEIR_BIG_BYTES);
    if (rc)
        return rc;
    open_files(b);
    if (u->features & URING_RINGFD && io_uring_register_ring_fd(&u->ring) != 1)
        u->features &= ~URING_RINGFD;
    uring_arm_wake(b);
    return 0;
}

int uring_open(struct backend *b, struct weir_why *why)
{
    int features = uring_features(why);
    if (features < 0)
        return features;
    struct uring *u = calloc(1, sizeof *u);
    if (!u)
        return why_set(why, -ENOMEM, "io_uring", "", "no memory");
    u->todo = (struct ep_list){NIL, NIL};
    u->rx_msg = (struct msghdr){.msg_namelen = RX_NAME, .msg_controllen = RX_CTL};
    unsigned n = entries(b), granted;
    int rc = uring_setup(&u->ring, n, n * COMPLETIONS, &granted);
    if (rc) {
        free(u);
        return why_set(why, rc, "io_uring", rc == -ENOMEM ? MEMLOCK : "", "a ring of %u: %s", n,
                       strerror(-rc));
    }
    u->features = (unsigned)features;
    if (b->opt.no_gro)
        u->features &= ~(URING_GRO | URING_GSO);
    u->zc = u->features & URING_ZC;
    u->zc_max = min_of(b->opt.tx_max, b->opt.pool.small / 8);
    b->priv = u;
    rc = open_parts(b, n);
    return rc ? why_set(why, rc, "io_uring", rc == -ENOMEM ? MEMLOCK : "",
                        "buffer rings or records: %s", strerror(-rc))
              : 0;
}

/* Cancel all that is left and see its completions, so that the kernel writes no slot after. */
static void drain(struct backend *b)
{
    struct uring *u = uring_of(b);
    struct io_uring_sqe *sqe = uring_sqe(b);
    if (sqe) {
        io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = OP_NONE;
    }
    u->small.wanted = u->bulk.wanted = u->big.wanted = false;
    u->wake_armed = true; /* not again */
    for (int turn = 0; u->reqs && turn < CLOSE_TURNS && !u->broken; turn++) {
        uring_wait(b, 1000000);
        b->n_events = 0;
        uring_harvest(b);
        u->wake_armed = true;
    }
}

void uring_close(struct backend *b)
{
    struct uring *u = uring_of(b);
    if (!u)
        return;
    drain(b);
    uring_teardown(&u->ring);
    group_close(&u->small);
    group_close(&u->bulk);
    group_close(&u->big);
    records_close(b);
    if (u->stash.buf)
        weir_buf_drop(&u->stash.buf, 1);
    free(u->held_next);
    free(u);
    b->priv = NULL;
}

void uring_modes(const struct backend *b, char *text, size_t bytes)
{
    uring_modes_text(uring_of(b)->features, uring_of(b)->zc, text, bytes);
}
