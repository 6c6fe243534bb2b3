/* SPDX-License-Identifier: MIT
 * Making the headers that out.c copies. Once a peer and change of the world; so it may cost. */
#include "stack/flow.h"

/* A tag of 56 bits and, below it, the number of the address. */
static uint64_t *from_set(const struct stack *s, uint32_t socket, const uint8_t ip[16],
                          uint16_t port, uint64_t *tag)
{
    uint64_t epoch = s->sock[socket].epoch * 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t hash = flow_hash(s, socket, ip, port) + epoch;
    *tag = hash << 8;
    return &s->from[(hash >> (64 - FROM_BITS)) * FROM_WAYS];
}

void flow_note(struct stack *s, uint32_t socket, const uint8_t ip[16], uint16_t port, uint8_t from)
{
    uint64_t tag, *set = from_set(s, socket, ip, port, &tag);
    unsigned i = 0;
    while (i + 1 < FROM_WAYS && (set[i] ^ tag) >> 8)
        i++;
    memmove(set + 1, set, i * sizeof *set); /* the one heard of last is the first */
    set[0] = tag | from;
    struct flow *f = flow_place(s, socket, ip, port);
    if (f->from != from && flow_is(s, f, socket, ip, port))
        f->generation = 0;
}

uint8_t flow_noted(const struct stack *s, uint32_t socket, const uint8_t ip[16], uint16_t port)
{
    uint64_t tag;
    const uint64_t *set = from_set(s, socket, ip, port, &tag);
    for (unsigned i = 0; i < FROM_WAYS; i++)
        if ((set[i] ^ tag) >> 8 == 0)
            return (uint8_t)set[i];
    return 0;
}

struct flow *flow_take(struct stack *s, uint32_t socket, const uint8_t ip[16], uint16_t port)
{
    struct flow *f = flow_place(s, socket, ip, port);
    if (flow_is(s, f, socket, ip, port))
        return f;
    *f = (struct flow){.socket = socket, .port = port, .epoch = s->sock[socket].epoch};
    memcpy(f->ip, ip, 16);
    return f;
}

/* RFC 6864, section 4.1: a datagram that may not be fragmented needs no identification. */
static void make4(struct flow *f, const struct hop *hop, uint8_t ttl)
{
    struct ip4 ip = {.ttl = ttl, .protocol = IP_UDP, .dont = true, .total = IP4_BYTES};
    uint8_t *at = f->head + ETH_BYTES;
    memcpy(ip.src, hop->from->ip + 12, 4);
    memcpy(ip.dst, f->ip + 12, 4);
    ip4_emit(at, &ip);
    memset(at + 2, 0, 2);
    memset(at + 10, 0, 2);
    f->ip_sum = checksum_fold(checksum_add(0, at, IP4_BYTES));
    f->pseudo = checksum_fold(checksum_pseudo4(ip.src, ip.dst, IP_UDP, 0));
    f->head_bytes = IP4_HEAD;
    f->fit = (uint16_t)(f->mtu - IP4_BYTES - UDP_BYTES);
}

static void make6(struct flow *f, const struct hop *hop, uint8_t ttl)
{
    struct ip6 ip = {.hop_limit = ttl, .protocol = IP_UDP};
    memcpy(ip.src, hop->from->ip, 16);
    memcpy(ip.dst, f->ip, 16);
    ip6_emit(f->head + ETH_BYTES, &ip);
    f->pseudo = checksum_fold(checksum_pseudo6(ip.src, ip.dst, IP_UDP, 0));
    f->head_bytes = IP6_HEAD;
    f->fit = (uint16_t)(f->mtu - IP6_BYTES - UDP_BYTES);
}

void flow_make(struct stack *s, struct flow *f, const struct hop *hop, const uint8_t mac[6],
               uint32_t mtu)
{
    struct eth eth = {.type = hop->from->ip4 ? ETH_IP4 : ETH_IP6};
    bool group = hop->from->ip4 ? f->ip[12] >> 4 == 0xe : f->ip[0] == 0xff;
    uint8_t ttl = group ? 1 : IP_TTL; /* RFC 1112, 6.1: 1 unless asked for more */
    uint16_t ports[2];
    memcpy(eth.dst, mac, 6);
    memcpy(eth.src, s->mac, 6);
    memset(f->head, 0, sizeof f->head);
    eth_emit(f->head, &eth);
    f->mtu = (uint16_t)mtu;
    f->from = (uint8_t)(hop->from - s->local + 1);
    if (hop->from->ip4)
        make4(f, hop, ttl);
    else
        make6(f, hop, ttl);
    be16_store(&ports[0], s->sock[f->socket].port);
    be16_store(&ports[1], f->port);
    memcpy(f->head + f->head_bytes - UDP_BYTES, ports, 4);
    f->rest_sum = (uint32_t)ports[0] + ports[1];
}
