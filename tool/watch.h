/* SPDX-License-Identifier: MIT
 * What a command tells of its workers while they serve: links, ends and stalls, on stderr, and what
 * their devices count. */
#ifndef WEIR_TOOL_WATCH_H
#define WEIR_TOOL_WATCH_H

#include <weir/engine.h>

#include <stdbool.h>
#include <stdio.h>

#define WATCH_WORKERS 64
#define WATCH_LOOK_NS 500000000u /* between two looks: a person is told within a second */
#define WATCH_STATS_BYTES 1536u  /* of one worker's device: some 40 counts */

struct watch;

/* `command` is static: "weir echo". NULL: no memory. */
struct watch *watch_open(const char *command);
void watch_close(struct watch *watch); /* NULL allowed */

/* The worker's own thread: from `start` of a crew, from its engine's handler (whose app is the
 * watch), and from `stop`, after which the device is gone. */
void watch_engine(struct watch *watch, unsigned worker, struct weir_engine *engine);
weir_handler watch_events;
void watch_device(struct watch *watch, unsigned worker);

/* What worker `i`'s device counted when it was asked last, non-zero ones: "rx_good 5, ..."; "" where
 * it counts nothing.  Thread any */
void watch_device_text(struct watch *watch, unsigned worker, char *ret, size_t bytes);

/* One look: stalls begun and over are told when `stalls`. False: a worker ended by itself, told. */
bool watch_look(struct watch *watch, struct weir_crew *crew, bool stalls);

#endif
