/* SPDX-License-Identifier: MIT
 * A private network whose ends have several queues. */
#include "lab.h"

#include <sys/stat.h>

static struct weir_lab *lab_or_skip(uint32_t queues)
{
    const struct weir_lab_opt opt = {.server_core = -1, .queues = queues, .no_threaded_napi = 1};
    struct weir_why why = {0};
    struct weir_lab *lab;
    int err = weir_lab_open(&lab, &opt, &why);

    if (err == -EPERM || err == -EOPNOTSUPP || err == -ENOSYS || err == -ENOSPC)
        SKIP("%s: %s; %s", why.where, why.what, why.fix);
    if (err)
        fail_msg("%s: %s", why.where, why.what);
    return lab;
}

struct looker {
    struct weir_lab *lab;
    enum weir_lab_side side;
    unsigned rx, tx;
    int err;
};

static unsigned count(const struct looker *l, const char *kind)
{
    char path[96];
    struct stat st;
    unsigned n = 0;

    do
        snprintf(path, sizeof path, "/sys/class/net/%s/queues/%s-%u",
                 weir_lab_ifname(l->lab, l->side), kind, n);
    while (stat(path, &st) == 0 && n++ < 64);
    return n;
}

static void *look(void *arg)
{
    struct looker *l = arg;

    l->err = weir_lab_enter(l->lab, l->side, NULL);
    l->rx = count(l, "rx");
    l->tx = count(l, "tx");
    return NULL;
}

static void assert_queues(struct weir_lab *lab, enum weir_lab_side side, unsigned queues)
{
    struct looker l = {.lab = lab, .side = side};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, look, &l), 0);
    pthread_join(thread, NULL);
    assert_int_equal(l.err, 0);
    assert_int_equal(l.rx, queues);
    assert_int_equal(l.tx, queues);
}

static void both_ends_have_as_many_as_were_asked_for(void **state)
{
    (void)state;
    for (uint32_t queues = 0; queues <= 4; queues += 2) {
        struct weir_lab *lab = lab_or_skip(queues);
        assert_queues(lab, WEIR_LAB_CLIENT, queues ? queues : 1);
        assert_queues(lab, WEIR_LAB_SERVER, queues ? queues : 1);
        weir_lab_close(lab);
    }
}

static void a_queue_that_is_not_there_is_refused(void **state)
{
    struct weir_lab *lab = lab_or_skip(2);
    struct weir_why why = {0};
    struct weir_load_result r;
    struct weir_load_opt opt = {.load = WEIR_LOAD_ECHO,
                                .rate = 1000,
                                .duration_ns = 100 * MS,
                                .bytes = 64,
                                .core = -1,
                                .lab = lab,
                                .queue = 2,
                                .target = weir_lab_addr(lab, WEIR_LAB_SERVER, 7000)};

    (void)state;
    assert_int_equal(weir_load_run(&opt, &r, &why), -EINVAL);
    assert_non_null(strstr(why.what, "queue 2 of 2"));
    weir_lab_close(lab);
}

static void flood_by(uint16_t queue)
{
    struct weir_lab *lab = lab_or_skip(2);
    struct server s = {.udp = 1, .lab = lab};
    struct weir_addr at = server_start(&s);
    struct weir_load_opt opt = {.load = WEIR_LOAD_FLOOD,
                                .rate = 1000,
                                .duration_ns = 100 * MS,
                                .bytes = 64,
                                .flows = 10,
                                .core = -1,
                                .lab = lab,
                                .queue = queue,
                                .target = at};
    struct weir_load_result r = run_load(&opt);

    server_stop(&s); /* it reads what is there first */
    assert_true(r.all.sent > 0);
    assert_int_equal(s.datagrams, r.all.sent);
    weir_lab_close(lab);
}

static void frames_leave_by_any_of_them(void **state)
{
    (void)state;
    flood_by(0);
    flood_by(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_have_as_many_as_were_asked_for),
        cmocka_unit_test(a_queue_that_is_not_there_is_refused),
        cmocka_unit_test(frames_leave_by_any_of_them),
    };

    return run_group(tests);
}
