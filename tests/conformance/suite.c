/* SPDX-License-Identifier: MIT
 * Runs a table of cases on every backend of the library's own table: a new row there is tested with
 * no change here. A backend that is not built or not available is a SKIP with the reason that the
 * table gives.
 *
 *     program [FILTER]     cases whose name matches, e.g. "*on epoll"
 *
 * WEIR_BACKEND=epoll in the environment leaves the other backends out. */
#include "bed.h"

#include <unistd.h>

#define BACKENDS_MAX 16
#define CASES_MAX 64

struct run {
    const struct bed_case *test;
    const struct weir_backend_info *info;
    char name[96];
};

static struct weir_backend_info infos[BACKENDS_MAX];
static struct run runs[BACKENDS_MAX * CASES_MAX];
static struct CMUnitTest tests[BACKENDS_MAX * CASES_MAX];

static void run_one(void **state)
{
    const struct run *run = *state;
    struct bed bed = {.backend = run->info->name, .bystander_fd = -1};
    char text[400];
    if (!run->info->available) {
        weir_why_text(&run->info->why, text, sizeof text);
        SKIP("%s", text);
    }
    run->test->run(&bed);
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
    tests[at] = (struct CMUnitTest){.name = run->name, .test_func = run_one, .initial_state = run};
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
