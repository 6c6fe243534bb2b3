/* SPDX-License-Identifier: MIT
 * An engine over AF_XDP against plain kernel sockets at the other end of a veth pair: what is ours comes
 * to us, what is the kernel's stays the kernel's. */
#include "net.h"

#include <netinet/ip.h>
#include <signal.h>

static const size_t sizes[] = {1, 2, 64, 511, 1000, 1452, 1472};

static void echo_sizes(struct net *n, const struct weir_engine_opt *opt, const char *local,
                       const char *ip, size_t most)
{
    struct echo echo;
    echo_open(&echo, opt, local);
    int fd = there_udp(n, ip, 7000);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i] <= most)
            must_echo(&echo, fd, sizes[i]);
    struct weir_counters c = counters_of(&echo);
    assert_true(c.rx_packets >= 5 && c.tx_packets >= 5);
    assert_true(c.rx_frames >= c.rx_packets && c.tx_frames >= c.tx_packets);
    assert_true(c.copies >= c.rx_frames + c.tx_frames); /* veth: the kernel copies, both ways */
    assert_int_equal(c.partial_checksum + c.bad_checksum + c.tx_device_errors, 0);
    close(fd);
    echo_close(&echo);
}

static void own_addresses_echo(void **state)
{
    struct weir_engine_opt opt = own_options();
    struct net n;
    (void)state;
    net_open(&n);
    echo_sizes(&n, &opt, "10.9.0.7:7000", "10.9.0.7", 1472);
    echo_sizes(&n, &opt, "[fd09::7]:7000", "fd09::7", 1452);
    echo_sizes(&n, &opt, "*:7000", "10.9.0.7", 1472);
    net_close(&n);
}

static void shared_addresses_echo(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    (void)state;
    net_open(&n);
    echo_sizes(&n, &opt, "10.9.0.1:7000", "10.9.0.1", 1472);
    echo_sizes(&n, &opt, "[fd09::1]:7000", "fd09::1", 1452);
    echo_sizes(&n, &opt, "*:7000", "fd09::1", 1452);
    net_close(&n);
}

static void generic_mode_echoes(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    (void)state;
    net_open(&n);
    opt.frames.generic_mode = 1;
    echo_sizes(&n, &opt, "10.9.0.1:7000", "10.9.0.1", 1472);
    net_close(&n);
}

static void busy_polling_echoes(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    (void)state;
    net_open(&n);
    opt.busy_poll = 1;
    echo_sizes(&n, &opt, "10.9.0.1:7000", "10.9.0.1", 1472);
    net_close(&n);
}

/* A MAC of our own: the device becomes promiscuous for it. */
static void an_ethernet_address_of_our_own(void **state)
{
    static const uint8_t mac[6] = {2, 9, 9, 9, 9, 9};
    struct weir_engine_opt opt = own_options();
    struct net n;
    (void)state;
    net_open(&n);
    memcpy(opt.frames.mac, mac, sizeof mac);
    echo_sizes(&n, &opt, "10.9.0.7:7000", "10.9.0.7", 1472);
    enter(n.there);
    assert_int_equal(sh("ip neigh show 10.9.0.7 | grep -q 02:09:09:09:09:09"), 0);
    enter(n.here);
    net_close(&n);
}

/* ---- what is the kernel's ------------------------------------------------------------------- */

static void tcp_line(struct echo *echo, int from, int to, char byte)
{
    char got = 0;
    assert_int_equal(send(from, &byte, 1, MSG_NOSIGNAL), 1);
    for (int turn = 0; turn < TURNS && recv(to, &got, 1, 0) != 1; turn++) {
        if (echo)
            echo_turn(echo, 0);
        usleep(1000);
    }
    assert_int_equal(got, byte);
}

static void tcp_pair(struct net *n, int *here, int *there)
{
    struct sockaddr_storage at;
    socklen_t len = to_sock("10.9.0.1", 22, &at);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    must(bind(listener, (struct sockaddr *)&at, len), "bind");
    must(listen(listener, 1), "listen");
    *there = there_socket(n, AF_INET, SOCK_STREAM);
    connect(*there, (struct sockaddr *)&at, len);
    *here = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(*here >= 0);
    close(listener);
}

