/* SPDX-License-Identifier: BSD-2-Clause */
/* group.c - share frames out among the members of a group, claim by claim, through its log. */
#include "libncpbus/group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libncpbus/order.h"
#include "libncpbus/stamp.h"

#define PAGE 4096u
#define REC sizeof(struct ncpi_group_record)
#define WHY_CAP 128

/* How often to see whether a member died that holds frames.  Each look is a system call or two for
 * each of them; a ring of 256 MiB at 10 Gbit/s holds four times that. */
#define LOOK_NS (50 * NCPI_MS)
/* How long a live member that still holds frames keeps the others from being told the end; and how
 * long from leaving for another bus, whose frames do not wait. */
#define END_NS (10 * NCPI_SECOND)
#define LEAVE_NS NCPI_SECOND
/* A reliable member answers so long for the claims of others: five looks. */
#define ANSWER_NS (250 * NCPI_MS)
/* How often a log is read anew that was punched out while it was read. */
#define SCANS 1000
/* Old records are looked through after so many bytes of new ones. */
#define TRIM_EVERY (UINT64_C(256) << 10)

/* A claim of this member. */
struct mine {
	uint64_t off; /* of its record */
	struct ncpi_place from, to;
	uint64_t check;
	uint64_t done; /* frames released: NCP_HOLD */
	bool taken;    /* another's, who died: the record is locked */
};

/* A claim of another member that stands and was not done when it was last looked at. */
struct other {
	uint64_t off, owner;
	struct ncpi_place from, to;
	uint64_t noticed_ns; /* CLOCK_MONOTONIC */
	uint64_t check;
};

struct ncpi_group {
	char name[NCPI_NAME_CAP];
	int fd;
	uint64_t owner;
	uint64_t span_max; /* bytes of a claim, about */

	uint64_t read;	  /* the log as far as it was read */
	bool begun;
	struct ncpi_place frontier; /* there the claims end that stand */
	uint64_t pending;	    /* check word of the claim appended last */
	uint64_t pending_off;	    /* its offset once it was seen to stand, else UINT64_MAX */

	struct mine *mine; /* in the order they were begun; the last is being read while current */
	uint32_t n_mine, cap_mine;
	bool current;
	struct other *other; /* by off */
	uint32_t n_other, cap_other;

	uint64_t looked_ns, end_ns;
	uint64_t trimmed;
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t ncpi_group_check(const struct ncpi_group_record *r)
{
	const uint64_t word[] = { r->kind, r->incarnation, r->created_ns, r->owner,
				  r->from.position, r->from.seq, r->to.position, r->to.seq,
				  r->seen };
	uint64_t x = NCPI_GROUP_MAGIC;

	for (size_t i = 0; i < sizeof(word) / sizeof(*word); i++)
		x = ncpi_mix(x ^ word[i]);
	return x;
}

/* Is it a record, and one that makes sense? */
static bool record_good(const struct ncpi_group_record *r)
{
	return r->check == ncpi_group_check(r) && r->owner < NCPI_GROUP_OWNERS &&
	       r->to.position >= r->from.position && r->to.seq >= r->from.seq &&
	       (r->kind == NCPI_GROUP_START || r->kind == NCPI_GROUP_CLAIM);
}

/* How many of its frames are done with. */
static uint64_t record_done(const struct ncpi_group_record *r)
{
	if (r->done_check != ncpi_mix(r->check ^ r->done))
		return 0;
	return r->done == NCPI_GROUP_ALL || r->done <= r->to.seq - r->from.seq ? r->done : 0;
}

static bool record_stands(const struct ncpi_group_record *r)
{
	return r->stands == ncpi_mix(r->check);
}

static int record_read(const struct ncpi_group *g, uint64_t off, struct ncpi_group_record *r)
{
	ssize_t n = pread(g->fd, r, REC, (off_t)off);

	if (n < 0)
		return -errno;
	return (size_t)n == REC && record_good(r) ? 0 : -EBADMSG;
}

/* --- locks ----------------------------------------------------------------------------------- */

/* Set or remove a lock of this open file: 0, or -EAGAIN (another's), -errno. */
static int lock_set(const struct ncpi_group *g, short type, uint64_t off, uint64_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)off,
			   .l_len = (off_t)len };

	if (fcntl(g->fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static bool alive(const struct ncpi_group *g, uint64_t owner)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
			   .l_start = NCPI_GROUP_LIFE + (off_t)owner, .l_len = 1 };

	/* In doubt alive: frames are handled late rather than twice. */
	return fcntl(g->fd, F_OFD_GETLK, &l) < 0 || l.l_type != F_UNLCK;
}

