/* SPDX-License-Identifier: MIT
 * Frames of every protocol that src/wire/ writes, into a capture, and what its parsers say of them.
 *
 * Usage: wire_frames CAPTURE. The capture is classic pcap. Standard output: the names of tshark's
 * fields, a tab between them; then a line a frame with our values. `?` stands where our parser does
 * not say: behind a header that it refused, and in what fragments and errors carry.
 *
 * tests/net/wire_tshark compares. The program exits 1 when a parser says something else of a frame
 * than it was made for: a good one refused, or a bad one taken. */
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip6.h"
#include "wire/udp.h"

#include "wire_frames.h"

#include <stdarg.h>
#include <stdio.h>

#define EACH 16u /* frames of each kind */

static char column[COLUMN_COUNT][64];

static void say(enum column c, const char *format, ...) printf_like(2, 3);
static void say(enum column c, const char *format, ...)
{
    size_t at = strlen(column[c]);
    va_list args;

    if (at) /* a field that is there twice, as tags are */
        column[c][at++] = ',';
    va_start(args, format);
    vsnprintf(column[c] + at, sizeof column[c] - at, format, args);
    va_end(args);
}
/* Nothing is said from one column to another, both included. */
static void unsaid(enum column from, enum column to)
{
    for (unsigned c = from; c <= to; c++)
        strcpy(column[c], "?");
}
static void say_mac(enum column c, const uint8_t p[6])
{
    say(c, "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4], p[5]);
}
static void say_ip4(enum column c, const uint8_t p[4])
{
    say(c, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
}
static void say_ip6(enum column c, const uint8_t p[16])
{
    char text[8 * 5 + 1];
    for (unsigned i = 0; i < 8; i++)
        snprintf(text + 5 * i, 6, "%04x:", be16_load(p + 2 * i));
    say(c, "%.39s", text);
}

static int say_udp(const uint8_t *p, size_t n, uint64_t pseudo)
{
    struct udp udp;
    int r = udp_parse(p, n, &udp);
    bool ok = r > 0 && udp_checksum_ok(p, &udp, pseudo);

    if (r < 0)
        return r;
    say(C_UDP_SRC, "%u", udp.src);
    say(C_UDP_DST, "%u", udp.dst);
    say(C_UDP_LENGTH, "%u", udp.bytes);
    say(C_UDP_CHECKSUM, "%u", be16(udp.checksum));
    say(C_UDP_STATUS, "%d", udp.checksum == 0 ? STATUS_NONE : ok ? STATUS_GOOD : STATUS_BAD);
    return ok ? 0 : -WIRE_CHECKSUM;
}

static int say_icmp(const uint8_t *p, size_t n)
{
    struct icmp icmp;
    int r = icmp_parse(p, n, 0, &icmp);

    say(C_ICMP_STATUS, "%d", r < 0 ? STATUS_BAD : STATUS_GOOD);
    if (r < 0) {
        unsaid(C_ICMP_TYPE, C_ICMP_MTU);
        return r;
    }
    say(C_ICMP_TYPE, "%u", icmp.type);
    say(C_ICMP_CODE, "%u", icmp.code);
    if (icmp.type == ICMP_UNREACHABLE) {
        unsaid(C_UDP_SRC, C_UDP_STATUS); /* of the packet that it is about */
        if (icmp.code == ICMP_FRAGMENTATION_NEEDED)
            say(C_ICMP_MTU, "%u", icmp.rest & 0xffff);
        return 0;
    }
    say(C_ICMP_IDENT, "%u", icmp.rest >> 16);
    say(C_ICMP_SEQ, "%u", icmp.rest & 0xffff);
    return 0;
}

static void say_nd(const struct nd *nd)
{
    if (nd->type == ICMP6_SOLICITATION) {
        say_ip6(C_NS_TARGET, nd->target);
    } else {
        say_ip6(C_NA_TARGET, nd->target);
        say(C_NA_ROUTER, "%d", nd->router);
        say(C_NA_SOLICITED, "%d", nd->solicited);
        say(C_NA_OVERRIDE, "%d", nd->override);
    }
    if (nd->has_mac)
        say_mac(C_ND_MAC, nd->mac);
}

static int say_icmp6(const uint8_t *p, size_t n, uint64_t pseudo)
{
    struct icmp icmp;
    struct nd nd;
    int r = icmp_parse(p, n, pseudo, &icmp);

    say(C_ICMP6_STATUS, "%d", r < 0 ? STATUS_BAD : STATUS_GOOD);
    if (r < 0) {
        unsaid(C_ICMP6_TYPE, C_ND_MAC);
        return r;
    }
    say(C_ICMP6_TYPE, "%u", icmp.type);
    say(C_ICMP6_CODE, "%u", icmp.code);
    if (icmp.type == ICMP6_TOO_BIG) {
        unsaid(C_UDP_SRC, C_UDP_STATUS);
        say(C_ICMP6_MTU, "%u", icmp.rest);
    } else if (icmp.type == ICMP6_ECHO || icmp.type == ICMP6_ECHO_REPLY) {
        say(C_ICMP6_IDENT, "%u", icmp.rest >> 16);
        say(C_ICMP6_SEQ, "%u", icmp.rest & 0xffff);
    } else {
        r = nd_parse(p, n, pseudo, &nd);
        if (r < 0)
            return r;
        say_nd(&nd);
    }
    return 0;
}

static int say_packet4(const uint8_t *p, size_t n)
{
    struct ip4 ip;
    int r = ip4_parse(p, n, &ip);
    size_t bytes;

    say(C_IP_STATUS, "%d", r == -WIRE_CHECKSUM ? STATUS_BAD : STATUS_GOOD);
    if (r < 0) {
        unsaid(C_IP_HEADER, C_IP_DST);
        unsaid(C_ICMP_TYPE, C_UDP_STATUS);
        return r;
    }
    say(C_IP_HEADER, "%d", r);
    say(C_IP_TOS, "%u", ip.tos);
    say(C_IP_LENGTH, "%u", ip.total);
    say(C_IP_ID, "%u", ip.id);
    say(C_IP_DONT, "%d", ip.dont);
    say(C_IP_MORE, "%d", ip.more);
    say(C_IP_OFFSET, "%u", ip.offset / 8u); /* tshark's unit here */
    say(C_IP_TTL, "%u", ip.ttl);
    say(C_IP_PROTOCOL, "%u", ip.protocol);
    say_ip4(C_IP_SRC, ip.src);
    say_ip4(C_IP_DST, ip.dst);
    bytes = ip.total - (size_t)r;
    if (ip4_is_fragment(&ip)) {
        unsaid(C_ICMP_TYPE, C_UDP_STATUS);
        return 0;
    }
    if (ip.protocol == IP_ICMP)
        return say_icmp(p + r, bytes);
    return say_udp(p + r, bytes, checksum_pseudo4(ip.src, ip.dst, IP_UDP, (uint32_t)bytes));
}

static void say_fragment6(const struct ip6 *ip)
{
    say(C_FRAGMENT_OFFSET, "%u", ip->offset / 8u); /* tshark's unit here */
    say(C_FRAGMENT_MORE, "%d", ip->more);
    say(C_FRAGMENT_ID, "%u", ip->id);
}

static int say_packet6(const uint8_t *p, size_t n)
{
    struct ip6 ip;
    int r = ip6_parse(p, n, &ip);
    size_t bytes;
    uint64_t pseudo;

    if (r < 0) {
        unsaid(C_IP6_CLASS, C_UDP_STATUS);
        return r;
    }
    say(C_IP6_CLASS, "%u", ip.traffic_class);
    say(C_IP6_FLOW, "%u", ip.flow);
    say(C_IP6_LENGTH, "%u", ip.bytes);
    say(C_IP6_HOPS, "%u", ip.hop_limit);
    say_ip6(C_IP6_SRC, ip.src);
    say_ip6(C_IP6_DST, ip.dst);
    if (ip.fragmented)
        say_fragment6(&ip);
    if (ip6_is_fragment(&ip)) {
        unsaid(C_ICMP_TYPE, C_UDP_STATUS);
        return 0;
    }
    bytes = IP6_BYTES + ip.bytes - (size_t)r;
    pseudo = checksum_pseudo6(ip.src, ip.dst, ip.protocol, (uint32_t)bytes);
    return ip.protocol == IP_ICMP6 ? say_icmp6(p + r, bytes, pseudo)
                                   : say_udp(p + r, bytes, pseudo);
}

static int say_arp(const uint8_t *p, size_t n)
{
    struct arp arp;
    int r = arp_parse(p, n, &arp);

    if (r < 0)
        return r;
    say(C_ARP_OP, "%u", arp.op);
    say_mac(C_ARP_SRC_MAC, arp.src_mac);
    say_ip4(C_ARP_SRC_IP, arp.src_ip);
    say_mac(C_ARP_DST_MAC, arp.dst_mac);
    say_ip4(C_ARP_DST_IP, arp.dst_ip);
    return 0;
}

/* 0, or why the frame is refused. */
static int say_frame(const uint8_t *p, size_t n)
{
    struct eth eth;
    int r = eth_parse(p, n, &eth);

    if (r < 0)
        return r;
    say_mac(C_ETH_DST, eth.dst);
    say_mac(C_ETH_SRC, eth.src);
    say(C_ETH_TYPE, "%u", eth.vlans ? eth.vlan_type[0] : eth.type);
    for (unsigned i = 0; i < eth.vlans; i++) {
        bool service = eth.vlan_type[i] == ETH_QINQ;
        say(service ? C_SERVICE_ID : C_VLAN_ID, "%u", eth.vlan[i] & 0xfffu);
        say(service ? C_SERVICE_PRIORITY : C_VLAN_PRIORITY, "%u", eth.vlan[i] >> 13);
    }
    if (eth.type == ETH_ARP)
        return say_arp(p + r, n - (size_t)r);
    return eth.type == ETH_IP4 ? say_packet4(p + r, n - (size_t)r)
                               : say_packet6(p + r, n - (size_t)r);
}

static void print_line(void)
{
    for (unsigned c = 0; c < COLUMN_COUNT; c++)
        printf("%s%c", column[c], c + 1 == COLUMN_COUNT ? '\n' : '\t');
    memset(column, 0, sizeof column);
}
static void print_names(void)
{
#define X(name, field) strcpy(column[C_##name], field);
    COLUMNS(X)
#undef X
    print_line();
}

/* Classic pcap: pcap-savefile(5). In the writer's byte order, which the magic number tells. */
static void put32(FILE *file, uint32_t value)
{
    fwrite(&value, sizeof value, 1, file);
}
static void pcap_begin(FILE *file)
{
    put32(file, 0xa1b2c3d4); /* microseconds */
    put32(file, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 4u << 16 | 2 : 2u << 16 | 4);
    put32(file, 0); /* time zone and accuracy: reserved */
    put32(file, 0);
    put32(file, 65535); /* no frame is longer */
    put32(file, 1);     /* LINKTYPE_ETHERNET */
}
static void pcap_add(FILE *file, const struct frame *f, unsigned ms)
{
    put32(file, ms / 1000);
    put32(file, ms % 1000 * 1000);
    put32(file, (uint32_t)f->n);
    put32(file, (uint32_t)f->n);
    fwrite(f->p, 1, f->n, file);
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "wb") : NULL;
    unsigned wrong = 0;

    if (!file) {
        fprintf(stderr, "usage: %s CAPTURE\n", argv[0]);
        return 2;
    }
    print_names();
    pcap_begin(file);
    for (unsigned i = 0; i < frame_kinds * EACH; i++) {
        static struct frame f;
        int says;
        frame_make(&f, i % frame_kinds, i / frame_kinds + 1);
        pcap_add(file, &f, i);
        says = say_frame(f.p, f.n);
        print_line();
        if (says != f.says)
            fprintf(stderr, "frame %u (%s): %d, not %d\n", i + 1, f.kind, says, f.says);
        wrong += says != f.says;
    }
    return fclose(file) == 0 && wrong == 0 ? 0 : 1;
}
