/* SPDX-License-Identifier: MIT
 * An engine over DPDK's virtual devices. EAL is once a process, so each case is a process of its own:
 * `test_net_dpdk CASE`.
 *
 * af_packet, af_xdp and tap: plain kernel sockets at the other end; the interface below goes down and away. memif: another process with an
 * engine of its own. null: a device that gives endless frames of zeros. And what is refused. */
#include "net.h"

#include <signal.h>
#include <sys/stat.h>

static struct weir_engine_opt dpdk_options(const char *vdev)
{
    struct weir_engine_opt opt = {.backend = "dpdk", .frames.vdev = vdev, .pool.small = 8192};
    weir_net_parse("10.9.0.7/24", &opt.frames.address[0]);
    weir_net_parse("fd09::7/64", &opt.frames.address[1]);
    opt.frames.addresses = 2;
    return opt;
}

/* Both families and all sizes, each whole; and no buffer is lost on the way. */
static void must_echo_all(const struct weir_engine_opt *opt, int (*udp)(struct net *, const char *),
                          struct net *n)
{
    static const char *const ips[] = {"10.9.0.7", "fd09::7"};
    static const size_t sizes[] = {1, 64, 1000, 1452};
    struct echo echo;
    echo_open(&echo, opt, "*:7000");
    for (unsigned ip = 0; ip < 2; ip++) {
        int fd = udp(n, ips[ip]);
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
            must_echo(&echo, fd, sizes[i]);
        close(fd);
    }
    struct weir_counters c = counters_of(&echo);
    assert_true(c.rx_packets >= 8 && c.tx_packets >= 8);
    assert_true(c.rx_frames >= c.rx_packets && c.tx_frames >= c.tx_packets);
    assert_int_equal(c.partial_checksum + c.bad_checksum + c.tx_device_errors, 0);
    assert_int_equal(weir_pool_check(weir_engine_pool(echo.engine), NULL), 0);
    echo_close(&echo);
}

static int udp_there(struct net *n, const char *ip)
{
    return there_udp(n, ip, 7000);
}

static void over_veth(const char *vdev)
{
    struct weir_engine_opt opt = dpdk_options(vdev);
    struct net n;
    net_open(&n);
    must_echo_all(&opt, udp_there, &n);
    net_close(&n);
}

static void af_packet_echoes(void **state)
{
    (void)state;
    over_veth("net_af_packet0,iface=s0,blocksz=65536,framesz=2048,framecnt=4096,qdisc_bypass=1");
}

static void af_xdp_echoes(void **state)
{
    (void)state;
    over_veth("net_af_xdp0,iface=s0");
}

/* The device appears when the engine opens; the kernel gets its end of it then, with the same MAC, which a
 * neighbour may not have. */
