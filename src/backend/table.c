/* SPDX-License-Identifier: MIT
 * The table of backends, best first. A row stays when its part was not built, with the reason and
 * the remedy. */
#include "backend.h"

#include "config.h"
#include "probe/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct row {
    const struct backend_ops *ops; /* NULL: not built */
    const char *name, *title, *needs;
    uint8_t chosen; /* may be taken when no backend was named: naive is a yardstick, not a choice */
};

static const struct row rows[] = {
    {&backend_epoll, "epoll", NULL, NULL, 1},
#ifdef WEIR_HAVE_LIBURING
    {&backend_uring, "uring", NULL, NULL, 1},
#else
    {NULL, "uring", "kernel sockets through io_uring",
     "install liburing-dev 2.3 or later and build again", 0},
#endif
    {&backend_naive, "naive", NULL, NULL, 0},
#ifdef WEIR_HAVE_XDP
    {&backend_xdp, "xdp", NULL, NULL, 0},
#else
    {NULL, "xdp", "our own stack over AF_XDP",
     "install libbpf-dev, clang and bpftool and build again", 0},
#endif
#ifdef WEIR_HAVE_DPDK
    {&backend_dpdk, "dpdk", NULL, NULL, 0},
#else
    {NULL, "dpdk", "our own stack over DPDK", "install libdpdk-dev and build again", 0},
#endif
    {&backend_sim, "sim", NULL, NULL, 0},
};

/* ---- lesser modes
 * ---------------------------------------------------------------------------------------- */

/* What a backend's modes say where a part is missing, and what to do. */
static const struct shortfall {
    const char *backend, *sign, *what, *fix;
} shortfalls[] = {
    {"epoll", "UDP GRO no", "no UDP GRO", "use Linux 5.0 or later"},
    {"epoll", "UDP GSO no", "no UDP GSO", "use Linux 4.18 or later"},
    {"uring", "DEFER refused", "no deferred task work", "use Linux 6.1 or later"},
    {"uring", "SEND_ZC no", "no zero-copy sends", "use Linux 6.2 or later"},
    {"uring", "files no", "no registered sockets", "use Linux 6.13 or later"},
};

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t bytes,
                                                         const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, bytes - used, format, args);
    va_end(args);
}

/* One more to `why`, which has room for a few short ones. */
static void add_lesser(struct weir_why *why, const char *what, const char *fix)
{
    snprintf(why->where, sizeof why->where, "host");
    append(why->what, sizeof why->what, "%s%s", why->what[0] ? "; " : "", what);
    if (fix[0] && !strstr(why->fix, fix))
        append(why->fix, sizeof why->fix, "%s%s", why->fix[0] ? ", " : "", fix);
}

/* The pools of all backends ask for hugepages, as one of the first things they do. */
static void add_lessers(const struct row *row, struct weir_backend_info *ret)
{
    struct weir_why own = ret->why;
    ret->why = (struct weir_why){0};
    if (text_read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") == 0)
        add_lesser(&ret->why, "no 2 MiB hugepage is free: pools take smaller pages",
                   "run sysctl vm.nr_hugepages=256");
    for (unsigned i = 0; i < array_len(shortfalls); i++)
        if (strcmp(shortfalls[i].backend, row->name) == 0 && strstr(ret->modes, shortfalls[i].sign))
            add_lesser(&ret->why, shortfalls[i].what, shortfalls[i].fix);
    if (own.what[0])
        add_lesser(&ret->why, own.what, own.fix);
}

static int probe(const struct row *row, char *modes, size_t bytes, struct weir_why *why)
{
    if (!row->ops)
        return why_set(why, -ENOSYS, row->name, row->needs, "not in this build");
    return row->ops->probe(modes, bytes, why);
}

int weir_backend_info(unsigned index, struct weir_backend_info *ret)
{
    if (index >= array_len(rows))
        return -ENOENT;
    const struct row *row = &rows[index];
    memset(ret, 0, sizeof *ret);
    ret->name = row->name;
    ret->title = row->ops ? row->ops->title : row->title;
    ret->built = row->ops != NULL;
    ret->frames = row->ops && row->ops->kind == BACKEND_FRAMES;
    ret->streams = row->ops && row->ops->kind == BACKEND_SOCKETS;
    ret->available = probe(row, ret->modes, sizeof ret->modes, &ret->why) == 0;
    if (ret->available)
        add_lessers(row, ret);
    return 0;
}

static const struct backend_ops *usable(const struct row *row, struct weir_why *why)
{
    char modes[256];
    struct weir_why told = {0}; /* of a usable one: lesser modes, which are for the table */
    if (probe(row, modes, sizeof modes, &told) == 0)
        return row->ops;
    if (why)
        *why = told;
    return NULL;
}

static void list_names(char *text, size_t bytes)
{
    size_t used = 0;
    for (unsigned i = 0; i < array_len(rows) && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "", rows[i].name);
}

const struct backend_ops *backend_find(const char *name, struct weir_why *why)
{
    const struct backend_ops *ops;
    for (unsigned i = 0; i < array_len(rows); i++) {
        if (name && strcmp(rows[i].name, name) == 0)
            return usable(&rows[i], why);
        if (!name && rows[i].chosen && (ops = usable(&rows[i], why)))
            return ops;
    }
    char names[96] = "";
    list_names(names, sizeof names);
    why_set(why, -ENOENT, "backend", "", "no backend '%s'; there are %s", name ? name : "", names);
    return NULL;
}
