/* SPDX-License-Identifier: MIT
 * Reading /proc and /sys: one function that opens files, and pure parsers of what stands in them.
 *
 * Texts are terminated strings. Numbers are -1 where the text does not have them. A `ret` of
 * `bytes` is always terminated, and "" where there is nothing. */
#ifndef WEIR_PROBE_TEXT_H
#define WEIR_PROBE_TEXT_H

#include "base/attr.h"

/* The first bytes - 1 bytes of a file, terminated; "" on error. Returns their number or -errno. */
int text_read(const char *path, char *ret, size_t bytes);

/* A file that holds one number, or -1. */
int64_t text_read_number(const char *path);

/* "212992\n" -> 212992. The number must be all of the text but white space around it. */
int64_t text_number(const char *text);

/* One line without its white space at both ends, cut to fit. */
void text_line(const char *text, char *ret, size_t bytes);

/* "always [madvise] never" -> "madvise". */
void text_choice(const char *text, char *ret, size_t bytes);

/* A kernel list of cores or nodes, "0-3,8,10-11" -> 7; "" -> 0; -1 where it is not such a list. */
int text_list_count(const char *list);

/* Is `word` one of the words between white space? */
bool text_has_word(const char *text, const char *word);

/* /proc/cpuinfo, "model name\t: AMD EPYC\n": the value of the first line whose key is `key`. */
void text_field(const char *text, const char *key, char *ret, size_t bytes);

/* /proc/meminfo, "MemTotal:  24576 kB" -> bytes, or -1. */
int64_t text_meminfo_bytes(const char *text, const char *key);

/* /proc/stat: the steal column of the line "cpu ", in ticks, or -1. */
int64_t text_stat_steal(const char *text);

/* A file of /sys/devices/system/cpu/vulnerabilities. */
enum flaw { FLAW_ABSENT, FLAW_MITIGATED, FLAW_OPEN, FLAW_UNKNOWN };
enum flaw text_flaw(const char *text);

/* Append `name` to words between spaces; a name that does not fit whole is left out. */
void text_add_word(char *words, size_t bytes, const char *name);

#endif
