/* SPDX-License-Identifier: MIT
 * The lab: load generators that check themselves, the ladder of offered rates, a canary for
 * moved cores, drop counters of the host, and a private pair of network namespaces to do it all
 * in.
 *
 *     generator thread                         worker threads
 *     weir_load_run ---- loopback, or a veth pair between two namespaces ----> what is measured
 *
 * Nothing here uses the engine: a generator must not depend on what it measures. Traffic leaves
 * the machine only where the caller names a target that does. */
#ifndef WEIR_LAB_H
#define WEIR_LAB_H

#include <weir/base.h>
#include <weir/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_lab;

/* ---- load generators ------------------------------------------------------------------------ */

enum weir_load {
    WEIR_LOAD_FLOOD,   /* UDP one way, many flows, none twice in a row: nothing merges */
    WEIR_LOAD_STREAM,  /* UDP one way, one flow, UDP_SEGMENT: the kernel may merge */
    WEIR_LOAD_ECHO,    /* UDP round trips, open-loop at a set rate */
    WEIR_LOAD_TCP,     /* request and response over standing connections */
    WEIR_LOAD_CONNECT, /* connect, one exchange, close */
    WEIR_LOADS
};

const char *weir_load_name(enum weir_load load); /* "flood"; NULL: no such load */

/* The moments of a run, told on the generator's thread (pinned, and in the client's namespace of a
 * lab) so that the caller can read its counters just then. */
enum weir_load_mark {
    WEIR_MARK_START,  /* the warm-up is over, the window opens (all is open and connected) */
    WEIR_MARK_END,    /* the window closed: nothing is sent any more; replies may still come */
    WEIR_MARK_DRAINED /* the last reply came, or drain_ns is over; one-way: at once after END */
};

struct weir_load_opt {
    enum weir_load load;
    struct weir_addr target;
    /* Payload of a datagram, or of request and of response; 0 = 64. ECHO: at least 16. */
    uint32_t bytes;
    /* A second: datagrams, requests or connections; 0 = as fast as possible (not ECHO). */
    uint64_t rate;
    uint64_t duration_ns; /* the window that is measured; 0 = 1 s */
    /* The same load before it: in `all`, but not in `window` nor in the histograms. */
    uint64_t warmup_ns;
    uint64_t drain_ns; /* how long to wait for the last replies; 0 = 200 ms */
    uint64_t late_ns;  /* a send this much after its intended time is late; 0 = 50 us */
    uint32_t flows;    /* source ports of FLOOD (0 = 1,000) and ECHO (0 = 1) */
    /* TCP: connections (0 = 1). CONNECT: attempts in flight at most (0 = 64). */
    uint32_t connections;
    int core; /* the calling thread is pinned there while it runs; -1: left as it is */
    /* May be NULL. Not 0 (a relaxed load) ends the run early and cleanly. */
    const int *stop;
    /* Run on its client side, FLOOD and ECHO as frames (AF_XDP). NULL: sockets, right here. */
    struct weir_lab *lab;
    /* Of the lab's queues, the one that frames leave by, and so arrive at on the server's side, and
     * at which their answers are looked for. */
    uint16_t queue;
    /* FLOOD in a lab, rate 0: XDP live frames, which outrun AF_XDP. They come in calls of up to
     * 1 s, which `stop` waits for; the warm-up is one short call, whatever warmup_ns says. The kernel, and not
     * `queue`, chooses the queue of such a frame, by the core. */
    uint8_t live_frames;
    uint8_t no_merge; /* STREAM: sendmmsg of single datagrams instead of UDP_SEGMENT */
    void (*mark)(enum weir_load_mark mark, uint64_t now_ns, void *arg); /* may be NULL */
    void *mark_arg;
    /* Where values are recorded, in ns. The caller's, each may be NULL.
     * latency   ECHO, TCP, CONNECT (the exchange): from the intended time where there is a rate,
     *           else from the send, which hides the server's stalls (coordinated omission)
     * setup     CONNECT: from connect called (or intended) to established
     * teardown  CONNECT: from our shutdown to the peer's end of stream */
    struct weir_histogram *latency, *setup, *teardown;
};

