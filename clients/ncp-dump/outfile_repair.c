/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile_repair.c - overlay blocks that were overrun while they were written with gap blocks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "outfile_impl.h"
#include "util/file.h"
#include "util/pcapng.h"

int outfile_torn(struct outfile *f, uint64_t from, uint64_t to)
{
	if (f->n_torn == f->cap_torn) {
		size_t cap = f->cap_torn ? 2 * f->cap_torn : 16;
		void *more = realloc(f->torn, cap * sizeof(*f->torn));

		if (!more)
			return outfile_fail(f, -ENOMEM, from);
		f->torn = more;
		f->cap_torn = cap;
	}
	/* What is intact now was so when it was read. */
	for (size_t i = f->first_mark; i < f->n_marks; i++) {
		const struct outfile_mark *m = &f->mark[i];

		if (m->off >= to)
			break;
		if (m->off > from && m->position != OUTFILE_NOWHERE &&
		    f->bus.intact(f->bus.arg, m->position)) {
			to = m->off;
			break;
		}
	}
	f->torn[f->n_torn++] = (struct outfile_torn){ from, to };
	return 0;
}

/* A page of the file: the one being filled in memory, or another by a read of its own. */
static int page_get(struct outfile *f, uint64_t off, uint8_t *page, size_t len)
{
	ssize_t n = file_pread_all(f->fd, page, len, off);

	if (n < 0)
		return (int)n;
	memset(page + n, 0, len - (size_t)n);
	return 0;
}

static bool in_cur(const struct outfile *f, uint64_t off)
{
	return f->cur >= 0 && off >= f->cur_off;
}

/* Write n bytes over what stands at off: in memory, or page by page in the file. */
static int patch(struct outfile *f, uint64_t off, const uint8_t *bytes, size_t n)
{
	uint8_t *page = NULL;
	int r = 0;

	while (n && r == 0) {
		uint64_t at = off & ~(uint64_t)(OUTFILE_PAGE - 1);
		size_t k = OUTFILE_PAGE - (size_t)(off - at);

		k = k < n ? k : n;
		if (!in_cur(f, off) && in_cur(f, off + k))
			k = (size_t)(f->cur_off - off);
		if (in_cur(f, off)) {
			memcpy(f->slot[f->cur].buf + (off - f->cur_off), bytes, k);
			f->cur_done = 0;
		} else if (f->align == 4) {
			r = file_pwrite_all(f->fd, bytes, k, off);
		} else {
			if (!page && posix_memalign((void **)&page, OUTFILE_PAGE, OUTFILE_PAGE))
				return -ENOMEM;
			r = page_get(f, at, page, OUTFILE_PAGE);
			if (r == 0) {
				memcpy(page + (off - at), bytes, k);
				r = file_pwrite_all(f->fd, page, OUTFILE_PAGE, at);
			}
		}
		off += k;
		bytes += k;
		n -= k;
	}
	free(page);
	return r;
}

/* Overlay [from, to), whole blocks, with gap blocks; the first says which frames are missing. */
static int overlay(struct outfile *f, uint64_t from, uint64_t to, uint64_t first, uint64_t next)
{
	struct pcapng_local l = { .kind = PCAPNG_GAP,
				  .epoch = f->bus.epoch,
				  .incarnation = f->bus.incarnation,
				  .next_seq = next };
	struct pcapng_gap gap = { .first_seq = first };
	uint8_t head[PCAPNG_GAP_LEN];

	while (from < to) {
		uint64_t left = to - from;
		/* A last piece must not be too short for a block. */
		uint32_t len = left <= PCAPNG_BLOCK_MAX ? (uint32_t)left :
							  PCAPNG_BLOCK_MAX - PCAPNG_GAP_LEN;

		/* The producer's own blocks are longer than that, somebody else's may not be. */
		if (len < PCAPNG_GAP_MIN)
			l.kind = PCAPNG_PADDING;
		size_t n = pcapng_local_head(head, &l, &gap, sizeof(gap), len);
		int r = patch(f, from, head, n);
		if (r == 0)
			r = patch(f, from + len - 4, (const uint8_t *)&len, sizeof(len));
		if (r < 0)
			return r;
		gap.first_seq = next;
		from += len;
	}
	return 0;
}

