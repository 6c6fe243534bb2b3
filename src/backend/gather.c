/* SPDX-License-Identifier: MIT
 * What a NIC's DMA engine and its checksum unit do with a frame, in software: for the simulator and
 * for copies that wrap_fault makes. Source: RFC 1071 (the sum), RFC 768 (0 is sent as all ones). */
#include "gather.h"

#include <string.h>

void gather_bytes(const struct tx_frame *frame, uint8_t *to)
{
    memcpy(to, frame->buf->data, frame->buf->len);
    if (frame->body)
        memcpy(to + frame->buf->len, frame->body->data, frame->body->len);
}

void gather_checksum(uint8_t *frame, uint32_t bytes, uint16_t start, uint16_t offset)
{
    uint64_t sum = 0;
    uint32_t at = start;
    if ((uint32_t)start + offset + 2 > bytes)
        return; /* nothing to store it into: the device leaves such a frame as it is */
    for (; at + 1 < bytes; at += 2)
        sum += (uint32_t)frame[at] << 8 | frame[at + 1];
    if (at < bytes)
        sum += (uint32_t)frame[at] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    uint16_t check = (uint16_t)~sum;
    check = check ? check : 0xffff;
    frame[start + offset] = (uint8_t)(check >> 8);
    frame[start + offset + 1] = (uint8_t)check;
}
