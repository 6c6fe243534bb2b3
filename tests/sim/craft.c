/* SPDX-License-Identifier: MIT
 * Frames made by hand: RFC 826, RFC 791, RFC 8200, RFC 768, RFC 792, RFC 4443, RFC 4861. */
#include "craft.h"

#include <string.h>

static const uint8_t target_mac[6] = {2, 0, 0, 0, 0, 2}, stranger_mac[6] = {2, 0, 0, 0, 0, 0x66};
static const uint8_t target4[4] = {10, 0, 0, 2}, stranger4[4] = {10, 0, 0, 66};
static const uint8_t target6[16] = {0xfd, [15] = 2}, stranger6[16] = {0xfd, [15] = 0x42};

uint32_t craft_get(const struct craft *c, size_t at, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | c->at[at + i];
    return value;
}

void craft_set(struct craft *c, size_t at, unsigned bytes, uint32_t value)
{
    for (unsigned i = bytes; i-- > 0; value >>= 8)
        c->at[at + i] = (uint8_t)value;
}

static void put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* RFC 1071, byte by byte. */
static uint32_t sum_of(uint32_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static uint32_t pseudo(const uint8_t *addresses, size_t n, uint8_t protocol, size_t bytes)
{
    uint8_t tail[4] = {0, protocol, (uint8_t)(bytes >> 8), (uint8_t)bytes};
    return sum_of(sum_of(0, addresses, n), tail, sizeof tail);
}

static void put_sum(uint8_t *field, uint32_t start, const uint8_t *p, size_t n, int is_udp)
{
    put16(field, 0);
    uint16_t sum = (uint16_t)~sum_of(start, p, n);
    put16(field, is_udp && sum == 0 ? 0xffff : sum);
}

/* What is behind the IP header(s), `n` bytes: a UDP datagram's own length says what it sums over. */
static void transport(uint8_t *p, size_t n, uint8_t protocol, const uint8_t *ends, size_t ends_n)
{
    if (protocol == 17 && n >= 8) {
        size_t told = (size_t)p[4] << 8 | p[5];
        n = told >= 8 && told <= n ? told : n;
        put_sum(p + 6, pseudo(ends, ends_n, 17, n), p, n, 1);
    } else if (protocol == 1 && n >= 4) {
        put_sum(p + 2, 0, p, n, 0);
    } else if (protocol == 58 && n >= 4) {
        put_sum(p + 2, pseudo(ends, ends_n, 58, n), p, n, 0);
    }
}

static void sums4(uint8_t *ip, size_t n)
{
    size_t head = (size_t)(ip[0] & 15) * 4, total = (size_t)ip[2] << 8 | ip[3];
    if (head < 20 || head > n)
        return;
    put_sum(ip + 10, 0, ip, head, 0);
    total = total < n ? total : n;
    if (total >= head && !(ip[6] & 0x3f) && !ip[7])
        transport(ip + head, total - head, ip[9], ip + 12, 8);
}

static void sums6(uint8_t *ip, size_t n)
{
    size_t at = 40, end = 40 + ((size_t)ip[4] << 8 | ip[5]);
    uint8_t next = ip[6];
    end = end < n ? end : n;
    while ((next == 0 || next == 43 || next == 44 || next == 60) && at + 8 <= end) {
        size_t bytes = next == 44 ? 8 : ((size_t)ip[at + 1] + 1) * 8;
        next = ip[at];
        at += bytes;
    }
    if (at <= end)
        transport(ip + at, end - at, next, ip + 8, 32);
}

void craft_sums(struct craft *c)
{
    uint32_t type = craft_get(c, 12, 2);
    if (type == 0x0800 && c->n >= ETHER + 20)
        sums4(c->at + ETHER, c->n - ETHER);
    else if (type == 0x86dd && c->n >= ETHER + 40)
        sums6(c->at + ETHER, c->n - ETHER);
}

void craft_partial(struct craft *c)
{
    int ip4 = craft_get(c, 12, 2) == 0x0800;
    size_t at = ip4 ? L4 : L6;
    craft_set(c, at + 6, 2,
              ip4 ? pseudo(c->at + ETHER + 12, 8, 17, craft_get(c, at + 4, 2))
                  : pseudo(c->at + ETHER + 8, 32, 17, craft_get(c, at + 4, 2)));
}

/* ---- headers --------------------------------------------------------------------------------- */

static void ether(struct craft *c, uint16_t type)
{
    memset(c, 0, sizeof *c);
    memcpy(c->at, target_mac, 6);
    memcpy(c->at + 6, stranger_mac, 6);
    put16(c->at + 12, type);
}

static void head4(uint8_t *p, uint8_t protocol, size_t bytes, const uint8_t *from,
                  const uint8_t *to)
{
    p[0] = 0x45;
    put16(p + 2, (unsigned)(20 + bytes));
    p[8] = 64;
    p[9] = protocol;
    memcpy(p + 12, from, 4);
    memcpy(p + 16, to, 4);
    put_sum(p + 10, 0, p, 20, 0);
}

static void head6(uint8_t *p, uint8_t next, size_t bytes, const uint8_t *from, const uint8_t *to)
{
    p[0] = 0x60;
    put16(p + 4, (unsigned)bytes);
    p[6] = next;
    p[7] = 255;
    memcpy(p + 8, from, 16);
    memcpy(p + 24, to, 16);
}

static uint8_t *packet(struct craft *c, int ip4, uint8_t protocol, size_t bytes)
{
    ether(c, ip4 ? 0x0800 : 0x86dd);
    if (ip4)
        head4(c->at + ETHER, protocol, bytes, stranger4, target4);
    else
        head6(c->at + ETHER, protocol, bytes, stranger6, target6);
    c->n = (ip4 ? L4 : L6) + bytes;
    return c->at + (ip4 ? L4 : L6);
}

/* ---- good frames ----------------------------------------------------------------------------- */

void craft_datagram(uint8_t *ret, int ip4, uint16_t bytes, uint16_t port)
{
    struct craft c;
    uint8_t *p = packet(&c, ip4, 17, bytes);
    put16(p, 7);
    put16(p + 2, port);
    put16(p + 4, bytes);
    for (size_t i = 8; i < bytes; i++)
        p[i] = (uint8_t)(i * 7);
    craft_sums(&c);
    memcpy(ret, p, bytes);
}

static void udp(struct craft *c, int ip4)
{
    uint8_t *p = packet(c, ip4, 17, 8 + CRAFT_DATA);
    craft_datagram(p, ip4, 8 + CRAFT_DATA, 7);
}

static void arp(struct craft *c, uint16_t op)
{
    static const uint8_t shape[6] = {0, 1, 8, 0, 6, 4};
    ether(c, 0x0806);
    uint8_t *p = c->at + ETHER;
    memcpy(p, shape, 6);
    put16(p + 6, op);
    memcpy(p + 8, stranger_mac, 6);
    memcpy(p + 14, stranger4, 4);
    memcpy(p + 24, target4, 4);
    c->n = ETHER + 28;
}

static void ping(struct craft *c, int ip4)
{
    uint8_t *p = packet(c, ip4, ip4 ? 1 : 58, 8 + CRAFT_DATA);
    p[0] = ip4 ? 8 : 128;
    memset(p + 8, 0x5a, CRAFT_DATA);
}

static void discovery(struct craft *c, uint8_t type)
{
    uint8_t *p = packet(c, 0, 58, 32);
    p[0] = type;
    memcpy(p + 8, type == 135 ? target6 : stranger6, 16);
    p[4] = type == 135 ? 0 : 0x60; /* solicited, override */
    p[24] = type == 135 ? 1 : 2;
    p[25] = 1;
    memcpy(p + 26, stranger_mac, 6);
}

/* Port unreachable about a datagram of 40 bytes from port 7 to the stranger. */
static void error(struct craft *c, int ip4)
{
    size_t head = ip4 ? 20 : 40;
    uint8_t *p = packet(c, ip4, ip4 ? 1 : 58, 8 + head + 8);
    p[0] = ip4 ? 3 : 1;
    p[1] = ip4 ? 3 : 4;
    if (ip4)
        head4(p + 8, 17, 40, target4, stranger4);
    else
        head6(p + 8, 17, 40, target6, stranger6);
    put16(p + 8 + head, 7);
    put16(p + 8 + head + 2, 9);
    put16(p + 8 + head + 4, 40);
}

void craft_good(struct craft *c, enum good what)
{
    switch (what) {
    case UDP4:
    case UDP6: udp(c, what == UDP4); break;
    case ARP_ASK: arp(c, 1); break;
    case ARP_TELL: arp(c, 2); break;
    case PING4:
    case PING6: ping(c, what == PING4); break;
    case SOLICIT: discovery(c, 135); break;
    case ADVERTISE: discovery(c, 136); break;
    default: error(c, what == ERROR4); break;
    }
    craft_sums(c);
}

void craft_piece(struct craft *c, int ip4, const struct piece *piece, const uint8_t *whole)
{
    size_t own = ip4 ? 0 : 8;
    uint8_t *p = packet(c, ip4, ip4 ? piece->protocol : 44, own + piece->bytes);
    if (ip4) {
        craft_set(c, ETHER + 4, 2, piece->id);
        craft_set(c, ETHER + 6, 2, (piece->more ? 0x2000u : 0) | piece->offset / 8u);
        put_sum(c->at + ETHER + 10, 0, c->at + ETHER, 20, 0);
    } else {
        p[0] = piece->protocol;
        put16(p + 2, piece->offset | (piece->more != 0));
        put16(p + 6, piece->id);
    }
    if (whole)
        memcpy(p + own, whole, piece->bytes);
}

void craft_insert(struct craft *c, size_t at, const void *bytes, size_t n)
{
    memmove(c->at + at + n, c->at + at, c->n - at);
    memcpy(c->at + at, bytes, n);
    c->n += n;
    if (at < L4)
        return;
    size_t field = craft_get(c, 12, 2) == 0x0800 ? ETHER + 2 : ETHER + 4;
    craft_set(c, field, 2, craft_get(c, field, 2) + (uint32_t)n);
}
