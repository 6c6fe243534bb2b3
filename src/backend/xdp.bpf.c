/* SPDX-License-Identifier: MIT
 * The XDP program: which frames are ours, and to which socket they go. All else passes to the
 * kernel, which knows nothing of us.
 *
 *   own addresses      all that is for them: IP, ARP, neighbour solicitations
 *   shared addresses   UDP to ports that were opened, with its fragments, and ICMP errors about what
 *                      was sent from them
 *
 * A frame goes to the socket of the queue that it came by; where there is none the kernel has it.
 * Compiled twice: with WEIR_XDP_META the device's time and hash are put in front of the frame, by
 * functions that only kernels from 6.3 on have. Every access is behind a comparison with the frame's
 * end, as the verifier demands. Sources  RFC 791, 826, 8200, 4443, 4861;
 * Documentation/networking/af_xdp.rst, xdp-rx-metadata.rst */
#include "xdp_shared.h"

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_ARP 0x0806
#define ETH_IP4 0x0800
#define ETH_IP6 0x86dd
#define PROTO_ICMP 1
#define PROTO_UDP 17
#define PROTO_FRAGMENT 44
#define PROTO_ICMP6 58
#define MORE_FRAGMENTS 0x2000 /* RFC 791; the offset is what lies below */
#define NOT_OURS (-1)
#define FRAGMENTS_MAX 4096 /* datagrams on their way at once; the oldest is forgotten */

struct eth {
    __u8 to[6], from[6];
    __be16 type;
} __attribute__((packed));

struct ip4 {
    __u8 version_words, tos;
    __be16 total, id, fragment;
    __u8 ttl, protocol;
    __be16 checksum;
    __be32 from, to;
} __attribute__((packed));

struct ip6 {
    __be32 version;
    __be16 payload;
    __u8 next, hops;
    __u8 from[16], to[16];
} __attribute__((packed));

struct fragment6 {
    __u8 next, reserved;
    __be16 offset; /* in 8 bytes, the lowest bit: more follow */
    __be32 id;
} __attribute__((packed));

struct udp {
    __be16 from, to, bytes, checksum;
} __attribute__((packed));

struct arp {
    __be16 hardware, protocol;
    __u8 hardware_bytes, protocol_bytes;
    __be16 operation;
    __u8 from_mac[6];
    __be32 from_ip;
    __u8 to_mac[6];
    __be32 to_ip;
} __attribute__((packed));

struct icmp {
    __u8 type, code;
    __be16 checksum;
    __be32 rest;
} __attribute__((packed));

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1); /* as many as the device has queues: set by the loader */
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct xdp_config);
} config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 65536);
    __type(key, __u32);
    __type(value, xdp_port_mask);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, FRAGMENTS_MAX);
    __type(key, struct xdp_datagram);
    __type(value, __u8);
} fragments SEC(".maps");

struct frame {
    const struct xdp_config *config;
    const __u8 *at, *end;
};

/* The next `bytes` of the frame, or NULL: it is shorter. */
static __always_inline const void *take(struct frame *f, __u32 bytes)
{
    const __u8 *at = f->at;
    if (at + bytes > f->end)
        return NULL;
    f->at = at + bytes;
    return at;
}

static __always_inline void map_ip4(__u64 ret[2], __be32 ip)
{
    __u32 words[2] = {bpf_htonl(0xffff), ip};
    ret[0] = 0;
    __builtin_memcpy(&ret[1], words, sizeof words);
}

/* Which of our addresses it is, or NOT_OURS. */
static __always_inline int address_index(const struct xdp_config *c, const __u64 ip[2])
{
    for (__u32 i = 0; i < XDP_ADDRESSES && i < c->addresses; i++)
        if (c->address[i].half[0] == ip[0] && c->address[i].half[1] == ip[1])
            return (int)i;
    return NOT_OURS;
}

static __always_inline int is_ours(const struct xdp_config *c, const __u64 ip[2])
{
    return address_index(c, ip) != NOT_OURS;
}

static __always_inline int port_is_ours(const struct xdp_config *c, const __u64 ip[2], __be16 port)
{
    __u32 key = bpf_ntohs(port);
    const xdp_port_mask *mask = bpf_map_lookup_elem(&ports, &key);
    if (!mask || !*mask)
        return 0;
    int index = address_index(c, ip);
    return index != NOT_OURS && *mask >> (index & 31) & 1;
}

/* A fragment of UDP: the first has the port and speaks for the others. */
static __always_inline int fragment_is_ours(struct frame *f, const struct xdp_datagram *d,
                                            int first)
{
    const __u8 one = 1;
    if (!first)
        return bpf_map_lookup_elem(&fragments, d) != NULL;
    const struct udp *udp = take(f, sizeof *udp);
    if (!udp || !port_is_ours(f->config, d->to, udp->to)) {
        bpf_map_delete_elem(&fragments,
                            d); /* of an older datagram that had the same identification */
        return 0;
    }
    bpf_map_update_elem(&fragments, d, &one, BPF_ANY);
    return 1;
}

static __always_inline int udp_is_ours(struct frame *f, const __u64 to[2])
{
    const struct udp *udp = take(f, sizeof *udp);
    return udp && port_is_ours(f->config, to, udp->to);
}

/* An ICMP error quotes the packet that it is about: one of ours? */
static __always_inline int quote4_is_ours(struct frame *f)
{
    const struct icmp *icmp = take(f, sizeof *icmp);
    if (!icmp || (icmp->type != 3 && icmp->type != 11 && icmp->type != 12))
        return 0;
    const struct ip4 *ip = take(f, sizeof *ip);
    if (!ip || ip->version_words != 0x45 || ip->protocol != PROTO_UDP)
        return 0;
    const struct udp *udp = take(f, sizeof *udp);
    __u64 from[2];
    map_ip4(from, ip->from);
    return udp && port_is_ours(f->config, from, udp->from);
}

