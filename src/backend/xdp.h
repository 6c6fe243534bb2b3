/* SPDX-License-Identifier: MIT
 * The AF_XDP backend's parts and what they share.
 *
 *   xdp.c         the tables of operations, opening, waiting
 *   xdp_socket.c  the socket: pool memory as UMEM, four rings, binding
 *   xdp_rx.c      frames in, buffers posted        xdp_tx.c   frames out, buffers home
 *   xdp_prog.c    the program, its maps and link, one a device and process
 *   xdp_holder.c  who else has a program there
 *   xdp_route.c   the kernel's view: link, addresses, routes, neighbours
 *   xdp_device.c  what the device can do           xdp_netlink.c  messages to and from the kernel
 *   xdp_clock.c   the device's time */
#ifndef WEIR_XDP_H
#define WEIR_XDP_H

#include "backend/frames.h"
#include "backend/xdp_compat.h"
#include "backend/xdp_shared.h"

/* Entries of each ring, a power of two; and how many buffers are lent to receive into. At
 * 1,000,000 frames a second they last 4 ms. As DEVICE_RX and DEVICE_TX of engine/config.c. */
#define XDP_RING 4096u

#define XDP_ETH_BYTES 14u /* IEEE 802.3, no tag */

#define XDP_LINK_POLL_NS 1000000u   /* how often the kernel's notices are looked for */
#define XDP_STATS_POLL_NS 10000000u /* and its statistics */

/* ---- rings ----------------------------------------------------------------------------------
 * Each has one producer and one consumer. An index is stored with release after the slots it covers
 * were written (or read), and loaded with acquire before they are read (or written); its partner is
 * the kernel's smp_load_acquire and smp_store_release of the same index (net/xdp/xsk_queue.h). */

struct xdp_ring {
    uint32_t *producer, *consumer, *flags; /* shared with the kernel */
    void *slots;
    uint32_t own;    /* our index: what we produced or consumed, told or not */
    uint32_t theirs; /* the kernel's, as we saw it last */
    void *map;
    size_t map_bytes;
};

/* How many slots of a ring that we produce are free, up to n. */
static inline uint32_t ring_room(struct xdp_ring *r, uint32_t n)
{
    if (XDP_RING - (r->own - r->theirs) < n)
        r->theirs = __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
    return min_of(n, XDP_RING - (r->own - r->theirs));
}

/* How many slots of a ring that we consume are ready, up to n. */
static inline uint32_t ring_ready(struct xdp_ring *r, uint32_t n)
{
    if (r->theirs - r->own < n)
        r->theirs = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
    return min_of(n, r->theirs - r->own);
}

/* Sequentially consistent, as is the load of the flag: a driver that goes to sleep sets the flag and
 * looks at the index once more, so one of the two sees what the other stored. */
static inline void ring_produced(struct xdp_ring *r)
{
    __atomic_store_n(r->producer, r->own, __ATOMIC_SEQ_CST);
}

static inline void ring_consumed(struct xdp_ring *r)
{
    __atomic_store_n(r->consumer, r->own, __ATOMIC_RELEASE);
}

static inline bool ring_needs_wakeup(const struct xdp_ring *r)
{
    return __atomic_load_n(r->flags, __ATOMIC_SEQ_CST) & XDP_RING_NEED_WAKEUP;
}

static inline uint64_t *ring_address(struct xdp_ring *r, uint32_t at)
{
    return (uint64_t *)r->slots + (at & (XDP_RING - 1));
}

static inline struct xdp_desc *ring_desc(struct xdp_ring *r, uint32_t at)
{
    return (struct xdp_desc *)r->slots + (at & (XDP_RING - 1));
}

/* ---- netlink -------------------------------------------------------------------------------- */

struct nlmsghdr;
struct rtattr;

#define XDP_NETLINK_BYTES 32768 /* as libnetlink: a link's description grows with every kernel */

struct xdp_request {
    alignas(8) uint8_t bytes[256]; /* a header and a handful of attributes */
};

