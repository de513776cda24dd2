/* SPDX-License-Identifier: BSD-2-Clause */
/* test_progress.c - the status line: what it says, and what it leaves out where there is no room. */
#include <stdbool.h>
#include <string.h>

#include "clients/ncp-dump/progress.h"
#include "tap/tap.h"

int main(void)
{
	static const char whole[] = "1234567 frames, 1.23 GB, 103 MB/s, 3 lost, 2.10 MB to the disk, "
				    "0.03 s behind, overrun in 12.8 s";
	struct progress_sample a = { .now_ns = 1000000000, .bytes = 1180000000, .head = 500000000 };
	struct progress_sample b = { .now_ns = 1500000000, .frames = 1234567, .bytes = 1231500000,
				     .lost = 3, .queued = 2100000, .head = 510500000,
				     .position = 510500000 - 600000, .ring_size = 268435456 };
	char line[PROGRESS_CAP];
	bool good = true;

	plan(7);
	progress_line(line, &a, &b, 200);
	is_str(whole, line, "counts, rates, queue and ring");
	for (size_t width = 0; width <= sizeof(whole); width++) {
		progress_line(line, &a, &b, width);
		size_t len = strlen(line);
		good = good && len <= width && !strncmp(line, whole, len) &&
		       (len == 0 || whole[len] == ',' || whole[len] == '\0');
	}
	ok(good, "in less room, whole parts from the front");
	progress_line(line, &b, &b, 200);
	is_str("1234567 frames, 1.23 GB, 0 B/s, 3 lost, 2.10 MB to the disk", line,
	       "no rate without time between");
	b.position = b.head;
	progress_line(line, &a, &b, 200);
	ok(strstr(line, ", 0.00 s behind, "), "all read is nothing behind");
	b.position = b.head - b.ring_size - 5;
	progress_line(line, &a, &b, 200);
	ok(strstr(line, ", overrun in 0.00 s"), "already overrun is now");
	b.position = b.head + 5;
	progress_line(line, &a, &b, 200);
	ok(strstr(line, ", 0.00 s behind, overrun in 12.8 s"), "further than the head that was seen is not behind");
	b.frames = b.bytes = b.lost = b.queued = b.head = b.position = b.ring_size = UINT64_MAX;
	a = (struct progress_sample){ 0 };
	progress_line(line, &a, &b, 1000);
	ok(strlen(line) < PROGRESS_CAP, "the largest numbers fit");
	return tap_done();
}
