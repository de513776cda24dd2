/* SPDX-License-Identifier: BSD-2-Clause */
/* group_log.c - a group's log: its records, read on, read anew, and punched out where it is old. */
#include "libncpbus/group_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libncpbus/order.h"
#include "libncpbus/stamp.h"

/* How often a log is read anew that was punched out while it was read. */
#define SCANS 1000
/* Old records are looked through after so many bytes of new ones. */
#define TRIM_EVERY (UINT64_C(256) << 10)

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

bool ncpi_group_good(const struct ncpi_group_record *r)
{
	return r->check == ncpi_group_check(r) && r->owner < NCPI_GROUP_OWNERS &&
	       r->to.position >= r->from.position && r->to.seq >= r->from.seq &&
	       (r->kind == NCPI_GROUP_START || r->kind == NCPI_GROUP_CLAIM);
}

uint64_t ncpi_group_done(const struct ncpi_group_record *r)
{
	if (r->done_check != ncpi_mix(r->check ^ r->done))
		return 0;
	return r->done == NCPI_GROUP_ALL || r->done <= r->to.seq - r->from.seq ? r->done : 0;
}

static bool record_stands(const struct ncpi_group_record *r)
{
	return r->stands == ncpi_mix(r->check);
}

int ncpi_group_read(const struct ncpi_group *g, uint64_t off, struct ncpi_group_record *r)
{
	ssize_t n = pread(g->fd, r, NCPI_GROUP_REC, (off_t)off);

	if (n < 0)
		return -errno;
	return (size_t)n == NCPI_GROUP_REC && ncpi_group_good(r) ? 0 : -EBADMSG;
}

int ncpi_group_done_write(const struct ncpi_group *g, const struct ncpi_group_mine *m,
			  uint64_t done)
{
	const uint64_t words[2] = { done, ncpi_mix(m->check ^ done) };

	if (pwrite(g->fd, words, sizeof(words),
		   (off_t)(m->off + offsetof(struct ncpi_group_record, done))) < 0)
		return -errno;
	return 0;
}

/* --- locks ----------------------------------------------------------------------------------- */

int ncpi_group_lock(const struct ncpi_group *g, short type, uint64_t off, uint64_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)off,
			   .l_len = (off_t)len };

	if (fcntl(g->fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

bool ncpi_group_alive(const struct ncpi_group *g, uint64_t owner)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
			   .l_start = NCPI_GROUP_LIFE + (off_t)owner, .l_len = 1 };

	/* In doubt alive: frames are handled late rather than twice. */
	return fcntl(g->fd, F_OFD_GETLK, &l) < 0 || l.l_type != F_UNLCK;
}

/* --- read on --------------------------------------------------------------------------------- */

int ncpi_group_append(struct ncp_client *c, enum ncpi_group_kind kind, struct ncpi_place from,
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
	struct iovec v = { .iov_base = &r, .iov_len = NCPI_GROUP_REC };

	r.check = g->pending = ncpi_group_check(&r);
	g->pending_off = UINT64_MAX;
	NCPI_TESTPOINT("group:G3");
	/* At the end, wherever that is by now.  A record lies in one page: a kill does not cut it. */
	ssize_t n = pwritev2(g->fd, &v, 1, 0, RWF_APPEND);
	if (n < 0)
		return -errno;
	return (size_t)n == NCPI_GROUP_REC ? 0 : -ENOSPC;
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
	g->other[g->n_other++] = (struct ncpi_group_other){ .off = off,
						 .owner = r->owner,
						 .from = r->from,
						 .to = r->to,
						 .check = r->check,
						 .noticed_ns = ncpi_now_monotonic() };
	return 0;
}

int ncpi_group_mine_add(struct ncpi_group *g, struct ncpi_group_mine m)
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

	if (!ncpi_group_good(r) || r->incarnation != c->seg.incarnation)
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
	if (ncpi_group_done(r) != NCPI_GROUP_ALL) {
		int e = other_add(g, off, r);

		if (e < 0)
			return e;
	}
	return 1;
}