/* Socket of a netlink family that hears `groups`; or -errno. */
int nl_open(int family, uint32_t groups);
void nl_begin(struct xdp_request *r, uint16_t type, uint16_t flags, const void *head, size_t bytes);
void nl_put(struct xdp_request *r, uint16_t type, const void *data, size_t bytes);
/* Send, not waiting for an answer. 0 or -errno. */
int nl_send(int fd, const struct xdp_request *r);
/* One datagram of the kernel's: its bytes; 0: it was a process's; or -errno, -EMSGSIZE: cut. */
ssize_t nl_receive(int fd, uint8_t *bytes, size_t room, int flags);
/* The whole message at `*at`, which moves behind it; NULL: none is left, and `*at` is `end`. */
const struct nlmsghdr *nl_next(const uint8_t *bytes, uint32_t end, uint32_t *at);
/* The message's own header, or NULL: it is shorter than that. */
const void *nl_head(const struct nlmsghdr *m, size_t bytes);
int nl_error(const struct nlmsghdr *m); /* the -errno that an NLMSG_ERROR tells; 0: none */
/* `each` for the messages of one datagram that answer request `seq`. 1: the end, 0: more follow,
 * < 0: the kernel's -errno. */
int nl_take(const uint8_t *bytes, uint32_t len, uint32_t seq,
            void (*each)(const struct nlmsghdr *m, void *arg), void *arg);
/* Send, and call `each` for every message of the answer until its end; 0 or -errno. */
int nl_ask(int fd, const struct xdp_request *r, void (*each)(const struct nlmsghdr *m, void *arg),
           void *arg);
/* The attribute of this type behind `head_bytes` of the message's own header, or NULL. */
const struct rtattr *nl_attr(const struct nlmsghdr *m, size_t head_bytes, uint16_t type);
uint32_t nl_u32(const struct rtattr *a); /* 0 of NULL */
uint64_t nl_u64(const struct rtattr *a);

/* ---- the kernel's view ---------------------------------------------------------------------- */

struct xdp_view {
    int fd; /* hears of link and neighbours, without blocking; also asks to resolve */
    int ifindex;
    bool shared; /* neighbours are wanted */
    bool due;    /* there is something: look without waiting for the time */
    uint64_t looked_ns;
    uint32_t at, end; /* of `bytes`: what was read and not yet told */
    alignas(8) uint8_t bytes[XDP_NETLINK_BYTES];
};

struct xdp_reading {
    int ifindex;
    struct frame_port *port;
    uint32_t addresses_cut, routes_cut; /* for which it had no room */
};

/* Fill what rtnetlink knows of the interface into r->port: mac, mtu, up, the queues that it was made
 * with, and with port->shared addresses and routes. 0 or -errno with `why`. */
int xdp_view_read(struct xdp_reading *r, struct weir_why *why);
/* One message of that; `arg` is the reading. */
void xdp_view_take(const struct nlmsghdr *m, void *arg);
/* The notices, up to n, of the messages bytes[*at..end); `*at` moves behind what was told. */
unsigned xdp_view_tell(int ifindex, const uint8_t *bytes, uint32_t end, uint32_t *at,
                       struct port_notice *ret, unsigned n);
int xdp_view_open(struct xdp_view *v, int ifindex, bool shared, struct weir_why *why);
void xdp_view_close(struct xdp_view *v);
unsigned xdp_view_notices(struct xdp_view *v, struct counters *c, struct port_notice *ret,
                          unsigned n);
void xdp_view_resolve(struct xdp_view *v, struct counters *c, const uint8_t ip[16]);

/* ---- the device ----------------------------------------------------------------------------- */

struct xdp_device {
    uint16_t queues;       /* receive queues in use */
    bool rx_hash, rx_time; /* the driver tells them to an XDP program */
    bool tx_checksum;      /* and completes checksums of zero-copy frames */
    int clock;             /* its PTP clock's number, or -1 */
};

void xdp_device_read(const char *name, int ifindex, struct xdp_device *ret);
/* What a host can not have, code 0, before a device is named. */
void xdp_lesser(struct weir_why *why);

/* Our time is the device's + offset, modulo 2^64. */
struct xdp_clock {
    int fd; /* -1: it has none, and its time stamps mean nothing to us */
    uint64_t offset, compared_ns;
};

/* That of the number; -1: none. */
void xdp_clock_open(struct xdp_clock *c, int number);
void xdp_clock_close(struct xdp_clock *c);
/* Compare again when it is time. */
void xdp_clock_follow(struct xdp_clock *c, uint64_t now_ns);

/* ---- the program ---------------------------------------------------------------------------- */

