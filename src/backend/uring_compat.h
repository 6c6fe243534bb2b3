/* SPDX-License-Identifier: MIT
 * Values that liburing 2.3 and the kernel headers 6.1 (Debian 12) do not have, each with its
 * source. The running kernel is asked before any of them is used (uring_probe.c). */
#ifndef WEIR_URING_COMPAT_H
#define WEIR_URING_COMPAT_H

#include <liburing.h>
#include <netinet/udp.h>

/* include/uapi/linux/io_uring.h of Linux 6.2: the notification of a zero-copy send says whether it
 * copied */
#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#endif
#ifndef IORING_NOTIF_USAGE_ZC_COPIED
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif

/* include/uapi/linux/udp.h: Linux 4.18 and 5.0; glibc 2.36's netinet/udp.h lacks them in some
 * modes */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#endif
