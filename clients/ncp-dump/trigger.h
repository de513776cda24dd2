/* SPDX-License-Identifier: BSD-2-Clause */
/* trigger.h - a flight recorder: watches, and saves what was around each frame that matches. */
#ifndef TRIGGER_H
#define TRIGGER_H

/*
 * One process watches the bus through the trigger's filter.  A match begins a recording: a process
 * of its own, with a client and a file of its own, that reads from `before` the match to `after`
 * it, all of it past and future of the same bus.  Each further match while that goes on moves its
 * end.  A recording that fails harms no other one.
 */

#include <ncpbus.h>
#include <stdint.h>
#include <stdio.h>

#include "capture.h"
#include "options.h"

/* What the two processes share. */
struct trigger_recording {
	struct capture_until until;
	/* Told by the recorder when it ends. */
	uint64_t frames, lost, bytes;
	uint64_t missing_ns; /* of what was asked for, no longer in the ring */
};

/* A recorder: makes a recording and fills in what it is to tell.  Returns the exit status. */
typedef int trigger_record(const struct dump_options *o, const char *bus,
			   struct trigger_recording *rec);

/*
 * trigger_run - watch until the bus ends or a signal asks to stop, then wait for the recordings.
 *
 *   c     attached, where to begin to watch
 *   json  where the summary and a line for each recording go; NULL: plain lines on stderr
 *
 * Says what went wrong.  Returns the exit status.
 */
int trigger_run(const struct dump_options *o, const char *bus, struct ncp_client *c,
		struct capture_signals *signals, FILE *json, trigger_record *record);

#endif
