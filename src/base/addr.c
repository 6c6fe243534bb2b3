/* SPDX-License-Identifier: MIT
 * Addresses: text <-> struct weir_addr <-> sockaddr.
 *
 * One form inside: IPv6, IPv4 mapped as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so that an
 * address compares byte by byte. The parser takes exactly what weir_addr_text prints, and "7000"
 * for "*:7000". Invariant: scope is 0 unless the address is link-local (RFC 4007 section 6: a
 * zone belongs to it). */
#include "base.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t zero[16];

bool addr_is_ip4(const struct weir_addr *addr)
{
    return memcmp(addr->ip, mapped, sizeof mapped) == 0;
}

bool addr_is_any(const struct weir_addr *addr)
{
    return memcmp(addr->ip, zero, 16) == 0 ||
           (addr_is_ip4(addr) && memcmp(addr->ip + 12, zero, 4) == 0);
}

/* fe80::/10, and multicast of link scope (RFC 4291 sections 2.5.6 and 2.7). */
static bool is_link_local(const uint8_t ip[16])
{
    return (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) || (ip[0] == 0xff && (ip[1] & 0x0f) == 2);
}

struct weir_addr weir_addr_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    struct weir_addr addr = {.ip = {[12] = a, b, c, d}, .port = port};

    memcpy(addr.ip, mapped, sizeof mapped);
    return addr;
}

/* strtoul would take signs, blanks and other bases. */
static int parse_u16(const char *text, uint16_t *ret)
{
    uint32_t value = 0;
    unsigned digits = 0;

    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 5; digits++)
        value = value * 10 + (uint32_t)(text[digits] - '0');
    if (digits == 0 || text[digits] || value > UINT16_MAX)
        return -EINVAL;
    *ret = (uint16_t)value;
    return 0;
}

static int parse_scope(const char *text, uint16_t *ret)
{
    unsigned index;

    if (parse_u16(text, ret) == 0)
        return *ret ? 0 : -EINVAL;
    index = if_nametoindex(text);
    if (index == 0 || index > UINT16_MAX)
        return -EINVAL;
    *ret = (uint16_t)index;
    return 0;
}

/* What stands between the brackets: an IPv6 address, and perhaps %zone. */
static int parse_ip6(char *host, struct weir_addr *ret)
{
    char *zone = strchr(host, '%');

    if (zone)
        *zone++ = '\0';
    if (inet_pton(AF_INET6, host, ret->ip) != 1)
        return -EINVAL;
    if (!zone)
        return 0;
    return is_link_local(ret->ip) ? parse_scope(zone, &ret->scope) : -EINVAL;
}

static int parse_ip4(const char *host, struct weir_addr *ret)
{
    memcpy(ret->ip, mapped, sizeof mapped);
    return inet_pton(AF_INET, host, ret->ip + 12) == 1 ? 0 : -EINVAL;
}

static int parse_host(char *host, struct weir_addr *ret)
{
    size_t len = strlen(host);

    if (strcmp(host, "*") == 0)
        return 0;
    if (len < 2 || host[0] != '[')
        return parse_ip4(host, ret);
    if (host[len - 1] != ']')
        return -EINVAL;
    host[len - 1] = '\0';
    return parse_ip6(host + 1, ret);
}

int weir_addr_parse(const char *text, struct weir_addr *ret)
{
    char host[WEIR_ADDR_TEXT];
    struct weir_addr addr = {0};
    char *colon;
    int r;

    if (strlen(text) >= sizeof host)
        return -EINVAL;
    strcpy(host, text);
    colon = strrchr(host, ':');
    r = parse_u16(colon ? colon + 1 : host, &addr.port);
    if (r == 0 && colon) {
        *colon = '\0';
        r = parse_host(host, &addr);
    }
    if (r == 0)
        *ret = addr;
    return r;
}

/* "%eth0", or "%7" when no interface of that index exists (any more). */
static void zone_text(uint16_t scope, char text[IF_NAMESIZE + 1])
{
    text[0] = '\0';
    if (!scope)
        return;
    text[0] = '%';
    if (!if_indextoname(scope, text + 1))
        snprintf(text + 1, IF_NAMESIZE, "%u", scope);
}

const char *weir_addr_text(const struct weir_addr *addr, char text[WEIR_ADDR_TEXT])
{
    const uint8_t *ip = addr->ip;
    char host[INET6_ADDRSTRLEN], zone[IF_NAMESIZE + 1];

    if (addr_is_ip4(addr)) {
        snprintf(text, WEIR_ADDR_TEXT, "%u.%u.%u.%u:%u", ip[12], ip[13], ip[14], ip[15],
                 addr->port);
    } else if (addr_is_any(addr)) {
        snprintf(text, WEIR_ADDR_TEXT, "*:%u", addr->port);
    } else {
        inet_ntop(AF_INET6, ip, host, sizeof host);
        zone_text(addr->scope, zone);
        snprintf(text, WEIR_ADDR_TEXT, "[%s%s]:%u", host, zone, addr->port);
    }
    return text;
}

unsigned addr_to_sock(const struct weir_addr *addr, int family, struct sockaddr_storage *ret)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};

    if (family == AF_INET6) {
        memcpy(&in6.sin6_addr, addr->ip, 16);
        in6.sin6_scope_id = addr->scope;
        memcpy(ret, &in6, sizeof in6);
        return sizeof in6;
    }
    if (family != AF_INET || (!addr_is_ip4(addr) && !addr_is_any(addr)))
        return 0;
    memcpy(&in4.sin_addr, addr->ip + 12, 4);
    memcpy(ret, &in4, sizeof in4);
    return sizeof in4;
}

/* The source may lie anywhere in a receive buffer: memcpy, because it need not be aligned. */
void addr_from_sock(const void *sockaddr, struct weir_addr *ret)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    sa_family_t family;

    *ret = (struct weir_addr){0};
    memcpy(&family, (const char *)sockaddr + offsetof(struct sockaddr, sa_family), sizeof family);
    if (family == AF_INET) {
        memcpy(&in4, sockaddr, sizeof in4);
        memcpy(ret->ip, mapped, sizeof mapped);
        memcpy(ret->ip + 12, &in4.sin_addr, 4);
        ret->port = ntohs(in4.sin_port);
    } else if (family == AF_INET6) {
        memcpy(&in6, sockaddr, sizeof in6);
        memcpy(ret->ip, &in6.sin6_addr, 16);
        ret->port = ntohs(in6.sin6_port);
        ret->scope = is_link_local(ret->ip) ? (uint16_t)in6.sin6_scope_id : 0;
    }
}