/* X(name, text). sent + tx_full + tx_refused + tx_error == tried; planned - tried was never tried
 * (the generator fell behind). Where there are replies, received + lost == sent: a corrupt reply
 * leaves its request lost, and so does a connection that failed, was reset or is unfinished. */
#define WEIR_LOAD_COUNTS(X)                                                                        \
    X(planned, "sends (connections) that the rate asked for; without a rate those tried")          \
    X(tried, "sends (connections) attempted")                                                      \
    X(sent, "datagrams, requests or connection attempts that the kernel took")                     \
    X(received, "right replies: datagrams, responses or whole connections")                        \
    X(lost, "sent, and without a right reply when the drain was over")                             \
    X(late, "sends more than late_ns after their intended time")                                   \
    X(duplicate, "replies that came again")                                                        \
    X(reordered, "replies with a lower number than one before them")                               \
    X(corrupt, "replies with a wrong length or content")                                           \
    X(rx_full, "replies that the generator itself had no room for (also in `lost`)")               \
    X(foreign, "packets that are no reply to this run")                                            \
    X(tx_full, "sends refused because a queue was full (EAGAIN, ENOBUFS)")                         \
    X(tx_refused, "sends that reported an earlier refusal (ECONNREFUSED, unreachable)")            \
    X(tx_error, "sends that failed otherwise")                                                     \
    X(connect_error, "connections that could not be made")                                         \
    X(reset, "connections that ended before their exchange was done")                              \
    X(unfinished, "connections still open when the drain was over")                                \
    X(syscalls, "system calls of the generator")

struct weir_load_counts {
#define X(name, text) uint64_t name;
    WEIR_LOAD_COUNTS(X)
#undef X
};

struct weir_load_result {
    struct weir_load_counts window; /* sends intended inside of it, and their replies */
    struct weir_load_counts all;    /* warm-up included: what a receiver's totals agree with */
    uint64_t start_ns, end_ns;      /* the window as it was: what rates divide by */
    uint64_t cpu_ns;                /* CPU time of the generator's thread in the window */
    double achieved;                /* window.sent / window.planned; 1.0 where no rate was set */
    uint8_t stopped;                /* early, by `stop`: planned is what was due until then */
    uint8_t closed_loop;            /* latency is that of a closed loop */
    /* The self-check: code 0, or why these figures cannot be trusted. It sent less than 99.5 % of
     * its plan, had its core for less than 95 %, had no room for more than 0.1 % of the replies. */
    struct weir_why invalid;
    char mode[96]; /* how it was sent: "AF_XDP frames, copy mode, 1000 flows" */
};

/* Run one load to its end, on the calling thread, spinning.
 * Owner   everything in `opt` stays the caller's
 * Errors  -EINVAL bad option, -ECONNREFUSED and the like when nothing could be opened, -EPERM,
 *         -EMFILE (raise RLIMIT_NOFILE before: 1,000 flows are 1,000 sockets), -ENOMEM; `why` (may
 *         be NULL) says what. A peer's misbehaviour is a count and a missed plan is ret->invalid:
 *         both return 0
 * Thread  any; it is pinned and, for a lab, moved for the time of the call only
 * Cost    allocates before the window only; at most warmup + duration + drain + 2 s to connect */
int weir_load_run(const struct weir_load_opt *opt, struct weir_load_result *ret,
                  struct weir_why *why);

/* ---- pacing: pure arithmetic, so that every generator plans alike ---------------------------- */

/* How many sends are due in the first `elapsed_ns` of a run at `rate` a second, and when send k
 * (from 0) is intended. Exact to the nanosecond and without drift, up to 2^63 ns and 10^9 a
 * second. */
uint64_t weir_pace_due(uint64_t rate, uint64_t elapsed_ns);
uint64_t weir_pace_ns(uint64_t rate, uint64_t k);

/* ---- the ladder of offered rates ------------------------------------------------------------- */

enum weir_ladder_goal {
    WEIR_LADDER_GOODPUT, /* the most that arrives, whatever is lost */
    WEIR_LADDER_LOSSLESS /* the highest rate of which at most loss_max is lost */
};

