/* SPDX-License-Identifier: MIT
 * Under the table: how far the runs can be trusted, what the host is, what it gave and what it
 * refused.
 *
 * In the flow   samples and weir_host_probe -> here. Invariants  a line that is the same for
 *               several backends is printed once, with their names. */
#include "bench/grants.h"
#include "bench/report.h"
#include "bench/stats.h"
#include "bench/text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- trust
 * ----------------------------------------------------------------------------------------- */

static unsigned left_out(const struct bench *bench)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < bench->cell_count; i++)
        sum += bench->left_out[i];
    return sum;
}

struct range {
    double low, high, sum;
    unsigned count;
};

static void widen(struct range *r, double value)
{
    if (isnan(value))
        return;
    r->low = r->count && r->low < value ? r->low : value;
    r->high = r->count && r->high > value ? r->high : value;
    r->sum += value;
    r->count++;
}

static void trust(const struct bench *bench, FILE *out)
{
    struct range hop = {0}, steal = {0};
    char most[TEXT_BYTES];
    for (unsigned i = 0; i < bench->cell_count * bench->opt.rounds; i++) {
        if (!bench->samples[i].bytes)
            continue;
        widen(&hop, bench->samples[i].canary_before);
        widen(&hop, bench->samples[i].canary_after);
        widen(&steal, bench->samples[i].steal);
    }
    if (hop.count)
        fprintf(out,
                "canary   a cache line took %.0f to %.0f ns (mean %.0f) between the pinned cores; ",
                hop.low, hop.high, hop.sum / hop.count);
    else
        fprintf(out, "canary   not known; ");
    fprintf(out, "%u of %u runs left out, %u of them because a core moved or was taken\n",
            left_out(bench), bench->runs, bench->moved);
    if (steal.count)
        fprintf(out, "steal    at most %s of the CPU time in a run\n",
                text_percent(steal.high, most));
}

/* ---- what was not measured
 * ------------------------------------------------------------------------- */

/* One line for each reason and load, with the backends that it is of. */
static void absent(const struct bench *bench, FILE *out)
{
    for (unsigned i = 0; i < bench->absent_count; i++) {
        const struct absent *a = &bench->absent[i];
        bool told = false;
        for (unsigned k = 0; k < i; k++)
            told |= bench->absent[k].load == a->load && bench->absent[k].why == a->why;
        if (told)
            continue;
        fprintf(out, "left out %s on", weir_load_name(a->load));
        for (unsigned k = i, n = 0; k < bench->absent_count; k++)
            if (bench->absent[k].load == a->load && bench->absent[k].why == a->why)
                fprintf(out, "%s %s", n++ ? "," : "", bench->absent[k].backend);
        fprintf(out, ": %s\n", a->why);
    }
    if (bench->note[0])
        fprintf(out, "note     %s\n", bench->note);
    if (bench->hint[0])
        fprintf(out, "more     %s\n", bench->hint);
}

/* ---- host
 * ------------------------------------------------------------------------------------------ */

static const char *or_unknown(const char *text)
{
    return text[0] ? text : "unknown";
}

static void machine(const struct weir_host *h, FILE *out)
{
    fprintf(out, "host     %s, %" PRId32 " of %" PRId32 " cores", or_unknown(h->cpu),
            h->cores_allowed, h->cores_online);
    if (h->tsc_hz > 0)
        fprintf(out, ", %s %.3f GHz", h->tsc_invariant == 1 ? "invariant TSC" : "clock",
                (double)h->tsc_hz / 1e9);
    if (h->virtualised == 1)
        fprintf(out, ", virtual (%s)", or_unknown(h->hypervisor));
    fprintf(out, ", governor %s", h->governor[0] ? h->governor : or_unknown(h->governor_why));
    if (h->memory_bytes > 0)
        fprintf(out, ", %.0f GiB", (double)h->memory_bytes / (1u << 30));
    fprintf(out, "\nkernel   %s", or_unknown(h->kernel));
    if (h->mitigated[0])
        fprintf(out, "; mitigates %s", h->mitigated);
    fputc('\n', out);
}

/* ---- given and refused
 * ----------------------------------------------------------------------------- */

#define TOLD_MAX 64

struct told {
    const struct weir_why *line;
    char backends[96];
};

static void add_backend(struct told *t, const char *backend)
{
    size_t used = strlen(t->backends);
    if (strstr(t->backends, backend))
        return;
    snprintf(t->backends + used, sizeof t->backends - used, "%s%s", used ? ", " : "", backend);
}

static void tell(struct told *told, unsigned *count, const struct weir_why *line,
                 const char *backend)
{
    for (unsigned i = 0; i < *count; i++)
        if (strcmp(told[i].line->where, line->where) == 0 &&
            strcmp(told[i].line->what, line->what) == 0) {
            add_backend(&told[i], backend);
            return;
        }
    if (*count == TOLD_MAX)
        return;
    told[*count] = (struct told){.line = line};
    add_backend(&told[(*count)++], backend);
}

static const char *outcome(const struct weir_why *line)
{
    if (line->code == 0)
        return "given";
    return line->code == NOT_ASKED ? "unasked" : "refused";
}

static void print_told(const struct told *t, const char *which, FILE *out)
{
    if (strcmp(outcome(t->line), which) != 0)
        return;
    fprintf(out, "%-8s %s: %s", which, t->line->where, t->line->what);
    if (t->line->fix[0])
        fprintf(out, "; %s", t->line->fix);
    fprintf(out, " (%s)\n", t->backends);
}

static void given(const struct bench *bench, FILE *out)
{
    static const char *const outcomes[] = {"given", "unasked", "refused"};
    struct told told[TOLD_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < bench->cell_count; i++) {
        const struct row *row = &bench->rows[i];
        for (unsigned k = 0; row->last && k < row->last->lines; k++)
            if (grants_shown(bench, i, k))
                tell(told, &count, &row->last->line[k], row->cell.backend);
    }
    for (unsigned o = 0; o < 3; o++)
        for (unsigned i = 0; i < count; i++)
            print_told(&told[i], outcomes[o], out);
}

void report_host(const struct bench *bench, FILE *out)
{
    trust(bench, out);
    absent(bench, out);
    machine(&bench->host, out);
    given(bench, out);
}
