/* SPDX-License-Identifier: BSD-2-Clause */
/* report.c - what a storm must have seen, or it has shown nothing, and what it must not have seen. */
#include <stdlib.h>

#include "storm.h"

typedef unsigned long long ull;

uint64_t storm_seconds(uint64_t otherwise)
{
	const char *text = getenv("NCP_STORM_SECONDS");

	if (!text || !*text)
		return otherwise;
	uint64_t n = strtoull(text, NULL, 10);
	if (n == 0)
		bail("NCP_STORM_SECONDS=%s: no number of seconds", text);
	return n;
}

void storm_report(const struct test_bus *bus)
{
	const struct storm_sums *s = &storm->sums;
	uint64_t published = storm->published;

	storm_judge(published);
	is_u64(0, s->bad, "no torn frame was taken for whole, none came twice, every sum is right");
	ok(s->seen > 0 && s->filtered > 0 && s->others > 0 && s->lost > 0,
	   "%llu lives ended in order: %llu frames seen + %llu filtered + %llu others' + %llu lost",
	   (ull)s->in_order, (ull)s->seen, (ull)s->filtered, (ull)s->others, (ull)s->lost);
	is_u64(STORM_SLOTS, s->to_the_end, "of these one in each slot up to the last frame");
	ok(s->laps > 0 && s->taken_back > 0,
	   "clients were lapped: %llu losses told, %llu of them of frames that had been given",
	   (ull)s->laps, (ull)s->taken_back);
	/* A block has 290 bytes on average. */
	ok(published * 250 > 10 * bus->geo.ring_size, "%llu frames in a ring of %llu KiB: many laps",
	   (ull)published, (ull)bus->geo.ring_size >> 10);
	ok(s->takeovers > 0 && s->restarts > 0, "producers: %llu takeovers, %llu restarts",
	   (ull)s->takeovers, (ull)s->restarts);
	ok(s->sharded > 0 && s->shared > 0,
	   "judged: %llu frames by all shards, %llu by the group, %llu of them again after a kill",
	   (ull)s->sharded, (ull)s->shared, (ull)s->again);
	ok(s->granted > 0, "reliable lives: %llu granted, %llu refused, %llu evicted; no other loss",
	   (ull)s->granted, (ull)s->refused, (ull)s->evicted);
	ok(s->overtaken > 0, "%llu frames were put in the order of their times", (ull)s->overtaken);
	if (s->waited)
		diag("producers waited %llu times for the table", (ull)s->waited);
}
