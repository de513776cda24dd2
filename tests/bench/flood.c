/* SPDX-License-Identifier: BSD-2-Clause */
/* flood.c - numbered frames into a veth, some millions a second: by the kernel's own XDP generator. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * flood INTERFACE COUNT PPS SIZE|imix [FIRST], flood -r INTERFACE
 *
 * Sends what tests/tools/frame_send does: Ethernet, IPv4, UDP to port 9, SIZE bytes, numbered from FIRST
 * on in the first 64 bits of the payload, big-endian.  imix: 64, 594 and 1518 bytes, 7:4:1, in turns.
 * PPS 0: as fast as it goes.  A socket takes 2 us to send a frame; BPF_PROG_TEST_RUN with live frames
 * (Linux 5.18 and newer) redirects them to the interface at a tenth of that, so that what is measured
 * is the capture.  Prints how many frames were made and the ns that took; the receiving interface's own
 * counter says how many arrived.
 *
 * -r: make INTERFACE ready to receive them (generic receive offload gives a veth the receive ring that
 * such frames need).
 *
 * Exits 3 where the kernel cannot do that.
 */
#define HEADERS 42u
#define SIZE_LEAST 60u
#define SIZE_MOST 1518u
#define CYCLE 12 /* of imix */
/* Frames that the kernel makes before it delivers any: a veth's receive ring holds 256. */
#define BATCH 64u
/* Frames a system call, when paced: PPS / TICKS. */
#define TICKS 1000u
#define REPEAT_MOST 100000u

/* What the program keeps, in a map of one entry. */
struct state {
	uint64_t next;	    /* the number of the next frame */
	uint64_t turn;	    /* of imix: 0 to 11 */
	int64_t cut[CYCLE]; /* how much shorter than SIZE_MOST each is: 0 or negative */
};

static void give_up(const char *what, int status)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(status);
}

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* Instructions, named as in Documentation/bpf/standardization/instruction-set.rst. */
#define INSN(op, d, s, o, i)                                                                  \
	(struct bpf_insn)                                                                     \
	{                                                                                     \
		.code = (op), .dst_reg = (d), .src_reg = (s), .off = (int16_t)(o), .imm = (i) \
	}
#define MOV(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, s) INSN(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define ADD_IMM(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define MUL_IMM(d, i) INSN(BPF_ALU64 | BPF_MUL | BPF_K, d, 0, 0, i)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, s, o) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define JUMP_IMM(op, d, i, o) INSN(BPF_JMP | (op) | BPF_K, d, 0, o, i)
#define JUMP(op, d, s, o) INSN(BPF_JMP | (op) | BPF_X, d, s, o, 0)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/*
 * The program that the kernel runs on each frame: cut it to its size, write its number, send it out of
 * the interface.  Returns its descriptor.
 */
static int program_load(int map, unsigned ifindex)
{
	static char log[65536];
	const struct bpf_insn code[] = {
		MOV(6, 1), /* the frame */
		/* r7 = the state */
		MOV_IMM(1, 0),
		STORE(BPF_W, 10, 1, -4),
		MOV(2, 10),
		ADD_IMM(2, -4),
		INSN(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		CALL(BPF_FUNC_map_lookup_elem),
		JUMP_IMM(BPF_JNE, 0, 0, 2),
		MOV_IMM(0, XDP_ABORTED),
		EXIT,
		MOV(7, 0),
		/* r2 = cut[turn], turn = (turn + 1) % CYCLE */
		LOAD(BPF_DW, 1, 7, offsetof(struct state, turn)),
		JUMP_IMM(BPF_JLT, 1, CYCLE, 1),
		MOV_IMM(1, 0),
		MOV(3, 1),
		ADD_IMM(3, 1),
		STORE(BPF_DW, 7, 3, offsetof(struct state, turn)),
		MUL_IMM(1, 8),
		MOV(4, 7),
		ADD(4, 1),
		LOAD(BPF_DW, 2, 4, offsetof(struct state, cut)),
		JUMP_IMM(BPF_JEQ, 2, 0, 2),
		MOV(1, 6),
		CALL(BPF_FUNC_xdp_adjust_tail),
		/* the number */
		LOAD(BPF_W, 2, 6, offsetof(struct xdp_md, data)),
		LOAD(BPF_W, 3, 6, offsetof(struct xdp_md, data_end)),
		MOV(4, 2),
		ADD_IMM(4, HEADERS + 8),
		JUMP(BPF_JLE, 4, 3, 2),
		MOV_IMM(0, XDP_ABORTED),
		EXIT,
		LOAD(BPF_DW, 5, 7, offsetof(struct state, next)),
		MOV(4, 5),
		ADD_IMM(4, 1),
		STORE(BPF_DW, 7, 4, offsetof(struct state, next)),
		INSN(BPF_ALU | BPF_END | BPF_TO_BE, 5, 0, 0, 64),
		STORE(BPF_DW, 2, 5, HEADERS),
		MOV_IMM(1, (int)ifindex),
		MOV_IMM(2, 0),
		CALL(BPF_FUNC_redirect),
		EXIT,
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_XDP,
				.insn_cnt = sizeof(code) / sizeof(*code),
				.insns = (uintptr_t)code,
				.license = (uintptr_t) "GPL",
				.log_buf = (uintptr_t)log,
				.log_size = sizeof(log),
				.log_level = 1 };
	int fd = bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0) {
		fputs(log, stderr);
		give_up("program", 3);
	}
	return fd;
}

