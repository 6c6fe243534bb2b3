/* SPDX-License-Identifier: MIT
 * The test bed of the conformance suite: one engine on one backend, a bystander endpoint that must
 * go on echoing whatever the case does, and the checks at the end: every buffer home, the pool
 * sound.
 *
 * A program is one table of cases; each case runs on every backend of weir_backend_info, as "case
 * on backend". Cases use include/weir alone, with plain sockets as the peer, and run on one thread:
 * the engine takes a turn, then the peer, until what was to happen has happened (UNTIL). Nothing
 * here depends on how fast the machine is. */
#ifndef WEIR_CONFORMANCE_BED_H
#define WEIR_CONFORMANCE_BED_H

#include "peer.h"

#include <stdatomic.h>

#define PATIENCE_NS                                                                                \
    20000000000u /* a loaded machine under valgrind needs seconds, a defect for ever */

#define array_len(a) (sizeof(a) / sizeof((a)[0]))

struct bed {
    const char *backend;
    const struct weir_backend_info *info; /* of it */
    struct weir_engine *engine;
    struct weir_pool *pool;
    weir_ep bystander;
    struct weir_addr bystander_at;
    int bystander_fd;
    uint32_t bystander_turn;
    struct weir_event engine_last; /* what the engine's own handler saw */
    unsigned timers, wakes;
    uint64_t tokens[64]; /* of the last timers, at tokens[timers % 64] */
};

struct bed_case {
    const char *name; /* of the function; printed with spaces for underscores */
    void (*run)(struct bed *bed);
};
#define CASE(fn)                                                                                   \
    {                                                                                              \
#fn, fn                                                                                    \
    }

/* Modest numbers, so that opening an engine costs a test little. */
struct weir_engine_opt bed_opt(const struct bed *bed);
void bed_open(struct bed *bed);
void bed_open_with(struct bed *bed, const struct weir_engine_opt *opt);

/* One poll, and a short sleep when there was nothing to do. Returns the poll's events. */
int bed_turn(struct bed *bed);
void bed_turns(struct bed *bed, unsigned n);

/* The bystander answers; everything closes; every buffer comes home; the engine closes clean. */
void bed_close(struct bed *bed);
/* After a case that failed or skipped halfway: nothing stays open for the next. */
void bed_end(struct bed *bed);
void bed_bystander(struct bed *bed);
bool bed_home(struct bed *bed);       /* no buffer in state APP or TX */
void bed_check_pool(struct bed *bed); /* weir_pool_check */
struct weir_counters bed_count(struct bed *bed);

/* Copies of a datagram on its way in and out again, as bench/method.md defines them a path. */
unsigned bed_copies(const struct bed *bed);
/* What one of them copies of a datagram of `len` bytes: a frame's headers go with it. */
size_t bed_copied(const struct bed *bed, size_t len);

/* Turn the engine until `condition` (which moves the peer as well) holds. */
#define UNTIL(bed, condition)                                                                      \
    do {                                                                                           \
        uint64_t until_ = weir_now_ns() + PATIENCE_NS;                                             \
        while (!(condition)) {                                                                     \
            bed_turn(bed);                                                                         \
            if (weir_now_ns() > until_)                                                            \
                fail_msg("%s:%d: waited 20 s for: %s", __FILE__, __LINE__, #condition);            \
        }                                                                                          \
    } while (0)

/* Open endpoints at a free port of 127.0.0.1; `at` (may be NULL) gets the address to send to. */
weir_ep bed_udp(struct bed *bed, weir_handler *handler, void *app, struct weir_addr *at);
weir_ep bed_listen(struct bed *bed, weir_handler *handler, void *app, struct weir_addr *at);

/* A buffer of the engine's pool with `len` bytes of the pattern from `at` on. */
struct weir_buf *bed_buf(struct bed *bed, uint64_t at, size_t len);

/* ---- handlers ---- */

/* Sends every datagram and every byte back, and ends a stream when the peer does. */
void echo(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app);

/* What `record` saw; its app. Stream bytes are checked against the pattern and consumed. */
struct seen {
    unsigned kinds[WEIR_WAKE + 1];
    weir_ep ep;     /* of the last event */
    weir_ep stream; /* of the last WEIR_OPEN */
    int err;        /* of the last WEIR_CLOSED */
    uint64_t bytes; /* of streams; for more than one stream use a seen each */
    uint64_t rx_ns;
    struct weir_addr peer; /* of the last datagram */
    uint32_t len;          /* of the last datagram */
    bool bad;              /* a byte was not the pattern's */
};
void record(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app);

/* The engine's side of a stream of the pattern, as far as its queue takes it. True once all is
 * queued. */
struct source {
    weir_ep ep;
    uint64_t queued;
    uint32_t piece; /* bytes of one buffer */
    int err;        /* what weir_send returned when it was not a count */
};
bool source_push(struct bed *bed, struct source *s, uint64_t upto);

int bed_main(const char *group, const struct bed_case *cases, unsigned n, int argc, char **argv);
#define BED_MAIN(cases)                                                                            \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return bed_main(__FILE__, cases, array_len(cases), argc, argv);                            \
    }

#endif
