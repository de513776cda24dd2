/* SPDX-License-Identifier: BSD-2-Clause */
/* test_capstream.c - the end of a frame is found from lengths alone, whatever they claim. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "producer/capstream.h"
#include "tap/tap.h"

static uint8_t bytes[4096];
static size_t n_bytes;

static void put(uint32_t v, bool swapped)
{
	v = swapped ? __builtin_bswap32(v) : v;
	memcpy(bytes + n_bytes, &v, sizeof(v));
	n_bytes += sizeof(v);
}

static void block(uint32_t type, uint32_t total, bool swapped)
{
	size_t at = n_bytes;

	put(type, swapped);
	put(total, swapped);
	if (type == 0x0a0d0d0a)
		put(0x1a2b3c4d, swapped);
	n_bytes = at + (total + 3) / 4 * 4;
}

static enum capstream_scan scan(enum capstream_format format, bool swapped, size_t *used)
{
	struct capstream_frames f = { .format = format, .swapped = swapped };

	return capstream_scan(&f, bytes, n_bytes, used);
}

static void record(uint32_t a, uint32_t b)
{
	n_bytes = 8;
	put(a, false);
	put(b, false);
}

static void pcap(void)
{
	struct capstream_frames f = { .format = CAPSTREAM_PCAP };
	size_t used;

	record(10, 1500);
	n_bytes = 15;
	is_i64(CAPSTREAM_PART, scan(CAPSTREAM_PCAP, false, &used), "half a record header");
	n_bytes = 25;
	is_i64(CAPSTREAM_PART, scan(CAPSTREAM_PCAP, false, &used), "a frame without its last byte");
	n_bytes = 26;
	ok(scan(CAPSTREAM_PCAP, false, &used) == CAPSTREAM_FRAME && used == 26, "a whole frame");
	n_bytes = 33;
	is_i64(CAPSTREAM_PART, scan(CAPSTREAM_PCAP_PATCHED, false, &used),
	       "Kuznetzov's header is eight bytes longer");
	n_bytes = 34;
	ok(scan(CAPSTREAM_PCAP_PATCHED, false, &used) == CAPSTREAM_FRAME && used == 34,
	   "and then it is whole");
	record(0, 0);
	ok(scan(CAPSTREAM_PCAP, false, &used) == CAPSTREAM_FRAME && used == 16, "an empty frame");
	record(0xffffffff, 60);
	is_i64(CAPSTREAM_BROKEN, scan(CAPSTREAM_PCAP, false, &used), "a frame of 4 GiB is none");
	is_i64(CAPSTREAM_BROKEN, scan(CAPSTREAM_PCAP, true, &used), "in either byte order");
	record(60, 20);
	n_bytes = 36;
	f.len_first = true;
	ok(capstream_scan(&f, bytes, n_bytes, &used) == CAPSTREAM_FRAME && used == 36,
	   "exchanged lengths: the second counts");
	f = (struct capstream_frames){ .format = CAPSTREAM_PCAP, .len_smallest = true };
	ok(capstream_scan(&f, bytes, n_bytes, &used) == CAPSTREAM_FRAME && used == 36,
	   "maybe exchanged: the smaller counts");
}

static void pcapng(void)
{
	struct capstream_frames f = { .format = CAPSTREAM_PCAPNG };
	size_t used;

	n_bytes = 0;
	block(0x0a0d0d0a, 28, true);
	block(1, 20, true);
	block(6, 64, true);
	size_t first = n_bytes;
	block(0x0a0d0d0a, 28, false);
	block(3, 32, false);
	ok(capstream_scan(&f, bytes, n_bytes, &used) == CAPSTREAM_FRAME && used == first && f.swapped,
	   "blocks up to the first that bears a frame, in the section's byte order");
	ok(capstream_scan(&f, bytes + first, n_bytes - first, &used) == CAPSTREAM_FRAME &&
		   used == n_bytes - first && !f.swapped,
	   "the next section has its own");
	n_bytes = first - 1;
	ok(scan(CAPSTREAM_PCAPNG, false, &used) == CAPSTREAM_PART && used == 48,
	   "a part of a frame: the whole blocks before it are done with");
	n_bytes = 0;
	block(2, 32, false);
	ok(scan(CAPSTREAM_PCAPNG, false, &used) == CAPSTREAM_FRAME && used == 32,
	   "the old packet block bears a frame");
	n_bytes = 0;
	block(1, 8, false);
	n_bytes = 64;
	is_i64(CAPSTREAM_BROKEN, scan(CAPSTREAM_PCAPNG, false, &used),
	       "a block shorter than its own frame makes no sense");
	n_bytes = 0;
	block(0x0a0d0d0a, 28, false);
	memset(bytes + 8, 0, 4);
	is_i64(CAPSTREAM_BROKEN, scan(CAPSTREAM_PCAPNG, false, &used),
	       "nor does a section without byte order");
	n_bytes = 0;
	put(6, false);
	put(0xfffffff0, false);
	put(0, false);
	is_i64(CAPSTREAM_BROKEN, scan(CAPSTREAM_PCAPNG, false, &used), "nor a block of 4 GiB");
}

/* Any bytes: the scanner stays inside them and always gets on. */
static void noise(void)
{
	struct tap_rng rng = { .seed = tap_seed() };
	bool inside = true;

	for (int i = 0; i < 20000; i++) {
		struct capstream_frames f = { .format = (enum capstream_format)tap_rng_below(&rng, 3),
					      .swapped = tap_rng_below(&rng, 2),
					      .len_first = tap_rng_below(&rng, 2) };
		size_t len = tap_rng_below(&rng, 200), used, at = 0;
		uint8_t *p = malloc(len ? len : 1); /* its end is the sanitizer's to watch */
		enum capstream_scan r;

		for (size_t j = 0; j < len; j++) {
			p[j] = (uint8_t)tap_rng_u64(&rng);
			if (tap_rng_below(&rng, 4)) /* small lengths, and types that exist */
				p[j] = tap_rng_below(&rng, 3) ? 0 : (uint8_t)tap_rng_below(&rng, 40);
		}
		do {
			r = capstream_scan(&f, p + at, len - at, &used);
			inside &= used <= len - at && (r != CAPSTREAM_FRAME || used);
			at += used;
		} while (inside && r == CAPSTREAM_FRAME);
		free(p);
	}
	ok(inside, "noise is never read beyond its end");
}

static void waiting(void)
{
	struct capstream_frames f = { .format = CAPSTREAM_PCAP };
	struct capstream s;
	int fds[2];

	if (pipe(fds) || capstream_init(&s, fds[0]))
		bail("no pipe");
	capstream_framed(&s, &f);
	record(4, 4);
	is_i64(0, capstream_ready(&s, 0), "nothing there: not ready");
	ok(write(fds[1], bytes, 19) == 19 && capstream_ready(&s, 0) == 0, "a part: not ready");
	ok(write(fds[1], bytes, 1) == 1 && capstream_ready(&s, 1000) == 1, "whole: ready");
	capstream_taken(&s);
	s.start = s.scanned;
	is_i64(0, capstream_ready(&s, 0), "taken: not ready");
	close(fds[1]);
	is_i64(1, capstream_ready(&s, 1000), "at the end libpcap may read on");
	capstream_fini(&s);
	close(fds[0]);
}

int main(void)
{
	plan(10 + 7 + 1 + 5);
	pcap();
	pcapng();
	noise();
	waiting();
	return tap_done();
}
