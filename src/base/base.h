/* SPDX-License-Identifier: MIT
 * What base offers to the rooms above, beyond the public base.h. */
#ifndef WEIR_BASE_INTERNAL_H
#define WEIR_BASE_INTERNAL_H

#include "attr.h"

#include <weir/base.h>

struct sockaddr;
struct sockaddr_storage;

/* Fill `why` (may be NULL) and return `code`, so that an error path is one line. */
int why_set(struct weir_why *why, int code, const char *where, const char *fix, const char *what,
            ...) printf_like(5, 6);

/* weir_addr <-> sockaddr of `family` (AF_INET or AF_INET6). Returns the length of the sockaddr.
 * addr_to_sock with AF_INET needs a mapped address or the wildcard. */
unsigned addr_to_sock(const struct weir_addr *addr, int family, struct sockaddr_storage *ret);
void addr_from_sock(const void *sockaddr, struct weir_addr *ret);
bool addr_is_ip4(const struct weir_addr *addr);
bool addr_is_any(const struct weir_addr *addr);

static inline bool addr_equal(const struct weir_addr *a, const struct weir_addr *b)
{
    return __builtin_memcmp(a, b, sizeof *a) == 0;
}

/* 64 bits that nobody can guess, never 0.  Cost a system call */
uint64_t seed_random(void);

/* A number that is this thread's alone for the life of the process, never 0.  Cost one TLS read */
uint32_t thread_id(void);

#endif
