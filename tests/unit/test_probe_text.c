/* SPDX-License-Identifier: MIT
 * The parsers of /proc and /sys, with texts recorded on real hosts and with broken ones; and the
 * whole probe, which must answer on any host. */
#include "test.h"

#include "probe/text.h"

#include <weir/probe.h>

#include <errno.h>
#include <unistd.h>

static void numbers(void **state)
{
    (void)state;
    assert_int_equal(text_number("212992\n"), 212992);
    assert_int_equal(text_number(" 0 "), 0);
    assert_int_equal(text_number("9223372036854775807"), INT64_MAX);
    assert_int_equal(text_number("9223372036854775808"), -1);
    assert_int_equal(text_number("-1\n"), -1);
    assert_int_equal(text_number(""), -1);
    assert_int_equal(text_number("12 kB"), -1);
    assert_int_equal(text_number("max\n"), -1);
}

static void lines_are_trimmed_and_cut(void **state)
{
    char line[8];
    (void)state;
    text_line("\t powersave \nschedutil\n", line, sizeof line);
    assert_string_equal(line, "powersa");
    text_line("ondemand\n", line, 4);
    assert_string_equal(line, "ond");
    text_line(" \n", line, sizeof line);
    assert_string_equal(line, "");
    text_line("x", line, 1);
    assert_string_equal(line, "");
}

static void the_choice_is_in_brackets(void **state)
{
    char choice[16];
    (void)state;
    text_choice("always [madvise] never\n", choice, sizeof choice);
    assert_string_equal(choice, "madvise");
    text_choice("[none] integrity confidentiality\n", choice, sizeof choice);
    assert_string_equal(choice, "none");
    text_choice("none integrity [confidentiality]\n", choice, 8);
    assert_string_equal(choice, "confide");
    text_choice("] [never", choice, sizeof choice);
    assert_string_equal(choice, "");
    text_choice("", choice, sizeof choice);
    assert_string_equal(choice, "");
}

static void lists_of_cores_are_counted(void **state)
{
    static const struct {
        const char *text;
        int count;
    } lists[] = {
        {"0-1\n", 2},
        {"0\n", 1},
        {"0-3,8,10-11\n", 7},
        {"\n", 0},
        {"", 0},
        {"0-1023", 1024},
        {"3-1", -1},
        {"0-", -1},
        {"-1", -1},
        {"0,", -1},
        {"0,,1", -1},
        {"0 1", -1},
        {"a", -1},
        {"0-99999999999", -1},
        {"0-2147483645,0-2147483645", -1},
        {"99999999999999999999", -1},
    };
    (void)state;
    for (unsigned i = 0; i < array_len(lists); i++)
        if (text_list_count(lists[i].text) != lists[i].count)
            fail_msg("\"%s\" gave %d", lists[i].text, text_list_count(lists[i].text));
}

/* Recorded: AMD EPYC, a Firecracker guest, Linux 6.18, shortened to the lines of interest. */
static const char cpuinfo[] = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: "
                              "25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
                              "stepping\t: 1\ncpu MHz\t\t: 2596.121\nflags\t\t: fpu vme de "
                              "constant_tsc nonstop_tsc hypervisor lahf_lm\n"
                              "bugs\t\t: sysret_ss_attrs spectre_v1\npower "
                              "management:\n\nprocessor\t: 1\nmodel name\t: another\n";

static void fields_of_cpuinfo(void **state)
{
    char value[64];
    (void)state;
    text_field(cpuinfo, "model name", value, sizeof value);
    assert_string_equal(value, "AMD EPYC");
    text_field(cpuinfo, "model", value, sizeof value);
    assert_string_equal(value, "17");
    text_field(cpuinfo, "power management", value, sizeof value);
    assert_string_equal(value, "");
    text_field(cpuinfo, "MHz", value, sizeof value);
    assert_string_equal(value, "");
    text_field(cpuinfo, "flags", value, sizeof value);
    assert_true(text_has_word(value, "hypervisor"));
    assert_false(text_has_word(value, "hyper"));
    assert_false(text_has_word(value, "visor"));
    assert_false(text_has_word("", "x"));
}

/* Recorded: Linux 6.18, 24 GiB. */
static const char meminfo[] =
    "MemTotal:       24684092 kB\nMemFree:        23190000 kB\nMemAvailable:   24373044 kB\n"
    "HugePages_Total:       0\nHugepagesize:       2048 kB\n";

static void fields_of_meminfo(void **state)
{
    (void)state;
    assert_int_equal(text_meminfo_bytes(meminfo, "MemTotal"), INT64_C(24684092) * 1024);
    assert_int_equal(text_meminfo_bytes(meminfo, "MemAvailable"), INT64_C(24373044) * 1024);
    assert_int_equal(text_meminfo_bytes(meminfo, "HugePages_Total"), -1); /* not a size */
    assert_int_equal(text_meminfo_bytes(meminfo, "Mem"), -1);
    assert_int_equal(text_meminfo_bytes("MemTotal: 9223372036854775807 kB", "MemTotal"), -1);
    assert_int_equal(text_meminfo_bytes("MemTotal: 1 kB more", "MemTotal"), -1);
    assert_int_equal(text_meminfo_bytes("", "MemTotal"), -1);
}

