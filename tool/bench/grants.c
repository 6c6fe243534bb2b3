/* SPDX-License-Identifier: MIT
 * What the host gave and refused, made complete.
 *
 * In the flow   server.c's lines -> grants_complete (in the child) -> sample -> grants_shown -> the
 *               table, JSON.
 * Invariants    every line is of what was asked for; what was not asked for is said to be so. The
 *               engine tells only refusals of a socket's options: without one, all that was asked
 *               is given. */
#include "bench/grants.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>

struct lines {
    struct weir_why *line;
    unsigned n;
};

__attribute__((format(printf, 5, 6))) static void add(struct lines *l, int code, const char *where,
                                                      const char *fix, const char *format, ...)
{
    va_list args;
    if (l->n == LINES_MAX)
        return;
    struct weir_why *why = &l->line[l->n++];
    *why = (struct weir_why){.code = code};
    snprintf(why->where, sizeof why->where, "%s", where);
    snprintf(why->fix, sizeof why->fix, "%s", fix);
    va_start(args, format);
    vsnprintf(why->what, sizeof why->what, format, args);
    va_end(args);
}

static struct weir_why *find(const struct lines *l, const char *where)
{
    for (unsigned i = 0; i < l->n; i++)
        if (strcmp(l->line[i].where, where) == 0)
            return &l->line[i];
    return NULL;
}

/* ---- what the engine leaves out
 * -------------------------------------------------------------------- */

/* The engine tells one refusal of its memory: that of hugepages hides that of the lock. */
static void memory_lock(const struct cell *cell, struct lines *l)
{
    const struct weir_why *buffers = find(l, "buffers");
    struct rlimit limit = {0};
    unsigned long kib = 0;
    if (!buffers || find(l, "memory lock"))
        return;
    if (!strstr(buffers->what, "not locked")) {
        add(l, 0, "memory lock", "", "all buffers");
        return;
    }
    if (is_dpdk(cell->backend)) {
        add(l, NOT_ASKED, "memory lock", "", "the environment's memory; hugepages never need it");
        return;
    }
    sscanf(buffers->what, "%lu KiB", &kib);
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur == RLIM_INFINITY)
        add(l, -EPERM, "memory lock", "", "%lu KiB asked, though there is no limit", kib);
    else
        add(l, -EPERM, "memory lock", "raise the limit memlock (ulimit -l)",
            "%lu KiB asked, the limit is %llu KiB", kib, (unsigned long long)limit.rlim_cur >> 10);
}

static void udp_sockets(const struct cell *cell, struct lines *l)
{
    static const char *const buffers[] = {"SO_RCVBUF", "SO_SNDBUF"};
    for (unsigned i = 0; i < 2; i++)
        if (!find(l, buffers[i]))
            add(l, 0, buffers[i], "", "%u MiB, as asked", GRANTS_SOCK_BYTES >> 20);
    if (!find(l, "SO_BUSY_POLL"))
        add(l, 0, "SO_BUSY_POLL", "", "on every UDP socket");
    if (is_naive(cell->backend))
        add(l, NOT_ASKED, "UDP GRO, GSO", "", "the yardstick takes packets one by one");
    else if (cell->no_coalesce)
        add(l, NOT_ASKED, "coalescing", "", "--no-coalesce");
}

/* ---- what is not so without a UDP socket
 * ----------------------------------------------------------- */

static void drop(struct lines *l, const char *where)
{
    struct weir_why *why = find(l, where);
    if (!why)
        return;
    l->n--;
    memmove(why, why + 1, (size_t)(&l->line[l->n] - why) * sizeof *why);
}

/* "bursts of 64; UDP GRO off, GSO on": it is off because no socket was there to ask for it. */
static void no_udp_sockets(const struct cell *cell, struct lines *l)
{
    struct weir_why *modes = find(l, cell->backend);
    char *udp = modes ? strstr(modes->what, "; UDP GRO") : NULL;
    if (udp)
        *udp = 0;
    drop(l, "coalescing");
    add(l, NOT_ASKED, "UDP sockets", "",
        "none here: no buffer size, busy poll, GRO, GSO or coalescing");
}

/* Nothing of a socket is asked for where there is none. */
static void no_sockets(struct lines *l)
{
    add(l, NOT_ASKED, "sockets", "",
        "none here: frames come and go past the kernel's stack, so no buffer size, busy poll, GRO, "
        "GSO or coalescing");
}

unsigned grants_complete(const struct cell *cell, struct weir_why line[LINES_MAX], unsigned n)
{
    struct lines l = {line, n};
    memory_lock(cell, &l);
    if (cell->frames)
        no_sockets(&l);
    else if (load_is_stream(cell->load))
        no_udp_sockets(cell, &l);
    else
        udp_sockets(cell, &l);
    if (cell->no_af_xdp)
        add(&l, -EOPNOTSUPP, "net_af_xdp", "", "net_af_packet instead: %s", cell->no_af_xdp);
    add(&l, NOT_ASKED, "SCHED_FIFO", "",
        "a spinning worker would starve the softirq work of its core");
    return l.n;
}

/* ---- which lines are shown
 * ------------------------------------------------------------------------- */

static bool of_backend(const struct bench *bench, unsigned row, const char *backend)
{
    const struct row *r = &bench->rows[row];
    return r->last && r->last->lines && strcmp(r->cell.backend, backend) == 0;
}

/* The row that speaks for a backend; there is one, because the caller has such a row. */
static unsigned speaker(const struct bench *bench, const char *backend)
{
    unsigned first = bench->cell_count;
    for (unsigned i = bench->cell_count; i-- > 0;) {
        bool streams = load_is_stream(bench->rows[i].cell.load);
        bool better =
            first == bench->cell_count || !streams || load_is_stream(bench->rows[first].cell.load);
        if (of_backend(bench, i, backend) && better)
            first = i;
    }
    return first;
}

static bool has(const struct row *row, const char *where)
{
    struct weir_why *line = (struct weir_why *)row->last->line; /* only read */
    return find(&(struct lines){line, row->last->lines}, where) != NULL;
}

bool grants_shown(const struct bench *bench, unsigned row, unsigned k)
{
    const char *backend = bench->rows[row].cell.backend;
    const struct weir_why *line = &bench->rows[row].last->line[k];
    unsigned first = speaker(bench, backend);
    if (row == first)
        return true;
    if (line->code >= 0 || has(&bench->rows[first], line->where))
        return false;
    for (unsigned i = 0; i < row; i++)
        if (of_backend(bench, i, backend) && has(&bench->rows[i], line->where))
            return false;
    return true;
}