/* An administrator's session lives through our coming and going, and a new one can be made. */
static void tcp_lives_through_it(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    int here, there, here2, there2;
    (void)state;
    net_open(&n);
    tcp_pair(&n, &here, &there);
    tcp_line(NULL, there, here, 'a');
    echo_open(&echo, &opt, "*:7000");
    tcp_line(&echo, there, here, 'b');
    tcp_line(&echo, here, there, 'c');
    tcp_pair(&n, &here2, &there2);
    tcp_line(&echo, there2, here2, 'd');
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 100);
    tcp_line(&echo, there, here, 'e');
    echo_close(&echo);
    tcp_line(NULL, here, there, 'f');
    const int fds[] = {here, there, here2, there2, fd};
    for (unsigned i = 0; i < 5; i++)
        close(fds[i]);
    net_close(&n);
}

static int here_udp(const char *ip, uint16_t port)
{
    struct sockaddr_storage at;
    socklen_t len = to_sock(ip, port, &at);
    int fd = socket(at.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(bind(fd, (struct sockaddr *)&at, len), "bind");
    return fd;
}

static void must_arrive(struct echo *echo, int from, int to, size_t bytes)
{
    static char data[4096];
    assert_int_equal(send(from, data, bytes, 0), bytes);
    for (int turn = 0; turn < TURNS; turn++) {
        echo_turn(echo, 0);
        if (recv(to, data, sizeof data, 0) == (ssize_t)bytes)
            return;
        usleep(1000);
    }
    fail_msg("%zu bytes did not reach the kernel's socket", bytes);
}

/* Datagrams to other ports, with fragments, and to ours once it is closed. */
static void other_ports_are_the_kernels(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int there = there_udp(&n, "10.9.0.1", 7001), here = here_udp("10.9.0.1", 7001);
    must_arrive(&echo, there, here, 100);
    must_arrive(&echo, there, here, 4000);
    int there6 = there_udp(&n, "fd09::1", 7000), here6 = here_udp("fd09::1", 7000);
    must_arrive(&echo, there6, here6, 100);
    must_arrive(&echo, there6, here6, 3000);
    assert_int_equal(counters_of(&echo).rx_packets, 0);
    weir_close(echo.engine, echo.ep);
    echo_turn(&echo, 0);
    int there7 = there_udp(&n, "10.9.0.1", 7000), here7 = here_udp("10.9.0.1", 7000);
    must_arrive(&echo, there7, here7, 100);
    const int fds[] = {here, there, here6, there6, here7, there7};
    for (unsigned i = 0; i < 6; i++)
        close(fds[i]);
    echo_close(&echo);
    net_close(&n);
}

/* Fragments of a datagram to our port follow the first one to us; so do those that we send. */
static void fragments_are_ours(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "*:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000), fd6 = there_udp(&n, "fd09::1", 7000);
    must_echo(&echo, fd, 4000);
    must_echo(&echo, fd6, 3000);
    assert_true(counters_of(&echo).fragments_in > 0);
    close(fd);
    close(fd6);
    echo_close(&echo);
    net_close(&n);
}

#define FRAGMENT_DATA 16 /* of the first fragment, with the UDP header: a multiple of 8 */
#define ID 777

/* The first fragment of an IPv4 datagram, or what is left of it, 8 bytes. */
static void send_fragment(int raw, uint16_t port, bool first)
{
    struct {
        struct iphdr ip;
        uint16_t udp[4];
        uint8_t data[8];
    } f = {.ip = {.version = 4, .ihl = 5, .ttl = 9, .protocol = IPPROTO_UDP, .id = htons(ID)}};
    size_t bytes = sizeof f.ip + (first ? FRAGMENT_DATA : 8);
    struct sockaddr_in to = {.sin_family = AF_INET};
    f.ip.frag_off = htons(first ? IP_MF : FRAGMENT_DATA / 8);
    f.ip.tot_len = htons((uint16_t)bytes);
    inet_pton(AF_INET, "10.9.0.2", &f.ip.saddr);
    inet_pton(AF_INET, "10.9.0.1", &f.ip.daddr);
    if (first) {
        f.udp[0] = f.udp[1] = htons(port);
        f.udp[2] = htons(FRAGMENT_DATA + 8);
    }
    to.sin_addr.s_addr = f.ip.daddr;
    assert_int_equal(sendto(raw, &f, bytes, 0, (struct sockaddr *)&to, sizeof to), bytes);
}

/* An identification is used again, and soon: of a datagram to us the rest was lost, and the next one
 * of that number is the kernel's, whole. */
static void an_identification_that_is_used_again(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    char data[64];
    ssize_t got = -1;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000), here = here_udp("10.9.0.1", 7001);
    enter(n.there);
    int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    enter(n.here);
    assert_true(raw >= 0);
    must_echo(&echo, fd, 100); /* the neighbours are known */
    uint64_t before = counters_of(&echo).fragments_in;
    send_fragment(raw, 7000, true);
    for (int turn = 0; turn < TURNS && counters_of(&echo).fragments_in == before; turn++)
        echo_turn(&echo, 1000000);
    assert_int_equal(counters_of(&echo).fragments_in, before + 1);
    send_fragment(raw, 7001, true);
    send_fragment(raw, 7001, false);
    for (int turn = 0; turn < 500 && got < 0; turn++) {
        echo_turn(&echo, 1000000);
        got = recv(here, data, sizeof data, 0);
    }
    assert_int_equal(got, FRAGMENT_DATA);
    assert_int_equal(counters_of(&echo).fragments_in, before + 1);
    close(raw);
    close(here);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

#define PEERS 20

/* One payload to many peers, from one buffer: small, and in several fragments. */
static void one_to_many(struct net *n, struct echo *echo, size_t bytes)
{
    struct weir_addr to[PEERS];
    struct weir_buf *buf = weir_buf_take_bytes(weir_engine_pool(echo->engine), bytes);
    int fd[PEERS], back = 0;
    bool done[PEERS] = {0};
    assert_non_null(buf);
    buf->len = (uint32_t)bytes;
    memset(buf->data, 'm', bytes);
    for (int i = 0; i < PEERS; i++) {
        struct sockaddr_in own;
        socklen_t len = sizeof own;
        fd[i] = there_udp(n, "10.9.0.7", 7000);
        must(getsockname(fd[i], (struct sockaddr *)&own, &len), "getsockname");
        to[i] = weir_addr_ip4(10, 9, 0, 2, ntohs(own.sin_port));
    }
    must_echo(echo, fd[0], 10); /* the neighbour is known */
    assert_int_equal(weir_send_many(echo->engine, echo->ep, buf, to, PEERS), PEERS);
    for (int turn = 0; turn < TURNS && back < PEERS; turn++) {
        static uint8_t data[8192];
        echo_turn(echo, 1000000);
        for (int i = 0; i < PEERS; i++)
            if (!done[i] && recv(fd[i], data, sizeof data, 0) == (ssize_t)bytes) {
                assert_memory_equal(data, buf->data, bytes);
                done[i] = true;
                back++;
            }
    }
    assert_int_equal(back, PEERS);
    weir_buf_drop(&buf, 1);
    for (int i = 0; i < PEERS; i++)
        close(fd[i]);
}

static void one_payload_to_many_peers(void **state)
{
    struct weir_engine_opt opt = own_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.7:7000");
    one_to_many(&n, &echo, 32);
    one_to_many(&n, &echo, 1472);
    one_to_many(&n, &echo, 4000);
    assert_int_equal(counters_of(&echo).tx_ring_full, 0);
    echo_close(&echo);
    net_close(&n);
}

/* Device metadata where several engines would share the queue: asked for, and echoing goes on. */
static void metadata_in_front_of_frames(void **state)
{
    struct weir_engine_opt opt = own_options();
    struct net n;
    (void)state;
    net_open(&n);
    opt.frames.queues = 2;
    echo_sizes(&n, &opt, "10.9.0.7:7000", "10.9.0.7", 1472);
    net_close(&n);
}

/* ---- beginning and end ---------------------------------------------------------------------- */

/* Opened, echoing, and killed without a word; the next one starts at once. */
static void killed_and_started_again(void **state)
{
    struct weir_engine_opt opt = own_options();
    struct net n;
    struct echo echo;
    int pipe_fds[2];
    char ready;
    (void)state;
    net_open(&n);
    must(pipe2(pipe_fds, O_CLOEXEC), "pipe");
    for (int round = 0; round < 3; round++) {
        pid_t child = fork();
        if (child == 0) {
            echo_open(&echo, &opt, "10.9.0.7:7000");
            ready = 1;
            if (write(pipe_fds[1], &ready, 1) == 1)
                for (;;)
                    echo_turn(&echo, 1000000);
            _exit(1);
        }
        assert_int_equal(read(pipe_fds[0], &ready, 1), 1);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    echo_open(&echo, &opt, "10.9.0.7:7000");
    int fd = there_udp(&n, "10.9.0.7", 7000);
    must_echo(&echo, fd, 100);
    close(fd);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    echo_close(&echo);
    net_close(&n);
}

static void opened_again_at_once(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    for (int i = 0; i < 5; i++) {
        echo_open(&echo, &opt, "10.9.0.1:7000");
        int fd = there_udp(&n, "10.9.0.1", 7000);
        must_echo(&echo, fd, 10);
        close(fd);
        echo_close(&echo);
    }
    net_close(&n);
}

static void refused(const struct weir_engine_opt *opt, int code, const char *word)
{
    struct weir_why why = {0};
    assert_null(weir_engine_open(opt, &why));
    print_line(&why, NULL);
    assert_int_equal(why.code, code);
    assert_non_null(strstr(why.what, word));
}

static void what_cannot_be_says_why(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    opt.frames.device = "nosuch0";
    refused(&opt, -ENODEV, "nosuch0");
    opt.frames.device = NULL;
    refused(&opt, -EINVAL, "device");
    opt = xdp_options();
    opt.frames.queue = 1;
    refused(&opt, -EINVAL, "queue 1");
    opt = xdp_options();
    echo_open(&echo, &opt, "10.9.0.1:7000");
    refused(&opt, -EBUSY, "busy"); /* the queue has one engine */
    opt = own_options();
    refused(&opt, -EBUSY, "other options");
    echo_close(&echo);
    must(sh("ip addr flush dev s0"), "flush");
    opt = xdp_options();
    refused(&opt, -EADDRNOTAVAIL, "no address");
    net_close(&n);
}

/* The queue is taken: the engine that has it goes on. */
static void who_is_refused_leaves_the_other_alone(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    (void)state;
    net_open(&n);
    echo_open(&echo, &opt, "10.9.0.1:7000");
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 100);
    refused(&opt, -EBUSY, "busy");
    must_echo(&echo, fd, 200);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

static void note_addresses(const struct weir_why *why, void *arg)
{
    unsigned *more = arg;
    if (strcmp(why->where, "addresses") == 0)
        sscanf(why->what, "s0 has %u more", more);
}

/* Eight are shared, and the report says that there are more. */
static void more_addresses_than_are_shared(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    unsigned more = 0;
    (void)state;
    net_open(&n);
    for (int i = 0; i < 9; i++)
        must(sh("ip addr add 10.9.0.%d/24 dev s0", 100 + i), "address");
    echo_open(&echo, &opt, "10.9.0.1:7000");
    weir_engine_report(echo.engine, note_addresses, &more);
    assert_true(more >= 3); /* and a link-local one, where it is ready by then */
    int fd = there_udp(&n, "10.9.0.1", 7000);
    must_echo(&echo, fd, 100);
    close(fd);
    echo_close(&echo);
    net_close(&n);
}

/* Another process has a program there: the message names it. */
static void another_process_is_named(void **state)
{
    struct weir_engine_opt opt = xdp_options();
    struct net n;
    struct echo echo;
    int pipe_fds[2];
    char ready, process[32];
    (void)state;
    net_open(&n);
    must(pipe2(pipe_fds, O_CLOEXEC), "pipe");
    pid_t child = fork();
    if (child == 0) {
        echo_open(&echo, &opt, "10.9.0.1:7000");
        if (write(pipe_fds[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(pipe_fds[0], &ready, 1), 1);
    snprintf(process, sizeof process, "process %d ", (int)child);
    refused(&opt, -EBUSY, process);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    net_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_addresses_echo),
        cmocka_unit_test(generic_mode_echoes),
        cmocka_unit_test(busy_polling_echoes),
        cmocka_unit_test(tcp_lives_through_it),
        cmocka_unit_test(other_ports_are_the_kernels),
        cmocka_unit_test(fragments_are_ours),
        cmocka_unit_test(an_identification_that_is_used_again),
        cmocka_unit_test(opened_again_at_once),
        cmocka_unit_test(what_cannot_be_says_why),
        cmocka_unit_test(who_is_refused_leaves_the_other_alone),
        cmocka_unit_test(more_addresses_than_are_shared),
        cmocka_unit_test(another_process_is_named),
        cmocka_unit_test(own_addresses_echo),
        cmocka_unit_test(one_payload_to_many_peers),
        cmocka_unit_test(metadata_in_front_of_frames),
        cmocka_unit_test(an_ethernet_address_of_our_own),
        cmocka_unit_test(killed_and_started_again),
    };
    return run_group(tests);
}
