/* SPDX-License-Identifier: MIT
 * The report for programs. Its shape is docs/bench.schema.json and weir-bench(1); what is not
 * known is null.
 *
 * In the flow   rows -> a jansson tree -> one document. Not compiled without jansson: no_json.c
 *               stands in. */
#include "bench/grants.h"
#include "bench/plan.h"
#include "bench/report.h"

#include <weir.h>

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#define DIGITS 10 /* counts of a long run are exact to 10^10; rates never are */

const char *report_json_absent(void)
{
    return NULL;
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *text(const char *s)
{
    return s && s[0] ? json_string(s) : json_null();
}

static json_t *number(double value)
{
    if (isnan(value) || isinf(value))
        return json_null();
    if (value == floor(value) && fabs(value) < 9e15)
        return json_integer((json_int_t)value);
    return json_real(value);
}

/* WEIR_UNKNOWN of the probe's numbers. */
static json_t *known(int64_t value)
{
    return value == WEIR_UNKNOWN ? json_null() : json_integer(value);
}

static json_t *flag(int value)
{
    return value == WEIR_UNKNOWN ? json_null() : json_boolean(value);
}

/* A limit that is not set is null as well: there is no number for it. */
static json_t *limit(int64_t value)
{
    return value == WEIR_UNLIMITED ? json_null() : known(value);
}

static json_t *numbers(const char *const *names, const double *values, unsigned n)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < n; i++)
        set(object, names[i], number(values[i]));
    return object;
}

/* ---- host
 * ------------------------------------------------------------------------------------------ */

static void host_cpu(json_t *o, const struct weir_host *h)
{
    set(o, "cpu", text(h->cpu));
    set(o, "cores_online", known(h->cores_online));
    set(o, "cores_allowed", known(h->cores_allowed));
    set(o, "smt", flag(h->smt));
    set(o, "virtualised", flag(h->virtualised));
    set(o, "hypervisor", text(h->hypervisor));
    set(o, "tsc_invariant", flag(h->tsc_invariant));
    set(o, "tsc_hz", known(h->tsc_hz));
    set(o, "governor", text(h->governor));
    set(o, "mitigated", text(h->mitigated));
    set(o, "vulnerable", text(h->vulnerable));
}

static void host_memory(json_t *o, const struct weir_host *h)
{
    set(o, "numa_nodes", known(h->numa_nodes));
    set(o, "memory_bytes", known(h->memory_bytes));
    set(o, "memory_free_bytes", known(h->memory_free_bytes));
    set(o, "huge_total", known(h->huge_total));
    set(o, "huge_free", known(h->huge_free));
    set(o, "thp", text(h->thp));
}

static void host_kernel(json_t *o, const struct weir_host *h)
{
    set(o, "kernel", text(h->kernel));
    set(o, "lockdown", text(h->lockdown));
    set(o, "uring_disabled", known(h->uring_disabled));
    set(o, "nofile", limit(h->nofile));
    set(o, "memlock_bytes", limit(h->memlock_bytes));
    set(o, "rmem_max_bytes", known(h->rmem_max_bytes));
    set(o, "wmem_max_bytes", known(h->wmem_max_bytes));
    set(o, "busy_read_us", known(h->busy_read_us));
    set(o, "busy_poll_us", known(h->busy_poll_us));
}

static json_t *line(const struct cell *cell, const struct weir_why *why)
{
    json_t *o = json_object();
    set(o, "backend", text(cell->backend));
    set(o, "granted", why->code == NOT_ASKED ? json_null() : json_boolean(why->code == 0));
    set(o, "where", json_string(why->where));
    set(o, "what", json_string(why->what));
    set(o, "fix", text(why->fix));
    return o;
}

static json_t *granted(const struct bench *bench)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < bench->cell_count; i++) {
        const struct row *row = &bench->rows[i];
        for (unsigned k = 0; row->last && k < row->last->lines; k++)
            if (grants_shown(bench, i, k))
                json_array_append_new(list, line(&row->cell, &row->last->line[k]));
    }
    return list;
}

