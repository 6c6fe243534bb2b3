/* SPDX-License-Identifier: MIT
 * Values that the kernel headers 6.1 (Debian 12) do not have, each with its source. The running
 * kernel is asked, by trying, before any of them is relied on. */
#ifndef WEIR_XDP_COMPAT_H
#define WEIR_XDP_COMPAT_H

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>

/* include/uapi/linux/if_xdp.h of Linux 6.6: frames in several descriptors */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

/* The same of Linux 6.8: a request to the device in front of a frame to send */
#ifndef XDP_TX_METADATA
#define XDP_TX_METADATA (1 << 1)
#endif
#ifndef XDP_UMEM_TX_SW_CSUM
#define XDP_UMEM_TX_SW_CSUM (1 << 1)
#endif
#ifndef XDP_UMEM_TX_METADATA_LEN
#define XDP_UMEM_TX_METADATA_LEN (1 << 2)
#endif
#ifndef XDP_TXMD_FLAGS_CHECKSUM
#define XDP_TXMD_FLAGS_CHECKSUM (1 << 1)
#endif

/* The same of Linux 6.17: how many frames one sendto takes off a ring in copy mode */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

/* struct xdp_umem_reg as Linux 6.8 extended it; older kernels take its first 28 bytes. */
struct umem_reg {
    __u64 addr, len;
    __u32 chunk_size, headroom, flags, tx_metadata_len;
};

/* struct xsk_tx_metadata, its first half: the second is for launch times. */
struct tx_request {
    __u64 flags;
    __u16 csum_start, csum_offset;
    __u32 zero;
    __u64 launch_time;
};
#define TX_REQUEST_BYTES 24u /* the whole of it: in front of every frame */
_Static_assert(sizeof(struct tx_request) == TX_REQUEST_BYTES, "as the kernel has it");

/* include/uapi/linux/bpf.h of Linux 6.3: a program that asks its device for metadata */
#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
#endif

/* include/uapi/asm-generic/socket.h of Linux 5.11 */
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif

#endif
