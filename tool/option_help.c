/* SPDX-License-Identifier: MIT
 * Value to text: what an option accepts, said in an error line and in --help.
 *
 * In the flow   options.c asks for the words of a row; all of them come from the row itself.
 * Invariants    prints only to the FILE that it is given; lines of at most WIDTH columns. */
#include "options.h"

#include <inttypes.h>
#include <string.h>

#define WIDTH 80  /* a terminal's customary width */
#define INDENT 26 /* column at which the texts begin */

struct text {
    char *at;
    size_t left;
};

/* Append; what does not fit is cut, the end stays terminated. */
static void put(struct text *t, const char *s)
{
    size_t n = strlen(s);
    if (n >= t->left)
        n = t->left - 1;
    memcpy(t->at, s, n);
    t->at += n;
    t->left -= n;
    *t->at = 0;
}

/* A number in the largest unit that divides it: 4096 is "4096", 1000 "1k". */
static void put_scaled(struct text *t, uint64_t value, const struct option_unit *units)
{
    char number[48];
    while (units->value > 1 && (value == 0 || value % units->value))
        units++;
    snprintf(number, sizeof number, "%" PRIu64 "%s", value / units->value, units->name);
    put(t, number);
}

static void put_bound(struct text *t, const struct option_row *row, uint64_t value)
{
    static const struct option_unit counts[] = {{"G", 1000000000},
                                                {"M", 1000000},
                                                {"k", 1000},
                                                {"", 1}};
    static const struct option_unit durations[] = {{"h", UINT64_C(3600000000000)},
                                                   {"m", UINT64_C(60000000000)},
                                                   {"s", 1000000000},
                                                   {"ms", 1000000},
                                                   {"us", 1000},
                                                   {"ns", 1}};
    put_scaled(t, value, row->kind == OPTION_DURATION ? durations : counts);
}

static bool has_range(const struct option_row *row)
{
    bool ranged = row->kind == OPTION_UINT || row->kind == OPTION_DURATION ||
                  row->kind == OPTION_RATE || row->kind == OPTION_NUMBERS;
    return ranged && (row->low > 0 || row->high < UINT64_MAX);
}

static void put_range(struct text *t, const struct option_row *row)
{
    if (row->high == UINT64_MAX)
        put(t, "at least ");
    put_bound(t, row, row->low);
    if (row->high == UINT64_MAX)
        return;
    put(t, " to ");
    put_bound(t, row, row->high);
}

static void put_names(struct text *t, const char *const *names)
{
    for (unsigned i = 0; names[i]; i++) {
        if (i)
            put(t, ", ");
        put(t, names[i]);
    }
}

static const char *want_words(enum option_kind kind)
{
    switch (kind) {
    case OPTION_FLAG: return "no value";
    case OPTION_UINT: return "a number (suffixes k, M, G, Ki, Mi, Gi)";
    case OPTION_DURATION: return "a duration such as 500ms, 2s or 0.5 (seconds)";
    case OPTION_RATE: return "\"max\" or a number a second such as 100k or 1.5M";
    case OPTION_STRING: return "text";
    case OPTION_ENUM: return "one of ";
    case OPTION_MASK:
    case OPTION_LIST: return "\"all\", or with commas between them, any of ";
    case OPTION_NUMBERS: return "numbers such as 64,1.5k";
    case OPTION_ADDR: return "an address such as 127.0.0.1:7000, [::1]:7000, *:7000 or 7000";
    case OPTION_NETS: return "addresses with their prefix such as 10.0.0.2/24,fd00::2/64";
    case OPTION_IMPAIR:
        return "any of "
               "loss=1%,delay=5ms,jitter=1ms,reorder=1%,dup=1%,corrupt=1%,rate=100mbit,seed=7";
    }
    return "";
}

const char *option_want(const struct option_row *row, char text[OPTION_WANT_BYTES])
{
    struct text t = {text, OPTION_WANT_BYTES};
    put(&t, want_words(row->kind));
    if (row->names)
        put_names(&t, row->names);
    if (row->kind == OPTION_NUMBERS)
        put(&t, ", each");
    else if (has_range(row))
        put(&t, ",");
    if (has_range(row)) {
        put(&t, " ");
        put_range(&t, row);
    }
    return text;
}

const char *option_arg(const struct option_row *row)
{
    if (row->arg)
        return row->arg;
    switch (row->kind) {
    case OPTION_FLAG: return NULL;
    case OPTION_UINT: return "N";
    case OPTION_DURATION: return "TIME";
    case OPTION_RATE: return "RATE";
    case OPTION_STRING: return "TEXT";
    case OPTION_ENUM: return "NAME";
    case OPTION_MASK:
    case OPTION_LIST: return "NAME,...";
    case OPTION_NUMBERS: return "N,...";
    case OPTION_ADDR: return "ADDR";
    case OPTION_NETS: return "ADDR/N,...";
    case OPTION_IMPAIR: return "WORD=N,...";
    }
    return NULL;
}

/* What stands behind the text: "(1 to 4096; default 64)". */
static void put_limits(struct text *t, const struct option_row *row)
{
    bool known = row->names || has_range(row);
    if (!known && !row->preset)
        return;
    put(t, " (");
    if (row->names)
        put_names(t, row->names);
    else if (known)
        put_range(t, row);
    if (row->kind == OPTION_MASK || row->kind == OPTION_LIST)
        put(t, ", all");
    if (row->preset) {
        put(t, known ? "; default " : "default ");
        put(t, *row->preset ? row->preset : "none");
    }
    put(t, ")");
}

/* Words from column `at` on, wrapped to stand at INDENT. */
static void print_wrapped(FILE *out, const char *words, unsigned at)
{
    while (*words) {
        unsigned len = (unsigned)strcspn(words, " ");
        bool first = at <= INDENT;
        if (!first && at + 1 + len > WIDTH) {
            fputc('\n', out);
            at = 0;
        }
        int pad = at < INDENT ? (int)(INDENT - at) : !first;
        fprintf(out, "%*s%.*s", pad, "", (int)len, words);
        at += (unsigned)pad + len;
        words += len + strspn(words + len, " ");
    }
    fputc('\n', out);
}

static void print_row(FILE *out, const struct option_row *row)
{
    char head[96], words[OPTION_WANT_BYTES + 256];
    const char *arg = option_arg(row);
    char letter[8] = "    ";
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    int n = snprintf(head, sizeof head, "  %s--%s%s%s", letter, row->name, arg ? " " : "",
                     arg ? arg : "");
    struct text t = {words, sizeof words};
    put(&t, row->text);
    put_limits(&t, row);
    fputs(head, out);
    if (n >= INDENT)
        fputc('\n', out);
    print_wrapped(out, words, n >= INDENT ? 0 : (unsigned)n);
}

void options_help(const struct option_table *table, FILE *out)
{
    fprintf(out, "usage: weir %s [options]%s%s\n\n%s\n\noptions:\n", table->command,
            table->operands ? " " : "", table->operands ? table->operands : "", table->summary);
    for (unsigned i = 0; i < table->count; i++)
        print_row(out, &table->rows[i]);
    print_row(out, &(struct option_row){.letter = 'h', .name = "help", .text = "print this page"});
    if (!table->examples)
        return;
    fputs("\nexamples:\n", out);
    for (unsigned i = 0; table->examples[i]; i++)
        fprintf(out, "  %s\n", table->examples[i]);
}
