/* SPDX-License-Identifier: BSD-2-Clause */
/* takeover.c - continue a segment that another producer left, at whatever instruction it ended. */
#include "libncpbus/takeover.h"

#include "libncpbus/order.h"
#include "libncpbus/prologue.h"

/* The slot that bears head, or -1.  Nobody writes: plain relaxed loads do. */
static int slot_of_head(const struct ncpi_header *h)
{
	uint64_t head = ncpi_load(&h->head);

	for (int i = 0; i < 2; i++)
		if (ncpi_load(&h->slot[i].position) == head)
			return i;
	return -1;
}

bool ncpi_takeover_valid(const struct ncpi_segment *seg)
{
	const struct ncpi_header *h = seg->h;
	uint64_t head = ncpi_load(&h->head), tail = ncpi_load(&h->tail);
	struct ncpi_prologue p;

	if (head % 4 || head >> 62 || tail > head || head - tail > seg->ring_size ||
	    slot_of_head(h) < 0)
		return false;
	if (ncpi_prologue_parse(&p, seg->prologue, ncpi_load(&h->prologue_len),
				seg->prologue_cap) < 0)
		return false;
	bool fits = p.n <= seg->n_interfaces;
	ncpi_prologue_free(&p);
	return fits;
}

uint64_t ncpi_takeover_seq(const struct ncpi_segment *seg)
{
	return ncpi_load(&seg->h->slot[slot_of_head(seg->h)].seq);
}

static bool waypoint_good(const struct ncpi_segment *seg, const struct ncpi_waypoint *w,
			  uint64_t head)
{
	return w->position <= head &&
	       w->check == ncpi_waypoint_check(seg->incarnation, w->position, w->seq, w->time_ns);
}

/* A producer that died left its workers' counts behind head by a claim, or, where a claim was done and
 * another one's owner died before it could be committed, ahead of it.  Their sum is what is published. */
static void published_mend(const struct ncpi_segment *seg, uint64_t published)
{
	struct ncpi_worker_line *line = ncpi_worker_at(seg, 0);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < seg->n_workers; i++)
		sum += ncpi_load(&ncpi_worker_at(seg, i)->published);
	if (sum < published)
		ncpi_store(&line->published, line->published + (published - sum));
	for (uint32_t i = 0; i < seg->n_workers && sum > published; i++) {
		line = ncpi_worker_at(seg, i);
		uint64_t too_many = sum - published < line->published ? sum - published :
									line->published;

		ncpi_store(&line->published, line->published - too_many);
		sum -= too_many;
	}
}

void ncpi_takeover_begin(const struct ncpi_segment *seg, struct ncpi_takeover *t)
{
	struct ncpi_header *h = seg->h;
	struct ncpi_prologue p;
	int slot = slot_of_head(h);

	/* Who died between the two words that an interface adds to left its count too high. */
	if (ncpi_prologue_parse(&p, seg->prologue, ncpi_load(&h->prologue_len),
				seg->prologue_cap) == 0)
		ncpi_store(&h->interfaces, p.n);
	ncpi_prologue_free(&p);
	t->position = ncpi_load(&h->head);
	t->seq = ncpi_load(&h->slot[slot].seq);
	t->tail = ncpi_load(&h->tail);
	t->slot_idx = slot == 0;
	published_mend(seg, t->seq);
	for (uint32_t i = 0; i < seg->n_waypoints; i++) {
		struct ncpi_waypoint *w = &seg->waypoints[i];

		if (waypoint_good(seg, w, t->position))
			continue;
		/* The check word first goes wrong: a reader in the middle sees an invalid entry. */
		ncpi_store(&w->check, 0);
		NCPI_TESTPOINT("takeover:waypoint");
		ncpi_store(&w->position, NCPI_UNUSED);
	}
	t->waypoints = ncpi_load(&h->waypoints);
	for (uint32_t back = 0; t->waypoints && back < seg->n_waypoints; back++) {
		const struct ncpi_waypoint *w =
			&seg->waypoints[(t->waypoints - 1) & (seg->n_waypoints - 1)];

		if (waypoint_good(seg, w, t->position))
			break;
		t->waypoints--;
	}
	NCPI_TESTPOINT("takeover:count");
	/* Release: who sees the lower count sees the entries above it invalid. */
	ncpi_store_release(&h->waypoints, t->waypoints);
}
