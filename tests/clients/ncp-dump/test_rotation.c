/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rotation.c - when a file ends and which follows, as tcpdump and dumpcap have it. */
#include <stdlib.h>

#include "clients/ncp-dump/rotation.h"
#include "tap/tap.h"

#define S UINT64_C(1000000000)
#define T (UINT64_C(1700000000) * S)

static struct rotation r;

static void begin(const struct rotation_options *o)
{
	rotation_begin(&r, o, 0, T, S);
}

/* n files end for why, one a second. */
static bool next(int n, enum rotation_why why)
{
	bool more = true;

	for (int i = 0; i < n; i++)
		more = rotation_next(&r, why, T + (uint64_t)i * S, S);
	return more;
}

int main(void)
{
	const struct rotation_options none = { 0 };
	const struct rotation_options c = { .size = 1000000, .over = true };
	const struct rotation_options cw = { .size = 1000000, .over = true, .count = 3 };
	const struct rotation_options g = { .every_s = 10 }, gw = { .every_s = 10, .count = 3 };
	const struct rotation_options cgw = { .size = 1, .over = true, .every_s = 10, .count = 3 };
	const struct rotation_options b = { .size = 1000, .packets = 5, .stop_files = 3 };
	const struct rotation_options d = { .duration_ns = S / 2 }, i = { .interval_s = 3600 };

	plan(31);
	begin(&none);
	is_u64(UINT64_MAX, rotation_full_at(&r), "without a limit no length is full");
	is_u64(UINT64_MAX, rotation_packets(&r), "and no number of frames");
	is_u64(UINT64_MAX, rotation_wait_ns(&r, T, 0), "nor is it ever time");
	ok(next(5, ROTATION_ASKED) && r.number == 5, "asked for, the numbers go up");

	begin(&c);
	is_u64(1000001, rotation_full_at(&r), "-C: larger than that is full");
	ok(next(100, ROTATION_FULL) && r.number == 100, "numbers go up without end");
	begin(&cw);
	ok(next(2, ROTATION_FULL) && r.number == 2, "-C -W 3: numbers 0, 1, 2");
	ok(next(1, ROTATION_FULL) && r.number == 0, "and 0 again");
	ok(next(1, ROTATION_ASKED) && r.number == 1, "asked for, too");

	begin(&g);
	is_u64(10 * S, rotation_wait_ns(&r, T, S), "-G 10: ten seconds");
	is_u64(1, rotation_wait_ns(&r, T + 10 * S - 1, S), "to the nanosecond");
	is_u64(0, rotation_wait_ns(&r, T + 10 * S, S), "then it is time");
	ok(next(1, ROTATION_ASKED) && r.number == 1, "asked for: a number behind the same time");
	is_u64(6 * S, rotation_wait_ns(&r, T + 4 * S, S), "and the time of the next stays");
	ok(rotation_next(&r, ROTATION_TIME, T + 10 * S, S) && r.number == 0, "a new time has no number");
	is_u64(T + 10 * S, r.begun_ns, "it is that of the file's beginning");
	rotation_begin(&r, &g, 0, T + S / 2, S);
	is_u64(0, rotation_wait_ns(&r, T + 10 * S, S), "whole seconds are counted, as by time(2)");
	begin(&g);
	is_u64(10 * S, rotation_wait_ns(&r, T - 3600 * S, S), "a clock set back an hour does not cost an hour");

	begin(&gw);
	ok(next(2, ROTATION_TIME), "-G -W 3: two files end");
	ok(!next(1, ROTATION_TIME), "the third is the last");
	begin(&gw);
	ok(next(7, ROTATION_ASKED) && next(2, ROTATION_TIME), "those asked for do not count");
	begin(&cgw);
	ok(next(9, ROTATION_TIME), "-C -G -W: no end");
	ok(next(3, ROTATION_FULL) && r.number == 0, "but round and round within each time");
	ok(next(2, ROTATION_FULL) && next(1, ROTATION_TIME) && r.number == 0, "which begins anew");

	begin(&b);
	ok(rotation_full_at(&r) == 1000 && rotation_packets(&r) == 5, "-b: full when it is reached");
	ok(next(2, ROTATION_FULL) && r.number == 2, "-a files:3: two files end");
	ok(!next(1, ROTATION_FULL), "the third is the last");
	begin(&d);
	is_u64(S / 2, rotation_wait_ns(&r, T, S), "-b duration: fractions of a second");
	is_u64(0, rotation_wait_ns(&r, T, S + S / 2), "by a clock that nobody sets");
	rotation_begin(&r, &i, 0, T + 1, S);
	is_u64((3600 - 1700000000 % 3600) * S - 1, rotation_wait_ns(&r, T + 1, S),
	       "-b interval: at its next multiple");
	next(1, ROTATION_FULL);
	is_u64((3600 - 1700000000 % 3600) * S, rotation_wait_ns(&r, T, S), "also after a file that was full");
	return tap_done();
}
