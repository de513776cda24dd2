/* SPDX-License-Identifier: BSD-2-Clause */
/* filter.c - what a client's filter costs, beside libpcap's bpf_filter() on the same frames. */
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libncpbus/bpf.h"
#include "libncpbus/include/ncpbus.h"
#include "libncpbus/stamp.h"

/*
 * filter [RUNS]: RUNS (default 7) interleaved runs.
 *
 * Prints a Markdown table: for each expression the medians of the CPU ns a frame (least, most) and
 * their ratio.  Both sides get every frame, and must agree on it.
 *
 *	mixed	TCP and UDP of 64 hosts and some ports, in IPv4 and IPv6, each third one tagged, in no
 *		order: what a step decides cannot be foreseen, and a wrong guess costs as much as
 *		several steps
 *	steady	one TCP connection
 */
#define FRAMES 4096u
#define ROUNDS 200u
#define RUNS_MAX 101
#define CAPLEN 120u
#define STEADY_FRAME 40u /* TCP in IPv4, without a tag */

enum mix {
	MIXED,
	STEADY,
	MIXES
};
static const char *const mix_name[MIXES] = { "mixed", "steady" };
static uint8_t frames[MIXES][FRAMES][CAPLEN];

static const char *const expr[] = {
	"tcp port 80",
	"host 10.0.0.1 and not port 22",
	"host 10.0.0.1 or host 10.0.0.2 or host 10.0.0.3 or host 10.0.0.4 or host 10.0.0.5 or "
	"host 10.0.0.6 or host 10.0.0.7 or host 10.0.0.8 or host 10.0.0.9 or host 10.0.0.10 or "
	"host 10.0.0.11 or host 10.0.0.12 or host 10.0.0.13 or host 10.0.0.14 or host 10.0.0.15 or "
	"host 10.0.0.16 or host 10.0.0.17 or host 10.0.0.18 or host 10.0.0.19 or host 10.0.0.20",
};
static const char *const name[] = { "tcp port 80", "host A and not port 22", "or of 20 hosts" };
#define EXPRS (sizeof(expr) / sizeof(*expr))

/* One of [0, n), the same at every run: from the frame's number. */
static uint32_t pick(uint32_t i, uint32_t salt, uint32_t n)
{
	uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15) + salt * UINT64_C(0xbf58476d1ce4e5b9);

	x ^= x >> 29;
	x *= UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((x >> 32) % n);
}

static void frame_make(uint8_t *f, uint32_t i)
{
	static const uint16_t ports[] = { 80, 443, 53, 22, 8080, 5000, 6000, 1234 };
	uint32_t l3 = 14;

	memset(f, 0, CAPLEN);
	if (i % 3 == 0) {
		f[12] = 0x81, f[15] = 7;
		l3 = 18;
	}
	bool v6 = pick(i, 1, 4) == 0;
	uint32_t l4 = l3 + (v6 ? 40 : 20);
	uint8_t protocol = pick(i, 2, 3) ? 6 : 17;
	f[l3 - 2] = v6 ? 0x86 : 0x08, f[l3 - 1] = v6 ? 0xdd : 0x00;
	f[l3] = v6 ? 0x60 : 0x45;
	if (v6) {
		f[l3 + 6] = protocol;
	} else {
		f[l3 + 9] = protocol;
		f[l3 + 12] = f[l3 + 16] = 10;
		f[l3 + 15] = (uint8_t)pick(i, 3, 64), f[l3 + 19] = (uint8_t)pick(i, 4, 64);
	}
	uint16_t port = ports[pick(i, 5, 8)];
	f[l4] = 0xc0, f[l4 + 1] = (uint8_t)i;
	f[l4 + 2] = (uint8_t)(port >> 8), f[l4 + 3] = (uint8_t)port;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* CPU ns a frame of both; ends the program where they do not agree. */
static void compare(const struct bpf_program *p, const struct ncpi_bpf *b, uint8_t (*f)[CAPLEN],
		    double *ours, double *theirs)
{
	uint64_t n = 0, m = 0, t = ncpi_now(CLOCK_THREAD_CPUTIME_ID);

	for (uint32_t i = 0; i < FRAMES * ROUNDS; i++)
		n += ncpi_bpf_run(b, f[i % FRAMES], CAPLEN, CAPLEN) != 0;
	uint64_t u = ncpi_now(CLOCK_THREAD_CPUTIME_ID);
	for (uint32_t i = 0; i < FRAMES * ROUNDS; i++)
		m += bpf_filter(p->bf_insns, f[i % FRAMES], CAPLEN, CAPLEN) != 0;
	uint64_t v = ncpi_now(CLOCK_THREAD_CPUTIME_ID);
	if (n != m) {
		fprintf(stderr, "filter: %llu of ours, %llu of theirs\n", (unsigned long long)n,
			(unsigned long long)m);
		exit(1);
	}
	*ours = (double)(u - t) / (FRAMES * ROUNDS);
	*theirs = (double)(v - u) / (FRAMES * ROUNDS);
}

int main(int argc, char **argv)
{
	static double ours[EXPRS][MIXES][RUNS_MAX], theirs[EXPRS][MIXES][RUNS_MAX];
	unsigned runs = argc > 1 ? (unsigned)atoi(argv[1]) : 7;
	struct bpf_program p[EXPRS];
	struct ncpi_bpf *b[EXPRS];

	if (runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr, "usage: filter [RUNS]\n");
		return 2;
	}
	for (uint32_t i = 0; i < FRAMES; i++) {
		frame_make(frames[MIXED][i], i);
		frame_make(frames[STEADY][i], STEADY_FRAME);
	}
	for (size_t e = 0; e < EXPRS; e++) {
		pcap_t *dead = pcap_open_dead(DLT_EN10MB, 262144);

		if (!dead || pcap_compile(dead, &p[e], expr[e], 1, 0) < 0 ||
		    ncpi_bpf_make(&b[e], (const struct ncp_bpf_insn *)p[e].bf_insns, p[e].bf_len) <
			    0) {
			fprintf(stderr, "filter: %s: does not compile\n", expr[e]);
			return 1;
		}
		pcap_close(dead);
	}
	for (unsigned run = 0; run < runs; run++)
		for (size_t e = 0; e < EXPRS; e++)
			for (int m = 0; m < MIXES; m++)
				compare(&p[e], b[e], frames[m], &ours[e][m][run],
					&theirs[e][m][run]);
	printf("| CPU ns a frame | frames | ncp | libpcap | ncp of libpcap |\n|---|---|---|---|---|\n");
	for (size_t e = 0; e < EXPRS; e++) {
		for (int m = 0; m < MIXES; m++) {
			double *o = ours[e][m], *t = theirs[e][m];

			qsort(o, runs, sizeof(*o), ascending);
			qsort(t, runs, sizeof(*t), ascending);
			printf("| %s | %s | %.1f (%.1f–%.1f) | %.1f (%.1f–%.1f) | %.2f |\n",
			       name[e], mix_name[m], o[runs / 2], o[0], o[runs - 1], t[runs / 2],
			       t[0], t[runs - 1], o[runs / 2] / t[runs / 2]);
		}
		pcap_freecode(&p[e]);
		ncpi_bpf_free(b[e]);
	}
	return 0;
}
