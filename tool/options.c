/* SPDX-License-Identifier: MIT
 * The command line of one command, read by getopt_long behind a table of options.
 *
 * In the flow   main.c -> cmd_x -> options_parse -> the command's struct, before anything else
 *               happens.
 * Invariants    every field has its default before the first option is read; one bad option is one
 *               line on stderr and nothing else runs.
 * Source        getopt_long(3): a leading ':' in the short options tells a missing value from an
 *               unknown option, optind = 0 starts it anew. */
#include "options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>

#define ROWS_MAX 64   /* of one command: more than a person reads */
#define LONG_BASE 256 /* values of long options, above every char */

struct spec {
    struct option longs[ROWS_MAX + 2]; /* --help and the end */
    char shorts[2 * ROWS_MAX + 3];
};

static void spec_add(struct spec *spec, unsigned i, const char *name, char letter, bool value)
{
    spec->longs[i] =
        (struct option){name, value ? required_argument : no_argument, NULL, LONG_BASE + (int)i};
    if (letter) {
        size_t n = strlen(spec->shorts);
        spec->shorts[n] = letter;
        spec->shorts[n + 1] = value ? ':' : 0;
    }
}

static void spec_make(struct spec *spec, const struct option_table *table)
{
    assert(table->count <= ROWS_MAX);
    memset(spec, 0, sizeof *spec);
    spec->shorts[0] = ':';
    for (unsigned i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        assert(row->letter != 'h' && strcmp(row->name, "help") != 0);
        spec_add(spec, i, row->name, row->letter, row->kind != OPTION_FLAG);
    }
    spec_add(spec, table->count, "help", 'h', false);
}

/* The row of what getopt returned, or NULL for --help and for what it did not know. */
static const struct option_row *find_row(const struct option_table *table, int key)
{
    for (unsigned i = 0; i < table->count; i++)
        if (key == LONG_BASE + (int)i || (key && key == table->rows[i].letter))
            return &table->rows[i];
    return NULL;
}

static int bad_value(const struct option_table *table, const struct option_row *row,
                     const char *value)
{
    char want[OPTION_WANT_BYTES];
    fprintf(stderr, "weir %s: --%s %s: want %s\n", table->command, row->name,
            *value ? value : "\"\"", option_want(row, want));
    return -EINVAL;
}

static int no_value(const struct option_table *table, const struct option_row *row)
{
    char want[OPTION_WANT_BYTES];
    fprintf(stderr, "weir %s: --%s needs a value: %s\n", table->command, row->name,
            option_want(row, want));
    return -EINVAL;
}

/* "--tmie=2" is nearest to --time. */
static const char *nearest_long(const struct option_table *table, const char *given)
{
    const char *names[ROWS_MAX + 2] = {NULL};
    char name[64] = "";
    for (unsigned i = 0; i < table->count; i++)
        names[i] = table->rows[i].name;
    names[table->count] = "help";
    if (strncmp(given, "--", 2) == 0)
        snprintf(name, sizeof name, "%.*s", (int)strcspn(given + 2, "="), given + 2);
    int i = option_nearest(names, name);
    return i < 0 ? NULL : names[i];
}

static int unknown(const struct option_table *table, const char *given, int letter)
{
    char shown[3] = {'-', (char)letter, 0};
    const struct option_row *row = find_row(table, letter);
    if (letter >= LONG_BASE) {
        fprintf(stderr, "weir %s: --%s takes no value\n", table->command, row ? row->name : "help");
        return -EINVAL;
    }
    const char *near = letter ? NULL : nearest_long(table, given);
    fprintf(stderr, "weir %s: unknown option %s; ", table->command, letter ? shown : given);
    if (near)
        fprintf(stderr, "did you mean --%s?\n", near);
    else
        fprintf(stderr, "see weir %s --help\n", table->command);
    return -EINVAL;
}

static int take(const struct option_table *table, int key, char **argv, void *ret)
{
    const struct option_row *row = find_row(table, key == ':' ? optopt : key);
    if (key == '?')
        return unknown(table, argv[optind - 1], optopt);
    if (key == ':')
        return no_value(table, row);
    if (!row) { /* 'h' or --help: the only option without a row */
        options_help(table, stdout);
        return -ECANCELED;
    }
    const char *value = optarg ? optarg : ""; /* a flag has none */
    return option_set(row, value, ret) ? bad_value(table, row, value) : 0;
}

static int check_operands(const struct option_table *table, int argc, char **argv)
{
    if (table->operands || optind >= argc)
        return optind;
    fprintf(stderr, "weir %s: unexpected \"%s\"; see weir %s --help\n", table->command,
            argv[optind], table->command);
    return -EINVAL;
}

int options_parse(const struct option_table *table, int argc, char **argv, void *ret)
{
    struct spec spec;
    int key;
    spec_make(&spec, table);
    options_preset(table, ret);
    optind = 0;
    opterr = 0;
    while ((key = getopt_long(argc, argv, spec.shorts, spec.longs, NULL)) != -1) {
        int r = take(table, key, argv, ret);
        if (r)
            return r;
    }
    return check_operands(table, argc, argv);
}

int options_exit(int error)
{
    return error == -ECANCELED ? 0 : 2;
}

void options_preset(const struct option_table *table, void *ret)
{
    for (unsigned i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        memset((char *)ret + row->offset, 0, row->bytes);
        int r = row->preset ? option_set(row, row->preset, ret) : 0;
        assert(r == 0);
        (void)r;
    }
}

#define NAME_MAX_LEN 31 /* longer names are not compared */

/* Levenshtein's distance, one row at a time. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1];
    size_t la = strlen(a), lb = strlen(b);
    if (la > NAME_MAX_LEN || lb > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (unsigned j = 0; j <= lb; j++)
        row[j] = j;
    for (unsigned i = 1; i <= la; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= lb; j++) {
            unsigned cost = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            unsigned gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = cost < gap ? cost : gap;
        }
    }
    return row[lb];
}

int option_nearest(const char *const *names, const char *text)
{
    unsigned best = 3; /* two edits: a slip; more is another word */
    int index = -1;
    for (int i = 0; names[i]; i++) {
        unsigned d = distance(names[i], text);
        if (d < best && d < strlen(names[i])) {
            best = d;
            index = i;
        }
    }
    return index;
}
