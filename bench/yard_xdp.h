/* SPDX-License-Identifier: MIT
 * The AF_XDP yardstick: what a person writes by hand, on queue 0 of one interface for one port. */
#ifndef BENCH_YARD_XDP_H
#define BENCH_YARD_XDP_H

#include <weir/base.h>

#include <stdint.h>

struct yard_xdp;

/* NULL: it cannot be had, and `why`. */
struct yard_xdp *yard_xdp_open(const char *ifname, uint16_t port, struct weir_why *why);
void yard_xdp_close(struct yard_xdp *yard);
unsigned yard_xdp_receive(struct yard_xdp *yard); /* how many frames one look brought */
unsigned yard_xdp_echo(struct yard_xdp *yard);    /* the same, and they are on their way back */

#endif
