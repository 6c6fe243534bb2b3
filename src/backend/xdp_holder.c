/* SPDX-License-Identifier: MIT
 * Who has the program that is attached to an interface already: its name from the kernel, and the
 * process from /proc, where a descriptor of a bpf_link or of a program tells the program's number
 * (proc(5), fdinfo). Only for a message: what cannot be read is left out. */
#include "backend/xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void program_name(uint32_t id, char *text, size_t bytes)
{
    struct bpf_prog_info info = {0};
    uint32_t len = sizeof info;
    int fd = bpf_prog_get_fd_by_id(id);
    if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
        snprintf(text, bytes, "%.*s", (int)sizeof info.name, info.name);
    if (fd >= 0)
        close(fd);
}

/* Does a descriptor's description name the program? */
static bool names(const char *path, uint32_t id)
{
    char line[128];
    bool found = false;
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = strncmp(line, "prog_id:", 8) == 0 && strtoul(line + 8, NULL, 10) == id;
    if (f)
        fclose(f);
    return found;
}

static bool has_it(const char *process, uint32_t id)
{
    char path[300];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%s/fdinfo", process);
    DIR *dir = opendir(path);
    for (struct dirent *d; dir && !found && (d = readdir(dir));) {
        snprintf(path, sizeof path, "/proc/%.20s/fdinfo/%.200s", process, d->d_name);
        found = isdigit((unsigned char)*d->d_name) && names(path, id);
    }
    if (dir)
        closedir(dir);
    return found;
}

static void command_of(const char *process, char *text, size_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/comm", process);
    FILE *f = fopen(path, "re");
    if (f && fgets(text, (int)bytes, f))
        text[strcspn(text, "\n")] = 0;
    if (f)
        fclose(f);
}

const char *xdp_holder(int ifindex, char *text, size_t bytes)
{
    char program[32] = "?", command[32] = "?", process[32] = "";
    uint32_t id = 0;
    bpf_xdp_query_id(ifindex, 0, &id);
    program_name(id, program, sizeof program);
    DIR *dir = opendir("/proc");
    for (struct dirent *d; dir && !*process && (d = readdir(dir));)
        if (isdigit((unsigned char)*d->d_name) && has_it(d->d_name, id))
            snprintf(process, sizeof process, "%.20s", d->d_name);
    if (dir)
        closedir(dir);
    command_of(process, command, sizeof command);
    if (*process)
        snprintf(text, bytes, "'%s' of process %s (%s)", program, process, command);
    else
        snprintf(text, bytes, "'%s', which no process holds", program);
    return text;
}
