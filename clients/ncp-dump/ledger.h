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
	uint64_t others; /* of the rest so many, or all of it if it is less, were left to others */
	struct ledger_range *range; /* the lost ones: sorted, apart from each other */
	size_t n_ranges, cap_ranges;
};

/* In which order the numbers come. */
enum ledger_order {
	LEDGER_RISING,
	LEDGER_SHARED,	  /* of a group: some lower ones later, of a member who died */
	LEDGER_SCATTERED, /* in the order of their times: next_seq is what ledger_reach() says */
};

struct ledger {
	enum ledger_order order;
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

/* ledger_reach - the window reaches next_seq (never back). */
void ledger_reach(struct ledger *l, uint64_t next_seq);

/* ledger_others - of the frames neither written nor lost so many at most are others', UINT64_MAX:
 * all.  Holds for the present window. */
void ledger_others(struct ledger *l, uint64_t n);

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

/* ledger_cut - only what is before next_seq was saved, that is frames frames of the window.  Where
 * numbers do not rise, next_seq is not looked at: the others of a group get the rest. */
void ledger_cut(struct ledger *l, uint64_t next_seq, uint64_t frames);

/* Sums over all windows. */
struct ledger_sum {
	uint64_t frames, filtered, others, lost;
	bool unknown; /* lost frames that nobody can count are not in lost */
};
void ledger_sum(const struct ledger *l, struct ledger_sum *s);

/* ledger_json - the windows, as the value of a key: an array of objects. */
void ledger_json(const struct ledger *l, struct json *j);

void ledger_free(struct ledger *l);

#endif
