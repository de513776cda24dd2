/* SPDX-License-Identifier: BSD-2-Clause */
/* ledger.c - what a client read, passed over and lost; where it stands. */
#include <errno.h>

#include "libncpbus/client.h"

static void add(struct ncp_window *sum, const struct ncp_window *w)
{
	sum->frames += w->frames;
	sum->filtered += w->filtered;
	sum->others += w->others;
	sum->lost += w->lost;
}

void ncpi_window_begin(struct ncp_client *c, bool open)
{
	c->now.others -= c->taken;
	/* One in which nothing happened was none. */
	if (c->window_open && c->now.next_seq != c->now.first_seq) {
		add(&c->total, &c->now);
		c->before = c->now;
	}
	c->taken = 0;
	c->now = (struct ncp_window){ .incarnation = c->seg.incarnation,
				      .first_seq = c->at.seq,
				      .next_seq = c->at.seq };
	c->window_open = open;
}

int ncp_stats(const struct ncp_client *c, struct ncp_stats *s)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	if (s->size < sizeof(*s))
		return -EINVAL;
	/* Const for the caller, whose client stands where it stood. */
	ncpi_run_stop((struct ncp_client *)(uintptr_t)c);
	*s = (struct ncp_stats){ .size = s->size,
				 .reattached = c->reattached,
				 .now = c->now,
				 .before = c->before,
				 .total = c->total };
	s->now.others -= c->taken;
	if (c->reorder) {
		s->waiting = ncpi_reorder_waiting(c);
		s->late = ncpi_reorder_late(c);
		s->now.next_seq -= s->waiting;
	}
	if (!c->window_open) /* it will begin where the first frame is found */
		s->now.first_seq = s->now.next_seq = c->at.seq;
	add(&s->total, &s->now);
	s->total.incarnation = s->now.incarnation;
	s->total.first_seq = s->now.first_seq;
	s->total.next_seq = s->now.next_seq;
	return 0;
}

int ncp_tell(const struct ncp_client *c, struct ncp_cursor *cursor)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	if (cursor->size < sizeof(*cursor))
		return -EINVAL;
	ncpi_run_stop((struct ncp_client *)(uintptr_t)c); /* as in ncp_stats() */
	cursor->incarnation = c->seg.incarnation;
	struct ncpi_place p = c->reorder ? ncpi_reorder_next(c) : c->at;
	cursor->seq = p.seq;
	cursor->position = p.position;
	return 0;
}
