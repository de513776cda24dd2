/* SPDX-License-Identifier: BSD-2-Clause */
/* test_naming.c - names of a series as tcpdump and dumpcap give them, and which names are of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/ncp-dump/naming.h"
#include "tap/tap.h"

#define AT 1795234410 /* 2026-11-21 04:13:30 UTC */

static void makes(const struct naming *n, uint64_t number, const char *want)
{
	char out[128];
	uint64_t back = UINT64_MAX;
	int r = naming_make(out, sizeof(out), n, number, AT);

	is_str(want, r < 0 ? strerror(-r) : out, "%s number %llu", n->path, (unsigned long long)number);
	ok(naming_number(n, want, AT, &back) == 1 && back == number && naming_may(n, strrchr(want, '/') ?
		strrchr(want, '/') + 1 : want), "  and back");
}

/* Every file naming_make() names is of the series, and a name with one byte changed is of it only if
 * it is another number's. */
static void random_names(void)
{
	static const char *const path[] = { "x", "d.x/a.pcapng", "a%H:%M.pcapng", "7", "a1", "%s" };
	struct tap_rng rng = { .seed = tap_seed() };
	bool good = true;

	for (int i = 0; i < 20000 && good; i++) {
		struct naming n = { .path = path[tap_rng_below(&rng, 6)], .utc = true };
		time_t at = AT + (time_t)tap_rng_below(&rng, 100000);
		uint64_t number = tap_rng_below(&rng, 2000), back;
		char name[64], again[64];

		n.ring = tap_rng_below(&rng, 2);
		n.time_first = n.ring && tap_rng_below(&rng, 2);
		n.dated = !n.ring && tap_rng_below(&rng, 2);
		n.digits = n.ring ? 0 : (uint32_t)tap_rng_below(&rng, 5);
		if (naming_make(name, sizeof(name), &n, number, at) < 0)
			bail("%s", n.path);
		good = naming_number(&n, name, at, &back) == 1 && back == number;
		name[tap_rng_below(&rng, strlen(name))] = "0149_.x"[tap_rng_below(&rng, 7)];
		if (good && naming_number(&n, name, at, &back) == 1)
			good = naming_make(again, sizeof(again), &n, back, at) == 0 &&
			       (!strcmp(again, name) || strchr(name, '/'));
		if (!good)
			diag("%s: %s", n.path, name);
	}
	ok(good, "20000 random names are read back, and no other is");
}

int main(void)
{
	const struct naming plain = { .path = "t/x.pcapng" };
	const struct naming two = { .path = "x", .digits = naming_digits(11) };
	const struct naming dated = { .path = "d/%Y-%m-%d_%H%M%S.pcapng", .dated = true, .utc = true };
	const struct naming both = { .path = "%H.x", .dated = true, .utc = true, .digits = 1 };
	const struct naming ring = { .path = "a.b/c.pcapng", .ring = true, .utc = true };
	const struct naming first = { .path = "a.b/c", .ring = true, .utc = true, .time_first = true };
	const struct naming literal = { .path = "%Y" };
	const struct naming empty = { .path = "%Z", .dated = true };
	uint64_t n;
	char out[16];

	plan(7 + 2 * 12 + 1 + 11 + 1);
	is_i64(-ENAMETOOLONG, naming_make(out, sizeof(out), &plain, 1000000, AT), "refuses what does not fit");
	is_i64(-ENAMETOOLONG, naming_make(out, 10, &plain, 0, AT), "nor the name alone");
	is_i64(-ENAMETOOLONG, naming_make(out, sizeof(out), &ring, 0, AT), "nor dumpcap's");
	is_i64(-ENAMETOOLONG, naming_make(out, sizeof(out), &dated, 0, AT), "nor a dated one");
	/* tcpdump -C -W: b.pcap0 b.pcap1 for 2, c0..c9 for 10, d00..d10 for 11, j for 1. */
	ok(naming_digits(1) == 0 && naming_digits(2) == 1 && naming_digits(10) == 1, "one digit up to 10");
	is_u64(2, naming_digits(11), "two from 11 on");
	is_u64(3, naming_digits(1000), "three for 1000");

	makes(&plain, 0, "t/x.pcapng");
	makes(&plain, 12, "t/x.pcapng12");
	makes(&two, 0, "x00");
	makes(&two, 10, "x10");
	makes(&two, 123, "x123");
	makes(&dated, 0, "d/2026-11-21_041330.pcapng");
	makes(&dated, 3, "d/2026-11-21_041330.pcapng3");
	makes(&both, 2, "04.x2");
	makes(&ring, 0, "a.b/c_00001_20261121041330.pcapng");
	makes(&ring, 99998, "a.b/c_99999_20261121041330.pcapng");
	makes(&first, 41, "a.b/c_20261121041330_00042");
	makes(&literal, 0, "%Y");
	setenv("TZ", "", 1);
	tzset();
	ok(naming_make(out, sizeof(out), &empty, 0, AT) == 0 || *out == '\0', "a form may give nothing");

	ok(!naming_number(&plain, "x.pcapng07", AT, &n), "no number has a 0 in front");
	ok(!naming_number(&plain, "x.pcapng1b", AT, &n), "nor a letter behind");
	ok(!naming_number(&plain, "y.pcapng1", AT, &n), "another name is of another series");
	ok(naming_number(&plain, "/elsewhere/x.pcapng1", AT, &n) && n == 1, "the folder is not looked at");
	ok(!naming_number(&two, "x", AT, &n), "-W leaves no name without digits");
	ok(!naming_number(&two, "x1", AT, &n), "nor with too few");
	ok(!naming_number(&dated, "2026-11-21_041331.pcapng", AT, &n), "another time is not the file's own");
	ok(!naming_number(&ring, "c_00001_20261121041331.pcapng", AT, &n), "nor in dumpcap's names");
	ok(!naming_number(&ring, "c_0000a_20261121041330.pcapng", AT, &n), "five digits are digits");
	ok(!naming_number(&ring, "c_1.pcapng", AT, &n), "and five");
	ok(!naming_may(&dated, "x") == false && !naming_may(&plain, "y"), "a look at the beginning spares others");
	random_names();
	return tap_done();
}
