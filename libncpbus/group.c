/* SPDX-License-Identifier: BSD-2-Clause */
/* group.c - share frames out among the members of a group: claims, new ones and the dead's. */
#include "libncpbus/group.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "libncpbus/group_log.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"

/* How often to see whether a member died that holds frames.  Each look is a system call or two for
 * each of them; a ring of 256 MiB at 10 Gbit/s holds four times that. */
#define LOOK_NS (50 * NCPI_MS)
/* How long a live member that still holds frames keeps the others from being told the end; and how
 * long from leaving for another bus, whose frames do not wait. */
#define END_NS (10 * NCPI_SECOND)
#define LEAVE_NS NCPI_SECOND
/* A reliable member answers so long for the claims of others: five looks. */
#define ANSWER_NS (250 * NCPI_MS)

/* --- done, and taken over -------------------------------------------------------------------- */

/* G6: the first of ours is done with. */
static int settle(struct ncpi_group *g)
{
	struct ncpi_group_mine m = g->mine[0];

	NCPI_TESTPOINT("group:G6");
	int r = ncpi_group_done_write(g, &m, NCPI_GROUP_ALL);
	NCPI_TESTPOINT("group:G6.5");
	if (r == 0 && m.taken)
		r = ncpi_group_lock(g, F_UNLCK, m.off, NCPI_GROUP_REC);
	memmove(&g->mine[0], &g->mine[1], --g->n_mine * sizeof(*g->mine));
	return r;
}

/* T2, T3: a dead member's claim, if nobody else has it.  1: it is ours, with *done of its frames done.
 * 0: it is another's, -EALREADY: it is done.  < 0 */
static int take(struct ncpi_group *g, const struct ncpi_group_other *o, uint64_t *done)
{
	struct ncpi_group_record rec;
	int r = ncpi_group_lock(g, F_WRLCK, o->off, NCPI_GROUP_REC);

	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	NCPI_TESTPOINT("group:T3");
	r = ncpi_group_read(g, o->off, &rec);
	if (r == 0)
		*done = ncpi_group_done(&rec);
	/* -EBADMSG: punched out, because it was done. */
	if (r == -EBADMSG || (r == 0 && *done == NCPI_GROUP_ALL))
		r = -EALREADY;
	if (r == 0)
		r = ncpi_group_mine_add(g, (struct ncpi_group_mine){ .off = o->off, .from = o->from, .to = o->to,
					       .check = o->check, .done = *done, .taken = true });
	if (r < 0) {
		int e = ncpi_group_lock(g, F_UNLCK, o->off, NCPI_GROUP_REC);

		return e < 0 ? e : r;
	}
	return 1;
}

/* Read on in a claim of which done frames are done. */
static int current_begin(struct ncp_client *c, uint64_t done)
{
	struct ncpi_group *g = c->group;
	const struct ncpi_group_mine *m = &g->mine[g->n_mine - 1];

	g->current = true;
	c->at = m->from;
	c->head = m->to.position;
	/* C1: acquire, so that the blocks below head are seen whole, whoever claimed them. */
	if (ncpi_load_acquire(&c->seg.h->head) < c->head)
		return NCP_ECORRUPT;
	if (m->from.seq + done == m->to.seq && done) {
		c->at = m->to;
	} else if (done) {
		struct ncpi_place p = m->from;
		uint64_t seq = m->from.seq + done;

		/* Its beginning overrun: by a waypoint.  If that is no use either, frame seq is
		 * overrun, too, and its place is no matter. */
		int r = ncpi_locate_from(&c->seg, seq, &p);
		if (r == -EAGAIN)
			r = ncpi_locate_seq(&c->seg, seq, &p);
		if (r < 0 && r != -ERANGE)
			return r;
		if (r == 1)
			c->at = p;
		else
			c->at.seq = seq;
	}
	/* Further than a ring is not to be walked: a torn length could lead anywhere. */
	return c->head - c->at.position > c->seg.ring_size ? 2 : 1;
}

/*
 * See which of the others' claims are done, and take one over if its owner is dead.
 *
 * 1, 2: as current_begin().  0: none.  < 0
 */