static json_t *host(const struct bench *bench)
{
    json_t *o = json_object();
    host_cpu(o, &bench->host);
    host_memory(o, &bench->host);
    host_kernel(o, &bench->host);
    set(o, "granted", granted(bench));
    return o;
}

/* ---- method
 * ---------------------------------------------------------------------------------------- */

static json_t *cores(const struct cell *cell)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < cell->workers; i++)
        json_array_append_new(list, json_integer(cell->cores[i]));
    return list;
}

static json_t *canary(const struct bench *bench)
{
    json_t *list = json_array();
    unsigned n = bench->cell_count * bench->opt.rounds;
    for (unsigned i = 0; i < n; i++)
        if (bench->samples[i].bytes)
            json_array_append_new(list, number(bench->samples[i].canary_before));
    return list;
}

static unsigned left_out(const struct bench *bench)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < bench->cell_count; i++)
        sum += bench->left_out[i];
    return sum;
}

static json_t *impair(const struct weir_impair *i)
{
    json_t *o = json_object();
    if (!weir_impair_any(i)) {
        json_decref(o);
        return json_null();
    }
    set(o, "loss", json_real(i->loss));
    set(o, "reorder", json_real(i->reorder));
    set(o, "duplicate", json_real(i->duplicate));
    set(o, "corrupt", json_real(i->corrupt));
    set(o, "delay_ns", json_integer((json_int_t)i->delay_ns));
    set(o, "jitter_ns", json_integer((json_int_t)i->jitter_ns));
    set(o, "rate_bits", json_integer((json_int_t)i->rate_bits));
    set(o, "seed", json_integer((json_int_t)i->seed));
    return o;
}