/* G1: a number that nobody has, and its byte locked. */
static int life_begin(struct ncpi_group *g)
{
	for (int i = 0; i < 16; i++) {
		if (getrandom(&g->owner, sizeof(g->owner), 0) < 0)
			return -errno;
		g->owner %= NCPI_GROUP_OWNERS;
		int r = lock_set(g, F_WRLCK, (uint64_t)NCPI_GROUP_LIFE + g->owner, 1);
		if (r != -EAGAIN)
			return r;
	}
	return -EAGAIN;
}

/* --- the log --------------------------------------------------------------------------------- */

static int append(struct ncp_client *c, enum ncpi_group_kind kind, struct ncpi_place from,
		  struct ncpi_place to)
{
	struct ncpi_group *g = c->group;
	struct ncpi_group_record r = { .kind = kind,
				       .incarnation = c->seg.incarnation,
				       .created_ns = c->seg.h->created_ns,
				       .owner = g->owner,
				       .from = from,
				       .to = to,
				       .seen = g->read };
	struct iovec v = { .iov_base = &r, .iov_len = REC };

	r.check = g->pending = ncpi_group_check(&r);
	g->pending_off = UINT64_MAX;
	NCPI_TESTPOINT("group:G3");
	/* At the end, wherever that is by now.  A record lies in one page: a kill does not cut it. */
	ssize_t n = pwritev2(g->fd, &v, 1, 0, RWF_APPEND);
	if (n < 0)
		return -errno;
	return (size_t)n == REC ? 0 : -ENOSPC;
}

static void *grown(void *array, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	void *more = realloc(array, (*cap ? 2 * *cap : 16) * size);
	if (more)
		*cap = *cap ? 2 * *cap : 16;
	return more;
}

static int other_add(struct ncpi_group *g, uint64_t off, const struct ncpi_group_record *r)
{
	void *more = grown(g->other, g->n_other, &g->cap_other, sizeof(*g->other));

	if (!more)
		return -ENOMEM;
	g->other = more;
	g->other[g->n_other++] = (struct other){ .off = off,
						 .owner = r->owner,
						 .from = r->from,
						 .to = r->to,
						 .check = r->check,
						 .noticed_ns = ncpi_now_monotonic() };
	return 0;
}

static int mine_add(struct ncpi_group *g, struct mine m)
{
	void *more = grown(g->mine, g->n_mine, &g->cap_mine, sizeof(*g->mine));

	if (!more)
		return -ENOMEM;
	g->mine = more;
	g->mine[g->n_mine++] = m;
	return 0;
}

/* The next record of the log, at off.  Does it stand?  1: a claim, 0: no, < 0. */
static int fold_one(struct ncp_client *c, uint64_t off, const struct ncpi_group_record *r)
{
	struct ncpi_group *g = c->group;

	if (!record_good(r) || r->incarnation != c->seg.incarnation)
		return 0;
	if (r->kind == NCPI_GROUP_START) {
		if (!g->begun)
			g->frontier = r->from;
		g->begun = true;
		return 0;
	}
	if (!g->begun || r->from.position != g->frontier.position ||
	    r->from.seq != g->frontier.seq)
		return 0;
	g->frontier = r->to;
	if (r->owner == g->owner) {
		if (r->check == g->pending)
			g->pending_off = off;
		return 1;
	}
	/* Another's.  If he dies and it comes to us after all: c->taken. */
	c->now.others += r->to.seq - r->from.seq;
	c->now.next_seq = r->to.seq;
	if (record_done(r) != NCPI_GROUP_ALL) {
		int e = other_add(g, off, r);

		if (e < 0)
			return e;
	}
	return 1;
}

static int catch_up(struct ncp_client *c, uint64_t *own);

/*
 * G2, G4: read the log up to its end, or up to our own next record.
 *
 * 1: there it is, and stands: *own is its offset.  0: the end; or there it is, and is void.  < 0
 */
