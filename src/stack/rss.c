/* SPDX-License-Identifier: MIT
 * Software RSS: what a NIC does where it has several queues, for devices that have one.
 *
 * The device's own hash is not used even where it comes with the frame: it chose the queue already,
 * so that what is left of it spreads badly behind one; it is rarely symmetric; and a frame that
 * comes without one would part from its flow. */
#include "stack/rss.h"

#include "wire/eth.h"
#include "wire/ip6.h"
#include "wire/udp.h"

uint32_t rss_toeplitz(const uint8_t *key, const uint8_t *input, size_t bytes)
{
    uint32_t hash = 0, window = be32_load(key);

    for (size_t i = 0; i < bytes; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            if (input[i] >> (7 - bit) & 1)
                hash ^= window;
            window = window << 1 | (key[i + 4] >> (7 - bit) & 1);
        }
    return hash;
}

/* The hash of one word: for each of its bits the key, turned by the bit's place. */
static uint32_t word_hash(uint16_t word)
{
    const uint32_t twice = RSS_SYMMETRIC << 16 | RSS_SYMMETRIC;
    uint32_t hash = 0;

    for (unsigned bit = 0; bit < 16; bit++)
        hash ^= twice >> (bit + 1) & (0u - (word >> bit & 1u));
    hash &= 0xffff;
    return hash << 16 | hash;
}

uint32_t rss_symmetric(const uint8_t *addresses, size_t bytes, const uint8_t ports[4])
{
    uint32_t sum = be32_load(ports);

    for (size_t i = 0; i < bytes; i += 4)
        sum ^= be32_load(addresses + i);
    return word_hash((uint16_t)(sum ^ sum >> 16));
}

static bool flow4(const uint8_t *p, uint32_t len, struct rss_flow *ret)
{
    uint32_t head = (p[0] & 15u) * 4;

    if (p[0] >> 4 != 4 || head < IP4_BYTES || len < head + UDP_BYTES || p[9] != IP_UDP)
        return false;
    if (be16_load(p + 6) & (IP4_MORE | IP4_OFFSET))
        return false;
    ret->to = p + 16;
    ret->to_bytes = 4;
    ret->port = be16_load(p + head + 2);
    ret->hash = rss_symmetric(p + 12, 8, p + head);
    return true;
}

static bool flow6(const uint8_t *p, uint32_t len, struct rss_flow *ret)
{
    if (len < IP6_BYTES + UDP_BYTES || p[0] >> 4 != 6 || p[6] != IP_UDP)
        return false;
    ret->to = p + 24;
    ret->to_bytes = 16;
    ret->port = be16_load(p + IP6_BYTES + 2);
    ret->hash = rss_symmetric(p + 8, 32, p + IP6_BYTES);
    return true;
}

bool rss_flow(const uint8_t *frame, uint32_t len, struct rss_flow *ret)
{
    if (len < ETH_BYTES + IP4_BYTES + UDP_BYTES)
        return false;
    switch (be16_load(frame + 12)) {
    case ETH_IP4: return flow4(frame + ETH_BYTES, len - ETH_BYTES, ret);
    case ETH_IP6: return flow6(frame + ETH_BYTES, len - ETH_BYTES, ret);
    default: return false;
    }
}
