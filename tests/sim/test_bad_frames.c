/* SPDX-License-Identifier: MIT
 * Malformed frames, one by one: which counter each ends in, and in no other; a good peer is served all
 * the while, and not a buffer is lost. A row is a good frame and what is done to it.
 *
 * Not all rows are malformed: next to what is refused stands what looks odd and is right. */
#include "street.h"

struct edit {
    uint16_t at;
    uint8_t bytes;
    uint32_t value;
};

enum sums { FIXED, LEFT, PARTIAL };

struct row {
    const char *name, *ends;
    enum good from;
    const char *put;                /* inserted at put_at, before the rest */
    uint16_t put_n, put_at, length; /* length: cut or padded to so many bytes, 0: as it is */
    struct edit edit[5];
    enum sums sums; /* made right again at the end, or left as they came out */
};
#define PUT(where, bytes) .put = bytes, .put_n = sizeof(bytes) - 1, .put_at = where
/* Behind the fixed IPv6 header, whose next header is `kind`. */
#define EXTEND(kind, bytes) PUT(L6, bytes), .edit = {{20, 1, kind}}
#define DESTINATION8 "\x3c\x00\x01\x04\0\0\0\0" /* a destination header that another one follows */

static const struct row ethernet[] = {
    {"nothing wrong", "rx_packets", .from = UDP4},
    {"nothing wrong, IPv6", "rx_packets", .from = UDP6},
    {"padded to 60 bytes", "arp_in", .from = ARP_ASK, .length = 60},
    {"another host's address", "drop_mac", .from = UDP4, .edit = {{5, 1, 0x99}}},
    {"a group that is not ours", "drop_mac", .from = UDP4, .edit = {{0, 4, 0x01005e00}, {4, 2, 5}}},
    {"another's solicited-node group", "drop_mac", .from = SOLICIT,
     .edit = {{0, 4, 0x3333ff00}, {4, 2, 9}}},
    {"from a broadcast address", "bad_source", .from = PING4,
     .edit = {{6, 4, ~0u}, {10, 2, 0xffff}}},
    {"from a group address", "bad_source", .from = PING6, .edit = {{6, 1, 0x33}}},
    {"a VLAN tag", "drop_vlan", .from = UDP4, PUT(12, "\x81\0\0\x05")},
    {"a priority tag", "drop_vlan", .from = UDP4, PUT(12, "\x81\0\xe0\0")},
    {"VLAN in VLAN", "drop_vlan", .from = UDP6, PUT(12, "\x81\0\0\x05\x81\0\0\x06")},
    {"QinQ", "drop_vlan", .from = UDP4, PUT(12, "\x88\xa8\0\x05\x81\0\0\x06")},
    {"three tags", "drop_vlan", .from = ARP_ASK, PUT(12, "\x88\xa8\0\5\x81\0\0\6\x81\0\0\7")},
    {"a tag that is cut", "drop_short", .from = UDP4, .length = 16, .edit = {{12, 2, 0x8100}}},
    {"a tag and nothing", "drop_short", .from = UDP4, .length = 14, .edit = {{12, 2, 0x88a8}}},
    {"LLC", "drop_ethertype", .from = UDP4, .edit = {{12, 2, 60}, {14, 3, 0x424203}}},
    {"SNAP", "drop_ethertype", .from = UDP4,
     .edit = {{12, 2, 60}, {14, 4, 0xaaaa0300}, {18, 4, 0x0800}}},
    {"a length behind a tag", "drop_ethertype", .from = UDP4, PUT(12, "\x81\0\0\x05\0\x26")},
    {"a length that cannot be", "drop_ethertype", .from = UDP4, .edit = {{12, 2, 0x05ff}}},
    {"type 0", "drop_ethertype", .from = UDP4, .edit = {{12, 2, 0}}},
    {"MPLS", "drop_ethertype", .from = UDP4, .edit = {{12, 2, 0x8847}}},
    {"PPPoE", "drop_ethertype", .from = UDP4, .edit = {{12, 2, 0x8864}}},
    {"flow control", "drop_ethertype", .from = UDP4, .edit = {{12, 2, 0x8808}}},
    {"RARP", "drop_ethertype", .from = ARP_ASK, .edit = {{12, 2, 0x8035}}},
    {"type 0xffff", "drop_ethertype", .from = UDP4, .edit = {{12, 2, 0xffff}}},
    {"IPv6 that says IPv4", "bad_version", .from = UDP6, .edit = {{12, 2, 0x0800}}, .sums = LEFT},
    {"IPv4 that says IPv6", "bad_version", .from = UDP4, .edit = {{12, 2, 0x86dd}}, .sums = LEFT},
    {"ARP that says IPv4", "bad_version", .from = ARP_ASK, .edit = {{12, 2, 0x0800}}, .sums = LEFT},
};