static int fold(struct ncp_client *c, uint64_t *own)
{
	struct ncpi_group *g = c->group;
	struct ncpi_group_record r[PAGE / REC];

	for (;;) {
		/* Up to the page's end, so that the next read is a whole page. */
		ssize_t n = pread(g->fd, r, PAGE - g->read % PAGE, (off_t)g->read);

		if (n < 0)
			return -errno;
		if ((size_t)n < REC)
			return 0;
		for (size_t i = 0; i < (size_t)n / REC; i++) {
			uint64_t off = g->read;

			/* Stopped for so long that the others have punched out what was next. */
			if (!record_good(&r[i]))
				return catch_up(c, own);
			int e = fold_one(c, off, &r[i]);

			if (e < 0)
				return e;
			g->read += REC;
			if (own && r[i].owner == g->owner) {
				*own = off;
				return e;
			}
		}
	}
}

/* --- done, and taken over -------------------------------------------------------------------- */

static int done_write(const struct ncpi_group *g, const struct mine *m, uint64_t done)
{
	const uint64_t words[2] = { done, ncpi_mix(m->check ^ done) };

	if (pwrite(g->fd, words, sizeof(words),
		   (off_t)(m->off + offsetof(struct ncpi_group_record, done))) < 0)
		return -errno;
	return 0;
}

/* G6: the first of ours is done with. */
static int settle(struct ncpi_group *g)
{
	struct mine m = g->mine[0];

	NCPI_TESTPOINT("group:G6");
	int r = done_write(g, &m, NCPI_GROUP_ALL);
	NCPI_TESTPOINT("group:G6.5");
	if (r == 0 && m.taken)
		r = lock_set(g, F_UNLCK, m.off, REC);
	memmove(&g->mine[0], &g->mine[1], --g->n_mine * sizeof(*g->mine));
	return r;
}

/* T2, T3: a dead member's claim, if nobody else has it.  1: it is ours, with *done of its frames done.
 * 0: it is another's, -EALREADY: it is done.  < 0 */
static int take(struct ncpi_group *g, const struct other *o, uint64_t *done)
{
	struct ncpi_group_record rec;
	int r = lock_set(g, F_WRLCK, o->off, REC);

	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	NCPI_TESTPOINT("group:T3");
	r = record_read(g, o->off, &rec);
	if (r == 0)
		*done = record_done(&rec);
	/* -EBADMSG: punched out, because it was done. */
	if (r == -EBADMSG || (r == 0 && *done == NCPI_GROUP_ALL))
		r = -EALREADY;
	if (r == 0)
		r = mine_add(g, (struct mine){ .off = o->off, .from = o->from, .to = o->to,
					       .check = o->check, .done = *done, .taken = true });
	if (r < 0) {
		int e = lock_set(g, F_UNLCK, o->off, REC);

		return e < 0 ? e : r;
	}
	return 1;
}

/* Read on in a claim of which done frames are done. */
static int current_begin(struct ncp_client *c, uint64_t done)
{
	struct ncpi_group *g = c->group;
	const struct mine *m = &g->mine[g->n_mine - 1];

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
	struct ncpi_group_record page[PAGE / REC];
	uint64_t cached = UINT64_MAX, owner = UINT64_MAX, done = 0;
	uint32_t kept = 0, i = 0;
	bool lives = true, got = false;
	int r = 0;

	g->looked_ns = now;
	for (; i < g->n_other && !got && r == 0; i++) {
		const struct other o = g->other[i];
		uint64_t at = o.off / PAGE * PAGE;

		if (at != cached) {
			ssize_t n = pread(g->fd, page, PAGE, (off_t)at);

			if (n < 0)
				r = -errno;
			/* Shorter than it was: somebody cut the file. */
			if (n < 0 || (uint64_t)n < o.off - at + REC)
				break;
			cached = at;
		}
		const struct ncpi_group_record *rec = &page[(o.off - at) / REC];
		if (rec->check != o.check || record_done(rec) == NCPI_GROUP_ALL)
			continue;
		if (o.owner != owner)
			lives = alive(g, owner = o.owner);
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
		e = append(c, NCPI_GROUP_CLAIM, from, to);
		if (e < 0)
			return e;
		NCPI_TESTPOINT("group:G4");
		e = fold(c, &off);
		if (e < 0)
			return e;
		if (e == 1) {
			e = record_read(g, off, &r);
			if (e == 0)
				e = mine_add(g, (struct mine){ .off = off, .from = from, .to = to,
							       .check = r.check });
			return e < 0 ? e : 1;
		}
		e = fold(c, NULL);
		if (e < 0)
			return e;
	}
}

