/* SPDX-License-Identifier: MIT
 * Options as data: one row binds a name to a field of a struct, its default, its range and its
 * text. The parser, --help and the defaults all read the same row, so they cannot drift.
 *
 *     struct echo_opt { struct weir_addr bind; uint64_t time_ns; uint32_t sockets; bool quiet; };
 *     static const struct option_row rows[] = {
 *         OPT_ADDR(struct echo_opt, bind, 'b', "bind", "*:7000", "address to serve"),
 *         OPT_DURATION(struct echo_opt, time_ns, 't', "time", "2", 0, HOUR_NS, "how long to run"),
 *         OPT_UINT(struct echo_opt, sockets, 0, "sockets", "N", "1", 1, 4096, "sockets to open"),
 *         OPT_FLAG(struct echo_opt, quiet, 'q', "quiet", "print nothing but errors"),
 *     };
 *     static const char *const examples[] = {"weir echo -b 127.0.0.1:7000", NULL};
 *     static const struct option_table table = {
 *         .command = "echo", .summary = "...", .rows = rows, .count = 4, .examples = examples};
 *
 *     int first = options_parse(&table, argc, argv, &opt);
 *     if (first < 0)
 *         return options_exit(first);
 *     ... argv[first] is the first operand, or NULL
 */
#ifndef WEIR_TOOL_OPTIONS_H
#define WEIR_TOOL_OPTIONS_H

#include <weir/base.h>
#include <weir/frames.h>

#include <stdbool.h>
#include <stdio.h>

enum option_kind {
    OPTION_FLAG,     /* bool: given or not */
    OPTION_UINT,     /* uint16_t, uint32_t, uint64_t: "64", "1.5k", "4Ki" */
    OPTION_DURATION, /* uint64_t nanoseconds: "2", "0.5", "500ms", "2s", "1m" */
    OPTION_RATE,     /* uint64_t a second: "max" or "100k"; max is OPTION_RATE_MAX */
    OPTION_STRING,   /* const char *: as given, not copied */
    OPTION_ENUM,     /* an integer or an enum: index in `names` */
    OPTION_MASK,     /* uint32_t or uint64_t: bit i is names[i]; "a,b" or "all" */
    OPTION_LIST,    /* struct option_list: indexes in `names`, in the order given; "a,b" or "all" */
    OPTION_NUMBERS, /* struct option_list: "64,1200,4Ki", each low..high */
    OPTION_ADDR,    /* struct weir_addr: what weir_addr_parse reads */
    OPTION_NETS, /* struct option_nets: "10.0.0.2/24,fd00::2/64", each as weir_net_parse reads it */
    OPTION_IMPAIR, /* struct weir_impair: what weir_impair_parse reads */
};

#define OPTION_RATE_MAX UINT64_MAX
#define OPTION_LIST_MAX 32 /* entries of one list: more cells than anybody waits for */

struct option_list {
    unsigned count;
    uint64_t value[OPTION_LIST_MAX];
};

struct option_nets {
    uint32_t count;
    struct weir_net net[WEIR_NETS_MAX];
};

struct option_row {
    enum option_kind kind;
    char letter;              /* -x, or 0 for none; 'h' is taken by --help */
    const char *name;         /* --name; "help" is taken */
    const char *arg;          /* what --help calls the value: "N"; NULL takes the kind's own word */
    const char *text;         /* what it does, one sentence, no default: --help appends that */
    size_t offset, bytes;     /* of the field */
    const char *preset;       /* the default, as the user would write it; NULL zeroes the field */
    uint64_t low, high;       /* both allowed; UINT, DURATION, RATE, NUMBERS */
    const char *const *names; /* ends with NULL; ENUM, MASK, LIST */
};

struct option_table {
    const char *command;  /* "bench": messages begin with "weir bench: " */
    const char *summary;  /* one sentence */
    const char *operands; /* "[HOST:PORT]", or NULL: operands are refused */
    const struct option_row *rows;
    unsigned count;
    const char *const *examples; /* command lines, ends with NULL; or NULL */
};

/* The bytes of a field; does not compile where the field has another type than the option gives. */
// NOLINTNEXTLINE(bugprone-macro-parentheses): `want` is a type
#define OPTION_BYTES(type, field, want) _Generic(((type *)0)->field, want : sizeof(want))

#define OPT_FLAG(type, field, l, n, t)                                                             \
    {                                                                                              \
        .kind = OPTION_FLAG, .letter = (l), .name = (n), .text = (t),                              \
        .offset = offsetof(type, field), .bytes = OPTION_BYTES(type, field, bool)                  \
    }
#define OPT_UINT(type, field, l, n, a, d, lo, hi, t)                                               \
    {                                                                                              \
        .kind = OPTION_UINT, .letter = (l), .name = (n), .arg = (a), .text = (t),                  \
        .offset = offsetof(type, field), .bytes = sizeof(((type *)0)->field), .preset = (d),       \
        .low = (lo), .high = (hi)                                                                  \
    }
#define OPT_DURATION(type, field, l, n, d, lo, hi, t)                                              \
    {                                                                                              \
        .kind = OPTION_DURATION, .letter = (l), .name = (n), .text = (t),                          \
        .offset = offsetof(type, field), .bytes = OPTION_BYTES(type, field, uint64_t),             \
        .preset = (d), .low = (lo), .high = (hi)                                                   \
    }