struct xdp_prog_opt {
    int ifindex;
    uint32_t queues; /* of the device */
    bool generic;    /* do not try native XDP */
    bool frags;      /* frames may come in several buffers */
    bool meta;       /* ask the device for time and hash */
    struct xdp_config config;
    uint8_t prefix[XDP_ADDRESSES]; /* of its addresses */
};

struct xdp_prog;

/* The program of this device, in this network namespace: attached by the first engine of the process,
 * joined by the others. NULL with `why`. */
struct xdp_prog *xdp_prog_open(const struct xdp_prog_opt *opt, struct weir_why *why);
void xdp_prog_close(struct xdp_prog *p);
/* Frames of this queue go to this socket. 0 or -errno. */
int xdp_prog_enter(struct xdp_prog *p, uint32_t queue, int fd);
void xdp_prog_leave(struct xdp_prog *p, uint32_t queue);
/* Take datagrams to `local`, or one engine less wants them. 0 or -errno. */
int xdp_prog_steer(struct xdp_prog *p, const struct weir_addr *local, bool on);
bool xdp_prog_generic(const struct xdp_prog *p);
bool xdp_prog_meta(const struct xdp_prog *p);
/* The addresses that it knows: in shared mode those of the first engine's opening. How many. */
uint32_t xdp_prog_addresses(const struct xdp_prog *p, struct weir_net ret[XDP_ADDRESSES]);
/* Why it is less than was asked for: code 0 where it is not. */
const struct weir_why *xdp_prog_lesser(const struct xdp_prog *p);

/* Who has the program that is attached to the interface: "xdpdump (process 1234), program
 * 'xdp_trace'"; what can be found out. Returns `text`. */
const char *xdp_holder(int ifindex, char *text, size_t bytes);

/* ---- the backend's own state ---------------------------------------------------------------- */

#define XDP_PARTS_MAX 34u /* descriptors of a frame: 65,535 bytes in chunks of 2,048, and a bit */

struct xdp {
    struct weir_buf *bufs; /* header of small slot 0: UMEM chunk i is bufs[i] */
    uint8_t *umem;
    uint64_t umem_bytes;
    uint32_t chunk_shift;
    uint32_t posted; /* buffers that the kernel has to receive into */
    uint32_t lent;   /* as many as it may have: of a small pool the half */
    struct xdp_ring rx, fill, tx, done;
    bool zerocopy, gather, meta, busy_poll, tx_checksum;
    bool napi_known;  /* whether busy_poll can work at all */
    bool entered;     /* our socket is the queue's in the program's map */
    bool tx_waits;    /* descriptors that the kernel has not taken yet */
    bool frames_more; /* frames may come or leave in several descriptors */
    int16_t link_err;
    uint32_t tx_parts;  /* descriptors that a frame may need */
    uint32_t tx_front;  /* bytes in front of what is sent that the kernel reads: all in its chunk */
    uint32_t tx_told;   /* tx.own of the last submit */
    uint32_t tx_budget; /* frames that one sendto takes in copy mode */
    int fd;

    /* A frame whose last part has not come yet. */
    struct weir_buf *part[XDP_PARTS_MAX];
    uint32_t parts, parts_bytes;

    int epoll_fd, promisc_fd;
    uint32_t queue;
    uint64_t stats_ns;
    struct xdp_statistics stats; /* as last counted */
    struct xdp_prog *prog;
    struct xdp_device device;
    struct xdp_clock clock;
    struct frame_port port;
    struct xdp_view view;
};

static inline struct xdp *xdp_of(const struct backend *b)
{
    return b->priv;
}

/* xdp_socket.c */
int xdp_socket_open(struct backend *b, struct xdp *x, struct weir_why *why);
void xdp_socket_close(struct backend *b, struct xdp *x);
/* What the kernel dropped since the last call. */
void xdp_socket_stats(struct backend *b, struct xdp *x);
/* The kernel's own names and values of the socket, for a report. */
void xdp_socket_tell(const struct xdp *x, void (*line)(const char *name, uint64_t value, void *),
                     void *arg);

/* xdp_rx.c */
void xdp_post(struct backend *b, struct xdp *x);
unsigned xdp_rx(struct backend *b, struct weir_buf **ret, unsigned n);

/* xdp_tx.c */
unsigned xdp_tx_room(struct backend *b, unsigned n);
void xdp_tx(struct backend *b, const struct tx_frame *frames, unsigned n);
void xdp_submit(struct backend *b);

#endif
