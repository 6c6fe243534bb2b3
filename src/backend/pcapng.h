/* SPDX-License-Identifier: MIT
 * A capture file of bounded size: pcapng, as Wireshark opens it. One section, one interface.
 * Source: draft-ietf-opsawg-pcapng. */
#ifndef WEIR_BACKEND_PCAPNG_H
#define WEIR_BACKEND_PCAPNG_H

#include "base/base.h"

/* Link types: the registry of draft-ietf-opsawg-pcaplinktype. */
#define PCAPNG_ETHERNET 1u
#define PCAPNG_RAW_IP 101u

enum pcapng_direction { PCAPNG_IN = 1, PCAPNG_OUT = 2 }; /* as in epb_flags */

struct pcapng {
    int fd;
    int err;        /* of the first write that failed, 0 = none: nothing is written after it */
    uint64_t bytes; /* written and buffered */
    uint64_t in_file;
    uint64_t bytes_max;
    uint64_t flush_ns; /* when the buffer was last written */
    uint32_t used;
    uint8_t *buffer;
};

/* One piece of a packet. */
struct pcapng_part {
    const void *data;
    uint32_t bytes;
};

/* Create `path`, 0600, never through a symbolic link; an existing file is removed first, if it is a
 * plain one of this user's that has no other name. `about` is the section's comment.
 * Errors  -errno with `why`; p->fd is -1 */
int pcapng_open(struct pcapng *p, const char *path, unsigned link_type, uint64_t bytes_max,
                const char *about, struct weir_why *why);
/* Add a packet of `n` parts. False: it is not in the file, which is full or failed. */
bool pcapng_packet(struct pcapng *p, uint64_t wall_ns, enum pcapng_direction direction,
                   const struct pcapng_part *part, unsigned n);
/* Write what is buffered, when the last time is a second ago. */
void pcapng_tick(struct pcapng *p, uint64_t now_ns);
/* Write the rest. */
void pcapng_close(struct pcapng *p);

#endif
