/* SPDX-License-Identifier: BSD-2-Clause */
/* test_bpf.c - our interpreter of classic BPF against libpcap's, program by program, frame by frame. */
#include <glob.h>
#include <linux/filter.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "libncpbus/bpf.h"
#include "libncpbus/include/ncpbus.h"
#include "tap/tap.h"

#define FRAMES_MAX 4000u
#define PROGRAMS 20000u /* random ones */
#define STEPS_MAX 40u

/* --- frames: real ones, and what becomes of them ----------------------------------------------- */

static struct frame {
	uint8_t *data;
	uint32_t caplen, len;
} frames[FRAMES_MAX];
static size_t n_frames;
static struct tap_rng rng;

static uint32_t below(uint64_t limit)
{
	return (uint32_t)tap_rng_below(&rng, limit);
}

static void frame_add(const uint8_t *data, uint32_t caplen, uint32_t len)
{
	if (n_frames == FRAMES_MAX)
		return;
	/* Of exactly its length, so that a sanitizer sees a step beyond. */
	uint8_t *copy = malloc(caplen ? caplen : 1);
	if (!copy)
		bail("memory");
	memcpy(copy, data, caplen);
	frames[n_frames++] = (struct frame){ copy, caplen, len };
}

/* A frame as it is, cut, tagged once and twice, and as a fragment. */
static void frame_vary(const uint8_t *data, uint32_t caplen, uint32_t len)
{
	uint8_t tagged[300];
	uint32_t n = caplen < 200 ? caplen : 200;

	frame_add(data, caplen, len);
	frame_add(data, below(caplen + 1), len);
	if (n < 34)
		return;
	memcpy(tagged, data, n);
	tagged[20] ^= 0x20; /* more fragments */
	frame_add(tagged, n, len);
	for (int tags = 1; tags <= 2; tags++) {
		const uint8_t tag[4] = { tags == 1 ? 0x81 : 0x88, tags == 1 ? 0x00 : 0xa8, 0, 7 };

		memcpy(tagged, data, 12);
		for (int i = 0; i < tags; i++)
			memcpy(tagged + 12 + 4 * i, tag, 4);
		memcpy(tagged + 12 + 4 * tags, data + 12, n - 12);
		frame_add(tagged, n + 4 * (uint32_t)tags, len + 4 * (uint32_t)tags);
	}
}

static void frames_read(void)
{
	char error[PCAP_ERRBUF_SIZE];
	glob_t files = { 0 };

	if (glob("../shared/captures/*.pcap", 0, NULL, &files) == 0) {
		for (size_t i = 0; i < files.gl_pathc; i++) {
			struct pcap_pkthdr *h;
			const u_char *data;
			pcap_t *p = pcap_open_offline(files.gl_pathv[i], error);

			for (int k = 0; p && k < 40 && pcap_next_ex(p, &h, &data) == 1; k++)
				frame_vary(data, h->caplen, h->len);
			if (p)
				pcap_close(p);
		}
	}
	globfree(&files);
	/* Made ones: TCP and UDP in IPv4 and IPv6, of a few hosts and ports, which filters meet. */
	for (int i = 0; i < 200; i++) {
		uint8_t f[120];

		for (size_t k = 0; k < sizeof(f); k++)
			f[k] = (uint8_t)below(256);
		bool v6 = below(3) == 0;
		f[12] = v6 ? 0x86 : 0x08, f[13] = v6 ? 0xdd : 0x00;
		if (v6) {
			f[14] = 0x60, f[20] = below(2) ? 6 : 17;
		} else {
			f[14] = 0x45, f[20] &= 0x40, f[21] = 0, f[23] = below(2) ? 6 : 17;
			f[26] = 10, f[27] = 0, f[28] = 0, f[29] = (uint8_t)below(24);
			f[30] = 10, f[31] = 0, f[32] = 0, f[33] = (uint8_t)below(24);
		}
		size_t l4 = v6 ? 54 : 34;
		f[l4] = 0, f[l4 + 1] = (uint8_t)(below(2) ? 80 : below(256));
		f[l4 + 2] = 0, f[l4 + 3] = (uint8_t)(below(2) ? 22 : below(256));
		frame_vary(f, sizeof(f), sizeof(f));
	}
}

