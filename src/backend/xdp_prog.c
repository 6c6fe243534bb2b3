/* SPDX-License-Identifier: MIT
 * The XDP program's life: one a device and process, whichever engine comes first attaches it, and the
 * last one's close takes it off again.
 *
 * It hangs on a bpf_link, which dies with the process: nothing is left on the interface after a
 * kill -9. Loaded in the best form that the host takes: asking the device for metadata or not, in the
 * driver or in the kernel's generic hook. libbpf would print: its text goes into `why`.
 *
 * The table of programs and the reference counts of ports are behind one lock, taken at opening and
 * closing (of engines, of endpoints), never for a packet.
 * Source  Documentation/bpf/libbpf/; bpf(2); Documentation/networking/xdp-rx-metadata.rst */
#include "backend/xdp.h"

#pragma GCC diagnostic ignored "-Woverlength-strings" /* each skeleton is one long string */
#include "xdp.skel.h"
#include "xdp_meta.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORTS 65536

struct xdp_prog {
    struct xdp_prog *next;
    dev_t netns_dev;
    ino_t netns;
    struct xdp_prog_opt opt;
    unsigned engines;
    struct bpf_object *object;
    int link, sockets, ports;
    bool generic, meta;
    struct weir_why lesser;
    uint16_t wanted[XDP_ADDRESSES][PORTS]; /* endpoints that asked for it; mostly never touched */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct xdp_prog *programs;
static char said[160]; /* libbpf's last word, under the lock */

/* ---- loading -------------------------------------------------------------------------------- */

static int listen_to(enum libbpf_print_level level, const char *format, va_list args)
{
    if (level == LIBBPF_WARN)
        vsnprintf(said, sizeof said, format, args);
    said[strcspn(said, "\n")] = 0;
    return 0;
}

static int set_up(struct xdp_prog *p, struct bpf_object *o, bool meta)
{
    struct bpf_program *program = bpf_object__find_program_by_name(o, "weir_xdp");
    struct bpf_map *sockets = bpf_object__find_map_by_name(o, "sockets");
    uint32_t flags = p->opt.frags ? BPF_F_XDP_HAS_FRAGS : 0;
    if (!program || !sockets)
        return -ENOENT;
    if (meta) {
        flags |= BPF_F_XDP_DEV_BOUND_ONLY;
        bpf_program__set_ifindex(program, (uint32_t)p->opt.ifindex);
    }
    bpf_program__set_flags(program, flags);
    return bpf_map__set_max_entries(sockets, p->opt.queues);
}

/* One form of the program. 0 or -errno; `p->object` is it. */
static int load(struct xdp_prog *p, bool meta)
{
    size_t bytes;
    const void *elf = meta ? xdp_meta_bpf__elf_bytes(&bytes) : xdp_bpf__elf_bytes(&bytes);
    const struct bpf_object_open_opts opts = {.sz = sizeof opts, .object_name = "weir"};
    struct bpf_object *o = bpf_object__open_mem(elf, bytes, &opts);
    if (!o)
        return -errno;
    int rc = set_up(p, o, meta);
    rc = rc ? rc : bpf_object__load(o);
    if (rc) {
        bpf_object__close(o);
        return rc;
    }
    p->object = o;
    p->meta = meta;
    return 0;
}

static void unload(struct xdp_prog *p)
{
    if (p->object)
        bpf_object__close(p->object);
    p->object = NULL;
}

static int map_fd(struct xdp_prog *p, const char *name)
{
    return bpf_object__find_map_fd_by_name(p->object, name);
}

/* Addresses first, so that the program knows them from its first frame on. 0 or -errno. */
static int attach(struct xdp_prog *p, bool generic)
{
    const uint32_t zero = 0;
    const struct bpf_program *program = bpf_object__find_program_by_name(p->object, "weir_xdp");
    const struct bpf_link_create_opts opts = {.sz = sizeof opts,
                                              .flags = generic ? XDP_FLAGS_SKB_MODE
                                                               : XDP_FLAGS_DRV_MODE};
    if (bpf_map_update_elem(map_fd(p, "config"), &zero, &p->opt.config, BPF_ANY))
        return -errno;
    p->link = bpf_link_create(bpf_program__fd(program), p->opt.ifindex, BPF_XDP, &opts);
    if (p->link < 0)
        return -errno;
    p->generic = generic;
    p->sockets = map_fd(p, "sockets");
    p->ports = map_fd(p, "ports");
    return 0;
}

static int try_form(struct xdp_prog *p, bool meta, bool generic)
{
    int rc = load(p, meta);
    rc = rc ? rc : attach(p, generic);
    if (rc)
        unload(p);
    return rc;
}

/* The best form that works. A metadata program is bound to the driver, so it is never generic. */
static int start(struct xdp_prog *p)
{
    int rc = -EOPNOTSUPP;
    if (!p->opt.generic && p->opt.meta)
        rc = try_form(p, true, false);
    if (rc && rc != -EBUSY && rc != -EEXIST && !p->opt.generic)
        rc = try_form(p, false, false);
    if (rc == 0 || rc == -EBUSY || rc == -EEXIST || rc == -EPERM)
        return rc;
    if (!p->opt.generic)
        why_set(&p->lesser, rc, "native XDP", "a driver with XDP, or a smaller MTU",
                "the kernel's slower generic XDP is used: %s%s%s", strerror(-rc), *said ? "; " : "",
                said);
    return try_form(p, false, true);
}

static int start_quietly(struct xdp_prog *p)
{
    libbpf_print_fn_t printer = libbpf_set_print(listen_to);
    *said = 0;
    int rc = start(p);
    libbpf_set_print(printer);
    return rc;
}

static int explain(const struct xdp_prog *p, int rc, struct weir_why *why)
{
    char text[120];
    if (rc == -EBUSY || rc == -EEXIST)
        return why_set(why, rc, "XDP", "end it, or take its program off (ip link set DEV xdp off)",
                       "another program is attached: %s",
                       xdp_holder(p->opt.ifindex, text, sizeof text));
    return why_set(why, rc, "XDP",
                   rc == -EPERM ? "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
                                : "",
                   "loading the program: %s%s%s", strerror(-rc), *said ? "; " : "", said);
}

/* ---- one a device and process --------------------------------------------------------------- */

static struct xdp_prog *find(const struct stat *netns, int ifindex)
{
    for (struct xdp_prog *p = programs; p; p = p->next)
        if (p->netns == netns->st_ino && p->netns_dev == netns->st_dev && p->opt.ifindex == ifindex)
            return p;
    return NULL;
}

static struct xdp_prog *join(struct xdp_prog *p, const struct xdp_prog_opt *opt,
                             struct weir_why *why)
{
    const struct xdp_config *c = &p->opt.config;
    /* The kernel's addresses come and go between two openings; who joins takes those of the first */
    bool addresses = c->own ? memcmp(c, &opt->config, sizeof *c) == 0 : !opt->config.own;
    bool same = addresses && p->opt.generic == opt->generic && p->opt.frags == opt->frags;
    if (!same) {
        why_set(why, -EBUSY, "XDP", "give all engines of a device the same addresses and modes",
                "another engine of this process has the device, with other options");
        return NULL;
    }
    p->engines++;
    return p;
}

static struct xdp_prog *first(const struct stat *netns, const struct xdp_prog_opt *opt,
                              struct weir_why *why)
{
    struct xdp_prog *p = calloc(1, sizeof *p);
    if (!p) {
        why_set(why, -ENOMEM, "XDP", "", "no memory");
        return NULL;
    }
    p->netns = netns->st_ino;
    p->netns_dev = netns->st_dev;
    p->opt = *opt;
    p->engines = 1;
    int rc = start_quietly(p);
    if (rc) {
        explain(p, rc, why);
        free(p);
        return NULL;
    }
    p->next = programs;
    programs = p;
    return p;
}

struct xdp_prog *xdp_prog_open(const struct xdp_prog_opt *opt, struct weir_why *why)
{
    struct stat netns;
    if (stat("/proc/thread-self/ns/net", &netns)) {
        why_set(why, -errno, "XDP", "is /proc mounted?", "own network namespace: %s",
                strerror(errno));
        return NULL;
    }
    pthread_mutex_lock(&lock);
    struct xdp_prog *p = find(&netns, opt->ifindex);
    p = p ? join(p, opt, why) : first(&netns, opt, why);
    pthread_mutex_unlock(&lock);
    return p;
}

void xdp_prog_close(struct xdp_prog *p)
{
    struct xdp_prog **at;
    pthread_mutex_lock(&lock);
    bool last = --p->engines == 0;
    for (at = &programs; last && *at != p; at = &(*at)->next) {}
    if (last) { /* all under the lock: who opens now must find the interface free again */
        *at = p->next;
        close(p->link);
        unload(p);
        free(p);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- its maps ------------------------------------------------------------------------------- */

int xdp_prog_enter(struct xdp_prog *p, uint32_t queue, int fd)
{
    return bpf_map_update_elem(p->sockets, &queue, &fd, BPF_ANY) ? -errno : 0;
}

void xdp_prog_leave(struct xdp_prog *p, uint32_t queue)
{
    bpf_map_delete_elem(p->sockets, &queue);
}

static int write_port(struct xdp_prog *p, uint16_t port)
{
    const uint32_t key = port;
    xdp_port_mask mask = 0;
    for (unsigned i = 0; i < p->opt.config.addresses; i++)
        mask |= p->wanted[i][port] ? 1u << i : 0;
    return bpf_map_update_elem(p->ports, &key, &mask, BPF_ANY) ? -errno : 0;
}

/* One endpoint more (1) or less (-1) wants the port. How many addresses that means. */
static unsigned want(struct xdp_prog *p, const struct weir_addr *local, int change)
{
    const struct xdp_config *c = &p->opt.config;
    bool any = addr_is_any(local);
    unsigned meant = 0;
    for (unsigned i = 0; i < c->addresses; i++) {
        if (!any && memcmp(c->address[i].ip, local->ip, sizeof local->ip))
            continue;
        p->wanted[i][local->port] = (uint16_t)(p->wanted[i][local->port] + change);
        meant++;
    }
    return meant;
}

int xdp_prog_steer(struct xdp_prog *p, const struct weir_addr *local, bool on)
{
    pthread_mutex_lock(&lock);
    unsigned meant = want(p, local, on ? 1 : -1);
    int rc = meant ? write_port(p, local->port) : -EADDRNOTAVAIL;
    if (rc && on) /* whoever is refused takes nothing back */
        want(p, local, -1);
    pthread_mutex_unlock(&lock);
    return rc;
}

uint32_t xdp_prog_addresses(const struct xdp_prog *p, struct weir_net ret[XDP_ADDRESSES])
{
    const struct xdp_config *c = &p->opt.config;
    for (uint32_t i = 0; i < c->addresses; i++) {
        memcpy(ret[i].ip, c->address[i].ip, sizeof ret[i].ip);
        ret[i].prefix = p->opt.prefix[i];
    }
    return c->addresses;
}

bool xdp_prog_generic(const struct xdp_prog *p)
{
    return p->generic;
}

bool xdp_prog_meta(const struct xdp_prog *p)
{
    return p->meta;
}

const struct weir_why *xdp_prog_lesser(const struct xdp_prog *p)
{
    return &p->lesser;
}
