/* SPDX-License-Identifier: BSD-2-Clause */
/* test_source_synth.c - made-up frames are valid, numbered, the same each time, and on time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/source.h"
#include "producer/source_synth.h"
#include "tap/tap.h"

static const struct source_options defaults = { .snaplen = 262144, .retire_ms = 1 };

static struct source *begin_with(const char *arg, const struct source_options *o)
{
	const char *spec = NULL;
	const struct source_ops *ops = source_find(arg, &spec);
	struct source *src = NULL;
	char why[SOURCE_WHY_CAP] = "";

	if (!ops || ops->open(&src, spec, o, why) || ops->start(src))
		bail("%s: %s", arg, why);
	return src;
}

static struct source *begin(const char *arg)
{
	return begin_with(arg, &defaults);
}

static uint64_t get(const uint8_t *p, unsigned int n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* The one's complement sum of 16-bit words, as RFC 1071 defines it, one word after the other. */
static uint32_t ones_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 2) {
		sum += (uint32_t)p[i] << 8 | (i + 1 < len ? p[i + 1] : 0u);
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

/* Why a frame is not what source_synth.h promises of number n; NULL: it is. */
static const char *fault(const struct ncpi_frame *f, uint64_t n)
{
	const uint8_t *d = f->data, *udp = d + 34, *payload = d + SYNTH_HEADERS;
	uint32_t len = f->len - SYNTH_HEADERS;

	if (f->caplen != f->len || f->len < SYNTH_MIN)
		return "length";
	if (get(d + 12, 2) != 0x0800 || d[14] != 0x45 || d[23] != 17)
		return "headers";
	if (get(d + 16, 2) != f->len - 14 || get(udp + 4, 2) != f->len - 34)
		return "lengths in the headers";
	if (ones_sum(0, d + 14, 20) != 0xffff)
		return "IP checksum";
	if (!get(udp + 6, 2) || ones_sum(ones_sum(17 + f->len - 34, d + 26, 8), udp, len + 8) != 0xffff)
		return "UDP checksum";
	for (uint32_t i = 0; i < len; i++) {
		if (i % 64 == 0 && len - i >= 8) {
			if (get(payload + i, 8) != n)
				return "number";
			i += 7;
		} else if (payload[i] != i % 251) {
			return "payload";
		}
	}
	return NULL;
}

/* Takes frames until the end and checks each; returns how many were right. */
static uint64_t run(struct source *src, uint64_t sizes[2048])
{
	struct source_batch b;
	uint64_t n = 0;
	int r;

	while ((r = src->ops->take(src, &b, 100)) == SOURCE_FRAMES) {
		for (size_t i = 0; i < b.n; i++, n++) {
			const char *what = fault(&b.frames[i], n);

			if (what) {
				diag("frame %llu: %s", (unsigned long long)n, what);
				return n;
			}
			if (sizes && b.frames[i].len < 2048)
				sizes[b.frames[i].len]++;
		}
		src->ops->give(src, &b);
	}
	return r == SOURCE_END ? n : 0;
}

static void refusals(void)
{
	static const char *const specs[] = {
		"size=49",  "size=65550", "size=",   "size=abc", "count=-1",
		"count",    "colour=red", "flows=0", "pps=1e3",	 "seed=18446744073709551616",
		"imix=yes", "=",	  ",",
	};
	struct source *src = NULL;
	char why[SOURCE_WHY_CAP];

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		*why = '\0';
		ok(source_synth.open(&src, specs[i], &defaults, why) == -EINVAL && !src &&
			   !strncmp(why, "synth:", 6) && !strchr(why, '\n'),
		   "refuses %s: %s", specs[i], why);
	}
	struct source_options o = defaults;
	o.filter = "tcp port";
	is_i64(-EINVAL, source_synth.open(&src, "", &o, why), "refuses half a filter: %s", why);
	o = defaults;
	o.direction = NCP_INBOUND;
	is_i64(-EINVAL, source_synth.open(&src, "", &o, why), "refuses a direction: %s", why);
	const char *spec;
	ok(!source_find("synthetic:x", &spec) && !source_find("syn:x", &spec) &&
		   source_find("synth:x", &spec) == &source_synth && !strcmp(spec, "x"),
	   "the kind is what stands before the colon, in full");
}

static void contents(void)
{
	static const uint32_t sizes[] = { 50, 51, 57, 64, 105, 106, 113, 114, 1514, 9000, 65548, 65549 };
	struct ncpi_interface_desc d;
	struct source_counts c;
	struct source *src;
	char arg[64];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(arg, sizeof(arg), "synth:count=1000,size=%u", sizes[i]);
		src = begin(arg);
		is_u64(1000, run(src, NULL), "1000 frames of %u bytes are right", sizes[i]);
		src->ops->close(src);
	}

	uint64_t seen[2048] = { 0 };
	src = begin("synth:imix,count=12000,seed=7,flows=1000");
	is_u64(12000, run(src, seen), "12000 frames of IMIX are right");
	ok(seen[60] == 7000 && seen[590] == 4000 && seen[1514] == 1000, "they are mixed 7:4:1");
	src->ops->counts(src, &c);
	ok(c.received == 12000 && !c.discarded && !c.kernel_drops, "and counted");
	ok(src->ops->interface(src, 0, &d) == 1 && d.linktype == 1 && !strcmp(d.name, "synth") &&
		   src->ops->interface(src, 1, &d) == 0,
	   "one interface, Ethernet");
	is_u64(1514, d.snaplen, "whose snaplen is that of its longest frame");
	src->ops->close(src);

	src = begin("synth:count=3");
	struct source_batch b;
	ok(run(src, NULL) == 3 && src->ops->take(src, &b, 0) == SOURCE_END, "the end stays the end");
	src->ops->close(src);
}

