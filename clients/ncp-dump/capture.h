/* SPDX-License-Identifier: BSD-2-Clause */
/* capture.h - from a bus to a file or to lines: the loop, and when it ends. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <ncpbus.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"
#include "options.h"
#include "progress.h"
#include "show.h"
#include "store.h"

#define CAPTURE_BATCH 32 /* frames looked at together */

/* What signal handlers ask for. */
struct capture_signals {
	volatile sig_atomic_t stop;  /* write what is published by now, then end */
	volatile sig_atomic_t stats; /* say where we are */
	volatile sig_atomic_t flush;
	volatile sig_atomic_t rotate; /* go on in the next file */
};

/* An end that somebody else may still move on: another process, with --trigger. */
struct capture_until {
	_Atomic uint64_t ns;	  /* of frames' time; 0: the capture has ended, it is too late */
	_Atomic uint64_t mono_ns; /* if no later frame comes, on CLOCK_MONOTONIC */
};

struct capture {
	const struct dump_options *o;
	struct capture_signals *signals;
	struct ncp_client *c;
	const char *bus;
	const char *reader; /* who it is for, as the report is to say; NULL: nobody else */
	struct ledger ledger;
	bool store_open;
	struct store store;
	struct show show;

	bool straight;	/* whole spans, no look at single frames */
	bool window_due; /* the first frame given begins the window */
	bool reattach_due; /* a new section, once the client has moved on */
	bool unwell;	/* the last state told was none to stay in */
	bool ended;	/* the bus will give no more */
	bool reader_gone; /* of the pipe or terminal we write to */

	bool several;	/* --shard or --group: others get frames too */
	uint64_t given[CAPTURE_BATCH]; /* the last frames, by number, that were written as whole */
	int n_given;
	uint64_t left_out; /* frames read at or behind the limit, and not written */

	bool limited;	/* end before frame limit_seq of limit_incarnation */
	uint64_t limit_seq, limit_incarnation;
	uint64_t to_ns;	/* --to TIME, as long as the frame it means has not come; else 0 */
	struct progress progress;
	struct capture_until *until; /* NULL: none; set between capture_begin() and capture_run() */
	uint64_t until_ns;    /* as last seen there */
	uint64_t deadline_ns; /* -a duration, CLOCK_MONOTONIC; UINT64_MAX: none */

	uint64_t from_missing_ns; /* asked for, and no longer in the ring */
	uint32_t reattached;
	uint64_t drops; /* kernel drops in windows that ended */
	uint64_t drops_first, drops_now; /* the header's count in the present one */
};

/*
 * capture_where - the place that --from means, waiting for a time yet to come.
 *
 *   c        attached
 *   w        out: for ncp_seek() or ncp_options.from
 *   missing_ns  out: so much of the past that was asked for is not in the ring (said)
 *
 * Returns 0 or a negative code.
 */
int capture_where(const struct dump_options *o, struct ncp_client *c, const char *bus,
		  const struct capture_signals *signals, struct ncp_where *w, uint64_t *missing_ns)
	__attribute__((warn_unused_result));

/*
 * capture_begin - place the client, open file or output, set the limits.
 *
 *   c       attached at the newest frame; with --group as a member, where capture_where() says
 *   resume  what the state file says; NULL: begin at --from
 *
 * Says what went wrong.  Returns EXIT_DONE (go on), or the exit status.
 */
int capture_begin(struct capture *cap, const struct dump_options *o, struct ncp_client *c,
		  const char *bus, struct capture_signals *signals, const struct state *resume);

/* capture_filter - make the options' filter the client's.  Says what went wrong, and what does not fit.
 * Returns EXIT_DONE, or the exit status. */
int capture_filter(const struct dump_options *o, struct ncp_client *c);

/* capture_run - until the end.  Says what went wrong.  Returns EXIT_DONE or EXIT_FAILED. */
int capture_run(struct capture *cap);

/* capture_report - the summary: a line, or an object with --json (f: where to). */
void capture_report(struct capture *cap, FILE *json);

void capture_end(struct capture *cap);

#endif
