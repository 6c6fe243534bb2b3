/* SPDX-License-Identifier: MIT
 * Memory for pools: mapped once, bound, touched and locked before the first packet, never grown.
 *
 *     2 MiB hugepages -> transparent hugepages -> plain pages, the first that the host grants
 *
 * What is reported is what was granted: after the pages are touched, the kernel's own account of
 * the mapping (smaps) says whether transparent hugepages came. A region below 2 MiB is plain,
 * and nothing was refused. Sources: Documentation/admin-guide/mm/{hugetlbpage,transhuge}.rst,
 * mmap(2), madvise(2), mbind(2). */
#include "base.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HUGE_BYTES ((size_t)2 << 20)
#define HUGE_2MB (21 << 26) /* linux/mman.h: MAP_HUGE_2MB, log2 of the size << MAP_HUGE_SHIFT */
#define NODES_MAX 1024      /* the largest CONFIG_NODES_SHIFT is 10 */
#define MPOL_BIND 2         /* uapi/linux/mempolicy.h, whose wrapper is in libnuma only */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14, uapi/asm-generic/mman-common.h */
#endif

struct request {
    size_t bytes;
    int node;
};

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static long read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    long value = -1;

    if (!file)
        return -1;
    if (fscanf(file, "%ld", &value) != 1)
        value = -1;
    fclose(file);
    return value;
}

/* Map `bytes` so that the region starts on a 2 MiB boundary: map more, give the edges back. */
static void *map_aligned(size_t bytes)
{
    size_t slack = bytes >= HUGE_BYTES ? HUGE_BYTES : 0;
    uint8_t *raw =
        mmap(NULL, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t head = slack ? (size_t)(-(uintptr_t)raw & (HUGE_BYTES - 1)) : 0;

    if (raw == MAP_FAILED)
        return NULL;
    if (head)
        munmap(raw, head);
    if (slack > head)
        munmap(raw + head + bytes, slack - head);
    return raw + head;
}

/* By raw system call: libnuma is not worth a dependency for one call. */
static int bind_node(void *base, size_t bytes, int node)
{
    unsigned long mask[NODES_MAX / (8 * sizeof(long))] = {0};
    unsigned bits = 8 * sizeof(long);

    if (node == WEIR_NODE_ANY)
        return 0;
    mask[(unsigned)node / bits] = 1ul << ((unsigned)node % bits);
    return syscall(SYS_mbind, base, bytes, MPOL_BIND, mask, NODES_MAX + 1, 0) < 0 ? -errno : 0;
}

/* Touch every page now. MADV_POPULATE_WRITE reports what a plain store would answer with SIGBUS:
 * a node or a control group that is out of hugepages. On an older kernel that risk is not taken
 * for bound hugepages. */
static int prefault(uint8_t *base, size_t bytes, bool risky)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (madvise(base, bytes, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL || risky)
        return -errno;
    for (size_t at = 0; at < bytes; at += page)
        *(volatile uint8_t *)(base + at) = 0;
    return 0;
}

/* Bind, then touch: in that order, because the first touch decides the node. A kernel or a
 * sandbox without mbind is a lesser grant; a node that does not exist is the caller's error. */
static int settle(struct weir_mem *mem, int node)
{
    int r = bind_node(mem->base, mem->bytes, node);

    if (r == -EINVAL)
        return r;
    if (r < 0)
        why_set(&mem->lesser, r, "memory", "run without a node, or allow mbind in the sandbox",
                "not bound to NUMA node %d: %s", node, strerror(-r));
    mem->node = r < 0 ? WEIR_NODE_ANY : (int16_t)node;
    return prefault(mem->base, mem->bytes, mem->pages == WEIR_PAGES_HUGE && node != WEIR_NODE_ANY);
}

static int say_no_hugepages(struct weir_mem *mem, size_t bytes)
{
    long total = read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    long left = read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    long need = (long)(bytes / HUGE_BYTES);
    char fix[160];

    if (total < 0)
        return why_set(&mem->lesser, -ENOTSUP, "hugepages", "use a kernel with CONFIG_HUGETLBFS",
                       "this kernel has none of 2 MiB");
    snprintf(fix, sizeof fix, "run sysctl vm.nr_hugepages=%ld",
             max_of(total + need - left, total + 1));
    return why_set(&mem->lesser, -ENOMEM, "hugepages", fix, "%ld of %ld free, %ld needed", left,
                   total, need);
}

static int open_huge(struct weir_mem *mem, const struct request *req)
{
    int r;

    mem->bytes = round_up(req->bytes, HUGE_BYTES);
    mem->pages = WEIR_PAGES_HUGE;
    mem->base = mmap(NULL, mem->bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | HUGE_2MB, -1, 0);
    if (mem->base == MAP_FAILED)
        return say_no_hugepages(mem, mem->bytes);
    r = settle(mem, req->node);
    if (r < 0) {
        munmap(mem->base, mem->bytes);
        return r == -EINVAL ? r : say_no_hugepages(mem, mem->bytes);
    }
    return 0;
}

/* KiB of transparent hugepages in the mapping that holds `base`; -1 where the kernel does not
 * say. */
static long thp_kib(const void *base)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[256];
    unsigned long from, to;
    long kib = -1;
    bool inside = false;

    if (!file)
        return -1;
    while (kib < 0 && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)base >= from && (uintptr_t)base < to;
        else if (inside)
            sscanf(line, "AnonHugePages: %ld", &kib);
    }
    fclose(file);
    return kib;
}