static const struct row over_ip4[] = {
    {"version 0", "bad_version", .from = UDP4, .edit = {{14, 1, 0x05}}},
    {"version 5", "bad_version", .from = UDP4, .edit = {{14, 1, 0x55}}},
    {"version 15", "bad_version", .from = UDP4, .edit = {{14, 1, 0xf5}}},
    {"a header of 0 bytes", "bad_version", .from = UDP4, .edit = {{14, 1, 0x40}}},
    {"a header of 16 bytes", "bad_version", .from = UDP4, .edit = {{14, 1, 0x44}}},
    {"a header beyond the frame", "drop_short", .from = UDP4, .length = 54,
     .edit = {{14, 1, 0x4f}}},
    {"a header beyond the packet", "dishonest_length", .from = UDP4,
     .edit = {{14, 1, 0x4f}, {16, 2, 59}}},
    {"total length 0", "dishonest_length", .from = UDP4, .edit = {{16, 2, 0}}},
    {"total length 19", "dishonest_length", .from = UDP4, .edit = {{16, 2, 19}}},
    {"total length one too many", "dishonest_length", .from = UDP4, .edit = {{16, 2, 61}}},
    {"total length 65535", "dishonest_length", .from = UDP4, .edit = {{16, 2, 65535}}},
    {"nothing behind the header", "drop_short", .from = UDP4, .edit = {{16, 2, 20}}},
    {"a wrong checksum", "bad_checksum", .from = UDP4, .edit = {{24, 2, 0x1234}}, .sums = LEFT},
    {"no checksum", "bad_checksum", .from = UDP4, .edit = {{24, 2, 0}}, .sums = LEFT},
    {"a wrong checksum with options", "bad_checksum", .from = UDP4, PUT(L4, "\1\1\1\0"),
     .edit = {{14, 1, 0x46}}, .sums = LEFT},
    {"options that are right", "rx_packets", .from = UDP4, PUT(L4, "\7\4\4\0"),
     .edit = {{14, 1, 0x46}}},
    {"an option of 0 bytes", "bad_options", .from = UDP4, PUT(L4, "\7\0\0\0"),
     .edit = {{14, 1, 0x46}}},
    {"an option of 1 byte", "bad_options", .from = UDP4, PUT(L4, "\7\1\0\0"),
     .edit = {{14, 1, 0x46}}},
    {"an option past the end", "bad_options", .from = UDP4, PUT(L4, "\7\5\4\0"),
     .edit = {{14, 1, 0x46}}},
    {"an option without its length", "bad_options", .from = UDP4, PUT(L4, "\1\1\1\7"),
     .edit = {{14, 1, 0x46}}},
    {"anything behind the end of options", "rx_packets", .from = UDP4, PUT(L4, "\0\7\0\0"),
     .edit = {{14, 1, 0x46}}},
    {"another host", "not_ours", .from = UDP4, .edit = {{30, 4, 0x0a000063}}},
    {"to a group", "not_ours", .from = UDP4, .edit = {{30, 4, 0xe0000001}}},
    {"to loopback", "not_ours", .from = UDP4, .edit = {{30, 4, 0x7f000001}}},
    {"to nobody", "not_ours", .from = UDP4, .edit = {{30, 4, 0}}},
    {"a broadcast", "rx_packets", .from = UDP4, .edit = {{30, 4, 0x0affffff}}},
    {"the broadcast", "rx_packets", .from = UDP4, .edit = {{30, 4, ~0u}}},
    {"smurf: a ping to a broadcast", "not_ours", .from = PING4, .edit = {{30, 4, 0x0affffff}}},
    {"from nobody", "bad_source", .from = UDP4, .edit = {{26, 4, 0}}},
    {"from 0.1.2.3", "bad_source", .from = UDP4, .edit = {{26, 4, 0x00010203}}},
    {"from loopback", "bad_source", .from = UDP4, .edit = {{26, 4, 0x7f000001}}},
    {"from a group", "bad_source", .from = UDP4, .edit = {{26, 4, 0xe0000005}}},
    {"from class E", "bad_source", .from = UDP4, .edit = {{26, 4, 0xf0000001}}},
    {"from the broadcast", "bad_source", .from = UDP4, .edit = {{26, 4, ~0u}}},
    {"from our subnet's broadcast", "bad_source", .from = UDP4, .edit = {{26, 4, 0x0affffff}}},
    {"land: from ourselves", "bad_source", .from = UDP4, .edit = {{26, 4, 0x0a000002}}},
    {"land by ping", "bad_source", .from = PING4, .edit = {{26, 4, 0x0a000002}}},
    {"TCP", "no_protocol", .from = UDP4, .edit = {{23, 1, 6}}},
    {"IGMP", "no_protocol", .from = UDP4, .edit = {{23, 1, 2}}},
    {"IPv4 in IPv4", "no_protocol", .from = UDP4, .edit = {{23, 1, 4}}},
    {"IPv6 in IPv4", "no_protocol", .from = UDP4, .edit = {{23, 1, 41}}},
    {"ICMPv6 over IPv4", "no_protocol", .from = PING6, .edit = {{20, 1, 1}}},
    {"protocol 0", "no_protocol", .from = UDP4, .edit = {{23, 1, 0}}},
    {"protocol 255", "no_protocol", .from = UDP4, .edit = {{23, 1, 255}}},
    {"time to live 0, for us", "rx_packets", .from = UDP4, .edit = {{22, 1, 0}}},
    {"the reserved flag", "rx_packets", .from = UDP4, .edit = {{20, 2, 0x8000}}},
};

