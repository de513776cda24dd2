/* SPDX-License-Identifier: BSD-2-Clause */
/* depth.c - how far back a ring remembers. */
#include "producer/depth.h"

#include <stdbool.h>

#include "libncpbus/layout.h"
#include "libncpbus/order.h"

static uint64_t position_at(const struct ncpi_segment *seg, uint64_t i)
{
	return ncpi_load(&seg->waypoints[i & (seg->n_waypoints - 1)].position);
}

/* False: it was being overwritten, or is of nobody. */
static bool time_at(const struct ncpi_segment *seg, uint64_t i, uint64_t *ns)
{
	const struct ncpi_waypoint *e = &seg->waypoints[i & (seg->n_waypoints - 1)];
	const uint64_t position = ncpi_load(&e->position), seq = ncpi_load(&e->seq);

	*ns = ncpi_load(&e->time_ns);
	return position != NCPI_UNUSED &&
	       ncpi_load(&e->check) == ncpi_waypoint_check(seg->incarnation, position, seq, *ns);
}

uint64_t depth_ns(const struct ncpi_segment *seg)
{
	/* Acquire: the entries counted here are written. */
	const uint64_t end = ncpi_load_acquire(&seg->h->waypoints), tail = ncpi_load(&seg->h->tail);
	uint64_t first = end > seg->n_waypoints ? end - seg->n_waypoints : 0, last = end, oldest, newest;

	/* Positions rise along the table; an entry that is overwritten has a higher one, too. */
	while (first < last) {
		const uint64_t middle = first + (last - first) / 2;

		if (position_at(seg, middle) < tail)
			first = middle + 1;
		else
			last = middle;
	}
	/* The one at position 0 was there before any frame, and has no time. */
	while (first < end && time_at(seg, first, &oldest) && !oldest)
		first++;
	if (first >= end || !time_at(seg, first, &oldest) || !time_at(seg, end - 1, &newest) ||
	    newest < oldest)
		return UINT64_MAX;
	return newest - oldest;
}
