/* SPDX-License-Identifier: MIT
 * Netlink by hand (netlink(7)): a request is built in a bounded buffer; an answer is one message, or
 * many until NLMSG_DONE. Attributes are looked up by their type, not relied on to be there. */
#include "backend/xdp.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int nl_open(int family, uint32_t groups)
{
    const struct timeval patience = {.tv_sec = 2}; /* the kernel answers at once, or never */
    const struct sockaddr_nl own = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (bind(fd, (const struct sockaddr *)(const void *)&own, sizeof own) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

void nl_begin(struct xdp_request *r, uint16_t type, uint16_t flags, const void *head, size_t bytes)
{
    struct nlmsghdr *m = (struct nlmsghdr *)(void *)r->bytes;
    memset(r, 0, sizeof *r);
    *m = (struct nlmsghdr){.nlmsg_type = type,
                           .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                           .nlmsg_len = (uint32_t)NLMSG_LENGTH(bytes)};
    memcpy(NLMSG_DATA(m), head, bytes);
}

void nl_put(struct xdp_request *r, uint16_t type, const void *data, size_t bytes)
{
    struct nlmsghdr *m = (struct nlmsghdr *)(void *)r->bytes;
    size_t at = NLMSG_ALIGN(m->nlmsg_len);
    struct rtattr *a = (struct rtattr *)(void *)(r->bytes + at);
    assert(at + RTA_LENGTH(bytes) <= sizeof r->bytes);
    *a = (struct rtattr){.rta_len = (uint16_t)RTA_LENGTH(bytes), .rta_type = type};
    memcpy(RTA_DATA(a), data, bytes);
    m->nlmsg_len = (uint32_t)(at + RTA_LENGTH(bytes));
}

int nl_send(int fd, const struct xdp_request *r)
{
    const struct nlmsghdr *m = (const void *)r->bytes;
    return send(fd, m, m->nlmsg_len, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* One datagram of an answer. 1: the end, 0: more follow, < 0: the kernel's -errno. */
static int take_answer(const uint8_t *bytes, size_t len,
                       void (*each)(const struct nlmsghdr *, void *), void *arg)
{
    const struct nlmsghdr *m = (const void *)bytes;
    bool many = false;
    for (; NLMSG_OK(m, len); m = NLMSG_NEXT(m, len)) {
        if (m->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *e = NLMSG_DATA(m);
            return e->error ? e->error : 1;
        }
        if (m->nlmsg_type == NLMSG_DONE)
            return 1;
        many |= (m->nlmsg_flags & NLM_F_MULTI) != 0;
        each(m, arg);
    }
    return !many;
}

int nl_ask(int fd, const struct xdp_request *r, void (*each)(const struct nlmsghdr *m, void *arg),
           void *arg)
{
    alignas(8) uint8_t bytes[XDP_NETLINK_BYTES];
    int rc = nl_send(fd, r);
    while (rc == 0) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG;
        rc = take_answer(bytes, (size_t)n, each, arg);
    }
    return rc < 0 ? rc : 0;
}

const struct rtattr *nl_attr(const struct nlmsghdr *m, size_t head_bytes, uint16_t type)
{
    size_t skip = NLMSG_ALIGN(head_bytes);
    if (m->nlmsg_len < NLMSG_LENGTH(skip))
        return NULL;
    size_t left = m->nlmsg_len - NLMSG_LENGTH(skip);
    const struct rtattr *a = (const void *)((const uint8_t *)NLMSG_DATA(m) + skip);
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
        if ((a->rta_type & NLA_TYPE_MASK) == type)
            return a;
    return NULL;
}

uint32_t nl_u32(const struct rtattr *a)
{
    uint32_t value = 0;
    if (a && RTA_PAYLOAD(a) >= sizeof value)
        memcpy(&value, RTA_DATA(a), sizeof value);
    return value;
}

uint64_t nl_u64(const struct rtattr *a)
{
    uint64_t value = 0;
    if (a && RTA_PAYLOAD(a) >= sizeof value)
        memcpy(&value, RTA_DATA(a), sizeof value);
    return value;
}