static const struct row udp[] = {
    {"0 bytes", "rx_packets", .from = UDP4, .length = 42, .edit = {{16, 2, 28}, {38, 2, 8}}},
    {"0 bytes, IPv6", "rx_packets", .from = UDP6, .length = 62, .edit = {{18, 2, 8}, {58, 2, 8}}},
    {"a header of 7 bytes", "drop_short", .from = UDP4, .length = 41, .edit = {{16, 2, 27}}},
    {"a header of 7 bytes, IPv6", "drop_short", .from = UDP6, .length = 61, .edit = {{18, 2, 7}}},
    {"length 0", "dishonest_length", .from = UDP4, .edit = {{38, 2, 0}}},
    {"length 7", "dishonest_length", .from = UDP4, .edit = {{38, 2, 7}}},
    {"length one too many", "dishonest_length", .from = UDP4, .edit = {{38, 2, 41}}},
    {"length 65535", "dishonest_length", .from = UDP4, .edit = {{38, 2, 65535}}},
    {"length 0, IPv6", "dishonest_length", .from = UDP6, .edit = {{58, 2, 0}}},
    {"length 7, IPv6", "dishonest_length", .from = UDP6, .edit = {{58, 2, 7}}},
    {"length one too many, IPv6", "dishonest_length", .from = UDP6, .edit = {{58, 2, 41}}},
    {"shorter than its packet", "rx_packets", .from = UDP4, .edit = {{38, 2, 30}}},
    {"a wrong checksum", "bad_checksum", .from = UDP4, .edit = {{40, 2, 0x1234}}, .sums = LEFT},
    {"a wrong checksum, IPv6", "bad_checksum", .from = UDP6, .edit = {{60, 2, 0x1234}},
     .sums = LEFT},
    {"a byte changed", "bad_checksum", .from = UDP4, .edit = {{50, 1, 0xee}}, .sums = LEFT},
    {"no checksum", "rx_packets", .from = UDP4, .edit = {{40, 2, 0}}, .sums = LEFT},
    {"no checksum, IPv6", "bad_checksum", .from = UDP6, .edit = {{60, 2, 0}}, .sums = LEFT},
    {"a partial checksum", "partial_checksum", .from = UDP4, .sums = PARTIAL},
    {"a partial checksum, IPv6", "partial_checksum", .from = UDP6, .sums = PARTIAL},
    {"to port 0", "no_port icmp_out", .from = UDP4, .edit = {{36, 2, 0}}},
    {"to port 0, IPv6", "no_port icmp_out", .from = UDP6, .edit = {{56, 2, 0}}},
    {"to a port that nobody opened", "no_port icmp_out", .from = UDP4, .edit = {{36, 2, 9}}},
    {"a broadcast to such a port", "no_port", .from = UDP4,
     .edit = {{30, 4, 0x0affffff}, {36, 2, 9}}},
    {"from port 0: no answer possible", "rx_packets tx_error", .from = UDP4, .edit = {{34, 2, 0}}},
    {"from port 0, IPv6", "rx_packets tx_error", .from = UDP6, .edit = {{54, 2, 0}}},
};

