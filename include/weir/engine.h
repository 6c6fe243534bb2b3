/* SPDX-License-Identifier: MIT
 * The engine: one handler over every I/O path.
 *
 *  wire -rx-> backend -> buf -> handler -> buf -> backend -tx-> wire
 *
 * An engine belongs to one thread, that which opened it: every call here is for that thread, except
 * weir_wake, weir_stop and weir_engine_counters. Nothing is allocated after weir_engine_open. */
#ifndef WEIR_ENGINE_H
#define WEIR_ENGINE_H

#include <weir/base.h>
#include <weir/buf.h>
#include <weir/frames.h>
#include <weir/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_engine;

/* An endpoint: a generation-checked handle, never a pointer. 0 is none. A stale one gives -EBADF.
 * */
typedef uint64_t weir_ep;

enum weir_event_kind {
    WEIR_NONE,     /* blanked: its endpoint was closed earlier in this burst */
    WEIR_OPEN,     /* a stream is established: connected, or accepted (a new ep) */
    WEIR_DATAGRAM, /* buf: one datagram, buf->peer its source */
    WEIR_DATA,     /* buf: all bytes of the stream that were not consumed; see weir_consume */
    WEIR_EOF,      /* the peer will send no more; sending is still possible */
    WEIR_DRAIN,    /* a send was not taken whole before; there is room again. A stream's
                      unconsumed bytes are told once more, just before it */
    WEIR_CLOSED,   /* the stream is over, err 0 or -errno; its handle is stale after this */
    WEIR_TIMER,    /* token: what weir_timer was given */
    WEIR_WAKE,     /* weir_wake was called, once or more */
    WEIR_LINK /* the device of a frame backend: err 0 up, -ENETDOWN down, -ENODEV gone for good */
};

#define WEIR_RX_STAMPED 1u /* flags: rx_ns is the device's time stamp */

struct weir_event {
    uint8_t kind; /* enum weir_event_kind */
    uint8_t flags;
    int16_t err; /* of WEIR_CLOSED and WEIR_LINK */
    uint32_t reserved;
    weir_ep ep; /* 0 for WEIR_TIMER, WEIR_WAKE and WEIR_LINK */
    union {
        struct weir_buf *buf; /* borrowed until the handler returns, else NULL */
        uint64_t token;
    };
    uint64_t rx_ns; /* monotonic time of the poll that received it; with WEIR_RX_STAMPED when the
                       device did */
};

/* A burst of events of one endpoint (or, with ep 0, of the engine). It may call everything below
 * except weir_poll, weir_wait, weir_run and weir_engine_close. */
typedef void weir_handler(struct weir_engine *engine, struct weir_event *events, unsigned n,
                          void *app);

struct weir_engine_opt {
    const char
        *backend; /* a name that weir_backend_info tells; NULL = the best that this host has */
    weir_handler *handler; /* for WEIR_TIMER, WEIR_WAKE, WEIR_LINK; may be NULL when none is used */
    void *app;             /* given to it */
    uint32_t endpoints_max; /* 0 = 4,096 */
    uint32_t timers_max;    /* 0 = 1,024 */
    uint32_t tx_max;        /* buffers queued at one endpoint before weir_send refuses; 0 = 4,096 */
    uint32_t rx_max; /* unconsumed bytes at which a stream stops reading; 0 = 65,536 - headroom */
    uint32_t burst;  /* datagrams of one receive or send call; 0 = 64 */
    uint32_t poll_events;      /* events of one poll at most; 0 = 1,024 */
    uint32_t sock_bytes;       /* SO_RCVBUF and SO_SNDBUF of datagram sockets; 0 = 16 MiB */
    uint64_t linger_ns;        /* how long a closed stream may deliver what is queued; 0 = 10 s */
    uint64_t zerocopy_bytes;   /* sends from this size on ask for zero-copy; 0 = 16 KiB */
    struct weir_pool_opt pool; /* zero fields get sizes summed from the above */
    uint64_t coalesce_ns;      /* spin: how long dense datagrams may gather before one call takes
                                  them all; 0 = 50 us. Only while the engine has neither streams nor
                                  listeners and has not sent for that long: no answer waits for it */
    uint16_t worker;           /* of several engines, which one: a crew counts it up */
    uint8_t reuse_port;        /* several engines share one port (SO_REUSEPORT); a crew sets it */
    uint8_t spin;              /* weir_run never sleeps: it polls, with the CPU's pause hint */
    uint8_t busy_poll;         /* ask for SO_BUSY_POLL where the host has it */
    uint8_t no_coalesce;       /* spin: look at every poll, whatever it costs a datagram */
    uint8_t no_gro;            /* do not ask the kernel to merge datagrams on receive or send */
    struct weir_frames_opt frames; /* of a frame backend (weir_backend_info.frames) */
    /* Any backend: what is sent and received is impaired, both ways; datagrams and frames only. */
    struct weir_impair impair;
    /* Any backend: datagrams and frames are captured to this pcapng file, next to the wire; the
     * second worker of a crew writes to PCAP.1, and so on. Sockets' datagrams stand behind headers
     * made up for them; streams are not captured. */
    const char *pcap;
    uint64_t pcap_bytes; /* which grows to at most this; 0 = 64 MiB */
};

