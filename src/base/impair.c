/* SPDX-License-Identifier: MIT
 * Texts of impairments:
 *
 *     text  = word ("," word)*           each name at most once
 *     word  = "loss=" share | "reorder=" share | "dup=" share | "corrupt=" share
 *           | "delay=" time | "jitter=" time | "rate=" rate | "seed=" digits
 *     share = number "%"                 0 to 100
 *     time  = number ("ns" | "us" | "ms" | "s")          up to an hour
 *     rate  = number ("bit" | "kbit" | "mbit" | "gbit")  1 bit to 1,000 gbit a second
 *     number = digits ["." digits]
 *
 * A number is read as a whole and a decimal shift: no locale, no rounding before the unit is known. */
#include "base/base.h"

#include <weir/frames.h>

#include <errno.h>
#include <string.h>

#define WORD_MAX 40u
#define DIGITS_MAX 15u /* what a double and 64 bits both hold exactly */
#define HOUR_NS UINT64_C(3600000000000)
#define RATE_MAX UINT64_C(1000000000000)

int weir_impair_any(const struct weir_impair *i)
{
    return i->loss > 0 || i->reorder > 0 || i->duplicate > 0 || i->corrupt > 0 || i->delay_ns ||
           i->jitter_ns || i->rate_bits;
}

struct number {
    uint64_t digits; /* without the point */
    uint64_t below;  /* the power of ten that they are too large by */
};

/* Moves *text behind the number. */
static bool parse_number(const char **text, struct number *ret)
{
    const char *at = *text;
    unsigned n = 0;
    bool point = false;
    *ret = (struct number){.below = 1};
    for (; (*at >= '0' && *at <= '9') || (*at == '.' && !point && n); at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        if (++n > DIGITS_MAX)
            return false;
        ret->digits = ret->digits * 10 + (uint64_t)(*at - '0');
        ret->below *= point ? 10 : 1;
    }
    *text = at;
    return n && at[-1] != '.';
}

struct unit {
    const char *name;
    uint64_t times;
};

/* A number of one of the units, in the smallest, `most` at most. */
static bool parse_amount(const char *text, const struct unit *units, uint64_t most, uint64_t *ret)
{
    struct number number;
    if (!parse_number(&text, &number))
        return false;
    for (; units->name; units++) {
        if (strcmp(text, units->name) != 0)
            continue;
        __extension__ typedef unsigned __int128 wide;
        wide amount = (wide)number.digits * units->times / number.below;
        *ret = (uint64_t)amount;
        return amount <= most;
    }
    return false;
}

static bool parse_time(const char *text, uint64_t *ret)
{
    static const struct unit units[] = {{"ns", 1},
                                        {"us", 1000},
                                        {"ms", 1000000},
                                        {"s", 1000000000},
                                        {NULL, 0}};
    return parse_amount(text, units, HOUR_NS, ret);
}

static bool parse_rate(const char *text, uint64_t *ret)
{
    static const struct unit units[] = {{"bit", 1},
                                        {"kbit", 1000},
                                        {"mbit", 1000000},
                                        {"gbit", 1000000000},
                                        {NULL, 0}};
    return parse_amount(text, units, RATE_MAX, ret) && *ret > 0; /* 0 would be unlimited */
}

static bool parse_share(const char *text, double *ret)
{
    struct number number;
    if (!parse_number(&text, &number) || strcmp(text, "%") != 0)
        return false;
    *ret = (double)number.digits / (double)number.below / 100;
    return *ret <= 1;
}

static bool parse_seed(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return at != text && !*at;
}

enum name { LOSS, REORDER, DUP, CORRUPT, DELAY, JITTER, RATE, SEED, NAMES };

static const char *const names[NAMES] = {"loss",  "reorder", "dup",  "corrupt",
                                         "delay", "jitter",  "rate", "seed"};

static bool parse_value(enum name name, const char *text, struct weir_impair *ret)
{
    switch (name) {
    case LOSS: return parse_share(text, &ret->loss);
    case REORDER: return parse_share(text, &ret->reorder);
    case DUP: return parse_share(text, &ret->duplicate);
    case CORRUPT: return parse_share(text, &ret->corrupt);
    case DELAY: return parse_time(text, &ret->delay_ns);
    case JITTER: return parse_time(text, &ret->jitter_ns);
    case RATE: return parse_rate(text, &ret->rate_bits);
    case SEED: return parse_seed(text, &ret->seed);
    default: return false;
    }
}

/* `seen` has a bit for each name. */
static bool parse_word(char *word, unsigned *seen, struct weir_impair *ret)
{
    char *value = strchr(word, '=');
    if (!value)
        return false;
    *value++ = '\0';
    unsigned name = 0;
    while (name < NAMES && strcmp(word, names[name]) != 0)
        name++;
    bool ok = name < NAMES && !(*seen & 1u << name) && parse_value(name, value, ret);
    *seen |= ok ? 1u << name : 0;
    value[-1] = '='; /* whole again, to be named */
    return ok;
}

int weir_impair_parse(const char *text, struct weir_impair *ret, struct weir_why *why)
{
    struct weir_impair got = {0};
    unsigned seen = 0;
    for (bool last = false; !last;) {
        char word[WORD_MAX];
        size_t n = strcspn(text, ",");
        last = text[n] == '\0';
        size_t kept = min_of(n, sizeof word - 1);
        memcpy(word, text, kept);
        word[kept] = '\0';
        if (kept < n || !parse_word(word, &seen, &got))
            return why_set(why, -EINVAL, "impairments",
                           "such as loss=1%,delay=5ms,jitter=1ms,reorder=0.5%,dup=0.1%,"
                           "corrupt=0.01%,rate=100mbit,seed=7; each once",
                           "cannot read '%s'", word);
        text += n + 1;
    }
    *ret = got;
    return 0;
}
