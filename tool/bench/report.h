/* SPDX-License-Identifier: MIT
 * Reports of a bench: each writes all of it to `out` and returns 0, or -errno. */
#ifndef WEIR_TOOL_BENCH_REPORT_H
#define WEIR_TOOL_BENCH_REPORT_H

#include "bench/bench.h"

int report_table(const struct bench *bench, FILE *out);
int report_csv(const struct bench *bench, FILE *out);
int report_json(const struct bench *bench, FILE *out);

/* NULL where report_json can be used, else why not and what to do. */
const char *report_json_absent(void);

/* What the host is, and what it gave and refused. */
void report_host(const struct bench *bench, FILE *out);

/* --list. Returns an exit code. */
int report_list(FILE *out);

/* --claims: the table, and the rows for JSON. */
struct claim_answer {
    const char *what, *claimed, *by; /* by: the run that gives the figure */
    double value, low; /* what was measured; low: it is a lower bound of the ratio, shown as such */
    char text[160];    /* "14.2 x", or "not measured: why" */
    bool measured;
};
unsigned claims_count(void);
void claims_answer(const struct bench *bench, unsigned index, struct claim_answer *ret);
void report_claims(const struct bench *bench, FILE *out);

#endif
