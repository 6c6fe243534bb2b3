/* SPDX-License-Identifier: MIT
 * Frames made by hand, good ones and bad ones, as a stranger on the link would send them to the host
 * under test. Written on the RFCs alone, apart from src/wire, so that both cannot be wrong alike. */
#ifndef WEIR_SIM_CRAFT_H
#define WEIR_SIM_CRAFT_H

#include <stddef.h>
#include <stdint.h>

#define CRAFT_MAX 1514u
#define CRAFT_DATA 32u /* bytes of payload of the good ones */
#define ETHER 14u      /* where the packet begins */
#define L4 34u         /* where its transport header begins, over IPv4 without options */
#define L6 54u         /* the same over IPv6 */

struct craft {
    size_t n;
    uint8_t at[2048];
};

/* From the stranger (10.0.0.66, fd00::42, 02:00:00:00:00:66) to the target (10.0.0.2, fd00::2,
 * 02:00:00:00:00:02). The errors quote a datagram that the target may have sent from port 7. */
enum good {
    UDP4,
    UDP6,
    ARP_ASK,
    ARP_TELL,
    PING4,
    PING6,
    SOLICIT,
    ADVERTISE,
    ERROR4,
    ERROR6,
    GOODS
};
void craft_good(struct craft *c, enum good what);

/* A piece of a datagram of both ports 7, whose bytes are those of `whole`, cut at will. */
struct piece {
    uint16_t id, offset, bytes;
    uint8_t more, protocol;
};
void craft_piece(struct craft *c, int ip4, const struct piece *piece, const uint8_t *whole);
/* UDP header and payload of `bytes` together, with the checksum that it has over IPv4 or IPv6. */
void craft_datagram(uint8_t *ret, int ip4, uint16_t bytes, uint16_t port);

/* Bytes that were not there; the IP header's length grows where they are behind it. */
void craft_insert(struct craft *c, size_t at, const void *bytes, size_t n);
/* All checksums right again, as far as the lengths allow to say what they are over. */
void craft_sums(struct craft *c);
/* UDP's checksum as a sender leaves it to an offload: the pseudo-header's sum alone. */
void craft_partial(struct craft *c);

uint32_t craft_get(const struct craft *c, size_t at, unsigned bytes); /* big endian */
void craft_set(struct craft *c, size_t at, unsigned bytes, uint32_t value);

#endif