static __always_inline int quote6_is_ours(struct frame *f)
{
    const struct icmp *icmp = take(f, sizeof *icmp);
    if (!icmp || icmp->type < 1 || icmp->type > 4)
        return 0;
    const struct ip6 *ip = take(f, sizeof *ip);
    if (!ip || ip->next != PROTO_UDP)
        return 0;
    const struct udp *udp = take(f, sizeof *udp);
    __u64 from[2];
    __builtin_memcpy(from, ip->from, sizeof from);
    return udp && port_is_ours(f->config, from, udp->from);
}

static __always_inline int ip4_is_ours(struct frame *f)
{
    const struct ip4 *ip = take(f, sizeof *ip);
    if (!ip)
        return 0;
    struct xdp_datagram d = {.id = ip->id};
    map_ip4(d.to, ip->to);
    if (f->config->own)
        return is_ours(f->config, d.to);
    if (ip->protocol != PROTO_UDP && ip->protocol != PROTO_ICMP)
        return 0;
    if (!take(f, ((__u32)(ip->version_words & 15) - 5) * 4 & 63))
        return 0;
    if (ip->protocol == PROTO_ICMP)
        return is_ours(f->config, d.to) && quote4_is_ours(f);
    __u32 fragment = bpf_ntohs(ip->fragment);
    if (!(fragment & (2 * MORE_FRAGMENTS - 1)))
        return udp_is_ours(f, d.to);
    map_ip4(d.from, ip->from);
    return fragment_is_ours(f, &d, !(fragment & (MORE_FRAGMENTS - 1)));
}

static __always_inline int fragment6_is_ours(struct frame *f, struct xdp_datagram *d)
{
    const struct fragment6 *h = take(f, sizeof *h);
    if (!h || h->next != PROTO_UDP)
        return 0;
    d->id = h->id;
    return fragment_is_ours(f, d, !(bpf_ntohs(h->offset) & 0xfff8));
}

/* Whoever looks for one of our addresses asks a multicast group, not us (RFC 4861, 4.3). */
static __always_inline int solicits_us(struct frame *f)
{
    const struct icmp *icmp = take(f, sizeof *icmp);
    const __u8 *target = take(f, 16);
    __u64 ip[2];
    if (!icmp || !target || icmp->type != 135)
        return 0;
    __builtin_memcpy(ip, target, sizeof ip);
    return is_ours(f->config, ip);
}

static __always_inline int ip6_is_ours(struct frame *f)
{
    const struct ip6 *ip = take(f, sizeof *ip);
    if (!ip)
        return 0;
    struct xdp_datagram d = {0};
    __builtin_memcpy(d.from, ip->from, sizeof d.from);
    __builtin_memcpy(d.to, ip->to, sizeof d.to);
    if (f->config->own)
        return is_ours(f->config, d.to) || (ip->next == PROTO_ICMP6 && solicits_us(f));
    switch (ip->next) {
    case PROTO_UDP: return udp_is_ours(f, d.to);
    case PROTO_FRAGMENT: return fragment6_is_ours(f, &d);
    case PROTO_ICMP6: return is_ours(f->config, d.to) && quote6_is_ours(f);
    default: return 0;
    }
}

static __always_inline int arp_is_ours(struct frame *f)
{
    const struct arp *arp = take(f, sizeof *arp);
    __u64 ip[2];
    if (!arp || !f->config->own)
        return 0;
    map_ip4(ip, arp->to_ip);
    return is_ours(f->config, ip);
}

static __always_inline int frame_is_ours(struct xdp_md *ctx)
{
    const __u32 zero = 0;
    struct frame f = {.at = (const void *)(long)ctx->data,
                      .end = (const void *)(long)ctx->data_end};
    f.config = bpf_map_lookup_elem(&config, &zero);
    const struct eth *eth = take(&f, sizeof *eth);
    if (!f.config || !eth)
        return 0;
    switch (eth->type) {
    case bpf_htons(ETH_IP4): return ip4_is_ours(&f);
    case bpf_htons(ETH_IP6): return ip6_is_ours(&f);
    case bpf_htons(ETH_ARP): return arp_is_ours(&f);
    default: return 0;
    }
}

#ifdef WEIR_XDP_META
/* include/uapi/linux/bpf.h and net/core/xdp.c of Linux 6.3 */
enum xdp_rss_hash_type { WEIR_RSS_TYPE_UNUSED };
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *ret) __ksym;
extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *ret,
                                    enum xdp_rss_hash_type *type) __ksym;

/* False: no room in front of the frame. */
static __always_inline int describe(struct xdp_md *ctx)
{
    struct xdp_meta told = {0};
    enum xdp_rss_hash_type type;
    if (bpf_xdp_metadata_rx_timestamp(ctx, &told.time_ns) == 0 && told.time_ns)
        told.flags |= XDP_META_TIME;
    if (bpf_xdp_metadata_rx_hash(ctx, &told.hash, &type) == 0)
        told.flags |= XDP_META_HASH;
    if (bpf_xdp_adjust_meta(ctx, -(int)sizeof told))
        return 0;
    struct xdp_meta *meta = (void *)(long)ctx->data_meta;
    if ((void *)(meta + 1) > (void *)(long)ctx->data)
        return 0;
    *meta = told;
    return 1;
}
#else
static __always_inline int describe(struct xdp_md *ctx)
{
    (void)ctx;
    return 1;
}
#endif

SEC("xdp")
int weir_xdp(struct xdp_md *ctx)
{
    if (!frame_is_ours(ctx) || !describe(ctx))
        return XDP_PASS;
    return (int)bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

char terms[] SEC("license") = "Dual MIT/GPL";
