/* SPDX-License-Identifier: MIT
 * One run of one cell, from the first canary to the last.
 *
 *     canary | server up | load (once, or a ladder) | server down | canary, steal
 *
 * In the flow   child.c calls this in a process of its own.
 * Invariants    a sample is valid only when nothing casts doubt on it; the first doubt is the one
 *               that is told.
 * Source        bench/method.md, "What a run is" and "Loads". */
#include "bench/measure.h"
#include "bench/climb.h"
#include "bench/memory.h"
#include "bench/stats.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define STEAL_MAX 0.01          /* of the machine's time */
#define STEAL_TICK_NS 10000000u /* /proc/stat counts in ticks: one alone says nothing */

void sample_init(struct sample *s)
{
    memset(s, 0, sizeof *s);
    s->bytes = sizeof *s;
    s->canary_before = s->canary_after = s->steal = NAN;
    for (unsigned i = 0; i < FIGURES_COUNT; i++)
        s->figure[i] = NAN;
}

void sample_refuse(struct sample *s, const char *format, ...)
{
    va_list args;
    s->valid = 0;
    if (s->reason[0])
        return;
    va_start(args, format);
    vsnprintf(s->reason, sizeof s->reason, format, args);
    va_end(args);
}

void sample_refuse_why(struct sample *s, int rc, const struct weir_why *why)
{
    char text[REASON_BYTES];
    weir_why_text(why, text, sizeof text);
    sample_refuse(s, "%s", why->what[0] ? text : strerror(-rc));
}

/* ---- the loads
 * ------------------------------------------------------------------------------------- */

void sample_take_span(const struct bed *b, const struct span *span, struct sample *s)
{
    char reason[REASON_BYTES];
    span_figures(span, b->cell, weir_cycles_hz(), s->figure);
    snprintf(s->mode, sizeof s->mode, "%s", span->load.mode);
    s->ran = 1;
    if (span_doubt(span, b->cell, s->figure, reason))
        sample_refuse(s, "%s", reason);
}

/* One load run at one rate. */
static bool run_once(struct bed *b, uint64_t rate, struct sample *s)
{
    const struct bed_run run = {.rate = rate, .ns = b->cell->time_ns, .record = true};
    struct weir_why why = {0};
    struct span span;
    int rc = bed_run(b, &run, &span, &why);
    if (rc) {
        sample_refuse_why(s, rc, &why);
        return false;
    }
    sample_take_span(b, &span, s);
    latency_figures(b->latency, &s->figure[FIG_latency_min]);
    if (b->cell->load == WEIR_LOAD_CONNECT) {
        latency_figures(b->setup, &s->figure[FIG_setup_min]);
        latency_figures(b->teardown, &s->figure[FIG_teardown_min]);
    }
    return true;
}

/* As fast as it goes: a receiver that had idle time was not the limit. One connection at a time is
 * no limit of the generator either: it is the round trip. */
static void bound_by_generator(const struct bed *b, struct sample *s)
{
    s->generator_bound = b->cell->connections != 1 && s->figure[FIG_busy] < 0.95;
}

static uint64_t set_rate(const struct cell *cell, uint64_t otherwise)
{
    return cell->rate == OPTION_RATE_MAX ? 0 : cell->rate ? cell->rate : otherwise;
}

static void run_load(struct bed *b, struct sample *s)
{
    const struct cell *cell = b->cell;
    bool own_choice = cell->rate == 0, unpaced = cell->rate == OPTION_RATE_MAX;
    if (cell->load == WEIR_LOAD_STREAM && own_choice) {
        climb_stream(b, s);
    } else if (cell->load == WEIR_LOAD_ECHO) {
        bool ladder = (own_choice || unpaced) && frames_plain(&cell->choice);
        if (run_once(b, unpaced ? ECHO_RATE : set_rate(cell, ECHO_RATE), s) && ladder)
            climb_echo(b, s);
        else
            s->figure[FIG_latency_pps] = s->figure[FIG_offered_pps];
    } else if (run_once(b, set_rate(cell, cell->equal_rate), s)) {
        if (unpaced || (load_is_stream(cell->load) && own_choice))
            bound_by_generator(b, s);
    }
}

