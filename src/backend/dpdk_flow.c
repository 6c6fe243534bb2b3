/* SPDX-License-Identifier: MIT
 * Rules that steer our UDP ports to our queues, where the device has them.
 *
 *     eth / ipv4 or ipv6 / udp dst = port   ->   queue 0, or RSS over all queues
 *
 * Everything that is for our address comes to us anyway, so a rule is a gain (a device shared with
 * the kernel, or busy with other traffic) and its refusal a lesser line, not an error. Engines of
 * one port share its rules: references are counted always, rules are there while the port runs.
 * Source: DPDK's "Generic flow API", rte_flow.h. */
#include "backend/dpdk.h"

#include <errno.h>

struct rule_text {
    struct rte_flow_item_udp udp;
    struct rte_flow_action_queue queue;
    struct rte_flow_action_rss rss;
    uint16_t queues[DPDK_QUEUES_MAX];
    struct rte_flow_item item[4];
    struct rte_flow_action action[2];
};

static const struct rte_flow_item_udp any_source = {.hdr = {.dst_port = RTE_BE16(0xffff)}};

static void write_rule(const struct dpdk_port *p, uint16_t port, bool ip6, struct rule_text *t)
{
    *t = (struct rule_text){.udp = {.hdr = {.dst_port = rte_cpu_to_be_16(port)}}};
    t->item[0].type = RTE_FLOW_ITEM_TYPE_ETH;
    t->item[1].type = ip6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4;
    t->item[2] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_UDP,
                                        .spec = &t->udp,
                                        .mask = &any_source};
    t->item[3].type = RTE_FLOW_ITEM_TYPE_END;
    t->action[1].type = RTE_FLOW_ACTION_TYPE_END;
    if (p->queues == 1) {
        t->action[0] = (struct rte_flow_action){RTE_FLOW_ACTION_TYPE_QUEUE, &t->queue};
        return;
    }
    for (uint16_t i = 0; i < p->queues; i++)
        t->queues[i] = i;
    t->rss.types = p->rss_types & (ip6 ? RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_UDP
                                       : RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_UDP);
    t->rss.queue_num = p->queues;
    t->rss.queue = t->queues;
    t->action[0] = (struct rte_flow_action){RTE_FLOW_ACTION_TYPE_RSS, &t->rss};
}

static struct rte_flow *make_rule(const struct dpdk_port *p, uint16_t port, bool ip6,
                                  struct rte_flow_error *error)
{
    static const struct rte_flow_attr in = {.ingress = 1};
    struct rule_text t;
    write_rule(p, port, ip6, &t);
    if (rte_flow_validate(p->id, &in, t.item, t.action, error) < 0)
        return NULL;
    return rte_flow_create(p->id, &in, t.item, t.action, error);
}

static struct dpdk_rule *find(struct dpdk_port *p, uint16_t port)
{
    for (unsigned i = 0; i < DPDK_RULES_MAX; i++)
        if (p->rule[i].used && p->rule[i].port == port)
            return &p->rule[i];
    return NULL;
}

static struct dpdk_rule *find_free(struct dpdk_port *p)
{
    for (unsigned i = 0; i < DPDK_RULES_MAX; i++)
        if (!p->rule[i].used)
            return &p->rule[i];
    return NULL;
}

/* Once is enough. */
static bool said(const struct backend *b, int code)
{
    for (uint32_t i = 0; i < b->n_lesser; i++)
        if (b->lesser[i].code == code && __builtin_strcmp(b->lesser[i].where, "rte_flow") == 0)
            return true;
    return false;
}

static void refused(struct backend *b, const char *name, const struct rte_flow_error *error)
{
    if (!said(b, -EOPNOTSUPP))
        backend_lesser(b, -EOPNOTSUPP, "rte_flow", "nothing to do unless others share the device",
                       "%s steers no UDP ports (%s); all that comes to it is looked at", name,
                       error->message ? error->message : "no such rule");
}

static void too_many(struct backend *b, const char *name)
{
    if (!said(b, -ENOSPC))
        backend_lesser(b, -ENOSPC, "rte_flow", "fewer UDP ports, where others share the device",
                       "%s: rules for %u UDP ports, the others come unsteered", name,
                       DPDK_RULES_MAX);
}

static void add(struct backend *b, struct dpdk_port *p, uint16_t port)
{
    struct rte_flow_error error = {0};
    struct dpdk_rule *r = find_free(p);
    if (!r) {
        too_many(b, p->name);
        return;
    }
    *r = (struct dpdk_rule){.used = true, .port = port};
    r->flow[0] = make_rule(p, port, false, &error);
    r->flow[1] = r->flow[0] ? make_rule(p, port, true, &error) : NULL;
    if (!r->flow[0]) {
        r->used = false;
        refused(b, p->name, &error);
    }
}

static void forget(struct dpdk_port *p, uint16_t port)
{
    struct rte_flow_error error;
    struct dpdk_rule *r = find(p, port);
    if (!r)
        return;
    for (unsigned i = 0; i < 2; i++)
        if (r->flow[i] && !atomic_load(&p->removed))
            rte_flow_destroy(p->id, r->flow[i], &error);
    r->used = false;
}

void dpdk_steer_all(struct backend *b, struct dpdk_port *p)
{
    for (uint32_t port = 0; port <= UINT16_MAX; port++)
        if (p->steered[port])
            add(b, p, (uint16_t)port);
}

int dpdk_steer(struct backend *b, const struct weir_addr *local, bool on, struct weir_why *why)
{
    struct dpdk *d = b->priv;
    struct dpdk_port *p = d->port;
    (void)why;
    dpdk_lock();
    if (on && p->steered[local->port]++ == 0 && atomic_load(&p->started) &&
        !atomic_load(&p->removed))
        add(b, p, local->port);
    else if (!on && --p->steered[local->port] == 0)
        forget(p, local->port);
    dpdk_unlock();
    return 0;
}
