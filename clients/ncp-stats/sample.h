/* SPDX-License-Identifier: BSD-2-Clause */
/* sample.h - read frames of a bus for their traffic, never more than is cheap. */
#ifndef SAMPLE_H
#define SAMPLE_H

/*
 * As a client of its own that nobody waits for.  SAMPLE_RATE frames a second are read at most, and
 * SAMPLE_BURST in a call.  What has passed since the call before is a stratum (estimate.h): all of it
 * is read if it is no more than may be read, else SAMPLE_RUNS runs, one somewhere in each of as many
 * equal parts: traffic may have a period, too.
 */

#include <ncpbus.h>

#include "traffic.h"

#define SAMPLE_RATE 100000u
#define SAMPLE_BURST 10000u
#define SAMPLE_RUNS 20u
#define SAMPLE_EVERY_NS 100000000u

struct sample {
	struct ncp_client *client; /* NULL: none could be attached */
	struct traffic now;	   /* being counted */
	struct traffic last;	   /* of the whole interval before: to be shown */
	uint64_t begun_ns;	   /* CLOCK_MONOTONIC, of now */
	uint64_t incarnation, seq; /* what is below this number has been accounted for */
	uint64_t may;		   /* frames that may be read ... */
	uint64_t at_ns;		   /* ... as of then */
	uint32_t interface, linktype; /* of the last frame */
	uint64_t random;	      /* where runs begin */
	int code;		      /* < 0: why a run could not be read */
};

/* sample_open - attach to the bus; s begins as all zero.  0, or ncp_attach()'s code. */
int sample_open(struct sample *s, const char *bus, const char *dir, const char *trust);

/* sample_some - read what has come, or some of it.  Cheap when nothing came. */
void sample_some(struct sample *s);

/* sample_turn - an interval is over: what was counted becomes `last`.  0, or ncp_next_batch()'s code
 * of the first run in the interval that could not be read. */
int sample_turn(struct sample *s) __attribute__((warn_unused_result));

/* sample_close - detach; a zeroed s is fine. */
void sample_close(struct sample *s);

#endif
