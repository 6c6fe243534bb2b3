/* SPDX-License-Identifier: MIT
 * What a command is told of a device, a capture and an impaired link, and what of it goes with
 * which backend. */
#ifndef WEIR_TOOL_FRAMES_H
#define WEIR_TOOL_FRAMES_H

#include "options.h"

#include <weir/engine.h>

#define FRAMES_REFUSAL_BYTES 320

struct frames_choice {
    const char *iface; /* an interface of this host */
    const char *vdev;  /* of dpdk, as EAL's --vdev takes it */
    const char *eal;   /* of dpdk: further words for its environment */
    const char *pcap;  /* file */
    uint16_t queue;
    bool promiscuous;
    struct option_nets address; /* ours alone; none: the interface's, shared with the kernel */
    struct weir_impair impair;
};

/* Why the choice does not go with a backend, in one line; false where it does. */
bool frames_refused(const struct frames_choice *choice, const struct weir_backend_info *info,
                    char text[FRAMES_REFUSAL_BYTES]);

/* The choice as the engine takes it. Strings stay the caller's. */
void frames_engine(const struct frames_choice *choice, bool frames, struct weir_engine_opt *ret);

/* Neither impaired nor captured: what is measured then is the path alone. */
bool frames_plain(const struct frames_choice *choice);

bool is_sim(const char *backend);
bool is_dpdk(const char *backend);

#endif