/* ---- around the load
 * ------------------------------------------------------------------------------- */

static double canary(const struct cell *cell)
{
    if (cell->cores[0] == cell->generator_core)
        return NAN;
    double ns = weir_canary_ns(cell->cores[0], cell->generator_core, NULL);
    return ns > 0 ? ns : NAN;
}

static void before(const struct cell *cell, struct sample *s, uint64_t *steal, uint64_t *start)
{
    *steal = UINT64_MAX;
    weir_steal(steal);
    *start = weir_now_ns();
    s->canary_before = canary(cell);
}

static void check_steal(struct sample *s, uint64_t steal_before, uint64_t start)
{
    uint64_t steal;
    if (steal_before == UINT64_MAX || weir_steal(&steal) != 0)
        return;
    double taken = (double)(steal - steal_before);
    s->steal = taken / ((double)(weir_now_ns() - start) * weir_cores());
    if (s->steal <= STEAL_MAX || taken <= STEAL_TICK_NS)
        return;
    s->moved = 1;
    sample_refuse(s, "the hypervisor took %.1f %% of the CPU time", 100 * s->steal);
}

static void check_canary(const struct cell *cell, struct sample *s)
{
    s->canary_after = canary(cell);
    if (isnan(s->canary_before) || isnan(s->canary_after) ||
        !weir_canary_moved(s->canary_before, s->canary_after))
        return;
    s->moved = 1;
    sample_refuse(s, "a core moved: the cache line's hop went from %.0f to %.0f ns",
                  s->canary_before, s->canary_after);
}

static void check_place(const struct bed *b, struct sample *s)
{
    const struct cell *cell = b->cell;
    if (strcmp(server_backend(b->server), cell->backend) != 0)
        sample_refuse(s, "fell back to %s", server_backend(b->server));
    if (cell_crowded(cell)) {
        sample_refuse(s, "%u pinned threads on %u cores", cell->workers + 1, weir_cores());
        s->fatal = 1;
    }
}

static void in_bed(const struct cell *cell, struct sample *s,
                   void (*load)(struct bed *, struct sample *))
{
    struct bed bed;
    struct weir_why why = {0};
    int rc = bed_open(&bed, cell, &why);
    if (rc == 0) {
        s->lines = (uint8_t)server_report(bed.server, s->line);
        check_place(&bed, s);
        load(&bed, s);
    } else {
        sample_refuse_why(s, rc, &why);
        s->fatal = rc != -EADDRINUSE;
    }
    bed_close(&bed);
}

static void around(const struct cell *cell, struct sample *s,
                   void (*load)(struct bed *, struct sample *))
{
    uint64_t steal, start;
    sample_init(s);
    before(cell, s, &steal, &start);
    in_bed(cell, s, load);
    check_canary(cell, s);
    check_steal(s, steal, start);
    s->valid = s->ran && s->reason[0] == 0;
}

/* One thread, so that no cache line has a way to go. */
static void in_memory(const struct cell *cell, struct sample *s)
{
    uint64_t steal = UINT64_MAX, start = weir_now_ns();
    sample_init(s);
    weir_steal(&steal);
    measure_memory(cell, s);
    check_steal(s, steal, start);
    s->valid = s->ran && s->reason[0] == 0;
}

void measure(const struct cell *cell, struct sample *ret)
{
    if (cell->net == NET_MEMORY)
        in_memory(cell, ret);
    else
        around(cell, ret, run_load);
}

void measure_lossless(const struct cell *cell, struct sample *ret)
{
    around(cell, ret, climb_lossless);
}

uint64_t measure_limit_ns(const struct cell *cell)
{
    return 20 * UINT64_C(1000000000) + 4 * cell->time_ns;
}
