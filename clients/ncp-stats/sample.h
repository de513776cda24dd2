/* SPDX-License-Identifier: BSD-2-Clause */
/* sample.h - read frames of a bus for their traffic, never more than is cheap. */
#ifndef SAMPLE_H
#define SAMPLE_H

/*
 * As a client of its own that nobody waits for.  Each call reads a run of frames; where more pass than
 * SAMPLE_RUN between two calls, it goes on with the newest ones, and the result is a sample: 1 in
 * published / frames.  Called ten times a second, it looks at 100000 frames a second at most.
 */

#include <ncpbus.h>

#include "traffic.h"

#define SAMPLE_RUN 10000u
#define SAMPLE_EVERY_NS 100000000u

struct sample {
	struct ncp_client *client; /* NULL: none could be attached */
	struct traffic now;	   /* being counted */
	struct traffic last;	   /* of the whole interval before: to be shown */
	uint64_t begun_ns;	   /* CLOCK_MONOTONIC, of now */
	uint64_t begun_seq;	   /* published when it began */
};

/* sample_open - attach to the bus; s begins as all zero.  0, or ncp_attach()'s code. */
int sample_open(struct sample *s, const char *bus, const char *dir, const char *trust);

/* sample_some - read a run.  Cheap when nothing came. */
void sample_some(struct sample *s);

/* sample_turn - an interval is over: what was counted becomes `last`. */
void sample_turn(struct sample *s);

/* sample_close - detach; a zeroed s is fine. */
void sample_close(struct sample *s);

#endif
