/* SPDX-License-Identifier: MIT
 * A peer's stream of the pattern. Position is content: byte i of a direction is pattern_at(i), so
 * that each end checks what it reads without knowing how it was cut. */
#include "peer.h"

#include <errno.h>
#include <sys/socket.h>

#define CHUNK 65536

bool flow_push(struct flow *f, uint64_t upto)
{
    uint8_t chunk[CHUNK];
    while (f->sent < upto && f->err == 0) {
        size_t want = upto - f->sent < CHUNK ? (size_t)(upto - f->sent) : CHUNK;
        pattern_fill(chunk, f->sent, want);
        ssize_t n = send(f->fd, chunk, want, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
            break;
        if (n < 0)
            f->err = errno;
        else
            f->sent += (uint64_t)n;
    }
    return f->sent >= upto || f->err != 0;
}

/* One read. False: there is nothing to read now, or nothing any more. */
static bool pull_some(struct flow *f, size_t most)
{
    uint8_t chunk[CHUNK];
    ssize_t n = recv(f->fd, chunk, most < CHUNK ? most : CHUNK, 0);
    if (n == 0)
        f->eof = true;
    if (n < 0 && errno != EAGAIN && errno != ENOTCONN)
        f->err = errno;
    if (n <= 0)
        return false;
    f->bad |= !pattern_holds(chunk, f->got, (size_t)n);
    f->got += (uint64_t)n;
    return true;
}

bool flow_pull(struct flow *f, uint64_t upto)
{
    while (f->got < upto && !f->eof && f->err == 0)
        if (!pull_some(f, (size_t)(upto - f->got)))
            break;
    return f->got >= upto || f->eof || f->err != 0;
}

bool flow_ended(struct flow *f)
{
    while (!f->eof && f->err == 0 && pull_some(f, CHUNK))
        ;
    return f->eof || f->err != 0;
}