static void frame_make(uint8_t *f, uint32_t size)
{
	static const uint8_t head[HEADERS] = {
		0x02, 0,    0,	0, 0, 2, 0x02, 0, 0,  0,  0, 1, 0x08, 0x00, /* Ethernet */
		0x45, 0,    0,	0, 0, 0, 0,    0, 64, 17, 0, 0, 10,   9,
		0,    1,    10, 9, 0, 2,	  /* IPv4 */
		0x30, 0x39, 0,	9, 0, 0, 0,    0, /* UDP 12345 -> 9, no checksum */
	};

	memcpy(f, head, HEADERS);
	for (uint32_t i = HEADERS; i < size; i++)
		f[i] = (uint8_t)i;
}

/* A veth that does generic receive offload takes redirected frames. */
static void make_ready(const char *interface)
{
	struct ethtool_value on = { .cmd = ETHTOOL_SGRO, .data = 1 };
	struct ifreq r = { .ifr_data = (char *)&on };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &r) < 0)
		give_up(interface, 3);
	close(fd);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	static const uint32_t imix[CYCLE] = { 64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64 };
	static uint8_t frame[SIZE_MOST];
	struct state s = { 0 };
	uint32_t size = SIZE_MOST, key = 0;

	if (argc == 3 && strcmp(argv[1], "-r") == 0) {
		make_ready(argv[2]);
		return 0;
	}
	if (argc < 5 || argc > 6) {
		fprintf(stderr, "usage: flood INTERFACE COUNT PPS SIZE|imix [FIRST]\n");
		return 2;
	}
	unsigned ifindex = if_nametoindex(argv[1]);
	uint64_t count = strtoull(argv[2], NULL, 10), pps = strtoull(argv[3], NULL, 10);
	if (strcmp(argv[4], "imix") == 0)
		for (int i = 0; i < CYCLE; i++)
			s.cut[i] = (int64_t)imix[i] - SIZE_MOST;
	else
		size = (uint32_t)strtoul(argv[4], NULL, 10);
	s.next = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
	if (size < SIZE_LEAST || size > SIZE_MOST) {
		fprintf(stderr, "flood: size: from %u to %u\n", SIZE_LEAST, SIZE_MOST);
		return 2;
	}
	if (!ifindex)
		give_up(argv[1], 1);

	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY,
				.key_size = sizeof(key),
				.value_size = sizeof(s),
				.max_entries = 1 };
	int map = bpf(BPF_MAP_CREATE, &attr);
	attr = (union bpf_attr){ .map_fd = (uint32_t)map,
				 .key = (uintptr_t)&key,
				 .value = (uintptr_t)&s };
	if (map < 0 || bpf(BPF_MAP_UPDATE_ELEM, &attr) < 0)
		give_up("map", 3);
	int program = program_load(map, ifindex);
	frame_make(frame, size);

	uint64_t start = now_ns(), sent = 0;
	while (sent < count) {
		uint64_t n = count - sent;

		if (pps) {
			uint64_t least = pps / TICKS + 1;
			uint64_t due =
				(uint64_t)((__uint128_t)(now_ns() - start) * pps / 1000000000u);

			if (n > least && due < sent + least) {
				nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
				continue;
			}
			if (n > due - sent)
				n = due > sent ? due - sent : n;
		}
		if (n > REPEAT_MOST)
			n = REPEAT_MOST;
		attr = (union bpf_attr){ .test = { .prog_fd = (uint32_t)program,
						   .data_in = (uintptr_t)frame,
						   .data_size_in = size,
						   .repeat = (uint32_t)n,
						   .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
						   .batch_size = BATCH } };
		if (bpf(BPF_PROG_TEST_RUN, &attr) < 0)
			give_up("BPF_PROG_TEST_RUN", errno == EINTR ? 1 : 3);
		sent += n;
	}
	printf("%llu %llu\n", (unsigned long long)sent, (unsigned long long)(now_ns() - start));
	return 0;
}
