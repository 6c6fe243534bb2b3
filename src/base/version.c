/* SPDX-License-Identifier: MIT
 * The version, as compiled in. */
#include <weir.h>

const char *weir_version(void)
{
    return WEIR_VERSION;
}
