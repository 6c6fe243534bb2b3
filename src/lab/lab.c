/* SPDX-License-Identifier: MIT
 * The private network: two namespaces, a veth pair between them, addresses, neighbours and
 * routes; picture in lab.h. All of it is made on a passing thread, because unshare moves the
 * thread that calls it.
 *
 * Invariant: the process's own namespace is never touched, and no name, mount or file outlives
 * the process. */
#include "base/base.h"
#include "netlink.h"
#include "netns.h"
#include "side.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define SIDES 2
#define LESSERS_MAX 4
#define NAPI_FIFO 1 /* the lowest real-time priority is above every fair thread */

struct weir_lab {
    struct weir_lab_opt o;
    struct side side[SIDES];
    struct lab_ends ends;
    struct weir_why lesser[LESSERS_MAX];
    unsigned lessers;
};

static const uint8_t client_sources[4] = {10, 99, 128, 0}; /* /17, as connect.c spreads them */

static void name_ends(struct weir_lab *lab)
{
    for (int i = 0; i < SIDES; i++) {
        const uint8_t mac[6] = {0x02, 'w', 'e',
                                'i',  'r', (uint8_t)(1 + i)}; /* 02: locally administered */
        const uint8_t ip[4] = {10, 99, 0, (uint8_t)(1 + i)};

        lab->side[i] = (struct side){.netns = -1, .nl = -1, .sock = -1, .sys = -1};
        /* The process number tells apart the NAPI threads of several labs, whose names all
         * processes see. */
        snprintf(lab->side[i].ifname, sizeof lab->side[i].ifname, "w%x%c", (unsigned)getpid(),
                 i ? 's' : 'c');
        memcpy(lab->ends.mac[i], mac, sizeof mac);
        memcpy(lab->ends.ip[i], ip, sizeof ip);
    }
}

static int join(struct weir_lab *lab, struct weir_why *why)
{
    struct side *c = &lab->side[WEIR_LAB_CLIENT], *s = &lab->side[WEIR_LAB_SERVER];
    const struct netlink_veth veth = {.name = c->ifname,
                                      .peer = s->ifname,
                                      .peer_netns = s->netns,
                                      .mac = lab->ends.mac[WEIR_LAB_CLIENT],
                                      .peer_mac = lab->ends.mac[WEIR_LAB_SERVER],
                                      .mtu = lab->o.mtu,
                                      .queues = lab->o.queues};
    int err = netlink_veth(c->nl, &veth, why);

    for (int i = 0; !err && i < SIDES; i++) {
        err = side_find(&lab->side[i], why);
        lab->ends.ifindex[i] = lab->side[i].ifindex;
    }
    return err;
}

static int bring_up(struct weir_lab *lab, int i, struct weir_why *why)
{
    struct side *s = &lab->side[i];
    int err = netlink_up(s->nl, s->ifindex, why);

    if (!err)
        err = netlink_address(s->nl, s->ifindex, lab->ends.ip[i], 24, why);
    if (!err)
        err = netlink_neighbour(s->nl, s->ifindex, lab->ends.ip[!i], lab->ends.mac[!i], why);
    return err;
}

/* The client owns 10.99.128.0/17 without having a single address of it: sources for many
 * connections. */
static int add_sources(struct weir_lab *lab, struct weir_why *why)
{
    struct side *c = &lab->side[WEIR_LAB_CLIENT], *s = &lab->side[WEIR_LAB_SERVER];
    int err = netlink_route(c->nl, 1, client_sources, 17, NULL, why);

    if (!err)
        err = netlink_route(s->nl, s->ifindex, client_sources, 17, lab->ends.ip[WEIR_LAB_CLIENT],
                            why);
    return err;
}

/* What may be refused without end: note it and go on. */
static void note(struct weir_lab *lab, int err, const struct weir_why *why)
{
    if (err && lab->lessers < LESSERS_MAX)
        lab->lesser[lab->lessers++] = *why;
}

