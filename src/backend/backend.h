/* SPDX-License-Identifier: MIT
 * The seam between the engine and an I/O path: a backend is one file and one row of table.c.
 *
 * The engine embeds `struct backend`; a backend harvests events into it (backend_emit), never
 * calls a handler, and flushes what weir_send queued at endpoints. Socket backends share
 * endpoint.c (the table of endpoints), txq.c (send queues), stream.c (received bytes of a stream)
 * and socket.c (options).
 *
 * A stream's bytes stand in one buffer, ep->rx, which weir_consume shortens from the front.
 *
 * An endpoint's life:  FREE -> OPENING -> OPEN -> (CLOSING: deaf, flushing) -> DYING (completions
 * in flight) -> FREE */
#ifndef WEIR_BACKEND_H
#define WEIR_BACKEND_H

#include "base/base.h"
#include "buf/pool.h"
#include "stat/counter.h"

#include <weir/engine.h>

#define NIL UINT32_MAX /* no index */
#define BACKEND_FAULT_HELD 4096u /* packets that impairments delay at once, both ways together */

enum ep_kind { EP_NONE, EP_UDP, EP_LISTEN, EP_STREAM };
enum ep_state { EP_FREE, EP_OPENING, EP_OPEN, EP_CLOSING, EP_DYING };

/* Bits of endpoint.flags */
#define EP_ON_DIRTY 0x0001u  /* on the list of endpoints to flush */
#define EP_ON_READY 0x0002u  /* on the list of endpoints to read (readiness backends) */
#define EP_ON_OWED 0x0004u   /* on the list of endpoints that have something to tell */
#define EP_ON_LINGER 0x0008u /* on the list of closing and paused endpoints */
#define EP_OPEN_OWED 0x0010u /* what there is to tell, in this order: WEIR_OPEN */
#define EP_DATA_OWED 0x0020u /* bytes arrived that no WEIR_DATA has told */
#define EP_EOF_OWED 0x0040u
#define EP_DRAIN_OWED 0x0080u
#define EP_CLOSED_OWED                                                                             \
    0x0100u /* the stream broke (err) or both halves are closed: nothing more is sent */
#define EP_OWED (EP_OPEN_OWED | EP_DATA_OWED | EP_EOF_OWED | EP_DRAIN_OWED | EP_CLOSED_OWED)
#define EP_REFUSED 0x0200u    /* a send was refused: WEIR_DRAIN is due when there is room */
#define EP_BLOCKED 0x0400u    /* the kernel's send buffer is full: wait for writability */
#define EP_SHUT_ASKED 0x0800u /* weir_shutdown: half-close when the queue is empty */
#define EP_SHUT_DONE 0x1000u  /* our half is closed */
#define EP_PEER_EOF 0x2000u   /* the peer's half is closed */
#define EP_RX_STOPPED 0x4000u /* rx_max reached: not reading until ops->resume */
#define EP_PAUSED 0x8000u /* a listener that waits out a lack of descriptors, until ops->resume */
#define EP_BULK 0x10000u  /* the last read filled its slot: read the next into a big one */
#define EP_LENT 0x20000u  /* a handler has ep->rx now */
#define EP_HUNG 0x40000u  /* the peer's half is closed: read on though a read came back short */
#define EP_DISCARD 0x100000u  /* closing, all is sent: what the peer still sends is thrown away */
#define EP_TX_FAILED 0x80000u /* a send failed (err): what was received is told, then the end */

