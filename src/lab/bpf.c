/* SPDX-License-Identifier: MIT
 * bpf(2) by hand. The programs are listed instruction by instruction
 * (Documentation/bpf/standardization/instruction-set.rst); a jump's offset counts the
 * instructions that it passes over.
 *
 * The receiver is attached by a bpf_link and the flood is not attached at all (BPF_PROG_TEST_RUN
 * with live frames, Documentation/bpf/bpf_prog_run.rst), so nothing is left on the interface
 * when the process dies. */
#include "bpf.h"

#include "base/base.h"
#include "frame.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INSN(c, d, s, o, i)                                                                        \
    (struct bpf_insn)                                                                              \
    {                                                                                              \
        .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)                        \
    }
#define MOV(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ALU_IMM(op, d, i) INSN(BPF_ALU64 | (op) | BPF_K, d, 0, 0, i)
#define ADD(d, s) INSN(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, o, s) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define STORE_IMM(size, d, o, i) INSN(BPF_ST | BPF_MEM | (size), d, 0, o, i)
#define JUMP_IF(op, d, s, o) INSN(BPF_JMP | (op) | BPF_X, d, s, o, 0)
#define JUMP_IF_IMM(op, d, i, o) INSN(BPF_JMP | (op) | BPF_K, d, 0, o, i)
#define TO_BE16(d) INSN(BPF_ALU | BPF_END | BPF_TO_BE, d, 0, 0, 16)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* A map's address: two instructions, the second the upper half. */
#define MAP_LOW(d, fd) INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd)
#define MAP_HIGH() INSN(0, 0, 0, 0, 0)
enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FP };

static int bpf(int cmd, union bpf_attr *attr)
{
    int r = (int)syscall(SYS_bpf, cmd, attr, sizeof *attr);

    return r < 0 ? -errno : r;
}

static int refuse(struct weir_why *why, int err, const char *what)
{
    return why_set(why, err, "lab", err == -EPERM ? "run as root" : NULL, "%s: %s", what,
                   strerror(-err));
}

static int open_map(uint32_t type, uint32_t value_bytes)
{
    union bpf_attr attr = {.map_type = type,
                           .key_size = 4,
                           .value_size = value_bytes,
                           .max_entries = 1};

    return bpf(BPF_MAP_CREATE, &attr);
}

static int open_prog(const struct bpf_insn *insns, size_t count)
{
    static const char license[] = "MIT"; /* no GPL-only helper is used */
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_XDP,
                           .insn_cnt = (uint32_t)count,
                           .insns = (uintptr_t)insns,
                           .license = (uintptr_t)license};

    return bpf(BPF_PROG_LOAD, &attr);
}

