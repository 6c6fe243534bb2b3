/* SPDX-License-Identifier: MIT
 * ICMP in: echo requests are answered in place, errors go to icmp_error.c, neighbour discovery to
 * nd.c, all else ends as icmp_in.
 *
 * Invariant: an echo reply has the request's bytes but for the type, so that its checksum is the
 * request's, updated; the pseudo-header's sum does not change when its addresses change places.
 * Source: RFC 792, RFC 1122 section 3.2.2, RFC 4443. */
#include "stack/control_inside.h"

/* An ICMP message of a packet: where it is in the frame, and its bytes. */
struct message {
    size_t at;
    uint32_t n;
};

/* The type is the first of the two bytes that share a word with the code. */
static void set_type(uint8_t *p, uint8_t type)
{
    uint16_t was, is, sum;
    memcpy(&was, p, 2);
    p[0] = type;
    memcpy(&is, p, 2);
    memcpy(&sum, p + 2, 2);
    sum = checksum_update(sum, was, is);
    memcpy(p + 2, &sum, 2);
}

/* The answer's message, with `front` bytes of headers to be written before it, which always fit
 * where the request's were. NULL: the frame is gone, counted. */
static struct weir_buf *reply(struct stack *s, struct weir_buf *frame, const struct message *m,
                              uint32_t front, uint8_t type, uint64_t now_ns)
{
    if (!control_may(s, &s->control->echo, now_ns)) {
        frame_drop(frame);
        return NULL;
    }
    struct weir_buf *buf = control_own(s, frame);
    if (!buf)
        return NULL;
    buf->data += m->at - front;
    buf->len = front + m->n;
    set_type(buf->data + front, type);
    COUNT(s->counters, icmp_out, 1);
    return buf;
}

static void echo4(struct stack *s, struct weir_buf *frame, const struct ip4 *ip,
                  const struct message *m, uint64_t now_ns)
{
    uint8_t mac[6];
    memcpy(mac, frame->data + 6, 6);
    struct weir_buf *buf = reply(s, frame, m, ETH_BYTES + IP4_BYTES, ICMP_ECHO_REPLY, now_ns);
    if (!buf)
        return;
    control_eth(s, buf->data, mac, ETH_IP4);
    control_ip4(s, buf->data + ETH_BYTES, ip->dst, ip->src, m->n);
    stack_push(s, buf);
}

static void echo6(struct stack *s, struct weir_buf *frame, const struct ip6 *ip,
                  const struct message *m, uint64_t now_ns)
{
    uint8_t mac[6];
    memcpy(mac, frame->data + 6, 6);
    struct weir_buf *buf = reply(s, frame, m, ETH_BYTES + IP6_BYTES, ICMP6_ECHO_REPLY, now_ns);
    if (!buf)
        return;
    control_eth(s, buf->data, mac, ETH_IP6);
    control_ip6(buf->data + ETH_BYTES, ip->dst, ip->src, m->n, IP_TTL);
    stack_push(s, buf);
}

/* False: malformed, counted. One with a wrong checksum is no ICMP message, whatever it says. */
static bool parse(struct stack *s, const uint8_t *p, uint32_t n, uint64_t pseudo, struct icmp *ret)
{
    int bad = icmp_parse(p, n, pseudo, ret);
    COUNT(s->counters, bad_checksum, bad == -WIRE_CHECKSUM);
    COUNT(s->counters, icmp_in, bad != -WIRE_CHECKSUM);
    COUNT(s->counters, icmp_bad, bad < 0 && bad != -WIRE_CHECKSUM);
    return bad >= 0;
}

void icmp4_in(struct stack *s, struct weir_buf *frame, const struct ip4 *ip, size_t l3,
              uint64_t now_ns)
{
    struct message m = {l3 + ip->header_bytes, (uint32_t)ip->total - ip->header_bytes};
    const uint8_t *p = frame->data + m.at;
    struct icmp icmp;
    bool good = parse(s, p, m.n, 0, &icmp);
    if (good && icmp.type == ICMP_ECHO && icmp.code == 0 && s->answers) {
        echo4(s, frame, ip, &m, now_ns);
        return;
    }
    if (good && icmp.type == ICMP_UNREACHABLE) {
        uint32_t mtu = icmp.rest & 0xffff; /* RFC 1191, 4 */
        error4_in(s, p + ICMP_BYTES, m.n - ICMP_BYTES,
                  icmp.code == ICMP_FRAGMENTATION_NEEDED ? &mtu : NULL, now_ns);
    }
    frame_drop(frame);
}

void icmp6_in(struct stack *s, struct weir_buf *frame, const struct ip6 *ip, size_t l3,
              uint64_t now_ns)
{
    uint32_t head = IP6_BYTES + ip->extension_bytes;
    struct message m = {l3 + head, IP6_BYTES + ip->bytes - head};
    const uint8_t *p = frame->data + m.at;
    struct icmp icmp;
    if (!parse(s, p, m.n, checksum_pseudo6(ip->src, ip->dst, IP_ICMP6, m.n), &icmp)) {
        frame_drop(frame);
        return;
    }
    if (icmp.type == ICMP6_SOLICITATION || icmp.type == ICMP6_ADVERTISEMENT) {
        nd_in(s, frame, ip, p, m.n, now_ns);
        return;
    }
    if (icmp.type == ICMP6_ECHO && icmp.code == 0 && s->answers && local_find(s, ip->dst) &&
        !ip_is_zero(ip->src)) {
        echo6(s, frame, ip, &m, now_ns);
        return;
    }
    if (icmp.type == ICMP6_UNREACHABLE || icmp.type == ICMP6_TOO_BIG)
        error6_in(s, p + ICMP_BYTES, m.n - ICMP_BYTES,
                  icmp.type == ICMP6_TOO_BIG ? &icmp.rest : NULL, now_ns);
    frame_drop(frame);
}
