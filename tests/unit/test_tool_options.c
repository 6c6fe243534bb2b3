/* SPDX-License-Identifier: MIT
 * Command lines: defaults, all ways to write an option, the one line of a mistake, and --help. */
#include "test.h"

#include "options_table.h"

#include <errno.h>
#include <unistd.h>

#define ARGS_MAX 16

/* Run options_parse on "-q --time 3" with stdout and stderr in `said`. */
static int parse_as(const struct option_table *t, const char *line, struct all *all,
                    char said[4096])
{
    static char words[1024]; /* strings of `all` point into it */
    char self[] = "test", *argv[ARGS_MAX + 1] = {self};
    int argc = 1, out = dup(1), err = dup(2);
    FILE *file = tmpfile();
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word && argc < ARGS_MAX; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "''") ? word : word + 2;
    fflush(stdout);
    dup2(fileno(file), 1);
    dup2(fileno(file), 2);
    int r = options_parse(t, argc, argv, all);
    fflush(stdout);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    rewind(file);
    said[fread(said, 1, 4095, file)] = 0;
    fclose(file);
    return r;
}

static void defaults_come_first(void **state)
{
    struct all all;
    char said[4096];
    (void)state;
    memset(&all, 0x5a, sizeof all);
    assert_int_equal(parse_as(&table, "", &all, said), 1);
    assert_string_equal(said, "");
    assert_false(all.quiet);
    assert_int_equal(all.port, 7000);
    assert_int_equal(all.sockets, 1000);
    assert_int_equal(all.bytes, 0);
    assert_int_equal(all.time_ns, 2 * SECOND);
    assert_true(all.rate == OPTION_RATE_MAX);
    assert_null(all.output);
    assert_int_equal(all.load, ECHO);
    assert_int_equal(all.mask, 7);
    assert_int_equal(all.backends.count, 2);
    assert_int_equal(all.sizes.value[1], 1200);
    assert_int_equal(all.bind.port, 7000);
}

static void short_and_long_and_abbreviated(void **state)
{
    struct all all;
    char said[4096];
    (void)state;
    for (unsigned twice = 0; twice < 2; twice++) { /* getopt's state starts anew */
        assert_int_equal(parse_as(&table, "-qt3 --rate=5k --out a.json -b naive -b uring", &all,
                                  said),
                         9);
        assert_true(all.quiet);
        assert_int_equal(all.time_ns, 3 * SECOND);
        assert_int_equal(all.rate, 5000);
        assert_string_equal(all.output, "a.json");
        assert_int_equal(all.backends.count, 1); /* the last one counts */
        assert_int_equal(all.backends.value[0], 2);
        assert_string_equal(said, "");
    }
}

static void operands_come_last_where_they_are_taken(void **state)
{
    struct option_table with = table;
    struct all all;
    char said[4096];
    (void)state;
    with.operands = "[HOST:PORT]";
    assert_int_equal(parse_as(&with, "one -q two", &all, said), 2);
    assert_true(all.quiet);
    assert_int_equal(parse_as(&with, "-- -q", &all, said), 2);
    assert_false(all.quiet);
    assert_int_equal(parse_as(&table, "one", &all, said), -EINVAL);
    assert_string_equal(said, "weir test: unexpected \"one\"; see weir test --help\n");
}