static const struct row over_ip6[] = {
    {"version 4", "bad_version", .from = UDP6, .edit = {{14, 1, 0x40}}},
    {"version 0", "bad_version", .from = UDP6, .edit = {{14, 1, 0}}},
    {"version 15", "bad_version", .from = UDP6, .edit = {{14, 1, 0xf0}}},
    {"payload length one too many", "dishonest_length", .from = UDP6, .edit = {{18, 2, 41}}},
    {"payload length 65535", "dishonest_length", .from = UDP6, .edit = {{18, 2, 65535}}},
    {"payload length 0", "drop_short", .from = UDP6, .edit = {{18, 2, 0}}},
    {"a jumbogram", "dishonest_length", .from = UDP6, PUT(L6, "\x11\0\xc2\4\0\1\0\0"),
     .edit = {{18, 2, 0}, {20, 1, 0}}},
    {"a jumbo option with a length", "bad_options", .from = UDP6,
     EXTEND(0, "\x11\0\xc2\4\0\1\0\0")},
    {"another host", "not_ours", .from = UDP6, .edit = {{53, 1, 0x99}}},
    {"to a mapped address", "not_ours", .from = UDP6,
     .edit = {{38, 4, 0}, {42, 4, 0}, {46, 4, 0xffff}, {50, 4, 0x0a000002}}},
    {"UDP to all nodes", "not_ours", .from = UDP6, .edit = {{38, 4, 0xff020000}, {50, 4, 1}}},
    {"from a mapped address", "bad_source", .from = UDP6,
     .edit = {{22, 4, 0}, {26, 4, 0}, {30, 4, 0xffff}, {34, 4, 0x0a000042}}},
    {"from nobody", "bad_source", .from = UDP6, .edit = {{22, 4, 0}, {34, 4, 0}}},
    {"from loopback", "bad_source", .from = UDP6, .edit = {{22, 4, 0}, {34, 4, 1}}},
    {"from a group", "bad_source", .from = UDP6, .edit = {{22, 4, 0xff020000}}},
    {"land: from ourselves", "bad_source", .from = UDP6, .edit = {{34, 4, 2}}},
    {"routing header 0, segments left", "bad_options", .from = UDP6,
     EXTEND(43, "\x11\0\0\1\0\0\0\0")},
    {"routing header, none left", "rx_packets", .from = UDP6, EXTEND(43, "\x11\0\0\0\0\0\0\0")},
    {"a routing header past the end", "dishonest_length", .from = UDP6,
     EXTEND(43, "\x11\xff\0\0\0\0\0\0")},
    {"a destination header", "rx_packets", .from = UDP6, EXTEND(60, "\x11\0\1\4\0\0\0\0")},
    {"hop-by-hop, then destination", "rx_packets", .from = UDP6,
     EXTEND(0, "\x3c\0\1\4\0\0\0\0\x11\0\1\4\0\0\0\0")},
    {"hop-by-hop twice", "bad_options", .from = UDP6,
     EXTEND(0, "\0\0\1\4\0\0\0\0\x11\0\1\4\0\0\0\0")},
    {"hop-by-hop in second place", "bad_options", .from = UDP6,
     EXTEND(60, "\0\0\1\4\0\0\0\0\x11\0\1\4\0\0\0\0")},
    {"a header of 264 bytes in 48", "dishonest_length", .from = UDP6,
     EXTEND(60, "\x11\x20\1\4\0\0\0\0")},
    {"a header that points at itself", "dishonest_length", .from = UDP6,
     EXTEND(60, "\x3c\0\1\4\0\0\0\0")},
    {"eight extension headers", "rx_packets", .from = UDP6,
     EXTEND(60, DESTINATION8 DESTINATION8 DESTINATION8 DESTINATION8 DESTINATION8 DESTINATION8
                    DESTINATION8 "\x11\0\1\4\0\0\0\0")},
    {"nine extension headers", "bad_options", .from = UDP6,
     EXTEND(60, DESTINATION8 DESTINATION8 DESTINATION8 DESTINATION8 DESTINATION8 DESTINATION8
                    DESTINATION8 DESTINATION8 "\x11\0\1\4\0\0\0\0")},
    {"an option past its header", "bad_options", .from = UDP6, EXTEND(60, "\x11\0\x1e\5\0\0\0\0")},
    {"an option without its length", "bad_options", .from = UDP6,
     EXTEND(60, "\x11\0\1\3\0\0\0\x1e")},
    {"padding of 0 bytes, over and over", "rx_packets", .from = UDP6,
     EXTEND(60, "\x11\0\1\0\1\0\1\0")},
    {"padding of 14 bytes", "bad_options", .from = UDP6,
     EXTEND(60, "\x11\1\1\x0c\0\0\0\0\0\0\0\0\0\0\0\0")},
    {"options without an end", "bad_options", .from = UDP6,
     EXTEND(60, "\x11\2\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0")},
    {"an unknown option to skip", "rx_packets", .from = UDP6, EXTEND(60, "\x11\0\x1e\4\0\0\0\0")},
    {"an unknown option that says discard", "bad_options", .from = UDP6,
     EXTEND(60, "\x11\0\x5e\4\0\0\0\0")},
    {"an unknown option that says tell", "bad_options", .from = UDP6,
     EXTEND(60, "\x11\0\x9e\4\0\0\0\0")},
    {"one fragment alone", "rx_packets", .from = UDP6, EXTEND(44, "\x11\0\0\0\0\0\0\7")},
    {"two fragment headers", "bad_options", .from = UDP6,
     EXTEND(44, "\x2c\0\0\0\0\0\0\7\x11\0\0\0\0\0\0\7")},
    {"a fragment header that is cut", "dishonest_length", .from = UDP6, .length = 58,
     .edit = {{18, 2, 4}, {20, 1, 44}}},
    {"no next header", "no_protocol", .from = UDP6, .edit = {{20, 1, 59}}},
    {"authentication", "no_protocol", .from = UDP6, .edit = {{20, 1, 51}}},
    {"ESP", "no_protocol", .from = UDP6, .edit = {{20, 1, 50}}},
    {"TCP", "no_protocol", .from = UDP6, .edit = {{20, 1, 6}}},
    {"ICMP over IPv6", "no_protocol", .from = UDP6, .edit = {{20, 1, 1}}},
    {"mobility", "no_protocol", .from = UDP6, .edit = {{20, 1, 135}}},
};

