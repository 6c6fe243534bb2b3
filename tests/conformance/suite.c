/* SPDX-License-Identifier: MIT
 * Runs a table of cases on every backend of the library's own table: a new row there is tested with
 * no change here. A backend that is not built or not available is a SKIP with the reason that the
 * table gives.
 *
 *     program [FILTER]     cases whose name matches, e.g. "*on epoll"
 *
 * WEIR_BACKEND=epoll in the environment leaves the other backends out; WEIR_PCAP=FILE captures what
 * the last engine saw. */
#include "bed.h"
#include "net.h"

#include <unistd.h>

/* net_af_xdp of DPDK 22.11 never frees its UMEM's 80 bytes: src/backend/dpdk_xsk.c says more. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:xsk_umem__create\n";
}

#define BACKENDS_MAX 16
#define CASES_MAX 64

struct run {
    const struct bed_case *test;
    const struct weir_backend_info *info;
    struct bed bed;
    char name[96];
};

/* Cases about what a kind of backend does not have. Who: a backend's name, or "frames". */
static const struct {
    const char *who, *test, *reason;
} without[] = {
    {"frames", "drops_of_the_socket_are_told", "there is no socket buffer to overflow"},
    {"frames", "no_buffers_for_datagrams",
     "no socket keeps what finds no buffer: the device drops it, see tests/sim"},
    {"frames", "more_datagrams_than_the_smallest_turn",
     "5,000 are more than a device's ring holds"},
    {"frames", "more_datagrams_than_a_ring_holds", "5,000 are more than a device's ring holds"},
    {"frames", "two_workers_share_a_stream_port", "it has no streams"},
    {"frames", "connect_and_talk", "it has no streams"},
    {"frames", "connect_refused", "it has no streams"},
    {"frames", "connect_abandoned", "it has no streams"},
    {"frames", "queued_before_the_connect_and_closed", "it has no streams"},
    {"sim", "wait_ends_by_itself", "in virtual time nobody sleeps"},
    {"sim", "an_idle_engine_still_sends_its_last_datagram",
     "in virtual time none passes outside of a poll"},
    {"sim", "run_until_stopped", "in virtual time weir_sim_run is the loop"},
    {"sim", "signal_ends_a_sleep_and_nothing_else", "in virtual time nobody sleeps"},
    {"sim", "signal_handler_may_stop_a_run", "in virtual time weir_sim_run is the loop"},
    {"sim", "two_workers_share_a_datagram_port", "a simulated network has one thread"},
    {"sim", "wakes_reach_their_worker", "a simulated network has one thread"},
    {"sim", "a_worker_may_stop_itself", "a simulated network has one thread"},
    {"sim", "a_start_is_all_or_nothing", "a simulated network has one thread"},
};

static const char *excused(const struct run *run)
{
    for (unsigned i = 0; i < array_len(without); i++) {
        const char *who = without[i].who;
        bool meant =
            strcmp(who, run->info->name) == 0 || (run->info->frames && strcmp(who, "frames") == 0);
        if (meant && strcmp(without[i].test, run->test->name) == 0)
            return without[i].reason;
    }
    return NULL;
}

static struct weir_backend_info infos[BACKENDS_MAX];
static struct run runs[BACKENDS_MAX * CASES_MAX];
static struct CMUnitTest tests[BACKENDS_MAX * CASES_MAX];

static void run_one(void **state)
{
    struct run *run = *state;
    const char *reason = excused(run);
    char text[400];
    run->bed = (struct bed){.backend = run->info->name, .info = run->info, .bystander_fd = -1};
    if (!run->info->available) {
        weir_why_text(&run->info->why, text, sizeof text);
        SKIP("%s", text);
    }
    if (!reason && run->info->frames)
        reason = net_make();
    if (reason)
        SKIP("%s", reason);
    net_use(run->info->frames);
    run->test->run(&run->bed);
}

static int end_one(void **state)
{
    struct run *run = *state;
    bed_end(&run->bed);
    return 0;
}

static unsigned add(unsigned at, const struct bed_case *test, const struct weir_backend_info *info)
{
    struct run *run = &runs[at];
    run->test = test;
    run->info = info;
    snprintf(run->name, sizeof run->name, "%s on %s", test->name, info->name);
    for (char *c = run->name; *c; c++)
        if (*c == '_')
            *c = ' ';
    tests[at] = (struct CMUnitTest){.name = run->name,
                                    .test_func = run_one,
                                    .teardown_func = end_one,
                                    .initial_state = run};
    return at + 1;
}

static bool wanted(const struct weir_backend_info *info)
{
    const char *only = getenv("WEIR_BACKEND");
    return !only || strcmp(only, info->name) == 0;
}

int bed_main(const char *group, const struct bed_case *cases, unsigned n, int argc, char **argv)
{
    unsigned count = 0;
    for (unsigned i = 0; i < BACKENDS_MAX && weir_backend_info(i, &infos[i]) == 0; i++)
        for (unsigned k = 0; wanted(&infos[i]) && k < n && k < CASES_MAX; k++)
            count = add(count, &cases[k], &infos[i]);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (count == 0) {
        printf("1..1\nnot ok 1 - the library has a backend\n");
        return 1;
    }
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}
