/* SPDX-License-Identifier: MIT
 * A frame to send as the bytes that leave: for devices that are our own software. */
#ifndef WEIR_BACKEND_GATHER_H
#define WEIR_BACKEND_GATHER_H

#include "buf/frame.h"

/* The frame's bytes, in one piece, to `to` which has room for them. */
void gather_bytes(const struct tx_frame *frame, uint8_t *to);
/* Complete the checksum that was left to the device (start and offset as tx_frame has them). */
void gather_checksum(uint8_t *frame, uint32_t bytes, uint16_t start, uint16_t offset);

#endif
