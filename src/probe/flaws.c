/* SPDX-License-Identifier: MIT
 * CPU vulnerabilities and which of them the kernel pays to mitigate: a system call costs twice as
 * much with all of them as with none, so a result without this list cannot be compared.
 *
 * In the flow   weir_host_probe -> probe_flaws.
 * Source        Documentation/ABI/testing/sysfs-devices-system-cpu, "vulnerabilities". */
#include "probe.h"
#include "text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAWS "/sys/devices/system/cpu/vulnerabilities"

static void add_flaw(struct weir_host *ret, const char *name, const char *text)
{
    switch (text_flaw(text)) {
    case FLAW_ABSENT: ret->flaws_absent++; break;
    case FLAW_MITIGATED:
        ret->flaws_mitigated++;
        text_add_word(ret->mitigated, sizeof ret->mitigated, name);
        break;
    case FLAW_OPEN:
        ret->flaws_open++;
        text_add_word(ret->vulnerable, sizeof ret->vulnerable, name);
        break;
    case FLAW_UNKNOWN: break;
    }
}

static void read_flaw(struct weir_host *ret, const char *name)
{
    char path[sizeof FLAWS + 256], text[256];
    snprintf(path, sizeof path, FLAWS "/%s", name);
    if (name[0] != '.' && text_read(path, text, sizeof text) > 0)
        add_flaw(ret, name, text);
}

void probe_flaws(struct weir_host *ret)
{
    struct dirent **names;
    int n = scandir(FLAWS, &names, NULL, alphasort); /* sorted, so that two reports compare */
    if (n < 0) {
        ret->flaws_absent = ret->flaws_mitigated = ret->flaws_open = WEIR_UNKNOWN;
        return;
    }
    for (int i = 0; i < n; i++) {
        read_flaw(ret, names[i]->d_name);
        free(names[i]);
    }
    free(names);
}
