/* SPDX-License-Identifier: MIT
 * An Ethernet, IPv4 and UDP frame from its values, for the generators: they are the other host. */
#ifndef WEIR_LAB_FRAME_H
#define WEIR_LAB_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEAD 42u /* 14 Ethernet, 20 IPv4 without options, 8 UDP */
#define FRAME_PORT_AT 34u
#define FRAME_CHECKSUM_AT 40u

struct frame_path {
    const uint8_t *src_mac, *dst_mac; /* 6 */
    const uint8_t *src_ip, *dst_ip;   /* 4 */
    uint16_t src_port, dst_port;
};

/* Write the frame with right checksums. Returns its length, FRAME_HEAD + bytes, which `ret` has
 * room for.
 * Shape   bytes <= 65,507 */
size_t frame_build(uint8_t *ret, const struct frame_path *path, const void *payload,
                   uint32_t bytes);

/* The folded one's complement sum of what the UDP checksum covers, source port and checksum
 * taken as 0: a program that sets another port finishes the checksum from it. */
uint16_t frame_sum_without_port(const uint8_t *frame);

/* The UDP payload of a received frame into *len; NULL: not an IPv4 UDP datagram, or lengths that
 * do not agree. */
const uint8_t *frame_payload(const uint8_t *frame, size_t frame_len, size_t *len);

#endif