static int look(struct ncp_client *c, uint64_t now)
{
	struct ncpi_group *g = c->group;
	struct ncpi_group_record page[NCPI_GROUP_PAGE / NCPI_GROUP_REC];
	uint64_t cached = UINT64_MAX, owner = UINT64_MAX, done = 0;
	uint32_t kept = 0, i = 0;
	bool lives = true, got = false;
	int r = 0;

	g->looked_ns = now;
	for (; i < g->n_other && !got && r == 0; i++) {
		const struct ncpi_group_other o = g->other[i];
		uint64_t at = o.off / NCPI_GROUP_PAGE * NCPI_GROUP_PAGE;

		if (at != cached) {
			ssize_t n = pread(g->fd, page, NCPI_GROUP_PAGE, (off_t)at);

			if (n < 0)
				r = -errno;
			/* Shorter than it was: somebody cut the file. */
			if (n < 0 || (uint64_t)n < o.off - at + NCPI_GROUP_REC)
				break;
			cached = at;
		}
		const struct ncpi_group_record *rec = &page[(o.off - at) / NCPI_GROUP_REC];
		if (rec->check != o.check || ncpi_group_done(rec) == NCPI_GROUP_ALL)
			continue;
		if (o.owner != owner)
			lives = ncpi_group_alive(g, owner = o.owner);
		if (!lives) {
			/* T1 */
			r = take(g, &o, &done);
			if (r == -EALREADY) {
				r = 0;
				continue;
			}
			got = r == 1;
			if (got) {
				r = 0;
				continue;
			}
		}
		g->other[kept++] = o;
	}
	memmove(&g->other[kept], &g->other[i], (g->n_other - i) * sizeof(*g->other));
	g->n_other -= i - kept;
	return r < 0 ? r : got ? current_begin(c, done) : 0;
}

/* --- claims ---------------------------------------------------------------------------------- */

/* Where a claim from the frontier ends.  1.  0: nothing is there to be claimed. */
static int claim_end(const struct ncp_client *c, struct ncpi_place *end)
{
	const struct ncpi_group *g = c->group;
	int r = ncpi_locate_newest(&c->seg, end);

	if (r < 0)
		return r;
	if (end->position == g->frontier.position)
		return 0;
	if (end->position < g->frontier.position || end->seq < g->frontier.seq)
		return NCP_ECORRUPT;
	if (ncpi_load(&c->seg.h->tail) > g->frontier.position) {
		/* Overrun before anybody claimed it: up to the first intact place, to be counted
		 * by whoever gets the claim. */
		r = ncpi_locate_oldest(&c->seg, ncpi_margin(&c->seg), end);
		if (r < 0)
			return r;
		return end->position > g->frontier.position && end->seq >= g->frontier.seq ?
			       1 :
			       NCP_ECORRUPT;
	}
	ncpi_span_end(&c->seg, g->frontier, g->span_max, end);
	return 1;
}

/* 1: a new claim is ours.  0: nothing to claim.  < 0 */
static int claim(struct ncp_client *c)
{
	struct ncpi_group *g = c->group;

	/* Each turn but the last is one in which another got something. */
	for (;;) {
		struct ncpi_place from = g->frontier, to;
		struct ncpi_group_record r;
		uint64_t off;
		int e = claim_end(c, &to);

		if (e <= 0)
			return e;
		e = ncpi_group_append(c, NCPI_GROUP_CLAIM, from, to);
		if (e < 0)
			return e;
		NCPI_TESTPOINT("group:G4");
		e = ncpi_group_fold(c, &off);
		if (e < 0)
			return e;
		if (e == 1) {
			e = ncpi_group_read(g, off, &r);
			if (e == 0)
				e = ncpi_group_mine_add(g, (struct ncpi_group_mine){ .off = off, .from = from, .to = to,
							       .check = r.check });
			return e < 0 ? e : 1;
		}
		e = ncpi_group_fold(c, NULL);
		if (e < 0)
			return e;
	}
}

int ncpi_group_more(struct ncp_client *c)
{
	struct ncpi_group *g = c->group;
	int r;

	if (g->current) {
		/* Its blocks led to its end, with another count of frames: no producer's content. */
		if (c->at.seq != g->mine[g->n_mine - 1].to.seq)
			return NCP_ECORRUPT;
		struct ncpi_group_mine *m = &g->mine[g->n_mine - 1];

		g->current = false;
		/* All that was begun before it is done, then. */
		if (!(c->flags & NCP_HOLD) ||
		    (g->n_mine == 1 && m->done == m->to.seq - m->from.seq)) {
			r = settle(g);
			if (r < 0)
				return r;
		}
	}
	r = ncpi_group_fold(c, NULL);
	if (r < 0)
		return r;
	/* What is older first: it is overrun first. */
	if (g->n_other) {
		uint64_t now = ncpi_now_monotonic();

		if (now - g->looked_ns >= LOOK_NS) {
			r = look(c, now);
			if (r)
				return r;
		}
	}
	ncpi_group_trim(c);
	r = claim(c);
	if (r < 0)
		return r;
	if (r == 1)
		return current_begin(c, 0);
	c->at = g->frontier;
	c->head = g->frontier.position;
	return 0;
}

