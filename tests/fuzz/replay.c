/* SPDX-License-Identifier: MIT
 * Runs a fuzz target over its kept corpus without libFuzzer, so that every build, with every
 * compiler and sanitizer, repeats each input that was ever interesting. Prints TAP: one case a
 * file. Usage: fuzz_NAME CORPUS-FOLDER */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1u << 20) /* libFuzzer's own default limit on a corpus file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly the input's size: ASan sees a read past its end. */
static int replay(const char *folder, const char *name)
{
    static uint8_t whole[INPUT_MAX];
    char path[4096];
    FILE *file;
    uint8_t *data;
    size_t size;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (!file)
        return -1;
    size = fread(whole, 1, sizeof whole, file);
    fclose(file);
    data = malloc(size ? size : 1);
    if (!data)
        return -1;
    memcpy(data, whole, size);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    struct dirent *entry;
    unsigned count = 0;

    if (!dir) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        printf("%s %u - %s\n", replay(argv[1], entry->d_name) == 0 ? "ok" : "not ok", ++count,
               entry->d_name);
        fflush(stdout);
    }
    closedir(dir);
    printf("1..%u\n", count);
    return 0;
}