static void a_mistake_is_one_line_that_names_it(void **state)
{
    static const struct {
        const char *line, *said;
    } cases[] = {
        {"-t 3x", "--time 3x: want a duration such as 500ms, 2s or 0.5 (seconds), 1ms to 1h"},
        {"--sockets 0 -q", "--sockets 0: want a number (suffixes k, M, G, Ki, Mi, Gi), 1 to 20k"},
        {"--bytes ''", "--bytes \"\": want a number (suffixes k, M, G, Ki, Mi, Gi)"},
        {"-r fast", "--rate fast: want \"max\" or a number a second such as 100k or 1.5M, 1 to 1G"},
        {"-l tcp", "--load tcp: want one of flood, echo, players"},
        {"-b epol",
         "--backend epol: want \"all\", or with commas between them, any of naive, epoll, uring"},
        {"-s 64,1", "--size 64,1: want numbers such as 64,1.5k, each 16 to 65507"},
        {"-a x", "--bind x: want an address such as 127.0.0.1:7000, [::1]:7000, *:7000 or 7000"},
        {"-t", "--time needs a value: a duration such as 500ms, 2s or 0.5 (seconds), 1ms to 1h"},
        {"--out", "--output needs a value: text"},
        {"--quiet=yes", "--quiet takes no value"},
        {"--help=me", "--help takes no value"},
        {"-Z", "unknown option -Z; see weir test --help"},
        {"-qZ", "unknown option -Z; see weir test --help"},
        {"--tmie=3 -q", "unknown option --tmie=3; did you mean --time?"},
        {"--nothing-like-it", "unknown option --nothing-like-it; see weir test --help"},
        {"--b 1", "unknown option --b; see weir test --help"}, /* bytes, backend or bind */
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct all all;
        char said[4096], wanted[512];
        assert_int_equal(parse_as(&table, cases[i].line, &all, said), -EINVAL);
        snprintf(wanted, sizeof wanted, "weir test: %s\n", cases[i].said);
        assert_string_equal(said, wanted);
    }
    assert_int_equal(options_exit(-EINVAL), 2);
}

static void help_says_every_row_and_its_default(void **state)
{
    struct all all;
    char said[4096];
    (void)state;
    assert_int_equal(parse_as(&table, "-q --help -t bad", &all, said), -ECANCELED);
    assert_int_equal(options_exit(-ECANCELED), 0);
    for (unsigned i = 0; i < ROWS; i++) {
        char name[64];
        snprintf(name, sizeof name, "--%s", rows[i].name);
        assert_non_null(strstr(said, name));
    }
    assert_non_null(strstr(said, "usage: weir test [options]\n\nTest the options.\n"));
    assert_non_null(
        strstr(said, "-p, --port PORT         port to serve (1 to 65535; default 7000)\n"));
    assert_non_null(
        strstr(said, "      --sockets N         sockets to open (1 to 20k; default 1k)\n"));
    assert_non_null(strstr(said, "-q, --quiet             print nothing but errors\n"));
    assert_non_null(strstr(said, "examples:\n  weir test -b epoll -s 64\n"));
}

static void help_fits_a_terminal(void **state)
{
    struct all all;
    char said[4096];
    (void)state;
    parse_as(&table, "-h", &all, said);
    for (char *line = strtok(said, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(strlen(line) <= 80);
        assert_true(line[strlen(line) - 1] != ' ');
    }
}

static void the_nearest_name_is_a_slip_away(void **state)
{
    (void)state;
    assert_int_equal(option_nearest(backends, "epol"), 1);
    assert_int_equal(option_nearest(backends, "eplol"), 1);
    assert_int_equal(option_nearest(backends, "urings"), 2);
    assert_int_equal(option_nearest(backends, "dpdk"), -1);
    assert_int_equal(option_nearest(backends, ""), -1);
    assert_int_equal(option_nearest(backends, "a-name-that-is-longer-than-any-name-of-ours"), -1);
    assert_int_equal(option_nearest((const char *const[]){"a", NULL}, "b"),
                     -1); /* nothing in common */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_first),
        cmocka_unit_test(short_and_long_and_abbreviated),
        cmocka_unit_test(operands_come_last_where_they_are_taken),
        cmocka_unit_test(a_mistake_is_one_line_that_names_it),
        cmocka_unit_test(help_says_every_row_and_its_default),
        cmocka_unit_test(help_fits_a_terminal),
        cmocka_unit_test(the_nearest_name_is_a_slip_away),
    };
    return run_group(tests);
}
