/* SPDX-License-Identifier: BSD-2-Clause */
/* span.c - runs of whole blocks as raw bytes, for those who store or forward them. */
#include <errno.h>

#include "libncpbus/client.h"
#include "libncpbus/order.h"

/* Where a span from c->at ends: a waypoint within max_len, else the next one after, else the newest
 * place.  1, or < 0. */
static int span_end(const struct ncp_client *c, size_t max_len, struct ncpi_place *end)
{
	int r = ncpi_locate_newest(&c->seg, end);

	if (r < 0)
		return r;
	uint64_t all = end->position - c->at.position;
	/* More than the ring, or backwards: overrun meanwhile or hostile, the caller's to see. */
	if (max_len == 0 || all <= max_len || all > c->seg.ring_size)
		return 1;
	struct ncpi_place waypoint;

	for (uint64_t reach = max_len;; reach *= 2) {
		if (reach >= all)
			return 1; /* no waypoint: the table no longer holds one for this run */
		if (ncpi_locate_before(&c->seg, c->at.position + reach, &waypoint) &&
		    waypoint.position > c->at.position)
			break;
	}
	*end = waypoint;
	return 1;
}

int ncp_span(struct ncp_client *c, size_t max_len, struct ncp_span *span, struct ncp_frame *ev)
{
	if (span->size < sizeof(*span) || ev->size < sizeof(*ev) || c->shard_n > 1 ||
	    c->reorder)
		return -EINVAL;
	for (;;) {
		struct ncpi_place end;
		int r = ncpi_prepare(c, ev);

		if (r)
			return r;
		/* C1 */
		uint64_t head = ncpi_load_acquire(&c->seg.h->head);
		if (head < c->at.position)
			return NCP_ECORRUPT;
		if (head == c->at.position) {
			c->head = head;
			r = ncpi_idle(c, ev);
			if (r == 2)
				continue;
			return r;
		}
		r = span_end(c, max_len, &end);
		if (r < 0)
			return r;
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
		if (!c->window_open) {
			c->now.first_seq = c->at.seq;
			c->window_open = true;
		}
		c->now.frames += end.seq - c->at.seq;
		c->now.next_seq = end.seq;
		c->span = c->at;
		c->has_span = true;
		c->at = end;
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
	if (ncpi_usable(c) < 0 || position <= c->released.position || position > c->at.position)
		return;
	c->released = (struct ncpi_place){ position, seq };
	ncpi_enrol_tell(c, false);
}
