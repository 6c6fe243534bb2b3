/* SPDX-License-Identifier: MIT
 * The ways out that out.c chooses from. Each takes over the datagram's tx reference where it does
 * not return an error. */
#ifndef WEIR_STACK_OUT_H
#define WEIR_STACK_OUT_H

#include "stack/flow.h"

/* A buffer with room for `head` bytes in front of data and `len` behind; NULL: none just now. */
struct weir_buf *out_take(struct stack *s, uint32_t head, uint32_t len);
/* fragment.c: copies that fit the path. Returns how many, -ENOBUFS, -EMSGSIZE: the pool could never
 * hold them. */
int out_fragments(struct stack *s, const struct flow *f, struct weir_buf *buf, struct tx_frame *ret,
                  unsigned room);
/* loop.c: to one of our own addresses. Returns 0, -ENOBUFS */
int out_looped(struct stack *s, uint32_t socket, struct weir_buf *buf, const struct weir_addr *to,
               const struct local *from);
/* Worker 0: park a copy of another worker's packet, which begins with its IP header. */
void out_take_over(struct stack *s, const struct weir_buf *from, uint64_t now_ns);

#endif
