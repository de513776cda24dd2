/* SPDX-License-Identifier: BSD-2-Clause */
/* fleet.h - all busses of a host, or one, looked at again and again. */
#ifndef FLEET_H
#define FLEET_H

#include <ncpbus.h>
#include <stdbool.h>
#include <stdint.h>

#include "look.h"
#include "sample.h"
#include "snapshot.h"
#include "tally.h"

/* Of more busses than these nobody is told. */
#define FLEET_CAP 256u
/* The traffic of more busses than these is not looked at: each takes memory. */
#define FLEET_SAMPLED 16u

struct fleet_bus {
	struct ncp_bus_name name;
	struct look look;
	struct snapshot snapshot; /* the last one */
	struct tally tally;
	struct sample *sample; /* NULL: its traffic is not looked at */
	bool attached;
	char why[LOOK_WHY_CAP]; /* not attached: the reason */
};

struct fleet {
	const char *only, *dir, *trust; /* only NULL: every bus there is */
	struct fleet_bus *bus[FLEET_CAP];
	uint32_t n;
};

/*
 * fleet_take - look for busses that have come, and take a snapshot of each.
 *
 *   f  only, dir and trust set, all else zero at the start
 *
 * A bus that has gone stays, as the last that is known of it.  0, -ENOMEM, -errno of the directory.
 */
int fleet_take(struct fleet *f) __attribute__((warn_unused_result));

/* fleet_sample - look at frames of each; to be called every SAMPLE_EVERY_NS. */
void fleet_sample(struct fleet *f);

/* fleet_close - detach from all; a zeroed f is fine. */
void fleet_close(struct fleet *f);

#endif
