/* SPDX-License-Identifier: MIT
 * Any IPv6 packet is refused for a reason, or has lengths within it and a header that reads the
 * same when it is written again. The same walk, begun behind the fixed header, agrees. */
#include "wire.h"

#include "wire/ip6.h"

/* The extension headers but for the fragment's are not written: without them the rest is equal. */
static void check_again(struct ip6 ip)
{
    uint8_t again[IP6_BYTES + IP6_FRAGMENT_BYTES + 65535];
    struct ip6 back;
    size_t head;

    ip.extension_bytes = ip.fragmented ? IP6_FRAGMENT_BYTES : 0;
    head = ip6_emit(again, &ip);
    demand(head == IP6_BYTES + ip.extension_bytes);
    if (!ip6_is_fragment(&ip) && ip.fragmented)
        return; /* alone: what the payload begins with may look like an extension header */
    demand(ip6_parse(again, IP6_BYTES + ip.bytes, &back) == (int)head);
    demand(memcmp(back.src, ip.src, 16) == 0 && memcmp(back.dst, ip.dst, 16) == 0);
    demand(back.traffic_class == ip.traffic_class && back.hop_limit == ip.hop_limit);
    demand(back.protocol == ip.protocol && back.flow == ip.flow && back.bytes == ip.bytes);
    demand(back.fragmented == ip.fragmented && back.more == ip.more);
    demand(back.offset == ip.offset && back.id == ip.id);
    demand(back.extension_bytes == ip.extension_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ip6 ip, walked;
    int r = ip6_parse(data, size, &ip);

    if (r < 0) {
        demand(r >= -WIRE_VALUE && r != -WIRE_CHECKSUM);
        return 0;
    }
    demand(r == (int)IP6_BYTES + ip.extension_bytes && ip.extension_bytes <= ip.bytes);
    demand(IP6_BYTES + (size_t)ip.bytes <= size && ip.extension_bytes % 8 == 0);
    demand(ip.offset % 8 == 0 && (ip.fragmented || (!ip.more && !ip.offset && !ip.id)));
    demand(ip6_extensions(data + IP6_BYTES, ip.bytes, data[6], true, &walked) ==
           r - (int)IP6_BYTES);
    demand(walked.protocol == ip.protocol && walked.fragmented == ip.fragmented);
    check_again(ip);
    return 0;
}
