/* SPDX-License-Identifier: MIT
 * Which backends are measured, over which network, and which loads say something of each.
 *
 * In the flow   plan.c -> backends_choose -> backends_absent, for each cell.
 * Invariants    a backend that was named and cannot be had is a refusal of one line; one that was
 *               not named is left out. The network is known before the backends are: frames need a
 *               lab. */
#include "bench/plan.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define QUEUES_MAX 64 /* of a lab: each takes rings of the kernel's on both ends */

static int refuse_why(const char *what, const struct weir_why *why)
{
    char text[512];
    weir_why_text(why, text, sizeof text);
    return plan_refuse("%s %s", what, text);
}

static void probe_all(struct bench *bench)
{
    unsigned n = 0;
    while (n < BACKENDS_MAX && weir_backend_info(n, &bench->backends[n]) == 0)
        n++;
    bench->backend_count = n;
}

static bool chosen(const struct bench *bench, bool (*which)(const char *name))
{
    const struct option_list *list = &bench->opt.backends;
    for (unsigned i = 0; i < list->count; i++)
        if (which(bench->backends[list->value[i]].name))
            return true;
    return false;
}

/* ---- the network
 * ----------------------------------------------------------------------------------- */

static int try_lab(struct weir_why *why)
{
    const struct weir_lab_opt opt = {.server_core = -1};
    struct weir_lab *lab = NULL;
    int rc = weir_lab_open(&lab, &opt, why);
    weir_lab_close(lab);
    return rc;
}

static bool has_net(const char *backend)
{
    return !is_sim(backend);
}

/* A lab that cannot be had is told now, not once a cell. */
static int choose_net(struct bench *bench)
{
    struct bench_opt *opt = &bench->opt;
    struct weir_why why = {0};
    if (opt->backends.count && !chosen(bench, has_net)) {
        opt->net = NET_MEMORY;
        return 0;
    }
    if (opt->net == NET_LOOPBACK)
        return 0;
    if (try_lab(&why) == 0) {
        opt->net = NET_LAB;
        return 0;
    }
    if (opt->net == NET_LAB)
        return refuse_why("-n lab:", &why);
    opt->net = NET_LOOPBACK;
    if (geteuid() == 0)
        snprintf(bench->hint, sizeof bench->hint, "no lab here, so no frames: %s", why.what);
    else
        snprintf(bench->hint, sizeof bench->hint,
                 "root would add the lab: xdp and dpdk over a private veth pair, and all others "
                 "loaded by frames beside them");
    return 0;
}

/* ---- the backends
 * ---------------------------------------------------------------------------------- */

static bool has_network(const struct bench *bench, const struct weir_backend_info *info)
{
    return !info->frames || is_sim(info->name) || bench->opt.net == NET_LAB;
}

static int usable(const struct bench *bench, const struct weir_backend_info *info)
{
    if (!info->available)
        return refuse_why("this host cannot run", &info->why);
    if (!has_network(bench, info))
        return plan_refuse("%s speaks frames and needs a network of its own: %s", info->name,
                           geteuid() == 0 ? "add -n lab" : "run as root, with -n lab");
    return 0;
}

/* All that are there, the yardstick first. */
static void choose_default(struct bench *bench)
{
    struct option_list *list = &bench->opt.backends;
    for (unsigned naive = 0; naive < 2; naive++)
        for (unsigned i = 0; i < bench->backend_count; i++) {
            const struct weir_backend_info *info = &bench->backends[i];
            if (info->available && has_network(bench, info) && is_naive(info->name) != naive)
                list->value[list->count++] = i;
        }
}

static bool has_queues(const char *name)
{
    return is_dpdk(name) || strcmp(name, "xdp") == 0;
}

/* There is no generator at the other end of a real interface, and nothing is sent to anybody who
 * was not named. */
