/* SPDX-License-Identifier: MIT
 * The subjects of a host: one file each, each fills its part of struct weir_host. */
#ifndef WEIR_PROBE_INTERNAL_H
#define WEIR_PROBE_INTERNAL_H

#include <weir/probe.h>

void probe_cpu(struct weir_host *ret);
void probe_flaws(struct weir_host *ret);
void probe_memory(struct weir_host *ret);
void probe_kernel(struct weir_host *ret);
void probe_limits(struct weir_host *ret);

#endif
