/* SPDX-License-Identifier: MIT
 * Any frame is refused for a reason, or has a header within it that is written as it was read. */
#include "wire.h"

#include "wire/eth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t again[ETH_BYTES_MAX];
    struct eth eth;
    int r = eth_parse(data, size, &eth);

    if (r < 0) {
        demand(r == -WIRE_SHORT || r == -WIRE_OPTIONS || r == -WIRE_LENGTH);
        return 0;
    }
    demand((size_t)r <= size && eth.vlans <= ETH_VLANS_MAX && r == (int)(14 + 4 * eth.vlans));
    demand(eth.type >= ETH_TYPE_MIN && !eth_is_tag(eth.type));
    demand(eth_emit(again, &eth) == (size_t)r);
    demand(memcmp(again, data, (size_t)r) == 0);
    return 0;
}