struct endpoint {
    weir_ep handle; /* generation << 32 | index + 1 */
    weir_handler *handler;
    void *app;
    int fd;
    uint32_t flags;
    uint8_t kind;   /* enum ep_kind */
    uint8_t state;  /* enum ep_state */
    int16_t err;    /* a stream's first error, -errno */
    uint8_t family; /* AF_INET or AF_INET6: of the socket */
    uint8_t reserved[3];
    struct weir_buf *rx; /* unconsumed bytes of a stream, NULL when there are none */
    /* send queue: items linked in order, the head partly sent by tx_off bytes (streams) */
    uint32_t tx_head, tx_tail, tx_count, tx_off;
    uint32_t dirty_next, ready_next, owed_next, linger_next, free_next;
    uint32_t in_flight; /* sends beyond the queue, not completed (uring) */
    uint64_t until_ns;  /* when it is looked at again: end of lingering, or of a pause */
    uint64_t end_ns;    /* closing: the last moment; until_ns is not behind it */
    struct weir_addr local, peer;
    uint64_t priv[4]; /* the backend's own */
};
_Static_assert(sizeof(struct endpoint) <= 256, "an idle stream costs the engine at most 512 bytes");

struct tx_item {
    struct weir_buf *buf; /* holds a tx reference */
    struct weir_addr to;
    uint32_t next;
};
_Static_assert(sizeof(struct tx_item) == 32, "two a cache line");

/* A first-in first-out list through the endpoints, linked by index; each is on a list at most
 * once. */
struct ep_list {
    uint32_t head, tail;
};

struct backend;
struct frame_ops; /* backend/frames.h */
struct wrap;

enum backend_kind { BACKEND_SOCKETS, BACKEND_FRAMES };

struct backend_ops {
    const char *name, *title;
    uint8_t kind;  /* enum backend_kind */
    uint8_t plain; /* a yardstick: the engine gathers nothing for it */
    uint8_t virtual_time; /* its time is weir_sim_now, which only weir_sim_run moves */
    /* Of BACKEND_FRAMES instead of add .. resume; NULL of sockets. Such a backend has probe, open,
     * close, modes, wait, and pool where it makes its own. */
    const struct frame_ops *frames;
    /* Open b->pool, of b->opt.pool's size. NULL: the engine does. */
    struct weir_pool *(*pool)(struct backend *b, struct weir_why *why);
    /* Can this host run it? 0, or -errno with `why`. `modes` gets the features in use and what
     * fell back. */
    int (*probe)(char *modes, size_t bytes, struct weir_why *why);
    int (*open)(struct backend *b, struct weir_why *why); /* b->opt and b->pool are set */
    void (*close)(struct backend *b);                     /* all endpoints are free */
    /* Features in use, a line for the report. */
    void (*modes)(const struct backend *b, char *text, size_t bytes);
    /* Begin to receive, accept or connect on ep->fd (non-blocking, bound, options set). 0 or
     * -errno. */
    int (*add)(struct backend *b, struct endpoint *ep);
    /* Stop for good, close ep->fd. Calls endpoint_free when nothing is in flight: now or in a
     * later rx. */
    void (*del)(struct backend *b, struct endpoint *ep);
    /* Harvest events while backend_room(b). Never blocks. Returns 0 or -errno when beyond repair.
     * */
    int (*rx)(struct backend *b);
    /* Give the queue of one endpoint to the kernel, as far as it takes it. */
    void (*flush)(struct backend *b, struct endpoint *ep);
    /* After all endpoints were flushed: one submission for them (NULL where there is none). */
    void (*submit)(struct backend *b);
    /* The application consumed, or a pause ended: receive or accept again. */
    void (*resume)(struct backend *b, struct endpoint *ep);
    /* Sleep until there is something for rx, the wake descriptor fires, or the timeout (< 0 =
     * none). 0 or -EINTR. */
    int (*wait)(struct backend *b, int64_t timeout_ns);
    /* When rx or submit must be called next though nothing arrives; UINT64_MAX = never. NULL: never.
     * (Wrappers; a frame backend's is in its frame_ops.) */
    uint64_t (*next_ns)(const struct backend *b);
};

