/* SPDX-License-Identifier: MIT
 * Any ICMP message is refused for a reason, or is written as it was read. The first 4 bytes of an
 * input are the sum of the pseudo-header, 0 of ICMPv4. */
#include "wire.h"

#include "wire/icmp.h"

static void check(const uint8_t *p, size_t size, uint64_t pseudo, const struct icmp *icmp)
{
    uint8_t *again = copied(p, size);

    if (!again)
        return;
    memset(again, 0xa5, ICMP_BYTES);
    demand(icmp_emit(again, size, pseudo, icmp) == ICMP_BYTES);
    demand(memcmp(again, p, size) == 0);
    demand(icmp_parse(again, size, pseudo, &(struct icmp){0}) == (int)ICMP_BYTES);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct icmp icmp;
    uint64_t pseudo;
    uint8_t *p;
    int r;

    if (size < 4)
        return 0;
    pseudo = be32_load(data);
    data += 4;
    size -= 4;
    r = icmp_parse(data, size, pseudo, &icmp);
    demand(size < ICMP_BYTES ? r == -WIRE_SHORT : r == -WIRE_CHECKSUM || r == (int)ICMP_BYTES);
    p = r == -WIRE_SHORT ? NULL : copied(data, size);
    if (!p)
        return 0;
    mend(p, size, 2, pseudo);
    demand(icmp_parse(p, size, pseudo, &icmp) == (int)ICMP_BYTES);
    check(p, size, pseudo, &icmp);
    free(p);
    return 0;
}
