/* SPDX-License-Identifier: MIT
 * The frames of wire_frames: one function a kind, all values of the seed, written by src/wire/'s
 * own emitters, so that tshark judges those as well. Wrong checksums are made by flipping a bit.
 *
 * A frame is built from its end: the packet into `body`, then Ethernet with its tags in front. */
#include "wire_frames.h"

#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip6.h"
#include "wire/udp.h"

#define PAYLOAD_MAX 200u

struct body {
    uint8_t p[1600];
    size_t n;
};

static uint64_t state;

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */
static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}
static void fill(void *ret, size_t n)
{
    uint8_t *p = ret;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)next();
}

static struct ip4 ip4(uint8_t protocol)
{
    struct ip4 ip = {.tos = (uint8_t)next(),
                     .ttl = (uint8_t)next(),
                     .protocol = protocol,
                     .id = (uint16_t)next(),
                     .dont = next() % 2};
    fill(ip.src, 4);
    fill(ip.dst, 4);
    ip.src[0] = ip.dst[0] = 10;
    return ip;
}
static struct ip6 ip6(uint8_t protocol)
{
    struct ip6 ip = {.traffic_class = (uint8_t)next(),
                     .hop_limit = (uint8_t)next(),
                     .flow = next() & 0xfffff,
                     .protocol = protocol};
    fill(ip.src, 16);
    fill(ip.dst, 16);
    ip.src[0] = ip.dst[0] = 0xfd; /* RFC 4193: of nobody else */
    return ip;
}

/* Put a header in front; those before `b->n` move. */
static uint8_t *front(struct body *b, size_t bytes)
{
    memmove(b->p + bytes, b->p, b->n);
    b->n += bytes;
    return b->p;
}
static void front_ip4(struct body *b, struct ip4 *ip)
{
    size_t header = IP4_BYTES + ip->option_bytes;
    ip->total = (uint16_t)(header + b->n);
    ip4_emit(front(b, header), ip);
}
static void front_ip6(struct body *b, struct ip6 *ip)
{
    size_t header = IP6_BYTES + (ip->fragmented ? IP6_FRAGMENT_BYTES : 0);
    ip->bytes = (uint16_t)(b->n + header - IP6_BYTES);
    ip6_emit(front(b, header), ip);
}
/* An extension header in front of what is there: `bytes` of it, `next` its own next header. */
static void front_extension(struct body *b, struct ip6 *ip, uint8_t kind, const char *text,
                            uint8_t bytes)
{
    uint8_t *p = front(b, bytes);
    p[0] = ip->protocol;
    p[1] = (uint8_t)(bytes / 8 - 1);
    memcpy(p + 2, text, bytes - 2u);
    ip->protocol = kind;
}

static void payload(struct body *b)
{
    b->n = next() % PAYLOAD_MAX;
    fill(b->p, b->n);
}
/* Ports above those that tshark has dissectors for. */
static void front_udp(struct body *b, uint64_t (*pseudo)(const void *ip, uint32_t n),
                      const void *ip)
{
    struct udp udp = {.src = (uint16_t)(50000 + next() % 5000),
                      .dst = (uint16_t)(56000 + next() % 5000),
                      .bytes = (uint16_t)(UDP_BYTES + b->n)};
    udp_emit(front(b, UDP_BYTES), &udp, pseudo(ip, udp.bytes));
}
static uint64_t pseudo4(const void *ip, uint32_t n)
{
    const struct ip4 *ip4 = ip;
    return checksum_pseudo4(ip4->src, ip4->dst, ip4->protocol, n);
}
static uint64_t pseudo6(const void *ip, uint32_t n)
{
    const struct ip6 *ip6 = ip;
    return checksum_pseudo6(ip6->src, ip6->dst, ip6->protocol, n);
}

