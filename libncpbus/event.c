/* SPDX-License-Identifier: BSD-2-Clause */
/* event.c - what stands between the frames: losses, states, a bus that follows another. */
#include <string.h>

#include "libncpbus/client.h"
#include "libncpbus/group.h"
#include "libncpbus/order.h"

struct ncp_frame *ncpi_event(struct ncp_client *c, uint32_t kind)
{
	/* At most three kinds are due at once, each once: the queue cannot overflow. */
	struct ncp_frame *e = &c->event[c->n_events < NCPI_EVENTS ? c->n_events++ : NCPI_EVENTS - 1];

	*e = (struct ncp_frame){ .size = sizeof(*e),
				 .kind = kind,
				 .seq = c->at.seq,
				 .next_seq = c->at.seq,
				 .position = c->at.position,
				 .incarnation = c->seg.incarnation };
	return e;
}

void ncpi_event_pop(struct ncp_client *c, struct ncp_frame *f)
{
	uint32_t size = f->size;

	*f = c->event[0];
	f->size = size;
	memmove(&c->event[0], &c->event[1], --c->n_events * sizeof(c->event[0]));
}

/* Did the producer cease to wait for us?  Then that is told, before the loss that comes of it. */
static bool evicted(struct ncp_client *c)
{
	if (!ncpi_evicted(c))
		return false;
	c->grant = NULL;
	c->line.flags &= ~NCPI_LINE_RELIABLE; /* the next producer need not wait either */
	ncpi_event(c, NCP_EVICTED);
	return true;
}

int ncpi_lapped(struct ncp_client *c)
{
	struct ncpi_place p;

	(void)evicted(c);
	if (c->group)
		return ncpi_group_lapped(c);
	/* A producer that waits for us does not go on before we do: no margin. */
	int r = ncpi_locate_oldest(&c->seg, c->grant ? 0 : ncpi_margin(&c->seg), &p);

	if (r < 0)
		return r;
	/* A lapped reader goes forward; content that says otherwise is no producer's, and would keep
	 * the caller's loop here for ever. */
	if (p.seq < c->at.seq || p.position <= c->at.position)
		return NCP_ECORRUPT;
	if (c->window_open && p.seq > c->at.seq) {
		struct ncp_frame *e = ncpi_event(c, NCP_LOST);

		e->next_seq = p.seq;
		e->ts_ns = c->last_ts_ns;
		c->now.lost += p.seq - c->at.seq;
		c->now.next_seq = p.seq;
	}
	c->at = p;
	c->head = p.position;
	return 0;
}

int ncpi_held_check(struct ncp_client *c)
{
	const struct ncpi_held *held = c->held;
	uint32_t n = c->n_held, torn = 0;

	c->n_held = 0;
	if (n == 0)
		return 0;
	NCPI_TESTPOINT("read:C3");
	/* C3, partner P3: if the caller read one byte of a newer block, tail has moved here. */
	ncpi_fence_acquire();
	/* C4 */
	uint64_t tail = ncpi_load(&c->seg.h->tail);
	while (torn < n && held[torn].at.position < tail)
		torn++;
	if (!torn)
		return 0;
	/* [first, end) is lost: the torn ones, those between that were passed over, and, when
	 * everything up to here is gone too, those after; whatever became of them, it is undone. */
	bool all = torn == n && c->at.position < tail && !c->group;
	const struct ncpi_held *last = &held[c->held_in_row ? 0 : torn - 1];
	uint64_t first = held[0].at.seq;
	uint64_t end = all ? c->at.seq : c->held_in_row ? first + torn : last->at.seq + 1;
	uint64_t others = (all ? c->now.others : last->others) - held[0].others;

	c->now.frames -= torn;
	c->now.others -= others;
	c->now.filtered -= end - first - torn - others;
	if (all) {
		c->at.seq = first;
		return ncpi_lapped(c);
	}
	(void)evicted(c);
	struct ncp_frame *e = ncpi_event(c, NCP_LOST);
	e->seq = first;
	e->next_seq = end;
	e->ts_ns = c->last_ts_ns;
	c->now.lost += end - first;
	return 0;
}

int ncpi_prepare(struct ncp_client *c, struct ncp_frame *f)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	c->has_span = false;
	if (c->n_held && (r = ncpi_held_check(c)) < 0)
		return r;
	if (c->n_events) {
		ncpi_event_pop(c, f);
		return 1;
	}
	if (c->move) {
		r = ncpi_move(c);
		if (r < 0)
			return r;
		if (c->n_events) {
			ncpi_event_pop(c, f);
			return 1;
		}
	}
	return 0;
}

/* This bus is read to its end and c->next follows: what is missing between the two is lost. */
static void leave(struct ncp_client *c)
{
	uint64_t end = ncpi_load(&c->next.h->replaced_next_seq);

	/* A bus that came and went between the two had frames, too: nobody knows how many. */
	if (c->next.h->replaced != c->seg.incarnation || end < c->at.seq)
		end = NCP_UNKNOWN;
	if (end == NCP_UNKNOWN || (c->window_open && end > c->at.seq)) {
		struct ncp_frame *lost = ncpi_event(c, NCP_LOST);

		lost->next_seq = end;
		lost->ts_ns = c->last_ts_ns;
		if (end != NCP_UNKNOWN) {
			c->now.lost += end - c->at.seq;
			c->now.next_seq = end;
		}
	}
	struct ncp_frame *e = ncpi_event(c, NCP_REATTACHED);
	e->incarnation = c->next.incarnation;
	e->seq = e->next_seq = 0;
	c->move = true;
}

int ncpi_idle(struct ncp_client *c, struct ncp_frame *f)
{
	uint32_t state = ncpi_state(c);

	if (c->group)
		state = ncpi_group_state(c, state);
	/* The state was loaded before head is loaded again: "ended" is believed only when nothing
	 * is left that was published before it. */
	if (state != c->told_state || c->next.h) {
		if (ncpi_load_acquire(&c->seg.h->head) != c->at.position)
			return 2;
	}
	if (state != c->told_state) {
		struct ncp_frame *e = ncpi_event(c, NCP_STATE);

		e->state = c->told_state = state;
		e->reason = ncpi_load(&c->seg.h->reason);
	} else if (evicted(c)) {
		/* Told below. */
	} else if (ncpi_replacement(c) && (!c->group || ncpi_group_left(c))) {
		if (ncpi_load_acquire(&c->seg.h->head) != c->at.position)
			return 2;
		leave(c);
	}
	if (c->n_events) {
		ncpi_event_pop(c, f);
		return 1;
	}
	ncpi_enrol_tell(c, true);
	if (c->poller)
		ncpi_poller_rearm(c);
	return 0;
}