/* Does a claim that is not done stand in this page? */
static bool page_held(const struct ncpi_group *g, uint64_t page)
{
	for (uint32_t i = 0; i < g->n_other; i++)
		if (g->other[i].off / PAGE == page / PAGE)
			return true;
	for (uint32_t i = 0; i < g->n_mine; i++)
		if (g->mine[i].off / PAGE == page / PAGE)
			return true;
	return false;
}

enum need { FREE, NEEDED, NEWER };

/* Is a page needed?  For another incarnation's records: those of the one just before may be of use to
 * who still drains it, those of older ones to nobody but a living owner.  From the first of a newer
 * one on nothing is ours to judge: its members need a log without holes. */
static enum need page_need(const struct ncp_client *c, uint64_t page)
{
	struct ncpi_group_record r[PAGE / REC];
	enum need need = FREE;

	if (pread(c->group->fd, r, PAGE, (off_t)page) != (ssize_t)PAGE)
		return NEWER;
	for (size_t i = 0; i < PAGE / REC; i++) {
		if (!record_good(&r[i]) || r[i].incarnation == c->seg.incarnation)
			continue;
		if (r[i].created_ns >= c->seg.h->created_ns)
			return NEWER;
		if (need == FREE && (r[i].incarnation == c->seg.h->replaced ||
				     alive(c->group, r[i].owner)))
			need = NEEDED;
	}
	return page_held(c->group, page) ? NEEDED : need;
}

static bool stands_write(const struct ncpi_group *g, uint64_t off, uint64_t check)
{
	const uint64_t stands = ncpi_mix(check);

	return pwrite(g->fd, &stands, sizeof(stands),
		      (off_t)(off + offsetof(struct ncpi_group_record, stands))) == sizeof(stands);
}

/* Punch out the old pages that nobody needs. */
static void trim(struct ncp_client *c)
{
	struct ncpi_group *g = c->group;

	if (g->read - g->trimmed < TRIM_EVERY || g->read < NCPI_GROUP_KEEP)
		return;
	g->trimmed = g->read;
	/* All of them, also what stands in what is kept: who joins begins somewhere in there.  And
	 * who was stopped between G3 and G4, and finds a hole where he had read up to, finds the
	 * word at his own record if it stands: we have read on for longer than NCPI_GROUP_KEEP
	 * behind the hole.  If he appended behind that, he was not the first with his place. */
	for (uint32_t i = 0; i < g->n_other; i++)
		if (!stands_write(g, g->other[i].off, g->other[i].check))
			return;
	for (uint32_t i = 0; i < g->n_mine; i++)
		if (!stands_write(g, g->mine[i].off, g->mine[i].check))
			return;
	uint64_t end = (g->read - NCPI_GROUP_KEEP) / PAGE * PAGE;
	for (uint64_t page = 0; page < end;) {
		off_t data = lseek(g->fd, (off_t)page, SEEK_DATA);

		if (data < 0)
			return;
		page = (uint64_t)data / PAGE * PAGE;
		if (page >= end)
			return;
		enum need need = page_need(c, page);
		if (need == NEWER ||
		    (need == FREE && fallocate(g->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       (off_t)page, PAGE) < 0))
			return;
		page += PAGE;
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
		struct mine *m = &g->mine[g->n_mine - 1];

		g->current = false;
		/* All that was begun before it is done, then. */
		if (!(c->flags & NCP_HOLD) ||
		    (g->n_mine == 1 && m->done == m->to.seq - m->from.seq)) {
			r = settle(g);
			if (r < 0)
				return r;
		}
	}
	r = fold(c, NULL);
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
	trim(c);
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
	struct mine *m = &g->mine[0];
	bool current = g->current && g->n_mine == 1;

	if (position == m->to.position && (!current || c->at.position == position)) {
		g->current = g->current && !current;
		(void)settle(g);
	} else if (seq >= m->from.seq + m->done && seq <= m->to.seq) {
		m->done = seq - m->from.seq;
	}
}

