/* SPDX-License-Identifier: MIT
 * Any neighbour solicitation or advertisement is refused for a reason, or reads the same when it is
 * written again. The first 4 bytes of an input are the sum of the pseudo-header. */
#include "wire.h"

#include "wire/icmp.h"

static void check(size_t size, uint64_t pseudo, const struct nd *nd)
{
    uint8_t again[ND_BYTES_MAX];
    size_t n = nd_emit(again, pseudo, nd);
    struct nd back;

    demand(n == nd_bytes(nd) && n <= size);
    demand(nd_parse(again, n, pseudo, &back) == (int)n);
    demand(back.type == nd->type && back.router == nd->router && back.override == nd->override);
    demand(back.solicited == nd->solicited && back.has_mac == nd->has_mac);
    demand(memcmp(back.target, nd->target, 16) == 0 && memcmp(back.mac, nd->mac, 6) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nd nd;
    uint64_t pseudo;
    uint8_t *p;
    int r;

    if (size < 4)
        return 0;
    pseudo = be32_load(data);
    data += 4;
    size -= 4;
    r = nd_parse(data, size, pseudo, &nd);
    demand((r == -WIRE_SHORT) == (size < ND_BYTES));
    p = r == -WIRE_SHORT ? NULL : copied(data, size);
    if (!p)
        return 0;
    mend(p, size, 2, pseudo);
    r = nd_parse(p, size, pseudo, &nd);
    if (r >= 0) {
        demand((size_t)r == size && nd.target[0] != 0xff);
        check(size, pseudo, &nd);
    } else {
        demand(r == -WIRE_VERSION || r == -WIRE_VALUE || r == -WIRE_OPTIONS);
    }
    free(p);
    return 0;
}