static bool thp_enabled(void)
{
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    char text[64] = "";

    if (!file)
        return false;
    if (!fgets(text, sizeof text, file))
        text[0] = '\0';
    fclose(file);
    return text[0] && !strstr(text, "[never]");
}

/* Called after prefault: a refusal takes effect at the touch, not at the advice. */
static void judge_thp(struct weir_mem *mem)
{
    long kib = thp_kib(mem->base);

    if (kib == 0) {
        mem->pages = WEIR_PAGES_PLAIN;
        why_set(&mem->lesser, -ENOMEM, "hugepages", "set sysctl vm.nr_hugepages",
                "the kernel gave neither 2 MiB hugepages nor transparent ones");
    }
}

static int open_small(struct weir_mem *mem, const struct request *req, bool thp)
{
    size_t unit = thp ? HUGE_BYTES : (size_t)sysconf(_SC_PAGESIZE);
    int r;

    mem->bytes = round_up(req->bytes, unit);
    mem->pages = thp ? WEIR_PAGES_THP : WEIR_PAGES_PLAIN;
    mem->base = map_aligned(mem->bytes);
    if (!mem->base)
        return -ENOMEM;
    if (madvise(mem->base, mem->bytes, thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) < 0 && thp)
        mem->pages = WEIR_PAGES_PLAIN;
    r = settle(mem, req->node);
    if (r < 0) {
        munmap(mem->base, mem->bytes);
        return r == -EINVAL ? r : -ENOMEM;
    }
    if (thp)
        judge_thp(mem);
    return 0;
}

static void lock_pages(struct weir_mem *mem)
{
    struct rlimit limit = {0};
    int err;

    if (mlock(mem->base, mem->bytes) == 0) {
        mem->locked = 1;
        return;
    }
    err = errno;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (mem->lesser.code == 0)
        why_set(&mem->lesser, -err, "memory lock", "raise the limit memlock (ulimit -l)",
                "%zu KiB asked, the limit is %llu KiB", mem->bytes >> 10,
                (unsigned long long)limit.rlim_cur >> 10);
}

static int map_best(struct weir_mem *mem, const struct request *req, bool huge)
{
    int r = huge ? open_huge(mem, req) : -ENOMEM;

    if (r == 0 || r == -EINVAL)
        return r;
    return open_small(mem, req, huge && thp_enabled());
}

int weir_mem_open(struct weir_mem *mem, size_t bytes, unsigned flags, int node,
                  struct weir_why *why)
{
    struct request req = {.bytes = bytes, .node = node};
    bool huge = bytes >= HUGE_BYTES && !(flags & WEIR_MEM_NO_HUGE);
    int r;

    *mem = (struct weir_mem){.node = WEIR_NODE_ANY};
    if (bytes == 0 || node < WEIR_NODE_ANY || node >= NODES_MAX)
        return why_set(why, -EINVAL, "memory", "", "%zu bytes on NUMA node %d", bytes, node);
    /* No address space has half of size_t; refused here, the sums above it cannot overflow. */
    r = bytes > SIZE_MAX / 2 ? -ENOMEM : map_best(mem, &req, huge);
    if (r < 0) {
        *mem = (struct weir_mem){.node = WEIR_NODE_ANY};
        if (r == -EINVAL)
            return why_set(why, r, "memory", "see lscpu", "there is no NUMA node %d", node);
        return why_set(why, r, "memory", "ask for less", "%zu KiB cannot be had", bytes >> 10);
    }
    if (!(flags & WEIR_MEM_NO_LOCK))
        lock_pages(mem);
    return 0;
}

void weir_mem_close(struct weir_mem *mem)
{
    if (mem->base)
        munmap(mem->base, mem->bytes);
    *mem = (struct weir_mem){.node = WEIR_NODE_ANY};
}

const char *weir_pages_name(unsigned pages)
{
    static const char *const names[] = {"plain pages", "transparent hugepages", "2 MiB hugepages"};

    return pages < array_len(names) ? names[pages] : "unknown pages";
}
