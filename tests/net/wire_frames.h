/* SPDX-License-Identifier: MIT
 * The frames (wire_make.c) and the columns (wire_frames.c) of the comparison with tshark. */
#ifndef WEIR_TEST_WIRE_FRAMES_H
#define WEIR_TEST_WIRE_FRAMES_H

#include <stddef.h>
#include <stdint.h>

/* X(column, tshark's field). What a refused header leaves unsaid is a range of them. */
#define COLUMNS(X)                                                                                 \
    X(ETH_DST, "eth.dst")                                                                          \
    X(ETH_SRC, "eth.src")                                                                          \
    X(ETH_TYPE, "eth.type")                                                                        \
    X(SERVICE_ID, "ieee8021ad.id")                                                                 \
    X(SERVICE_PRIORITY, "ieee8021ad.priority")                                                     \
    X(VLAN_ID, "vlan.id")                                                                          \
    X(VLAN_PRIORITY, "vlan.priority")                                                              \
    X(ARP_OP, "arp.opcode")                                                                        \
    X(ARP_SRC_MAC, "arp.src.hw_mac")                                                               \
    X(ARP_SRC_IP, "arp.src.proto_ipv4")                                                            \
    X(ARP_DST_MAC, "arp.dst.hw_mac")                                                               \
    X(ARP_DST_IP, "arp.dst.proto_ipv4")                                                            \
    X(IP_STATUS, "ip.checksum.status")                                                             \
    X(IP_HEADER, "ip.hdr_len")                                                                     \
    X(IP_TOS, "ip.dsfield")                                                                        \
    X(IP_LENGTH, "ip.len")                                                                         \
    X(IP_ID, "ip.id")                                                                              \
    X(IP_DONT, "ip.flags.df")                                                                      \
    X(IP_MORE, "ip.flags.mf")                                                                      \
    X(IP_OFFSET, "ip.frag_offset")                                                                 \
    X(IP_TTL, "ip.ttl")                                                                            \
    X(IP_PROTOCOL, "ip.proto")                                                                     \
    X(IP_SRC, "ip.src")                                                                            \
    X(IP_DST, "ip.dst")                                                                            \
    X(IP6_CLASS, "ipv6.tclass")                                                                    \
    X(IP6_FLOW, "ipv6.flow")                                                                       \
    X(IP6_LENGTH, "ipv6.plen")                                                                     \
    X(IP6_HOPS, "ipv6.hlim")                                                                       \
    X(IP6_SRC, "ipv6.src")                                                                         \
    X(IP6_DST, "ipv6.dst")                                                                         \
    X(FRAGMENT_OFFSET, "ipv6.fraghdr.offset")                                                      \
    X(FRAGMENT_MORE, "ipv6.fraghdr.more")                                                          \
    X(FRAGMENT_ID, "ipv6.fraghdr.ident")                                                           \
    X(ICMP_STATUS, "icmp.checksum.status")                                                         \
    X(ICMP_TYPE, "icmp.type")                                                                      \
    X(ICMP_CODE, "icmp.code")                                                                      \
    X(ICMP_IDENT, "icmp.ident")                                                                    \
    X(ICMP_SEQ, "icmp.seq")                                                                        \
    X(ICMP_MTU, "icmp.mtu")                                                                        \
    X(ICMP6_STATUS, "icmpv6.checksum.status")                                                      \
    X(ICMP6_TYPE, "icmpv6.type")                                                                   \
    X(ICMP6_CODE, "icmpv6.code")                                                                   \
    X(ICMP6_IDENT, "icmpv6.echo.identifier")                                                       \
    X(ICMP6_SEQ, "icmpv6.echo.sequence_number")                                                    \
    X(ICMP6_MTU, "icmpv6.mtu")                                                                     \
    X(NS_TARGET, "icmpv6.nd.ns.target_address")                                                    \
    X(NA_TARGET, "icmpv6.nd.na.target_address")                                                    \
    X(NA_ROUTER, "icmpv6.nd.na.flag.r")                                                            \
    X(NA_SOLICITED, "icmpv6.nd.na.flag.s")                                                         \
    X(NA_OVERRIDE, "icmpv6.nd.na.flag.o")                                                          \
    X(ND_MAC, "icmpv6.opt.linkaddr")                                                               \
    X(UDP_SRC, "udp.srcport")                                                                      \
    X(UDP_DST, "udp.dstport")                                                                      \
    X(UDP_LENGTH, "udp.length")                                                                    \
    X(UDP_CHECKSUM, "udp.checksum")                                                                \
    X(UDP_STATUS, "udp.checksum.status")

enum column {
#define X(name, field) C_##name,
    COLUMNS(X)
#undef X
        COLUMN_COUNT
};

/* Wireshark's enum proto_checksum_enum_e (epan/proto.h). */
enum { STATUS_BAD = 0, STATUS_GOOD = 1, STATUS_NONE = 3 };

struct frame {
    uint8_t p[2048];
    size_t n;
    int says; /* what our parsers should: 0, or why it is refused */
    const char *kind;
};

extern const unsigned frame_kinds;
/* Frame of kind `kind` (below frame_kinds), whose values come of `seed`. */
void frame_make(struct frame *f, unsigned kind, unsigned seed);

#endif
