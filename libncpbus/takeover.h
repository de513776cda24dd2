/* SPDX-License-Identifier: BSD-2-Clause */
/* takeover.h - what a producer finds in a segment that another one left, and what it mends. */
#ifndef NCPI_TAKEOVER_H
#define NCPI_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "libncpbus/segment.h"

/* ncpi_waypoint_every - bytes between two waypoints in a ring of that size: a power of two. */
static inline uint64_t ncpi_waypoint_every(uint64_t ring_size)
{
	/* 64 at least in a small ring, so that a client that was lapped loses little more. */
	uint64_t every = ring_size / 64;

	return every < NCPI_WAYPOINT_EVERY ? every : NCPI_WAYPOINT_EVERY;
}

/*
 * ncpi_takeover_valid - can a producer go on from here?
 *
 * head and tail in order, a slot that bears head, a prologue of whole blocks within its bounds.
 * Assumes the lock is held: nobody writes.
 */
bool ncpi_takeover_valid(const struct ncpi_segment *seg);

/* ncpi_takeover_seq - frames published on a valid segment. */
uint64_t ncpi_takeover_seq(const struct ncpi_segment *seg);

/* Where the next producer goes on. */
struct ncpi_takeover {
	uint64_t position, seq; /* of the next block, the next frame */
	uint64_t tail;
	uint64_t waypoints; /* entries that count */
	unsigned slot_idx;  /* the slot that does not bear head: the first commit's */
};

/*
 * ncpi_takeover_begin - make a valid segment fit to be continued.
 *
 * Everything below head is complete for ever, nothing above it counts: every waypoint beyond head,
 * and every one whose check word is wrong, whatever its index, is made invalid.  Otherwise one that
 * a dying producer wrote for blocks that never came would be believed once head has passed it.
 * The workers' counts of frames are made to add up to those below head.
 * Call before the first store of head.
 */
void ncpi_takeover_begin(const struct ncpi_segment *seg, struct ncpi_takeover *t);

#endif
