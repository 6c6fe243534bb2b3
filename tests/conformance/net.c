/* SPDX-License-Identifier: MIT
 * See net.h. The pair is made by ip(8), whose words anybody can read; the namespace is the
 * process's own and goes with it. */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MTU_BYTES 1500

static bool made, used, met;
static struct weir_sim *sim;
static struct weir_sim_port *port[2];
static int packet = -1; /* at `we`, for a sim */

/* Sends are not left to an offload that a veth does not have; nobody speaks unasked. */
static const char *const commands[] = {
    "ip link set lo up",
    "ip link add wk type veth peer name we",
    "ip link set we address 02:57:00:00:00:02",
    "ethtool -K wk tx off >/dev/null",
    "ip addr add 10.99.1.1/24 dev wk",
    "ip addr add fd99::1/64 dev wk nodad",
    "ip link set we up",
    "ip link set wk up",
};

static bool in_path(const char *program)
{
    char command[64];
    snprintf(command, sizeof command, "command -v %s >/dev/null", program);
    return system(command) == 0; /* NOLINT: words of this file alone */
}

static void quiet(const char *name)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/accept_dad", name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "0", 1) == 1)
        close(fd);
}

const char *net_make(void)
{
    static char why[128];
    if (made)
        return why[0] ? why : NULL;
    made = true;
    if (!in_path("ip") || !in_path("ethtool")) {
        snprintf(why, sizeof why, "install iproute2 and ethtool");
    } else if (unshare(CLONE_NEWNET) != 0) {
        snprintf(why, sizeof why, "a network namespace: %s; run as root", strerror(errno));
    } else {
        quiet("default");
        for (unsigned i = 0; i < sizeof commands / sizeof *commands && !why[0]; i++)
            if (system(commands[i]) != 0) /* NOLINT: words of this file alone */
                snprintf(why, sizeof why, "'%s' failed", commands[i]);
    }
    return why[0] ? why : NULL;
}

/* ---- sim ---- */

static void open_packet(void)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = __builtin_bswap16(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex("we")};
    int bytes = 32 << 20, one = 1;
    packet = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, at.sll_protocol);
    setsockopt(packet, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    setsockopt(packet, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
    if (packet < 0 || bind(packet, (struct sockaddr *)&at, sizeof at) != 0)
        abort();
}

static void open_sim(struct weir_engine_opt *opt)
{
    const struct weir_sim_opt net = {.start_ns = weir_now_ns()};
    struct weir_why why;
    if (sim) {
        opt->frames.sim = port[0];
        return;
    }
    sim = weir_sim_open(&net, &why);
    if (!sim || weir_sim_wire(sim, NULL, NULL, port) != 0)
        abort();
    open_packet();
    opt->frames.sim = port[0];
}

void net_carry(void)
{
    static uint8_t frame[65536];
    ssize_t n;
    if (!sim)
        return;
    while ((n = recv(packet, frame, sizeof frame, 0)) > 0)
        weir_sim_send(port[1], frame, (size_t)n);
    weir_sim_deliver(sim, weir_now_ns());
    while ((n = weir_sim_receive(port[1], frame, sizeof frame)) > 0)
        if (send(packet, frame, (size_t)n, 0) < 0)
            fprintf(stderr, "# a frame of %zd bytes did not leave: %s\n", n, strerror(errno));
}

void net_done(void)
{
    if (sim)
        weir_sim_close(sim);
    if (packet >= 0)
        close(packet);
    sim = NULL;
    packet = -1;
}

void net_use(bool pair)
{
    used = pair;
}

/* ---- the engine's side ---- */

#define PORT_NOBODY 9 /* discard, RFC 863: nobody opens it */
#define MEET_NS 5000000000u

/* The answer that nobody is there means that each knows where the other is. */
static void meet(bool ip6, void (*turn)(void *), void *arg)
{
    struct weir_addr to = net_engine_at(PORT_NOBODY, ip6);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(to.port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(to.port)};
    uint64_t until = weir_now_ns() + MEET_NS;
    int fd = socket(ip6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memcpy(&in.sin_addr, to.ip + 12, 4);
    memcpy(&in6.sin6_addr, to.ip, 16);
    connect(fd, ip6 ? (void *)&in6 : (void *)&in, ip6 ? sizeof in6 : sizeof in);
    while (send(fd, "", 0, 0) == 0 && weir_now_ns() < until) {
        net_carry();
        turn(arg);
    }
    if (weir_now_ns() >= until)
        fprintf(stderr, "# no answer from the engine over IPv%d\n", ip6 ? 6 : 4);
    close(fd);
}

/* The kernel forgets an engine before, so that it asks, and the engine learns who does. */
void net_meet(void (*turn)(void *), void *arg)
{
    if (met)
        return;
    met = true;
    if (system("ip neigh flush dev wk") != 0) /* NOLINT: a constant */
        fprintf(stderr, "# neighbours are not forgotten\n");
    meet(false, turn, arg);
    meet(true, turn, arg);
}

void net_opt(const char *backend, struct weir_engine_opt *opt)
{
    static const uint8_t mac[6] = {0x02, 0x57, 0, 0, 0, 2};
    met = false;
    struct weir_frames_opt *o = &opt->frames;
    weir_net_parse("10.99.1.2/24", &o->address[0]);
    weir_net_parse("fd99::2/64", &o->address[1]);
    o->addresses = 2;
    if (strcmp(backend, "xdp") == 0)
        o->device = "we";
    else if (strcmp(backend, "dpdk") == 0)
        o->vdev = "net_af_xdp0,iface=we"; /* af_packet puts fragments together and then cuts them */
    else
        open_sim(opt);
    if (sim)
        memcpy(o->mac, mac, sizeof mac);
}

static struct weir_addr at(const char *ip4, const char *ip6, uint16_t number, bool six)
{
    struct weir_net net;
    struct weir_addr addr = {.port = number};
    weir_net_parse(six ? ip6 : ip4, &net);
    memcpy(addr.ip, net.ip, sizeof addr.ip);
    return addr;
}

struct weir_addr net_engine_at(uint16_t number, bool ip6)
{
    return at("10.99.1.2", "fd99::2", number, ip6);
}

struct weir_addr net_peer_at(uint16_t number, bool ip6)
{
    return at("10.99.1.1", "fd99::1", number, ip6);
}

bool net_used(void)
{
    return used;
}