struct ncpi_place ncpi_group_end(const struct ncp_client *c)
{
	const struct ncpi_group *g = c->group;

	return g->current ? g->mine[g->n_mine - 1].to : c->at;
}

int ncpi_group_lapped(struct ncp_client *c)
{
	struct ncpi_place p, end = ncpi_group_end(c);
	int r = ncpi_locate_oldest(&c->seg, ncpi_margin(&c->seg), &p);

	if (r < 0)
		return r;
	if (p.position >= end.position)
		p = end;
	if (p.position <= c->at.position || p.seq < c->at.seq || p.seq > end.seq)
		return NCP_ECORRUPT;
	if (p.seq > c->at.seq) {
		struct ncp_frame *e = ncpi_event(c, NCP_LOST);

		e->next_seq = p.seq;
		e->ts_ns = c->last_ts_ns;
		c->now.lost += p.seq - c->at.seq;
		ncpi_window_pass(c, p.seq - c->at.seq);
	}
	c->at = p;
	return 0;
}

/* --- the end of a bus ------------------------------------------------------------------------ */

/* Everything that was claimed is done; or the live have had their time. */
static bool all_done(struct ncp_client *c, uint64_t patience_ns)
{
	struct ncpi_group *g = c->group;
	uint64_t now = ncpi_now_monotonic();

	if (g->n_other == 0)
		return true;
	if (!g->end_ns)
		g->end_ns = now;
	return now - g->end_ns >= patience_ns;
}

uint32_t ncpi_group_state(struct ncp_client *c, uint32_t state)
{
	if (state == c->told_state)
		return state;
	if (state == NCP_ENDED)
		return all_done(c, END_NS) ? state : c->told_state;
	if (state == NCP_CLOSED)
		return all_done(c, LEAVE_NS) ? state : c->told_state;
	c->group->end_ns = 0;
	return state;
}

bool ncpi_group_left(struct ncp_client *c)
{
	return all_done(c, LEAVE_NS);
}

uint64_t ncpi_group_due_ns(const struct ncp_client *c)
{
	return c->group->n_other ? c->group->looked_ns + LOOK_NS : UINT64_MAX;
}

/* --- reliable, and NCP_HOLD ------------------------------------------------------------------ */

struct ncpi_place ncpi_group_standing(const struct ncp_client *c)
{
	const struct ncpi_group *g = c->group;
	uint64_t now = ncpi_now_monotonic();
	struct ncpi_place p = g->current ? c->at : g->frontier;

	for (uint32_t i = 0; i < g->n_mine; i++)
		if (g->mine[i].from.position < p.position)
			p = g->mine[i].from;
	/* Others' claims, in case their owners die; but who is stopped does not take us along when
	 * the producer evicts him. */
	for (uint32_t i = 0; i < g->n_other; i++)
		if (g->other[i].from.position < p.position &&
		    now - g->other[i].noticed_ns < ANSWER_NS)
			p = g->other[i].from;
	return p;
}

void ncpi_group_release(struct ncp_client *c, uint64_t position, uint64_t seq)
{
	struct ncpi_group *g = c->group;
	uint32_t i = 0;

	while (i < g->n_mine && (position <= g->mine[i].from.position ||
				 position > g->mine[i].to.position))
		i++;
	if (i == g->n_mine) {
		/* Where it stands when nothing is its own, behind others' claims: done with all. */
		if (!g->current && position == c->at.position)
			while (g->n_mine)
				(void)settle(g);
		return;
	}
	/* Begun before it, so done before it. */
	for (; i; i--)
		if (settle(g) < 0)
			return;
	struct ncpi_group_mine *m = &g->mine[0];
	bool current = g->current && g->n_mine == 1;

	if (position == m->to.position && (!current || c->at.position == position)) {
		g->current = g->current && !current;
		(void)settle(g);
	} else if (seq >= m->from.seq + m->done && seq <= m->to.seq) {
		m->done = seq - m->from.seq;
	}
}
