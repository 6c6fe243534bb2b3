/* SPDX-License-Identifier: MIT
 * A stack's birth and death, its rings, its time.
 *
 * The rings belong to one thread: the stack puts, the engine takes after each poll. All are
 * bounded; what finds one full is dropped and counted, but for datagrams to ourselves, which the
 * engine keeps in its queue. */
#include "stack/control.h"
#include "stack/flow.h"

#include <errno.h>
#include <stdlib.h>

#define PORTS_ALL 65536u     /* RFC 768: 16 bits */
#define NEIGHBOURS_MAX 1024u /* frames.h */
#define FRAGMENTS_MAX 64u
#define REASSEMBLY_NS 30000000000u
#define MTU_MIN 576u   /* stack.h */
#define MTU_MAX 65535u /* RFC 791: 16 bits */

static int check_opt(const struct stack_opt *opt, struct weir_why *why)
{
    if (opt->mtu < MTU_MIN || opt->mtu > MTU_MAX)
        return why_set(why, -EINVAL, "mtu", "give one from 576 to 65,535", "%u bytes", opt->mtu);
    if (opt->addresses > WEIR_NETS_MAX || opt->routes > WEIR_ROUTES_MAX)
        return why_set(why, -EINVAL, "addresses", "", "more than %u, or more than %u routes",
                       WEIR_NETS_MAX, WEIR_ROUTES_MAX);
    if (opt->addresses == 0)
        return why_set(why, -EINVAL, "addresses", "give one, or one to the interface",
                       "there is none");
    if (opt->sockets_max == 0 || opt->seed == 0 || (opt->worker && !opt->shared))
        return why_set(why, -EINVAL, "stack", "", "no sockets, no seed, or no worker 0");
    return 0;
}

static void resolve_opt(struct stack *s, const struct stack_opt *opt)
{
    s->opt = *opt;
    s->opt.address = memcpy(s->address, opt->address, opt->addresses * sizeof *opt->address);
    s->opt.route = s->route;
    for (uint32_t i = 0; i < opt->routes; i++)
        s->route[i] = opt->route[i];
    s->opt.neighbours_max = opt->neighbours_max ? opt->neighbours_max : NEIGHBOURS_MAX;
    s->opt.fragments_max = opt->fragments_max ? opt->fragments_max : FRAGMENTS_MAX;
    s->opt.reassembly_ns = opt->reassembly_ns ? opt->reassembly_ns : REASSEMBLY_NS;
    memcpy(s->mac, opt->mac, sizeof s->mac);
    s->answers = opt->answers;
    s->tx_checksum = opt->tx_checksum;
    s->sockets_max = opt->sockets_max;
    s->counters = opt->counters;
    s->pool = opt->pool;
    s->small_room = pool_small_bytes(s->pool) - pool_headroom(s->pool);
    s->generation = 1;
    s->secret = secret_of(opt->seed, opt->worker);
    s->id_key = secret_for(&s->secret, KEY_IDS);
    s->id_place = secret_for(&s->secret, KEY_ID_PLACES);
    for (unsigned i = 0; i < 2; i++)
        s->flow_seed[i] = secret_number(&s->secret, KEY_FLOWS, i);
    for (uint32_t i = 0; i < ID_PLACES; i++) /* RFC 7739, 5.2: they begin anywhere */
        s->ids[i] = (uint32_t)stack_random(s);
}

static int open_tables(struct stack *s, struct weir_why *why)
{
    s->port = calloc(PORTS_ALL, sizeof *s->port);
    s->sock = calloc(s->sockets_max, sizeof *s->sock);
    /* Not aligned_alloc: what calloc gives need not be touched to be zero */
    s->flow_memory = calloc(FLOWS + 1, sizeof *s->flow);
    s->from = calloc(FROM_SETS * FROM_WAYS, sizeof *s->from);
    if (!s->port || !s->sock || !s->flow_memory || !s->from)
        return why_set(why, -ENOMEM, "stack", "", "no memory for its tables");
    s->flow = (void *)(((uintptr_t)s->flow_memory + CACHE_PAIR - 1) & -(uintptr_t)CACHE_PAIR);
    for (uint32_t i = 0; i < s->sockets_max; i++)
        s->sock[i].epoch = 1; /* of a flow never used: 0 */
    int rc = routes_open(s, why);
    return rc ? rc : control_open(s, why);
}

