/* SPDX-License-Identifier: MIT
 * The simulator: engines joined by wires in memory, in virtual time.
 *
 *     struct weir_sim_port *port[2];
 *     sim = weir_sim_open(&opt, &why);
 *     weir_sim_wire(sim, &there, &back, port);
 *     opt.backend = "sim", opt.frames.sim = port[0];  ... weir_engine_open, weir_udp_open, as ever
 *     weir_sim_run(sim, weir_sim_now(sim) + 1000000000);
 *
 * One thread, that of all its engines. Nothing depends on how fast the host is: the same seed and
 * the same calls give the same trace. Close the engines before the network; what an engine sent
 * before it closed still arrives.
 *
 * An engine on a port lives in the network's time: weir_now_ns() is none of its business, timers are
 * armed from weir_sim_now. weir_sim_run is its loop: weir_run gives -EOPNOTSUPP and weir_wait returns
 * at once. The wires move frames between polls only, as a device does, so that the engine's
 * busy_cycles are its own.
 *
 * Ports are numbered from 0 as wires make them, two each. Port i has the Ethernet address
 * 02:00:00:00 and i + 1 in two bytes, unless opt.frames.mac says another; its MTU is 1,500, or
 * opt.frames.mtu up to 9,000 (above what a small buffer holds, frames come in big ones). */
#ifndef WEIR_SIM_H
#define WEIR_SIM_H

#include <weir/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_sim;

struct weir_sim_opt {
    uint64_t seed;       /* of every decision; 0 = 1 */
    uint64_t start_ns;   /* virtual time at the beginning; 0 = 1 s */
    uint32_t ports_max;  /* 0 = 64 */
    uint32_t frames_max; /* under way on all wires at once; 0 = 65,536; more are lost and counted; of
                            frames above 2,048 bytes a sixteenth of it, at least 64 */
    uint8_t offload;     /* ports complete transport checksums, and say of what they completed that
                            it was right on arrival; else everything is computed by the engines */
};

/* Errors  NULL with `why` (may be NULL).  Thread the caller's, which becomes that of its engines */
struct weir_sim *weir_sim_open(const struct weir_sim_opt *opt, struct weir_why *why);
/* Errors  -EBUSY: an engine is open on it (nothing is freed) */
int weir_sim_close(struct weir_sim *sim);

/* A wire and its two ends. `there` impairs what ret[0] sends, `back` what ret[1] sends; NULL or
 * zero: perfect, at once. A seed of 0 is drawn from the network's.
 * Owner   ports are the network's.  Errors  -ENOSPC, -EINVAL a share is not 0 to 1 */
int weir_sim_wire(struct weir_sim *sim, const struct weir_impair *there,
                  const struct weir_impair *back, struct weir_sim_port *ret[2]);
/* Change a wire while it is used: what this port sends from now on.
 * Errors  -EINVAL a share is not 0 to 1: nothing changed */
int weir_sim_impair(struct weir_sim_port *port, const struct weir_impair *impair);
/* Unplug or plug in the wire of a port: frames under way are lost, both engines get WEIR_LINK. */
void weir_sim_plug(struct weir_sim_port *port, int in);

uint64_t weir_sim_now(const struct weir_sim *sim);

/* Deliver what is due, poll the engines that have something to do, move the clock to the next
 * event; until `until_ns` (its events included), where the clock then stands. UINT64_MAX: until
 * nothing is left to happen; the clock stands at the last event.
 * Returns the number of frames delivered, or the -errno of an engine's poll */
int64_t weir_sim_run(struct weir_sim *sim, uint64_t until_ns);
/* One moment of it: all that happens at the clock's time, then the clock moves on. What does not end
 * (two that answer each other over a perfect wire) is left after 128 turns, and the clock moves by
 * 1 us, so that time always passes.
 * Returns 1, 0 when nothing is left before `until_ns` (the clock stands there), or -errno */
int weir_sim_step(struct weir_sim *sim, uint64_t until_ns);

/* For those who poll the engines themselves, in real time: move what was sent onto the wires and
 * what is due at `now_ns` into the ports; nobody is polled. The clock then stands there.
 * Returns the number of frames delivered */
int64_t weir_sim_deliver(struct weir_sim *sim, uint64_t now_ns);

/* A port without an engine, for tests and tools: put a frame on its wire, take one that came. Up to
 * 1,024 wait to be taken, more are overrun.
 * Returns 0 or the frame's bytes. Errors  -ENOBUFS no room, -EAGAIN nothing came, -EMSGSIZE not 14
 * to 9,014 bytes, or larger than `bytes` (it waits on), -EBUSY the port has an engine */
int weir_sim_send(struct weir_sim_port *port, const void *frame, size_t bytes);
int weir_sim_receive(struct weir_sim_port *port, void *ret, size_t bytes);

/* A hash over every frame that arrived, with its time, port and bytes, in order. */
uint64_t weir_sim_trace(const struct weir_sim *sim);

/* What happened on the wires: X(name, text) */
#define WEIR_SIM_COUNTS(X)                                                                         \
    X(sent, "frames put on a wire")                                                                \
    X(delivered, "frames that arrived at a port")                                                  \
    X(lost, "by the wire's loss, or while it was unplugged")                                       \
    X(duplicated, "delivered twice")                                                               \
    X(reordered, "let go before one that was sent earlier")                                        \
    X(corrupted, "with a bit turned")                                                              \
    X(overrun, "lost because frames_max were under way, or a port had no buffer to receive into, or "  \
               "none so large")

struct weir_sim_counts {
#define X(name, text) uint64_t name;
    WEIR_SIM_COUNTS(X)
#undef X
};
void weir_sim_counts(const struct weir_sim *sim, struct weir_sim_counts *ret);

#ifdef __cplusplus
}
#endif
#endif
