/* SPDX-License-Identifier: MIT
 * The street of the bad days. */
#include "street.h"

static const uint8_t target_mac[6] = {2, 0, 0, 0, 0, 2}, good_mac[6] = {2, 0, 0, 0, 0, 4};

static void open_host(struct host *host, struct weir_sim_port *port, unsigned number)
{
    struct weir_engine_opt opt = host_opt(port, number);
    char text[32];
    snprintf(text, sizeof text, "10.0.0.%u/8", number + 1);
    assert_int_equal(weir_net_parse(text, &opt.frames.address[0]), 0);
    opt.pool.small = 1024;
    host_open_with(host, &opt, number);
}

static void strike_good(struct street *s, enum good what)
{
    struct craft c;
    craft_good(&c, what);
    street_strike(s, &c);
}

void street_open(struct street *s, uint64_t seed)
{
    struct weir_sim_opt opt = {.seed = seed, .frames_max = 4096};
    struct weir_sim_port *port[4];
    memset(s, 0, sizeof *s);
    s->sim = weir_sim_open(&opt, NULL);
    assert_non_null(s->sim);
    assert_int_equal(weir_sim_wire(s->sim, NULL, NULL, port), 0);
    assert_int_equal(weir_sim_wire(s->sim, NULL, NULL, port + 2), 0);
    s->target_end = port[0];
    s->target_port = port[1];
    s->good_end = port[2];
    open_host(&s->target, port[1], 1);
    open_host(&s->good, port[3], 0);
    s->target.echo = 1;
    street_echo(s, 1, 1); /* they know each other */
    street_echo(s, 1, 0);
    strike_good(s, ARP_ASK); /* and the target the stranger */
    strike_good(s, SOLICIT);
    street_settle(s);
}

void street_close(struct street *s)
{
    /* What the pieces of datagrams and unanswered questions hold is let go in time */
    street_pass(s, 60 * S, 600);
    street_echo(s, 1, 1);
    street_pass(s, MS, 1); /* what was sent comes home from the device */
    assert_pool_whole(&s->target);
    assert_pool_whole(&s->good);
    host_close(&s->target);
    host_close(&s->good);
    assert_int_equal(weir_sim_close(s->sim), 0);
}

/* ---- the switch ------------------------------------------------------------------------------ */

/* The stranger answers whoever asks for its true address, so that it can be sent to. */
static void as_stranger(struct street *s, const uint8_t *frame)
{
    static const uint8_t ip4[4] = {10, 0, 0, 66}, ip6[16] = {0xfd, [15] = 0x42};
    s->to_stranger++;
    if (frame[12] == 0x08 && frame[13] == 0x06 && frame[21] == 1 && memcmp(frame + 38, ip4, 4) == 0)
        strike_good(s, ARP_TELL);
    else if (frame[12] == 0x86 && frame[20] == 58 && frame[L6] == 135 &&
             memcmp(frame + L6 + 8, ip6, 16) == 0)
        strike_good(s, ADVERTISE);
}

/* Returns how many frames went through, or ended here because they are not for the other host. */
static unsigned forward(struct street *s, struct weir_sim_port *from, struct weir_sim_port *to,
                        const uint8_t mac[6])
{
    uint8_t frame[2048];
    unsigned n = 0;
    int bytes;
    for (; (bytes = weir_sim_receive(from, frame, sizeof frame)) > 0; n++) {
        bool passes = frame[0] & 1 || memcmp(frame, mac, 6) == 0;
        if (passes)
            assert_int_equal(weir_sim_send(to, frame, (size_t)bytes), 0);
        if (from == s->target_end && memcmp(frame, good_mac, 6) != 0)
            as_stranger(s, frame);
    }
    assert_int_equal(bytes, -EAGAIN);
    return n;
}

void street_settle(struct street *s)
{
    unsigned moved = 1;
    for (unsigned turn = 0; moved; turn++) {
        assert_true(turn < 1000); /* it comes to an end */
        assert_true(weir_sim_run(s->sim, weir_sim_now(s->sim)) >= 0);
        moved = forward(s, s->target_end, s->good_end, good_mac);
        moved += forward(s, s->good_end, s->target_end, target_mac);
    }
}

void street_pass(struct street *s, uint64_t ns, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        assert_true(weir_sim_run(s->sim, weir_sim_now(s->sim) + ns / steps) >= 0);
        street_settle(s);
    }
}

void street_strike(struct street *s, const struct craft *frame)
{
    assert_int_equal(weir_sim_send(s->target_end, frame->at, frame->n), 0);
}

