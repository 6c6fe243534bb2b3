/* SPDX-License-Identifier: MIT
 * Measurement: latency histograms and the counters of an engine. */
#ifndef WEIR_STAT_H
#define WEIR_STAT_H

#include <weir/base.h>

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- histogram ---------------------------------------------------------------------------------
 * HdrHistogram's log-linear scheme with 3 significant digits in fixed memory. Values 0 .. highest
 * in any unit, commonly ns; what lies above is recorded as `highest` and counted as clamped. Each
 * recorded value is known to 1 part in 1,024. One writer; merge and read when it is quiet. */
struct weir_histogram;

/* `highest` (at least 1) is the largest value to tell apart, e.g. 60 s in ns, which takes 220 kB.
 * Owner   the caller, until weir_histogram_close (NULL allowed). NULL: out of memory */
struct weir_histogram *weir_histogram_open(uint64_t highest);
void weir_histogram_close(struct weir_histogram *h);
void weir_histogram_reset(struct weir_histogram *h);

/* Record one value, or one value `count` times.  Thread the writer.  Cost a few cycles, no
 * allocation */
void weir_histogram_record(struct weir_histogram *h, uint64_t value, uint64_t count);

/* Record a value of a closed loop that should have sampled every `interval`: adds the samples that
 * the stall hid, value - interval, value - 2 interval ... down to interval (coordinated omission);
 * interval 0 adds none.
 * Thread the writer.  Cost as many records, at most highest / interval */
void weir_histogram_record_corrected(struct weir_histogram *h, uint64_t value, uint64_t interval);

/* Add all of `from`. Errors  -EINVAL: another `highest`. */
int weir_histogram_merge(struct weir_histogram *h, const struct weir_histogram *from);

/* 0 when empty, all of them. min and max are exact (of what was recorded, so max <= highest); mean
 * and standard deviation take each value as the middle of its slot. */
uint64_t weir_histogram_count(const struct weir_histogram *h);
uint64_t weir_histogram_clamped(const struct weir_histogram *h); /* values above highest */
uint64_t weir_histogram_min(const struct weir_histogram *h);
uint64_t weir_histogram_max(const struct weir_histogram *h);
double weir_histogram_mean(const struct weir_histogram *h);
double weir_histogram_deviation(const struct weir_histogram *h);

/* The value that `percent` (0..100) of the samples do not exceed: of the sample of rank
 * ceil(percent * count / 100) the highest value of its slot, as HdrHistogram has it, but never
 * above max; 0 percent is min.  Cost a scan */
uint64_t weir_histogram_percentile(const struct weir_histogram *h, double percent);

/* HdrHistogram's percentile distribution text (Value, Percentile, TotalCount, 1/(1-Percentile)),
 * which its plotter reads; values are divided by `scale` (1000 = ns shown as us). Returns 0 or
 * -EIO. */
int weir_histogram_export(const struct weir_histogram *h, FILE *out, double scale);

/* The whole histogram as bytes, for another process or machine: how many, into `ret`, and back.
 * Errors  store -EINVAL: `bytes` too few. load -EINVAL: not of this shape (another `highest`, a
 *         wrong length, sums that do not agree); `h` is then as it was. Bytes from a stranger are
 *         safe to load. */
size_t weir_histogram_bytes(const struct weir_histogram *h);
int weir_histogram_store(const struct weir_histogram *h, void *ret, size_t bytes);
int weir_histogram_load(struct weir_histogram *h, const void *from, size_t bytes);

/* ---- counters of one engine --------------------------------------------------------------------
 * One writer; any thread may take a snapshot. X(name, text) */
/* Those of frame backends and of our own stack. rx_frames is what came; each ends as a datagram, as
 * an answer, or in one of the drops below. */