static const struct row icmp[] = {
    {"a ping", "icmp_in icmp_out", .from = PING4},
    {"a ping, IPv6", "icmp_in icmp_out", .from = PING6},
    {"a ping of code 1", "icmp_in", .from = PING4, .edit = {{35, 1, 1}}},
    {"a ping to all nodes", "icmp_in", .from = PING6, .edit = {{38, 4, 0xff020000}, {50, 4, 1}}},
    {"an answer to nothing", "icmp_in", .from = PING4, .edit = {{34, 1, 0}}},
    {"an answer to nothing, IPv6", "icmp_in", .from = PING6, .edit = {{54, 1, 129}}},
    {"a wrong checksum", "bad_checksum", .from = PING4, .edit = {{36, 2, 0x1234}}, .sums = LEFT},
    {"a wrong checksum, IPv6", "bad_checksum", .from = PING6, .edit = {{56, 2, 0x1234}},
     .sums = LEFT},
    {"no checksum, IPv6", "bad_checksum", .from = PING6, .edit = {{56, 2, 0}}, .sums = LEFT},
    {"7 bytes", "icmp_in icmp_bad", .from = PING4, .length = 41, .edit = {{16, 2, 27}}},
    {"0 bytes", "icmp_in icmp_bad", .from = PING4, .length = 34, .edit = {{16, 2, 20}}},
    {"7 bytes, IPv6", "icmp_in icmp_bad", .from = PING6, .length = 61, .edit = {{18, 2, 7}}},
    {"a redirect", "icmp_in", .from = ERROR4, .edit = {{34, 1, 5}}},
    {"a redirect, IPv6", "icmp_in", .from = ERROR6, .edit = {{54, 1, 137}}},
    {"a router's advertisement", "icmp_in", .from = ERROR6, .edit = {{54, 1, 134}}},
    {"a timestamp request", "icmp_in", .from = PING4, .edit = {{34, 1, 13}}},
    {"type 255", "icmp_in", .from = PING4, .edit = {{34, 1, 255}}},
    {"an error about what we sent", "icmp_in icmp_unreachable", .from = ERROR4},
    {"an error about what we sent, IPv6", "icmp_in icmp_unreachable", .from = ERROR6},
    {"an error about a port of nobody", "icmp_in icmp_bad", .from = ERROR4, .edit = {{62, 2, 9}}},
    {"an error about a port of nobody, IPv6", "icmp_in icmp_bad", .from = ERROR6,
     .edit = {{102, 2, 9}}},
    {"an error about another's packet", "icmp_in icmp_bad", .from = ERROR4,
     .edit = {{54, 4, 0x0a000001}}},
    {"an error about another's, IPv6", "icmp_in icmp_bad", .from = ERROR6, .edit = {{85, 1, 9}}},
    {"an error about TCP", "icmp_in icmp_bad", .from = ERROR4, .edit = {{51, 1, 6}}},
    {"an error about IPv6 in ICMP", "icmp_in icmp_bad", .from = ERROR4, .edit = {{42, 1, 0x60}}},
    {"an error about a later fragment", "icmp_in icmp_bad", .from = ERROR4, .edit = {{48, 2, 9}}},
    {"an error about nothing", "icmp_in icmp_bad", .from = ERROR4, .length = 42,
     .edit = {{16, 2, 28}}},
    {"an error about nothing, IPv6", "icmp_in icmp_bad", .from = ERROR6, .length = 62,
     .edit = {{18, 2, 8}}},
    {"an error whose quote has no ports", "icmp_in icmp_bad", .from = ERROR4, .length = 65,
     .edit = {{16, 2, 51}}},
    {"an error whose quote has a huge header", "icmp_in icmp_bad", .from = ERROR4,
     .edit = {{42, 1, 0x4f}}},
    {"too big, for our own MTU", "icmp_in icmp_bad", .from = ERROR4,
     .edit = {{35, 1, 4}, {38, 4, 1500}}},
    {"too big, for our own MTU, IPv6", "icmp_in icmp_bad", .from = ERROR6,
     .edit = {{54, 2, 0x0200}, {58, 4, 1500}}},
    {"too big, about a jumbo packet", "icmp_in icmp_bad", .from = ERROR4,
     .edit = {{35, 1, 4}, {38, 4, 600}, {44, 2, 65000}}},
    {"too big, MTU 0, to whom we never sent", "icmp_in icmp_bad", .from = ERROR6,
     .edit = {{54, 2, 0x0200}, {58, 4, 0}}},
    {"time exceeded", "icmp_in", .from = ERROR4, .edit = {{34, 1, 11}}},
};

