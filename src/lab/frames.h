/* SPDX-License-Identifier: MIT
 * What the frame generators share: the way from the lab's client to the target, and their
 * bounds. */
#ifndef WEIR_LAB_FRAMES_H
#define WEIR_LAB_FRAMES_H

#include "frame.h"
#include "load.h"
#include "netns.h"

#define FRAMES_FIRST_PORT 10000u /* source ports count up from here */
#define FRAMES_FLOWS_MAX 16384u
#define FRAMES_BURST 32 /* what one kick sends (net/xdp/xsk.c, TX_BATCH_SIZE) */

/* Addresses and ports of flow 0. Errors  -EINVAL: a payload or a number of flows that frames
 * cannot carry */
int frames_path(struct run *r, struct frame_path *ret, uint32_t *frame_bytes);

#endif