/* --- the comparison ----------------------------------------------------------------------------- */

/* Frames on which the two do not agree; UINT64_MAX: ours does not take the program. */
static uint64_t differ(const struct bpf_program *p, uint64_t *accepted)
{
	struct ncpi_bpf *b;
	uint64_t n = 0;

	if (ncpi_bpf_make(&b, (const struct ncp_bpf_insn *)p->bf_insns, p->bf_len) < 0)
		return UINT64_MAX;
	for (size_t i = 0; i < n_frames; i++) {
		const struct frame *f = &frames[i];
		uint32_t theirs = bpf_filter(p->bf_insns, f->data, f->len, f->caplen);

		n += ncpi_bpf_run(b, f->data, f->caplen, f->len) != theirs;
		*accepted += theirs != 0;
	}
	ncpi_bpf_free(b);
	return n;
}

static void test_expressions(void)
{
	static const char *const expr[] = {
		"tcp port 80",
		"host 10.0.0.1 and not port 22",
		"host 10.0.0.1 or host 10.0.0.2 or host 10.0.0.3 or host 10.0.0.4 or host 10.0.0.5 or "
		"host 10.0.0.6 or host 10.0.0.7 or host 10.0.0.8 or host 10.0.0.9 or host 10.0.0.10 or "
		"host 10.0.0.11 or host 10.0.0.12 or host 10.0.0.13 or host 10.0.0.14 or host 10.0.0.15 "
		"or host 10.0.0.16 or host 10.0.0.17 or host 10.0.0.18 or host 10.0.0.19 or host 10.0.0.20",
		"port 80 or port 22 or port 53 or port 443 or port 8080",
		"vlan",
		"vlan 7 and tcp",
		"vlan and vlan and ip",
		"ip6 and udp",
		"ip6 protochain 17",
		"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
		"ip[6:2] & 0x1fff != 0",
		"greater 100",
		"less 64",
		"ether broadcast",
		"net 10.0.0.0/8",
		"portrange 20-90",
		"len % 3 = 1",
		"ip[0] & 0xf * 4 > 20",
		"ether[6] * 3 + 2 > 9 or ether[7] / 2 < 3",
		"mpls",
		"arp",
		"tcp[2:2] << 2 & 0xff = 88",
		"not ip",
		"ether host 02:00:00:00:00:01",
		"icmp",
	};
	const size_t n = sizeof(expr) / sizeof(*expr);
	uint64_t accepted = 0;

	for (size_t i = 0; i < n; i++) {
		for (int optimize = 0; optimize < 2; optimize++) {
			struct bpf_program p;
			pcap_t *dead = pcap_open_dead(DLT_EN10MB, 262144);

			if (!dead || pcap_compile(dead, &p, expr[i], optimize, 0) < 0)
				bail("%s does not compile", expr[i]);
			is_u64(0, differ(&p, &accepted), "%s%s", expr[i],
			       optimize ? "" : ", not optimized");
			pcap_freecode(&p);
			pcap_close(dead);
		}
	}
	ok(accepted > n_frames, "they accepted frames: %llu", (unsigned long long)accepted);
}

