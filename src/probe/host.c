/* SPDX-License-Identifier: MIT
 * All subjects of a host in one struct.
 *
 * In the flow   weir bench (the facts beside every result) and the engine's explanations -> here ->
 *               cpu.c ...
 * Invariants    each subject writes all of its fields, unknown ones included; no subject reads
 *               another's, except that the governor's reason asks whether the CPU is virtual
 *               (cpu.c, both there). */
#include "probe.h"

#include <string.h>

int weir_host_probe(struct weir_host *ret)
{
    memset(ret, 0, sizeof *ret);
    probe_cpu(ret);
    probe_flaws(ret);
    probe_memory(ret);
    probe_kernel(ret);
    probe_limits(ret);
    return 0;
}
