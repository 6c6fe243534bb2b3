/* SPDX-License-Identifier: MIT
 * `weir bench --list`: every backend of the table, whether this host has it, why not and what to
 * do. */
#include "bench/report.h"

#include <string.h>
#include <unistd.h>

/* Frames need a device, or a wire: not every command gives one. */
static const char *use(const struct weir_backend_info *info)
{
    if (is_sim(info->name))
        return "weir bench -b sim, anywhere";
    if (geteuid() != 0)
        return "weir bench as root, which makes a pair of test hosts; or weir echo with a device "
               "of your own";
    return is_dpdk(info->name) ? "weir bench -n lab, or weir echo -b dpdk --vdev DEVICE --address "
                                 "ADDR/N"
                               : "weir bench -n lab, or weir echo -b xdp --iface NAME";
}

static void print(const struct weir_backend_info *info, FILE *out)
{
    char text[512];
    const char *state = info->available ? "available" : info->built ? "not available" : "not built";
    fprintf(out, "%-8s %-14s %s%s%s\n", info->name, state, info->title ? info->title : "",
            info->frames ? " (frames)" : "", info->built && !info->streams ? " (no TCP)" : "");
    if (!info->available) {
        weir_why_text(&info->why, text, sizeof text);
        fprintf(out, "%23s %s\n", "why:", text);
    } else if (info->why.what[0]) {
        weir_why_text(&info->why, text, sizeof text);
        fprintf(out, "%23s %s\n", "lesser:", text);
    }
    if (info->modes[0])
        fprintf(out, "%23s %s\n", "modes:", info->modes);
    if (info->available && info->frames)
        fprintf(out, "%23s %s\n", "use:", use(info));
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
