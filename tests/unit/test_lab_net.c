/* SPDX-License-Identifier: MIT
 * The private network, and the frame generators in it. Skipped with the reason where it cannot
 * be had.
 *
 *     client: AF_XDP or sockets ==== veth ==== server: the small server of lab.h
 */
#include "lab.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define HIGHEST (UINT64_C(60) * 1000 * MS)

static struct weir_lab *lab_or_skip(void)
{
    const struct weir_lab_opt opt = {.server_core = weir_core(0)};
    struct weir_why why = {0};
    struct weir_lab *lab;
    int err = weir_lab_open(&lab, &opt, &why);

    if (err == -EPERM || err == -EOPNOTSUPP || err == -ENOSYS || err == -EINVAL || err == -ENOSPC)
        SKIP("%s: %s; %s", why.where, why.what, why.fix);
    if (err)
        fail_msg("%s: %s", why.where, why.what);
    return lab;
}

static struct server *server_in(struct weir_lab *lab, int udp)
{
    struct server *s = calloc(1, sizeof *s);

    assert_non_null(s);
    s->udp = udp;
    s->tcp = !udp;
    s->lab = lab;
    return s;
}

static struct weir_load_opt load_in(struct weir_lab *lab, enum weir_load load, uint64_t rate)
{
    return (struct weir_load_opt){.load = load,
                                  .rate = rate,
                                  .duration_ns = 100 * MS,
                                  .warmup_ns = 20 * MS,
                                  .drain_ns = 300 * MS,
                                  .core = -1,
                                  .lab = lab};
}

static ino_t own_netns(void)
{
    struct stat st;

    assert_int_equal(stat("/proc/thread-self/ns/net", &st), 0);
    return st.st_ino;
}

static void the_own_namespace_is_left_alone(void **state)
{
    ino_t before = own_netns();
    struct weir_lab *lab = lab_or_skip();
    char path[64];
    struct stat st;

    (void)state;
    assert_int_equal(own_netns(), before);
    snprintf(path, sizeof path, "/sys/class/net/%s", weir_lab_ifname(lab, WEIR_LAB_SERVER));
    assert_int_equal(stat(path, &st), -1); /* the veth pair is not here */
    weir_lab_close(lab);
    assert_int_equal(own_netns(), before);
}

static void *enter_and_look(void *arg)
{
    struct weir_lab *lab = arg;
    char path[64];
    struct stat st;
    struct weir_why why = {0};

    if (weir_lab_enter(lab, WEIR_LAB_SERVER, &why) < 0)
        return "could not enter";
    snprintf(path, sizeof path, "/sys/class/net/%s", weir_lab_ifname(lab, WEIR_LAB_SERVER));
    return why.code || stat(path, &st) == 0 ? NULL : "its /sys is not of that side";
}

static void who_enters_sees_that_side(void **state)
{
    struct weir_lab *lab = lab_or_skip();
    ino_t before = own_netns();
    pthread_t thread;
    void *wrong;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, enter_and_look, lab), 0);
    pthread_join(thread, &wrong);
    if (wrong)
        fail_msg("%s", (const char *)wrong);
    assert_int_equal(own_netns(), before);
    weir_lab_close(lab);
}

/* Losses of the way there: the veth queue (told by either end), and the server's socket. */
static uint64_t lost_on_the_way(struct weir_lab *lab, const struct weir_net_drops before[2],
                                const struct server *s)
{
    struct weir_net_drops after[2];

    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir_lab_drops(lab, i, &after[i], NULL), 0);
        weir_net_drops_since(&after[i], &before[i], &after[i]);
    }
    assert_int_equal(after[WEIR_LAB_SERVER].udp_checksum, 0);
    return after[WEIR_LAB_CLIENT].nic_tx_dropped + after[WEIR_LAB_CLIENT].softnet_dropped +
           s->kernel_drops;
}

static void flood(struct weir_lab *lab, uint64_t rate, uint32_t bytes, uint32_t flows, int live)
{
    struct server *s = server_in(lab, 1);
    struct weir_load_opt o = load_in(lab, WEIR_LOAD_FLOOD, rate);
    struct weir_net_drops before[2];
    struct weir_load_result r;

    s->expect_bytes = o.bytes = bytes;
    o.flows = flows;
    o.live_frames = (uint8_t)live;
    if (live)
        o.duration_ns = 5 * MS;
    o.target = server_start(s);
    assert_int_equal(weir_lab_drops(lab, WEIR_LAB_CLIENT, &before[0], NULL), 0);
    assert_int_equal(weir_lab_drops(lab, WEIR_LAB_SERVER, &before[1], NULL), 0);
    r = run_load(&o);
    usleep(100000); /* what is under way arrives; nothing is concluded from the time */
    server_stop(s);
    assert_true(r.all.sent > 0);
    assert_int_equal(r.all.sent, s->datagrams + lost_on_the_way(lab, before, s));
    assert_int_equal(s->wrong_bytes, 0);
    assert_in_range(server_ports(s), 1, flows);
    free(s);
}

static void frames_flood_the_server(void **state)
{
    struct weir_lab *lab = lab_or_skip();

    (void)state;
    flood(lab, 5000, 64, 50, 0);
    flood(lab, 5000, 1472, 3, 0);
    flood(lab, 5000, 1, 2, 0);
    flood(lab, 0, 64, 1000, 0);
    weir_lab_close(lab);
}

