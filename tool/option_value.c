/* SPDX-License-Identifier: MIT
 * Text to value: what one option's argument means.
 *
 * In the flow   options.c (getopt) -> option_set -> the command's struct.
 * Invariants    pure functions; a field changes only when its whole text was good; decimals are
 *               exact integer arithmetic, never a double, so that "0.1" is 100,000,000 ns and not
 *               nearly that. */
#include "options.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const struct option_unit counts[] = {
    {"", 1},          {"k", 1000},      {"M", 1000000},   {"G", 1000000000},
    {"Ki", 1u << 10}, {"Mi", 1u << 20}, {"Gi", 1u << 30}, {NULL, 0}, /* IEC 80000-13 */
};

static const struct option_unit durations[] = {
    {"", 1000000000},
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", UINT64_C(60) * 1000000000},
    {"h", UINT64_C(3600) * 1000000000},
    {NULL, 0},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at *at into *ret; `digits` counts them. */
static int read_digits(const char **at, uint64_t *ret, unsigned *digits)
{
    *ret = 0;
    *digits = 0;
    for (; is_digit(**at); (*at)++, (*digits)++)
        if (__builtin_mul_overflow(*ret, 10, ret) ||
            __builtin_add_overflow(*ret, (uint64_t)(**at - '0'), ret))
            return -ERANGE;
    return *digits ? 0 : -EINVAL;
}

/* The digits behind the point as a fraction numerator / divisor, without trailing zeros: "50" is 5
 * / 10. */
static int read_fraction(const char **at, uint64_t *numerator, uint64_t *divisor)
{
    unsigned digits;
    *divisor = 1;
    int r = read_digits(at, numerator, &digits);
    if (r)
        return r;
    for (; digits && *numerator % 10 == 0; digits--)
        *numerator /= 10;
    for (; digits; digits--)
        if (__builtin_mul_overflow(*divisor, 10, divisor))
            return -ERANGE;
    return 0;
}

static const struct option_unit *find_unit(const struct option_unit *units, const char *name)
{
    for (; units->name; units++)
        if (strcmp(units->name, name) == 0)
            return units;
    return NULL;
}

int option_scaled(const char *text, const struct option_unit *units, uint64_t *ret)
{
    uint64_t whole, numerator = 0, divisor = 1;
    unsigned digits;
    int r = read_digits(&text, &whole, &digits);
    if (r == 0 && *text == '.' && text++)
        r = read_fraction(&text, &numerator, &divisor);
    if (r)
        return r;
    const struct option_unit *unit = find_unit(units, text);
    if (!unit)
        return -EINVAL;
    if (__builtin_mul_overflow(whole, unit->value, &whole) ||
        __builtin_mul_overflow(numerator, unit->value, &numerator))
        return -ERANGE;
    if (numerator % divisor)
        return -EINVAL; /* half a packet, a third of a nanosecond */
    return __builtin_add_overflow(whole, numerator / divisor, ret) ? -ERANGE : 0;
}

static int ranged(const struct option_row *row, const char *text, const struct option_unit *units,
                  uint64_t *ret)
{
    int r = option_scaled(text, units, ret);
    if (r)
        return r;
    return *ret < row->low || *ret > row->high ? -ERANGE : 0;
}

static void store_unsigned(void *field, size_t bytes, uint64_t value)
{
    if (bytes == 1)
        *(uint8_t *)field = (uint8_t)value;
    else if (bytes == 2)
        *(uint16_t *)field = (uint16_t)value;
    else if (bytes == 4)
        *(uint32_t *)field = (uint32_t)value;
    else
        *(uint64_t *)field = value;
}

static int set_number(const struct option_row *row, const char *text, void *field)
{
    uint64_t value;
    int r = ranged(row, text, row->kind == OPTION_DURATION ? durations : counts, &value);
    if (r == 0)
        store_unsigned(field, row->bytes, value);
    return r;
}

static int set_rate(const struct option_row *row, const char *text, void *field)
{
    if (strcmp(text, "max") != 0)
        return set_number(row, text, field);
    *(uint64_t *)field = OPTION_RATE_MAX;
    return 0;
}

static int name_index(const char *const *names, const char *text)
{
    for (int i = 0; names && names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

static int set_enum(const struct option_row *row, const char *text, void *field)
{
    int index = name_index(row->names, text);
    if (index < 0)
        return -EINVAL;
    store_unsigned(field, row->bytes, (uint64_t)index);
    return 0;
}

static int list_add(struct option_list *list, uint64_t value)
{
    if (list->count == OPTION_LIST_MAX)
        return -ERANGE;
    list->value[list->count++] = value;
    return 0;
}

static int list_add_text(const struct option_row *row, const char *text, struct option_list *list)
{
    uint64_t value;
    if (row->kind == OPTION_NUMBERS) {
        int r = ranged(row, text, counts, &value);
        return r ? r : list_add(list, value);
    }
    int index = name_index(row->names, text);
    return index < 0 ? -EINVAL : list_add(list, (uint64_t)index);
}

#define ENTRY_BYTES 64 /* longer than any name or number that could be right */

/* Every entry between commas; an empty one is an error, so ",": two, "": one. */
static int list_read(const struct option_row *row, const char *text, struct option_list *list)
{
    for (;;) {
        char entry[ENTRY_BYTES];
        size_t len = strcspn(text, ",");
        if (len == 0 || len >= sizeof entry)
            return -EINVAL;
        memcpy(entry, text, len);
        entry[len] = 0;
        int r = list_add_text(row, entry, list);
        if (r || text[len] == 0)
            return r;
        text += len + 1;
    }
}

static int list_all(const struct option_row *row, struct option_list *list)
{
    int r = 0;
    for (unsigned i = 0; row->names[i] && r == 0; i++)
        r = list_add(list, i);
    return r;
}

static int set_list(const struct option_row *row, const char *text, void *field)
{
    struct option_list list = {0};
    bool all = row->names && strcmp(text, "all") == 0;
    int r = all ? list_all(row, &list) : list_read(row, text, &list);
    if (r)
        return r;
    if (row->kind != OPTION_MASK) {
        *(struct option_list *)field = list;
        return 0;
    }
    uint64_t mask = 0;
    for (unsigned i = 0; i < list.count; i++)
        mask |= UINT64_C(1) << list.value[i];
    store_unsigned(field, row->bytes, mask);
    return 0;
}

static int set_addr(const char *text, void *field)
{
    struct weir_addr addr;
    if (weir_addr_parse(text, &addr) < 0)
        return -EINVAL;
    *(struct weir_addr *)field = addr;
    return 0;
}

/* Every network between commas; too many are an error, as an empty one is. */
static int set_nets(const char *text, void *field)
{
    struct option_nets nets = {0};
    for (;;) {
        char entry[ENTRY_BYTES];
        size_t len = strcspn(text, ",");
        if (len == 0 || len >= sizeof entry)
            return -EINVAL;
        if (nets.count == WEIR_NETS_MAX)
            return -ERANGE;
        memcpy(entry, text, len);
        entry[len] = 0;
        if (weir_net_parse(entry, &nets.net[nets.count++]) < 0)
            return -EINVAL;
        if (text[len] == 0)
            break;
        text += len + 1;
    }
    *(struct option_nets *)field = nets;
    return 0;
}

static int set_impair(const char *text, void *field)
{
    struct weir_impair impair;
    if (weir_impair_parse(text, &impair, NULL) < 0)
        return -EINVAL;
    *(struct weir_impair *)field = impair;
    return 0;
}

int option_set(const struct option_row *row, const char *text, void *ret)
{
    void *field = (char *)ret + row->offset;
    switch (row->kind) {
    case OPTION_FLAG: *(bool *)field = true; return 0;
    case OPTION_UINT:
    case OPTION_DURATION: return set_number(row, text, field);
    case OPTION_RATE: return set_rate(row, text, field);
    case OPTION_STRING: *(const char **)field = text; return 0;
    case OPTION_ENUM: return set_enum(row, text, field);
    case OPTION_MASK:
    case OPTION_LIST:
    case OPTION_NUMBERS: return set_list(row, text, field);
    case OPTION_ADDR: return set_addr(text, field);
    case OPTION_NETS: return set_nets(text, field);
    case OPTION_IMPAIR: return set_impair(text, field);
    }
    assert(!"a kind of option that option_set does not know");
    return -EINVAL;
}