static uint16_t udp4(struct body *b)
{
    struct ip4 ip = ip4(IP_UDP);
    payload(b);
    front_udp(b, pseudo4, &ip);
    front_ip4(b, &ip);
    return ETH_IP4;
}
static uint16_t udp4_bad(struct body *b)
{
    udp4(b);
    b->p[IP4_BYTES] ^= 1; /* of the source port */
    return ETH_IP4;
}
static uint16_t udp4_unsummed(struct body *b)
{
    udp4(b);
    memset(b->p + IP4_BYTES + 6, 0, 2);
    return ETH_IP4;
}
static uint16_t ip4_bad(struct body *b)
{
    udp4(b);
    b->p[8] ^= 1; /* time to live */
    return ETH_IP4;
}
static uint16_t udp4_options(struct body *b)
{
    struct ip4 ip = ip4(IP_UDP);
    static const uint8_t options[] = {1, 0x94, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0}; /* alert, route */
    ip.option_bytes = sizeof options;
    memcpy(ip.options, options, sizeof options);
    payload(b);
    front_udp(b, pseudo4, &ip);
    front_ip4(b, &ip);
    return ETH_IP4;
}
static uint16_t fragment4(struct body *b)
{
    struct ip4 ip = ip4(IP_UDP);
    ip.dont = false;
    ip.more = next() % 2;
    ip.offset = (uint16_t)(8 + next() % 1000 * 8);
    b->n = 8 + next() % 20 * 8;
    fill(b->p, b->n);
    front_ip4(b, &ip);
    return ETH_IP4;
}

static uint16_t icmp4(struct body *b, const struct icmp *icmp)
{
    struct ip4 ip = ip4(IP_ICMP);
    front(b, ICMP_BYTES);
    icmp_emit(b->p, b->n, 0, icmp);
    front_ip4(b, &ip);
    return ETH_IP4;
}
static uint16_t echo4(struct body *b)
{
    payload(b);
    return icmp4(b, &(struct icmp){next() % 2 ? ICMP_ECHO : ICMP_ECHO_REPLY, 0, (uint32_t)next()});
}
static uint16_t echo4_bad(struct body *b)
{
    echo4(b);
    b->p[IP4_BYTES + 4] ^= 0x10; /* of the identifier */
    return ETH_IP4;
}
static uint16_t unreachable4(struct body *b)
{
    udp4(b);
    return icmp4(b, &(struct icmp){ICMP_UNREACHABLE, ICMP_PORT_UNREACHABLE, 0});
}
static uint16_t too_big4(struct body *b)
{
    udp4(b);
    return icmp4(b, &(struct icmp){ICMP_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED,
                                   68 + (uint32_t)(next() % 1400)}); /* 68: RFC 791, the least */
}

static uint16_t udp6(struct body *b)
{
    struct ip6 ip = ip6(IP_UDP);
    payload(b);
    front_udp(b, pseudo6, &ip);
    front_ip6(b, &ip);
    return ETH_IP6;
}
static uint16_t udp6_bad(struct body *b)
{
    udp6(b);
    b->p[IP6_BYTES + 2] ^= 1; /* of the destination port */
    return ETH_IP6;
}
static uint16_t udp6_extensions(struct body *b)
{
    struct ip6 ip = ip6(IP_UDP);
    payload(b);
    front_udp(b, pseudo6, &ip);
    front_extension(b, &ip, IP6_DESTINATION, "\x1e\4abcd", 8);
    front_extension(b, &ip, IP6_ROUTING, "\xfd\0\0\0\0\0", 8); /* experiments: RFC 4727 */
    front_extension(b, &ip, IP6_DESTINATION, "\1\4\0\0\0\0", 8);
    front_extension(b, &ip, IP6_HOP_BY_HOP, "\5\2\0\0\x1e\6abcdef\0\0", 16);
    front_ip6(b, &ip);
    return ETH_IP6;
}
static uint16_t fragment6(struct body *b)
{
    struct ip6 ip = ip6(IP_UDP);
    ip.fragmented = true;
    ip.more = next() % 2;
    ip.offset = (uint16_t)(8 + next() % 1000 * 8);
    ip.id = (uint32_t)next();
    b->n = 8 + next() % 20 * 8;
    fill(b->p, b->n);
    front_ip6(b, &ip);
    return ETH_IP6;
}
static uint16_t lone_fragment6(struct body *b)
{
    struct ip6 ip = ip6(IP_UDP);
    payload(b);
    front_udp(b, pseudo6, &ip);
    ip.fragmented = true;
    ip.id = (uint32_t)next();
    front_ip6(b, &ip);
    return ETH_IP6;
}

