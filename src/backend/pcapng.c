/* SPDX-License-Identifier: MIT
 * See pcapng.h. Blocks are built in a buffer and leave it whole, so that a file is well formed
 * whenever it ends: a section header, an interface, then a block a packet. Numbers are of the
 * host's byte order, which the section header tells. */
#include "backend/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (256u << 10) /* some hundred packets a write */
#define TICK_NS 1000000000u
#define PAD4(n) (((n) + 3u) & ~3u)

/* Block types, option codes: the draft, sections 4.1 to 4.3. */
enum { SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 6 };
enum { OPT_END = 0, OPT_COMMENT = 1, IF_TSRESOL = 9, EPB_FLAGS = 2 };
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define TSRESOL_NS 9 /* 10^-9 */

static void put(struct pcapng *p, const void *data, uint32_t bytes)
{
    memcpy(p->buffer + p->used, data, bytes);
    p->used += bytes;
}

static void put32(struct pcapng *p, uint32_t value)
{
    put(p, &value, sizeof value);
}

static void put16(struct pcapng *p, uint16_t value)
{
    put(p, &value, sizeof value);
}

static void pad(struct pcapng *p)
{
    static const uint8_t zero[4];
    put(p, zero, PAD4(p->used) - p->used);
}

static void option(struct pcapng *p, uint16_t code, const void *data, uint16_t bytes)
{
    put16(p, code);
    put16(p, bytes);
    if (bytes)
        put(p, data, bytes);
    pad(p);
}

/* A block's length stands at both of its ends. */
static uint32_t begin(struct pcapng *p, uint32_t type)
{
    uint32_t at = p->used;
    put32(p, type);
    put32(p, 0);
    return at;
}

static void end(struct pcapng *p, uint32_t at)
{
    uint32_t bytes = p->used - at + 4;
    put32(p, bytes);
    memcpy(p->buffer + at + 4, &bytes, sizeof bytes);
    p->bytes += bytes;
}

/* Where the last whole block within the first `bytes` of the buffer ends. */
static uint32_t whole_blocks(const struct pcapng *p, uint32_t bytes)
{
    uint32_t at = 0, block = 0;
    while (block <= bytes - at) {
        at += block;
        if (bytes - at < 8)
            break;
        memcpy(&block, p->buffer + at + 4, sizeof block);
    }
    return at;
}

/* What a full disk took of a block is taken back: the file ends with a whole one. */
static void flush(struct pcapng *p)
{
    uint32_t at = 0;
    while (at < p->used && p->err == 0) {
        ssize_t n = write(p->fd, p->buffer + at, p->used - at);
        if (n > 0)
            at += (uint32_t)n;
        else if (n == 0 || errno != EINTR)
            p->err = n == 0 ? -ENOSPC : -errno;
    }
    uint32_t whole = at < p->used ? whole_blocks(p, at) : at;
    p->in_file += whole;
    if (whole < at && ftruncate(p->fd, (off_t)p->in_file) != 0)
        p->err = -errno;
    p->used = 0;
}

static void put_head(struct pcapng *p, unsigned link_type, const char *about)
{
    const uint8_t resolution = TSRESOL_NS;
    uint32_t at = begin(p, SECTION);
    put32(p, BYTE_ORDER_MAGIC);
    put16(p, 1); /* version 1.0 */
    put16(p, 0);
    put32(p, UINT32_MAX); /* the section's length is not known: 64 bits of -1 */
    put32(p, UINT32_MAX);
    option(p, OPT_COMMENT, about, (uint16_t)min_of(strlen(about), (size_t)1024));
    option(p, OPT_END, NULL, 0);
    end(p, at);
    at = begin(p, INTERFACE);
    put16(p, (uint16_t)link_type);
    put16(p, 0);
    put32(p, 0); /* no snap length: packets are whole */
    option(p, IF_TSRESOL, &resolution, 1);
    option(p, OPT_END, NULL, 0);
    end(p, at);
}

/* What stands there may go if it is a plain file of ours under no other name. */
static int remove_old(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISLNK(st.st_mode))
        return -ELOOP;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_uid != geteuid() || st.st_nlink != 1)
        return -EPERM;
    return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* A capture is as secret as its packets: always a new file, so that nobody has it open, and nothing
 * that another puts there meanwhile (O_EXCL follows no link either). */
static int create(const char *path)
{
    int rc = remove_old(path);
    if (rc)
        return rc;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

static const char *told(int err)
{
    switch (err) {
    case -EINVAL: return "not a plain file";
    case -EPERM: return "another user's, or it has another name as well";
    default: return strerror(-err);
    }
}

int pcapng_open(struct pcapng *p, const char *path, unsigned link_type, uint64_t bytes_max,
                const char *about, struct weir_why *why)
{
    *p = (struct pcapng){.fd = create(path), .bytes_max = bytes_max};
    if (p->fd < 0)
        return why_set(why, p->fd, "capture", "name a plain file in a directory of yours", "%s: %s",
                       path, told(p->fd));
    p->buffer = malloc(BUFFER_BYTES);
    if (!p->buffer) {
        close(p->fd);
        p->fd = -1;
        return why_set(why, -ENOMEM, "capture", "", "no memory");
    }
    put_head(p, link_type, about);
    return 0;
}

bool pcapng_packet(struct pcapng *p, uint64_t wall_ns, enum pcapng_direction direction,
                   const struct pcapng_part *part, unsigned n)
{
    const uint32_t flags = direction, fixed = 48; /* the block without its packet's bytes */
    uint32_t bytes = 0;
    for (unsigned i = 0; i < n; i++)
        bytes += part[i].bytes;
    if (p->err || bytes > BUFFER_BYTES - fixed || p->bytes + fixed + PAD4(bytes) > p->bytes_max)
        return false;
    if (p->used + fixed + PAD4(bytes) > BUFFER_BYTES)
        flush(p);
    if (p->err)
        return false;
    uint32_t at = begin(p, PACKET);
    put32(p, 0); /* interface */
    put32(p, (uint32_t)(wall_ns >> 32));
    put32(p, (uint32_t)wall_ns);
    put32(p, bytes);
    put32(p, bytes);
    for (unsigned i = 0; i < n; i++)
        put(p, part[i].data, part[i].bytes);
    pad(p);
    option(p, EPB_FLAGS, &flags, sizeof flags);
    option(p, OPT_END, NULL, 0);
    end(p, at);
    return true;
}

void pcapng_tick(struct pcapng *p, uint64_t now_ns)
{
    if (p->used == 0 || now_ns - p->flush_ns < TICK_NS)
        return;
    p->flush_ns = now_ns;
    flush(p);
}

void pcapng_close(struct pcapng *p)
{
    if (p->fd < 0)
        return;
    flush(p);
    close(p->fd);
    free(p->buffer);
    p->buffer = NULL;
    p->fd = -1;
}
