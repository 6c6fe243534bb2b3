/* SPDX-License-Identifier: MIT
 * The report for spreadsheets: one line a row, the members of the JSON report by the same names,
 * what is not known left empty. Objects are flattened: latency_ns.p50 is latency_ns_p50. Source
 * RFC 4180. */
#include "bench/report.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static void text(FILE *out, const char *s)
{
    bool quote = s[strcspn(s, ",\"\n")] != 0;
    if (quote)
        fputc('"', out);
    for (; *s; s++) {
        if (*s == '"')
            fputc('"', out);
        fputc(*s, out);
    }
    if (quote)
        fputc('"', out);
}

static void number(FILE *out, double value)
{
    fputc(',', out);
    if (!isnan(value))
        fprintf(out, "%.10g", value);
}

static void numbers(FILE *out, const double *values, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        number(out, values[i]);
}

static void head_of(FILE *out, const char *object, const char *const *names, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fprintf(out, ",%s_%s", object, names[i]);
}

static void head(FILE *out)
{
    fputs("backend,load,size,workers,connections,net,impaired,captured,valid,reason,generator_"
          "bound,"
          "offered_pps,pps,gbps,"
          "vs_naive,"
          "cost_vs_naive,sent,received,errors",
          out);
    head_of(out, "latency_ns", latency_names, LATENCY_COUNT);
    head_of(out, "setup_ns", latency_names, LATENCY_COUNT);
    head_of(out, "teardown_ns", latency_names, LATENCY_COUNT);
    fputs(",latency_pps,cpu_ns_per_packet,cycles_per_packet,host_cpu_ns_per_packet,syscalls_per_"
          "packet,"
          "copies_per_packet,copied_bytes_per_packet,busy_share",
          out);
    head_of(out, "loss", loss_names, LOSS_COUNT);
    fputs(",spread,rounds,rounds_used,left_out\r\n", out);
}

static void what(FILE *out, const struct row *row)
{
    fprintf(out, "%s,%s,%u,%u,", row->cell.backend, weir_load_name(row->cell.load), row->cell.bytes,
            row->cell.workers);
    if (row->cell.connections)
        fprintf(out, "%u", row->cell.connections);
    fprintf(out, ",%s,%s,%s,%s,", net_name(row->cell.net),
            weir_impair_any(&row->cell.choice.impair) ? "true" : "false",
            row->cell.choice.pcap ? "true" : "false", row->valid ? "true" : "false");
    text(out, row->reason);
    fprintf(out, ",%s", row->generator_bound ? "true" : "false");
}

static void line(FILE *out, const struct row *row)
{
    const double *f = row->figure;
    what(out, row);
    numbers(out,
            (double[]){f[FIG_offered_pps], f[FIG_pps], f[FIG_gbps], row->vs_naive,
                       row->cost_vs_naive, f[FIG_sent], f[FIG_received], f[FIG_errors]},
            8);
    numbers(out, &f[FIG_latency_min], LATENCY_COUNT);
    numbers(out, &f[FIG_setup_min], LATENCY_COUNT);
    numbers(out, &f[FIG_teardown_min], LATENCY_COUNT);
    numbers(out,
            (double[]){f[FIG_latency_pps], f[FIG_cpu_ns], f[FIG_cycles], f[FIG_host_cpu_ns],
                       f[FIG_syscalls], f[FIG_copies], f[FIG_copied_bytes], f[FIG_busy]},
            8);
    numbers(out, &f[LOSS_FIRST], LOSS_COUNT);
    number(out, row->spread);
    fprintf(out, ",%u,%u,%u\r\n", row->rounds, row->used, row->left_out);
}

int report_csv(const struct bench *bench, FILE *out)
{
    head(out);
    for (unsigned i = 0; i < bench->cell_count; i++)
        line(out, &bench->rows[i]);
    return 0;
}
