/* SPDX-License-Identifier: MIT
 * What every cmocka test includes: cmocka and what it needs, and a skip that says why.
 * One group a program (a TAP stream has one plan); the file is called test_ROOM_subject.c. */
#ifndef WEIR_TEST_H
#define WEIR_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Leave the test: it counts as skipped, and `make check` prints the reason. */
#define SKIP(...)                                                                                  \
    do {                                                                                           \
        printf("# SKIP ");                                                                         \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        skip();                                                                                    \
    } while (0)

#define run_group(tests) cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL)

#endif
