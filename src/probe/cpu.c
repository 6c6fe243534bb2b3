/* SPDX-License-Identifier: MIT
 * The CPU: what it is, how many cores, whether they are real, who sets their frequency, how time is
 * counted, and how much of it the hypervisor took.
 *
 * In the flow   weir_host_probe -> probe_cpu; weir bench calls weir_steal before and after each
 *               cell.
 * Source        Documentation/admin-guide/pm/cpufreq.rst,
 *               Documentation/ABI/stable/sysfs-devices-system-cpu, proc(5); CPUID leaf 0x40000000:
 *               Documentation/virt/kvm/x86/cpuid.rst. */
#include "probe.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#define CPU "/sys/devices/system/cpu/"
#define CPUINFO_BYTES                                                                              \
    8192 /* the first core's block, about 1.5 kB with all its flags, and room to grow */

/* The 12 letters in ebx, ecx, edx. Not asked unless the hypervisor bit is set: the leaf is
 * undefined then. */
static void hypervisor_signature(char ret[16])
{
    uint32_t r[4] = {0};
#if defined(__x86_64__) || defined(__i386__)
    __cpuid(0x40000000, r[0], r[1], r[2], r[3]);
#endif
    memcpy(ret, r + 1, 12);
    ret[12] = 0;
    for (unsigned i = 0; ret[i]; i++)
        if (ret[i] < ' ' || ret[i] > '~')
            ret[i] = '?';
}

static void probe_model(struct weir_host *ret)
{
    char text[CPUINFO_BYTES], flags[4096];
    int n = text_read("/proc/cpuinfo", text, sizeof text);
    text_field(text, "model name", ret->cpu, sizeof ret->cpu);
    text_field(text, "flags", flags, sizeof flags);
    ret->virtualised = n < 0 || !flags[0] ? WEIR_UNKNOWN : text_has_word(flags, "hypervisor");
    if (ret->virtualised == 1)
        hypervisor_signature(ret->hypervisor);
}

static void probe_cores(struct weir_host *ret)
{
    char text[1024];
    int n = text_read(CPU "online", text, sizeof text);
    ret->cores_online = n <= 0 ? WEIR_UNKNOWN : text_list_count(text);
    ret->cores_allowed = (int32_t)weir_cores();
    int64_t active = text_read_number(CPU "smt/active");
    bool hidden = active == 0 && ret->virtualised != 0;
    ret->smt = active < 0 || hidden ? WEIR_UNKNOWN : active != 0;
}

/* The governor of `core`, which may be offline or without cpufreq: returns text_read's answer. */
static int read_governor(unsigned core, char ret[24])
{
    char path[96], text[64];
    snprintf(path, sizeof path, CPU "cpu%u/cpufreq/scaling_governor", core);
    int n = text_read(path, text, sizeof text);
    text_line(text, ret, 24);
    return n;
}

static const char *no_governor(const struct weir_host *host, int error)
{
    if (error != -ENOENT)
        return strerror(-error);
    return host->virtualised == 1 ? "no cpufreq in this virtual machine: its host decides"
                                  : "no cpufreq driver";
}

static void probe_governor(struct weir_host *ret)
{
    char one[24];
    int error = -ENOENT;
    unsigned cores = weir_cores();
    for (unsigned i = 0; i < cores; i++) {
        int n = read_governor((unsigned)weir_core(i), one);
        if (n <= 0) {
            error = n < 0 ? n : error;
            continue;
        }
        bool other = ret->governor[0] && strcmp(ret->governor, one) != 0;
        snprintf(ret->governor, sizeof ret->governor, "%s", other ? "mixed" : one);
        if (other)
            break;
    }
    if (!ret->governor[0])
        snprintf(ret->governor_why, sizeof ret->governor_why, "%s", no_governor(ret, error));
}

void probe_cpu(struct weir_host *ret)
{
    probe_model(ret);
    probe_cores(ret);
    probe_governor(ret);
    ret->tsc_invariant = weir_cycles_invariant() ? 1 : 0;
    ret->tsc_hz = (int64_t)weir_cycles_hz();
}

int weir_steal(uint64_t *ret_ns)
{
    char text[512]; /* the first line is enough */
    int n = text_read("/proc/stat", text, sizeof text);
    if (n < 0)
        return n;
    int64_t ticks = text_stat_steal(text);
    if (ticks < 0)
        return -ENODATA;
    *ret_ns = (uint64_t)ticks * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
    return 0;
}
