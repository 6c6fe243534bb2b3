/* SPDX-License-Identifier: MIT
 * `weir bench`: measure what each I/O path of this host costs.
 *
 * In the flow   main.c -> cmd_bench: options, plan, runs, report.
 * Invariants    the report's file is opened before anything runs, so that no measurement ends in a
 *               bad path; an interrupted command reports what it has and exits 130. */
#include "bench/child.h"
#include "bench/plan.h"
#include "bench/report.h"
#include "cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_INTERRUPTED 130 /* 128 + SIGINT, as shells have it */

enum { TABLE, JSON, CSV }; /* format_names */

static int report(const struct bench *bench, FILE *out)
{
    int rc;
    if (bench->opt.format == JSON)
        return report_json(bench, out);
    if (bench->opt.format == CSV)
        return report_csv(bench, out);
    rc = report_table(bench, out);
    if (rc == 0 && bench->opt.claims)
        report_claims(bench, out);
    return rc;
}

/* Where to, opened before anything runs. NULL: said on stderr. */
static FILE *open_output(const struct bench_opt *opt)
{
    FILE *out = opt->output ? fopen(opt->output, "w") : stdout;
    if (!out)
        fprintf(stderr, "weir bench: %s: %s\n", opt->output, strerror(errno));
    return out;
}

/* A full disk is a failure, not a success with a short file. */
static int close_output(FILE *out, const struct bench_opt *opt, int rc)
{
    int bad = rc || fflush(out) || ferror(out);
    if (out != stdout)
        bad |= fclose(out) != 0;
    if (bad)
        fprintf(stderr, "weir bench: %s: could not write the report\n",
                opt->output ? opt->output : "standard output");
    return bad ? 1 : 0;
}

static int refuse_combination(const struct bench_opt *opt)
{
    const char *text = NULL;
    if (opt->format == JSON && report_json_absent())
        text = report_json_absent();
    else if (opt->format == CSV && opt->claims)
        text = "--claims has no csv: use -f table or -f json";
    if (text)
        fprintf(stderr, "weir bench: %s\n", text);
    return text ? -EINVAL : 0;
}

static bool anything_ran(const struct bench *bench)
{
    for (unsigned i = 0; i < bench->cell_count * bench->opt.rounds; i++)
        if (bench->samples[i].ran)
            return true;
    return false;
}

static int measure_and_report(struct bench *bench, FILE *out)
{
    int code = 0;
    weir_host_probe(&bench->host);
    if (bench_run(bench))
        code = 1;
    int failed = close_output(out, &bench->opt, code ? 0 : report(bench, out));
    if (bench->stopped)
        return EXIT_INTERRUPTED;
    if (code == 0 && !anything_ran(bench)) {
        fprintf(stderr, "weir bench: nothing could be measured; the report says why\n");
        code = 1;
    }
    return code ? code : failed;
}

static int run(struct bench *bench)
{
    FILE *out;
    if (bench->opt.list)
        return report_list(stdout);
    child_signals(); /* before anything slow: from here on an interrupt is an answer, not a death */
    if (refuse_combination(&bench->opt) || plan_cells(bench))
        return EXIT_USAGE;
    out = open_output(&bench->opt);
    return out ? measure_and_report(bench, out) : EXIT_USAGE;
}

int cmd_bench(int argc, char **argv)
{
    struct bench *bench = calloc(1, sizeof *bench);
    if (!bench) {
        fprintf(stderr, "weir bench: no memory\n");
        return 1;
    }
    int code, first = plan_options(argc, argv, &bench->opt);
    code = first < 0 ? options_exit(first) : run(bench);
    free(bench->samples);
    free(bench->rows);
    free(bench);
    return code;
}