static int build(struct weir_lab *lab, struct weir_why *why)
{
    struct side *server = &lab->side[WEIR_LAB_SERVER];
    struct weir_why lesser;
    int err = 0;

    for (int i = 0; !err && i < SIDES; i++)
        err = side_open(&lab->side[i], why);
    if (!err)
        err = join(lab, why);
    if (!err)
        note(lab, side_receives_by_napi(server, &lab->side[WEIR_LAB_CLIENT], &lesser), &lesser);
    for (int i = 0; !err && i < SIDES; i++)
        err = bring_up(lab, i, why);
    if (!err)
        err = add_sources(lab, why);
    if (!err && !lab->o.no_threaded_napi)
        note(lab,
             side_threaded_napi(server, lab->o.server_core, lab->o.napi_fair ? 0 : NAPI_FIFO,
                                &lesser),
             &lesser);
    return err;
}

struct passing {
    struct weir_lab *lab;
    struct weir_why *why;
    int err;
};

static void *build_passing(void *arg)
{
    struct passing *p = arg;

    p->err = build(p->lab, p->why);
    return NULL;
}

int weir_lab_open(struct weir_lab **ret, const struct weir_lab_opt *opt, struct weir_why *why)
{
    struct weir_lab *lab = calloc(1, sizeof *lab);
    struct passing p = {.lab = lab, .why = why};
    pthread_t thread;
    int err;

    *ret = NULL;
    if (!lab)
        return why_set(why, -ENOMEM, "lab", NULL, "no memory");
    lab->o = *opt;
    lab->o.mtu = opt->mtu ? opt->mtu : 1500;
    lab->o.queues = opt->queues ? opt->queues : 1;
    name_ends(lab);
    err = pthread_create(&thread, NULL, build_passing, &p);
    if (!err)
        pthread_join(thread, NULL);
    else
        p.err = why_set(why, -err, "lab", NULL, "no thread: %s", strerror(err));
    if (p.err)
        weir_lab_close(lab);
    else
        *ret = lab;
    return p.err;
}

void weir_lab_close(struct weir_lab *lab)
{
    for (int i = 0; lab && i < SIDES; i++)
        side_close(&lab->side[i]);
    free(lab);
}

int weir_lab_enter(struct weir_lab *lab, enum weir_lab_side side, struct weir_why *why)
{
    if (setns(lab->side[side].netns, CLONE_NEWNET) < 0)
        return why_set(why, -errno, "lab", "run as root", "setns: %s", strerror(errno));
    /* A mount namespace of the thread's own, so that nobody else sees the new /sys. */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        why_set(why, -errno, "lab", NULL, "/sys still shows the old namespace: %s",
                strerror(errno));
    return 0;
}

struct weir_addr weir_lab_addr(const struct weir_lab *lab, enum weir_lab_side side, uint16_t port)
{
    const uint8_t *ip = lab->ends.ip[side];

    return weir_addr_ip4(ip[0], ip[1], ip[2], ip[3], port);
}

const char *weir_lab_ifname(const struct weir_lab *lab, enum weir_lab_side side)
{
    return lab->side[side].ifname;
}

int weir_lab_drops(struct weir_lab *lab, enum weir_lab_side side, struct weir_net_drops *ret,
                   struct weir_why *why)
{
    struct netns_stay stay = NETNS_NOWHERE;
    int err = netns_visit(lab->side[side].netns, &stay, why);

    if (!err)
        err = weir_net_drops(lab->side[side].ifname, ret, why);
    netns_leave(&stay);
    return err;
}

void weir_lab_report(const struct weir_lab *lab,
                     void (*line)(const struct weir_why *why, void *arg), void *arg)
{
    for (unsigned i = 0; i < lab->lessers; i++)
        line(&lab->lesser[i], arg);
}

int lab_netns(const struct weir_lab *lab, enum weir_lab_side side)
{
    return lab->side[side].netns;
}

const struct lab_ends *lab_ends(const struct weir_lab *lab)
{
    return &lab->ends;
}

uint32_t lab_mtu(const struct weir_lab *lab)
{
    return lab->o.mtu;
}

uint32_t lab_queues(const struct weir_lab *lab)
{
    return lab->o.queues;
}