#define WEIR_FRAME_COUNTERS(X)                                                                     \
    X(rx_frames, "frames received")                                                                \
    X(rx_frame_bytes, "bytes of those")                                                            \
    X(tx_frames, "frames sent")                                                                    \
    X(tx_frame_bytes, "bytes of those")                                                            \
    X(rx_ring_full, "frames that the device had no ring entry or buffer for")                      \
    X(rx_device_errors, "frames that the device received in error")                                \
    X(tx_ring_full, "frames that the device did not take, freed")                                  \
    X(tx_device_errors, "frames that the device refused or failed to send")                        \
    X(linearized, "frames in several buffers that were copied into one")                           \
    X(drop_short, "frames shorter than their headers")                                             \
    X(drop_mac, "frames for another host's Ethernet address")                                      \
    X(drop_vlan, "frames with VLAN tags, which nobody here asked for")                             \
    X(drop_ethertype, "frames of another protocol than ARP, IPv4, IPv6")                           \
    X(dishonest_length, "packets with a length field that cannot be")                              \
    X(bad_version, "packets with a wrong version or header size")                                  \
    X(bad_options, "packets with options or extension headers that are refused")                   \
    X(bad_source, "packets from an address that nobody may send from")                             \
    X(bad_checksum, "packets with a wrong checksum")                                               \
    X(partial_checksum, "packets that a local sender left to an offload: turn transmit checksums " \
                        "off there")                                                               \
    X(not_ours, "packets for an address that is not ours")                                         \
    X(no_protocol, "packets of a protocol that we do not speak")                                   \
    X(no_port, "datagrams to a port that nobody opened")                                           \
    X(arp_in, "ARP packets taken")                                                                 \
    X(arp_bad, "ARP packets refused: malformed, or spoofed")                                       \
    X(nd_bad, "neighbour discovery refused: malformed, off-link, or spoofed")                      \
    X(icmp_in, "ICMP messages taken")                                                              \
    X(icmp_bad, "ICMP messages refused: malformed, or about nothing that we sent")                 \
    X(icmp_unreachable, "told that a destination is unreachable")                                  \
    X(icmp_too_big, "told that a packet was too big for the path")                                 \
    X(icmp_out, "ICMP answers sent")                                                               \
    X(icmp_limited, "answers (ARP, ICMP) not sent, paths not learned: their rate limit")            \
    X(neighbour_requests, "ARP requests and neighbour solicitations sent")                         \
    X(neighbour_full, "neighbours not learned, or forgotten early, because of too many")            \
    X(neighbour_failed, "packets dropped because their neighbour did not answer")                  \
    X(park_full, "packets dropped because too many waited for a neighbour")                        \
    X(no_route, "datagrams without a route or a source address")                                   \
    X(looped, "datagrams to our own address, which no wire sees")                                  \
    X(fragments_in, "fragments received")                                                          \
    X(fragments_out, "fragments sent")                                                             \
    X(reassembled, "datagrams put together from fragments")                                        \
    X(fragment_bad, "fragments refused: overlapping, too small, too long")                         \
    X(fragment_again, "fragments that came twice")                                                 \
    X(fragment_full, "datagrams given up, fragments refused: too many under reassembly")           \
    X(fragment_timeout, "datagrams whose fragments did not all come in time")                      \
    X(handed_over, "frames given to another worker")                                               \
    X(handed_full, "frames dropped because that worker's ring was full")                           \
    X(taken_over, "frames taken from another worker")                                              \
    X(buckets_moved, "flow buckets that another worker serves from now on")                        \
    X(foreign_copied, "another worker's payloads copied because its memory is not this queue's")   \
    X(link_changes, "times that the link went up, down or away")                                   \
    X(fault_dropped, "packets lost on purpose (--impair)")                                         \
    X(fault_changed, "packets delayed, doubled, reordered or corrupted on purpose")                \
    X(pcap_packets, "packets captured")                                                            \
    X(pcap_missed, "packets not captured: the file was full or the disk failed")

#define WEIR_COUNTERS(X)                                                                           \
    X(rx_packets, "datagrams handed to a handler")                                                 \
    X(rx_bytes, "payload bytes received")                                                          \
    X(tx_packets, "datagrams given to the kernel or the wire")                                     \
    X(tx_bytes, "payload bytes sent")                                                              \
    X(stream_opened, "streams accepted or connected")                                              \
    X(stream_closed, "streams ended, for whatever reason")                                         \
    X(stream_reset, "streams ended by an error")                                                   \
    X(stream_reads, "receives of stream data")                                                     \
    X(stream_writes, "sends of stream data")                                                       \
    X(polls, "calls of weir_poll")                                                                 \
    X(polls_busy, "calls of weir_poll that found work")                                            \
    X(busy_cycles, "cycles spent in polls that found work")                                        \
    X(waits, "calls of weir_wait that slept")                                                      \
    X(wakes, "wake events delivered")                                                              \
    X(timers, "timer events delivered")                                                            \
    X(syscalls, "system calls made")                                                               \
    X(rx_calls, "receive calls, or harvests of a completion ring, that brought something")         \
    X(tx_calls, "send calls or submissions")                                                       \
    X(copies, "payload copies: the kernel's and our own, as bench/method.md defines them a path")  \
    X(copied_bytes, "bytes of those copies")                                                       \
    X(merged, "stream segments copied into one slot with their predecessors")                      \
    X(rx_truncated, "datagrams larger than their slot, dropped")                                   \
    X(rx_error, "receive calls that failed")                                                       \
    X(pool_empty, "receives put off because the pool was empty")                                   \
    X(rx_stopped, "streams that stopped reading because rx_max was reached")                       \
    X(tx_full, "sends that were not taken whole because a queue was full")                         \
    X(tx_again, "times that the kernel's send buffer was full")                                    \
    X(tx_nobufs, "sends put off by ENOBUFS or ENOMEM")                                             \
    X(tx_unreachable, "datagrams refused with an unreachable or refused error")                    \
    X(tx_oversize, "datagrams larger than the path takes")                                         \
    X(tx_error, "datagrams dropped for any other error")                                           \
    X(tx_dropped, "datagrams and stream buffers dropped because their endpoint closed")            \
    X(accept_nofile, "accepts put off because of EMFILE, ENFILE, ENOBUFS or ENOMEM")               \
    X(accept_full, "connections refused because all endpoints were in use")                        \
    X(accept_error, "accepts that failed otherwise")                                               \
    X(linger_expired, "closes whose data the peer did not take in time")                           \
    X(stale_events, "completions of endpoints that were closed before")                            \
    X(zerocopy_sends, "sends that asked for no copy")                                              \
    X(zerocopy_copied, "of those, sends that the kernel copied all the same")                      \
    X(overflows, "completion ring overflows")                                                      \
    WEIR_FRAME_COUNTERS(X)

struct weir_counters {
#define X(name, text) uint64_t name;
    WEIR_COUNTERS(X)
#undef X
};

/* Names and texts in the order of struct weir_counters, to print them all. */
struct weir_counter_name {
    const char *name, *text;
};
extern const struct weir_counter_name weir_counter_names[];
extern const unsigned weir_counter_count;

#ifdef __cplusplus
}
#endif
#endif