/* What the engine gives to its backend. The engine's own struct begins with it. */
struct backend {
    const struct backend_ops *ops;    /* what the engine calls: the row's, the stack's over frames
                                         (engine/frames.c), or a wrapper's */
    const struct backend_ops *device; /* the row of table.c */
    const struct frame_ops *frames;   /* of a frame backend: the row's, or a wrapper's */
    void *priv;                 /* the backend's own state */
    struct wrap *fault, *pcap;  /* wrap_fault.c, wrap_pcap.c; NULL where not asked for */
    struct weir_engine_opt opt; /* zero fields resolved */
    struct weir_pool *pool;
    struct counters counters;
    uint64_t now_ns; /* of the current poll */
    int wake_fd;     /* eventfd: a backend waits for its *edges*, nobody reads it */
    bool starved;    /* no buffer to receive into: the ready list is no reason to poll now */
    bool more; /* the last rx left something behind (completions; else the ready list tells) */

    struct weir_event *events; /* capacity poll_events + some that the engine adds */
    uint32_t n_events, max_events;

    struct endpoint *eps;
    uint32_t eps_max, eps_free, eps_used;
    uint32_t eps_other; /* of those used, streams and listeners */
    struct tx_item *items;
    uint32_t items_max, items_free, items_used;
    struct ep_list dirty;    /* endpoints to flush */
    struct ep_list ready;    /* endpoints to read */
    struct ep_list owed;     /* endpoints that have something to tell */
    struct ep_list linger;   /* closing or paused endpoints, each with until_ns */
    uint64_t linger_next_ns; /* the earliest of them, UINT64_MAX = none */

    struct weir_why lesser[8]; /* what the host refused, for the report */
    uint32_t n_lesser;
};

/* ---- endpoint.c ----------------------------------------------------------------------------- */

static inline struct endpoint *endpoint_at(struct backend *b, uint32_t index)
{
    return &b->eps[index];
}
static inline uint32_t endpoint_index(const struct endpoint *ep)
{
    return (uint32_t)ep->handle - 1;
}

/* The endpoint of a handle, or NULL when it is stale (closed, closing or never was). */
struct endpoint *endpoint_get(struct backend *b, weir_ep handle);
/* A free one with a fresh generation, state OPENING; NULL when all are in use. ON_ flags survive
 * its reuse. */
struct endpoint *endpoint_new(struct backend *b, unsigned kind, int fd, weir_handler *handler,
                              void *app);
/* Back to the free list: its queue and rx buffer are dropped (counted). Nothing may be in flight.
 * */
void endpoint_free(struct backend *b, struct endpoint *ep);

/* The lists. Adding one that is there already does nothing; pop returns NULL at the end. */
void endpoint_dirty(struct backend *b, struct endpoint *ep);
struct endpoint *endpoint_pop_dirty(struct backend *b);
void endpoint_ready(struct backend *b, struct endpoint *ep);
struct endpoint *endpoint_pop_ready(struct backend *b);
void endpoint_owe(struct backend *b, struct endpoint *ep, unsigned what);
void endpoint_linger(struct backend *b, struct endpoint *ep, uint64_t until_ns);

/* What a backend tells of a stream. These only note what is owed; endpoints_tell emits it, so that
 * a stream has one WEIR_DATA a poll and its events stand together. Datagrams are emitted at once.
 * */

/* An accepted stream: a new endpoint with the listener's handler and WEIR_OPEN owed. NULL: all in
 * use, `fd` was closed and counted. The caller then begins to receive on it. */
struct endpoint *endpoint_accepted(struct backend *b, struct endpoint *listener, int fd,
                                   const struct weir_addr *peer);
/* A connect ended: err 0, or -errno (which is endpoint_fail). */
void endpoint_connected(struct backend *b, struct endpoint *ep, int err);
/* A stream broke: what was received is told first, then WEIR_CLOSED. A closing one is deleted. */
void endpoint_fail(struct backend *b, struct endpoint *ep, int err);
/* A stream's send failed: nothing more is sent, but what the peer sent before is still to be read.
 * The read side ends it: with its own error, or with this one at the end of file. */
void endpoint_send_failed(struct backend *b, struct endpoint *ep, int err);
/* An accept failed: counts, and pauses the listener (EP_PAUSED, ops->resume after 10 ms) where
 * something ran out. */
