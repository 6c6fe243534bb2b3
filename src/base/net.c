/* SPDX-License-Identifier: MIT
 * Texts of networks: an address, and perhaps a slash and the length of its prefix (RFC 4632, RFC
 * 4291, 2.3). IPv4 is kept mapped, so that one comparison serves both. */
#include "base/base.h"

#include <weir/frames.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define MAPPED_BITS 96u /* RFC 4291, 2.5.5.2 */

/* Digits only, no more than three: "0" to "128". */
static int parse_prefix(const char *text, unsigned most, unsigned *ret)
{
    unsigned value = 0, n = 0;
    for (; text[n] >= '0' && text[n] <= '9' && n < 4; n++)
        value = value * 10 + (unsigned)(text[n] - '0');
    if (n == 0 || n > 3 || text[n] || value > most)
        return -EINVAL;
    *ret = value;
    return 0;
}

int weir_net_parse(const char *text, struct weir_net *ret)
{
    char host[INET6_ADDRSTRLEN];
    struct weir_net net = {.ip = {[10] = 0xff, [11] = 0xff}};
    size_t n = strcspn(text, "/");
    if (n >= sizeof host)
        return -EINVAL;
    memcpy(host, text, n);
    host[n] = '\0';
    bool ip4 = inet_pton(AF_INET, host, net.ip + 12) == 1;
    if (!ip4 && inet_pton(AF_INET6, host, net.ip) != 1)
        return -EINVAL;
    unsigned most = ip4 ? 32 : 128, prefix = most;
    if (text[n] == '/' && parse_prefix(text + n + 1, most, &prefix))
        return -EINVAL;
    net.prefix = (uint8_t)(prefix + (ip4 ? MAPPED_BITS : 0));
    *ret = net;
    return 0;
}
