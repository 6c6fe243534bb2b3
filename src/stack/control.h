/* SPDX-License-Identifier: MIT
 * What this stack says for itself: ARP, neighbour discovery, ICMP; and the care of what neighbour.c,
 * park.c, pmtu.c and reassembly.c keep. Declarations of arp_in, icmp4_in and so on: inside.h. */
#ifndef WEIR_STACK_CONTROL_H
#define WEIR_STACK_CONTROL_H

#include "stack/limit.h"
#include "stack/neighbour.h"
#include "stack/park.h"
#include "stack/pmtu.h"
#include "stack/reassembly.h"

struct stack;

/* Opens near (unless opt.shared), park, pmtu, parts and control of `s`, of which opt, counters, pool
 * and the addresses are set. Errors  -EINVAL, -ENOMEM with `why`; then control_close as well */
int control_open(struct stack *s, struct weir_why *why);
void control_close(struct stack *s);
void control_tick(struct stack *s, uint64_t now_ns);
uint64_t control_next_ns(const struct stack *s);

#endif