static const struct row neighbours[] = {
    {"a request", "arp_in", .from = ARP_ASK},
    {"an answer to nothing", "arp_in", .from = ARP_TELL},
    {"a request for another", "arp_in", .from = ARP_ASK, .edit = {{41, 1, 0x99}}},
    {"a probe", "arp_in", .from = ARP_ASK, .edit = {{28, 4, 0}}},
    {"ARP of 27 bytes", "arp_in arp_bad", .from = ARP_ASK, .length = 41},
    {"ARP of 0 bytes", "arp_in arp_bad", .from = ARP_ASK, .length = 14},
    {"ARP of another hardware", "arp_in arp_bad", .from = ARP_ASK, .edit = {{14, 2, 6}}},
    {"ARP of another protocol", "arp_in arp_bad", .from = ARP_ASK, .edit = {{16, 2, 0x86dd}}},
    {"hardware addresses of 8 bytes", "arp_in arp_bad", .from = ARP_ASK, .edit = {{18, 1, 8}}},
    {"protocol addresses of 16 bytes", "arp_in arp_bad", .from = ARP_ASK, .edit = {{19, 1, 16}}},
    {"addresses of 0 bytes", "arp_in arp_bad", .from = ARP_ASK, .edit = {{18, 2, 0}}},
    {"operation 0", "arp_in arp_bad", .from = ARP_ASK, .edit = {{20, 2, 0}}},
    {"operation 3", "arp_in arp_bad", .from = ARP_ASK, .edit = {{20, 2, 3}}},
    {"operation 0xffff", "arp_in arp_bad", .from = ARP_ASK, .edit = {{20, 2, 0xffff}}},
    {"from a group's hardware address", "arp_in arp_bad", .from = ARP_ASK, .edit = {{22, 1, 0x03}}},
    {"from hardware address 0", "arp_in arp_bad", .from = ARP_ASK,
     .edit = {{22, 4, 0}, {26, 2, 0}}},
    {"a claim of our address", "arp_in arp_bad", .from = ARP_ASK, .edit = {{28, 4, 0x0a000002}}},
    {"a gratuitous claim of our address", "arp_in arp_bad", .from = ARP_TELL,
     .edit = {{0, 4, ~0u}, {4, 2, 0xffff}, {28, 4, 0x0a000002}}},
    {"a claim of loopback", "arp_in arp_bad", .from = ARP_ASK, .edit = {{28, 4, 0x7f000001}}},
    {"a claim of the broadcast", "arp_in arp_bad", .from = ARP_ASK, .edit = {{28, 4, ~0u}}},
    {"a claim of a group", "arp_in arp_bad", .from = ARP_ASK, .edit = {{28, 4, 0xe0000001}}},
    {"a claim of the good peer's address", "arp_in arp_bad", .from = ARP_ASK,
     .edit = {{28, 4, 0x0a000001}}},
    {"the same, once more", "arp_in arp_bad", .from = ARP_TELL, .edit = {{28, 4, 0x0a000001}}},
    {"the same, gratuitous", "arp_in arp_bad", .from = ARP_TELL,
     .edit = {{0, 4, ~0u}, {4, 2, 0xffff}, {28, 4, 0x0a000001}, {38, 4, 0x0a000001}}},
    {"a solicitation", "icmp_in", .from = SOLICIT},
    {"an advertisement of nobody", "icmp_in", .from = ADVERTISE},
    {"a solicitation for another", "icmp_in", .from = SOLICIT, .edit = {{77, 1, 0x99}}},
    {"a solicitation from afar", "nd_bad icmp_in", .from = SOLICIT, .edit = {{21, 1, 254}}},
    {"an advertisement from afar", "nd_bad icmp_in", .from = ADVERTISE, .edit = {{21, 1, 64}}},
    {"a solicitation of code 1", "nd_bad icmp_in", .from = SOLICIT, .edit = {{55, 1, 1}}},
    {"a solicitation for a group", "nd_bad icmp_in", .from = SOLICIT, .edit = {{62, 2, 0xff02}}},
    {"a solicitation of 23 bytes", "nd_bad icmp_in", .from = SOLICIT, .length = 77,
     .edit = {{18, 2, 23}}},
    {"half an option", "nd_bad icmp_in", .from = SOLICIT, .length = 82, .edit = {{18, 2, 28}}},
    {"an option of 0 bytes", "nd_bad icmp_in", .from = SOLICIT, .edit = {{79, 1, 0}}},
    {"an option past the end", "nd_bad icmp_in", .from = SOLICIT, .edit = {{79, 1, 2}}},
    {"an unknown option of 0 bytes", "nd_bad icmp_in", .from = SOLICIT, .edit = {{78, 2, 0x0e00}}},
    {"a group's hardware address", "nd_bad icmp_in", .from = SOLICIT, .edit = {{80, 1, 0x33}}},
    {"a probe with an address", "nd_bad icmp_in", .from = SOLICIT,
     .edit = {{22, 4, 0}, {34, 4, 0}, {38, 4, 0xff020000}, {50, 4, 1}}},
    {"a probe to us alone", "nd_bad icmp_in", .from = SOLICIT, .length = 78,
     .edit = {{18, 2, 24}, {22, 4, 0}, {34, 4, 0}}},
    {"a solicitation to all without an address", "nd_bad icmp_in", .from = SOLICIT, .length = 78,
     .edit = {{18, 2, 24}, {38, 4, 0xff020000}, {50, 4, 1}}},
    {"a solicited advertisement to all", "nd_bad icmp_in", .from = ADVERTISE,
     .edit = {{38, 4, 0xff020000}, {50, 4, 1}}},
    {"an advertisement of our address", "nd_bad icmp_in", .from = ADVERTISE, .edit = {{77, 1, 2}}},
    {"an advertisement of a group", "nd_bad icmp_in", .from = ADVERTISE, .edit = {{62, 2, 0xff02}}},
    {"an advertisement of loopback", "nd_bad icmp_in", .from = ADVERTISE,
     .edit = {{62, 4, 0}, {74, 4, 1}}},
    {"an advertisement of the good peer", "nd_bad icmp_in", .from = ADVERTISE,
     .edit = {{77, 1, 1}}},
    {"a solicitation by the good peer's name", "nd_bad icmp_in", .from = SOLICIT,
     .edit = {{37, 1, 1}}},
};

