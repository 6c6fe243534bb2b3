/* SPDX-License-Identifier: MIT
 * A table whose columns are as wide as what is in them. */
#ifndef WEIR_TOOL_BENCH_GRID_H
#define WEIR_TOOL_BENCH_GRID_H

#include <stdbool.h>
#include <stdio.h>

#define GRID_COLUMNS 20

struct grid;

/* `heads` ends with NULL; a head that begins with '<' makes its column left-aligned. The last
 * column may be long. NULL: no memory. */
struct grid *grid_open(const char *const *heads);
void grid_close(struct grid *grid);

void grid_cell(struct grid *grid, const char *text); /* the next cell of the row, copied */
void grid_end_row(struct grid *grid);                /* missing cells are empty */
void grid_gap(struct grid *grid); /* an empty line here, unless it is the first or doubled */
void grid_print(const struct grid *grid, FILE *out);

#endif
