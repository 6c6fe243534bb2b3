/* SPDX-License-Identifier: MIT
 * A crew watched while it works: a line a second and worker on stderr. */
#ifndef WEIR_TOOL_LIVE_H
#define WEIR_TOOL_LIVE_H

#include "watch.h"

#include <weir/engine.h>

struct live;

/* Watch from a thread of its own, which no worker waits for. `name` is static. Where there is a
 * `watch` (NULL: none), its workers are woken once a second to look at their devices. NULL: no
 * thread or memory, said on stderr. */
struct live *live_start(struct weir_crew *crew, const char *name, struct watch *watch);

/* A last line, and no more. Before the crew stops. NULL allowed. */
void live_stop(struct live *live);

#endif
