/* SPDX-License-Identifier: MIT
 * Weir: everything, and the version. The build and the pkg-config file read the version from
 * here. */
#ifndef WEIR_H
#define WEIR_H

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0
#define WEIR_VERSION "0.1.0"

#include <weir/base.h>
#include <weir/buf.h>
#include <weir/engine.h>
#include <weir/frames.h>
#include <weir/lab.h>
#include <weir/probe.h>
#include <weir/ring.h>
#include <weir/sim.h>
#include <weir/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that runs, which may be newer than the header that was compiled.
 * Thread any */
const char *weir_version(void);

#ifdef __cplusplus
}
#endif
#endif