struct stack *stack_open(const struct stack_opt *opt, struct weir_why *why)
{
    if (check_opt(opt, why))
        return NULL;
    struct stack *s = calloc(1, sizeof *s);
    if (!s) {
        why_set(why, -ENOMEM, "stack", "", "no memory");
        return NULL;
    }
    resolve_opt(s, opt);
    if (open_tables(s, why)) {
        stack_close(s);
        return NULL;
    }
    return s;
}

void stack_close(struct stack *s)
{
    struct weir_buf *buf;
    for (; s->out_tail != s->out_head; s->out_tail++)
        buf_tx_done(s->out[s->out_tail % OUT_MAX]);
    while (stack_handed(s, &buf, 1))
        frame_drop(buf);
    for (; s->looped_tail != s->looped_head; s->looped_tail++)
        frame_drop(s->looped[s->looped_tail % LOOPED_MAX].buf);
    control_close(s);
    free(s->flow_memory);
    free(s->from);
    free(s->sock);
    free(s->port);
    free(s);
}

/* ---- rings ---------------------------------------------------------------------------------- */

void stack_push(struct stack *s, struct weir_buf *frame)
{
    if (unlikely(s->out_head - s->out_tail == OUT_MAX)) {
        COUNT(s->counters, tx_ring_full, 1);
        frame_drop(frame);
        return;
    }
    buf_to_tx(frame);
    s->out[s->out_head++ % OUT_MAX] = frame;
}

unsigned stack_out(struct stack *s, struct tx_frame *ret, unsigned room)
{
    unsigned n = min_of(room, s->out_head - s->out_tail);
    for (unsigned i = 0; i < n; i++) {
        struct weir_buf *buf = s->out[s->out_tail++ % OUT_MAX];
        ret[i] = (struct tx_frame){.buf = buf, .bytes = buf->len};
    }
    return n;
}

bool stack_has_out(const struct stack *s)
{
    return s->out_head != s->out_tail;
}

void stack_hand(struct stack *s, struct weir_buf *buf)
{
    if (unlikely(s->handed_head - s->handed_tail == HANDED_MAX)) {
        COUNT(s->counters, handed_full, 1);
        frame_drop(buf);
        return;
    }
    s->handed[s->handed_head++ % HANDED_MAX] = buf;
}

unsigned stack_handed(struct stack *s, struct weir_buf **ret, unsigned max)
{
    unsigned n = min_of(max, s->handed_head - s->handed_tail);
    for (unsigned i = 0; i < n; i++)
        ret[i] = s->handed[s->handed_tail++ % HANDED_MAX];
    return n;
}

/* One that is not asked for now is asked for when its next packet comes. */
void stack_want(struct stack *s, const uint8_t ip[16])
{
    if (s->wanted_head - s->wanted_tail < WANTED_MAX)
        memcpy(s->wanted[s->wanted_head++ % WANTED_MAX], ip, 16);
}

bool stack_wanted(struct stack *s, uint8_t ip[16])
{
    if (s->wanted_tail == s->wanted_head)
        return false;
    memcpy(ip, s->wanted[s->wanted_tail++ % WANTED_MAX], 16);
    return true;
}

/* ---- time, and what others know -------------------------------------------------------------- */

void stack_tick(struct stack *s, uint64_t now_ns)
{
    s->now_ns = now_ns;
    control_tick(s, now_ns);
}

uint64_t stack_next_ns(const struct stack *s)
{
    return control_next_ns(s);
}

/* Worker 0's cache has one writer. */
void stack_neighbour(struct stack *s, const uint8_t ip[16], const uint8_t *mac, uint64_t now_ns)
{
    if (s->opt.worker == 0)
        neighbour_told(s, ip, mac, now_ns);
}

struct neighbours *stack_neighbours(struct stack *s)
{
    return s->near;
}
