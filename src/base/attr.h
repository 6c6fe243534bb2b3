/* SPDX-License-Identifier: MIT
 * Compiler attributes and assertions used by every room. */
#ifndef WEIR_ATTR_H
#define WEIR_ATTR_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define noinline __attribute__((noinline))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

/* x86-64 and arm64 servers: 64 bytes; two lines, because the adjacent-line prefetcher pulls pairs
 * (Intel SDM vol. 3, "Data Prefetching"; AMD's L2 does alike). */
#define CACHE_LINE 64
#define CACHE_PAIR 128

#define array_len(a) (sizeof(a) / sizeof((a)[0]))
#define min_of(a, b) ((a) < (b) ? (a) : (b))
#define max_of(a, b) ((a) > (b) ? (a) : (b))

/* Mark memory that nobody may touch, and take the mark off again: AddressSanitizer reports a use. Multiples of
 * 8 bytes (its granule). Nothing at all in other builds, where nothing is ever poisoned. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif
#if defined(WEIR_ASAN) || defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define poison(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#define is_poisoned(p) (__asan_address_is_poisoned(p) != 0)
#define POISONS true
#else
#define poison(p, n) ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
#define is_poisoned(p) ((void)(p), false)
#define POISONS false
#endif

#endif