/* `rate` is the ladder's (0 = as fast as possible), the rest is filled by the caller. */
struct weir_rung {
    uint64_t rate;           /* offered */
    uint64_t sent, received; /* of the window */
    uint64_t ns;             /* its length */
    double idle;             /* share of it in which the receiver found no work; < 0: unknown */
    uint8_t invalid;         /* the generator did not keep its plan: no answer from this rung */
};

#define WEIR_RUNGS_MAX 32

struct weir_ladder_opt {
    enum weir_ladder_goal goal;
    uint64_t rate_min, rate_max; /* first rung and the bound; both > 0 */
    uint8_t unpaced;             /* GOODPUT: the last rung is rate 0 */
    double loss_max;             /* LOSSLESS: share that may be lost; 0 = none at all */
    double idle_max;             /* generator-bound above this; 0 = 0.05 */
    double resolution;           /* stop when neighbours differ by less than this; 0 = 1.1 */
    uint32_t rungs_max;          /* 0 = 12, at most WEIR_RUNGS_MAX */
    int (*run)(struct weir_rung *rung, void *arg); /* < 0 (-errno) ends the ladder */
    void *arg;
};

struct weir_ladder_result {
    struct weir_rung rungs[WEIR_RUNGS_MAX]; /* in the order in which they were run */
    uint32_t count;
    int32_t best; /* index of the answer; -1: no rung was valid (and lossless) */
    /* The limit found is not the receiver's: print no ratio from it. GOODPUT: at the highest
     * rung it was idle (or, unknown, lost nothing). LOSSLESS: no rung that the generator managed
     * lost. */
    uint8_t generator_bound;
};

/* Climb by doubling, then close in on the answer.
 * Errors  -EINVAL bad option; what opt->run returned, with the rungs so far in `ret`
 * Thread  the caller's */
int weir_ladder(const struct weir_ladder_opt *opt, struct weir_ladder_result *ret,
                struct weir_why *why);

/* ---- canary: has a virtual core moved? ------------------------------------------------------ */

/* The median time in ns that a cache line takes from one core to the other, by two pinned
 * threads of its own (a few ms). Returns a negative -errno on failure (no such core, both the
 * same). */
double weir_canary_ns(int core_a, int core_b, struct weir_why *why);

/* 1 where two readings differ by more than 25 %: leave out what was measured in between. */
int weir_canary_moved(double before_ns, double after_ns);

/* ---- drops, as the kernel tells them -------------------------------------------------------- */

/* X(name, text) */
#define WEIR_NET_DROPS(X)                                                                          \
    X(softnet_dropped, "softnet: backlog full (/proc/net/softnet_stat, all cores)")                \
    X(softnet_squeezed, "softnet: budget used up, work put off; no loss")                          \
    X(nic_rx_packets, "interface: packets received")                                               \
    X(nic_tx_packets, "interface: packets sent")                                                   \
    X(nic_rx_dropped, "interface: receive drops")                                                  \
    X(nic_tx_dropped, "interface: transmit drops")                                                 \
    X(nic_rx_errors, "interface: receive errors")                                                  \
    X(nic_tx_errors, "interface: transmit errors")                                                 \
    X(nic_rx_missed, "interface: missed because the device had no room")                           \
    X(ip_discarded, "IP: InDiscards")                                                              \
    X(ip_bad_header, "IP: InHdrErrors")                                                            \
    X(ip_no_route, "IP: OutNoRoutes")                                                              \
    X(udp_in, "UDP: datagrams delivered to sockets")                                               \
    X(udp_out, "UDP: datagrams sent by sockets")                                                   \
    X(udp_no_port, "UDP: nobody listened")                                                         \
    X(udp_errors, "UDP: InErrors, the following included")                                         \
    X(udp_rcvbuf, "UDP: socket buffer full")                                                       \
    X(udp_sndbuf, "UDP: send buffer full")                                                         \
    X(udp_checksum, "UDP: bad checksum")                                                           \
    X(udp_memory, "UDP: over the protocol's memory limit")                                         \
    X(tcp_retransmits, "TCP: segments sent again")                                                 \
    X(tcp_listen_overflow, "TCP: accept queue full")                                               \
    X(tcp_listen_drops, "TCP: connections dropped by a listener")

