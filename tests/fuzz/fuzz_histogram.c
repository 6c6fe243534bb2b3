/* SPDX-License-Identifier: MIT
 * weir_histogram_load takes any bytes; what it takes is a histogram in every respect, and stores as
 * it came. The input is first loaded as it is, then as patches (16-bit word, 64-bit value) of an
 * image of the right size: a fuzzer would not guess 16 kB that agree with each other. */
#include "stat/histogram.h"

#include <stdlib.h>
#include <string.h>

#define HIGHEST 3000 /* two buckets: small images, and a slot that is wider than one value */
#define PATCH 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: a build without assertions must fuzz as well. */
static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void demand_sound(const struct weir_histogram *h)
{
    uint64_t sum = 0, before = weir_histogram_min(h);
    for (uint32_t i = 0; i < h->slots; i++)
        sum += h->counts[i];
    demand(sum == weir_histogram_count(h) && weir_histogram_clamped(h) <= sum);
    demand(before <= weir_histogram_max(h) && weir_histogram_max(h) <= HIGHEST);
    for (double percent = 0; percent <= 100; percent += 12.5) {
        uint64_t value = weir_histogram_percentile(h, percent);
        demand(value >= before && value <= weir_histogram_max(h));
        before = value;
    }
    double mean = weir_histogram_mean(h);
    demand(mean >= 0 && mean <= HIGHEST + 1 && weir_histogram_deviation(h) >= 0);
}

static void try_load(struct weir_histogram *h, const uint8_t *data, size_t size)
{
    static uint8_t again[1 << 16];
    if (weir_histogram_load(h, data, size))
        return;
    demand_sound(h);
    demand(weir_histogram_store(h, again, sizeof again) == 0);
    demand(memcmp(again, data, size) == 0);
}

static void patch(uint8_t *image, size_t words, const uint8_t *data)
{
    size_t word = (data[0] | (size_t)data[1] << 8) % words;
    memcpy(image + 8 * word, data + 2, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_histogram *h = weir_histogram_open(HIGHEST);
    size_t bytes = h ? weir_histogram_bytes(h) : 0;
    uint8_t *image = malloc(bytes);
    if (h && image) {
        try_load(h, data, size);
        weir_histogram_reset(h);
        weir_histogram_store(h, image, bytes);
        for (; size >= PATCH; data += PATCH, size -= PATCH)
            patch(image, bytes / 8, data);
        try_load(h, image, bytes);
    }
    free(image);
    weir_histogram_close(h);
    return 0;
}