void endpoint_accept_failed(struct backend *b, struct endpoint *listener, int err);
/* The send queue moved: half-close, close or WEIR_DRAIN when their time has come. After every
 * flush or completion. */
void endpoint_tx_moved(struct backend *b, struct endpoint *ep);

/* Emit what is owed, while there is room. Called by the engine after ops->rx. */
void endpoints_tell(struct backend *b);
/* Lingering ends, pauses end. Called by the engine once now_ns >= linger_next_ns. */
void endpoints_expire(struct backend *b);
/* A closing endpoint's last moment: ops->del. */
void endpoint_end(struct backend *b, struct endpoint *ep);
/* The application closes. Not yet deaf: ops->del follows now, or when the queue is empty. */
void endpoint_close(struct backend *b, struct endpoint *ep, bool abort);

/* Room for one more event? */
static inline bool backend_room(const struct backend *b)
{
    return b->n_events < b->max_events;
}
struct weir_event *backend_emit(struct backend *b, struct endpoint *ep, unsigned kind,
                                struct weir_buf *buf);
void backend_lesser(struct backend *b, int code, const char *where, const char *fix,
                    const char *what, ...) printf_like(5, 6);

/* ---- txq.c ---------------------------------------------------------------------------------- */

/* Append; false when no item is free. Takes over one reference as a tx reference (buf_to_tx was
 * called). */
bool txq_push(struct backend *b, struct endpoint *ep, struct weir_buf *buf,
              const struct weir_addr *to);
/* The same of a burst, each to its buf->peer. Returns how many. */
unsigned txq_push_many(struct backend *b, struct endpoint *ep, struct weir_buf **bufs, unsigned n);
/* The first `n` items are done: buffers come home, items are free. Not a stream's (see
 * txq_advance). */
void txq_pop(struct backend *b, struct endpoint *ep, unsigned n);
/* Unlink the head without completing it: the item's buffer is the caller's tx reference now
 * (uring: until completion). */
struct weir_buf *txq_detach(struct backend *b, struct endpoint *ep, struct weir_addr *to);
/* The same of the first `n`, whose buffers the caller knows. */
void txq_detach_many(struct backend *b, struct endpoint *ep, unsigned n);
static inline struct tx_item *txq_head(struct backend *b, struct endpoint *ep)
{
    return ep->tx_head == NIL ? NULL : &b->items[ep->tx_head];
}
static inline struct tx_item *txq_next(struct backend *b, struct tx_item *item)
{
    return item->next == NIL ? NULL : &b->items[item->next];
}
/* A stream sent `bytes` from the head on: pops whole items, moves tx_off. Counts stream bytes. */
void txq_advance(struct backend *b, struct endpoint *ep, size_t bytes);

/* One datagram or GSO batch, from `*next` on: the payloads of neighbours that may leave in one
 * call (same destination, same size, the last may be shorter), at most `max` (1 = no GSO) and
 * 65,487 bytes. Returns how many; *segment is the GSO size, 0 for a single one; *next is moved
 * behind them. Nothing is popped. */
unsigned txq_gather(struct backend *b, struct tx_item **next, struct weir_buf **bufs, unsigned max,
                    uint32_t *segment);

/* ---- datagram.c ----------------------------------------------------------------------------- */

/* What one receive brought and what of it was told. */
struct received {
    weir_ep handle;
    struct weir_buf *buf;   /* state APP, the peer set */
    uint32_t done, segment; /* bytes told; size of the merged datagrams, 0 for a single one */
};

/* Emit what was received, room permitting. True: all was told (or its endpoint is gone) and the
 * buffer is passed on; false: call again next poll. */
bool received_tell(struct backend *b, struct received *r);

/* ---- stream.c ------------------------------------------------------------------------------- */

/* Where the next bytes of the stream may be read to, without a copy: bytes at *to, or 0: with
 * EP_RX_STOPPED set when rx_max is reached (wait for ops->resume), else the pool is empty
 * (counted; try again next poll). Grows small -> big -> run as bytes stay unconsumed. */
