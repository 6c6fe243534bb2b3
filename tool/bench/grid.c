/* SPDX-License-Identifier: MIT
 * A table whose columns are as wide as what is in them.
 *
 * In the flow   table.c, list.c and claims.c fill one and print it. Invariants  plain ASCII, so
 *               that bytes are columns of the terminal; no trailing blanks; a grid that ran out of
 *               memory prints what it has. */
#include "bench/grid.h"

#include <stdlib.h>
#include <string.h>

struct line {
    struct line *next;
    char *cell[GRID_COLUMNS];
    unsigned count; /* 0: an empty line */
};

struct grid {
    const char *heads[GRID_COLUMNS];
    unsigned columns;
    struct line *first, *last, *open;
};

struct grid *grid_open(const char *const *heads)
{
    struct grid *g = calloc(1, sizeof *g);
    while (g && g->columns < GRID_COLUMNS && heads[g->columns]) {
        g->heads[g->columns] = heads[g->columns];
        g->columns++;
    }
    return g;
}

static void free_line(struct line *line)
{
    for (unsigned i = 0; line && i < line->count; i++)
        free(line->cell[i]);
    free(line);
}

void grid_close(struct grid *g)
{
    while (g && g->first) {
        struct line *next = g->first->next;
        free_line(g->first);
        g->first = next;
    }
    if (g)
        free_line(g->open);
    free(g);
}

void grid_cell(struct grid *g, const char *text)
{
    if (!g->open)
        g->open = calloc(1, sizeof *g->open);
    if (g->open && g->open->count < g->columns)
        g->open->cell[g->open->count++] = strdup(text);
}

static void append(struct grid *g, struct line *line)
{
    if (!line)
        return;
    if (g->last)
        g->last->next = line;
    else
        g->first = line;
    g->last = line;
}

void grid_end_row(struct grid *g)
{
    append(g, g->open);
    g->open = NULL;
}

void grid_gap(struct grid *g)
{
    if (g->last && g->last->count)
        append(g, calloc(1, sizeof(struct line)));
}

static const char *text_of(const struct line *line, unsigned column)
{
    return column < line->count && line->cell[column] ? line->cell[column] : "";
}

static bool is_left(const struct grid *g, unsigned column)
{
    return g->heads[column][0] == '<';
}

static const char *head(const struct grid *g, unsigned column)
{
    return g->heads[column] + is_left(g, column);
}

static int width(const struct grid *g, unsigned column)
{
    size_t widest = strlen(head(g, column));
    for (const struct line *line = g->first; line; line = line->next) {
        size_t n = strlen(text_of(line, column));
        widest = n > widest ? n : widest;
    }
    return (int)widest;
}

/* Blanks are owed until something follows them. */
static void put(const struct grid *g, unsigned column, int wide, const char *text, int *owed,
                FILE *out)
{
    int n = (int)strlen(text), before = is_left(g, column) ? 0 : wide - n;
    if (n)
        fprintf(out, "%*s%s", *owed + before, "", text);
    *owed = n ? wide - n - before + 2 : *owed + wide + 2;
}

void grid_print(const struct grid *g, FILE *out)
{
    int wide[GRID_COLUMNS] = {0}, owed = 0;
    for (unsigned i = 0; i < g->columns; i++)
        wide[i] = width(g, i);
    for (unsigned i = 0; i < g->columns; i++)
        put(g, i, wide[i], head(g, i), &owed, out);
    fputc('\n', out);
    for (const struct line *line = g->first; line; line = line->next) {
        owed = 0;
        for (unsigned i = 0; i < line->count; i++)
            put(g, i, wide[i], text_of(line, i), &owed, out);
        fputc('\n', out);
    }
}