/* --- join and leave -------------------------------------------------------------------------- */

static __attribute__((format(printf, 3, 4))) int fail(char *why, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, WHY_CAP, format, args);
	va_end(args);
	return code;
}

/* Open the file, or make it. */
static int file_open(struct ncp_client *c, char *why)
{
	char dir[NCPI_FILE_CAP], name[NCPI_NAME_CAP + 32];
	struct stat st;
	int fd = -1;

	ncpi_name_file(dir, c->bus, "+clients");
	int dirfd = openat(c->dirfd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		return fail(why, NCP_EGROUP, "no client registry to keep it in: %s",
			    ncp_strerror(-errno));
	snprintf(name, sizeof(name), "+group.%u.%s", (unsigned)geteuid(), c->group->name);
	for (int i = 0; i < 16 && fd < 0; i++) {
		fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
		/* Without O_CREAT: fs.protected_regular forbids that with a file that is there. */
		if (fd < 0)
			fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 && errno != ENOENT)
			break;
	}
	int e = errno;
	bool there = fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	close(dirfd);
	/* The owner first: it explains also why it cannot be opened. */
	if (there && st.st_uid != geteuid())
		e = fail(why, NCP_EGROUP, "%s belongs to user %u", name, (unsigned)st.st_uid);
	else if (there && !S_ISREG(st.st_mode))
		e = fail(why, NCP_EGROUP, "%s is no file", name);
	else if (fd < 0)
		e = fail(why, NCP_EGROUP, "its file cannot be made in the client registry: %s",
			 ncp_strerror(-e));
	else if (fstat(fd, &st) < 0)
		e = -errno;
	else if (st.st_uid != geteuid() || !S_ISREG(st.st_mode) || st.st_size % (off_t)REC)
		e = fail(why, NCP_EGROUP, "%s holds something else", name);
	else
		e = 0;
	if (e < 0 && fd >= 0)
		close(fd);
	if (e == 0)
		c->group->fd = fd;
	return e;
}

/* The records of this incarnation that are there, by offset. */
struct scan {
	struct found {
		uint64_t off;
		struct ncpi_group_record rec;
	} *found;
	uint32_t n, cap;
	uint64_t whole; /* from here on to the end there is no hole */
};

static int scan_page(const struct ncp_client *c, struct scan *s, uint64_t at, size_t len,
		     const struct ncpi_group_record *r)
{
	for (size_t i = 0; i < len / REC; i++) {
		uint64_t off = at + i * REC;

		if (!record_good(&r[i])) {
			s->whole = off + REC;
			continue;
		}
		if (r[i].incarnation != c->seg.incarnation)
			continue;
		void *more = grown(s->found, s->n, &s->cap, sizeof(*s->found));
		if (!more)
			return -ENOMEM;
		s->found = more;
		s->found[s->n].off = off;
		s->found[s->n++].rec = r[i];
	}
	return 0;
}

static int scan_file(struct ncp_client *c, struct scan *s)
{
	struct ncpi_group *g = c->group;
	struct ncpi_group_record r[PAGE / REC];
	struct stat st;

	if (fstat(g->fd, &st) < 0)
		return -errno;
	uint64_t size = (uint64_t)st.st_size / REC * REC, at = 0;
	while (at < size) {
		off_t data = lseek(g->fd, (off_t)at, SEEK_DATA);

		if (data < 0 && errno != ENXIO)
			return -errno;
		uint64_t next = data < 0 ? size : (uint64_t)data / PAGE * PAGE;
		if (next > at)
			s->whole = at = next;
		if (at >= size)
			break;
		ssize_t n = pread(g->fd, r, least(PAGE, size - at), (off_t)at);
		if (n < (ssize_t)REC)
			return n < 0 ? -errno : NCP_EGROUP;
		int e = scan_page(c, s, at, (size_t)n, r);
		if (e < 0)
			return e;
		at += (uint64_t)n / REC * REC;
	}
	g->read = size;
	return 0;
}

