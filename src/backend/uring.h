/* SPDX-License-Identifier: MIT
 * The io_uring backend's own state, shared by its files.
 *
 *   uring.c         the poll's three moments: rx, submit, wait
 *   uring_open.c    open and close
 *   uring_probe.c   what this kernel can do
 *   uring_ep.c      endpoints: arming and stopping requests, closing
 *   uring_slots.c   provided buffer rings made of the pool's slots
 *   uring_rx.c      completions that bring bytes, datagrams, connections
 *   uring_tx.c      sends and their completions
 *   uring_record.c  the records of sends that need a msghdr */
#ifndef WEIR_URING_H
#define WEIR_URING_H

#include "backend.h"
#include "uring_compat.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* Features that this kernel has (uring_probe.c). */
#define URING_DEFER 0x01u  /* completions only inside our own calls: undisturbed, in batches */
#define URING_COOP 0x02u   /* completions at the next system call of any kind */
#define URING_SINGLE 0x04u /* one submitting thread: less locking */
#define URING_FILES 0x08u  /* registered files are released when they are removed */
#define URING_ZC 0x10u     /* zero-copy sends that report whether they copied */
#define URING_GSO 0x20u    /* UDP_SEGMENT */
#define URING_GRO 0x40u    /* UDP_GRO */
#define URING_RINGFD 0x80u /* the ring's own descriptor is registered */

/* What a completion is of: the low bits of user_data. Above them stands the endpoint's index and
 * its generation; of OP_RECORD the record's index. OP_NONE completions tell nothing (a cancel that
 * came too late). */
enum uring_op {
    OP_NONE,
    OP_WAKE,
    OP_ACCEPT,
    OP_RECV,
    OP_BULK,
    OP_RECVMSG,
    OP_SEND,
    OP_RECORD,
    OP_PLACE,
    OP_WATCH
};
#define OP_BITS 4u
#define OP_MASK 15u

/* What is in the kernel for an endpoint: bits of uring_ep.has */
#define HAS_RX 0x01u       /* its multishot accept, recv or recvmsg */
#define HAS_STOPPING 0x02u /* which is being cancelled */
#define HAS_SEND 0x04u     /* a stream's one send */
#define HAS_FIXED 0x08u    /* its file is in the registered table, at the endpoint's index */
#define HAS_EOF 0x10u      /* the peer's end arrived behind held slots */
#define HAS_TODO 0x20u     /* on the todo list */
#define HAS_BLOCKED 0x40u  /* the socket buffer is full: the next send waits for room */
#define HAS_WAITER 0x80u   /* datagrams: that send; those behind it stay here, in order */
#define HAS_CONNECT 0x100u /* not yet connected */
#define HAS_PLACING 0x200u /* on its way into the table */
#define HAS_BULK 0x400u    /* the stream's bytes come in bulk: into big slots */
#define HAS_RX_BULK 0x800u /* its receive is armed for those */
#define HAS_WATCH 0x1000u  /* a poll for its reset while half-open */

/* What is to be done for an endpoint before the next submission: bits of uring_ep.want */
#define WANT_CONNECT 0x01u
#define WANT_ARM 0x02u  /* receive or accept (again) */
#define WANT_STOP 0x04u /* cancel that */
#define WANT_HELD 0x08u /* give held slots to the stream */
#define WANT_SEND 0x10u /* flush again: there was no record */
#define WANT_END 0x20u  /* cancel everything, close the descriptor */

/* endpoint.priv of this backend */
struct uring_ep {
    uint32_t reqs; /* requests that owe a completion, and records */
    uint16_t has, want;
    uint32_t todo_next;
    /* a stream's slots that landed while it was full; of datagrams the records to send again */
    uint32_t held_head, held_tail;
    uint32_t record; /* of the stream's send or connect in flight, NIL = none */
    int32_t late;    /* an error that arrived behind held slots */
    uint16_t sends;  /* of a stream, as long as they are few */
    uint16_t misfit; /* receives in a row that the other size of slots would have suited better */
};
_Static_assert(sizeof(struct uring_ep) <= sizeof(((struct endpoint *)0)->priv), "fits");

/* A provided buffer ring: the kernel takes a slot from its head when it has something to put
 * there. */
struct group {
    struct io_uring_buf_ring *ring;
    struct weir_buf **bufs; /* buffer id -> what was posted under it */
    uint16_t *ids;          /* ids that are not posted, a stack of n_ids */
    uint32_t entries, n_ids;
    uint32_t target; /* slots posted at most */
    uint32_t posted; /* posted, or in completions that were not yet harvested */
    uint32_t offset; /* from a slot's base to where the kernel writes, and how much it may */
    uint32_t bytes;
    uint16_t id;
    uint8_t section;
    bool wanted; /* some endpoint receives from it */
};

