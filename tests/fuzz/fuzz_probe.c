/* SPDX-License-Identifier: MIT
 * The parsers of /proc and /sys take any text, and answer with a number from -1 on, or a terminated
 * text that is part of the input. */
#include "probe/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: a build without assertions must fuzz as well. */
static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void texts(const char *text)
{
    char ret[24];
    text_line(text, ret, sizeof ret);
    demand(strlen(ret) < sizeof ret && strstr(text, ret) && !strchr(ret, '\n'));
    text_choice(text, ret, sizeof ret);
    demand(strlen(ret) < sizeof ret && strstr(text, ret));
    text_field(text, "model name", ret, sizeof ret);
    demand(strlen(ret) < sizeof ret && strstr(text, ret) && !strchr(ret, '\n'));
    text_line(text, ret, 1);
    demand(ret[0] == 0);
}

static void words(const char *text)
{
    char list[24] = "have";
    demand(!text_has_word(text, "hypervisor") || strstr(text, "hypervisor"));
    text_add_word(list, sizeof list, text);
    demand(strlen(list) < sizeof list && memcmp(list, "have", 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    texts(text);
    words(text);
    demand(text_number(text) >= -1);
    demand(text_list_count(text) >= -1);
    demand(text_meminfo_bytes(text, "MemTotal") >= -1);
    demand(text_stat_steal(text) >= -1);
    demand(text_flaw(text) <= FLAW_UNKNOWN);
    free(text);
    return 0;
}
