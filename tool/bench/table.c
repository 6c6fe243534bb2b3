/* SPDX-License-Identifier: MIT
 * The report for people: three blocks, each with one row a backend and load.
 *
 *     throughput and cost   what it carried, and what a packet costs
 *     latency               of what has a reply
 *     sent, received, lost  where every packet went
 *
 * In the flow   rows -> here -> grid.c -> the terminal.
 * Source        columns are defined in bench/method.md. */
#include "bench/grid.h"
#include "bench/report.h"
#include "bench/text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

typedef const char *to_text(double value, char text[TEXT_BYTES]);

static void cell(struct grid *g, to_text *how, double value)
{
    char text[TEXT_BYTES];
    grid_cell(g, how(value, text));
}

/* The load is named once a group; groups stand apart. */
static void begin(struct grid *g, const struct bench *bench, unsigned row, const char **last_load)
{
    static char names[2][48];
    const struct cell *c = &bench->rows[row].cell;
    char *name = names[*last_load == names[0]];
    text_load(c, name);
    bool same = *last_load && strcmp(name, *last_load) == 0;
    if (!same)
        grid_gap(g);
    grid_cell(g, same ? "" : name);
    grid_cell(g, c->backend);
    *last_load = name;
}

static void note(struct grid *g, const struct row *row)
{
    char text[REASON_BYTES + 48];
    grid_cell(g, text_note(row, text, sizeof text));
}

/* Mpps for datagrams; requests and connections in thousands. */
static void rate(struct grid *g, const struct cell *c, double pps)
{
    char text[TEXT_BYTES];
    const char *unit = c->load == WEIR_LOAD_TCP ? "k req/s" : "k conn/s";
    if (isnan(pps))
        snprintf(text, sizeof text, "-");
    else if (load_is_stream(c->load))
        snprintf(text, sizeof text, "%.1f %s", pps / 1e3, unit);
    else
        snprintf(text, sizeof text, "%.3f Mpps", pps / 1e6);
    grid_cell(g, text);
}

static const char *const throughput_heads[] = {
    "<LOAD",  "<BACKEND", "OFFERED", "RECEIVED", "GBIT/S", "X NAIVE",  "SPREAD", "BUSY",
    "CYCLES", "X NAIVE",  "CPU NS",  "SYSCALLS", "COPIES", "COPIED B", "<NOTE",  NULL,
};

static void throughput_row(struct grid *g, const struct row *row)
{
    const double *f = row->figure;
    rate(g, &row->cell, f[FIG_offered_pps]);
    rate(g, &row->cell, f[FIG_pps]);
    cell(g, text_digits, f[FIG_gbps]);
    cell(g, text_times, row->vs_naive);
    cell(g, text_percent, row->spread);
    cell(g, text_percent, f[FIG_busy]);
    cell(g, text_digits, f[FIG_cycles]);
    cell(g, text_times, row->cost_vs_naive);
    cell(g, text_digits, f[FIG_cpu_ns]);
    cell(g, text_digits, f[FIG_syscalls]);
    cell(g, text_digits, f[FIG_copies]);
    cell(g, text_digits, f[FIG_copied_bytes]);
    note(g, row);
    grid_end_row(g);
}

static const char *const latency_heads[] = {
    "<LOAD", "<BACKEND", "<OF",   "RATE", "MIN",     "MEAN",  "P50",
    "P90",   "P99",      "P99.9", "MAX",  "SAMPLES", "<NOTE", NULL,
};

static void latency_row(struct grid *g, const struct row *row, const char *of, enum figure first,
                        double pps)
{
    const double *f = &row->figure[first];
    grid_cell(g, of);
    cell(g, text_si, pps);
    for (unsigned i = 0; i < LATENCY_COUNT - 1; i++)
        cell(g, text_us, f[i]);
    cell(g, text_count, f[LATENCY_COUNT - 1]);
    grid_cell(g, row->valid ? "" : "invalid");
    grid_end_row(g);
}

static void latency_rows(struct grid *g, const struct bench *bench, unsigned i, const char **last)
{
    const struct row *row = &bench->rows[i];
    double pps = row->figure[row->cell.load == WEIR_LOAD_ECHO ? FIG_latency_pps : FIG_pps];
    begin(g, bench, i, last);
    if (row->cell.load != WEIR_LOAD_CONNECT) {
        latency_row(g, row, row->cell.load == WEIR_LOAD_ECHO ? "round trip" : "request",
                    FIG_latency_min, pps);
        return;
    }
    latency_row(g, row, "set-up", FIG_setup_min, pps);
    begin(g, bench, i, last);
    latency_row(g, row, "exchange", FIG_latency_min, pps);
    begin(g, bench, i, last);
    latency_row(g, row, "tear-down", FIG_teardown_min, pps);
}

