/* SPDX-License-Identifier: MIT
 * UDP headers with their checksum; parsing is inline (udp.h).
 *
 *     src port 2 | dst port 2 | bytes 2 | checksum 2
 *
 * RFC 768: "If the computed checksum is zero, it is transmitted as all ones"; 0 says that there is
 * none. */
#include "wire/udp.h"

size_t udp_emit(uint8_t *p, const struct udp *udp, uint64_t pseudo)
{
    uint16_t sum;

    udp_put(p, udp, 0);
    sum = checksum_finish(checksum_add(pseudo, p, udp->bytes));
    return udp_put(p, udp, sum ? sum : 0xffff);
}
