/* SPDX-License-Identifier: BSD-2-Clause */
/* fleet.h - all busses of a host, or one, looked at again and again. */
#ifndef FLEET_H
#define FLEET_H

#include <ncpbus.h>
#include <stdbool.h>
#include <stdint.h>

#include "history.h"
#include "look.h"
#include "sample.h"
#include "snapshot.h"
#include "tally.h"
#include "totals.h"

/* Of more busses than these nobody is told; one that is gone makes room for one that comes. */
#define FLEET_CAP 1024u
/* The traffic of more busses than these is not looked at, but of one that is shown: each takes memory. */
#define FLEET_SAMPLED 16u

struct fleet_bus {
	struct ncp_bus_name name;
	struct look look;
	struct snapshot snapshot; /* the last one */
	struct tally tally;
	struct totals totals;
	struct history history;
	struct sample *sample;	/* NULL: its traffic is not looked at */
	enum look_again again;	/* what the last look found */
	bool attached;
	int code;		/* not attached: ncp_attach()'s, and the reason */
	char why[LOOK_WHY_CAP];
};

struct fleet {
	const char *only, *dir, *trust; /* only NULL: every bus there is */
	bool sampled;			/* look at traffic */
	struct fleet_bus *bus[FLEET_CAP];
	uint32_t n, left_out;
	uint32_t shown; /* which one a person sees: the caller's to set */
};

/*
 * fleet_open - look for busses that have come, and attach to them.
 *
 *   f  only, dir, trust and sampled set, all else zero at the start
 *
 * 0, -ENOMEM, -errno of the directory.
 */
int fleet_open(struct fleet *f) __attribute__((warn_unused_result));

/*
 * fleet_take - the same, and take a snapshot of each.
 *
 * A bus that has gone, or is found corrupt, stays, as the last that is known of it.
 */
int fleet_take(struct fleet *f) __attribute__((warn_unused_result));

/* fleet_sample - look at frames of each; to be called every SAMPLE_EVERY_NS. */
void fleet_sample(struct fleet *f);

/* fleet_traffic - what the last interval carried, NULL: not known. */
const struct traffic *fleet_traffic(const struct fleet_bus *b);

/* fleet_close - detach from all; a zeroed f is fine. */
void fleet_close(struct fleet *f);

#endif
