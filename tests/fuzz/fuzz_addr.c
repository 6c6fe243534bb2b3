/* SPDX-License-Identifier: MIT
 * The address parser takes any text; what it takes, it prints so that it reads the same again. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: a build without assertions must fuzz as well. */
static void demand(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *input = malloc(size + 1), text[WEIR_ADDR_TEXT];
    struct weir_addr addr, again;

    if (!input)
        return 0;
    if (size)
        memcpy(input, data, size);
    input[size] = '\0';
    if (weir_addr_parse(input, &addr) == 0) {
        demand(strlen(weir_addr_text(&addr, text)) < WEIR_ADDR_TEXT);
        demand(weir_addr_parse(text, &again) == 0);
        demand(addr_equal(&addr, &again));
    }
    free(input);
    return 0;
}
