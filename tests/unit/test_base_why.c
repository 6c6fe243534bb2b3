/* SPDX-License-Identifier: MIT
 * Error text: complete, terminated, and harmless where nobody wants it; and the version. */
#include "test.h"

#include "base/base.h"

#include <weir.h>

#include <errno.h>

static void a_line_says_where_what_and_what_to_do(void **state)
{
    struct weir_why why;
    char text[400];

    (void)state;
    assert_int_equal(why_set(&why, -ENOMEM, "hugepages", "reserve some", "%d of %d free", 0, 512),
                     -ENOMEM);
    assert_int_equal(why.code, -ENOMEM);
    assert_int_equal(weir_why_text(&why, text, sizeof text),
                     strlen("hugepages: 0 of 512 free; reserve some"));
    assert_string_equal(text, "hugepages: 0 of 512 free; reserve some");
}

static void an_empty_part_leaves_no_punctuation(void **state)
{
    struct weir_why why = {0};
    char text[400];

    (void)state;
    assert_int_equal(weir_why_text(&why, text, sizeof text), 0);
    why_set(&why, -EIO, "disk", NULL, "gone");
    weir_why_text(&why, text, sizeof text);
    assert_string_equal(text, "disk: gone");
    why_set(&why, -EIO, "", "", "gone");
    weir_why_text(&why, text, sizeof text);
    assert_string_equal(text, "gone");
}

static void long_text_is_cut_and_terminated(void **state)
{
    char many[1000], text[16];
    struct weir_why why;

    (void)state;
    memset(many, 'x', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    memset(&why, 0xff, sizeof why);
    why_set(&why, -1, many, many, "%s", many);
    assert_int_equal(strlen(why.where), sizeof why.where - 1);
    assert_int_equal(strlen(why.what), sizeof why.what - 1);
    assert_int_equal(strlen(why.fix), sizeof why.fix - 1);
    assert_true(weir_why_text(&why, text, sizeof text) > (int)sizeof text);
    assert_int_equal(strlen(text), sizeof text - 1);
}

static void nobody_has_to_listen(void **state)
{
    (void)state;
    assert_int_equal(why_set(NULL, -EPERM, "a", "b", "c"), -EPERM);
}

static void the_version_is_one(void **state)
{
    char parts[32];

    (void)state;
    snprintf(parts, sizeof parts, "%d.%d.%d", WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR,
             WEIR_VERSION_PATCH);
    assert_string_equal(parts, WEIR_VERSION);
    assert_string_equal(weir_version(), WEIR_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_where_what_and_what_to_do),
        cmocka_unit_test(an_empty_part_leaves_no_punctuation),
        cmocka_unit_test(long_text_is_cut_and_terminated),
        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(the_version_is_one),
    };

    return run_group(tests);
}
