/* SPDX-License-Identifier: MIT
 * `weir bench --list`: every backend of the table, whether this host has it, why not and what to
 * do. */
#include "bench/report.h"

#include <string.h>

static void print(const struct weir_backend_info *info, FILE *out)
{
    char text[512];
    const char *state = info->available ? "available" : info->built ? "not available" : "not built";
    fprintf(out, "%-8s %-14s %s%s\n", info->name, state, info->title ? info->title : "",
            info->frames ? " (frames)" : "");
    if (!info->available) {
        weir_why_text(&info->why, text, sizeof text);
        fprintf(out, "%23s %s\n", "why:", text);
    } else if (info->why.what[0]) {
        weir_why_text(&info->why, text, sizeof text);
        fprintf(out, "%23s %s\n", "lesser:", text);
    }
    if (info->modes[0])
        fprintf(out, "%23s %s\n", "modes:", info->modes);
}

int report_list(FILE *out)
{
    struct weir_backend_info info;
    for (unsigned i = 0; weir_backend_info(i, &info) == 0; i++)
        print(&info, out);
    if (report_json_absent())
        fprintf(out, "%-8s %-14s %s\n", "json", "not built", report_json_absent());
    return 0;
}
