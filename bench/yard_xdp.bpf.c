/* SPDX-License-Identifier: MIT
 * The yardstick's XDP program: IPv4 and UDP to one port go to the socket of queue 0, all else to the
 * kernel. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define HEAD 42 /* Ethernet, IPv4 without options, UDP */

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

const volatile __u16 port_be;

SEC("xdp")
int yard(struct xdp_md *ctx)
{
    const __u8 *frame = (void *)(long)ctx->data;
    if (frame + HEAD > (const __u8 *)(long)ctx->data_end)
        return XDP_PASS;
    if (*(const __u16 *)(frame + 12) != bpf_htons(0x0800) || frame[14] != 0x45 || frame[23] != 17 ||
        *(const __u16 *)(frame + 36) != port_be)
        return XDP_PASS;
    return (int)bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

char terms[] SEC("license") = "Dual MIT/GPL";
