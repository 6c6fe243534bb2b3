/* SPDX-License-Identifier: MIT
 * The Internet checksum over long data: payloads that no device has verified, and whole ICMP
 * messages. What is short is inline; see checksum.h, also for what a sum is.
 *
 * 32 bytes a turn into two pairs of accumulators, so that a turn does not wait for the one before;
 * a lane takes less than 2^32 a turn. Two lanes of 32-bit words beat a chain of 64-bit additions
 * with carry, which passes 8 bytes a cycle at best. */
#include "wire/checksum.h"

uint64_t checksum_add_long(uint64_t sum, const void *data, size_t n)
{
    const uint8_t *p = data;
    checksum_pair low = {0, 0}, high = {0, 0}, low2 = {0, 0}, high2 = {0, 0};

    for (; n >= 32; n -= 32, p += 32) {
        checksum_add16(&low, &high, p);
        checksum_add16(&low2, &high2, p + 16);
    }
    low += low2 + high + high2;
    sum += low[0] + low[1];
    if (n & 16) {
        sum = checksum_add(sum, p, 16);
        p += 16;
    }
    return checksum_tail(sum, p, n & 15);
}
