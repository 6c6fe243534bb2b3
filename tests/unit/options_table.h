/* SPDX-License-Identifier: MIT
 * A table with an option of every kind, for the tests of values and of command lines. */
#ifndef WEIR_TEST_OPTIONS_TABLE_H
#define WEIR_TEST_OPTIONS_TABLE_H

#include "tool/options.h"

#define SECOND UINT64_C(1000000000)

enum shape { FLOOD, ECHO, PLAYERS };

struct all {
    bool quiet;
    uint16_t port;
    uint32_t sockets;
    uint64_t bytes, time_ns, rate;
    const char *output;
    enum shape load;
    uint32_t mask;
    struct option_list backends, sizes;
    struct weir_addr bind;
};

static const char *const shapes[] = {"flood", "echo", "players", NULL};
static const char *const backends[] = {"naive", "epoll", "uring", NULL};

enum { QUIET, PORT, SOCKETS, BYTES, TIME, RATE, OUTPUT, LOAD, MASK, BACKENDS, SIZES, BIND, ROWS };

static const struct option_row rows[ROWS] = {
    [QUIET] = OPT_FLAG(struct all, quiet, 'q', "quiet", "print nothing but errors"),
    [PORT] = OPT_UINT(struct all, port, 'p', "port", "PORT", "7000", 1, 65535, "port to serve"),
    [SOCKETS] =
        OPT_UINT(struct all, sockets, 0, "sockets", NULL, "1k", 1, 20000, "sockets to open"),
    [BYTES] = OPT_UINT(struct all, bytes, 0, "bytes", NULL, NULL, 0, UINT64_MAX, "how much"),
    [TIME] =
        OPT_DURATION(struct all, time_ns, 't', "time", "2s", 1000000, 3600 * SECOND, "how long"),
    [RATE] = OPT_RATE(struct all, rate, 'r', "rate", "max", 1, 1000000000, "packets a second"),
    [OUTPUT] = OPT_STRING(struct all, output, 'o', "output", "FILE", NULL, "where to write"),
    [LOAD] = OPT_ENUM(struct all, load, 'l', "load", shapes, "echo", "the load"),
    [MASK] = OPT_MASK(struct all, mask, 'm', "mask", backends, "all", "a set of backends"),
    [BACKENDS] =
        OPT_LIST(struct all, backends, 'b', "backend", backends, "epoll,uring", "the backends"),
    [SIZES] =
        OPT_NUMBERS(struct all, sizes, 's', "size", NULL, "64,1200", 16, 65507, "payload bytes"),
    [BIND] = OPT_ADDR(struct all, bind, 'a', "bind", "*:7000", "address to serve"),
};

static const char *const examples[] = {"weir test -b epoll -s 64", NULL};

static const struct option_table table = {.command = "test",
                                          .summary = "Test the options.",
                                          .rows = rows,
                                          .count = ROWS,
                                          .examples = examples};

#endif