void street_echo(struct street *s, unsigned n, int ip4)
{
    struct weir_addr to = ip4 ? host_addr(1) : host_addr6(1);
    s->asked += n;
    assert_int_equal(host_send(&s->good, &to, n, 100), n);
    street_settle(s);
    unsigned right = s->good.got - s->good.wrong;
    if (right < s->asked)
        fail_msg("good got %u of %u echoes", right, s->asked);
    s->asked = right;
}

/* ---- counters -------------------------------------------------------------------------------- */

/* Where a frame ends that is neither a datagram, nor ARP, ICMP or a fragment. */
#define PLAIN_DROPS(X)                                                                             \
    X(drop_short)                                                                                  \
    X(drop_mac)                                                                                    \
    X(drop_vlan)                                                                                   \
    X(drop_ethertype)                                                                              \
    X(dishonest_length)                                                                            \
    X(bad_version)                                                                                 \
    X(bad_options)                                                                                 \
    X(bad_source)                                                                                  \
    X(bad_checksum)                                                                                \
    X(partial_checksum)                                                                            \
    X(not_ours)                                                                                    \
    X(no_protocol)                                                                                 \
    X(no_port)

static uint64_t plain_drops(const struct weir_counters *c)
{
    uint64_t sum = 0;
#define X(name) sum += c->name;
    PLAIN_DROPS(X)
#undef X
    return sum;
}

/* A datagram put together from fragments ends once more, as what it is. */
static int64_t imbalance(const struct weir_counters *c)
{
    return (int64_t)(c->rx_frames + c->reassembled) -
           (int64_t)(c->rx_packets + plain_drops(c) + c->arp_in + c->icmp_in + c->fragments_in);
}

void assert_sum_rule(const struct weir_counters *before, const struct weir_counters *after,
                     const char *what)
{
    if (imbalance(after) != imbalance(before))
        fail_msg("%s: %lld frames more came than ended", what,
                 (long long)(imbalance(after) - imbalance(before)));
    assert_true(after->arp_bad - before->arp_bad <= after->arp_in - before->arp_in);
    assert_true(after->icmp_bad + after->nd_bad - before->icmp_bad - before->nd_bad <=
                after->icmp_in - before->icmp_in);
}

uint64_t counter_of(const struct weir_counters *counters, const char *name)
{
    for (unsigned i = 0; i < weir_counter_count; i++)
        if (strcmp(weir_counter_names[i].name, name) == 0)
            return ((const uint64_t *)(const void *)counters)[i];
    fail_msg("no counter is called %s", name);
    return 0;
}

/* How a poll goes, what leaves, and what all frames have in common, is not how a frame ends. */
static int is_no_end(const char *name)
{
    static const char *const no_end[] =
        {"rx_bytes",          "tx_packets",     "tx_bytes",  "polls",
         "polls_busy",        "busy_cycles",    "waits",     "syscalls",
         "rx_calls",          "tx_calls",       "copies",    "copied_bytes",
         "rx_frames",         "rx_frame_bytes", "tx_frames", "tx_frame_bytes",
         "neighbour_requests"};
    for (unsigned i = 0; i < array_len(no_end); i++)
        if (strcmp(name, no_end[i]) == 0)
            return 1;
    return 0;
}

void assert_ends(const struct weir_counters *before, const struct weir_counters *after,
                 const char *ends, const char *what)
{
    const uint64_t *was = (const void *)before, *is = (const void *)after;
    char text[256] = "";
    size_t n = 0;
    for (unsigned i = 0; i < weir_counter_count; i++) {
        uint64_t rose = is[i] - was[i];
        if (rose == 0 || is_no_end(weir_counter_names[i].name))
            continue;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? " " : "",
                              weir_counter_names[i].name);
        if (rose > 1 && n < sizeof text)
            n += (size_t)snprintf(text + n, sizeof text - n, "*%llu", (unsigned long long)rose);
        assert_true(n < sizeof text);
    }
    if (strcmp(text, ends) != 0)
        fail_msg("%s: ended in \"%s\", not in \"%s\"", what, text, ends);
    assert_sum_rule(before, after, what);
}

/* Where the device's buffers are does not matter: it is full when at rest. */
void assert_pool_whole(struct host *host)
{
    struct weir_pool *pool = weir_engine_pool(host->engine);
    struct weir_pool_stats stats;
    struct weir_why why = {0};
    if (weir_pool_check(pool, &why))
        fail_msg("%s: %s", why.where, why.what);
    weir_pool_stats(pool, &stats);
    for (unsigned i = 0; i < WEIR_SECTIONS; i++) {
        assert_int_equal(stats.count[i][WEIR_APP] + stats.count[i][WEIR_TX], 0);
        assert_int_equal(stats.count[i][WEIR_FREE] + stats.count[i][WEIR_BACKEND], stats.total[i]);
    }
}