struct weir_net_drops {
#define X(name, text) uint64_t name;
    WEIR_NET_DROPS(X)
#undef X
};

/* Snapshot of the calling thread's network namespace. `ifname` NULL: the interface counters stay 0.
 * Errors  -ENODEV no such interface, -errno of /proc.  Thread any.  Cost about ten system calls */
int weir_net_drops(const char *ifname, struct weir_net_drops *ret, struct weir_why *why);

/* after - before, field by field. `ret` may be either. */
void weir_net_drops_since(const struct weir_net_drops *after, const struct weir_net_drops *before,
                          struct weir_net_drops *ret);

/* ---- a private network -----------------------------------------------------------------------
 *
 *       client namespace                 server namespace
 *      +-----------------+              +------------------+
 *      |  10.99.0.1/24   |==== veth ====|  10.99.0.2/24    |   GRO on, threaded NAPI pinned to the
 *      |  10.99.128.0/17 |              |                  |   receiver's core
 *      +-----------------+              +------------------+
 *
 * The client's end has no TSO, or veth would bypass that NAPI (UDP_SEGMENT works as ever). What
 * the server sends is received in the softirq that follows its send, on its own core: alike for
 * every backend. Neighbours are static. The namespaces have no name and the process alone holds
 * them: nothing is left behind when it dies, however it dies. */

enum weir_lab_side { WEIR_LAB_CLIENT, WEIR_LAB_SERVER };

struct weir_lab_opt {
    int server_core; /* the receiving NAPI thread's core: the first worker's; -1: unpinned */
    uint32_t mtu;    /* 0 = 1,500 */
    /* Queues of each end, both ways; 0 = 1. A frame arrives at the queue of the number that
     * it left by. The frame generators send through weir_load_opt.queue and see the answers of that
     * one alone: WEIR_LOAD_ECHO with frames needs a server that answers by the queue that it was
     * asked by, as an engine over AF_XDP does; or a lab of 1, because sockets' answers come by any. */
    uint32_t queues;
    /* Receive in the softirq that follows the send, on the generator's core. For latencies:
     * waking a NAPI thread on another core puts 10 to 20 us into each round trip of a virtual
     * machine. */
    uint8_t no_threaded_napi;
    /* Leave the NAPI thread to the fair scheduler. By default it is SCHED_FIFO, because it
     * stands for a softirq: beside a spinning worker a fair thread waits for whole time slices,
     * and a veth queue holds 256 packets. The price is a softirq's as well: overload starves the
     * worker. */
    uint8_t napi_fair;
};

/* Errors  -EPERM not root, -EOPNOTSUPP no veth, ...; `why` says which and what to do.
 * Thread  any; its own namespace does not change.  Cost system calls, some ms */
int weir_lab_open(struct weir_lab **ret, const struct weir_lab_opt *opt, struct weir_why *why);

/* NULL allowed. A thread that entered a side keeps it alive until it ends. */
void weir_lab_close(struct weir_lab *lab);

/* Move the calling thread to a side for good, with a /sys of that side; threads that it starts
 * later are there as well (weir_crew_start, an engine's sockets). Generators need no call:
 * weir_load_run goes and comes back by itself.
 * Errors  -EPERM not root. A /sys that cannot be had is no error, but `why` (code not 0) tells. */
int weir_lab_enter(struct weir_lab *lab, enum weir_lab_side side, struct weir_why *why);

struct weir_addr weir_lab_addr(const struct weir_lab *lab, enum weir_lab_side side, uint16_t port);
const char *weir_lab_ifname(const struct weir_lab *lab, enum weir_lab_side side);

/* As weir_net_drops, of one side's namespace and veth end, from any thread. */
int weir_lab_drops(struct weir_lab *lab, enum weir_lab_side side, struct weir_net_drops *ret,
                   struct weir_why *why);

/* What the lab could not have (threaded NAPI, GRO, ...), a line each; none when all is as it should
 * be. */
void weir_lab_report(const struct weir_lab *lab,
                     void (*line)(const struct weir_why *why, void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
