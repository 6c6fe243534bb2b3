/* SPDX-License-Identifier: MIT
 * A run in a process of its own: what it leaves behind (memory, sockets, a wedged engine) dies
 * with it.
 *
 * In the flow   rounds.c -> child_run -> fork -> measure -> a sample through a pipe.
 * Invariants    the parent has one thread and no engine, so that fork is safe; the child never
 *               outlives it (PR_SET_PDEATHSIG); only a process started here is killed, by its id;
 *               a sample has the right size or it is none. Signals are blocked but inside ppoll,
 *               so that none is missed between. */
#include "bench/child.h"
#include "bench/measure.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;
static sigset_t waiting; /* the mask inside ppoll */

static void on_stop(int signal)
{
    stopped = signal;
}

void child_signals(void)
{
    struct sigaction action = {.sa_handler = on_stop};
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigaddset(&block, SIGTERM);
    sigprocmask(SIG_BLOCK, &block, &waiting);
    sigdelset(&waiting, SIGINT);
    sigdelset(&waiting, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Also what is pending while blocked counts: nothing may start after Ctrl-C. */
int child_stopped(void)
{
    sigset_t pending;
    if (!stopped && sigpending(&pending) == 0) {
        if (sigismember(&pending, SIGINT))
            stopped = SIGINT;
        else if (sigismember(&pending, SIGTERM))
            stopped = SIGTERM;
    }
    return stopped;
}

static bool write_all(int fd, const void *from, size_t bytes)
{
    const char *at = from;
    while (bytes > 0) {
        ssize_t n = write(fd, at, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

static void __attribute__((noreturn))
in_child(child_task *task, const struct cell *cell, int fd, pid_t parent)
{
    struct sample sample;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(1);
    task(cell, &sample);
    _exit(write_all(fd, &sample, sizeof sample) ? 0 : 1);
}

/* Wait for bytes until `until_ns`. Returns 1, 0 at the deadline, -EINTR when asked to stop. */
static int wait_readable(int fd, uint64_t until_ns)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t now = weir_now_ns();
    uint64_t left = now < until_ns ? until_ns - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000),
                               .tv_nsec = (long)(left % 1000000000)};
    int n = ppoll(&p, 1, &timeout, &waiting);
    if (child_stopped())
        return -EINTR;
    return n < 0 ? 1 : n; /* another signal: read and see */
}

/* The whole sample or nothing. Returns bytes read, or -EINTR, or -ETIMEDOUT. */
static ssize_t read_sample(int fd, uint64_t until_ns, struct sample *ret)
{
    size_t got = 0;
    while (got < sizeof *ret) {
        int rc = wait_readable(fd, until_ns);
        if (rc <= 0)
            return rc ? rc : -ETIMEDOUT;
        ssize_t n = read(fd, (char *)ret + got, sizeof *ret - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static int reap(pid_t pid, bool kill_it)
{
    int status = 0;
    if (kill_it)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void tell_death(struct sample *ret, int status)
{
    sample_init(ret);
    if (WIFSIGNALED(status))
        sample_refuse(ret, "the run died: %s", strsignal(WTERMSIG(status)));
    else
        sample_refuse(ret, "the run ended without a result (exit code %d)", WEXITSTATUS(status));
}

static int fetch(pid_t pid, int fd, uint64_t limit_ns, struct sample *ret)
{
    ssize_t got = read_sample(fd, weir_now_ns() + limit_ns, ret);
    int status = reap(pid, got < 0);
    if (got == -EINTR)
        return -EINTR;
    if (got == -ETIMEDOUT) {
        sample_init(ret);
        sample_refuse(ret, "the run hung: killed after %.0f s", (double)limit_ns / 1e9);
    } else if ((size_t)got != sizeof *ret || ret->bytes != sizeof *ret) {
        tell_death(ret, status);
    }
    return 0;
}

int child_run(child_task *task, const struct cell *cell, uint64_t limit_ns, struct sample *ret)
{
    int fds[2] = {-1, -1};
    pid_t parent = getpid(), pid = -1;
    sample_init(ret);
    if (pipe(fds) == 0)
        pid = fork();
    if (pid == 0) {
        close(fds[0]);
        in_child(task, cell, fds[1], parent);
    }
    if (pid < 0)
        sample_refuse(ret, "no process for the run: %s", strerror(errno));
    if (fds[1] >= 0)
        close(fds[1]);
    int rc = pid > 0 ? fetch(pid, fds[0], limit_ns, ret) : 0;
    if (fds[0] >= 0)
        close(fds[0]);
    return rc;
}