static void steal_is_the_eighth_column(void **state)
{
    (void)state;
    assert_int_equal(text_stat_steal("cpu  4705 0 1120 16250856 1 3 1139 77 0 0\ncpu0 1 2 3\n"),
                     77);
    assert_int_equal(text_stat_steal("cpu  1 2 3 4 5 6 7 8"), 8);
    assert_int_equal(text_stat_steal("cpu  1 2 3 4 5 6 7\ncpu0 8 9"), -1); /* before Linux 2.6.11 */
    assert_int_equal(text_stat_steal("cpu0 1 2 3 4 5 6 7 8\n"), -1);
    assert_int_equal(text_stat_steal("cpu  1 2 3 4 5 6 7 8x"), -1);
    assert_int_equal(text_stat_steal("cpu  1 2 3 4 5 6 7 -8"), -1);
    assert_int_equal(text_stat_steal(""), -1);
}

static void flaws_as_the_kernel_words_them(void **state)
{
    (void)state;
    assert_int_equal(text_flaw("Not affected\n"), FLAW_ABSENT);
    assert_int_equal(text_flaw("Mitigation: usercopy/swapgs barriers\n"), FLAW_MITIGATED);
    assert_int_equal(text_flaw("Vulnerable: Safe RET, no microcode\n"), FLAW_OPEN);
    assert_int_equal(text_flaw("Vulnerable\n"), FLAW_OPEN);
    assert_int_equal(text_flaw("KVM: Mitigation: VMX disabled\n"), FLAW_MITIGATED);
    assert_int_equal(text_flaw("Unknown (XEN PV detected, hypervisor mitigation required)\n"),
                     FLAW_UNKNOWN);
    assert_int_equal(text_flaw(""), FLAW_UNKNOWN);
}

static void words_that_do_not_fit_are_left_out_whole(void **state)
{
    char words[12] = "";
    (void)state;
    text_add_word(words, sizeof words, "mds");
    text_add_word(words, sizeof words, "retbleed");
    text_add_word(words, sizeof words, "l1tf");
    assert_string_equal(words, "mds l1tf");
    text_add_word(words, sizeof words, "ab");
    assert_string_equal(words, "mds l1tf ab");
    text_add_word(words, sizeof words, "");
    assert_string_equal(words, "mds l1tf ab");
}

static void reading_files(void **state)
{
    char text[8], path[] = "/tmp/weir-probe-XXXXXX";
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    close(fd);
    assert_int_equal(text_read(path, text, sizeof text), 7);
    assert_string_equal(text, "0123456");
    assert_int_equal(text_read_number(path), 123456789);
    unlink(path);
    assert_int_equal(text_read(path, text, sizeof text), -ENOENT);
    assert_string_equal(text, "");
    assert_int_equal(text_read_number(path), -1);
    assert_int_equal(text_read("/", text, sizeof text), -EISDIR);
}

/* Any host, container or not: every field is a fact or "cannot know", none is left as it was. */
static void a_host_answers_everything(void **state)
{
    struct weir_host h;
    (void)state;
    memset(&h, 0x5a, sizeof h);
    assert_int_equal(weir_host_probe(&h), 0);
    assert_true(h.cores_allowed >= 1);
    assert_true(h.cores_online == WEIR_UNKNOWN || h.cores_online >= h.cores_allowed);
    assert_in_range(h.smt + 1, 0, 2);
    assert_in_range(h.virtualised + 1, 0, 2);
    assert_true(h.tsc_hz > 0);
    assert_true((h.governor[0] == 0) == (h.governor_why[0] != 0));
    assert_true(h.numa_nodes == WEIR_UNKNOWN || h.numa_nodes >= 1);
    assert_true(h.memory_free_bytes <= h.memory_bytes);
    assert_true(h.huge_free <= h.huge_total);
    assert_true(h.kernel[0] >= '0' && h.kernel[0] <= '9');
    assert_true(h.uring_disabled >= WEIR_UNKNOWN && h.uring_disabled <= 2);
    assert_true(h.uring_errno >= 0);
    assert_true(h.nofile > 0 && h.nofile <= h.nofile_hard);
    assert_true(h.memlock_bytes <= h.memlock_hard_bytes);
}

static void steal_never_goes_back(void **state)
{
    uint64_t before = 0, after = 0;
    (void)state;
    if (weir_steal(&before) < 0)
        SKIP("/proc/stat cannot be read here");
    assert_int_equal(weir_steal(&after), 0);
    assert_true(after >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(lines_are_trimmed_and_cut),
        cmocka_unit_test(the_choice_is_in_brackets),
        cmocka_unit_test(lists_of_cores_are_counted),
        cmocka_unit_test(fields_of_cpuinfo),
        cmocka_unit_test(fields_of_meminfo),
        cmocka_unit_test(steal_is_the_eighth_column),
        cmocka_unit_test(flaws_as_the_kernel_words_them),
        cmocka_unit_test(words_that_do_not_fit_are_left_out_whole),
        cmocka_unit_test(reading_files),
        cmocka_unit_test(a_host_answers_everything),
        cmocka_unit_test(steal_never_goes_back),
    };
    return run_group(tests);
}