/* ---- rows ------------------------------------------------------------------------------------ */

static void make(const struct row *row, struct craft *c)
{
    craft_good(c, row->from);
    if (row->put)
        craft_insert(c, row->put_at, row->put, row->put_n);
    if (row->length)
        c->n = row->length;
    for (unsigned i = 0; i < array_len(row->edit) && row->edit[i].bytes; i++)
        craft_set(c, row->edit[i].at, row->edit[i].bytes, row->edit[i].value);
    if (row->sums == FIXED)
        craft_sums(c);
    else if (row->sums == PARTIAL)
        craft_partial(c);
}

/* One frame, at a moment when nothing else happens; a second later the limits are full again. */
static void strike(struct street *s, const struct craft *c, const char *ends, const char *what)
{
    struct weir_counters before = host_counters(&s->target);
    street_strike(s, c);
    assert_true(weir_sim_run(s->sim, weir_sim_now(s->sim)) >= 0);
    struct weir_counters after = host_counters(&s->target);
    assert_int_equal(after.rx_frames - before.rx_frames, 1);
    assert_ends(&before, &after, ends, what);
    street_settle(s);
}

static void strike_rows(uint64_t seed, const char *of, const struct row *rows, unsigned n)
{
    struct street s;
    struct craft c;
    char what[128];
    street_open(&s, seed);
    for (unsigned i = 0; i < n; i++) {
        snprintf(what, sizeof what, "%s: %s", of, rows[i].name);
        make(&rows[i], &c);
        strike(&s, &c, rows[i].ends, what);
        street_pass(&s, S, 10);
        street_echo(&s, 1, (int)(i & 1));
    }
    street_close(&s);
}

