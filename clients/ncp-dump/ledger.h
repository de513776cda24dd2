/* SPDX-License-Identifier: BSD-2-Clause */
/* ledger.h - which frames were written, passed over and lost, in 64 bits, to the frame. */
#ifndef LEDGER_H
#define LEDGER_H

/*
 * A window is a run of frame numbers of one incarnation: [first_seq, next_seq).  In each,
 *	frames + filtered + others + lost == next_seq - first_seq
 * because filtered is what the other three leave over.  Pure but for malloc.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/json.h"

struct ledger_range {
	uint64_t first, next;
};

struct ledger_window {
	uint64_t incarnation;
	uint64_t first_seq, next_seq; /* next_seq UINT64_MAX: nobody knows */
	uint64_t frames;	      /* written (or printed) */
	uint64_t lost;
	struct ledger_range *range; /* the lost ones: sorted, apart from each other */
	size_t n_ranges, cap_ranges;
};

struct ledger {
	struct ledger_window *window;
	size_t n;
};

/* ledger_open - a new window that begins at first_seq.  Returns 0, -ENOMEM. */
int ledger_open(struct ledger *l, uint64_t incarnation, uint64_t first_seq)
	__attribute__((warn_unused_result));

/* ledger_now - the last window, NULL before the first. */
struct ledger_window *ledger_now(struct ledger *l);

/* ledger_frames - n frames more were written, and the window reaches next_seq (never back). */
void ledger_frames(struct ledger *l, uint64_t n, uint64_t next_seq);

/*
 * ledger_lost - the frames [first, next) are gone.
 *
 *   counted  they were counted as written before
 *
 * Those of them before the window, or already lost, are not counted again.  next UINT64_MAX: it
 * is not known how many, the window's end neither.
 * Returns 0, -ENOMEM.
 */
int ledger_lost(struct ledger *l, uint64_t first, uint64_t next, bool counted)
	__attribute__((warn_unused_result));

/* ledger_cut - only what is before next_seq was saved, that is frames frames of the window. */
void ledger_cut(struct ledger *l, uint64_t next_seq, uint64_t frames);

/* Sums over all windows. */
struct ledger_sum {
	uint64_t frames, filtered, lost;
	bool unknown; /* lost frames that nobody can count are not in lost */
};
void ledger_sum(const struct ledger *l, struct ledger_sum *s);

/* ledger_json - the windows, as the value of a key: an array of objects. */
void ledger_json(const struct ledger *l, struct json *j);

void ledger_free(struct ledger *l);

#endif
