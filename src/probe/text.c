/* SPDX-License-Identifier: MIT
 * Parsers of /proc and /sys texts, and the one function that reads such a file.
 *
 * In the flow   cpu.c, memory.c, kernel.c: text_read, then a parser, then one field of struct
 *               weir_host.
 * Invariants    parsers look at nothing but their arguments and never beyond the terminator: they
 *               are tested with recorded texts and fuzzed.
 * Source        proc(5); Documentation/ABI/testing/sysfs-devices-system-cpu. */
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int text_read(const char *path, char *ret, size_t bytes)
{
    size_t got = 0;
    ssize_t n = 1;
    ret[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while (n > 0 && got < bytes - 1) {
        n = read(fd, ret + got, bytes - 1 - got);
        got += n > 0 ? (size_t)n : 0;
    }
    int error = n < 0 ? errno : 0; /* some files refuse only when they are read */
    close(fd);
    ret[error ? 0 : got] = 0;
    return error ? -error : (int)got;
}

int64_t text_read_number(const char *path)
{
    char text[64];
    return text_read(path, text, sizeof text) < 0 ? -1 : text_number(text);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_space(const char *at)
{
    while (is_space(*at))
        at++;
    return at;
}

/* Digits at *at, which moves behind them; -1 where there are none or they overflow. */
static int64_t read_digits(const char **at)
{
    int64_t value = 0;
    bool bad = !is_digit(**at);
    for (; is_digit(**at); (*at)++)
        bad |= __builtin_mul_overflow(value, 10, &value) ||
               __builtin_add_overflow(value, **at - '0', &value);
    return bad ? -1 : value;
}

int64_t text_number(const char *text)
{
    const char *at = skip_space(text);
    int64_t value = read_digits(&at);
    return *skip_space(at) ? -1 : value;
}

static void copy_span(const char *from, size_t len, char *ret, size_t bytes)
{
    size_t n = min_of(len, bytes - 1);
    memcpy(ret, from, n);
    ret[n] = 0;
}

void text_line(const char *text, char *ret, size_t bytes)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t len = strcspn(text, "\n");
    while (len && is_space(text[len - 1]))
        len--;
    copy_span(text, len, ret, bytes);
}

void text_choice(const char *text, char *ret, size_t bytes)
{
    const char *open = strchr(text, '[');
    const char *end = open ? strchr(open, ']') : NULL;
    copy_span(end ? open + 1 : text, end ? (size_t)(end - open - 1) : 0, ret, bytes);
}

/* One "a" or "a-b" at *at: how many, or -1. */
static int64_t range_count(const char **at)
{
    int64_t low = read_digits(at), high = low;
    if (**at == '-') {
        (*at)++;
        high = read_digits(at);
    }
    return low < 0 || high < low || high - low >= INT_MAX ? -1 : high - low + 1;
}

int text_list_count(const char *list)
{
    const char *at = skip_space(list);
    int64_t sum = 0;
    while (*at) {
        int64_t n = range_count(&at);
        sum += n;
        if (n < 0 || sum > INT_MAX)
            return -1;
        if (*at == ',' && is_digit(at[1]))
            at++;
        else if (*skip_space(at))
            return -1;
        else
            break;
    }
    return (int)sum;
}

bool text_has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = skip_space(text); *at; at = skip_space(at)) {
        size_t n = strcspn(at, " \t\r\n");
        if (n == len && memcmp(at, word, len) == 0)
            return true;
        at += n;
    }
    return false;
}

/* What stands behind the colon of the first line "key :", or NULL. */
static const char *find_field(const char *text, const char *key)
{
    size_t len = strlen(key);
    while (text) {
        if (strncmp(text, key, len) == 0) {
            const char *at = text + len + strspn(text + len, " \t");
            if (*at == ':')
                return at + 1;
        }
        const char *end = strchr(text, '\n');
        text = end ? end + 1 : NULL;
    }
    return NULL;
}

void text_field(const char *text, const char *key, char *ret, size_t bytes)
{
    const char *value = find_field(text, key);
    text_line(value ? value : "", ret, bytes);
}

int64_t text_meminfo_bytes(const char *text, const char *key)
{
    char value[32], *unit;
    int64_t bytes;
    text_field(text, key, value, sizeof value);
    unit = strstr(value, " kB");
    if (!unit || unit[3])
        return -1;
    *unit = 0;
    int64_t kib = text_number(value);
    return kib < 0 || __builtin_mul_overflow(kib, 1024, &bytes) ? -1 : bytes;
}

/* proc(5): "cpu  user nice system idle iowait irq softirq steal guest guest_nice"; steal is the
 * eighth. */
int64_t text_stat_steal(const char *text)
{
    if (strncmp(text, "cpu ", 4) != 0)
        return -1;
    const char *at = text + 3;
    int64_t value = -1;
    for (unsigned column = 0; column < 8; column++) {
        at += strspn(at, " ");
        value = read_digits(&at);
        if (value < 0)
            return -1;
    }
    return *at == 0 || is_space(*at) ? value : -1;
}

/* "Not affected", "Mitigation: ...", "Vulnerable...", "KVM: Mitigation: ...", "Unknown (...)". */
enum flaw text_flaw(const char *text)
{
    if (strncmp(text, "KVM: ", 5) == 0)
        text += 5;
    if (strncmp(text, "Not affected", 12) == 0)
        return FLAW_ABSENT;
    if (strncmp(text, "Mitigation", 10) == 0)
        return FLAW_MITIGATED;
    return strncmp(text, "Vulnerable", 10) == 0 ? FLAW_OPEN : FLAW_UNKNOWN;
}

void text_add_word(char *words, size_t bytes, const char *name)
{
    size_t have = strlen(words), gap = have ? 1 : 0, len = strlen(name);
    if (len == 0 || have + gap + len >= bytes)
        return;
    if (gap)
        words[have] = ' ';
    memcpy(words + have + gap, name, len + 1);
}
