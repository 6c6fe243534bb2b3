/* SPDX-License-Identifier: MIT
 * Fragments to datagrams: RFC 791, RFC 815, RFC 8200 section 4.5, RFC 5722.
 *
 * A datagram under reassembly is one WEIR_BIG buffer and a map of its 8-byte units. Bounded: `max`
 * datagrams, a quarter of them of one source (IPv6: a /64). Where there is no place, the oldest of
 * which there is one piece only makes room, else one that got none for two seconds, else the newest
 * is refused. What overlaps kills its datagram, and what comes of it later is dropped until its time
 * is over, or its place is needed. */
#ifndef WEIR_STACK_REASSEMBLY_H
#define WEIR_STACK_REASSEMBLY_H

#include "base/base.h"
#include "stat/counter.h"

#include <weir/buf.h>

struct reassembly;
struct stack;
struct ip4;
struct ip6;

struct reassembly_opt {
    struct weir_pool *pool;
    struct counters *counters;
    uint32_t max;
    uint64_t timeout_ns, seed;
};

struct fragment {
    uint8_t src[16], dst[16];
    uint32_t id;
    uint8_t protocol; /* IPv6: of the fragment at 0 counts, others are not compared */
    bool ip4, more;
    uint32_t offset; /* in bytes */
    const uint8_t *data;
    uint32_t len;
};

struct reassembly *reassembly_open(const struct reassembly_opt *opt, struct weir_why *why);
void reassembly_close(struct reassembly *r);

/* The fragment is copied (counted), never kept. Returns the datagram that it completes: data the
 * transport header, len its bytes, state APP, refs 1; `protocol` gets what it is. Else NULL, and
 * where it was refused that is counted. */
struct weir_buf *reassembly_in(struct reassembly *r, const struct fragment *f, uint8_t *protocol,
                               uint64_t now_ns);
/* Drop what is too old. */
void reassembly_expire(struct reassembly *r, uint64_t now_ns);
uint64_t reassembly_next_ns(const struct reassembly *r); /* UINT64_MAX: never */
uint32_t reassembly_count(const struct reassembly *r);

/* As the rest of the stack sees it: takes the frame over, `l3` is where in it the IP header begins.
 * Counts fragments_in. *protocol: what the whole datagram is. */
struct weir_buf *fragment4_in(struct stack *s, struct weir_buf *frame, const struct ip4 *ip,
                              size_t l3, uint8_t *protocol, uint64_t now_ns);
struct weir_buf *fragment6_in(struct stack *s, struct weir_buf *frame, const struct ip6 *ip,
                              size_t l3, uint8_t *protocol, uint64_t now_ns);

#endif
