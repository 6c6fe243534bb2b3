/* SPDX-License-Identifier: MIT
 * Numbers and names for people. Pure functions; what is not known is "-". */
#ifndef WEIR_TOOL_BENCH_TEXT_H
#define WEIR_TOOL_BENCH_TEXT_H

#include "bench/bench.h"

#define TEXT_BYTES 32

/* "flood 64 B", "tcp 64 B x1000". Returns `text`. */
const char *text_load(const struct cell *cell, char text[48]);

/* All of these return `text`. */
const char *text_si(double value,
                    char text[TEXT_BYTES]); /* 4 digits and k, M, G: "17.91M", "250.0k" */
const char *text_digits(double value,
                        char text[TEXT_BYTES]); /* 3 digits, never an exponent: "0.0312", "1234" */
const char *text_count(double value, char text[TEXT_BYTES]); /* "1,234,567" */
const char *text_us(double ns, char text[TEXT_BYTES]);       /* ns as us: "6.03", "123", "0.875" */
const char *text_percent(double share, char text[TEXT_BYTES]); /* "12 %", "0.3 %" */
const char *text_times(double ratio, char text[TEXT_BYTES]);   /* "12.3", "0.41" */

/* "socket 1,234 (0.5 %), app 3"; "none"; "-" where nothing is known. */
const char *text_loss(const double *loss, double sent, char *text, size_t bytes);

/* Why a reader should take care: "impaired; invalid: reason", "generator-bound" or "". */
const char *text_note(const struct row *row, char *text, size_t bytes);

#endif