size_t stream_room(struct backend *b, struct endpoint *ep, uint8_t **to);
/* `n` bytes were read to where stream_room said. */
void stream_landed(struct backend *b, struct endpoint *ep, size_t n);
/* A slot that the kernel filled becomes the stream's unconsumed bytes, or is merged into them (a
 * counted copy) and dropped. True: taken over. False: it is still the caller's, shortened by
 * what was merged: rx_max is reached (EP_RX_STOPPED), or the pool is empty. */
bool stream_adopt(struct backend *b, struct endpoint *ep, struct weir_buf *buf);
/* Bytes from elsewhere are copied in (a counted copy by the caller's path). False: no room,
 * nothing was copied. */
bool stream_append(struct backend *b, struct endpoint *ep, const void *from, size_t n);
/* The peer's half is closed. */
void stream_eof(struct backend *b, struct endpoint *ep);
/* A handler gets ep->rx: marks it lent. NULL: there is nothing unconsumed any more. Called by the
 * engine. */
struct weir_buf *stream_lend(struct backend *b, struct endpoint *ep);
/* It returned: was the buffer taken? */
void stream_returned(struct backend *b, struct endpoint *ep);
/* weir_consume. 0 or -EINVAL. Calls ops->resume when the stream may read again. */
int stream_consume(struct backend *b, struct endpoint *ep, size_t bytes);
/* Unconsumed bytes reached rx_max. */
bool stream_full(const struct backend *b, const struct endpoint *ep);

/* ---- socket.c ------------------------------------------------------------------------------- */

/* A non-blocking close-on-exec socket bound to `addr` (or connecting to it), options from b->opt;
 * the granted buffer sizes go to the report. Returns the descriptor or -errno. */
int socket_datagram(struct backend *b, const struct weir_addr *local, uint8_t *family);
int socket_listen(struct backend *b, const struct weir_addr *local, uint8_t *family);
int socket_stream(struct backend *b, const struct weir_addr *remote,
                  uint8_t *family); /* not yet connected */
/* Begin to connect a non-blocking socket to ep->peer. 0 or -errno. */
int socket_connect(const struct endpoint *ep);
/* Throw away what a stream received: 1 there may be more, 0 nothing now, < 0 its end or an
 * error. */
int socket_discard(int fd);
/* Our half is closed. */
void socket_shutdown(int fd);
/* The next connection of a listener, non-blocking: its descriptor, or -errno. */
int socket_accept(int fd, struct weir_addr *peer);
int socket_local(int fd, struct weir_addr *ret);
int socket_error(int fd);     /* SO_ERROR as -errno, 0 = none */
int socket_broken_by(int fd); /* the same of one that hung up: never 0 */
int64_t socket_drops(int fd); /* SO_MEMINFO */
void socket_reset(int fd);    /* the coming close sends a reset */
bool socket_gro(int fd);      /* ask for UDP_GRO; true when granted */
/* Descriptors of the engine that are no socket, too. */
void socket_close(int fd);

/* A datagram send failed: counts by errno. True: drop it and go on; false: the kernel is full,
 * keep it: for -EAGAIN EP_BLOCKED is set (wait for writability), for -ENOBUFS and -ENOMEM the
 * endpoint is dirty again for the next poll. */
bool socket_send_failed(struct backend *b, struct endpoint *ep, int err);

/* ---- wake.c --------------------------------------------------------------------------------- */

/* The descriptor by which another thread wakes a sleeping engine, or -errno. */
int wake_open(void);
/* Sleep until it is rung, or for `timeout_ns` (< 0 = for ever): for whoever waits for nothing else.
 * 0 or -EINTR. */
int wake_wait(int fd, int64_t timeout_ns);
/* Make it readable once more. Any thread, and signal handlers: keeps errno. */
void wake_ring(int fd);

/* ---- table.c -------------------------------------------------------------------------------- */

extern const struct backend_ops backend_naive, backend_epoll, backend_uring, backend_xdp, backend_dpdk,
    backend_sim;
const struct backend_ops *backend_find(const char *name, struct weir_why *why);

#endif
