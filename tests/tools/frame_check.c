/* SPDX-License-Identifier: BSD-2-Clause */
/* frame_check.c - are the numbered frames of a series of captures all there, each once, in order? */
#include <endian.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/pcapng.h"

/*
 * frame_check [-u] FILE...
 *
 * Reads captures in the order given and looks at every frame to UDP port 9 over IPv4 over Ethernet
 * (frame_send's, and the synth source's), or IPv4 in netfilter's log messages: its payload begins
 * with its number.  Prints
 *
 *	frames=N first=A last=B holes=H duplicates=D other=O [gapped=G]
 *
 * holes: numbers between A and B that are missing and that no gap block stands for; duplicates: a
 * number not above the one before; other: frames that bear no number; gapped: frames that gap blocks
 * stand for, if there are any.  A gap block must stand where its frames are missing: between two
 * frames no more may be said to be missing than are.
 *
 * Exits 1 if a file cannot be read to its end, on H or D, and where a gap block says too much.
 * libpcap reads the frames; it passes over gap blocks, which are found by a walk of our own (not in
 * pipes).
 *
 * -u: in whatever order they stand, as several workers publish them; what is missing is a hole then,
 * gap block or not.
 */
struct tally {
	uint64_t frames, first, last, holes, duplicates, other;
	uint64_t gapped, pending; /* pending: since the last frame */
	uint64_t wrong;
};

/* Gap blocks of a file. */
struct gaps {
	struct gap {
		uint64_t before; /* how many frames of the file stand before it */
		uint64_t n;	 /* frames it stands for */
	} *gap;
	size_t n, cap;
};

static bool number_in_ip(const u_char *p, size_t len, uint64_t *number)
{
	if (len < 36 || p[0] != 0x45 || p[9] != 17 || p[22] != 0 || p[23] != 9)
		return false;
	memcpy(number, p + 28, 8);
	*number = be64toh(*number);
	return true;
}

/* The packet that a message of netfilter's log is about: four bytes, then attributes. */
static bool number_in_log(const u_char *p, size_t len, uint64_t *number)
{
	for (size_t off = 4, size; off + 4 <= len; off += (size + 3) & ~(size_t)3) {
		size = p[off] | (size_t)p[off + 1] << 8;
		if (size < 4 || size > len - off)
			return false;
		if (p[off + 2] == NFULA_PAYLOAD)
			return number_in_ip(p + off + 4, size - 4, number);
	}
	return false;
}

static bool number_of(const struct pcap_pkthdr *h, const u_char *p, int dlt, uint64_t *number)
{
	if (dlt == DLT_NFLOG)
		return number_in_log(p, h->caplen, number);
	return h->caplen >= 14 && p[12] == 0x08 && p[13] == 0x00 &&
	       number_in_ip(p + 14, h->caplen - 14, number);
}

static void take(struct tally *t, uint64_t n)
{
	if (t->frames++ == 0) {
		t->first = t->last = n;
	} else if (n <= t->last) {
		t->duplicates++;
	} else {
		uint64_t missing = n - t->last - 1;

		if (t->pending > missing) {
			fprintf(stderr, "frame_check: gaps of %llu frames between %llu and %llu\n",
				(unsigned long long)t->pending, (unsigned long long)t->last,
				(unsigned long long)n);
			t->wrong++;
		} else {
			t->holes += missing - t->pending;
		}
		t->last = n;
	}
	t->pending = 0;
}

static void take_gap(struct tally *t, uint64_t n)
{
	t->gapped += n;
	t->pending += n;
}

static void gaps_add(struct gaps *g, uint64_t before, uint64_t n)
{
	if (g->n == g->cap) {
		g->cap = g->cap ? 2 * g->cap : 16;
		g->gap = realloc(g->gap, g->cap * sizeof(*g->gap));
		if (!g->gap)
			abort();
	}
	g->gap[g->n++] = (struct gap){ before, n };
}