/*
 * A record that says where the claims ended at a place behind the last hole: its index, with the
 * index of the first record to be read on from there in *next.  s->n: there is none.
 */
static uint32_t scan_anchor(const struct scan *s, uint32_t *next)
{
	for (uint32_t i = 0; i < s->n; i++) {
		uint64_t seen = s->found[i].rec.seen;

		if (s->found[i].off < s->whole || seen < s->whole || seen > s->found[i].off)
			continue;
		for (*next = i; *next && s->found[*next - 1].off >= seen;)
			--*next;
		/* A start stands if none of its incarnation came in between; its writer had seen
		 * none before. */
		if (s->found[i].rec.kind == NCPI_GROUP_CLAIM || *next == i)
			return i;
	}
	return s->n;
}

/* The claims before the anchor that are not done. */
static int scan_old(struct ncpi_group *g, const struct scan *s, uint32_t end)
{
	for (uint32_t i = 0; i < end; i++) {
		struct ncpi_group_record r;
		int e;

		if (s->found[i].rec.kind != NCPI_GROUP_CLAIM)
			continue;
		/* Again: a hole behind it was punched after it got its word. */
		e = record_read(g, s->found[i].off, &r);
		if (e == -EBADMSG)
			continue;
		if (e < 0)
			return e;
		if (!record_stands(&r) || record_done(&r) == NCPI_GROUP_ALL)
			continue;
		if (r.owner != g->owner)
			e = other_add(g, s->found[i].off, &r);
		else if (r.check == g->pending)
			g->pending_off = s->found[i].off;
		if (e < 0)
			return e;
	}
	return 0;
}

/* What the log says: 1, it has begun in this incarnation.  0: not yet.  < 0 */
static int scan_log(struct ncp_client *c, char *why)
{
	struct ncpi_group *g = c->group;
	struct scan s = { 0 };
	uint32_t next = 0, anchor;
	struct stat st;
	int r;

	for (int i = 0;; i++) {
		r = scan_file(c, &s);
		if (r < 0)
			goto out;
		anchor = scan_anchor(&s, &next);
		if (anchor < s.n)
			break;
		/* Stopped meanwhile, for so long that all this was punched out: there is more now. */
		if (i < SCANS && fstat(g->fd, &st) == 0 && (uint64_t)st.st_size >= g->read + REC) {
			s.n = 0;
			s.whole = 0;
			continue;
		}
		r = s.n ? fail(why, NCP_EGROUP, "its file is damaged") : 0;
		goto out;
	}
	g->frontier = s.found[anchor].rec.from;
	g->begun = true;
	r = scan_old(g, &s, next);
	for (uint32_t i = next; r >= 0 && i < s.n; i++)
		r = fold_one(c, s.found[i].off, &s.found[i].rec);
	if (r >= 0)
		r = 1;
out:
	free(s.found);
	return r;
}

/*
 * The log has a hole where we had read up to: go on behind it, as one who joins does, but with the
 * claims that are ours and those of others that we know.  What was claimed meanwhile is the others'.
 * Returns as fold().
 */
static int catch_up(struct ncp_client *c, uint64_t *own)
{
	struct ncpi_group *g = c->group;
	struct ncp_window now = c->now;
	struct ncpi_place before = g->frontier;
	uint32_t known = g->n_other, n = known;
	char why[WHY_CAP] = "";
	int r = scan_log(c, why);

	if (r < 0)
		return r;
	if (r == 0 || g->frontier.seq < before.seq)
		return NCP_EGROUP;
	for (uint32_t i = known, k; i < g->n_other; i++) {
		for (k = 0; k < known && g->other[k].off != g->other[i].off;)
			k++;
		if (k == known)
			g->other[n++] = g->other[i];
	}
	g->n_other = n;
	/* If the claim in suspense stands, its frames come from among these: c->taken. */
	c->now = now;
	c->now.others += g->frontier.seq - before.seq;
	c->now.next_seq = g->frontier.seq;
	if (!own || g->pending_off == UINT64_MAX)
		return 0;
	*own = g->pending_off;
	return 1;
}