#define ROWS(of)                                                                                   \
    static void of##_rows(uint64_t seed)                                                           \
    {                                                                                              \
        strike_rows(seed, #of, of, array_len(of));                                                 \
    }
ROWS(ethernet)
ROWS(over_ip4)
ROWS(udp)
ROWS(over_ip6)
ROWS(icmp)
ROWS(neighbours)

/* ---- cut at every length --------------------------------------------------------------------- */

/* The frame ends early and its lengths do not know: named by the first header that is not whole, or the
 * first length that is found out. */
static const char *cut_ends(enum good what, size_t n)
{
    if (what == ARP_ASK || what == ARP_TELL)
        return "arp_in arp_bad";
    size_t head = what == UDP4 || what == PING4 || what == ERROR4 ? 20 : 40;
    return n < ETHER + head ? "drop_short" : "dishonest_length";
}

static void every_protocol_cut_at_every_length(uint64_t seed)
{
    struct street s;
    struct craft c;
    char what[64];
    street_open(&s, seed);
    for (int good = UDP4; good < GOODS; good++) {
        craft_good(&c, (enum good)good);
        for (size_t whole = c.n--; c.n >= ETHER; c.n--) {
            snprintf(what, sizeof what, "good frame %d cut to %zu of %zu", good, c.n, whole);
            strike(&s, &c, cut_ends((enum good)good, c.n), what);
        }
        street_echo(&s, 1, good & 1);
    }
    street_close(&s);
}

/* The IP header tells the truth about it, and the sums are right: what is behind is found out. */
static const char *honest_ends(enum good what, size_t bytes)
{
    switch (what) {
    case UDP4:
    case UDP6: return bytes < 8 ? "drop_short" : "dishonest_length";
    case PING4:
    case PING6: return bytes < 8 ? "icmp_in icmp_bad" : "icmp_in icmp_out";
    case SOLICIT:
    case ADVERTISE:
        if (bytes < 8)
            return "icmp_in icmp_bad";
        return bytes == 24 ? "icmp_in" : "nd_bad icmp_in";
    default:
        if (bytes < 8 + (what == ERROR4 ? 24u : 48u))
            return "icmp_in icmp_bad";
        return "icmp_in icmp_unreachable";
    }
}

static void every_protocol_cut_honestly(uint64_t seed)
{
    struct street s;
    struct craft c;
    char what[64];
    street_open(&s, seed);
    for (int good = UDP4; good < GOODS; good++) {
        craft_good(&c, (enum good)good);
        int ip4 = craft_get(&c, 12, 2) == 0x0800;
        if (good == ARP_ASK || good == ARP_TELL)
            continue;
        for (size_t l4 = ip4 ? L4 : L6; --c.n >= l4;) {
            craft_set(&c, ip4 ? 16 : 18, 2, (uint32_t)(c.n - (ip4 ? ETHER : L6)));
            craft_sums(&c);
            snprintf(what, sizeof what, "good frame %d cut honestly to %zu", good, c.n);
            strike(&s, &c, honest_ends((enum good)good, c.n - l4), what);
            street_pass(&s, 10 * MS, 1);
        }
        street_echo(&s, 1, good & 1);
    }
    street_close(&s);
}

int main(int argc, char **argv)
{
    static const struct sim_case cases[] = {
        CASE(ethernet_rows),
        CASE(over_ip4_rows),
        CASE(udp_rows),
        CASE(over_ip6_rows),
        CASE(icmp_rows),
        CASE(neighbours_rows),
        CASE(every_protocol_cut_at_every_length),
        CASE(every_protocol_cut_honestly),
    };
    return bed_main(argc, argv, cases, array_len(cases));
}
