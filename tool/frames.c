/* SPDX-License-Identifier: MIT
 * Options of devices, captures and impaired links.
 *
 * In the flow   options -> frames_refused -> frames_engine -> weir_engine_open.
 * Invariants    an option that a backend would ignore is refused, with the backend that it is for;
 *               what only the host can refuse (no such interface) is left to the engine. */
#include "frames.h"

#include <string.h>

bool is_sim(const char *backend)
{
    return strcmp(backend, "sim") == 0;
}

bool is_dpdk(const char *backend)
{
    return strcmp(backend, "dpdk") == 0;
}

bool frames_plain(const struct frames_choice *c)
{
    return !c->pcap && !weir_impair_any(&c->impair);
}

/* Of sockets: the first option that is only for frames. */
static const char *for_frames(const struct frames_choice *c)
{
    return c->iface           ? "iface"
           : c->address.count ? "address"
           : c->queue         ? "queue"
           : c->promiscuous   ? "promiscuous"
                              : NULL;
}

/* A frame backend without a device has nothing to serve through. */
static bool no_device(const struct frames_choice *c, const char *name, char *text)
{
    if (strcmp(name, "xdp") == 0 && !c->iface)
        snprintf(text, FRAMES_REFUSAL_BYTES,
                 "xdp serves through an interface of this host: name one with --iface");
    else if (is_dpdk(name) && !c->iface && !c->vdev)
        snprintf(text, FRAMES_REFUSAL_BYTES,
                 "dpdk serves through a port: name an interface with --iface (a PCI address or a "
                 "port's name), or a virtual device with --vdev");
    else if (is_dpdk(name) && !c->address.count)
        snprintf(text, FRAMES_REFUSAL_BYTES,
                 "dpdk takes the device away from the kernel: give it an address with --address");
    else
        return false;
    return true;
}

bool frames_refused(const struct frames_choice *c, const struct weir_backend_info *info,
                    char text[FRAMES_REFUSAL_BYTES])
{
    const char *wrong = info->frames ? NULL : for_frames(c);
    if ((c->vdev || c->eal) && !is_dpdk(info->name))
        snprintf(text, FRAMES_REFUSAL_BYTES, "--%s is for dpdk, not for %s",
                 c->vdev ? "vdev" : "eal", info->name);
    else if (wrong)
        snprintf(text, FRAMES_REFUSAL_BYTES,
                 "--%s is for backends that speak frames (xdp, dpdk); %s serves through the "
                 "kernel's sockets",
                 wrong, info->name);
    else if (is_sim(info->name))
        snprintf(text, FRAMES_REFUSAL_BYTES,
                 "sim has no wire to anybody else: weir bench -b sim measures it");
    else
        return info->frames && no_device(c, info->name, text);
    return true;
}

void frames_engine(const struct frames_choice *c, bool frames, struct weir_engine_opt *ret)
{
    ret->pcap = c->pcap;
    ret->impair = c->impair;
    if (!frames)
        return;
    ret->frames.device = c->iface;
    ret->frames.vdev = c->vdev;
    ret->frames.eal = c->eal;
    ret->frames.promiscuous = c->promiscuous;
    ret->frames.queue = c->queue;
    ret->frames.addresses = c->address.count;
    memcpy(ret->frames.address, c->address.net, sizeof c->address.net);
}