/* Open an engine on the calling thread.
 * Errors  NULL with `why` (may be NULL): unknown or unavailable backend, no memory, bad option */
struct weir_engine *weir_engine_open(const struct weir_engine_opt *opt, struct weir_why *why);

/* Close every endpoint (streams are aborted), free everything. Buffers that the application still
 * holds must be dropped before. Errors  -EBUSY: buffers are out; the engine is closed, its pool is
 * leaked. */
int weir_engine_close(struct weir_engine *engine);

struct weir_pool *weir_engine_pool(struct weir_engine *engine);
const char *weir_engine_backend(const struct weir_engine *engine);

/* What the host gave and refused, a line each through `line` (backend's modes, pages, buffer
 * sizes). */
void weir_engine_report(const struct weir_engine *engine,
                        void (*line)(const struct weir_why *, void *), void *arg);

/* What the device itself counts (dpdk: the driver's extended statistics; sim: its wires'), one by
 * one through `line`; nothing on sockets, and where a device counts nothing of its own. Whether a
 * count of 0 is told, is the device's choice.
 * Shape   `name` is as the device has it, and lives until `line` returns
 * Thread  the engine's own, as all calls here.  Cost system calls, some us to ms: not per packet */
void weir_engine_device_stats(const struct weir_engine *engine,
                              void (*line)(const char *name, uint64_t value, void *arg),
                              void *arg);

/* Any thread: a snapshot of the counters. */
void weir_engine_counters(const struct weir_engine *engine, struct weir_counters *ret);

/* ---- endpoints
 * ------------------------------------------------------------------------------------- All return
 * 0 or -errno; `app` is given to `handler` with every event of the endpoint. */

/* Errors  -EADDRINUSE, -EADDRNOTAVAIL, -EACCES ..., -ENFILE: all endpoints in use */
int weir_udp_open(struct weir_engine *engine, const struct weir_addr *local, weir_handler *handler,
                  void *app, weir_ep *ret);

int weir_tcp_listen(struct weir_engine *engine, const struct weir_addr *local,
                    weir_handler *handler, void *app, weir_ep *ret);

/* WEIR_OPEN follows when it is established, or WEIR_CLOSED with err. Sends before WEIR_OPEN are
 * queued. */
int weir_tcp_connect(struct weir_engine *engine, const struct weir_addr *remote,
                     weir_handler *handler, void *app, weir_ep *ret);

/* Another handler and app for an endpoint (from the next burst on): what an accepted stream needs.
 * */
int weir_ep_handler(struct weir_engine *engine, weir_ep ep, weir_handler *handler, void *app);

int weir_ep_local(struct weir_engine *engine, weir_ep ep, struct weir_addr *ret);
int weir_ep_peer(struct weir_engine *engine, weir_ep ep, struct weir_addr *ret);

/* Datagrams that the kernel dropped at this endpoint's socket buffer so far, or -errno. */
int64_t weir_ep_drops(struct weir_engine *engine, weir_ep ep);

/* Largest datagram payload, or SSIZE_MAX-like bound of one stream buffer, in bytes. */
int64_t weir_ep_mtu(struct weir_engine *engine, weir_ep ep);

