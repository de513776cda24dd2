/* SPDX-License-Identifier: BSD-2-Clause */
/* totals.h - a bus's counters that go on where another bus takes its place. */
#ifndef TOTALS_H
#define TOTALS_H

/*
 * A bus that is replaced counts anew.  A monitoring system takes a counter that goes back for one that
 * began at zero, and misses what came before it overtook the old value.  So what the bus before had
 * counted last is added.  Interfaces are told apart by name, as the new bus may number them anew;
 * names beyond TOTALS_INTERFACES are one, TOTALS_OTHER.
 */

#include <stdbool.h>
#include <stdint.h>

#include "snapshot.h"

#define TOTALS_INTERFACES 64u
#define TOTALS_OTHER "other"

enum totals_of_bus {
	TOTALS_PUBLISHED,
	TOTALS_BYTES,
	TOTALS_RECEIVED,
	TOTALS_TRUNCATED,
	TOTALS_DISCARDED,
	TOTALS_FREEZES,
	TOTALS_STARTS,
	TOTALS_OF_BUS
};

struct total {
	bool known;
	uint64_t before, now; /* of the busses before; of this one */
};

struct totals_interface {
	char name[80];
	struct total published, kernel_drops;
};

/* All zero at the start. */
struct totals {
	uint64_t incarnation;
	struct total of_bus[TOTALS_OF_BUS];
	struct totals_interface interface[TOTALS_INTERFACES + 1]; /* the last one: TOTALS_OTHER */
	uint32_t n_interfaces;					  /* without it */
};

/* totals_take - bring the totals up to date. */
void totals_take(struct totals *t, const struct snapshot *s);

/* total_value - all that was counted. */
uint64_t total_value(const struct total *t);

#endif