#define SEGMENTS 64u /* UDP_MAX_SEGMENTS of linux/udp.h before it became 128 */

enum record_kind { RECORD_DATAGRAMS, RECORD_STREAM, RECORD_CONNECT };

/* What a send needs to stay where it is until its completion. */
struct record {
    weir_ep handle;
    uint32_t index, next; /* next on the free list, or of those to send again */
    uint8_t kind;         /* enum record_kind */
    bool wait;            /* may wait in the kernel */
    bool zc;              /* sent without copy: a notification follows its result */
    bool cut;             /* a refused batch that goes out one by one */
    uint16_t n, at;       /* buffers, and the first that was not sent (cut) */
    uint32_t bytes, segment;
    int32_t res; /* zero-copy datagrams: the result, until the notification */
    struct msghdr msg;
    union {
        struct sockaddr_storage any; /* what addr_to_sock writes */
        struct sockaddr_in6 in6;
    } name;
    alignas(struct cmsghdr) char ctl[CMSG_SPACE(sizeof(uint16_t))];
    struct iovec iov[SEGMENTS];
    struct weir_buf *bufs[SEGMENTS];
};

struct uring {
    struct io_uring ring;
    unsigned features;
    uint32_t files; /* size of the table of registered files */
    uint32_t reqs;  /* requests that owe a completion, the wake descriptor's poll included */
    int broken;     /* the ring is beyond repair: -errno */
    bool wake_armed;
    bool sends; /* sends stand in the submission queue */
    bool zc;    /* zero-copy sends: as long as notifications say that they do not copy */
    struct group small, bulk, big;
    struct ep_list todo;
    uint32_t *held_next; /* slot (small, then big) -> next held one of its stream */
    struct record *records;
    uint32_t n_records, records_free, n_free;
    uint32_t zc_copied; /* notifications that the kernel copied */
    /* buffers that wait for a notification: they are the peer's to release, so they are bounded */
    uint32_t zc_held, zc_max;
    struct received stash;
    struct msghdr rx_msg; /* the shape of every multishot recvmsg */
};

/* Before a datagram's payload the kernel writes struct io_uring_recvmsg_out, name and control: one
 * cache line. */
#define RX_NAME ((unsigned)sizeof(struct sockaddr_in6))
#define RX_CTL ((unsigned)CMSG_LEN(sizeof(int)))
#define RX_FRONT ((unsigned)sizeof(struct io_uring_recvmsg_out) + RX_NAME + RX_CTL)
_Static_assert(sizeof(struct io_uring_recvmsg_out) + sizeof(struct sockaddr_in6) == 44,
               "io_uring.h, in6.h");

static inline struct uring *uring_of(const struct backend *b)
{
    return b->priv;
}
static inline struct uring_ep *uring_ep(struct endpoint *ep)
{
    return (struct uring_ep *)ep->priv;
}

static inline uint64_t uring_data(const struct endpoint *ep, enum uring_op op)
{
    return (ep->handle & ~(uint64_t)UINT32_MAX) | endpoint_index(ep) << OP_BITS | op;
}

/* ---- uring.c -------------------------------------------------------------------------------- */
/* A free submission entry; submits when the queue is full. NULL: the kernel takes nothing now. */
struct io_uring_sqe *uring_sqe(struct backend *b);
/* Room for `n` entries in a row? Submits to get it. */
bool uring_space(struct backend *b, unsigned n);
/* One io_uring_enter: submits what stands in the queue and lets completions happen. */
void uring_enter(struct backend *b);

/* The multishot poll of the wake descriptor, unless it is armed. */
void uring_arm_wake(struct backend *b);
/* Handle the completions that are visible, while there is room for events. Returns how many. */
unsigned uring_harvest(struct backend *b);
int uring_wait(struct backend *b, int64_t timeout_ns);

/* ---- uring_open.c --------------------------------------------------------------------------- */
int uring_open(struct backend *b, struct weir_why *why);
void uring_close(struct backend *b);
void uring_modes(const struct backend *b, char *text, size_t bytes);