/* A program that passes the check, of everything there is, forks and runs above all. */
static size_t random_program(struct sock_filter *f)
{
	static const uint16_t loads[] = {
		BPF_LD | BPF_W | BPF_ABS,  BPF_LD | BPF_H | BPF_ABS,  BPF_LD | BPF_B | BPF_ABS,
		BPF_LD | BPF_W | BPF_IND,  BPF_LD | BPF_H | BPF_IND,  BPF_LD | BPF_B | BPF_IND,
		BPF_LDX | BPF_B | BPF_MSH, BPF_LD | BPF_IMM,	      BPF_LDX | BPF_IMM,
		BPF_LD | BPF_W | BPF_LEN,  BPF_LDX | BPF_W | BPF_LEN, BPF_MISC | BPF_TAX,
		BPF_MISC | BPF_TXA,
	};
	static const uint16_t memory[] = { BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM, BPF_ST, BPF_STX };
	static const uint16_t alu[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_AND, BPF_OR, BPF_XOR,
					BPF_LSH, BPF_RSH, BPF_DIV, BPF_MOD, BPF_NEG };
	static const uint16_t jumps[] = { BPF_JEQ, BPF_JEQ, BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };
	size_t n = 20 + below(STEPS_MAX - 20);

	/* Every scratch word is written first: libpcap's begin with what is on its stack. */
	for (uint32_t i = 0; i < BPF_MEMWORDS; i++)
		f[i] = (struct sock_filter)BPF_STMT(BPF_ST, i);
	for (size_t i = BPF_MEMWORDS; i + 1 < n; i++) {
		uint32_t left = (uint32_t)(n - i - 2);

		f[i] = (struct sock_filter){ .k = below(2) ? below(60) : below(UINT32_MAX) };
		switch (below(8)) {
		case 0:
		case 1:
			f[i].code = loads[below(sizeof(loads) / sizeof(*loads))];
			f[i].k = below(20) ? below(60) : below(INT32_MAX);
			break;
		case 2:
			f[i].code = memory[below(4)];
			f[i].k = below(BPF_MEMWORDS);
			break;
		case 3:
			f[i].code = BPF_ALU | alu[below(sizeof(alu) / sizeof(*alu))];
			if (BPF_OP(f[i].code) == BPF_LSH || BPF_OP(f[i].code) == BPF_RSH)
				f[i].k = below(32);
			if (BPF_OP(f[i].code) != BPF_NEG)
				f[i].code |= below(2) ? BPF_X : BPF_K;
			f[i].k += (BPF_OP(f[i].code) == BPF_DIV || BPF_OP(f[i].code) == BPF_MOD) &&
				  !f[i].k;
			break;
		case 4:
			f[i].code = below(2) ? BPF_RET | BPF_K : BPF_RET | BPF_A;
			if (below(3)) {
				f[i].code = BPF_JMP | BPF_JA;
				f[i].k = below(left + 1);
			}
			break;
		default: /* a run, whose steps go to one place */
			for (uint32_t to = below(left < 200 ? left + 1 : 200), k = 1 + below(9);
			     k && i + 1 < n; k--, i++) {
				uint32_t here = (uint32_t)(n - i - 2);

				f[i] = (struct sock_filter){
					.code = BPF_JMP | jumps[below(20) ? 0 : below(6)] |
						(below(20) ? BPF_K : BPF_X),
					.jt = (uint8_t)(to < here ? to : here),
					.jf = (uint8_t)(below(10) ? 0 : below(here + 1)),
					.k = below(70),
				};
				to -= to > 0;
			}
			i--;
			break;
		}
	}
	f[n - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	return n;
}

static void test_random(void)
{
	struct sock_filter f[STEPS_MAX];
	uint64_t wrong = 0, accepted = 0, refused = 0;
	size_t all = n_frames;

	for (unsigned i = 0; i < PROGRAMS; i++) {
		struct bpf_program p = { .bf_insns = (struct bpf_insn *)(void *)f };

		p.bf_len = (unsigned)random_program(f);
		/* A few frames each: there are many programs. */
		n_frames = all < 20 ? all : 20;
		uint64_t d = differ(&p, &accepted);
		n_frames = all;
		refused += d == UINT64_MAX;
		if (d && d != UINT64_MAX && wrong++ == 0)
			diag("program %u differs on %llu frames", i, (unsigned long long)d);
	}
	is_u64(0, refused, "%u random programs pass the check", PROGRAMS);
	is_u64(0, wrong, "and do what libpcap does with them");
	ok(accepted > PROGRAMS, "which accepted frames: %llu", (unsigned long long)accepted);
}

static void test_refusals(void)
{
	static const struct {
		const char *what;
		size_t n;
		struct ncp_bpf_insn f[3];
	} bad[] = {
		{ "nothing", 0, {} },
		{ "no return", 1, { { BPF_LD | BPF_IMM, 0, 0, 1 } } },
		{ "a jump beyond the end",
		  2,
		  { { BPF_JMP | BPF_JEQ, 1, 0, 0 }, { BPF_RET, 0, 0, 0 } } },
		{ "a jump far beyond",
		  2,
		  { { BPF_JMP | BPF_JA, 0, 0, INT32_MAX }, { BPF_RET, 0, 0, 0 } } },
		{ "a jump before the beginning",
		  2,
		  { { BPF_JMP | BPF_JA, 0, 0, (uint32_t)-2 }, { BPF_RET, 0, 0, 0 } } },
		{ "a seventeenth word", 2, { { BPF_ST, 0, 0, 16 }, { BPF_RET, 0, 0, 0 } } },
		{ "a division by 0", 2, { { BPF_ALU | BPF_DIV, 0, 0, 0 }, { BPF_RET, 0, 0, 0 } } },
		{ "a shift by 32", 2, { { BPF_ALU | BPF_LSH, 0, 0, 32 }, { BPF_RET, 0, 0, 0 } } },
		{ "the kernel's extensions",
		  2,
		  { { BPF_LD | BPF_W, 0, 0, (uint32_t)SKF_AD_OFF }, { BPF_RET, 0, 0, 0 } } },
		{ "an unknown code", 2, { { 0xffff, 0, 0, 0 }, { BPF_RET, 0, 0, 0 } } },
	};
	struct ncpi_bpf *b;

	/* BPF_ABS is not 0. */
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct ncp_bpf_insn f[3];

		memcpy(f, bad[i].f, sizeof(f));
		if (f[0].code == (BPF_LD | BPF_W))
			f[0].code |= BPF_ABS;
		is_i64(NCP_EFILTER, ncpi_bpf_make(&b, f, bad[i].n), "refused: %s", bad[i].what);
	}
}

