/* SPDX-License-Identifier: MIT
 * One line on a terminal that is rewritten while the command runs.
 *
 * In the flow   rounds.c calls it between runs, never during one: the terminal's work is not
 *               measured. */
#include "bench/progress.h"
#include "bench/text.h"

#include <unistd.h>

static bool shown;

static double seconds_since(uint64_t start_ns)
{
    return (double)(weir_now_ns() - start_ns) / 1e9;
}

void progress_show(const struct bench *bench, const struct cell *cell, const char *what,
                   unsigned done, unsigned total)
{
    char name[48];
    double spent = seconds_since(bench->start_ns);
    if (!isatty(STDERR_FILENO) || bench->opt.live) /* which has that terminal's line */
        return;
    fprintf(stderr, "\r\033[K[%u/%u] %s  %s  %s  %.0f s", done + 1, total, what,
            text_load(cell, name), cell->backend, spent);
    if (done > 0)
        fprintf(stderr, " of about %.0f", spent / done * total);
    fflush(stderr);
    shown = true;
}

void progress_clear(void)
{
    if (shown)
        fputs("\r\033[K", stderr);
    fflush(stderr);
    shown = false;
}