/* ---- uring_probe.c -------------------------------------------------------------------------- */
int uring_probe(char *modes, size_t bytes, struct weir_why *why);
/* URING_* of this kernel, or -errno with the reason. */
int uring_features(struct weir_why *why);
int uring_setup(struct io_uring *ring, unsigned entries, unsigned completions, unsigned *features);
void uring_teardown(struct io_uring *ring);
void uring_modes_text(unsigned features, bool zc, char *text, size_t bytes);

/* ---- uring_slots.c -------------------------------------------------------------------------- */
/* `most` slots of the section, of each `bytes` from the headroom on. */
int group_open(struct backend *b, struct group *g, uint16_t id, unsigned section, uint32_t most,
               uint32_t bytes);
void group_close(struct group *g);
/* Post slots up to the target. */
void group_fill(struct backend *b, struct group *g);
/* Which group a request of this kind receives into. */
struct group *group_of(struct uring *u, enum uring_op op);
/* The slot that a completion brings, NULL when it brings none. State APP, len not yet set. */
struct weir_buf *group_take(struct group *g, const struct io_uring_cqe *cqe);

/* Slots that landed while their stream was full, in order. front: back to where it was. pop: NULL
 * at the end. */
void held_push(struct backend *b, struct endpoint *ep, struct weir_buf *buf);
void held_front(struct backend *b, struct endpoint *ep, struct weir_buf *buf);
struct weir_buf *held_pop(struct backend *b, struct endpoint *ep);
void held_drop(struct backend *b, struct endpoint *ep);

/* ---- uring_ep.c ----------------------------------------------------------------------------- */
int uring_add(struct backend *b, struct endpoint *ep);
void uring_del(struct backend *b, struct endpoint *ep);
void uring_resume(struct backend *b, struct endpoint *ep);
void uring_ep_init(struct endpoint *ep);
/* A half-open stream's poll ended: did it hang up? */
void uring_watched(struct backend *b, struct endpoint *ep, int res);
void uring_want(struct backend *b, struct endpoint *ep, unsigned what);
/* Do what is wanted, as far as slots, records and submission entries reach. */
void uring_todo(struct backend *b);
/* Free a dying endpoint when nothing of it is left in the kernel. */
void uring_release(struct backend *b, struct endpoint *ep);
/* A stream sends: when it lives long enough, its file gets a place in the table. */
void uring_settle_in(struct backend *b, struct endpoint *ep);
/* Address the request to the endpoint's file, in the table or by descriptor. */
void uring_target(struct io_uring_sqe *sqe, struct endpoint *ep);

/* ---- uring_rx.c ----------------------------------------------------------------------------- */
/* The completion of an endpoint's multishot request. `buf` is the slot that it brought, or NULL. */
void uring_received(struct backend *b, struct endpoint *ep, enum uring_op op,
                    const struct io_uring_cqe *cqe, struct weir_buf *buf);
/* Give held slots to their stream, as far as it takes them; then the end or error behind them. */
void uring_unhold(struct backend *b, struct endpoint *ep);
/* Emit what an earlier receive brought and no event had room for. True: all was told. */
bool uring_stash(struct backend *b);

/* ---- uring_tx.c ----------------------------------------------------------------------------- */
void uring_flush(struct backend *b, struct endpoint *ep);
/* The stream's send ended: `res` bytes or -errno. */
void uring_stream_sent(struct backend *b, struct endpoint *ep, int res, bool copied);
void uring_datagrams_sent(struct backend *b, struct endpoint *ep, struct record *r, int res,
                          bool copied);
bool uring_connect(struct backend *b, struct endpoint *ep);

/* ---- uring_record.c ------------------------------------------------------------------------- */
int records_open(struct backend *b, uint32_t n);
void records_close(struct backend *b);
/* A free record for this endpoint; NULL: it has its share, or none is left. */
struct record *record_get(struct backend *b, struct endpoint *ep, enum record_kind kind);
void record_put(struct backend *b, struct record *r);
/* May the record's `n` buffers go out without a copy? */
bool record_zc(struct backend *b, const struct record *r, unsigned n);
/* Into the submission queue. False: no entry is free. */
bool record_send(struct backend *b, struct record *r);
/* A datagram endpoint's records to send again, in order. pop: NULL at the end. drop: the endpoint
 * ends. */
void again_push(struct backend *b, struct endpoint *ep, struct record *r);
void again_front(struct backend *b, struct endpoint *ep, struct record *r);
struct record *again_pop(struct backend *b, struct endpoint *ep);
void again_drop(struct backend *b, struct endpoint *ep);
/* A completion of the record. */
void record_completed(struct backend *b, uint32_t index, const struct io_uring_cqe *cqe);

#endif
