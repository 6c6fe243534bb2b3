/* SPDX-License-Identifier: MIT
 * What this kernel's io_uring can do: found by trying, never by version numbers, because
 * distributions backport and sandboxes refuse.
 *
 * The floor is Linux 6.0: provided buffer rings (5.19) and multishot receive (6.0). Below it a
 * receive would need a request and a buffer each, which epoll does as well; so there is no second
 * code path, and the row says why.
 * Sources: io_uring_setup(2), io_uring_register(2), io_uring_enter(2),
 * include/uapi/linux/io_uring.h. */
#include "uring.h"

#include "base/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIAL_GROUP 7 /* any buffer group id that is not in use on the trial ring */

/* Best first. CQSIZE: more completions than submissions, because a multishot request has many.
 * CLAMP: a smaller limit of the kernel is no error. SUBMIT_ALL: one bad entry does not hold up
 * those behind it. TASKRUN_FLAG: the ring says in shared memory that completions wait for a call,
 * so that an idle poll needs none. */
static const struct {
    unsigned flags, features;
} setups[] = {
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
     URING_SINGLE | URING_DEFER},
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
     URING_SINGLE | URING_COOP},
    {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, URING_COOP},
    {0, 0},
};

/* A ring's memory may lie where another thread's ring lay before. The kernel keeps both apart
 * (munmap, mmap), but liburing asks it without libc, so ThreadSanitizer does not see that: this
 * pair of accesses says it. */
static atomic_uint closed;

void uring_teardown(struct io_uring *ring)
{
    /* release: pairs with the load in uring_setup */
    atomic_fetch_add_explicit(&closed, 1, memory_order_release);
    io_uring_queue_exit(ring);
}

int uring_setup(struct io_uring *ring, unsigned entries, unsigned completions, unsigned *features)
{
    int rc = -EINVAL;
    for (unsigned i = 0; rc == -EINVAL && i < array_len(setups); i++) {
        struct io_uring_params p = {.cq_entries = completions};
        p.flags =
            setups[i].flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
        rc = io_uring_queue_init_params(entries, ring, &p);
        *features = setups[i].features;
    }
    (void)atomic_load_explicit(&closed, memory_order_acquire); /* pairs with uring_teardown */
    return rc;
}

/* ---- trials: each on a small ring that is closed after -------------------------------------- */

struct trial {
    struct io_uring ring;
    int pair[2]; /* a stream: we receive on the first */
    void *bufs;  /* a page for the buffer ring, a page to receive into */
};

/* Submit, and the next completion within 100 ms: every trial completes at once where it is
 * supported. */
static int next_completion(struct trial *t, struct io_uring_cqe *ret)
{
    struct __kernel_timespec ts = {.tv_nsec = 100000000};
    struct io_uring_cqe *cqe;
    int rc = io_uring_submit_and_wait_timeout(&t->ring, &cqe, 1, &ts, NULL);
    if (rc < 0)
        return rc;
    *ret = *cqe;
    io_uring_cqe_seen(&t->ring, cqe);
    return 0;
}

/* A multishot receive on the pair, from the table of files, into a provided buffer ring. 0 or
 * -errno. */
static int try_multishot(struct trial *t)
{
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)t->bufs,
                                   .ring_entries = 4,
                                   .bgid = TRIAL_GROUP};
    struct io_uring_cqe cqe;
    int rc = io_uring_register_files_sparse(&t->ring, 2);
    if (rc == 0)
        rc = io_uring_register_buf_ring(&t->ring, &reg, 0);
    if (rc == 0)
        rc = min_of(io_uring_register_files_update(&t->ring, 0, t->pair, 1), 0);
    if (rc)
        return rc;
    io_uring_buf_ring_init(t->bufs);
    for (unsigned short i = 0; i < 2; i++) /* one to fill, one to stay armed with */
        io_uring_buf_ring_add(t->bufs, (uint8_t *)t->bufs + 4096 + i * 64, 64, i, 3, i);
    io_uring_buf_ring_advance(t->bufs, 2);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring);
    io_uring_prep_recv_multishot(sqe, 0, NULL, 0, 0);
    sqe->flags = IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
    sqe->buf_group = TRIAL_GROUP;
    sqe->user_data = 0;
    if (write(t->pair[1], "w", 1) != 1)
        return -errno;
    rc = next_completion(t, &cqe);
    if (rc)
        return rc;
    bool works = cqe.res == 1 && cqe.flags & IORING_CQE_F_BUFFER && cqe.flags & IORING_CQE_F_MORE;
    return works ? 0 : min_of(cqe.res, -EINVAL);
}

/* Is a file that leaves the table released while an older request (the multishot above) is in
 * flight? Before Linux 6.13 it is not: a closed connection would stay open for its peer
 * (github.com/axboe/liburing/issues/1192). */
