/* SPDX-License-Identifier: MIT
 * Stands in for json.c where jansson was not there when weir was built. */
#include "bench/report.h"

#include <errno.h>

const char *report_json_absent(void)
{
    return "-f json is not in this build: install libjansson-dev and build again, or use -f csv";
}

int report_json(const struct bench *bench, FILE *out)
{
    (void)bench;
    (void)out;
    return -ENOSYS;
}
