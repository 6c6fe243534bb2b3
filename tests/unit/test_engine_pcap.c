/* SPDX-License-Identifier: MIT
 * Captures: what an engine sent and received stands in the file, whole and in order, and the file
 * is well formed, however it ends. Read back here block by block (draft-ietf-opsawg-pcapng), and by
 * tshark where there is one. */
#include "test.h"

#include "backend/wrap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir.h>

#define PATIENCE_NS 20000000000u
#define EPB_HEAD 28u

static char path[64], path2[64];
static const char *const backends[] = {"naive", "epoll", "uring"};

struct bed {
    struct weir_engine *engine;
    struct weir_addr at;
    weir_ep ep;
    unsigned got;
    int fd;
};

static void echo(struct weir_engine *engine, struct weir_event *events, unsigned n, void *app)
{
    struct bed *bed = app;
    for (unsigned i = 0; i < n; i++) {
        bed->got += events[i].kind == WEIR_DATAGRAM;
        if (events[i].kind == WEIR_DATAGRAM)
            weir_send(engine, events[i].ep, &events[i].buf, 1);
    }
}

static int peer(const struct weir_addr *to)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    at.sin_port = htons(to->port);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static bool open_bed(struct bed *bed, const char *backend, uint64_t bytes)
{
    struct weir_engine_opt opt = {.backend = backend,
                                  .pcap = path,
                                  .pcap_bytes = bytes,
                                  .no_gro = 1,
                                  .pool = {.node = WEIR_NODE_ANY,
                                           .mem_flags = WEIR_MEM_NO_LOCK | WEIR_MEM_NO_HUGE}};
    struct weir_why why = {0};
    *bed = (struct bed){.engine = weir_engine_open(&opt, &why)};
    if (!bed->engine)
        return false;
    bed->at = weir_addr_ip4(127, 0, 0, 1, 0);
    assert_int_equal(weir_udp_open(bed->engine, &bed->at, echo, bed, &bed->ep), 0);
    weir_ep_local(bed->engine, bed->ep, &bed->at);
    bed->fd = peer(&bed->at);
    return true;
}

static void exchange(struct bed *bed, unsigned n, size_t bytes)
{
    uint8_t data[2000], back[2000];
    for (unsigned i = 0; i < n; i++) {
        uint64_t until = weir_now_ns() + PATIENCE_NS;
        ssize_t got = -1;
        memset(data, (int)i, sizeof data);
        assert_int_equal(send(bed->fd, data, bytes, 0), bytes);
        while ((got = recv(bed->fd, back, sizeof back, 0)) < 0) {
            assert_true(weir_poll(bed->engine, weir_now_ns()) >= 0);
            assert_true(weir_now_ns() < until);
        }
        assert_int_equal(got, bytes);
    }
    weir_poll(bed->engine, weir_now_ns());
}

static struct weir_counters close_bed(struct bed *bed)
{
    struct weir_counters counters;
    weir_engine_counters(bed->engine, &counters);
    assert_int_equal(weir_engine_close(bed->engine), 0);
    close(bed->fd);
    return counters;
}

/* ---- reading back ---- */

struct told {
    unsigned packets, in, out, bad;
    size_t bytes;
};

static uint32_t u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint16_t be16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* One's complement sum of everything, 0xffff where a checksum is in it and right. */
static uint32_t sum(uint32_t s, const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 2)
        s += (uint32_t)p[i] << 8 | (i + 1 < n ? p[i + 1] : 0);
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

static void look_at_packet(const uint8_t *p, uint32_t n, uint16_t port, unsigned direction,
                           struct told *told)
{
    bool right = n >= 28 && p[0] == 0x45 && be16(p + 2) == n && p[9] == IPPROTO_UDP;
    right = right && sum(0, p, 20) == 0xffff && be16(p + 24) == n - 20;
    right = right && sum(sum(IPPROTO_UDP + n - 20, p + 12, 8), p + 20, n - 20) == 0xffff;
    right = right && be16(p + (direction == 1 ? 22 : 20)) == port;
    told->bad += !right;
    told->in += direction == 1;
    told->out += direction == 2;
    told->packets++;
}

