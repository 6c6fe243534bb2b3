/* SPDX-License-Identifier: MIT
 * xdp: frames through an AF_XDP socket, in the pool's own memory, past the kernel's stack.
 *
 *     device -> XDP program -> our flows: this queue's socket -> the stack above
 *                          \-> all else: the kernel, as if we were not there
 *
 * Opening takes the best that the host has and notes what it refused: zero-copy, native XDP, busy
 * polling, the device's metadata. Without own addresses the kernel's are shared: it resolves
 * neighbours and answers, and tells us of them (xdp_route.c).
 * Source  Documentation/networking/af_xdp.rst */
#include "backend/xdp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Static_assert(XDP_ADDRESSES == WEIR_NETS_MAX, "the program knows all that a port may have");

#define HEADERS_MAX 62u     /* Ethernet, IPv6, UDP: what lies in the headroom already */
#define RETRY_NS 50000u     /* until frames that no sendto took are offered again */
#define STARVED_NS 1000000u /* until a pool without a buffer to post is asked again */
#define GATHER_BYTES 1024u  /* see xdp_port */

static int xdp_probe(char *modes, size_t bytes, struct weir_why *why)
{
    int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return why_set(why, -errno, "AF_XDP",
                       errno == EPERM || errno == EACCES ? "run as root, or with CAP_NET_RAW"
                                                         : "a kernel with CONFIG_XDP_SOCKETS",
                       "%s", strerror(errno));
    close(fd);
    snprintf(modes, bytes,
             "our own UDP/IP stack past the kernel's; zero-copy where the driver has it");
    xdp_lesser(why);
    return 0;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* The largest frame that one chunk takes: the kernel keeps XDP_PACKET_HEADROOM in front. */
static uint32_t chunk_frame(const struct backend *b)
{
    return pool_small_bytes(b->pool) - XDP_PACKET_HEADROOM;
}

static void tell_cut(struct backend *b, const struct xdp_reading *r)
{
    const char *device = b->opt.frames.device;
    if (r->addresses_cut)
        backend_lesser(b, 0, "addresses", "give those that are to be served (frames.address)",
                       "%s has %u more than the %u that are shared: datagrams to them are the "
                       "kernel's",
                       device, r->addresses_cut, r->port->addresses);
    if (r->routes_cut)
        backend_lesser(b, 0, "routes", "",
                       "%s has %u more than the %u that are used: what is sent may go another way",
                       device, r->routes_cut, r->port->routes);
}

static int open_device(struct backend *b, struct xdp *x, struct weir_why *why)
{
    const struct weir_frames_opt *o = &b->opt.frames;
    if (!o->device)
        return why_set(why, -EINVAL, "xdp", "name an interface", "no device");
    int ifindex = (int)if_nametoindex(o->device);
    if (!ifindex)
        return why_set(why, -ENODEV, "xdp", "see ip link", "no interface '%s'", o->device);
    x->queue = o->queue;
    x->port.shared = o->addresses == 0;
    struct xdp_reading reading = {.ifindex = ifindex, .port = &x->port};
    int rc = xdp_view_read(&reading, why);
    if (rc)
        return rc;
    tell_cut(b, &reading);
    xdp_device_read(o->device, ifindex, &x->device);
    xdp_clock_open(&x->clock, x->device.clock);
    if (x->device.queues)
        x->port.queues = x->device.queues;
    if (x->queue >= x->port.queues)
        return why_set(why, -EINVAL, "xdp", "ethtool -L DEVICE combined N makes more",
                       "queue %u of %s, which has %u", x->queue, o->device, x->port.queues);
    x->link_err = x->port.up ? 0 : -ENETDOWN;
    return xdp_view_open(&x->view, ifindex, x->port.shared, why);
}

static void describe_port(struct backend *b, struct xdp *x)
{
    static const uint8_t none[6];
    const struct weir_frames_opt *o = &b->opt.frames;
    struct frame_port *port = &x->port;
    snprintf(port->name, sizeof port->name, "%s, queue %u of %u", o->device, x->queue,
             port->queues);
    if (o->mtu && o->mtu < port->mtu)
        port->mtu = o->mtu;
    x->frames_more = port->mtu + XDP_ETH_BYTES > chunk_frame(b);
    if (!port->shared) {
        memcpy(port->address, o->address, sizeof port->address);
        port->addresses = o->addresses;
    }
    if (memcmp(o->mac, none, sizeof none))
        memcpy(port->mac, o->mac, sizeof port->mac);
    uint16_t used = o->queues ? o->queues : 1;
    if (used < port->queues)
        backend_lesser(b, 0, "queues", "ethtool -L DEVICE combined N",
                       "%s has %u and %u are served: what comes by the others is the kernel's",
                       o->device, port->queues, used);
}

/* Time stamps that can be compared with ours; hashes where several engines share one queue. Neither
 * comes for nothing: 16 bytes of another cache line a frame, and a driver
 * without hardware computes the hash. */
static bool wants_meta(const struct backend *b, const struct xdp *x)
{
    bool time = x->device.rx_time && x->clock.fd >= 0;
    bool hash = x->device.rx_hash && b->opt.frames.queues > x->port.queues;
    return (time || hash) && !b->opt.frames.no_offload;
}

/* In shared mode all engines of the device have those of the first one's opening. */
static void take_addresses(struct backend *b, struct xdp *x, const struct xdp_prog_opt *opt)
{
    struct weir_net net[XDP_ADDRESSES] = {0};
    uint32_t n = xdp_prog_addresses(x->prog, net);
    bool same = n == opt->config.addresses;
    for (uint32_t i = 0; i < n && same; i++)
        same = memcmp(net[i].ip, opt->config.address[i].ip, sizeof net[i].ip) == 0;
    memcpy(x->port.address, net, sizeof net);
    x->port.addresses = n;
    if (!same)
        backend_lesser(b, 0, "addresses", "change them while no engine has the device",
                       "those of %s have changed since its first engine was opened: it shares the "
                       "old",
                       b->opt.frames.device);
}

static int open_program(struct backend *b, struct xdp *x, struct weir_why *why)
{
    struct xdp_prog_opt opt = {.ifindex = x->view.ifindex,
                               .queues = x->port.queues,
                               .generic = b->opt.frames.generic_mode,
                               .frags = x->frames_more,
                               .meta = wants_meta(b, x)};
    opt.config.own = !x->port.shared;
    opt.config.addresses = min_of(x->port.addresses, (uint32_t)XDP_ADDRESSES);
    for (unsigned i = 0; i < opt.config.addresses; i++) {
        memcpy(opt.config.address[i].ip, x->port.address[i].ip, 16);
        opt.prefix[i] = x->port.address[i].prefix;
    }
    x->prog = xdp_prog_open(&opt, why);
    if (!x->prog)
        return why && why->code ? why->code : -EIO;
    if (x->port.shared)
        take_addresses(b, x, &opt);
    x->meta = xdp_prog_meta(x->prog);
    const struct weir_why *lesser = xdp_prog_lesser(x->prog);
    if (lesser->code)
        backend_lesser(b, lesser->code, lesser->where, lesser->fix, "%s", lesser->what);
    return 0;
}

/* Frames to another address than the device's own need it to be promiscuous: as a packet socket's
 * wish, which ends with the process. */
static int ask_promiscuous(struct backend *b, struct xdp *x, struct weir_why *why)
{
    static const uint8_t none[6];
    const struct weir_frames_opt *o = &b->opt.frames;
    const struct packet_mreq wish = {.mr_ifindex = x->view.ifindex, .mr_type = PACKET_MR_PROMISC};
    if (!o->promiscuous && memcmp(o->mac, none, sizeof none) == 0)
        return 0;
    x->promisc_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (x->promisc_fd >= 0 &&
        setsockopt(x->promisc_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &wish, sizeof wish) == 0)
        return 0;
    return why_set(why, -errno, "xdp", "run as root", "promiscuous mode: %s", strerror(errno));
}

static int watch(struct xdp *x, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(x->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_wait(struct backend *b, struct xdp *x, struct weir_why *why)
{
    x->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int rc = x->epoll_fd < 0 ? -errno : watch(x, b->wake_fd, EPOLLIN | EPOLLET);
    rc = rc ? rc : watch(x, x->fd, EPOLLIN);
    rc = rc ? rc : watch(x, x->view.fd, EPOLLIN);
    return rc ? why_set(why, rc, "xdp", "raise the limit of open files", "%s", strerror(-rc)) : 0;
}

static int start(struct backend *b, struct xdp *x, struct weir_why *why)
{
    xdp_post(b, x);
    int rc = xdp_prog_enter(x->prog, x->queue, x->fd);
    if (rc)
        return why_set(why, rc, "XDP", "", "entering the socket of queue %u: %s", x->queue,
                       strerror(-rc));
    x->entered = true;
    x->tx_parts =
        x->gather || x->frames_more
            ? (x->port.mtu + XDP_ETH_BYTES) / (pool_small_bytes(b->pool) - pool_headroom(b->pool)) +
                  2
            : 1;
    x->tx_parts = min_of(x->tx_parts, XDP_PARTS_MAX);
    return 0;
}

static int xdp_open(struct backend *b, struct weir_why *why)
{
    struct xdp *x = calloc(1, sizeof *x);
    if (!x)
        return why_set(why, -ENOMEM, "xdp", "", "no memory");
    b->priv = x;
    x->fd = x->epoll_fd = x->promisc_fd = x->clock.fd = x->view.fd = -1;
    int rc = open_device(b, x, why);
    if (rc)
        return rc;
    describe_port(b, x);
    x->tx_checksum = x->device.tx_checksum && !b->opt.frames.no_offload &&
                     pool_headroom(b->pool) >= HEADERS_MAX + TX_REQUEST_BYTES;
    rc = open_program(b, x, why);
    rc = rc ? rc : xdp_socket_open(b, x, why);
    x->tx_checksum &= x->zerocopy; /* copying, the kernel would sum in software, or leave it out */
    rc = rc ? rc : ask_promiscuous(b, x, why);
    rc = rc ? rc : open_wait(b, x, why);
    return rc ? rc : start(b, x, why);
}

static void xdp_close(struct backend *b)
{
    struct xdp *x = xdp_of(b);
    if (!x)
        return;
    if (x->entered) /* else the queue is another engine's */
        xdp_prog_leave(x->prog, x->queue);
    xdp_socket_close(b, x);
    if (x->prog)
        xdp_prog_close(x->prog);
    xdp_view_close(&x->view);
    xdp_clock_close(&x->clock);
    if (x->promisc_fd >= 0)
        close(x->promisc_fd);
    if (x->epoll_fd >= 0)
        close(x->epoll_fd);
    free(x);
    b->priv = NULL;
}

static void xdp_modes(const struct backend *b, char *text, size_t bytes)
{
    const struct xdp *x = xdp_of(b);
    snprintf(text, bytes, "%s; %s XDP, %s%s%s%s; %s addresses", x->port.name,
             xdp_prog_generic(x->prog) ? "generic" : "native",
             x->zerocopy ? "zero-copy" : "copy mode", x->frames_more ? ", multi-buffer" : "",
             x->busy_poll ? ", busy polling" : "", x->meta ? ", device metadata" : "",
             x->port.shared ? "shared" : "own");
}

/* ---- the table of frames -------------------------------------------------------------------- */

/* A body of its own saves the copy of a payload that is shared by many frames; below GATHER_BYTES
 * the second descriptor costs more. Copying, the kernel takes a page for each: it never pays. */
static void xdp_port(const struct backend *b, struct frame_port *ret)
{
    const struct xdp *x = xdp_of(b);
    *ret = x->port;
    ret->tx_checksum = x->tx_checksum;
    ret->tx_gather = x->gather;
    ret->gather_bytes = GATHER_BYTES;
}

static int xdp_steer(struct backend *b, const struct weir_addr *local, bool on,
                     struct weir_why *why)
{
    struct xdp *x = xdp_of(b);
    int rc = xdp_prog_steer(x->prog, local, on);
    return rc ? why_set(why, rc, "XDP", "", "steering a port: %s", strerror(-rc)) : 0;
}

static unsigned xdp_notices(struct backend *b, struct port_notice *ret, unsigned n)
{
    struct xdp *x = xdp_of(b);
    if (likely(!x->view.due && b->now_ns - x->view.looked_ns < XDP_LINK_POLL_NS))
        return 0;
    x->view.looked_ns = b->now_ns;
    if (b->now_ns - x->stats_ns >= XDP_STATS_POLL_NS) {
        x->stats_ns = b->now_ns;
        xdp_socket_stats(b, x);
        xdp_clock_follow(&x->clock, b->now_ns);
    }
    unsigned told = xdp_view_notices(&x->view, &b->counters, ret, n);
    for (unsigned i = 0; i < told; i++)
        if (ret[i].kind == PORT_LINK)
            x->link_err = ret[i].err;
    return told;
}

static void xdp_resolve(struct backend *b, const uint8_t ip[16])
{
    xdp_view_resolve(&xdp_of(b)->view, &b->counters, ip);
}

static uint64_t xdp_next_ns(const struct backend *b)
{
    const struct xdp *x = xdp_of(b);
    if (x->view.due)
        return 0;
    if (x->tx_waits && !x->link_err)
        return b->now_ns + RETRY_NS;
    return x->posted ? UINT64_MAX : b->now_ns + STARVED_NS;
}

/* epoll_pwait2 is of Linux 5.11; EPERM is what older container filters say to what they do not know. */
static int wait_for(struct xdp *x, struct epoll_event *event, int n, int64_t timeout_ns)
{
    struct timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    int64_t ms = min_of((timeout_ns + 999999) / 1000000, INT64_C(60000));
    int got = epoll_pwait2(x->epoll_fd, event, n, timeout_ns < 0 ? NULL : &ts, NULL);
    if (got < 0 && (errno == ENOSYS || errno == EPERM))
        got = epoll_wait(x->epoll_fd, event, n, timeout_ns < 0 ? -1 : (int)ms);
    return got;
}

static int xdp_wait(struct backend *b, int64_t timeout_ns)
{
    struct xdp *x = xdp_of(b);
    struct epoll_event event[3];
    int n = wait_for(x, event, array_len(event), timeout_ns);
    COUNT(&b->counters, syscalls, 1);
    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++)
        x->view.due |= event[i].data.fd == x->view.fd;
    return 0;
}

static void xdp_stats(const struct backend *b, void (*line)(const char *, uint64_t, void *),
                      void *arg)
{
    xdp_socket_tell(b->priv, line, arg);
}

static const struct frame_ops xdp_frames = {
    .rx = xdp_rx,
    .tx_room = xdp_tx_room,
    .tx = xdp_tx,
    .submit = xdp_submit,
    .port = xdp_port,
    .steer = xdp_steer,
    .notices = xdp_notices,
    .resolve = xdp_resolve,
    .next_ns = xdp_next_ns,
    .stats = xdp_stats,
};

const struct backend_ops backend_xdp = {
    .name = "xdp",
    .title = "our own UDP/IP stack over AF_XDP",
    .kind = BACKEND_FRAMES,
    .frames = &xdp_frames,
    .probe = xdp_probe,
    .open = xdp_open,
    .close = xdp_close,
    .modes = xdp_modes,
    .wait = xdp_wait,
};