/* Queue `n` buffers for transmission; they leave at the end of the poll.
 * Shape   bufs[i]->data[0 .. len), len <= weir_ep_mtu; bufs[i]->peer is the destination of a
 * datagram
 * Owner   the first r (returned) belong to the engine, borrowed ones included; the rest still to
 * the caller
 * Errors  -EBADF stale; -EPIPE after weir_shutdown; -EMSGSIZE when the first does not fit, else
 * fewer than n are
 *         taken; 0 = queue full, try again after WEIR_DRAIN
 * Cost    no system call, no copy */
int weir_send(struct weir_engine *engine, weir_ep ep, struct weir_buf **bufs, unsigned n);

/* Queue one payload to `n` datagram peers; buf->peer is not used. The caller keeps its reference
 * and may not write the payload until the engine's references are home. Returns how many peers
 * were taken. */
int weir_send_many(struct weir_engine *engine, weir_ep ep, struct weir_buf *buf,
                   const struct weir_addr *to, unsigned n);

/* The first `bytes` of the stream's unconsumed bytes are done with: the next WEIR_DATA begins
 * behind them. A WEIR_DATA buffer that was sent or kept counts as consumed whole. Errors  -EBADF,
 * -EINVAL: more than there is */
int weir_consume(struct weir_engine *engine, weir_ep ep, size_t bytes);

/* Half-close: after what is queued, the peer sees end of file. */
int weir_shutdown(struct weir_engine *engine, weir_ep ep);

/* Close: what is queued still leaves, and a stream then waits for the peer's end and throws away
 * what comes before it, so that no reset destroys what is on its way: both for at most
 * linger_ns. The handle is stale at once; no event follows, those later in the burst are
 * blanked. */
int weir_close(struct weir_engine *engine, weir_ep ep);

/* Close at once: a stream is reset, what is queued is dropped. */
int weir_abort(struct weir_engine *engine, weir_ep ep);

/* ---- time and other threads ----------------------------------------------------------------- */

/* WEIR_TIMER with `token` at the first poll at or after `at_ns` (monotonic).
 * Errors  -ENOSPC: timers_max are armed.  Returns an id > 0 for weir_timer_cancel.  Cost O(log n)
 * */
int64_t weir_timer(struct weir_engine *engine, uint64_t at_ns, uint64_t token);
int weir_timer_cancel(struct weir_engine *engine, int64_t id); /* -ENOENT: fired or unknown */

/* Any thread: one WEIR_WAKE at the next poll, however often it is called before. Cost one atomic;
 * a system call when the engine sleeps. The engine must not be closed at the same time. */
void weir_wake(struct weir_engine *engine);

/* ---- the loop ------------------------------------------------------------------------------- */

/* One turn: receive, call back, timers, send. `now_ns` is the time that events and timers see.
 * Returns the number of events, or -errno when the backend is beyond repair. Bounded work. */
int weir_poll(struct weir_engine *engine, uint64_t now_ns);

/* When weir_poll must be called next though nothing arrives: a time, 0 = at once, UINT64_MAX =
 * never. */
uint64_t weir_next_ns(const struct weir_engine *engine);

/* Sleep until something arrives, a wake, or `timeout_ns` (< 0 = for ever). Returns 0, or -EINTR on
 * a signal. */
int weir_wait(struct weir_engine *engine, int64_t timeout_ns);

/* Poll and wait (or spin) until weir_stop. Returns 0 or -errno. A signal handler may call
 * weir_stop. */
int weir_run(struct weir_engine *engine);
void weir_stop(struct weir_engine *engine); /* any thread, and signal handlers */

/* ---- crew: pinned worker threads, one engine each ------------------------------------------- */

struct weir_crew;

struct weir_crew_opt {
    struct weir_engine_opt engine; /* the same for all; reuse_port is set when workers > 1 */
    uint32_t workers;              /* 0 = 1 */
    const int *cores;              /* workers cores to pin to; NULL = the first allowed ones */
    uint8_t unpinned;              /* do not pin */
    uint8_t fifo;                  /* SCHED_FIFO priority, 0 = not asked */
    uint64_t stall_ns; /* a worker that has not polled for so long is named by the watchdog
                          (weir_crew_health); 0 = 100 ms */
    /* Called on the worker's thread with its engine: opens endpoints. != 0 (-errno) ends the
     * start. */
    int (*start)(struct weir_engine *engine, unsigned worker, void *app, struct weir_why *why);
    void (*stop)(struct weir_engine *engine, unsigned worker,
                 void *app); /* before its engine closes; may be NULL */
    void *app;
};

