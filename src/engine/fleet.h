/* SPDX-License-Identifier: MIT
 * A fleet: the workers of one device together.
 *
 *   device queue 0 --> worker 0 --lane--> worker 2 (a guest: the device has two queues only)
 *                         ^  <---lane---
 *   device queue 1 --> worker 1 --lane--> worker 0: its affairs (ARP, ICMP, fragments)
 *
 * Worker k has device queue k. Those beyond are guests: worker k mod queues is their host, spreads
 * what it receives over itself and them, and sends what they send. A lane is a ring of parcels from
 * one worker to another; there is one for each pair, because a frame may come to any queue and its
 * port belong to any worker.
 *
 * Who writes what: a member's part is its own worker's; a lane has a producer's and a consumer's
 * part; the table of ports is written under the lock and read without. */
#ifndef WEIR_ENGINE_FLEET_H
#define WEIR_ENGINE_FLEET_H

#include "backend/frames.h"
#include "buf/foreign.h"
#include "engine/balance.h"
#include "engine/frames.h"
#include "stack/rss.h"

#include <weir/ring.h>

#include <pthread.h>

#define FLEET_MAX 62u              /* workers: bits of a word that has two more to say */
#define PORT_SEVERAL (1ull << 63)  /* the port is open at several addresses */
#define PORT_RESERVED (1ull << 62) /* chosen, about to be bound */
#define LANE_SLOTS 1024u           /* as NIC drivers' rings have by default */
#define FLEET_PERIOD_NS 5000000u   /* of balancing: some ms, so that a burst is no reason */

enum parcel_kind {
    PARCEL_IN,     /* received: for the stack */
    PARCEL_AFFAIR, /* for worker 0's stack: stack_take_over */
    PARCEL_OUT,    /* to be sent through the receiver's queue */
    PARCEL_TOLD    /* a datagram for a socket of the receiver's, its address in front of it */
};

struct parcel {
    struct weir_buf *buf;
    uint8_t *data;
    uint32_t len;
    uint16_t csum_start, csum_offset; /* PARCEL_OUT: as of tx_frame */
    uint16_t flags;                   /* as of frame_meta */
    uint8_t kind, whole;
};
_Static_assert(sizeof(struct parcel) == 32, "two a cache line");

struct lane {
    struct weir_spsc *ring;
    uint64_t pushed;                     /* the producer's: parcels so far, */
    uint32_t staged;                     /* those written and not yet submitted, */
    bool touched;                        /* and whether the consumer is to be told */
    uint64_t dropped;                    /* for want of room */
    alignas(CACHE_PAIR) uint64_t popped; /* the consumer's */
    _Atomic uint64_t done; /* of these, how many its handlers are through with: pairs with settle */
};

/* What a host knows of its flows. */
struct spread {
    struct balance table;
    uint8_t members[FLEET_MAX]; /* the host itself and its guests */
    unsigned n;
    uint64_t last[BUCKETS]; /* position in its worker's lane behind the bucket's last parcel */
    struct bucket_move move[MOVES_MAX]; /* begun, not done */
    unsigned moves, waited;             /* and for how many periods */
    uint64_t period_ns, cycles;         /* when the last period ended */
    uint64_t busy[FLEET_MAX], polls[FLEET_MAX], pushed[FLEET_MAX], dropped[FLEET_MAX]; /* then */
};

struct member {
    _Atomic(struct weir_engine *) engine; /* from fleet_join on; pairs with fleet_push's load */
    bool guest, joined;
    bool more, stuck; /* lanes hold more than this poll could take; than device or pool could */
    int16_t link_err; /* a guest: as it was told */
    unsigned host;    /* whose device queue serves it: its own number, but of guests */
    struct spread *spread; /* of a host that has guests */
};

struct binding {
    struct weir_addr at;
    uint64_t workers; /* bits */
};

struct fleet {
    unsigned n;
    bool one_thread; /* all engines are one thread's: nobody waits for another (tests) */
    pthread_mutex_t lock;
    pthread_cond_t met;
    unsigned joined, waiting; /* of fleet_meet */
    uint64_t meetings;
    struct neighbours *neighbours;   /* worker 0's, from its fleet_join on */
    struct backend_ops guest;        /* the row that guests have */
    struct frame_port port;          /* worker 0's device */
    _Atomic int link_err[FLEET_MAX]; /* of a host's device: what its guests tell */
    _Atomic unsigned partial;        /* ports that are not open at every worker */
    _Atomic uint64_t *ports;         /* 65,536: workers that have it open, PORT_* */
    struct binding *binding;
    uint32_t bindings, bindings_max, rover;
    struct member member[FLEET_MAX];
    struct lane *lane; /* [from * n + to] */
};

/* ---- fleet.c -------------------------------------------------------------------------------- */

struct fleet_opt {
    unsigned workers;
    uint32_t endpoints; /* of a worker; 0 = 4,096 */
    bool one_thread;
};

/* Errors  NULL with `why`: -EINVAL too many workers, -ENOMEM */
struct fleet *fleet_make(const struct fleet_opt *opt, struct weir_why *why);
void fleet_free(struct fleet *f); /* NULL allowed; all engines are closed */

static inline struct lane *fleet_lane(struct fleet *f, unsigned from, unsigned to)
{
    return &f->lane[from * f->n + to];
}
static inline struct member *fleet_me(const struct weir_engine *e)
{
    return &e->fleet->member[e->fleet_index];
}

/* ---- fleet_lane.c --------------------------------------------------------------------------- */

/* Stage a parcel for `to`; submitted and told by fleet_submit. False: no room; nothing changed. */
bool fleet_push(struct weir_engine *e, unsigned to, const struct parcel *parcel);
void fleet_submit(struct weir_engine *e);
/* What one reference of a buffer becomes; `buf` is no longer ours. */
struct parcel fleet_parcel(struct weir_buf *buf, enum parcel_kind kind);
/* All that is in the lanes to this worker is sent or dropped: nobody puts more in. */
void fleet_drain(struct weir_engine *e);
/* The fullest lane to this worker.  Thread any */
uint32_t fleet_backlog(const struct fleet *f, unsigned worker);

/* ---- fleet_port.c --------------------------------------------------------------------------- */

int ports_open(struct fleet *f, uint32_t endpoints);
void ports_close(struct fleet *f);
/* Who has the port of this flow open: bits. */
static inline uint64_t ports_owners(struct fleet *f, const struct rss_flow *flow);
uint64_t ports_owners_at(struct fleet *f, const struct rss_flow *flow);

static inline uint64_t ports_owners(struct fleet *f, const struct rss_flow *flow)
{
    /* Whoever wrote it opens its port before or after this frame: either is right */
    uint64_t owners = atomic_load_explicit(&f->ports[flow->port], memory_order_relaxed);
    return unlikely(owners & PORT_SEVERAL) ? ports_owners_at(f, flow) : owners & ~PORT_RESERVED;
}

/* ---- fleet_spread.c ------------------------------------------------------------------------- */

int spread_open(struct fleet *f, unsigned host);
/* At the beginning of a host's poll: moves that can be done are, a period may be over. */
void spread_turn(struct weir_engine *e);

/* ---- fleet_guest.c -------------------------------------------------------------------------- */

void guest_row(struct fleet *f, const struct backend_ops *host);

#endif
