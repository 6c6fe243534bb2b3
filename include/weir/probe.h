/* SPDX-License-Identifier: MIT
 * What this host is and allows: plain data, read once, printed by others. Every result of `weir
 * bench` carries it, and the engine's opening calls explain their refusals with it.
 *
 * "Cannot be known" is an answer: WEIR_UNKNOWN in a number, "" in a text. It is never an error,
 * because containers and virtual machines hide much of this. */
#ifndef WEIR_PROBE_H
#define WEIR_PROBE_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_UNKNOWN (-1)
#define WEIR_UNLIMITED INT64_MAX /* a limit that is not set: RLIM_INFINITY */

struct weir_host {
    /* ---- CPU ---- */
    char cpu[64];          /* the kernel's model name, "AMD EPYC 9R14" */
    int32_t cores_online;  /* logical cores that the kernel runs on */
    int32_t cores_allowed; /* of those, the ones in this process's affinity mask */

    /* 1: some cores share a physical one; 0: none does. Unknown also where a virtual machine shows
     * none, because its host may have paired them unseen. */
    int8_t smt;

    int8_t virtualised;      /* 1: a hypervisor runs this kernel; 0: none that says so */
    char hypervisor[16];     /* its CPUID signature, "KVMKVMKVM" */
    int8_t tsc_invariant;    /* 1: weir_cycles is the TSC; 0: it is the clock */
    int64_t tsc_hz;          /* ticks of weir_cycles a second */
    char governor[24];       /* "performance"; "mixed" where cores differ */
    char governor_why[64];   /* why `governor` is "" */
    int16_t flaws_absent;    /* CPU vulnerabilities that the kernel lists: not affected, */
    int16_t flaws_mitigated; /* mitigated (this is what costs), */
    int16_t flaws_open;      /* vulnerable. All three unknown where it lists none */
    char mitigated[256];     /* their names, "retbleed spectre_v1", cut at a whole name */
    char vulnerable[256];

    /* ---- memory ---- */
    int16_t numa_nodes; /* online */
    int64_t memory_bytes;
    int64_t memory_free_bytes; /* what programs may still take: MemAvailable */
    int64_t huge_total;        /* 2 MiB hugepages reserved, and of those free */
    int64_t huge_free;
    char thp[16]; /* transparent hugepages: "always", "madvise", "never" */

    /* ---- kernel ---- */
    char kernel[80];   /* release, "6.18.44" */
    char lockdown[24]; /* "none", "integrity", "confidentiality" */

    /* sysctl kernel.io_uring_disabled: 0 allowed, 1 only for a group or CAP_SYS_ADMIN, 2 nobody;
     * unknown before Linux 6.6 */
    int16_t uring_disabled;
    int16_t uring_errno; /* of opening a small ring: 0 it opened, EPERM, ENOSYS, ENOMEM ... */

    /* ---- limits ---- */
    int64_t nofile, nofile_hard;               /* RLIMIT_NOFILE: descriptors */
    int64_t memlock_bytes, memlock_hard_bytes; /* RLIMIT_MEMLOCK; CAP_IPC_LOCK overrides it */

    /* sysctl net.core: largest SO_RCVBUF and SO_SNDBUF, and busy polling by default (0 = off);
     * some kernels hide them from a network namespace of its own */
    int64_t rmem_max_bytes, wmem_max_bytes;
    int64_t busy_read_us, busy_poll_us;
};

/* Look at everything above. Changes nothing: the ring that it tries is closed again.
 * Owner   the caller's struct, fully written.  Errors  none: returns 0
 * Thread  any.  Cost  some milliseconds, about 100 system calls and small files */
int weir_host_probe(struct weir_host *ret);

/* Nanoseconds that the hypervisor took from all cores together since boot; the difference of two
 * calls tells whether a measurement was disturbed. The kernel counts in ticks, commonly 10 ms.
 * Errors  -errno: /proc/stat cannot be read; -ENODATA: it has no such column. 0 ns on a real
 *         machine
 * Thread  any.  Cost  one small file, some 10 us */
int weir_steal(uint64_t *ret_ns);

#ifdef __cplusplus
}
#endif
#endif