static int udp_over_tap(struct net *n, const char *ip)
{
    struct sockaddr_storage to;
    (void)n;
    sh("ip addr add 10.9.0.2/24 dev weirtap 2>/dev/null; ip link set weirtap address "
       "02:09:09:09:09:08 up; "
       "ip addr add fd09::2/64 dev weirtap nodad 2>/dev/null");
    int fd = socket(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = to_sock(ip, 7000, &to);
    must(connect(fd, (struct sockaddr *)&to, len), "connect");
    return fd;
}

static void tap_echoes(void **state)
{
    struct weir_engine_opt opt = dpdk_options("net_tap0,iface=weirtap,mac=02:09:09:09:09:07");
    struct stat st;
    (void)state;
    if (stat("/dev/net/tun", &st))
        SKIP("/dev/net/tun: not on this host");
    close(own_namespace());
    for (unsigned i = 0; i < 3; i++)
        must_echo_all(&opt, udp_over_tap, NULL);
}

/* An engine after another one over the same device: nothing of the first is in the way. */
static void engines_in_a_row_echo(void **state)
{
    static const char *const vdevs[] = {
        "net_af_xdp0,iface=s0",
        "net_af_packet0,iface=s0,blocksz=65536,framesz=2048,framecnt=4096,qdisc_bypass=1",
    };
    struct net n;
    (void)state;
    net_open(&n);
    for (unsigned i = 0; i < 8; i++) { /* four of each, by turns */
        struct weir_engine_opt opt = dpdk_options(vdevs[i % 2]);
        must_echo_all(&opt, udp_there, &n);
    }
    net_close(&n);
}

/* ---- the interface below ---------------------------------------------------------------------- */

static const char *const over_interface[] = {
    "net_af_xdp0,iface=s0",
    "net_af_packet0,iface=s0,blocksz=65536,framesz=2048,framecnt=4096,qdisc_bypass=1",
};

static void until_link(struct echo *echo, int err)
{
    for (int turn = 0; turn < TURNS && echo->link_err != err; turn++)
        echo_turn(echo, 1000000);
    assert_int_equal(echo->link_err, err);
}

static int send_one(struct echo *echo, const struct sockaddr_in *to)
{
    struct weir_buf *buf;
    assert_int_equal(weir_buf_take(weir_engine_pool(echo->engine), &buf, 1), 1);
    buf->len = 100;
    buf->peer = weir_addr_ip4(10, 9, 0, 2, ntohs(to->sin_port));
    assert_int_equal(weir_send(echo->engine, echo->ep, &buf, 1), 1);
    return weir_poll(echo->engine, weir_now_ns());
}

/* Down and up: told each time; what is sent meanwhile is dropped, counted. */
static void must_come_back(struct net *n, const char *vdev)
{
    struct weir_engine_opt opt = dpdk_options(vdev);
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    struct echo echo;
    echo_open(&echo, &opt, "10.9.0.7:7000");
    int fd = there_udp(n, "10.9.0.7", 7000);
    must_echo(&echo, fd, 100);
    must(getsockname(fd, (struct sockaddr *)&own, &len), "getsockname");
    must(sh("ip link set s0 down"), "down");
    until_link(&echo, -ENETDOWN);
    uint64_t errors = counters_of(&echo).tx_device_errors;
    for (int i = 0; i < 100; i++)
        assert_true(send_one(&echo, &own) >= 0);
    assert_int_equal(counters_of(&echo).tx_device_errors - errors, 100);
    must(sh("ip link set s0 up"), "up");
    until_link(&echo, 0);
    must_echo(&echo, fd, 200);
    close(fd);
    echo_close(&echo);
}

static void the_interface_goes_down_and_up(void **state)
{
    struct net n;
    (void)state;
    net_open(&n);
    for (unsigned i = 0; i < 2; i++)
        must_come_back(&n, over_interface[i]);
    net_close(&n);
}

/* A loop that sleeps ends, and says why; so does all after. What is sent then reaches no device. */
static void must_end(const char *vdev)
{
    struct weir_engine_opt opt = dpdk_options(vdev);
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    struct net n;
    struct echo echo;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.7:7000");
    int fd = there_udp(&n, "10.9.0.7", 7000);
    must_echo(&echo, fd, 100);
    must(getsockname(fd, (struct sockaddr *)&own, &len), "getsockname");
    must(sh("ip link del s0"), "del");
    assert_true(send_one(&echo, &own) >= 0 || echo.link_err == -ENODEV);
    assert_int_equal(weir_run(echo.engine), -ENODEV);
    assert_int_equal(echo.link_err, -ENODEV);
    assert_int_equal(echo.link_events, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_one(&echo, &own), -ENODEV);
    assert_int_equal(weir_run(echo.engine), -ENODEV);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

static void the_interface_goes_for_good(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) /* the device of the same name is made anew */
        must_end(over_interface[i % 2]);
}

/* ---- two processes over shared memory ------------------------------------------------------- */

/* What net_af_xdp 22.11 itself never frees: 80 bytes of libxdp's a socket. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:xsk_umem__create\n";
}

/* The last answers are taken before it leaves: net_memif 22.11 frees its rings on a thread of its own
 * when the peer leaves, also while they are sent to, and crashes. */
#define QUIET_TURNS 100

/* The other process: pings until an answer comes. Its exit status says so. */
struct ping {
    weir_ep ep;
    unsigned answers;
};

static void ping_handler(struct weir_engine *e, struct weir_event *events, unsigned n, void *app)
{
    struct ping *ping = app;
    (void)e;
    for (unsigned i = 0; i < n; i++)
        if (events[i].kind == WEIR_DATAGRAM && events[i].buf->len == 700 &&
            events[i].buf->data[699] == 0x5a)
            ping->answers++;
}

static void ping_send(struct weir_engine *e, struct ping *ping)
{
    struct weir_buf *buf;
    if (!weir_buf_take(weir_engine_pool(e), &buf, 1))
        return;
    memset(buf->data, 0x5a, 700);
    buf->len = 700;
    buf->peer = weir_addr_ip4(10, 9, 0, 7, 7000);
    if (weir_send(e, ping->ep, &buf, 1) != 1)
        weir_buf_drop(&buf, 1);
}

static int ping_main(const char *vdev)
{
    struct weir_engine_opt opt = {.backend = "dpdk", .frames.vdev = vdev, .pool.small = 8192};
    struct weir_addr local = weir_addr_ip4(10, 9, 0, 8, 0);
    struct weir_why why = {0};
    struct ping ping = {0};
    weir_net_parse("10.9.0.8/24", &opt.frames.address[0]);
    opt.frames.addresses = 1;
    struct weir_engine *e = weir_engine_open(&opt, &why);
    if (!e || weir_udp_open(e, &local, ping_handler, &ping, &ping.ep))
        return printf("# ping: %s: %s\n", why.where, why.what), 2;
    for (int turn = 0; turn < TURNS && ping.answers < 100; turn++) {
        ping_send(e, &ping);
        weir_poll(e, weir_now_ns());
        weir_wait(e, 1000000);
    }
    for (int turn = 0; turn < QUIET_TURNS; turn++) {
        weir_poll(e, weir_now_ns());
        weir_wait(e, 1000000);
    }
    return weir_engine_close(e) == 0 && ping.answers >= 100 ? 0 : 1;
}

/* The client's driver connects once, when it starts: so it waits until the server runs. */
static int ping_after(int fd, const char *vdev)
{
    char byte;
    int rc = read(fd, &byte, 1) == 1 ? ping_main(vdev) : 3;
    fflush(stdout);
    return rc;
}

static void memif(const char *client_words)
{
    char dir[] = "/tmp/weir-memif-XXXXXX", server[160], client[160];
    struct weir_engine_opt opt = dpdk_options(server);
    struct echo echo;
    int status = -1, go[2];
    assert_non_null(mkdtemp(dir));
    must(pipe(go), "pipe");
    snprintf(server, sizeof server,
             "net_memif0,role=server,id=0,socket=%s/s,socket-abstract=no,mac=02:09:00:00:00:07",
             dir);
    snprintf(client, sizeof client,
             "net_memif0,role=client,id=0,socket=%s/s,socket-abstract=no,mac=02:09:00:00:00:08%s",
             dir, client_words);
    pid_t pid = fork();
    if (pid == 0)
        _exit(ping_after(go[0], client));
    echo_open(&echo, &opt, "10.9.0.7:7000");
    assert_int_equal(write(go[1], "", 1), 1);
    for (int turn = 0; turn < 4 * TURNS && waitpid(pid, &status, WNOHANG) == 0; turn++)
        echo_turn(&echo, 1000000);
    struct weir_counters c = counters_of(&echo);
    print_counters(&c);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(echo.datagrams >= 100);
    echo_close(&echo);
    sh("rm -rf %s", dir);
}

static void memif_echoes(void **state)
{
    (void)state;
    memif("");
}

/* Of 2 MiB: two pools of 8,192 buffers and what both drivers take. */
static unsigned huge_free(void)
{
    FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
    unsigned n = 0;
    if (!f || fscanf(f, "%u", &n) != 1)
        n = 0;
    if (f)
        fclose(f);
    return n;
}

static void memif_without_copies_echoes(void **state)
{
    (void)state;
    if (huge_free() < 128)
        SKIP("hugepages: %u of 128 free; run sysctl vm.nr_hugepages=128", huge_free());
    memif(",zero-copy=yes");
}

/* ---- endless frames; refusals --------------------------------------------------------------- */

/* Frames of zeros: each is received, and ends in a counter. */
static void every_frame_is_accounted_for(void **state)
{
    struct weir_engine_opt opt = dpdk_options("net_null0");
    struct echo echo;
    (void)state;
    echo_open(&echo, &opt, "*:7000");
    for (int turn = 0; turn < 100; turn++)
        echo_turn(&echo, 0);
    struct weir_counters c = counters_of(&echo);
    assert_true(c.rx_frames >= 100);
    assert_int_equal(c.rx_frames, c.drop_mac + c.drop_ethertype + c.bad_source);
    assert_int_equal(c.rx_packets, 0);
    assert_int_equal(weir_pool_check(weir_engine_pool(echo.engine), NULL), 0);
    echo_close(&echo);
}

static void look_for_rules(const struct weir_why *why, void *arg)
{
    bool *said = arg;
    *said |= strcmp(why->where, "rte_flow") == 0 && strstr(why->what, "steers no UDP ports");
}

static void must_refuse(const struct weir_engine_opt *opt, const char *what, const char *fix)
{
    struct weir_why why = {0};
    assert_null(weir_engine_open(opt, &why));
    printf("# %s: %s; %s\n", why.where, why.what, why.fix);
    assert_true(why.code < 0);
    if (!strstr(why.what, what) || !strstr(why.fix, fix))
        fail_msg("\"%s; %s\" does not say: %s, %s", why.what, why.fix, what, fix);
}

/* Each refusal names what was wrong and what to do, and leaves nothing behind: the next one opens. */
static void refusals_say_what_to_do(void **state)
{
    struct weir_engine_opt opt = dpdk_options("net_null0");
    struct echo echo;
    (void)state;
    opt.frames.addresses = 0;
    must_refuse(&opt, "no address", "10.0.0.2/24");
    opt = dpdk_options("net_null0");
    opt.frames.queues = 64;
    opt.frames.device = "net_af_packet7";
    must_refuse(&opt, "no port 'net_af_packet7'", "vdev");
    opt = dpdk_options("net_nobody0,x=1");
    must_refuse(&opt, "net_nobody0", "arguments");
    opt = dpdk_options("net_null0;net_af_packet0,iface=nobody0");
    must_refuse(&opt, "net_af_packet0", "arguments");
    opt = dpdk_options("net_ring0");
    opt.frames.queues = 65;
    must_refuse(&opt, "queues, 65 are asked for", "fewer workers");
    opt = dpdk_options("net_null0");
    opt.frames.mtu = 9000;
    must_refuse(&opt, "", "MTU");
    opt = dpdk_options("net_null0");
    echo_open(&echo, &opt, "*:7000");
    echo_turn(&echo, 0);
    bool said = false;
    weir_engine_report(echo.engine, look_for_rules, &said);
    assert_true(said); /* no virtual device has rte_flow: a lesser line, not an error */
    echo_close(&echo);
}

/* The thread that opens keeps its cores and its signals, and two engines of one thread live side by
 * side. */
static void the_caller_keeps_its_cores(void **state)
{
    struct weir_engine_opt one = dpdk_options("net_null0"), two = dpdk_options("net_null1");
    struct sigaction handler[32], now;
    cpu_set_t before, after;
    struct echo a, b;
    (void)state;
    for (int i = 1; i < 32; i++)
        sigaction(i, NULL, &handler[i]);
    sched_getaffinity(0, sizeof before, &before);
    echo_open(&a, &one, "*:7000");
    echo_open(&b, &two, "*:7000");
    sched_getaffinity(0, sizeof after, &after);
    assert_memory_equal(&before, &after, sizeof before);
    for (int i = 1; i < 32; i++) {
        sigaction(i, NULL, &now);
        assert_ptr_equal(now.sa_handler, handler[i].sa_handler);
    }
    echo_close(&a);
    echo_turn(&b, 0);
    assert_true(counters_of(&b).rx_frames > 0);
    echo_close(&b);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest cases[] = {
        cmocka_unit_test(af_packet_echoes),
        cmocka_unit_test(af_xdp_echoes),
        cmocka_unit_test(tap_echoes),
        cmocka_unit_test(engines_in_a_row_echo),
        cmocka_unit_test(memif_echoes),
        cmocka_unit_test(memif_without_copies_echoes),
        cmocka_unit_test(every_frame_is_accounted_for),
        cmocka_unit_test(refusals_say_what_to_do),
        cmocka_unit_test(the_caller_keeps_its_cores),
        cmocka_unit_test(the_interface_goes_down_and_up),
        cmocka_unit_test(the_interface_goes_for_good),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name(argc > 1 ? argv[1] : "all", cases, NULL, NULL);
}