static json_t *absent(const struct bench *bench)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < bench->absent_count; i++) {
        json_t *o = json_object();
        set(o, "backend", json_string(bench->absent[i].backend));
        set(o, "load", json_string(weir_load_name(bench->absent[i].load)));
        set(o, "why", json_string(bench->absent[i].why));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *method(const struct bench *bench)
{
    const struct bench_opt *opt = &bench->opt;
    json_t *o = json_object();
    set(o, "net", json_string(net_name(opt->net)));
    set(o, "rounds", json_integer(opt->rounds));
    set(o, "seconds", number((double)opt->time_ns / 1e9));
    set(o, "impair", impair(&opt->frames.impair));
    set(o, "pcap", text(opt->frames.pcap));
    set(o, "vdev", text(opt->frames.vdev));
    set(o, "absent", absent(bench));
    set(o, "rate",
        opt->rate == OPTION_RATE_MAX ? json_string("max")
        : opt->rate                  ? json_integer((json_int_t)opt->rate)
                                     : json_null());
    set(o, "spinning", json_true());
    set(o, "coalescing", json_boolean(!opt->no_coalesce));
    set(o, "worker_cores", cores(&bench->cells[0]));
    set(o, "generator_core", json_integer(bench->cells[0].generator_core));
    set(o, "canary_ns", canary(bench));
    set(o, "runs", json_integer(bench->runs));
    set(o, "left_out", json_integer(left_out(bench)));
    set(o, "left_out_moved", json_integer(bench->moved));
    set(o, "interrupted", json_boolean(bench->stopped != 0));
    set(o, "took_seconds", number((double)(bench->end_ns - bench->start_ns) / 1e9));
    return o;
}

/* ---- results
 * --------------------------------------------------------------------------------------- */

static void result_what(json_t *o, const struct row *row)
{
    set(o, "backend", json_string(row->cell.backend));
    set(o, "load", json_string(weir_load_name(row->cell.load)));
    set(o, "size", json_integer(row->cell.bytes));
    set(o, "workers", json_integer(row->cell.workers));
    set(o, "connections",
        row->cell.connections ? json_integer(row->cell.connections) : json_null());
    set(o, "net", json_string(net_name(row->cell.net)));
    set(o, "impaired", json_boolean(weir_impair_any(&row->cell.choice.impair)));
    set(o, "captured", json_boolean(row->cell.choice.pcap != NULL));
    set(o, "valid", json_boolean(row->valid));
    set(o, "reason", text(row->reason));
    set(o, "generator_bound", json_boolean(row->generator_bound));
    set(o, "generator", text(row->last ? row->last->mode : ""));
}

static void result_rates(json_t *o, const struct row *row)
{
    const double *f = row->figure;
    set(o, "offered_pps", number(f[FIG_offered_pps]));
    set(o, "pps", number(f[FIG_pps]));
    set(o, "gbps", number(f[FIG_gbps]));
    set(o, "vs_naive", number(row->vs_naive));
    set(o, "cost_vs_naive", number(row->cost_vs_naive));
    set(o, "sent", number(f[FIG_sent]));
    set(o, "received", number(f[FIG_received]));
    set(o, "errors", number(f[FIG_errors]));
    set(o, "latency_pps", number(f[FIG_latency_pps]));
    set(o, "latency_ns", numbers(latency_names, &f[FIG_latency_min], LATENCY_COUNT));
}

static void result_costs(json_t *o, const struct row *row)
{
    const double *f = row->figure;
    set(o, "cpu_ns_per_packet", number(f[FIG_cpu_ns]));
    set(o, "cycles_per_packet", number(f[FIG_cycles]));
    set(o, "host_cpu_ns_per_packet", number(f[FIG_host_cpu_ns]));
    set(o, "syscalls_per_packet", number(f[FIG_syscalls]));
    set(o, "copies_per_packet", number(f[FIG_copies]));
    set(o, "copied_bytes_per_packet", number(f[FIG_copied_bytes]));
    set(o, "busy_share", number(f[FIG_busy]));
    set(o, "loss", numbers(loss_names, &f[LOSS_FIRST], LOSS_COUNT));
    set(o, "spread", number(row->spread));
}

static json_t *result(const struct row *row)
{
    json_t *o = json_object();
    result_what(o, row);
    result_rates(o, row);
    result_costs(o, row);
    if (row->cell.load == WEIR_LOAD_CONNECT) {
        set(o, "setup_ns", numbers(latency_names, &row->figure[FIG_setup_min], LATENCY_COUNT));
        set(o, "teardown_ns",
            numbers(latency_names, &row->figure[FIG_teardown_min], LATENCY_COUNT));
    }
    set(o, "rounds", json_integer(row->rounds));
    set(o, "rounds_used", json_integer(row->used));
    set(o, "left_out", json_integer(row->left_out));
    set(o, "left_out_why", text(row->doubt));
    return o;
}

static json_t *results(const struct bench *bench)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < bench->cell_count; i++)
        json_array_append_new(list, result(&bench->rows[i]));
    return list;
}

static json_t *claims(const struct bench *bench)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < claims_count(); i++) {
        struct claim_answer a;
        json_t *o = json_object();
        claims_answer(bench, i, &a);
        set(o, "claim", json_string(a.what));
        set(o, "claimed", json_string(a.claimed));
        set(o, "measured", a.measured ? number(a.value) : json_null());
        set(o, "text", json_string(a.text));
        set(o, "run", text(a.by));
        json_array_append_new(list, o);
    }
    return list;
}

int report_json(const struct bench *bench, FILE *out)
{
    json_t *root = json_object();
    set(root, "weir", json_string(WEIR_VERSION));
    set(root, "host", host(bench));
    set(root, "method", method(bench));
    set(root, "results", results(bench));
    if (bench->opt.claims)
        set(root, "claims", claims(bench));
    int rc = json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS));
    fputc('\n', out);
    json_decref(root);
    return rc ? -EIO : 0;
}