static const char *const loss_heads[] = {
    "<LOAD",    "<BACKEND", "ROUNDS",
    "LEFT OUT", "SENT",     "RECEIVED",
    "ERRORS",   "<LOST",    "<A ROUND THAT DOES NOT COUNT",
    NULL,
};

static void loss_row(struct grid *g, const struct row *row)
{
    char text[256];
    const double *f = row->figure;
    snprintf(text, sizeof text, "%u of %u", row->used, row->rounds);
    grid_cell(g, text);
    cell(g, text_count, row->left_out);
    cell(g, text_count, f[FIG_sent]);
    cell(g, text_count, f[FIG_received]);
    cell(g, text_count, f[FIG_errors]);
    grid_cell(g, text_loss(&f[LOSS_FIRST], f[FIG_sent], text, sizeof text));
    grid_cell(g, row->valid ? row->doubt : "invalid");
    grid_end_row(g);
}

/* ---- blocks
 * ---------------------------------------------------------------------------------------- */

enum block { THROUGHPUT, LATENCY, LOSS };

static bool belongs(const struct row *row, enum block block)
{
    return block != LATENCY || (!load_is_one_way(row->cell.load) && row->cell.net != NET_MEMORY);
}

static void add_row(struct grid *g, const struct bench *bench, unsigned i, enum block block,
                    const char **last)
{
    if (block == LATENCY) {
        latency_rows(g, bench, i, last);
        return;
    }
    begin(g, bench, i, last);
    if (block == THROUGHPUT)
        throughput_row(g, &bench->rows[i]);
    else
        loss_row(g, &bench->rows[i]);
}

static int print_block(const struct bench *bench, enum block block, const char *title,
                       const char *const *heads, FILE *out)
{
    const char *last = NULL;
    struct grid *g = grid_open(heads);
    unsigned rows = 0;
    if (!g)
        return -ENOMEM;
    for (unsigned i = 0; i < bench->cell_count; i++)
        if (belongs(&bench->rows[i], block) && ++rows)
            add_row(g, bench, i, block, &last);
    if (rows) {
        fprintf(out, "%s\n", title);
        grid_print(g, out);
        fputc('\n', out);
    }
    grid_close(g);
    return 0;
}

/* In memory one thread is client, wire and server. */
static void print_threads(const struct bench *bench, FILE *out)
{
    const struct bench_opt *o = &bench->opt;
    const struct cell *c = &bench->cells[0];
    if (o->net == NET_MEMORY)
        fprintf(out, "one thread on core %d\n\n", c->cores[0]);
    else
        fprintf(out, "%u spinning worker%s from core %d on, generator on core %d\n\n", o->workers,
                o->workers == 1 ? "" : "s", c->cores[0], c->generator_core);
}

static void print_head(const struct bench *bench, FILE *out)
{
    const struct bench_opt *o = &bench->opt;
    static const char *const where[] = {"", "loopback", "a private veth pair", "wires in memory"};
    fprintf(out, "weir bench on %s: %u round%s of %.3g s, ", where[o->net], o->rounds,
            o->rounds == 1 ? "" : "s", (double)o->time_ns / 1e9);
    print_threads(bench, out);
    if (!frames_plain(&o->frames))
        fprintf(out, "%s: these rows are compared with nothing.\n\n",
                o->frames.pcap ? "Captured, which costs a copy of each packet"
                               : "Impaired on purpose");
    if (bench->stopped)
        fprintf(out, "Interrupted: this is what was measured until then.\n\n");
}

int report_table(const struct bench *bench, FILE *out)
{
    print_head(bench, out);
    int rc = print_block(bench, THROUGHPUT,
                         "Throughput, and cost a packet (tcp: a request, connect: a connection)",
                         throughput_heads, out);
    rc = rc ? rc
            : print_block(bench, LATENCY,
                          "Latency in us, from the intended time of each send (tcp and connect "
                          "without -r: from the send)",
                          latency_heads, out);
    rc = rc ? rc
            : print_block(bench, LOSS, "Sent, received and lost, in the rounds that count",
                          loss_heads, out);
    report_host(bench, out);
    return rc;
}
