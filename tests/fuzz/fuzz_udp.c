/* SPDX-License-Identifier: MIT
 * Any UDP datagram is refused for a reason, or is written as it was read, with a checksum that is
 * right and never 0. The first 4 bytes of an input are the sum of the pseudo-header. */
#include "wire.h"

#include "wire/udp.h"

/* With the sum of a real pseudo-header, which is never 0. */
static void check(const uint8_t *data, const struct udp *udp, uint64_t pseudo)
{
    uint8_t *p = copied(data, udp->bytes);
    bool was_ok = udp_checksum_ok(data, udp, pseudo);
    struct udp back;

    if (!p)
        return;
    demand(udp_emit(p, udp, pseudo) == UDP_BYTES);
    demand(udp_parse(p, udp->bytes, &back) == (int)UDP_BYTES && back.checksum != 0);
    demand(udp_checksum_ok(p, &back, pseudo));
    demand(memcmp(p, data, 6) == 0 && memcmp(p + 8, data + 8, udp->bytes - 8u) == 0);
    demand(was_ok == (udp->checksum == 0 || udp->checksum == back.checksum));
    p[0] ^= 1;
    demand(!udp_checksum_ok(p, &back, pseudo));
    free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct udp udp;
    uint64_t pseudo;
    int r;

    if (size < 4)
        return 0;
    pseudo = (uint64_t)be32_load(data) + 1;
    data += 4;
    size -= 4;
    r = udp_parse(data, size, &udp);
    demand((r == -WIRE_SHORT) == (size < UDP_BYTES));
    if (r < 0) {
        demand(r == -WIRE_SHORT || r == -WIRE_LENGTH);
        return 0;
    }
    demand(r == (int)UDP_BYTES && udp.bytes >= UDP_BYTES && udp.bytes <= size);
    check(data, &udp, pseudo);
    return 0;
}
