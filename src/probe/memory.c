/* SPDX-License-Identifier: MIT
 * Memory: how much, on how many nodes, and in which pages it can be had.
 *
 * In the flow   weir_host_probe -> probe_memory. Whether a region got its hugepages is weir_mem's
 *               to say; here is what the host has.
 * Source        proc(5), Documentation/admin-guide/mm/hugetlbpage.rst and transhuge.rst. */
#include "probe.h"
#include "text.h"

#define HUGE "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define THP "/sys/kernel/mm/transparent_hugepage/enabled"
#define NODES "/sys/devices/system/node/online"

static void probe_nodes(struct weir_host *ret)
{
    char text[1024];
    int n = text_read(NODES, text, sizeof text);
    ret->numa_nodes = n <= 0 ? WEIR_UNKNOWN : (int16_t)text_list_count(text);
}

void probe_memory(struct weir_host *ret)
{
    char text[4096];
    text_read("/proc/meminfo", text, sizeof text);
    ret->memory_bytes = text_meminfo_bytes(text, "MemTotal");
    ret->memory_free_bytes = text_meminfo_bytes(text, "MemAvailable");
    ret->huge_total = text_read_number(HUGE "nr_hugepages");
    ret->huge_free = text_read_number(HUGE "free_hugepages");
    text_read(THP, text, sizeof text);
    text_choice(text, ret->thp, sizeof ret->thp);
    probe_nodes(ret);
}