static struct told read_back(const char *name, uint16_t port)
{
    static uint8_t data[1 << 20];
    struct told told = {0};
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    told.bytes = (size_t)read(fd, data, sizeof data);
    close(fd);
    assert_true(told.bytes >= 28 && u32(data) == 0x0a0d0d0a && u32(data + 8) == 0x1a2b3c4d);
    for (size_t at = 0; at < told.bytes;) {
        uint32_t type = u32(data + at), bytes = u32(data + at + 4);
        assert_true(bytes >= 12 && bytes % 4 == 0 && at + bytes <= told.bytes);
        assert_int_equal(u32(data + at + bytes - 4), bytes);
        if (type == 1)
            assert_int_equal(data[at + 8], 101); /* raw IP */
        if (type == 6) {
            uint32_t len = u32(data + at + 20), options = EPB_HEAD + ((len + 3) & ~3u);
            assert_int_equal(len, u32(data + at + 24));
            assert_true(options + 12 <= bytes);
            look_at_packet(data + at + EPB_HEAD, len, port, u32(data + at + options + 4) & 3,
                           &told);
        }
        at += bytes;
    }
    return told;
}

/* ---- cases ---- */

static void not_now(struct backend *b, struct endpoint *ep)
{
    endpoint_dirty(b, ep);
}

static void tell(struct bed *bed, unsigned n)
{
    while (n--) {
        struct weir_buf *buf = weir_buf_take_bytes(weir_engine_pool(bed->engine), 8);
        assert_non_null(buf);
        memset(buf->data, 0, 8);
        buf->len = 8;
        buf->peer = weir_addr_ip4(127, 0, 0, 1, 9); /* RFC 863 */
        assert_int_equal(weir_send(bed->engine, bed->ep, &buf, 1), 1);
    }
}

static void all_of_it_stands_in_the_file(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof backends / sizeof *backends; i++) {
        struct bed bed;
        if (!open_bed(&bed, backends[i], 0))
            continue;
        exchange(&bed, 50, 65);
        struct weir_counters c = close_bed(&bed);
        assert_int_equal(c.pcap_packets, 100);
        assert_int_equal(c.pcap_missed, 0);
        struct told told = read_back(path, bed.at.port);
        assert_int_equal(told.packets, 100);
        assert_int_equal(told.in, 50);
        assert_int_equal(told.out, 50);
        assert_int_equal(told.bad, 0);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void a_full_file_stops_and_is_well_formed(void **state)
{
    struct bed bed;
    (void)state;
    assert_true(open_bed(&bed, "epoll", 5000));
    exchange(&bed, 50, 100);
    struct weir_counters c = close_bed(&bed);
    assert_int_equal(c.pcap_packets + c.pcap_missed, 100);
    assert_true(c.pcap_packets > 10 && c.pcap_missed > 10);
    struct told told = read_back(path, bed.at.port);
    assert_int_equal(told.packets, c.pcap_packets);
    assert_true(told.bytes <= 5000 && told.bad == 0);
}

/* A limit of the process stands for a full disk. */
static void a_disk_that_fails_harms_nobody(void **state)
{
    struct rlimit old, small;
    struct bed bed;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){4096, old.rlim_max};
    assert_true(open_bed(&bed, "epoll", 0));
    setrlimit(RLIMIT_FSIZE, &small);
    exchange(&bed, 400, 1400); /* more than is buffered */
    setrlimit(RLIMIT_FSIZE, &old);
    struct weir_counters c = close_bed(&bed);
    assert_int_equal(c.rx_packets, 400);
    assert_true(c.pcap_missed > 0);
    struct told told = read_back(path, bed.at.port); /* no part of a packet at its end */
    assert_true(told.packets > 0 && told.bytes < 4096 && told.bad == 0);
}

/* What waited in the queue of an endpoint that ended is not taken for what the next one has there. */
static void a_new_endpoint_is_captured_from_its_first_on(void **state)
{
    struct bed bed;
    (void)state;
    assert_true(open_bed(&bed, "epoll", 0));
    struct backend *b = (struct backend *)(void *)bed.engine; /* its first member */
    const struct backend_ops *inner = b->pcap->inner;
    struct backend_ops full = *inner;
    full.flush = not_now;
    b->pcap->inner = &full;
    tell(&bed, 3);
    weir_poll(bed.engine, weir_now_ns());
    assert_int_equal(weir_abort(bed.engine, bed.ep), 0);
    weir_poll(bed.engine, weir_now_ns());
    b->pcap->inner = inner;
    weir_ep ended = bed.ep;
    assert_int_equal(weir_udp_open(bed.engine, &bed.at, echo, &bed, &bed.ep), 0);
    assert_int_equal((uint32_t)bed.ep, (uint32_t)ended); /* in its place */
    tell(&bed, 3);
    weir_poll(bed.engine, weir_now_ns());
    struct weir_counters c = close_bed(&bed);
    assert_int_equal(c.tx_dropped, 3);
    assert_int_equal(c.tx_packets, 3);
    assert_int_equal(c.pcap_packets, 6);
}

