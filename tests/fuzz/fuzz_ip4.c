/* SPDX-License-Identifier: MIT
 * Any IPv4 packet is refused for a reason, or has lengths within it and a header that is written
 * as it was read but for the reserved flag. The inline path for plain headers agrees with the other. */
#include "wire.h"

#include "wire/ip4.h"

static void check(const uint8_t *p, size_t size, const struct ip4 *ip, int r)
{
    uint8_t again[IP4_BYTES_MAX], seen[IP4_BYTES_MAX];

    demand(r >= (int)IP4_BYTES && r <= (int)IP4_BYTES_MAX && r == ip->header_bytes && r % 4 == 0);
    demand(ip->total >= r && ip->total <= size && ip->offset % 8 == 0);
    demand(ip->option_bytes == r - (int)IP4_BYTES);
    demand(ip4_emit(again, ip) == (size_t)r);
    memcpy(seen, p, (size_t)r);
    seen[6] &= 0x7f;
    mend(seen, (size_t)r, 10, 0);
    demand(memcmp(again, seen, (size_t)r) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ip4 ip = {0}, any = {0};
    int r = ip4_parse(data, size, &ip);
    uint8_t *p;

    demand(r == ip4_parse_any(data, size, &any));
    if (r == -WIRE_CHECKSUM) {
        p = copied(data, size);
        if (!p)
            return 0;
        mend(p, (p[0] & 15u) * 4, 10, 0);
        r = ip4_parse(p, size, &ip);
        demand(r == ip4_parse_any(p, size, &any) && r != -WIRE_CHECKSUM);
        if (r >= 0)
            check(p, size, &ip, r);
        free(p);
    } else if (r >= 0) {
        check(data, size, &ip, r);
    }
    demand(r >= -WIRE_VALUE && (r < 0 || memcmp(&ip, &any, sizeof ip) == 0));
    return 0;
}