/* The last block boundary at or before `to`, walking from a mark through what the file holds. */
static int walk(struct outfile *f, const struct outfile_mark *m, uint64_t to, uint64_t *off,
		uint64_t *seq)
{
	uint64_t at = m->off & ~(uint64_t)(OUTFILE_PAGE - 1), seen;
	uint64_t file_to = in_cur(f, to) ? f->cur_off : to;
	size_t cap = (size_t)(to - at) + OUTFILE_PAGE;
	uint8_t *buf = NULL;
	int r = 0;

	if (posix_memalign((void **)&buf, OUTFILE_PAGE, (cap + OUTFILE_PAGE - 1) & ~(size_t)(OUTFILE_PAGE - 1)))
		return -ENOMEM;
	if (file_to > at) {
		size_t n = (size_t)(file_to - at);

		r = page_get(f, at, buf, (n + OUTFILE_PAGE - 1) & ~(size_t)(OUTFILE_PAGE - 1));
	}
	if (r == 0) {
		if (in_cur(f, to)) {
			uint64_t from = f->cur_off > at ? f->cur_off : at;

			memcpy(buf + (from - at), f->slot[f->cur].buf + (from - f->cur_off),
			       (size_t)(to - from));
		}
		*off = m->off + pcapng_cut(buf + (m->off - at), (size_t)(to - m->off), UINT64_MAX,
					   &seen);
		*seq = m->seq + seen;
	}
	free(buf);
	return r;
}

static int torn_order(const void *a, const void *b)
{
	const struct outfile_torn *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* The last mark at or before off; there is one. */
static size_t mark_before(const struct outfile *f, uint64_t off)
{
	size_t i = f->n_marks - 1;

	while (i > f->first_mark && f->mark[i].off > off)
		i--;
	return i;
}

/* One run of torn blocks, that begins in a byte at `from`; i: the mark where it ends. */
static int repair_run(struct outfile *f, uint64_t from, size_t end)
{
	size_t begin = mark_before(f, from);
	uint64_t off = 0, seq = 0;
	int r = walk(f, &f->mark[begin], from, &off, &seq);

	if (r == 0)
		r = overlay(f, off, f->mark[end].off, seq, f->mark[end].seq);
	if (r < 0)
		return r;
	uint64_t n = f->mark[end].seq - seq;
	/* The mark before it is a boundary still; those within are not. */
	memmove(&f->mark[begin + 1], &f->mark[end], (f->n_marks - end) * sizeof(*f->mark));
	f->n_marks -= end - begin - 1;
	for (size_t i = begin + 1; i < f->n_marks; i++)
		f->mark[i].frames -= n;
	f->frames -= n;
	f->gaps++;
	f->bus.lost(f->bus.arg, seq, seq + n);
	return 0;
}

int outfile_repair(struct outfile *f)
{
	int r = outfile_rest(f); /* may find more that is torn */

	if (r < 0)
		return r;
	qsort(f->torn, f->n_torn, sizeof(*f->torn), torn_order);
	for (size_t i = 0; i < f->n_torn;) {
		uint64_t from = f->torn[i].from, to = f->torn[i].to;
		size_t end;

		do { /* runs that share a block become one */
			to = f->torn[i].to > to ? f->torn[i].to : to;
			end = mark_before(f, to);
			if (f->mark[end].off < to)
				end++;
			i++;
		} while (i < f->n_torn && f->torn[i].from < f->mark[end].off);
		r = repair_run(f, from, end);
		if (r < 0)
			return outfile_fail(f, r, from);
	}
	f->n_torn = 0;
	return 0;
}
