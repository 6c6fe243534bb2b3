/* SPDX-License-Identifier: MIT
 * Numbers and names for people.
 *
 * In the flow   rows -> these -> grid.c. Invariants  pure; NAN is "-"; no exponents; the same
 *               number of digits up and down a column, so that the eye can compare. */
#include "bench/text.h"

#include <math.h>
#include <string.h>

const char *text_load(const struct cell *cell, char text[48])
{
    int n = snprintf(text, 48, "%s %u B", weir_load_name(cell->load), cell->bytes);
    if (cell->connections && n > 0)
        snprintf(text + n, 48 - (size_t)n, " x%u", cell->connections);
    return text;
}

static const char *unknown(char text[TEXT_BYTES])
{
    return strcpy(text, "-");
}

/* Digits behind the point so that `digits` are shown in all: 17.91 is 2 of 4. */
static int decimals(double value, int digits)
{
    int before = fabs(value) < 1 ? 1 : (int)floor(log10(fabs(value))) + 1;
    return before < digits ? digits - before : 0;
}

const char *text_si(double value, char text[TEXT_BYTES])
{
    static const char *const units[] = {"", "k", "M", "G"};
    unsigned unit = 0;
    if (isnan(value))
        return unknown(text);
    for (; unit < 3 && fabs(value) >= 999.95; unit++)
        value /= 1000;
    snprintf(text, TEXT_BYTES, "%.*f%s", decimals(value, 4), value, units[unit]);
    return text;
}

const char *text_digits(double value, char text[TEXT_BYTES])
{
    if (isnan(value))
        return unknown(text);
    if (value != 0 && fabs(value) < 0.1)
        snprintf(text, TEXT_BYTES, "%.4f", value);
    else
        snprintf(text, TEXT_BYTES, "%.*f", decimals(value, 3), value);
    return text;
}

const char *text_count(double value, char text[TEXT_BYTES])
{
    char digits[TEXT_BYTES], *out = text;
    if (isnan(value) || fabs(value) >= 1e18)
        return unknown(text);
    int n = snprintf(digits, sizeof digits, "%.0f", fabs(value));
    if (value <= -0.5)
        *out++ = '-';
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = 0;
    return text;
}

const char *text_us(double ns, char text[TEXT_BYTES])
{
    double us = ns / 1000;
    if (isnan(us))
        return unknown(text);
    snprintf(text, TEXT_BYTES, "%.*f", us < 10 ? 2 : us < 100 ? 1 : 0, us);
    return text;
}

const char *text_percent(double share, char text[TEXT_BYTES])
{
    double percent = share * 100;
    if (isnan(percent))
        return unknown(text);
    if (percent > 0 && percent < 0.1)
        return strcpy(text, "<0.1 %");
    snprintf(text, TEXT_BYTES, "%.*f %%", percent < 10 ? 1 : 0, percent);
    return text;
}

const char *text_times(double ratio, char text[TEXT_BYTES])
{
    if (isnan(ratio))
        return unknown(text);
    snprintf(text, TEXT_BYTES, "%.*f", ratio < 10 ? 2 : 1, ratio);
    return text;
}

const char *text_loss(const double *loss, double sent, char *text, size_t bytes)
{
    size_t used = 0;
    bool any = false;
    text[0] = 0;
    for (unsigned i = 0; i < LOSS_COUNT; i++) {
        char count[TEXT_BYTES], share[TEXT_BYTES];
        any |= !isnan(loss[i]);
        if (isnan(loss[i]) || loss[i] == 0 || used >= bytes)
            continue;
        used += (size_t)snprintf(text + used, bytes - used, "%s%s %s (%s)", used ? ", " : "",
                                 loss_names[i], text_count(loss[i], count),
                                 text_percent(loss[i] / sent, share));
    }
    if (used == 0)
        snprintf(text, bytes, "%s", any ? "none" : "-");
    return text;
}

/* What else a reader must know: the first of these. */
static const char *mark(const struct row *row)
{
    if (weir_impair_any(&row->cell.choice.impair))
        return "impaired";
    if (row->cell.choice.pcap)
        return "captured";
    if (row->cell.net == NET_MEMORY)
        return "in memory: cost only";
    return row->valid && row->generator_bound ? "generator-bound" : "";
}

const char *text_note(const struct row *row, char *text, size_t bytes)
{
    const char *is = mark(row);
    if (row->valid)
        snprintf(text, bytes, "%s", is);
    else
        snprintf(text, bytes, "%s%sinvalid: %s", is, is[0] ? "; " : "", row->reason);
    return text;
}
