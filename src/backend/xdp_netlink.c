/* SPDX-License-Identifier: MIT
 * Netlink by hand (netlink(7)): a request is built in a bounded buffer; an answer is one message, or
 * many until NLMSG_DONE. Attributes are looked up by their type, not relied on to be there.
 *
 * Lengths are not relied on either: a message, its own header and each attribute are read only as
 * far as the datagram goes. The macros NLMSG_NEXT and RTA_NEXT subtract an aligned length from what
 * is left, which wraps where the last one is not aligned: so they are not used. */
#include "backend/xdp.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static uint32_t asked; /* requests of this process: an answer bears its request's number */

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
                           .nlmsg_seq = __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED),
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

/* ---- reading -------------------------------------------------------------------------------- */

const struct nlmsghdr *nl_next(const uint8_t *bytes, uint32_t end, uint32_t *at)
{
    const struct nlmsghdr *m = (const void *)(bytes + *at);
    uint32_t left = end - *at;
    if (left < sizeof *m || m->nlmsg_len < sizeof *m || m->nlmsg_len > left) {
        *at = end;
        return NULL;
    }
    *at += min_of(NLMSG_ALIGN(m->nlmsg_len), left);
    return m;
}

const void *nl_head(const struct nlmsghdr *m, size_t bytes)
{
    return m->nlmsg_len >= NLMSG_LENGTH(bytes) ? NLMSG_DATA(m) : NULL;
}

int nl_error(const struct nlmsghdr *m)
{
    const int *err = nl_head(m, sizeof *err); /* struct nlmsgerr begins with it */
    return err ? *err : -EBADMSG;
}

int nl_take(const uint8_t *bytes, uint32_t len, uint32_t seq,
            void (*each)(const struct nlmsghdr *m, void *arg), void *arg)
{
    const struct nlmsghdr *m;
    uint32_t at = 0;
    bool any = false, many = false;
    while ((m = nl_next(bytes, len, &at))) {
        if (m->nlmsg_seq != seq) /* to a question that nobody waits for any more */
            continue;
        if (m->nlmsg_type == NLMSG_ERROR)
            return nl_error(m) < 0 ? nl_error(m) : 1;
        if (m->nlmsg_type == NLMSG_DONE)
            return 1;
        any = true;
        many |= (m->nlmsg_flags & NLM_F_MULTI) != 0;
        each(m, arg);
    }
    return any && !many;
}

ssize_t nl_receive(int fd, uint8_t *bytes, size_t room, int flags)
{
    struct sockaddr_nl from = {0};
    socklen_t from_len = sizeof from;
    ssize_t n =
        recvfrom(fd, bytes, room, flags | MSG_TRUNC, (struct sockaddr *)(void *)&from, &from_len);
    if (n < 0)
        return -errno;
    if (from.nl_pid) /* some process: only the kernel's port is 0 */
        return 0;
    return (size_t)n > room ? -EMSGSIZE : n;
}

int nl_ask(int fd, const struct xdp_request *r, void (*each)(const struct nlmsghdr *m, void *arg),
           void *arg)
{
    const struct nlmsghdr *m = (const void *)r->bytes;
    alignas(8) uint8_t bytes[XDP_NETLINK_BYTES];
    int rc = nl_send(fd, r);
    while (rc == 0) {
        ssize_t n = nl_receive(fd, bytes, sizeof bytes, 0);
        rc = n < 0 ? (int)n : nl_take(bytes, (uint32_t)n, m->nlmsg_seq, each, arg);
    }
    return rc < 0 ? rc : 0;
}

const struct rtattr *nl_attr(const struct nlmsghdr *m, size_t head_bytes, uint16_t type)
{
    for (size_t at = NLMSG_SPACE(head_bytes); at + sizeof(struct rtattr) <= m->nlmsg_len;) {
        const struct rtattr *a = (const void *)((const uint8_t *)m + at);
        if (a->rta_len < sizeof *a || a->rta_len > m->nlmsg_len - at)
            return NULL;
        if ((a->rta_type & NLA_TYPE_MASK) == type)
            return a;
        at += RTA_ALIGN(a->rta_len);
    }
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