static void refused(int code)
{
    struct weir_engine_opt opt = {.backend = "epoll", .pcap = path};
    struct weir_why why = {0};
    assert_null(weir_engine_open(&opt, &why));
    assert_int_equal(why.code, code);
}

static void put_old(uid_t owner)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "old", 3), 3);
    assert_int_equal(fchown(fd, owner, (gid_t)-1), 0);
    close(fd);
}

static void only_a_file_of_ours_is_replaced(void **state)
{
    struct stat st;
    struct bed bed;
    (void)state;
    unlink(path);
    unlink(path2);
    put_old(geteuid());
    assert_int_equal(link(path, path2), 0);
    refused(-EPERM); /* it would be written to under its other name, too */
    assert_int_equal(stat(path2, &st), 0);
    assert_int_equal(st.st_size, 3);
    unlink(path2);
    if (geteuid() == 0) {
        put_old(65534); /* nobody's */
        refused(-EPERM);
        put_old(0);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC); /* somebody looks into the old one */
    assert_true(open_bed(&bed, "epoll", 0));
    exchange(&bed, 1, 10);
    close_bed(&bed);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 3);
    assert_int_equal(read_back(path, bed.at.port).packets, 2);
    close(fd);
}

static void no_way_through_a_link_or_a_device(void **state)
{
    struct weir_engine_opt opt = {.backend = "epoll", .pcap = path2};
    struct weir_why why = {0};
    (void)state;
    unlink(path2);
    assert_int_equal(symlink(path, path2), 0);
    assert_null(weir_engine_open(&opt, &why));
    assert_int_equal(why.code, -ELOOP);
    unlink(path2);
    opt.pcap = "/dev/null";
    assert_null(weir_engine_open(&opt, &why));
    assert_int_equal(why.code, -EINVAL);
    opt.pcap = "/nonexistent/x";
    assert_null(weir_engine_open(&opt, &why));
    assert_int_equal(why.code, -ENOENT);
    assert_non_null(strstr(why.what, "/nonexistent/x"));
}

static void tshark_opens_it(void **state)
{
    char command[300], line[200];
    struct bed bed;
    unsigned lines = 0;
    (void)state;
    if (system("command -v tshark >/dev/null") != 0) /* NOLINT: a constant */
        SKIP("tshark is not installed");
    assert_true(open_bed(&bed, "epoll", 0));
    exchange(&bed, 7, 33);
    close_bed(&bed);
    snprintf(command, sizeof command,
             "tshark -r %s -o udp.check_checksum:TRUE -o ip.check_checksum:TRUE -T fields"
             " -e udp.length -e ip.src -e udp.checksum.status -e ip.checksum.status 2>/dev/null",
             path);
    FILE *out = popen(command, "r"); /* NOLINT: a name of this test's own */
    assert_non_null(out);
    while (fgets(line, sizeof line, out)) {
        assert_string_equal(line, "41\t127.0.0.1\t1\t1\n");
        lines++;
    }
    assert_int_equal(pclose(out), 0);
    assert_int_equal(lines, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_stands_in_the_file),
        cmocka_unit_test(a_full_file_stops_and_is_well_formed),
        cmocka_unit_test(a_disk_that_fails_harms_nobody),
        cmocka_unit_test(a_new_endpoint_is_captured_from_its_first_on),
        cmocka_unit_test(only_a_file_of_ours_is_replaced),
        cmocka_unit_test(no_way_through_a_link_or_a_device),
        cmocka_unit_test(tshark_opens_it),
    };
    snprintf(path, sizeof path, "/tmp/weir-pcap-%d.pcapng", (int)getpid());
    snprintf(path2, sizeof path2, "/tmp/weir-pcap-%d.link", (int)getpid());
    int rc = run_group(tests);
    unlink(path);
    unlink(path2);
    return rc;
}
