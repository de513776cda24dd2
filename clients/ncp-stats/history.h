/* SPDX-License-Identifier: BSD-2-Clause */
/* history.h - a bus's rates of the last minutes, second by second. */
#ifndef HISTORY_H
#define HISTORY_H

#include "snapshot.h"

#define HISTORY_SLOTS 512u

enum history_what {
	HISTORY_FRAMES,
	HISTORY_BITS,
	HISTORY_DROPS,
	HISTORY_WHATS
};

/* What passed in a second, as far as it was watched. */
struct history_slot {
	uint64_t second; /* of CLOCK_MONOTONIC */
	double span_s;	 /* 0: nothing was seen */
	double count[HISTORY_WHATS];
};

struct history {
	struct history_slot slot[HISTORY_SLOTS];
	uint64_t mono_ns; /* of the last snapshot */
};

/* history_add - note a snapshot's interval; what was noted before is not noted twice.  h begins as
 * all zero.  An interval of several seconds is spread over them evenly. */
void history_add(struct history *h, const struct snapshot *s);

/* history_rate - per second, over n seconds from `second` on; < 0: nothing is known of them. */
double history_rate(const struct history *h, uint64_t second, unsigned int n,
		    enum history_what what);

/* history_now - the newest second. */
uint64_t history_now(const struct history *h);

#endif
