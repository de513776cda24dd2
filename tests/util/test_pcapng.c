/* SPDX-License-Identifier: BSD-2-Clause */
/* test_pcapng.c - blocks built and walked; libpcap as judge of what was built. */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>

#include "libncpbus/layout.h"
#include "tap/tap.h"
#include "util/pcapng.h"

_Static_assert(sizeof(struct pcapng_local) == sizeof(struct ncpi_local), "one format, two sizes");
_Static_assert(PCAPNG_LOCAL == NCPI_LOCAL && (int)PCAPNG_GAP == (int)NCPI_LOCAL_GAP &&
		       (int)PCAPNG_FILE == (int)NCPI_LOCAL_FILE,
	       "one format, two numbers");

static uint8_t buf[1 << 16];

static void refusals(void)
{
	struct pcapng_block b;
	uint32_t bad[] = { 0, 4, 8, 13, 14, 0xffffffff, PCAPNG_BLOCK_MAX + 4 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint32_t words[3] = { PCAPNG_EPB, bad[i], bad[i] };

		is_i64(-EBADMSG, pcapng_next((uint8_t *)words, sizeof(words), &b),
		       "refuses a block of %u bytes", bad[i]);
	}
	uint32_t words[4] = { 7, 16, 0, 16 };
	is_i64(0, pcapng_next((uint8_t *)words, 7, &b), "waits for type and length");
	is_i64(0, pcapng_next((uint8_t *)words, 12, &b), "waits for the whole block");
	is_i64(1, pcapng_next((uint8_t *)words, 16, &b), "takes a whole one");
	ok(b.type == 7 && b.len == 16 && b.body_len == 4, "and says what it is");
}

/* A file with one interface, a gap, padding, n frames and statistics, read back by libpcap. */
static void judged(void)
{
	static const uint8_t head[] = {
		0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0,
		1, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0,
		9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0 };
	char err[PCAP_ERRBUF_SIZE], data[300];
	struct pcapng_local l = { .kind = PCAPNG_GAP, .next_seq = 10 };
	struct pcapng_gap gap = { .first_seq = 3 };
	size_t len = sizeof(head), at[302];
	unsigned int n = 0;

	memcpy(buf, head, len);
	len += pcapng_local(buf + len, &l, &gap, sizeof(gap), PCAPNG_GAP_MIN);
	len += pcapng_padding(buf + len, PCAPNG_PADDING_MIN);
	memset(data, 'x', sizeof(data));
	for (n = 0; n <= 300; n++) {
		struct pcapng_frame f = { .data = (uint8_t *)data, .caplen = n, .len = n + 1,
					  .flags = n % 3, .dropcount = n % 5, .ts = 1000000007u + n };

		at[n] = len;
		if (len + PCAPNG_FRAME_MAX(n) > sizeof(buf) - PCAPNG_STATS_MAX)
			break;
		len += pcapng_frame(buf + len, &f);
	}
	at[n] = len;
	struct pcapng_stats s = { .ts = 5, .start = 1, .end = 2, .received = 9, .dropped = 8,
				  .delivered = 7, .comment = "all of them" };
	size_t stats_len = pcapng_stats(buf + len, &s);
	ok(stats_len <= PCAPNG_STATS_MAX, "statistics fit in what they are said to");

	struct pcapng_block b;
	size_t off = 0;
	unsigned int frames = 0;
	while (pcapng_next(buf + off, len + stats_len - off, &b) == 1) {
		uint32_t last;

		memcpy(&last, b.at + b.len - 4, 4);
		if (last != b.len)
			break;
		frames += b.type == PCAPNG_EPB;
		off += b.len;
	}
	is_u64(len + stats_len, off, "the walk ends where the blocks do");
	is_u64(n, frames, "and meets every frame");

	uint64_t seen;
	bool cuts = true;
	for (unsigned int k = 1; k <= n; k++)
		cuts = cuts && pcapng_cut(buf, len, k, &seen) == at[k] && seen == k;
	ok(cuts, "a cut ends behind exactly the n-th frame");
	is_u64(at[n - 1], pcapng_cut(buf, at[n] - 4, n, &seen), "a cut leaves out a torn block");
	is_u64(n - 1, seen, "and does not count it");
	bool fills = true;
	for (size_t bytes = at[0] + 1; bytes <= at[n]; bytes++) {
		size_t got = pcapng_fill(buf, at[n], bytes, UINT64_MAX, &seen);

		fills = fills && got >= bytes && got == at[seen] && at[seen - 1] < bytes;
	}
	ok(fills, "a number of bytes is reached by the block that reaches it");
	ok(pcapng_fill(buf, len, UINT64_MAX, 2, &seen) == at[2] && seen == 2, "or the n-th frame ends it");

	FILE *f = fmemopen(buf, len + stats_len, "r");
	pcap_t *p = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, err);
	if (!p)
		bail("libpcap: %s", err);
	struct pcap_pkthdr *h;
	const u_char *bytes;
	unsigned int k = 0;
	int r;
	while ((r = pcap_next_ex(p, &h, &bytes)) == 1) {
		if (h->caplen != k || h->len != k + 1 || h->ts.tv_sec != 1 ||
		    h->ts.tv_usec != (long)(7 + k) || memcmp(bytes, data, k))
			break;
		k++;
	}
	is_i64(PCAP_ERROR_BREAK, r, "libpcap reads it to the end");
	is_u64(n, k, "and finds every frame as it was");
	pcap_close(p);
}

static void local_blocks(void)
{
	struct pcapng_local l = { .kind = PCAPNG_FILE, .epoch = 1, .incarnation = 2, .next_seq = 3,
				  .from_ns = 4, .to_ns = 5, .reason = 6 }, seen;
	struct pcapng_file file = { .window = 7, .verified = 8, .complete = 1, .bus = "eth0" }, got;
	struct pcapng_block b;

	is_u64(PCAPNG_FILE_LEN, pcapng_local(buf, &l, &file, sizeof(file), PCAPNG_FILE_LEN),
	       "a file's block has its length");
	ok(pcapng_next(buf, PCAPNG_FILE_LEN, &b) == 1 &&
		   pcapng_local_read(&b, &seen, &got, sizeof(got)) == 1,
	   "and is read back");
	memcpy(l.magic, "ncp", 4);
	is_mem(&l, &seen, sizeof(l), "with what it says");
	is_mem(&file, &got, sizeof(file), "and what the file adds");

	pcapng_local(buf, &l, NULL, 0, PCAPNG_GAP_MIN);
	ok(pcapng_next(buf, PCAPNG_GAP_MIN, &b) == 1 && pcapng_local_read(&b, &seen, NULL, 0) == 1,
	   "a short one is read");
	ok(seen.next_seq == 3 && seen.from_ns == 0 && seen.reason == 0,
	   "as far as it goes, the rest is 0");
	buf[8] = 'N';
	is_i64(0, pcapng_local_read(&b, &seen, NULL, 0), "somebody else's is not ours");

	bool good = true;
	for (uint32_t align = 4; align <= 4096; align *= 2)
		for (uint64_t from = 0; from < 64; from += 4)
			for (uint64_t to = 0; to < 64; to += 4) {
				uint32_t n = pcapng_padding_len(from, to, align);

				good = good && (from + n - to) % align == 0 &&
				       (n == 0 || n >= PCAPNG_PADDING_MIN) &&
				       n < align + PCAPNG_PADDING_MIN;
			}
	ok(good, "padding moves any offset to any other, by the least that can be");
}

int main(void)
{
	plan(29);
	refusals();
	judged();
	local_blocks();
	return tap_done();
}
