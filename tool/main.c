/* SPDX-License-Identifier: MIT
 * `weir`: a table of commands.
 *
 * In the flow   the shell -> main -> cmd_x(argc, argv), which reads its own options (options.h).
 * Invariants    main knows only names; the exit code is the command's: 0 done, 1 could not, 2 the
 *               command line was wrong. Results go to stdout, complaints to stderr. */
#include "cmd.h"
#include "options.h"

#include <weir.h>

#include <string.h>
#include <sys/resource.h>

struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"bench", "measure what each I/O path of this host costs", cmd_bench},
    {"echo", "serve echoes over UDP and TCP on one of those paths", cmd_echo},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static int help(FILE *out)
{
    fputs("usage: weir COMMAND [options]\n\n"
          "A zero-copy network engine, and the instrument that measures it.\n\ncommands:\n",
          out);
    for (unsigned i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("  help       print this page, or that of a command\n\n"
          "options:\n  -h, --help     print this page\n  -V, --version  print the version\n\n"
          "examples:\n  weir help bench\n  weir bench --list\n",
          out);
    return out == stdout ? 0 : EXIT_USAGE;
}

static const struct command *find(const char *name)
{
    for (unsigned i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown(const char *name)
{
    const char *names[COMMANDS + 2] = {NULL};
    for (unsigned i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    names[COMMANDS] = "help";
    int near = option_nearest(names, name);
    if (near >= 0)
        fprintf(stderr, "weir: no command \"%s\"; did you mean %s?\n", name, names[near]);
    else
        fprintf(stderr, "weir: no command \"%s\"; see weir --help\n", name);
    return EXIT_USAGE;
}

static int run(const char *name, int argc, char **argv)
{
    const struct command *command = find(name);
    return command ? command->run(argc, argv) : unknown(name);
}

/* "weir help bench" is "weir bench --help". */
static int help_of(int argc, char **argv)
{
    if (argc < 3)
        return help(stdout);
    char option[] = "--help";
    char *args[] = {argv[2], option, NULL};
    return run(argv[2], 2, args);
}

static bool is(const char *given, const char *name, const char *letter)
{
    return strcmp(given, name) == 0 || strcmp(given, letter) == 0;
}

/* What was printed must have arrived: a full disk is a failure, not a success with a short file. */
static int flushed(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    perror("weir: stdout");
    return code ? code : 1;
}

/* Thousands of sockets are this program's trade: take what the hard limit allows. */
static void raise_nofile(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    raise_nofile();
    if (argc < 2)
        return help(stderr);
    if (is(argv[1], "--help", "-h"))
        return flushed(help(stdout));
    if (is(argv[1], "--version", "-V"))
        return flushed(printf("weir %s\n", WEIR_VERSION) < 0);
    if (strcmp(argv[1], "help") == 0)
        return flushed(help_of(argc, argv));
    return flushed(run(argv[1], argc - 1, argv + 1));
}
