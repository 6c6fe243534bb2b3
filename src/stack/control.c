/* SPDX-License-Identifier: MIT
 * What a stack keeps of others, together: neighbours, what is parked for them, paths, fragments.
 *
 *   out.c: neighbour_find -> known? else park_put -> ask -> ... arp.c, nd.c: control_learn -> push
 *   stack_tick: retries, failures, expiries
 *
 * Worker 0 writes the neighbours and paths; the other workers' stacks have worker 0's, which they
 * only read, and neither park nor reassembly.
 *
 * Invariant: a packet is parked only while its neighbour is INCOMPLETE; each way out of that state
 * (an answer, a failure, stack_neighbour, the end of the entry) takes what waits along. */
#include "stack/control_inside.h"

#include <errno.h>
#include <stdlib.h>

/* Linux: icmp_msgs_per_sec and icmp_msgs_burst; each destination: icmp_ratelimit, with the burst of
 * its inet_peer_xrlim_allow. */
#define ANSWERS 1000u
#define ANSWERS_BURST 50u
#define PATHS                                                                                      \
    100u /* paths that become narrower a second: each makes all headers be looked up anew */
#define PATHS_BURST 50u
#define ERRORS_EACH 1u
#define ERRORS_EACH_BURST 6u
#define KNOWN_EACH 1u       /* RFC 4861, 10: RETRANS_TIMER: nobody honest asks more often */
#define KNOWN_EACH_BURST 3u /* and MAX_UNICAST_SOLICIT */

/* ---- birth and death ------------------------------------------------------------------------- */

/* Worker 0's. */
static int open_own(struct stack *s, struct weir_why *why)
{
    struct neighbours_opt near = {s->opt.neighbours_max, stack_random(s), s->counters};
    struct park_opt park = {s->opt.neighbours_max, PARK_EACH, PARK_ALL, s->counters};
    struct reassembly_opt parts = {.pool = s->pool,
                                   .counters = s->counters,
                                   .max = s->opt.fragments_max,
                                   .timeout_ns = s->opt.reassembly_ns,
                                   .seed = stack_random(s)};
    s->near = neighbours_open(&near, why);
    if (!s->near)
        return s->opt.neighbours_max < 4 ? -EINVAL : -ENOMEM;
    s->park = park_open(&park, why);
    neighbours_parks(s->near, s->park);
    s->parts = reassembly_open(&parts, why);
    return s->park && s->parts ? 0 : -ENOMEM;
}

int control_open(struct stack *s, struct weir_why *why)
{
    struct control *c = s->control = calloc(1, sizeof *c);
    if (!c)
        return why_set(why, -ENOMEM, "stack", "", "no memory for rate limits");
    c->found = c->echo = c->errors = limit_of(ANSWERS, ANSWERS_BURST);
    c->paths = limit_of(PATHS, PATHS_BURST);
    c->each = limits_open(ERRORS_EACH, ERRORS_EACH_BURST, stack_random(s), why);
    c->known = limits_open(KNOWN_EACH, KNOWN_EACH_BURST, stack_random(s), why);
    if (!c->each || !c->known)
        return -ENOMEM;
    int rc = 0;
    if (s->opt.shared)
        neighbours_share(s->near = s->opt.shared);
    else
        rc = open_own(s, why);
    if (rc == 0)
        s->pmtu = neighbours_pmtu(s->near);
    return rc;
}