static int check_device(const struct bench *bench)
{
    const struct frames_choice *c = &bench->opt.frames;
    if (c->iface && !chosen(bench, has_queues))
        return plan_refuse("--iface is for backends that speak frames: -b xdp or -b dpdk");
    if (c->iface)
        return plan_refuse("--iface %s: bench measures over the pair that it makes itself, and has "
                           "no generator behind an interface of yours, a veth's peer included. "
                           "Serve "
                           "with \"weir echo -b %s --iface %s\" and load it from there; without "
                           "--iface, bench has a pair of its own",
                           c->iface, chosen(bench, is_dpdk) ? "dpdk" : "xdp", c->iface);
    if (c->vdev && !chosen(bench, is_dpdk))
        return plan_refuse("--vdev is for dpdk, which is not among the backends (-b dpdk; see "
                           "weir bench --list)");
    if (c->vdev && !strstr(c->vdev, "%i"))
        return plan_refuse("--vdev %s: %%i, the lab's interface, is not in it, so that nothing of "
                           "the generator's would arrive: net_af_packet0,iface=%%i; for a device "
                           "of your own, \"weir echo -b dpdk --vdev\" serves",
                           c->vdev);
    if (c->queue && !chosen(bench, has_queues))
        return plan_refuse("--queue is for xdp and dpdk, which are not among the backends");
    if (c->queue >= QUEUES_MAX)
        return plan_refuse("--queue %u: the lab has at most %u queues", c->queue, QUEUES_MAX);
    if (c->queue && c->vdev && !strstr(c->vdev, "%q"))
        return plan_refuse("--queue %u and --vdev %s: %%q, the lab's queue, is not in it, so that "
                           "nothing of the generator's would arrive: net_af_xdp0,iface=%%i,"
                           "start_queue=%%q",
                           c->queue, c->vdev);
    return 0;
}

/* A capture is of one run: what several write would be the last one's. */
static int check_capture(const struct bench *bench)
{
    const struct bench_opt *opt = &bench->opt;
    bool one = opt->backends.count == 1 && opt->loads.count == 1 && opt->sizes.count <= 1 &&
               opt->workers == 1 && !opt->full;
    if (!opt->frames.pcap || one)
        return 0;
    return plan_refuse("--pcap captures one cell: name one backend (-b), one load (-l), at most "
                       "one size (-s), and one worker");
}

/* Both engines of sim run on one thread, which nobody can watch. */
static int check_memory(struct bench *bench)
{
    const struct bench_opt *opt = &bench->opt;
    bool several = opt->workers > 1;
    const char *what = several && opt->live ? "-w and --live are"
                       : several            ? "-w is"
                       : opt->live          ? "--live is"
                                            : NULL;
    if (!what || !chosen(bench, is_sim))
        return 0;
    if (!chosen(bench, has_net))
        return plan_refuse("%s not for sim: one thread runs both of its engines", what);
    snprintf(bench->note, sizeof bench->note, "%s not for sim: one thread runs both of its engines",
             what);
    return 0;
}

int backends_choose(struct bench *bench)
{
    struct option_list *list = &bench->opt.backends;
    probe_all(bench);
    int rc = choose_net(bench);
    if (rc == 0 && list->count == 0)
        choose_default(bench);
    else
        bench->hint[0] = 0; /* who names backends knows what there is */
    for (unsigned i = 0; i < list->count && rc == 0; i++)
        rc = usable(bench, &bench->backends[list->value[i]]);
    rc = rc ? rc : check_device(bench);
    rc = rc ? rc : check_capture(bench);
    rc = rc ? rc : check_memory(bench);
    if (rc == 0 && list->count == 0)
        rc = plan_refuse("no backend is available; see weir bench --list");
    return rc;
}

/* ---- the loads of a backend
 * ------------------------------------------------------------------------ */

const char *backends_absent(const struct bench *bench, const struct weir_backend_info *info,
                            enum weir_load load)
{
    if (load_is_stream(load) && !info->streams)
        return "it has no TCP";
    if (load_is_stream(load) && !frames_plain(&bench->opt.frames))
        return "--impair and --pcap are of datagrams and frames";
    if (load == WEIR_LOAD_STREAM && info->frames)
        return "UDP_SEGMENT compares sockets: the kernel's merging is what it measures";
    return NULL;
}

void backends_leave_out(struct bench *bench, const char *backend, enum weir_load load,
                        const char *why)
{
    for (unsigned i = 0; i < bench->absent_count; i++)
        if (bench->absent[i].load == load && bench->absent[i].backend == backend)
            return;
    if (bench->absent_count < ABSENT_MAX)
        bench->absent[bench->absent_count++] =
            (struct absent){.backend = backend, .load = load, .why = why};
}
