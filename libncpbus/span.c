/* SPDX-License-Identifier: BSD-2-Clause */
/* span.c - runs of whole blocks as raw bytes, for those who store or forward them. */
#include <errno.h>

#include "libncpbus/client.h"
#include "libncpbus/group.h"
#include "libncpbus/order.h"

void ncpi_span_end(const struct ncpi_segment *seg, struct ncpi_place from, size_t max_len,
		   struct ncpi_place *end)
{
	uint64_t all = end->position - from.position;
	struct ncpi_place waypoint;

	/* More than the ring, or backwards: overrun meanwhile or hostile, the caller's to see. */
	if (max_len == 0 || all > seg->ring_size)
		return;
	for (uint64_t reach = max_len; reach < all; reach *= 2) {
		if (ncpi_locate_before(seg, from.position + reach, &waypoint) &&
		    waypoint.position > from.position) {
			*end = waypoint;
			return;
		}
	}
	/* No waypoint: the table no longer holds one for this run. */
}

/* The furthest place that a span from c->at can reach.  1.  0: none beyond c->at.  2: c->at was
 * overrun.  < 0 */
static int furthest(struct ncp_client *c, struct ncpi_place *end)
{
	if (c->group) {
		int r = c->at.position == c->head ? ncpi_group_more(c) : 1;

		*end = ncpi_group_end(c);
		return r;
	}
	/* C1 */
	uint64_t head = ncpi_load_acquire(&c->seg.h->head);
	if (head < c->at.position)
		return NCP_ECORRUPT;
	return head == c->at.position ? 0 : ncpi_locate_newest(&c->seg, end) < 0 ? NCP_ECORRUPT : 1;
}

int ncp_span(struct ncp_client *c, size_t max_len, struct ncp_span *span, struct ncp_frame *ev)
{
	if (span->size < sizeof(*span) || ev->size < sizeof(*ev) || c->shard_n > 1 ||
	    c->reorder)
		return -EINVAL;
	ncpi_run_stop(c);
	for (;;) {
		struct ncpi_place end;
		int r = ncpi_prepare(c, ev);

		if (r)
			return r;
		r = furthest(c, &end);
		if (r == 0) {
			r = ncpi_idle(c, ev);
			if (r == 2)
				continue;
			return r;
		}
		if (r < 0)
			return r;
		ncpi_span_end(&c->seg, c->at, max_len, &end);
		NCPI_TESTPOINT("span:C4");
		/* C3, C4: nothing was read yet, but what is known to be gone is not handed out. */
		if (!ncp_intact(c, c->at.position) ||
		    end.position - c->at.position > c->seg.ring_size) {
			r = ncpi_lapped(c);
			if (r < 0)
				return r;
			continue;
		}
		if (end.position < c->at.position || end.seq < c->at.seq)
			return NCP_ECORRUPT;
		span->data = ncpi_segment_at(&c->seg, c->at.position);
		span->len = end.position - c->at.position;
		span->position = c->at.position;
		span->first_seq = c->at.seq;
		span->next_seq = end.seq;
		span->incarnation = c->seg.incarnation;
		/* After head (C1): it covers every interface of the frames below it. */
		r = ncp_prologue(c, &span->prologue, &span->prologue_len);
		if (r < 0)
			return r;
		ncpi_window_pass(c, end.seq - c->at.seq);
		c->now.frames += end.seq - c->at.seq;
		c->span = c->at;
		c->has_span = true;
		c->at = end;
		if (!c->group)
			c->head = end.position;
		ncpi_enrol_tell(c, false);
		ev->kind = NCP_SPAN;
		return 1;
	}
}

int ncp_prologue(const struct ncp_client *c, const uint8_t **data, uint32_t *len)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	uint32_t n = ncpi_load_acquire(&c->seg.h->prologue_len);
	if (n > c->seg.prologue_cap)
		return NCP_ECORRUPT;
	*data = c->seg.prologue;
	*len = n;
	return 0;
}

void ncp_span_lost(struct ncp_client *c, uint64_t n)
{
	if (n > c->now.frames)
		n = c->now.frames;
	c->now.frames -= n;
	c->now.lost += n;
}

void ncp_release(struct ncp_client *c, uint64_t position, uint64_t seq)
{
	if (ncpi_usable(c) < 0)
		return;
	ncpi_run_stop(c);
	if (c->group)
		ncpi_group_release(c, position, seq);
	else if (position <= c->released.position || position > c->at.position)
		return;
	else
		c->released = (struct ncpi_place){ position, seq };
	ncpi_enrol_tell(c, false);
}