static void close_all(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static int load_receive(int map, uint16_t server_port, uint16_t queue)
{
    const struct bpf_insn insns[] = {
        LOAD(BPF_W, R2, R1, offsetof(struct xdp_md, data)),
        LOAD(BPF_W, R3, R1, offsetof(struct xdp_md, data_end)),
        MOV(R4, R2),
        ALU_IMM(BPF_ADD, R4, FRAME_HEAD),
        JUMP_IF(BPF_JGT, R4, R3, 14), /* shorter than the headers: pass */
        LOAD(BPF_H, R5, R2, 12),
        TO_BE16(R5),
        JUMP_IF_IMM(BPF_JNE, R5, 0x0800, 11),
        LOAD(BPF_B, R5, R2, 14),
        JUMP_IF_IMM(BPF_JNE, R5, 0x45, 9),
        LOAD(BPF_B, R5, R2, 23),
        JUMP_IF_IMM(BPF_JNE, R5, 17, 7), /* UDP */
        LOAD(BPF_H, R5, R2, FRAME_PORT_AT),
        TO_BE16(R5),
        JUMP_IF_IMM(BPF_JNE, R5, server_port, 4),
        LOAD(BPF_W, R2, R1, offsetof(struct xdp_md, rx_queue_index)),
        MAP_LOW(R1, map),
        MAP_HIGH(),
        JUMP_IF_IMM(BPF_JEQ, R2, queue, 2), /* the one socket is that of this queue */
        MOV_IMM(R0, XDP_PASS),
        EXIT(),
        MOV_IMM(R2, 0),        /* the map's one key */
        MOV_IMM(R3, XDP_PASS), /* where there is no socket */
        CALL(BPF_FUNC_redirect_map),
        EXIT(),
    };

    return open_prog(insns, array_len(insns));
}

static int enter_socket(int map, int xsk)
{
    const uint32_t key = 0;
    union bpf_attr attr = {.map_fd = (uint32_t)map,
                           .key = (uintptr_t)&key,
                           .value = (uintptr_t)&xsk};

    return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static int attach(int prog, int ifindex)
{
    union bpf_attr attr = {.link_create = {.prog_fd = (uint32_t)prog,
                                           .target_ifindex = (uint32_t)ifindex,
                                           .attach_type = BPF_XDP}};

    return bpf(BPF_LINK_CREATE, &attr);
}

int bpf_receive_open(struct bpf_receive *b, const struct bpf_receive_opt *opt, struct weir_why *why)
{
    int err;

    *b = (struct bpf_receive){-1, -1, -1};
    b->map = err = open_map(BPF_MAP_TYPE_XSKMAP, sizeof(int));
    if (err >= 0)
        b->prog = err = load_receive(b->map, opt->server_port, opt->queue);
    if (err >= 0)
        err = enter_socket(b->map, opt->xsk);
    if (err >= 0)
        b->link = err = attach(b->prog, opt->ifindex);
    if (err >= 0)
        return 0;
    bpf_receive_close(b);
    return refuse(why, err, "an XDP program for the echo generator");
}

void bpf_receive_close(struct bpf_receive *b)
{
    const int fds[] = {b->link, b->prog, b->map};

    close_all(fds, array_len(fds));
    *b = (struct bpf_receive){-1, -1, -1};
}

/* The page of a live frame comes round again with what was written to it: hence absolute values
 * only. */
static int load_flood(int map, int ifindex, uint16_t first_port, uint32_t flows, uint16_t sum)
{
    const struct bpf_insn insns[] = {
        LOAD(BPF_W, R8, R1, offsetof(struct xdp_md, data)),
        LOAD(BPF_W, R3, R1, offsetof(struct xdp_md, data_end)),
        MOV(R4, R8),
        ALU_IMM(BPF_ADD, R4, FRAME_HEAD),
        JUMP_IF(BPF_JGT, R4, R3, 31),
        STORE_IMM(BPF_W, FP, -4, 0), /* key 0 of this core's counter */
        MOV(R2, FP),
        ALU_IMM(BPF_ADD, R2, -4),
        MAP_LOW(R1, map),
        MAP_HIGH(),
        CALL(BPF_FUNC_map_lookup_elem),
        JUMP_IF_IMM(BPF_JEQ, R0, 0, 24),
        LOAD(BPF_DW, R7, R0, 0), /* port = first + count++ % flows */
        MOV(R5, R7),
        ALU_IMM(BPF_ADD, R7, 1),
        STORE(BPF_DW, R0, 0, R7),
        ALU_IMM(BPF_MOD, R5, (int)flows),
        ALU_IMM(BPF_ADD, R5, first_port),
        MOV(R1, R5), /* checksum = ~fold(sum + port) */
        ALU_IMM(BPF_ADD, R1, sum),
        MOV(R2, R1),
        ALU_IMM(BPF_RSH, R2, 16),
        ALU_IMM(BPF_AND, R1, 0xffff),
        ADD(R1, R2),
        ALU_IMM(BPF_XOR, R1, 0xffff), /* the sum of two 16-bit numbers is folded after one carry */
        ALU_IMM(BPF_AND, R1, 0xffff),
        JUMP_IF_IMM(BPF_JNE, R1, 0, 1),
        MOV_IMM(R1, 0xffff),
        TO_BE16(R5),
        TO_BE16(R1),
        STORE(BPF_H, R8, FRAME_PORT_AT, R5),
        STORE(BPF_H, R8, FRAME_CHECKSUM_AT, R1),
        MOV_IMM(R1, ifindex),
        MOV_IMM(R2, 0),
        CALL(BPF_FUNC_redirect),
        EXIT(),
        MOV_IMM(R0, XDP_DROP),
        EXIT(),
    };

    return open_prog(insns, array_len(insns));
}

int bpf_flood_open(struct bpf_flood *b, int ifindex, uint16_t first_port, uint32_t flows,
                   uint16_t sum, struct weir_why *why)
{
    int err;

    *b = (struct bpf_flood){-1, -1};
    b->map = err = open_map(BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(uint64_t));
    if (err >= 0)
        b->prog = err = load_flood(b->map, ifindex, first_port, flows, sum);
    if (err >= 0)
        return 0;
    bpf_flood_close(b);
    return refuse(why, err, "an XDP program for live frames");
}

void bpf_flood_close(struct bpf_flood *b)
{
    const int fds[] = {b->prog, b->map};

    close_all(fds, array_len(fds));
    *b = (struct bpf_flood){-1, -1};
}

int bpf_flood_run(const struct bpf_flood *b, const void *frame, size_t len, uint32_t count)
{
    union bpf_attr attr = {.test = {.prog_fd = (uint32_t)b->prog,
                                    .data_in = (uintptr_t)frame,
                                    .data_size_in = (uint32_t)len,
                                    .repeat = count,
                                    .flags = BPF_F_TEST_XDP_LIVE_FRAMES}};

    return bpf(BPF_PROG_TEST_RUN, &attr);
}
