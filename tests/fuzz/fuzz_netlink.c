/* SPDX-License-Identifier: MIT
 * Any datagram that might come from a netlink socket: as an answer to request 1, which fills a port;
 * as notices, a few at a time; and as an answer of a generic family, which is searched for attributes.
 * The interface of interest is number 3. What is found is within its limits, and reading ends. */
#include "backend/xdp.h"

#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#define SEQ 1u
#define IFINDEX 3
#define SOME 3u /* notices that are asked for at once */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: a build without assertions must fuzz as well. */
static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void read_answer(const uint8_t *bytes, uint32_t size)
{
    struct frame_port port = {.shared = true};
    struct xdp_reading r = {.ifindex = IFINDEX, .port = &port};
    int rc = nl_take(bytes, size, SEQ, xdp_view_take, &r);
    demand(rc <= 1);
    demand(port.addresses <= WEIR_NETS_MAX && port.routes <= WEIR_ROUTES_MAX);
    demand(!r.addresses_cut || port.addresses == WEIR_NETS_MAX);
    demand(!r.routes_cut || port.routes == WEIR_ROUTES_MAX);
    for (uint32_t i = 0; i < port.addresses; i++)
        demand(port.address[i].prefix <= 128);
    for (uint32_t i = 0; i < port.routes; i++)
        demand(port.route[i].to.prefix <= 128);
}

static void read_notices(const uint8_t *bytes, uint32_t size)
{
    struct port_notice notice[SOME];
    uint32_t at = 0, before;
    do {
        before = at;
        unsigned told = xdp_view_tell(IFINDEX, bytes, size, &at, notice, SOME);
        demand(told <= SOME && at >= before && at <= size);
        demand(told == SOME || at == size);
        demand(told == 0 || at > before);
        for (unsigned i = 0; i < told; i++)
            demand(notice[i].kind == PORT_LINK ? notice[i].err <= 0
                                               : notice[i].kind == PORT_NEIGHBOUR);
    } while (at < size);
}

static void look_for(const struct nlmsghdr *m, void *arg)
{
    const struct rtattr *a = nl_attr(m, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID);
    const uint8_t *end = (const uint8_t *)m + m->nlmsg_len;
    uint64_t *sum = arg;
    demand(!a || (const uint8_t *)a + a->rta_len <= end);
    for (uint32_t i = 0; a && i < a->rta_len; i++)
        *sum += ((const uint8_t *)a)[i];
    *sum += nl_u32(a) + nl_u64(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t sum = 0;
    uint8_t *bytes = size <= XDP_NETLINK_BYTES ? malloc(size ? size : 1) : NULL;

    if (!bytes) /* or more than a socket would give */
        return 0;
    if (size)
        memcpy(bytes, data, size);
    read_answer(bytes, (uint32_t)size);
    read_notices(bytes, (uint32_t)size);
    nl_take(bytes, (uint32_t)size, SEQ, look_for, &sum);
    free(bytes);
    return 0;
}
