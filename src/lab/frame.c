/* SPDX-License-Identifier: MIT
 * Frames of the generators: Ethernet II, IPv4 (RFC 791) and UDP (RFC 768), nothing else. No flow
 * fragments (DF is set), and no checksum is left to an offload that a test host may not have.
 *
 *     0 dst mac, src mac, 0x0800 | 14 IPv4, 20 bytes | 34 ports, length, checksum | 42 payload
 *
 * Checksums are of RFC 1071: the one's complement of the one's complement sum, whose parts may
 * be added in any order. */
#include "frame.h"

#include <string.h>

#define IP_AT 14
#define UDP_AT 34
#define IP_HEAD 20
#define UDP_HEAD 8
#define UDP 17 /* IANA protocol numbers */

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* The sum of big-endian 16-bit words; an odd last byte is padded with 0. */
static uint64_t add(uint64_t sum, const uint8_t *data, size_t bytes)
{
    for (; bytes >= 2; bytes -= 2, data += 2)
        sum += get16(data);
    return bytes ? sum + (uint64_t)(data[0] << 8) : sum;
}

/* Header, payload and the pseudo header: addresses, protocol, length. */
static uint64_t udp_sum(const uint8_t *frame)
{
    const uint8_t *udp = frame + UDP_AT;
    uint16_t len = get16(udp + 4);

    return add(add((uint64_t)UDP + len, frame + IP_AT + 12, 8), udp, len);
}

/* Of IPv4: 0 in the result field means that no checksum was made, so a sum of 0 is sent as
 * 0xffff. */
static uint16_t udp_checksum(const uint8_t *frame)
{
    uint16_t sum = (uint16_t)~fold(udp_sum(frame));

    return sum ? sum : 0xffff;
}

static void put_ip(uint8_t *ip, const struct frame_path *path, uint32_t bytes)
{
    memset(ip, 0, IP_HEAD);
    ip[0] = 0x45; /* version 4, 5 words */
    put16(ip + 2, (uint16_t)(IP_HEAD + UDP_HEAD + bytes));
    put16(ip + 6, 0x4000); /* do not fragment: so the identification may be 0 (RFC 6864) */
    ip[8] = 64;
    ip[9] = UDP;
    memcpy(ip + 12, path->src_ip, 4);
    memcpy(ip + 16, path->dst_ip, 4);
    put16(ip + 10, (uint16_t)~fold(add(0, ip, IP_HEAD)));
}

size_t frame_build(uint8_t *ret, const struct frame_path *path, const void *payload, uint32_t bytes)
{
    memcpy(ret, path->dst_mac, 6);
    memcpy(ret + 6, path->src_mac, 6);
    put16(ret + 12, 0x0800);
    put_ip(ret + IP_AT, path, bytes);
    put16(ret + UDP_AT, path->src_port);
    put16(ret + UDP_AT + 2, path->dst_port);
    put16(ret + UDP_AT + 4, (uint16_t)(UDP_HEAD + bytes));
    put16(ret + UDP_AT + 6, 0);
    memcpy(ret + FRAME_HEAD, payload, bytes);
    put16(ret + UDP_AT + 6, udp_checksum(ret));
    return FRAME_HEAD + bytes;
}

uint16_t frame_sum_without_port(const uint8_t *frame)
{
    uint16_t checksum = get16(frame + FRAME_CHECKSUM_AT), port = get16(frame + FRAME_PORT_AT);

    /* Taking away in one's complement is adding the complement. */
    return fold(udp_sum(frame) + (uint16_t)~checksum + (uint16_t)~port);
}

const uint8_t *frame_payload(const uint8_t *frame, size_t frame_len, size_t *len)
{
    uint16_t ip_len, udp_len;

    if (frame_len < FRAME_HEAD || get16(frame + 12) != 0x0800 || frame[IP_AT] != 0x45 ||
        frame[IP_AT + 9] != UDP)
        return NULL;
    ip_len = get16(frame + IP_AT + 2);
    udp_len = get16(frame + UDP_AT + 4);
    if (ip_len > frame_len - IP_AT || udp_len < UDP_HEAD || udp_len + IP_HEAD > ip_len)
        return NULL;
    *len = udp_len - UDP_HEAD;
    return frame + FRAME_HEAD;
}