static bool try_files(struct trial *t)
{
    int pair[2], none = -1;
    char byte;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return false;
    bool placed = io_uring_register_files_update(&t->ring, 1, pair, 1) == 1 &&
                  io_uring_register_files_update(&t->ring, 1, &none, 1) == 1;
    close(pair[0]);
    bool released = placed && recv(pair[1], &byte, 1, MSG_DONTWAIT) == 0;
    close(pair[1]);
    return released;
}

/* Does the kernel know the flag? On no file: then EBADF, where the flag is not known EINVAL comes
 * first. */
static bool try_zero_copy(struct trial *t)
{
    struct io_uring_probe *p = io_uring_get_probe_ring(&t->ring);
    bool known = p && io_uring_opcode_supported(p, IORING_OP_SENDMSG_ZC);
    struct io_uring_sqe *sqe = known ? io_uring_get_sqe(&t->ring) : NULL;
    struct io_uring_cqe cqe = {.res = -EINVAL};
    free(p);
    if (!sqe)
        return false;
    io_uring_prep_send_zc(sqe, -1, t->bufs, 1, 0, IORING_SEND_ZC_REPORT_USAGE);
    sqe->user_data = 0;
    return next_completion(t, &cqe) == 0 && cqe.res == -EBADF;
}

static unsigned try_udp(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), segment = 0;
    socklen_t bytes = sizeof segment;
    unsigned features = 0;
    if (fd < 0)
        return 0;
    if (socket_gro(fd))
        features |= URING_GRO;
    if (getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, &bytes) == 0)
        features |= URING_GSO;
    close(fd);
    return features;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static int refused(struct weir_why *why, int rc)
{
    const char *fix = "", *what = strerror(-rc);
    switch (-rc) {
    case ENOSYS: what = "this kernel has no io_uring, or a sandbox hides it"; break;
    case EPERM:
        what = "io_uring is switched off here";
        fix = "sysctl kernel.io_uring_disabled=0; in a container allow io_uring_setup in its "
              "seccomp profile";
        break;
    case ENOMEM: fix = "raise the limit of locked memory: ulimit -l"; break;
    case EMFILE: fix = "raise the limit of open files: ulimit -n"; break;
    default: break;
    }
    return why_set(why, rc, "io_uring", fix, "%s", what);
}

static int run_trials(struct trial *t, unsigned *features, struct weir_why *why)
{
    int rc = try_multishot(t);
    if (rc)
        return why_set(why, rc, "io_uring", "run Linux 6.0 or later, or take epoll",
                       "no multishot receive into a provided buffer ring (%s)", strerror(-rc));
    if (try_files(t))
        *features |= URING_FILES;
    if (io_uring_register_ring_fd(&t->ring) == 1)
        *features |= URING_RINGFD;
    if (try_zero_copy(t))
        *features |= URING_ZC;
    *features |= try_udp();
    return 0;
}

int uring_features(struct weir_why *why)
{
    struct trial t;
    unsigned features = 0;
    int rc = uring_setup(&t.ring, 8, 16, &features);
    if (rc)
        return refused(why, rc);
    t.bufs = aligned_alloc(4096, 8192); /* a buffer ring begins on a page */
    rc = -ENOMEM;
    if (t.bufs)
        rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t.pair) ? -errno : 0;
    if (rc) {
        refused(why, rc);
    } else {
        rc = run_trials(&t, &features, why);
        shutdown(t.pair[1], SHUT_RDWR); /* ends the armed receive: nothing is written to after */
        close(t.pair[0]);
        close(t.pair[1]);
    }
    uring_teardown(&t.ring);
    free(t.bufs);
    return rc ? rc : (int)features;
}

static const char *yes_no(unsigned feature)
{
    return feature ? "yes" : "no";
}

/* In brackets the kernel that has it. */
void uring_modes_text(unsigned f, bool zc, char *text, size_t bytes)
{
    const char *run = f & URING_DEFER  ? "DEFER_TASKRUN"
                      : f & URING_COOP ? "COOP_TASKRUN (DEFER refused)"
                                       : "plain task work";
    snprintf(text, bytes,
             "%s%s; multishot accept, recv, recvmsg; registered files %s, ring %s; "
             "GRO %s, GSO %s; SEND_ZC %s",
             f & URING_SINGLE ? "SINGLE_ISSUER, " : "", run,
             f & URING_FILES ? "yes" : "no (Linux 6.13)", yes_no(f & URING_RINGFD),
             yes_no(f & URING_GRO), yes_no(f & URING_GSO),
             zc             ? "until it copies"
             : f & URING_ZC ? "off: the kernel copied"
                            : "no (Linux 6.2)");
}

int uring_probe(char *modes, size_t bytes, struct weir_why *why)
{
    int features = uring_features(why);
    if (features < 0)
        return features;
    uring_modes_text((unsigned)features, features & URING_ZC, modes, bytes);
    return 0;
}