#define OPT_RATE(type, field, l, n, d, lo, hi, t)                                                  \
    {                                                                                              \
        .kind = OPTION_RATE, .letter = (l), .name = (n), .text = (t),                              \
        .offset = offsetof(type, field), .bytes = OPTION_BYTES(type, field, uint64_t),             \
        .preset = (d), .low = (lo), .high = (hi)                                                   \
    }
#define OPT_STRING(type, field, l, n, a, d, t)                                                     \
    {                                                                                              \
        .kind = OPTION_STRING, .letter = (l), .name = (n), .arg = (a), .text = (t),                \
        .offset = offsetof(type, field), .bytes = OPTION_BYTES(type, field, const char *),         \
        .preset = (d)                                                                              \
    }
#define OPT_ENUM(type, field, l, n, list, d, t)                                                    \
    {                                                                                              \
        .kind = OPTION_ENUM, .letter = (l), .name = (n), .text = (t),                              \
        .offset = offsetof(type, field), .bytes = sizeof(((type *)0)->field), .preset = (d),       \
        .names = (list)                                                                            \
    }
#define OPT_MASK(type, field, l, n, list, d, t)                                                    \
    {                                                                                              \
        .kind = OPTION_MASK, .letter = (l), .name = (n), .text = (t),                              \
        .offset = offsetof(type, field), .bytes = sizeof(((type *)0)->field), .preset = (d),       \
        .names = (list)                                                                            \
    }
#define OPT_LIST(type, field, l, n, list, d, t)                                                    \
    {                                                                                              \
        .kind = OPTION_LIST, .letter = (l), .name = (n), .text = (t),                              \
        .offset = offsetof(type, field), .bytes = OPTION_BYTES(type, field, struct option_list),   \
        .preset = (d), .names = (list)                                                             \
    }
#define OPT_NUMBERS(type, field, l, n, a, d, lo, hi, t)                                            \
    {                                                                                              \
        .kind = OPTION_NUMBERS, .letter = (l), .name = (n), .arg = (a), .text = (t),               \
        .offset = offsetof(type, field), .bytes = OPTION_BYTES(type, field, struct option_list),   \
        .preset = (d), .low = (lo), .high = (hi)                                                   \
    }
#define OPT_ADDR(type, field, l, n, d, t)                                                          \
    {                                                                                              \
        .kind = OPTION_ADDR, .letter = (l), .name = (n), .text = (t),                              \
        .offset = offsetof(type, field), .bytes = OPTION_BYTES(type, field, struct weir_addr),     \
        .preset = (d)                                                                              \
    }

#define OPT_NETS(type, field, l, n, d, t)                                                          \
    {                                                                                              \
        .kind = OPTION_NETS, .letter = (l), .name = (n), .text = (t),                              \
        .offset = offsetof(type, field), .bytes = OPTION_BYTES(type, field, struct option_nets),   \
        .preset = (d)                                                                              \
    }
#define OPT_IMPAIR(type, field, l, n, d, t)                                                        \
    {                                                                                              \
        .kind = OPTION_IMPAIR, .letter = (l), .name = (n), .text = (t),                            \
        .offset = offsetof(type, field), .bytes = OPTION_BYTES(type, field, struct weir_impair),   \
        .preset = (d)                                                                              \
    }

/* Set every field of `ret` to its default, then read argv[1 ..]: options and operands may mix, "--"
 * ends the options. --help prints to stdout; a bad option or value prints one line to stderr.
 * Owner   strings point into argv; argv is permuted so that the operands come last
 * Returns the index of the first operand (argc when none)
 * Errors  -EINVAL: said on stderr; -ECANCELED: --help was printed
 * Thread  the main one: getopt keeps state */
int options_parse(const struct option_table *table, int argc, char **argv, void *ret);

/* The exit code for a negative answer of options_parse: 0 after --help, 2 after a bad value. */
int options_exit(int error);

/* Only the defaults. A default that does not parse is a programmer's error, asserted. */
void options_preset(const struct option_table *table, void *ret);

/* One value into its field of `ret`. Pure: no printing, and the field is untouched on error.
 * Errors  -EINVAL not such a value, -ERANGE outside of low..high or too many */
int option_set(const struct option_row *row, const char *text, void *ret);

/* What the row takes, for people: "a duration such as 500ms or 2s, 1ms to 1h". Returns `text`. */
#define OPTION_WANT_BYTES 512
const char *option_want(const struct option_row *row, char text[OPTION_WANT_BYTES]);

/* The word for a row's value in --help: "TIME"; NULL for a flag. */
const char *option_arg(const struct option_row *row);

/* The page of --help, wrapped at 80 columns. */
void options_help(const struct option_table *table, FILE *out);

/* Parse an exact decimal with a unit: "1.5k" of `units` {"k", 1000}. The whole text must be read
 * and the product must be whole and fit. `units` ends with name NULL; the entry named "" is what no
 * unit means.
 * Errors  -EINVAL, -ERANGE */
struct option_unit {
    const char *name;
    uint64_t value;
};
int option_scaled(const char *text, const struct option_unit *units, uint64_t *ret);

/* Index of the name nearest to `text` by edits, or -1 when none is within two. Names end with
 * NULL. */
int option_nearest(const char *const *names, const char *text);

#endif