static uint16_t icmp6(struct body *b, const struct icmp *icmp)
{
    struct ip6 ip = ip6(IP_ICMP6);
    front(b, ICMP_BYTES);
    icmp_emit(b->p, b->n, pseudo6(&ip, (uint32_t)b->n), icmp);
    front_ip6(b, &ip);
    return ETH_IP6;
}
static uint16_t echo6(struct body *b)
{
    payload(b);
    return icmp6(b,
                 &(struct icmp){next() % 2 ? ICMP6_ECHO : ICMP6_ECHO_REPLY, 0, (uint32_t)next()});
}
static uint16_t echo6_bad(struct body *b)
{
    echo6(b);
    b->p[IP6_BYTES + 4] ^= 0x10; /* of the identifier */
    return ETH_IP6;
}
static uint16_t too_big6(struct body *b)
{
    udp6(b);
    return icmp6(b, &(struct icmp){ICMP6_TOO_BIG, 0, IP6_MTU_MIN + (uint32_t)(next() % 1000)});
}
static uint16_t neighbour6(struct body *b)
{
    struct nd nd = {.type = next() % 2 ? ICMP6_SOLICITATION : ICMP6_ADVERTISEMENT,
                    .has_mac = next() % 4};
    struct ip6 ip = ip6(IP_ICMP6);
    if (nd.type == ICMP6_ADVERTISEMENT) {
        nd.router = next() % 2;
        nd.solicited = next() % 2;
        nd.override = next() % 2;
    }
    ip.hop_limit = 255; /* RFC 4861, 7.1 */
    fill(nd.target, 16);
    fill(nd.mac, 6);
    nd.target[0] = 0xfd;
    b->n = nd_emit(b->p, pseudo6(&ip, (uint32_t)nd_bytes(&nd)), &nd);
    front_ip6(b, &ip);
    return ETH_IP6;
}

static uint16_t arp(struct body *b)
{
    struct arp arp;
    fill(&arp, sizeof arp);
    arp.op = next() % 2 ? ARP_REQUEST : ARP_REPLY;
    b->n = arp_emit(b->p, &arp);
    return ETH_ARP;
}

static const struct {
    const char *name;
    uint16_t (*make)(struct body *);
    uint8_t vlans;
    int says;
} kinds[] = {
    {"arp", arp, 0, 0},
    {"arp, tagged", arp, 1, 0},
    {"udp4", udp4, 0, 0},
    {"udp4, tagged", udp4, 1, 0},
    {"udp4, tagged twice", udp4, 2, 0},
    {"udp4, wrong checksum", udp4_bad, 0, -WIRE_CHECKSUM},
    {"udp4, no checksum", udp4_unsummed, 0, 0},
    {"udp4, options", udp4_options, 0, 0},
    {"ip4, wrong checksum", ip4_bad, 0, -WIRE_CHECKSUM},
    {"ip4, fragment", fragment4, 0, 0},
    {"icmp echo", echo4, 0, 0},
    {"icmp echo, wrong checksum", echo4_bad, 0, -WIRE_CHECKSUM},
    {"icmp port unreachable", unreachable4, 0, 0},
    {"icmp fragmentation needed", too_big4, 0, 0},
    {"udp6", udp6, 0, 0},
    {"udp6, tagged twice", udp6, 2, 0},
    {"udp6, wrong checksum", udp6_bad, 0, -WIRE_CHECKSUM},
    {"udp6, extension headers", udp6_extensions, 0, 0},
    {"ip6, fragment", fragment6, 0, 0},
    {"udp6, lone fragment", lone_fragment6, 0, 0},
    {"icmp6 echo", echo6, 0, 0},
    {"icmp6 echo, wrong checksum", echo6_bad, 0, -WIRE_CHECKSUM},
    {"icmp6 too big", too_big6, 0, 0},
    {"neighbour discovery", neighbour6, 0, 0},
};
const unsigned frame_kinds = array_len(kinds);

void frame_make(struct frame *f, unsigned kind, unsigned seed)
{
    struct eth eth = {.vlans = kinds[kind].vlans};
    struct body b = {.n = 0};
    size_t header;

    state = (uint64_t)seed << 32 | kind;
    eth.type = kinds[kind].make(&b);
    fill(eth.dst, 6);
    fill(eth.src, 6);
    eth.src[0] &= 0xfe;
    for (unsigned i = 0; i < eth.vlans; i++) {
        eth.vlan[i] = (uint16_t)next();
        eth.vlan_type[i] = i + 1 < eth.vlans ? ETH_QINQ : ETH_VLAN;
    }
    header = eth_emit(f->p, &eth);
    memcpy(f->p + header, b.p, b.n);
    f->n = header + b.n;
    f->says = kinds[kind].says;
    f->kind = kinds[kind].name;
}
