/* SPDX-License-Identifier: MIT
 * Which socket a datagram is for: a table of all ports, and for each a chain of the sockets that
 * share it, the most specific first, so that the first that serves the address is the one.
 *
 * Two sockets may share a port where they were told different addresses and are not both
 * wildcards. Invariant: a socket is on the chain of its port exactly while its port is not 0. */
#include "stack/inside.h"
#include "stack/flow.h"

#include <errno.h>

/* Linux's net.ipv4.ip_local_port_range. */
#define PORT_FIRST 32768u
#define PORT_LAST 60999u
#define PORTS (PORT_LAST - PORT_FIRST + 1)

enum { RANK_ONE, RANK_ANY4, RANK_ANY };

/* What `local` means: its rank, and the address to tell. */
static int understand(const struct stack *s, const struct weir_addr *local, struct sock *ret)
{
    const struct local *only = NULL;
    unsigned could = 0;
    memcpy(ret->ip, local->ip, 16);
    memcpy(ret->told, local->ip, 16);
    ret->any = addr_is_any(local);
    ret->rank = !ret->any ? RANK_ONE : addr_is_ip4(local) ? RANK_ANY4 : RANK_ANY;
    ret->mask4 = ret->any ? 0 : UINT32_MAX;
    if (!ret->any && addr_is_ip4(local))
        memcpy(&ret->ip4, local->ip + 12, 4);
    if (!ret->any)
        return local_find(s, local->ip) ? 0 : -EADDRNOTAVAIL;
    for (unsigned i = 0; i < s->locals; i++)
        if (ret->rank == RANK_ANY || s->local[i].ip4) {
            only = &s->local[i];
            could++;
        }
    if (could == 1)
        memcpy(ret->told, only->ip, 16);
    return could ? 0 : -EADDRNOTAVAIL;
}

static bool in_use(const struct stack *s, const struct sock *like, uint16_t port)
{
    for (uint32_t at = s->port[port]; at; at = s->sock[at - 1].next) {
        const struct sock *other = &s->sock[at - 1];
        if (ip_equal(other->told, like->told) || (other->any && like->any))
            return true;
    }
    return false;
}

static uint16_t free_port(struct stack *s, const struct sock *like)
{
    uint32_t from = (uint32_t)((stack_random(s) >> 32) * PORTS >> 32);
    for (uint32_t i = 0; i < PORTS; i++) {
        uint32_t at = from + i;
        uint16_t port = (uint16_t)(PORT_FIRST + (at < PORTS ? at : at - PORTS));
        if (!in_use(s, like, port))
            return port;
    }
    return 0;
}

static void link_socket(struct stack *s, uint32_t socket)
{
    struct sock *own = &s->sock[socket];
    uint32_t *at = &s->port[own->port];
    while (*at && s->sock[*at - 1].rank < own->rank)
        at = &s->sock[*at - 1].next;
    own->next = *at;
    *at = socket + 1;
}

int stack_bind(struct stack *s, uint32_t socket, const struct weir_addr *local,
               struct weir_addr *ret)
{
    struct sock made = {.port = local->port};
    if (socket >= s->sockets_max || s->sock[socket].port)
        return -EINVAL;
    int rc = understand(s, local, &made);
    if (rc)
        return rc;
    if (made.port == 0)
        made.port = free_port(s, &made);
    else if (in_use(s, &made, made.port))
        return -EADDRINUSE;
    if (made.port == 0)
        return -EADDRINUSE;
    made.epoch = s->sock[socket].epoch + 1;
    s->sock[socket] = made;
    link_socket(s, socket);
    *ret = (struct weir_addr){.port = made.port};
    memcpy(ret->ip, made.told, 16);
    return 0;
}

void stack_unbind(struct stack *s, uint32_t socket)
{
    struct sock *own = &s->sock[socket];
    if (socket >= s->sockets_max || own->port == 0)
        return;
    uint32_t *at = &s->port[own->port];
    while (*at != socket + 1)
        at = &s->sock[*at - 1].next;
    *at = own->next;
    own->port = 0;
    own->epoch++; /* its flows are nobody's */
    looped_forget(s, socket);
}

bool stack_whose(const struct stack *s, const struct weir_addr *at, uint32_t *socket)
{
    *socket = socket_find(s, at->ip, at->port);
    return *socket != NO_SOCKET;
}
