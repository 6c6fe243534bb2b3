/* SPDX-License-Identifier: MIT
 * Error text: filled where an opening call fails, printed by whoever called. The library itself
 * never prints. Every field is terminated, however long the text was. */
#include "base.h"

#include <stdarg.h>
#include <stdio.h>

int why_set(struct weir_why *why, int code, const char *where, const char *fix, const char *what,
            ...)
{
    va_list args;

    if (!why)
        return code;
    why->code = code;
    snprintf(why->where, sizeof why->where, "%s", where);
    snprintf(why->fix, sizeof why->fix, "%s", fix ? fix : "");
    va_start(args, what);
    vsnprintf(why->what, sizeof why->what, what, args);
    va_end(args);
    return code;
}

int weir_why_text(const struct weir_why *why, char *text, size_t bytes)
{
    return snprintf(text, bytes, "%s%s%s%s%s", why->where,
                    why->where[0] && why->what[0] ? ": " : "", why->what, why->fix[0] ? "; " : "",
                    why->fix);
}
