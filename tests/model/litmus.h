/* SPDX-License-Identifier: MIT
 * The checker checked: see litmus.c. */
#ifndef LITMUS_H
#define LITMUS_H

#include "weak.h"

/* Prints one line of the test. */
typedef void weak_line(bool ok, const char *what, const char *claim, struct weak_result r);

void litmus(weak_line *line);

#endif
