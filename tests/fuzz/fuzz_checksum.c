/* SPDX-License-Identifier: MIT
 * Over any bytes the checksum is that of a naive sum, in one piece, in two, from an odd address,
 * and when a word of it changes. The first 2 bytes of an input say where to cut and what to change. */
#include "wire.h"

static uint16_t naive(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? p[i] : (uint64_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return be16((uint16_t)sum);
}

/* RFC 1624 leaves out one case: covered words that are all 0 afterwards have two right checksums. */
static void check_update(uint8_t *p, size_t size, size_t at, uint16_t is)
{
    uint16_t was, updated, whole = checksum_finish(checksum_add(0, p, size));

    if (checksum_fold(checksum_add(0, p, size)) == 0)
        return;
    memcpy(&was, p + at, 2);
    updated = checksum_update(whole, was, is);
    memcpy(p + at, &is, 2);
    whole = checksum_finish(checksum_add(0, p, size));
    demand(updated == whole || (whole == 0xffff && updated == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t cut;
    uint16_t sum, is;
    uint8_t *odd;

    if (size < 4)
        return 0;
    is = be16_load(data);
    data += 2;
    size -= 2;
    cut = is % (size / 2) * 2;
    sum = naive(data, size);
    demand(checksum_fold(checksum_add(0, data, size)) == sum);
    demand(checksum_fold(checksum_add_long(0, data, size)) == sum);
    demand(checksum_fold(checksum_add(checksum_add(0, data, cut), data + cut, size - cut)) == sum);
    odd = malloc(size + 1);
    if (!odd)
        return 0;
    memcpy(odd + 1, data, size);
    demand(checksum_fold(checksum_add(0, odd + 1, size)) == sum);
    check_update(odd + 1, size, cut, is);
    free(odd);
    return 0;
}