/* It goes round for ever: it is taken, and rejects. */
static void test_endless(void)
{
	const struct ncp_bpf_insn f[] = { { BPF_JMP | BPF_JA, 0, 0, (uint32_t)-1 },
					  { BPF_RET, 0, 0, 1 } };
	struct ncpi_bpf *b;

	is_i64(0, ncpi_bpf_make(&b, f, 2), "an endless loop");
	is_u64(0, ncpi_bpf_run(b, (const uint8_t *)"", 0, 0), "rejects, and ends");
	ncpi_bpf_free(b);
}

/* What the first jump passes over is met by a jump backward only. */
static void test_passed_over(void)
{
	const struct ncp_bpf_insn f[] = { { BPF_JMP | BPF_JA, 0, 0, 2 },
					  { BPF_LD | BPF_B | BPF_ABS, 0, 0, 1 },
					  { BPF_RET | BPF_A, 0, 0, 0 },
					  { BPF_LD | BPF_B | BPF_ABS, 0, 0, 0 },
					  { BPF_JMP | BPF_JEQ, 1, 0, 7 },
					  { BPF_JMP | BPF_JA, 0, 0, (uint32_t)-5 },
					  { BPF_RET, 0, 0, 9 } };
	struct ncpi_bpf *b;

	is_i64(0, ncpi_bpf_make(&b, f, 7), "a jump back to what the first one passed over");
	is_u64(9, ncpi_bpf_run(b, (const uint8_t *)"\7\5", 2, 2), "not taken");
	is_u64(5, ncpi_bpf_run(b, (const uint8_t *)"\6\5", 2, 2), "and taken");
	ncpi_bpf_free(b);
}

int main(void)
{
	plan(10 + 2 + 3 + 2 * 25 + 1 + 3);
	rng.seed = tap_seed();
	test_refusals();
	test_endless();
	test_passed_over();
	frames_read();
	test_expressions();
	test_random();
	for (size_t i = 0; i < n_frames; i++)
		free(frames[i].data);
	return tap_done();
}
