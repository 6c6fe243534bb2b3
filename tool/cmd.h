/* SPDX-License-Identifier: MIT
 * The commands of `weir`: one function each, found through main.c's table. A command gets its own
 * name as argv[0] and returns the exit code: 0 done, 1 could not, 2 the command line was wrong. */
#ifndef WEIR_TOOL_CMD_H
#define WEIR_TOOL_CMD_H

#define EXIT_USAGE 2 /* as getopt's users and the shell's builtins have it */

int cmd_bench(int argc, char **argv);
int cmd_echo(int argc, char **argv);

#endif