static void live_frames_flood_the_server(void **state)
{
    struct weir_lab *lab = lab_or_skip();

    (void)state;
    flood(lab, 0, 64, 1000, 1);
    flood(lab, 0, 999, 7, 1);
    weir_lab_close(lab);
}

static void frames_echo(struct weir_lab *lab, uint32_t bytes, uint32_t flows)
{
    struct server *s = server_in(lab, 1);
    struct weir_load_opt o = load_in(lab, WEIR_LOAD_ECHO, 2000);
    struct weir_load_result r;

    s->echo = 1;
    s->expect_bytes = o.bytes = bytes;
    o.flows = flows;
    o.latency = weir_histogram_open(HIGHEST);
    o.target = server_start(s);
    r = run_load(&o);
    server_stop(s);
    assert_true(r.all.received > 0);
    assert_int_equal(weir_histogram_count(o.latency), r.window.received);
    assert_int_equal(r.all.duplicate + r.all.corrupt + r.all.foreign, 0);
    assert_in_range(s->datagrams, r.all.received, r.all.sent);
    assert_int_equal(s->wrong_bytes, 0);
    weir_histogram_close(o.latency);
    free(s);
}

static void frames_come_back(void **state)
{
    struct weir_lab *lab = lab_or_skip();

    (void)state;
    frames_echo(lab, 64, 1);
    frames_echo(lab, 16, 9);
    frames_echo(lab, 1472, 2);
    weir_lab_close(lab);
}

static void sockets_work_in_the_lab(void **state)
{
    const enum weir_load loads[] = {WEIR_LOAD_TCP, WEIR_LOAD_CONNECT};
    struct weir_lab *lab = lab_or_skip();

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct server *s = server_in(lab, 0);
        struct weir_load_opt o = load_in(lab, loads[i], 500);
        struct weir_load_result r;

        o.connections = 8;
        o.drain_ns = 3000 * MS;
        o.target = server_start(s);
        r = run_load(&o);
        server_stop(s);
        assert_true(r.all.received > 0);
        assert_int_equal(r.all.reset + r.all.corrupt + r.all.connect_error, 0);
        free(s);
    }
    weir_lab_close(lab);
}

static void a_payload_beyond_a_frame_is_refused(void **state)
{
    struct weir_lab *lab = lab_or_skip();
    struct weir_load_opt o = load_in(lab, WEIR_LOAD_FLOOD, 1000);
    struct weir_load_result r;
    struct weir_why why = {0};

    (void)state;
    o.target = weir_lab_addr(lab, WEIR_LAB_SERVER, 9);
    o.bytes = 1473;
    assert_int_equal(weir_load_run(&o, &r, &why), -EINVAL);
    assert_true(strlen(why.what) > 0);
    weir_lab_close(lab);
}

/* A NAPI thread of the interface is the one trace of the lab that the whole machine can see. */
static int napi_threads(const char *ifname)
{
    char path[300], comm[64], want[32];
    struct dirent *entry;
    DIR *proc = opendir("/proc");
    int n = 0;

    snprintf(want, sizeof want, "napi/%s-", ifname);
    while (proc && (entry = readdir(proc)) != NULL) {
        FILE *f;

        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        f = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (f && fgets(comm, sizeof comm, f))
            n += strncmp(comm, want, strlen(want)) == 0;
        if (f)
            fclose(f);
    }
    if (proc)
        closedir(proc);
    return n;
}

static void nothing_is_left_after_kill_9(void **state)
{
    struct weir_lab *lab = lab_or_skip(); /* skips here rather than in the child */
    char ifname[16] = "";
    int to_parent[2];
    pid_t child;

    (void)state;
    weir_lab_close(lab);
    assert_int_equal(pipe(to_parent), 0);
    child = fork();
    if (child == 0) {
        const struct weir_lab_opt opt = {.server_core = -1};

        if (weir_lab_open(&lab, &opt, NULL) == 0 &&
            write(to_parent[1], weir_lab_ifname(lab, WEIR_LAB_SERVER), 16) == 16)
            pause();
        _exit(1);
    }
    close(to_parent[1]);
    assert_int_equal(read(to_parent[0], ifname, sizeof ifname), sizeof ifname);
    close(to_parent[0]);
    if (napi_threads(ifname) == 0)
        print_message("# no NAPI thread is to be seen here, so only the kill is tested\n");
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (int i = 0; i < 1000 && napi_threads(ifname) > 0; i++)
        usleep(20000); /* namespaces are taken down by a kernel worker, soon after */
    assert_int_equal(napi_threads(ifname), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_own_namespace_is_left_alone),
        cmocka_unit_test(who_enters_sees_that_side),
        cmocka_unit_test(frames_flood_the_server),
        cmocka_unit_test(live_frames_flood_the_server),
        cmocka_unit_test(frames_come_back),
        cmocka_unit_test(sockets_work_in_the_lab),
        cmocka_unit_test(a_payload_beyond_a_frame_is_refused),
        cmocka_unit_test(nothing_is_left_after_kill_9),
    };

    return run_group(tests);
}