/* Begin a window at the lowest frame that can still come to us. */
static void window_join(struct ncp_client *c)
{
	const struct ncpi_group *g = c->group;
	struct ncpi_place low = g->frontier;

	for (uint32_t i = 0; i < g->n_other; i++)
		if (g->other[i].from.seq < low.seq)
			low = g->other[i].from;
	c->at = low;
	ncpi_window_begin(c, true);
	c->now.others = g->frontier.seq - low.seq;
	c->now.next_seq = g->frontier.seq;
}

/* A claim is to be small beside the ring, or one stopped member loses much; and large beside what it
 * costs, some microseconds. */
static uint64_t span_max(uint64_t ring_size)
{
	uint64_t max = ring_size / 256;

	if (max < 64 << 10)
		max = 64 << 10;
	if (max > 1 << 20)
		max = 1 << 20;
	return least(max, ring_size / 16);
}

int ncpi_group_join(struct ncp_client *c, const char *name, const struct ncp_where *begin, char *why)
{
	struct ncpi_group *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	c->group = g;
	g->fd = -1;
	if (ncpi_name_check(name) < 0)
		return fail(why, NCP_EGROUP, "a group's name is made as a bus's");
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->span_max = span_max(c->seg.ring_size);
	int r = file_open(c, why);
	if (r == 0)
		r = life_begin(g);
	if (r == 0)
		r = scan_log(c, why);
	if (r < 0)
		return r;
	if (r == 0) {
		c->at = (struct ncpi_place){ 0, 0 };
		if (begin)
			r = ncpi_go(c, begin);
		else
			ncpi_window_begin(c, true);
		if (r < 0)
			return r;
		uint64_t start = g->read;
		struct ncpi_place at = c->at;
		c->window_open = true;
		r = append(c, NCPI_GROUP_START, at, at);
		if (r == 0)
			r = fold(c, NULL);
		if (r < 0)
			return r;
		/* Ours stands if it was the first. */
		struct ncpi_group_record first;
		do {
			r = record_read(g, start, &first);
			start += REC;
		} while (r == -EBADMSG || (r == 0 && first.incarnation != c->seg.incarnation));
		if (r < 0)
			return r;
		if (first.owner == g->owner) {
			c->at = g->frontier;
			c->head = c->at.position;
			return 0;
		}
		/* Another was faster: nothing has happened yet. */
		c->n_events = 0;
		c->window_open = false;
		if (begin) {
			memset(&c->total, 0, sizeof(c->total));
			memset(&c->before, 0, sizeof(c->before));
			c->reattached = 0;
		}
	}
	c->taken = 0;
	window_join(c);
	c->at = g->frontier;
	c->head = c->at.position;
	return 0;
}

void ncpi_group_leave(struct ncp_client *c, bool child)
{
	struct ncpi_group *g = c->group;

	if (!g)
		return;
	/* G7: what was not read, others read.  The last frame handed out was. */
	for (uint32_t i = 0; !child && i < g->n_mine; i++) {
		struct mine *m = &g->mine[i];

		if (g->current && i == g->n_mine - 1 && !(c->flags & NCP_HOLD))
			m->done = c->at.position == m->to.position ? NCPI_GROUP_ALL
								   : c->at.seq - m->from.seq;
		if (m->done)
			(void)done_write(g, m, m->done);
	}
	/* In a child of fork the locks are still the parent's. */
	if (g->fd >= 0)
		close(g->fd);
	free(g->mine);
	free(g->other);
	free(g);
	c->group = NULL;
}

int ncpi_group_rejoin(struct ncp_client *c)
{
	char name[NCPI_NAME_CAP], why[WHY_CAP] = "";

	memcpy(name, c->group->name, sizeof(name));
	ncpi_group_leave(c, false);
	return ncpi_group_join(c, name, NULL, why);
}

int ncpi_group_reap(int registry_fd, const char *name)
{
	static const char prefix[] = "+group.";
	struct stat st;
	char *end;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	unsigned long uid = strtoul(name + sizeof(prefix) - 1, &end, 10);
	if (end == name + sizeof(prefix) - 1 || *end != '.')
		return 0;
	if (fstatat(registry_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) && st.st_uid == uid)
		return 0;
	if (unlinkat(registry_fd, name, 0) < 0 &&
	    (errno != EISDIR || unlinkat(registry_fd, name, AT_REMOVEDIR) < 0))
		return -errno;
	return 1;
}
