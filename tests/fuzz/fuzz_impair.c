/* SPDX-License-Identifier: MIT
 * The parsers of impairments and of networks take any text: what they take is within its limits, what
 * they refuse leaves the result as it was and is named. */
#include <weir/frames.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: a build without assertions must fuzz as well. */
static void demand(int holds)
{
    if (!holds)
        abort();
}

static int is_share(double value)
{
    return value >= 0 && value <= 1;
}

static void try_impair(const char *text)
{
    struct weir_impair got, before;
    struct weir_why why = {0};
    memset(&got, 0x5a, sizeof got);
    before = got;
    if (weir_impair_parse(text, &got, &why)) {
        demand(memcmp(&got, &before, sizeof got) == 0);
        demand(why.code < 0 && why.what[0] && strlen(why.what) < sizeof why.what);
        return;
    }
    demand(is_share(got.loss) && is_share(got.reorder) && is_share(got.duplicate) &&
           is_share(got.corrupt));
    demand(got.delay_ns <= UINT64_C(3600000000000) && got.jitter_ns <= UINT64_C(3600000000000));
    demand(got.rate_bits <= UINT64_C(1000000000000));
}

static void try_net(const char *text)
{
    struct weir_net net, before;
    memset(&net, 0x5a, sizeof net);
    before = net;
    if (weir_net_parse(text, &net) == 0)
        demand(net.prefix <= 128);
    else
        demand(memcmp(&net, &before, sizeof net) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    try_impair(text);
    try_net(text);
    free(text);
    return 0;
}
