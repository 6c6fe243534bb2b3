/* SPDX-License-Identifier: MIT
 * Loss by layer, as the kernel counts it: softnet, interface, IP, UDP and TCP of the calling
 * thread's network namespace. Sockets and everything above count for themselves (engine.h).
 *
 * /proc/net is the main thread's namespace; /proc/thread-self/net is ours. The interface's
 * counters come from rtnetlink, because sysfs shows the namespace of whoever mounted it. */
#include "netlink.h"

#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NET "/proc/thread-self/net/"
#define TEXT_BYTES 65536 /* netstat is 4 kB, softnet_stat 160 bytes a core */

static int read_text(const char *path, char *text, struct weir_why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0, len = 0;

    if (fd < 0)
        return why_set(why, -errno, "drops", "is /proc mounted?", "%s: %s", path, strerror(errno));
    while (len < TEXT_BYTES - 1 && (n = read(fd, text + len, (size_t)(TEXT_BYTES - 1 - len))) > 0)
        len += n;
    close(fd);
    text[len] = '\0';
    return n < 0 ? why_set(why, -errno, "drops", NULL, "%s: %s", path, strerror(errno)) : 0;
}

/* A line a core; the second and third hexadecimal columns (net/core/net-procfs.c,
 * softnet_seq_show). */
static void read_softnet(const char *text, struct weir_net_drops *d)
{
    while (text && *text) {
        unsigned dropped = 0, squeezed = 0;

        if (sscanf(text, "%*x %x %x", &dropped, &squeezed) == 2) {
            d->softnet_dropped += dropped;
            d->softnet_squeezed += squeezed;
        }
        text = strchr(text, '\n');
        text += text ? 1 : 0;
    }
}

/* snmp and netstat have pairs of lines, "Udp: name name ..." and "Udp: value value ..."; the
 * value of `name`. */
static uint64_t pair_value(const char *text, const char *prefix, const char *name)
{
    size_t len = strlen(prefix), name_len = strlen(name);
    const char *names = strncmp(text, prefix, len) == 0 ? text : NULL, *values, *at;
    char line[32];

    snprintf(line, sizeof line, "\n%s", prefix);
    if (!names && (names = strstr(text, line)) != NULL)
        names++;
    values = names ? strstr(names, line) : NULL;
    if (!values)
        return 0;
    values += 1 + len;
    for (at = names + len; *at == ' '; at += strcspn(at, " \n")) {
        uint64_t value = strtoull(values, (char **)&values, 10);

        at++;
        if (strncmp(at, name, name_len) == 0 && (at[name_len] == ' ' || at[name_len] == '\n'))
            return value;
    }
    return 0;
}

static void read_snmp(const char *text, struct weir_net_drops *d)
{
    d->ip_discarded = pair_value(text, "Ip:", "InDiscards");
    d->ip_bad_header = pair_value(text, "Ip:", "InHdrErrors");
    d->ip_no_route = pair_value(text, "Ip:", "OutNoRoutes");
    d->udp_in = pair_value(text, "Udp:", "InDatagrams");
    d->udp_out = pair_value(text, "Udp:", "OutDatagrams");
    d->udp_no_port = pair_value(text, "Udp:", "NoPorts");
    d->udp_errors = pair_value(text, "Udp:", "InErrors");
    d->udp_rcvbuf = pair_value(text, "Udp:", "RcvbufErrors");
    d->udp_sndbuf = pair_value(text, "Udp:", "SndbufErrors");
    d->udp_checksum = pair_value(text, "Udp:", "InCsumErrors");
    d->udp_memory = pair_value(text, "Udp:", "MemErrors");
    d->tcp_retransmits = pair_value(text, "Tcp:", "RetransSegs");
}

/* /proc/net/snmp6 has a line a counter, "Udp6InDatagrams   17". */
static uint64_t line_value(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void add_snmp6(const char *text, struct weir_net_drops *d)
{
    d->ip_discarded += line_value(text, "Ip6InDiscards ");
    d->ip_bad_header += line_value(text, "Ip6InHdrErrors ");
    d->ip_no_route += line_value(text, "Ip6OutNoRoutes ");
    d->udp_in += line_value(text, "Udp6InDatagrams ");
    d->udp_out += line_value(text, "Udp6OutDatagrams ");
    d->udp_no_port += line_value(text, "Udp6NoPorts ");
    d->udp_errors += line_value(text, "Udp6InErrors ");
    d->udp_rcvbuf += line_value(text, "Udp6RcvbufErrors ");
    d->udp_sndbuf += line_value(text, "Udp6SndbufErrors ");
    d->udp_checksum += line_value(text, "Udp6InCsumErrors ");
    d->udp_memory += line_value(text, "Udp6MemErrors ");
}

static int read_protocols(char *text, struct weir_net_drops *d, struct weir_why *why)
{
    int err = read_text(NET "snmp", text, why);

    if (err)
        return err;
    read_snmp(text, d);
    err = read_text(NET "netstat", text, why);
    if (err)
        return err;
    d->tcp_listen_overflow = pair_value(text, "TcpExt:", "ListenOverflows");
    d->tcp_listen_drops = pair_value(text, "TcpExt:", "ListenDrops");
    if (read_text(NET "snmp6", text, NULL) == 0) /* absent where the kernel has no IPv6 */
        add_snmp6(text, d);
    return 0;
}

static int read_interface(const char *ifname, struct weir_net_drops *d, struct weir_why *why)
{
    int nl = netlink_open(why), err;

    if (nl < 0)
        return nl;
    err = netlink_stats(nl, ifname, d, why);
    close(nl);
    return err;
}

int weir_net_drops(const char *ifname, struct weir_net_drops *ret, struct weir_why *why)
{
    char *text = calloc(1, TEXT_BYTES);
    int err;

    *ret = (struct weir_net_drops){0};
    if (!text)
        return why_set(why, -ENOMEM, "drops", NULL, "no memory");
    err = read_text(NET "softnet_stat", text, why);
    if (!err) {
        read_softnet(text, ret);
        err = read_protocols(text, ret, why);
    }
    if (!err && ifname)
        err = read_interface(ifname, ret, why);
    free(text);
    return err;
}

void weir_net_drops_since(const struct weir_net_drops *after, const struct weir_net_drops *before,
                          struct weir_net_drops *ret)
{
#define X(name, text) ret->name = after->name - before->name;
    WEIR_NET_DROPS(X)
#undef X
}
