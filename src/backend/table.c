/* SPDX-License-Identifier: MIT
 * The table of backends, best first. A row stays when its part was not built, with the reason and
 * the remedy. */
#include "backend.h"

#include "config.h"

#include <errno.h>
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
    return 0;
}

static const struct backend_ops *usable(const struct row *row, struct weir_why *why)
{
    char modes[256];
    return probe(row, modes, sizeof modes, why) == 0 ? row->ops : NULL;
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
