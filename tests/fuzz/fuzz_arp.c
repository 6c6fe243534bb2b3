/* SPDX-License-Identifier: MIT
 * Any ARP packet is refused for a reason, or is written as it was read. */
#include "wire.h"

#include "wire/arp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t again[ARP_BYTES];
    struct arp arp;
    int r = arp_parse(data, size, &arp);

    demand(size >= ARP_BYTES ? r != -WIRE_SHORT : r == -WIRE_SHORT);
    if (r < 0) {
        demand(r >= -WIRE_VALUE);
        return 0;
    }
    demand(r == (int)ARP_BYTES && (arp.op == ARP_REQUEST || arp.op == ARP_REPLY));
    demand(arp_emit(again, &arp) == ARP_BYTES);
    demand(memcmp(again, data, ARP_BYTES) == 0);
    return 0;
}
