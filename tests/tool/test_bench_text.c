/* SPDX-License-Identifier: MIT
 * Numbers for people, and the table around them. */
#include "test.h"

#include "bench/grid.h"
#include "bench/text.h"

#include <math.h>

typedef const char *to_text(double value, char text[TEXT_BYTES]);

static const struct {
    to_text *how;
    double value;
    const char *want;
} cases[] = {
    {text_si, 0, "0.000"},
    {text_si, 999.9, "999.9"},
    {text_si, 999.96, "1.000k"},
    {text_si, 17912345, "17.91M"},
    {text_si, 250000, "250.0k"},
    {text_si, NAN, "-"},
    {text_digits, 0, "0.00"},
    {text_digits, 0.0312, "0.0312"},
    {text_digits, 71.53, "71.5"},
    {text_digits, 2729.4, "2729"},
    {text_digits, NAN, "-"},
    {text_count, 0, "0"},
    {text_count, 999, "999"},
    {text_count, 1000, "1,000"},
    {text_count, 1234567, "1,234,567"},
    {text_count, -1234, "-1,234"},
    {text_count, NAN, "-"},
    {text_us, 875, "0.88"},
    {text_us, 6030, "6.03"},
    {text_us, 45600, "45.6"},
    {text_us, 1234567, "1235"},
    {text_us, NAN, "-"},
    {text_percent, 0, "0.0 %"},
    {text_percent, 0.0001, "<0.1 %"},
    {text_percent, 0.056, "5.6 %"},
    {text_percent, 0.97, "97 %"},
    {text_percent, NAN, "-"},
    {text_times, 1, "1.00"},
    {text_times, 12.34, "12.3"},
    {text_times, NAN, "-"},
};

static void numbers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TEXT_BYTES];
        assert_string_equal(cases[i].how(cases[i].value, text), cases[i].want);
    }
}

static void names_of_loads(void **state)
{
    const struct cell flood = {.load = WEIR_LOAD_FLOOD, .bytes = 64};
    const struct cell tcp = {.load = WEIR_LOAD_TCP, .bytes = 64, .connections = 1000};
    char text[48];
    (void)state;
    assert_string_equal(text_load(&flood, text), "flood 64 B");
    assert_string_equal(text_load(&tcp, text), "tcp 64 B x1000");
}

static void losses(void **state)
{
    double loss[LOSS_COUNT] = {0}, unknown[LOSS_COUNT];
    char text[128];
    (void)state;
    assert_string_equal(text_loss(loss, 1000, text, sizeof text), "none");
    loss[4] = 12;
    loss[8] = 1;
    assert_string_equal(text_loss(loss, 1000, text, sizeof text),
                        "socket 12 (1.2 %), app 1 (0.1 %)");
    assert_string_equal(text_loss(loss, 1000, text, 8), "socket ");
    for (unsigned i = 0; i < LOSS_COUNT; i++)
        unknown[i] = NAN;
    assert_string_equal(text_loss(unknown, 1000, text, sizeof text), "-");
}

static void notes(void **state)
{
    struct row row = {.reason = "a core moved"};
    char text[64];
    (void)state;
    assert_string_equal(text_note(&row, text, sizeof text), "invalid: a core moved");
    row = (struct row){.valid = 1, .generator_bound = 1};
    assert_string_equal(text_note(&row, text, sizeof text), "generator-bound");
    row.generator_bound = 0;
    assert_string_equal(text_note(&row, text, sizeof text), "");
}

/* What is never compared says so, and a row that is invalid besides says both. */
static void marks(void **state)
{
    struct row row = {.valid = 1, .generator_bound = 1, .cell.choice.pcap = "file"};
    char text[64];
    (void)state;
    assert_string_equal(text_note(&row, text, sizeof text), "captured");
    row.cell.choice.impair.loss = 0.01;
    assert_string_equal(text_note(&row, text, sizeof text), "impaired");
    row.cell.choice = (struct frames_choice){0};
    row.cell.net = NET_MEMORY;
    assert_string_equal(text_note(&row, text, sizeof text), "in memory: cost only");
    row.valid = 0;
    strcpy(row.reason, "a core moved");
    assert_string_equal(text_note(&row, text, sizeof text),
                        "in memory: cost only; invalid: a core moved");
}

static void columns_fit_what_is_in_them(void **state)
{
    static const char *const heads[] = {"<NAME", "N", "<NOTE", NULL};
    static const char *const cells[] = {"a", "1", "", "long name", "1,000", "see below"};
    struct grid *g = grid_open(heads);
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        grid_cell(g, cells[i]);
        if (i % 3 == 2)
            grid_end_row(g);
    }
    grid_gap(g);
    grid_gap(g);
    grid_cell(g, "b");
    grid_end_row(g);
    grid_print(g, out);
    fclose(out);
    assert_string_equal(text, "NAME           N  NOTE\n"
                              "a              1\n"
                              "long name  1,000  see below\n"
                              "\n"
                              "b\n");
    free(text);
    grid_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers), cmocka_unit_test(names_of_loads),
        cmocka_unit_test(losses),  cmocka_unit_test(notes),
        cmocka_unit_test(marks),   cmocka_unit_test(columns_fit_what_is_in_them),
    };
    return run_group(tests);
}