/* --- read anew ------------------------------------------------------------------------------- */

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
	for (size_t i = 0; i < len / NCPI_GROUP_REC; i++) {
		uint64_t off = at + i * NCPI_GROUP_REC;

		if (!ncpi_group_good(&r[i])) {
			s->whole = off + NCPI_GROUP_REC;
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
	struct ncpi_group_record r[NCPI_GROUP_PAGE / NCPI_GROUP_REC];
	struct stat st;

	if (fstat(g->fd, &st) < 0)
		return -errno;
	uint64_t size = (uint64_t)st.st_size / NCPI_GROUP_REC * NCPI_GROUP_REC, at = 0;
	while (at < size) {
		off_t data = lseek(g->fd, (off_t)at, SEEK_DATA);

		if (data < 0 && errno != ENXIO)
			return -errno;
		uint64_t next = data < 0 ? size : (uint64_t)data / NCPI_GROUP_PAGE * NCPI_GROUP_PAGE;
		if (next > at)
			s->whole = at = next;
		if (at >= size)
			break;
		ssize_t n = pread(g->fd, r, least(NCPI_GROUP_PAGE, size - at), (off_t)at);
		if (n < (ssize_t)NCPI_GROUP_REC)
			return n < 0 ? -errno : NCP_EGROUP;
		int e = scan_page(c, s, at, (size_t)n, r);
		if (e < 0)
			return e;
		at += (uint64_t)n / NCPI_GROUP_REC * NCPI_GROUP_REC;
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
		e = ncpi_group_read(g, s->found[i].off, &r);
		if (e == -EBADMSG)
			continue;
		if (e < 0)
			return e;
		if (!record_stands(&r) || ncpi_group_done(&r) == NCPI_GROUP_ALL)
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

int ncpi_group_scan(struct ncp_client *c, char *why)
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
		if (i < SCANS && fstat(g->fd, &st) == 0 && (uint64_t)st.st_size >= g->read + NCPI_GROUP_REC) {
			s.n = 0;
			s.whole = 0;
			continue;
		}
		r = s.n ? NCP_EGROUP : 0;
		if (r < 0)
			snprintf(why, NCPI_GROUP_WHY, "its file is damaged");
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
 * claims that are ours and those of others that we know.  What was claimed meanwhile is others'.
 * Returns as ncpi_group_fold().
 */
static int catch_up(struct ncp_client *c, uint64_t *own)
{
	struct ncpi_group *g = c->group;
	struct ncp_window now = c->now;
	struct ncpi_place before = g->frontier;
	uint32_t known = g->n_other, n = known;
	char why[NCPI_GROUP_WHY] = "";
	int r = ncpi_group_scan(c, why);

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

int ncpi_group_fold(struct ncp_client *c, uint64_t *own)
{
	struct ncpi_group *g = c->group;
	struct ncpi_group_record r[NCPI_GROUP_PAGE / NCPI_GROUP_REC];

	for (;;) {
		/* Up to the page's end, so that the next read is a whole page. */
		ssize_t n = pread(g->fd, r, NCPI_GROUP_PAGE - g->read % NCPI_GROUP_PAGE, (off_t)g->read);

		if (n < 0)
			return -errno;
		if ((size_t)n < NCPI_GROUP_REC)
			return 0;
		for (size_t i = 0; i < (size_t)n / NCPI_GROUP_REC; i++) {
			uint64_t off = g->read;

			/* Stopped for so long that the others have punched out what was next. */
			if (!ncpi_group_good(&r[i]))
				return catch_up(c, own);
			int e = fold_one(c, off, &r[i]);

			if (e < 0)
				return e;
			g->read += NCPI_GROUP_REC;
			if (own && r[i].owner == g->owner) {
				*own = off;
				return e;
			}
		}
	}
}

/* --- what is old ----------------------------------------------------------------------------- */

/* Does a claim that is not done stand in this page? */
static bool page_held(const struct ncpi_group *g, uint64_t page)
{
	for (uint32_t i = 0; i < g->n_other; i++)
		if (g->other[i].off / NCPI_GROUP_PAGE == page / NCPI_GROUP_PAGE)
			return true;
	for (uint32_t i = 0; i < g->n_mine; i++)
		if (g->mine[i].off / NCPI_GROUP_PAGE == page / NCPI_GROUP_PAGE)
			return true;
	return false;
}

enum need { FREE, NEEDED, NEWER };

/* Is a page needed?  For another incarnation's records: those of the one just before may be of use to
 * who still drains it, those of older ones to nobody but a living owner.  From the first of a newer
 * one on nothing is ours to judge: its members need a log without holes. */
static enum need page_need(const struct ncp_client *c, uint64_t page)
{
	struct ncpi_group_record r[NCPI_GROUP_PAGE / NCPI_GROUP_REC];
	enum need need = FREE;

	if (pread(c->group->fd, r, NCPI_GROUP_PAGE, (off_t)page) != (ssize_t)NCPI_GROUP_PAGE)
		return NEWER;
	for (size_t i = 0; i < NCPI_GROUP_PAGE / NCPI_GROUP_REC; i++) {
		if (!ncpi_group_good(&r[i]) || r[i].incarnation == c->seg.incarnation)
			continue;
		if (r[i].created_ns >= c->seg.h->created_ns)
			return NEWER;
		if (need == FREE && (r[i].incarnation == c->seg.h->replaced ||
				     ncpi_group_alive(c->group, r[i].owner)))
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

void ncpi_group_trim(struct ncp_client *c)
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
	uint64_t end = (g->read - NCPI_GROUP_KEEP) / NCPI_GROUP_PAGE * NCPI_GROUP_PAGE;
	for (uint64_t page = 0; page < end;) {
		off_t data = lseek(g->fd, (off_t)page, SEEK_DATA);

		if (data < 0)
			return;
		page = (uint64_t)data / NCPI_GROUP_PAGE * NCPI_GROUP_PAGE;
		if (page >= end)
			return;
		enum need need = page_need(c, page);
		if (need == NEWER ||
		    (need == FREE && fallocate(g->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       (off_t)page, NCPI_GROUP_PAGE) < 0))
			return;
		page += NCPI_GROUP_PAGE;
	}
}