/* Two runs with these specs give the same bytes. */
static bool same(const char *x, const char *y)
{
	struct source *src[2] = { begin(x), begin(y) };
	struct source_batch b[2];
	bool equal = true;
	size_t at[2] = { 0, 0 };

	b[0].n = b[1].n = 0;
	for (int i = 0; i < 1000 && equal; i++) {
		for (int j = 0; j < 2; j++) {
			while (at[j] == b[j].n) {
				if (src[j]->ops->take(src[j], &b[j], 100) != SOURCE_FRAMES)
					bail("%s ended", j ? y : x);
				at[j] = 0;
			}
		}
		const struct ncpi_frame *f = &b[0].frames[at[0]++], *g = &b[1].frames[at[1]++];
		equal = f->len == g->len && f->data != g->data && !memcmp(f->data, g->data, f->len);
	}
	src[0]->ops->close(src[0]);
	src[1]->ops->close(src[1]);
	return equal;
}

static int by_address(const void *x, const void *y)
{
	return memcmp(x, y, 4);
}

static void determinism(void)
{
	ok(same("synth:seed=5,imix", "synth:seed=5,imix,pps=1000000"), "one seed, the same frames");
	ok(!same("synth:seed=5", "synth:seed=6"), "another seed, other frames");

	enum { N = 5000 };
	static uint8_t addresses[2 * N][4];
	struct source *src = begin("synth:flows=5000,count=10000");
	struct source_batch b;
	size_t n = 0, distinct = 1;
	while (src->ops->take(src, &b, 0) == SOURCE_FRAMES)
		for (size_t i = 0; i < b.n; i++)
			memcpy(addresses[n++], b.frames[i].data + 26, 4);
	ok(n == 2 * N && !memcmp(addresses, addresses[N], sizeof(addresses) / 2),
	   "flows take turns");
	qsort(addresses, N, 4, by_address);
	for (size_t i = 1; i < N; i++)
		distinct += memcmp(addresses[i - 1], addresses[i], 4) != 0;
	is_u64(N, distinct, "no two flows share a source address");
	src->ops->close(src);
}

static void filters(void)
{
	struct source_options o = defaults;
	struct source_counts c;
	struct source_batch b;
	uint64_t n = 0, good = 0;

	o.filter = "udp and greater 1000";
	o.snaplen = 100;
	struct source *src = begin_with("synth:imix,count=1200", &o);
	while (src->ops->take(src, &b, 0) != SOURCE_END) {
		for (size_t i = 0; i < b.n; i++, n++)
			good += b.frames[i].len == 1514 && b.frames[i].caplen == 100 &&
				get(b.frames[i].data + SYNTH_HEADERS, 8) == 12 * n + 6;
	}
	is_u64(100, n, "a filter lets through what matches");
	is_u64(100, good, "numbered as it was made, cut to the snaplen");
	struct ncpi_interface_desc d;
	ok(src->ops->interface(src, 0, &d) == 1 && d.snaplen == 100, "which the interface tells");
	src->ops->counts(src, &c);
	is_u64(1100, c.discarded, "the rest counts as discarded");
	src->ops->close(src);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void pacing(void)
{
	uint64_t real = clock_ns(CLOCK_REALTIME), mono = clock_ns(CLOCK_MONOTONIC), n = 0, exact = 0;
	struct source *src = begin("synth:pps=30000,count=6001");
	struct source_batch b;
	uint64_t first = 0;
	bool early = false;
	int r;

	while ((r = src->ops->take(src, &b, 100)) != SOURCE_END) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		for (size_t i = 0; r == SOURCE_FRAMES && i < b.n; i++, n++) {
			if (!n)
				first = b.frames[0].ts_ns;
			exact += b.frames[i].ts_ns - first == n * 1000000000 / 30000;
			early |= now - mono < n * 1000000000 / 30000;
		}
	}
	is_u64(6001, n, "all paced frames come");
	is_u64(6001, exact, "each bears the time it was due: no drift");
	ok(!early, "none comes before it is due");
	ok(first >= real && first - real < 5000000000, "the first bears the time of the start");
	src->ops->close(src);

	src = begin("synth:pps=1");
	ok(src->ops->take(src, &b, 0) == SOURCE_FRAMES && b.n == 1, "the first frame is due at once");
	mono = clock_ns(CLOCK_MONOTONIC);
	is_i64(SOURCE_NOTHING, src->ops->take(src, &b, 20), "the second is not");
	uint64_t waited = clock_ns(CLOCK_MONOTONIC) - mono;
	ok(waited >= 20000000 && waited < 900000000, "and take() waits no longer than told");
	src->ops->close(src);

	src = begin("synth:");
	uint64_t before = clock_ns(CLOCK_REALTIME), last = 0;
	bool back = false;
	for (int i = 0; i < 1000; i++) {
		if (src->ops->take(src, &b, 0) != SOURCE_FRAMES)
			bail("unpaced frames ended");
		for (size_t j = 0; j < b.n; j++) {
			back |= b.frames[j].ts_ns < last;
			last = b.frames[j].ts_ns;
		}
	}
	ok(!back && last >= before && last <= clock_ns(CLOCK_REALTIME),
	   "unpaced frames bear the time they were made, never falling");
	src->ops->close(src);
}

int main(void)
{
	plan(13 + 3 + 12 + 6 + 4 + 4 + 8);
	refusals();
	contents();
	determinism();
	filters();
	pacing();
	return tap_done();
}