/* The gaps of a pcapng file; none of another, of a pipe, and behind what is no block. */
static void gaps_read(struct gaps *g, const char *path)
{
	struct pcapng_block b;
	uint64_t frames = 0, seq = 0;
	uint8_t *bytes = MAP_FAILED;
	struct stat st = { 0 };
	size_t len, off = 0;
	int fd = -1;

	g->n = 0;
	/* Before it is opened: a FIFO's writer would take this for its reader, and the end of this
	 * for his end. */
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (bytes == MAP_FAILED)
		return;
	len = (size_t)st.st_size;
	while (pcapng_next(bytes + off, len - off, &b) == 1) {
		struct pcapng_local l;
		struct pcapng_gap gap;

		if (off == 0 && b.type != PCAPNG_SHB)
			break;
		off += b.len;
		if (b.type == PCAPNG_EPB) {
			frames++;
			seq++;
		}
		if (!pcapng_local_read(&b, &l, &gap, sizeof(gap)))
			continue;
		if (l.kind == PCAPNG_GAP && l.next_seq != UINT64_MAX)
			/* A short one says only what comes next; such files count every frame. */
			gaps_add(g, frames,
				 l.next_seq - (b.len < PCAPNG_GAP_LEN ? seq : gap.first_seq));
		if (l.kind == PCAPNG_FILE || l.kind == PCAPNG_GAP)
			seq = l.next_seq;
	}
	munmap(bytes, len);
}

/* -u: all numbers, to be put in order at the end. */
struct numbers {
	uint64_t *of;
	size_t n, room;
};

static void keep(struct numbers *all, uint64_t n)
{
	if (all->n == all->room) {
		all->room = all->room ? 2 * all->room : 1u << 16;
		all->of = realloc(all->of, all->room * sizeof(*all->of));
		if (!all->of)
			abort();
	}
	all->of[all->n++] = n;
}

static int compare(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* all: where the numbers go, or NULL: they are in order.  Returns 0, or 1 after saying what is
 * wrong. */
static int read_one(struct tally *t, struct gaps *g, struct numbers *all, const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *h;
	const u_char *p;
	uint64_t n, index = 0;
	size_t next = 0;
	int r;
	pcap_t *file;

	if (!all)
		gaps_read(g, path);
	file = pcap_open_offline(path, error);
	if (!file) {
		fprintf(stderr, "frame_check: %s: %s\n", path, error);
		return 1;
	}
	while ((r = pcap_next_ex(file, &h, &p)) == 1) {
		while (next < g->n && g->gap[next].before <= index)
			take_gap(t, g->gap[next++].n);
		index++;
		if (!number_of(h, p, pcap_datalink(file), &n))
			t->other++;
		else if (all)
			keep(all, n);
		else
			take(t, n);
	}
	while (next < g->n)
		take_gap(t, g->gap[next++].n);
	if (r != PCAP_ERROR_BREAK)
		fprintf(stderr, "frame_check: %s: %s\n", path, pcap_geterr(file));
	pcap_close(file);
	return r != PCAP_ERROR_BREAK;
}

int main(int argc, char **argv)
{
	const bool unordered = argc > 1 && strcmp(argv[1], "-u") == 0;
	struct numbers all = { 0 };
	struct tally t = { 0 };
	struct gaps g = { 0 };
	int failed = 0;

	if (argc < 2 + unordered) {
		fprintf(stderr, "usage: frame_check [-u] FILE...\n");
		return 2;
	}
	for (int i = 1 + unordered; i < argc; i++)
		failed |= read_one(&t, &g, unordered ? &all : NULL, argv[i]);
	free(g.gap);
	if (all.n)
		qsort(all.of, all.n, sizeof(*all.of), compare);
	for (size_t i = 0; i < all.n; i++)
		take(&t, all.of[i]);
	free(all.of);
	printf("frames=%llu first=%llu last=%llu holes=%llu duplicates=%llu other=%llu",
	       (unsigned long long)t.frames, (unsigned long long)t.first,
	       (unsigned long long)t.last, (unsigned long long)t.holes,
	       (unsigned long long)t.duplicates, (unsigned long long)t.other);
	if (t.gapped)
		printf(" gapped=%llu", (unsigned long long)t.gapped);
	putchar('\n');
	return failed || t.holes || t.duplicates || t.wrong;
}
