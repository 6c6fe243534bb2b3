/* SPDX-License-Identifier: MIT
 * Options take any words: as the value of every kind of option, and as a whole command line, one
 * word a line of the input. What is accepted lies in its range; what is refused leaves the field as
 * it was. */
#include "tool/options.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

struct all {
    bool flag;
    uint16_t narrow;
    uint64_t number, time_ns, rate;
    const char *text;
    uint8_t name;
    uint32_t mask;
    struct option_list list, numbers;
    struct weir_addr addr;
    struct option_nets nets;
    struct weir_impair impair;
};

static const char *const names[] = {"naive", "epoll", "uring", NULL};

static const struct option_row rows[] = {
    OPT_FLAG(struct all, flag, 'f', "flag", "a flag"),
    OPT_UINT(struct all, narrow, 'p', "port", NULL, "7000", 1, 65535, "a narrow number"),
    OPT_UINT(struct all, number, 'n', "number", NULL, NULL, 10, 1000000, "a number"),
    OPT_DURATION(struct all, time_ns, 't', "time", "2s", 1000, 3600000000000, "a duration"),
    OPT_RATE(struct all, rate, 'r', "rate", "max", 1, 1000000000, "a rate"),
    OPT_STRING(struct all, text, 'o', "output", NULL, NULL, "a text"),
    OPT_ENUM(struct all, name, 'e', "name", names, "epoll", "a name"),
    OPT_MASK(struct all, mask, 'm', "mask", names, "all", "a set"),
    OPT_LIST(struct all, list, 'b', "backend", names, "epoll,uring", "a list"),
    OPT_NUMBERS(struct all, numbers, 's', "size", NULL, "64", 16, 65507, "numbers"),
    OPT_ADDR(struct all, addr, 'a', "bind", "*:7000", "an address"),
    OPT_NETS(struct all, nets, 0, "address", NULL, "addresses"),
    OPT_IMPAIR(struct all, impair, 0, "impair", NULL, "impairments"),
};

#define ROWS (sizeof rows / sizeof rows[0])

static const struct option_table table = {.command = "fuzz",
                                          .summary = "Anything.",
                                          .operands = "[WORD...]",
                                          .rows = rows,
                                          .count = ROWS};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: a build without assertions must fuzz as well. */
static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void demand_list(const struct option_list *list, uint64_t low, uint64_t high)
{
    demand(list->count >= 1 && list->count <= OPTION_LIST_MAX);
    for (unsigned i = 0; i < list->count; i++)
        demand(list->value[i] >= low && list->value[i] <= high);
}

static void demand_ranges(const struct all *all)
{
    demand(all->narrow >= 1);
    demand(all->number == 0 || (all->number >= 10 && all->number <= 1000000));
    demand(all->time_ns >= 1000 && all->time_ns <= 3600000000000);
    demand(all->rate == OPTION_RATE_MAX || (all->rate >= 1 && all->rate <= 1000000000));
    demand(all->name < 3 && all->mask >= 1 && all->mask <= 7);
    demand_list(&all->list, 0, 2);
    demand_list(&all->numbers, 16, 65507);
    demand(all->nets.count <= WEIR_NETS_MAX);
    demand(all->impair.loss >= 0 && all->impair.loss <= 1);
    demand(all->impair.corrupt >= 0 && all->impair.corrupt <= 1);
}

static void try_values(const char *text)
{
    struct all all, before;
    char want[OPTION_WANT_BYTES];
    memset(&all, 0, sizeof all);
    options_preset(&table, &all);
    for (unsigned i = 0; i < ROWS; i++) {
        memcpy(&before, &all, sizeof all);
        if (option_set(&rows[i], text, &all))
            demand(memcmp(&before, &all, sizeof all) == 0);
        demand(strlen(option_want(&rows[i], want)) > 0);
    }
    demand_ranges(&all);
    demand(option_nearest(names, text) < 3);
}

/* With stdout and stderr to nowhere: libFuzzer keeps its own. */
static void try_line(int argc, char **argv)
{
    static FILE *nowhere;
    FILE *out = stdout, *err = stderr;
    struct all all;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    if (!nowhere)
        return;
    stdout = stderr = nowhere;
    int first = options_parse(&table, argc, argv, &all);
    stdout = out;
    stderr = err;
    demand(first <= argc && (first >= 1 || options_exit(first) == 0 || options_exit(first) == 2));
    demand_ranges(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), self[] = "fuzz", *argv[WORDS_MAX + 2] = {self};
    int argc = 1;
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    try_values(text);
    for (char *word = text, *end; word && argc <= WORDS_MAX; word = end ? end + 1 : NULL) {
        end = strchr(word, '\n');
        if (end)
            *end = 0;
        argv[argc++] = word;
    }
    try_line(argc, argv);
    free(text);
    return 0;
}
