/* SPDX-License-Identifier: MIT
 * What every other header stands on: error text, addresses, time, memory, placement of threads.
 * Nothing here knows of packets. */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why an opening call failed, or which lesser mode it took: a line for a person.
 * Printed as "where: what; fix". All three are always terminated; "" where there is nothing to
 * say. */
struct weir_why {
    int code;       /* 0, or -errno */
    char where[32]; /* "hugepages" */
    char what[160]; /* "0 of 512 free" */
    char fix[160];  /* "run sysctl vm.nr_hugepages=512" */
};

/* One line of `why`, "where: what; fix", into `text`. Returns the length as snprintf does. */
int weir_why_text(const struct weir_why *why, char *text, size_t bytes);

/* An IPv6 address and port; IPv4 is mapped (::ffff:a.b.c.d). Plain data, compared byte by byte. */
struct weir_addr {
    uint8_t ip[16];
    uint16_t port;  /* host byte order */
    uint16_t scope; /* interface index of a link-local address, else 0 */
};

/* "127.0.0.1:7000", "[::1]:7000", "*:7000", "[fe80::1%eth0]:7000"; "7000" means "*:7000".
 * "*" is the IPv6 wildcard, which serves IPv4 as well where the host has IPv6.
 * Errors  -EINVAL: not an address. Names are not resolved.  Thread any */
int weir_addr_parse(const char *text, struct weir_addr *ret);

#define WEIR_ADDR_TEXT 64 /* bytes that weir_addr_text never exceeds, its end included */

/* The text that weir_addr_parse reads. Returns `text`. */
const char *weir_addr_text(const struct weir_addr *addr, char text[WEIR_ADDR_TEXT]);

/* a.b.c.d:port from four bytes in the order in which they are written. */
struct weir_addr weir_addr_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);

/* Monotonic nanoseconds (CLOCK_MONOTONIC).  Thread any.  Cost about 20 ns */
uint64_t weir_now_ns(void);

/* The time-stamp counter where it is invariant, else monotonic nanoseconds.  Cost about 10 ns */
uint64_t weir_cycles(void);

/* Ticks of weir_cycles a second: measured once, at the first call (some milliseconds). */
uint64_t weir_cycles_hz(void);

/* 1 where weir_cycles reads an invariant TSC, 0 where it falls back to the clock. */
int weir_cycles_invariant(void);

/* Tell the CPU that this is a spinning loop. */
static inline void weir_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

enum weir_pages { WEIR_PAGES_PLAIN, WEIR_PAGES_THP, WEIR_PAGES_HUGE };

#define WEIR_MEM_NO_HUGE 1u /* do not try 2 MiB hugepages nor transparent ones */
#define WEIR_MEM_NO_LOCK 2u /* do not try mlock */
#define WEIR_MEM_BIND                                                                              \
    4u /* of a pool: bind its memory to its node; without it the node is not looked at */
#define WEIR_NODE_ANY (-1)

/* A region of zeroed memory, 2 MiB aligned where it is that large, and what the host granted. */
struct weir_mem {
    void *base;
    size_t bytes;           /* as mapped: asked size rounded up to whole pages */
    uint8_t pages;          /* enum weir_pages: what was granted */
    uint8_t locked;         /* mlock succeeded */
    int16_t node;           /* bound to this NUMA node, or WEIR_NODE_ANY */
    struct weir_why lesser; /* why it is less than was asked; code 0 where nothing was refused */
};

/* Map a region: 2 MiB hugepages, else transparent hugepages, else plain pages; lock it when
 * allowed; bind it to `node` unless that is WEIR_NODE_ANY. A refused privilege is `mem->lesser`,
 * not an error.
 * Errors  -ENOMEM, -EINVAL (no such node); `why` may be NULL.  Thread any.  Cost system calls */
int weir_mem_open(struct weir_mem *mem, size_t bytes, unsigned flags, int node,
                  struct weir_why *why);
void weir_mem_close(struct weir_mem *mem);
const char *weir_pages_name(
    unsigned pages); /* "2 MiB hugepages", "transparent hugepages", "plain pages" */

/* Pin the calling thread to one core. Errors  -EINVAL: no such core, or outside of the allowed
 * set. */
int weir_pin(int core, struct weir_why *why);

/* The `index`-th core (from 0) that this process may run on, or -1. */
int weir_core(unsigned index);
unsigned weir_cores(void); /* how many it may run on */

/* SCHED_FIFO at `priority` (1..99) for the calling thread. A spinning FIFO thread starves the
 * softirq work of its core: use it for threads that sleep, or on isolated cores.
 * Errors  -EPERM with the remedy in `why`; the thread goes on as it was. */
int weir_fifo(int priority, struct weir_why *why);

#ifdef __cplusplus
}
#endif
#endif