void control_close(struct stack *s)
{
    if (s->parts)
        reassembly_close(s->parts);
    if (!s->opt.shared)
        neighbours_close(s->near);
    if (s->park)
        park_close(s->park);
    if (s->control)
        limits_close(s->control->each), limits_close(s->control->known);
    free(s->control);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static struct weir_buf *fresh(struct stack *s, uint32_t bytes)
{
    struct weir_buf *buf = weir_buf_take_bytes(s->pool, bytes);
    if (!buf) {
        COUNT(s->counters, pool_empty, 1);
        return NULL;
    }
    buf->len = bytes;
    return buf;
}

struct weir_buf *control_blank(struct stack *s, struct weir_buf *frame, uint32_t bytes)
{
    if (frame && control_is_own(s, frame) && frame->len + weir_buf_tailroom(frame) >= bytes) {
        frame->len = bytes;
        return frame;
    }
    if (frame)
        frame_drop(frame);
    return fresh(s, bytes);
}

struct weir_buf *control_own(struct stack *s, struct weir_buf *frame)
{
    if (likely(control_is_own(s, frame)))
        return frame;
    struct weir_buf *own = fresh(s, frame->len);
    if (own) {
        memcpy(own->data, frame->data, frame->len);
        COUNT(s->counters, copies, 1);
        COUNT(s->counters, copied_bytes, frame->len);
    }
    frame_drop(frame);
    return own;
}

void control_eth(const struct stack *s, uint8_t *p, const uint8_t to[6], uint16_t type)
{
    struct eth eth = {.type = type};
    memcpy(eth.dst, to, 6);
    memcpy(eth.src, s->mac, 6);
    eth_emit(p, &eth);
}

void control_ip4(struct stack *s, uint8_t *p, const uint8_t src[4], const uint8_t dst[4],
                 uint32_t bytes)
{
    struct ip4 ip = {.ttl = IP_TTL,
                     .protocol = IP_ICMP,
                     .total = (uint16_t)(IP4_BYTES + bytes),
                     .id = (uint16_t)stack_id4(s, src, dst)};
    memcpy(ip.src, src, 4);
    memcpy(ip.dst, dst, 4);
    ip4_emit(p, &ip);
}

void control_ip6(uint8_t *p, const uint8_t src[16], const uint8_t dst[16], uint32_t bytes,
                 uint8_t hop_limit)
{
    struct ip6 ip = {.protocol = IP_ICMP6, .hop_limit = hop_limit, .bytes = (uint16_t)bytes};
    memcpy(ip.src, src, 16);
    memcpy(ip.dst, dst, 16);
    ip6_emit(p, &ip);
}

/* ---- neighbours ------------------------------------------------------------------------------ */

/* From its IP header on; headroom is there. */
static void send_parked(struct stack *s, struct weir_buf *packet, const uint8_t mac[6])
{
    uint16_t type = packet->data[0] >> 4 == 6 ? ETH_IP6 : ETH_IP4;
    assert(weir_buf_headroom(packet) >= ETH_BYTES);
    packet->data -= ETH_BYTES;
    packet->len += ETH_BYTES;
    control_eth(s, packet->data, mac, type);
    stack_push(s, packet);
}

static void release(struct stack *s, uint32_t number, const uint8_t mac[6])
{
    struct weir_buf *packet;
    while ((packet = park_take(s->park, number)) != NULL)
        send_parked(s, packet, mac);
}

bool control_learn(struct stack *s, const uint8_t ip[16], const uint8_t *mac, unsigned says,
                   uint64_t now_ns)
{
    bool spoofed;
    uint32_t number = neighbours_learn(s->near, ip, mac, says, &spoofed, now_ns);
    if (number != NO_CELL)
        release(s, number, mac);
    return !spoofed;
}

bool control_may_find(struct stack *s, const uint8_t ip[16], const uint8_t mac[6], uint64_t now_ns)
{
    if (neighbours_in_use(s->near, ip, mac) && limits_take(s->control->known, ip, now_ns))
        return true;
    return control_may(s, &s->control->found, now_ns);
}

/* False: there was no buffer for it, or no place. */
static bool question(struct stack *s, const struct neighbour_task *task)
{
    struct hop hop;
    if (!s->answers) {
        stack_want(s, task->ip);
        return true;
    }
    if (route_find(s, task->ip, NULL, &hop) || !hop.from)
        return true; /* nobody to ask, so nobody answers */
    if (s->out_head - s->out_tail == OUT_MAX)
        return false;
    if (ip_is_4(task->ip))
        return arp_ask(s, hop.from, task->ip, task->unicast ? task->mac : NULL);
    return nd_ask(s, hop.from, task->ip, task->unicast ? task->mac : NULL);
}

static void perform(struct stack *s, const struct neighbour_task *task)
{
    if (task->failed)
        park_fail(s->park, task->number);
    else if (!question(s, task))
        neighbours_unsent(s->near, task->number);
}

void park_put(struct stack *s, const uint8_t hop[16], struct weir_buf *packet, uint64_t now_ns)
{
    uint8_t mac[6];
    uint32_t number;
    struct neighbour_task task;
    int state = neighbours_use(s->near, hop, mac, &number, now_ns);
    if (state >= NEIGHBOUR_STALE) {
        send_parked(s, packet, mac);
    } else if (state == NEIGHBOUR_INCOMPLETE) {
        park_add(s->park, number, packet);
        if (neighbours_step(s->near, number, &task, now_ns))
            perform(s, &task); /* it may have failed just now */
    } else {
        COUNT(s->counters, neighbour_failed, state == NEIGHBOUR_FAILED); /* NONE is counted */
        frame_drop(packet);
    }
}

bool neighbour_find(struct stack *s, const uint8_t ip[16], uint8_t mac[6], uint64_t *until_ns,
                    uint64_t now_ns)
{
    uint32_t number;
    *until_ns = now_ns + (UINT64_C(1) << CELL_SHIFT);
    if (neighbours_find(s->near, ip, mac, now_ns) < NEIGHBOUR_STALE)
        return false;
    if (!s->opt.shared)
        neighbours_use(s->near, ip, mac, &number, now_ns);
    return true;
}

bool neighbour_failed(struct stack *s, const uint8_t ip[16], uint64_t now_ns)
{
    uint8_t mac[6];
    return neighbours_find(s->near, ip, mac, now_ns) == NEIGHBOUR_FAILED;
}

void neighbour_told(struct stack *s, const uint8_t ip[16], const uint8_t *mac, uint64_t now_ns)
{
    uint32_t number =
        mac ? neighbours_tell(s->near, ip, mac, now_ns) : neighbours_forget(s->near, ip);
    if (number != NO_CELL && mac) /* what waited for one that is forgotten ended with it */
        release(s, number, mac);
}

/* ---- paths and fragments --------------------------------------------------------------------- */

uint32_t pmtu_find(const struct stack *s, const uint8_t ip[16], uint64_t now_ns)
{
    return pmtu_get(s->pmtu, ip, now_ns);
}

struct weir_buf *fragment4_in(struct stack *s, struct weir_buf *frame, const struct ip4 *ip,
                              size_t l3, uint8_t *protocol, uint64_t now_ns)
{
    struct fragment f = {.id = ip->id,
                         .protocol = ip->protocol,
                         .ip4 = true,
                         .more = ip->more,
                         .offset = ip->offset,
                         .data = frame->data + l3 + ip->header_bytes,
                         .len = (uint32_t)ip->total - ip->header_bytes};
    ip_from_4(f.src, ip->src);
    ip_from_4(f.dst, ip->dst);
    COUNT(s->counters, fragments_in, 1);
    struct weir_buf *whole = reassembly_in(s->parts, &f, protocol, now_ns);
    frame_drop(frame);
    return whole;
}

struct weir_buf *fragment6_in(struct stack *s, struct weir_buf *frame, const struct ip6 *ip,
                              size_t l3, uint8_t *protocol, uint64_t now_ns)
{
    struct fragment f = {.id = ip->id,
                         .protocol = ip->protocol,
                         .more = ip->more,
                         .offset = ip->offset,
                         .data = frame->data + l3 + IP6_BYTES + ip->extension_bytes,
                         .len = (uint32_t)ip->bytes - ip->extension_bytes};
    memcpy(f.src, ip->src, 16);
    memcpy(f.dst, ip->dst, 16);
    COUNT(s->counters, fragments_in, 1);
    struct weir_buf *whole = reassembly_in(s->parts, &f, protocol, now_ns);
    frame_drop(frame);
    return whole;
}

/* ---- time ------------------------------------------------------------------------------------ */

void control_tick(struct stack *s, uint64_t now_ns)
{
    struct neighbour_task task;
    if (s->opt.shared)
        return;
    while (neighbours_due(s->near, &task, now_ns))
        perform(s, &task);
    reassembly_expire(s->parts, now_ns);
    if (pmtu_expire(s->pmtu, now_ns)) {
        neighbours_changed(s->near);
        stack_changed(s);
    }
}

uint64_t control_next_ns(const struct stack *s)
{
    if (s->opt.shared)
        return UINT64_MAX;
    uint64_t next = min_of(neighbours_next_ns(s->near), reassembly_next_ns(s->parts));
    return min_of(next, pmtu_next_ns(s->pmtu));
}