/* Start the workers; returns when every one runs, or NULL with the first failure's `why`, all
 * joined. */
struct weir_crew *weir_crew_start(const struct weir_crew_opt *opt, struct weir_why *why);
unsigned weir_crew_workers(const struct weir_crew *crew);
struct weir_engine *weir_crew_engine(struct weir_crew *crew,
                                     unsigned worker); /* for weir_wake and counters */
/* A refused privilege of a worker (pin, SCHED_FIFO), code 0 when there was none. */
const struct weir_why *weir_crew_refused(const struct weir_crew *crew, unsigned worker);
/* Stop, join, close the engines, free. Returns 0 or the first worker's -errno. */
int weir_crew_stop(struct weir_crew *crew);

/* How one worker stands: what `weir_crew_health` fills. Everything counts from the start; what
 * happened between two looks is weir_health_since's. */
struct weir_health {
    uint32_t worker;
    int32_t core;       /* it is pinned to; -1: it is not */
    int32_t queue;      /* of the device, this worker's own; -1: sockets, or a guest */
    int32_t host;       /* a guest of a frame backend: whose queue serves it; else -1 */
    uint64_t at_ns;     /* when this was taken; of weir_health_since: how long a time it is of */
    uint64_t polled_ns; /* when its last poll began; 0: none yet */
    /* The watchdog. Not 0: it has neither polled nor slept since polled_ns, which is so long ago and
     * longer than weir_crew_opt.stall_ns. `why` then names it, and what it was about to do. */
    uint64_t stalled_ns;
    struct weir_why why;
    uint8_t sleeping;               /* in weir_wait */
    uint8_t stopped;                /* its run is over */
    uint64_t packets, sent;         /* datagrams told, datagrams sent */
    uint64_t dropped;               /* packets that ended at this worker: the sum of weir_health_drop
                                       but for pool_empty, which is a cause and no packet */
    double cycles_a_packet;         /* busy cycles by datagrams told and sent; 0: there were none */
    double busy;                    /* share of the time that polls with work took, 0 .. 1 */
    uint64_t pool_total, pool_free; /* small buffers, as of its last poll */
    uint64_t ring_slots, ring_used; /* of the fullest ring from another worker; 0: there are none */
    struct weir_counters counters;  /* all of them: weir_health_drop says which are losses */
};

/* One for each worker, at most `n`. Returns how many.
 * Thread  any, while the crew runs; the workers are not disturbed.  Cost some us a worker */
unsigned weir_crew_health(struct weir_crew *crew, struct weir_health *ret, unsigned n);
/* What happened between two looks at one worker: counters, packets, sent, dropped, busy and
 * cycles_a_packet of that time; the rest is as in `after`. `ret` may be either. */
void weir_health_since(const struct weir_health *after, const struct weir_health *before,
                       struct weir_health *ret);
/* The i-th reason for which a packet ends without being told or sent, from the wire to the
 * application and back, and its count; -ENOENT past the end. */
int weir_health_drop(const struct weir_health *health, unsigned i, const char **name,
                     const char **text, uint64_t *count);

/* ---- the table of backends ------------------------------------------------------------------ */

struct weir_backend_info {
    const char *name;  /* "epoll" */
    const char *title; /* "sockets, recvmmsg and sendmmsg" */
    uint8_t built, available;
    uint8_t frames;  /* our own stack does layers 2 to 4; weir_engine_opt.frames says over what */
    uint8_t streams; /* it has TCP; else weir_tcp_listen and _connect return -EOPNOTSUPP */
    struct weir_why
        why;         /* when not available: the reason and the remedy; else lesser modes, code 0 */
    char modes[256]; /* features in use on this host, and what fell back */
};

/* The i-th backend, probed now. Errors  -ENOENT past the end.  Cost system calls */
int weir_backend_info(unsigned index, struct weir_backend_info *ret);

#ifdef __cplusplus
}
#endif
#endif
