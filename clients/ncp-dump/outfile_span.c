/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile_span.c - spans, straight from the ring as far as it goes, else copied. */
#include <errno.h>
#include <string.h>

#include "outfile_impl.h"
#include "util/pcapng.h"

#define PAGE OUTFILE_PAGE

/* Could the producer come here while a write is under way?  Then it is copied first. */
static bool is_near(const struct outfile *f, uint64_t position)
{
	uint64_t room = f->bus.ring_size / 4 + f->under_way + f->pend.len;

	return !f->bus.held && !f->bus.intact(f->bus.arg, position > room ? position - room : 0);
}

/* Hand the first n bytes in waiting, whole pages, to the writer; fewer, if something is torn. */
static int send_pend(struct outfile *f, size_t n)
{
	while (n) {
		size_t k = n < f->iobuf ? n : f->iobuf;
		const uint8_t *from = f->pend.data;
		uint64_t position = f->pend.position;
		int i = outfile_take_slot(f), r = i < 0 ? i : outfile_may_reach(f, f->pend.off + k);

		if (r <= 0)
			return r;
		if (is_near(f, position)) {
			memcpy(f->slot[i].buf, from, k);
			if (!f->bus.intact(f->bus.arg, position)) {
				r = outfile_torn(f, f->pend.off, f->pend.off + k);
				if (r < 0)
					return r;
			}
			from = f->slot[i].buf;
			position = OUTFILE_NOWHERE;
		}
		r = outfile_submit(f, i, from, k, f->pend.off, position);
		if (r < 0)
			return r;
		f->pend.data += k;
		f->pend.position += k;
		f->pend.off += k;
		f->pend.len -= k;
		n -= k;
	}
	return 0;
}

int outfile_end_pend(struct outfile *f)
{
	int r;

	if (f->pend.len == 0)
		return 0;
	r = send_pend(f, f->pend.len & ~(size_t)(f->align - 1));
	if (r < 0 || f->pend.len == 0)
		return r;
	r = outfile_take_slot(f);
	if (r < 0)
		return r;
	f->cur = r;
	f->cur_off = f->pend.off;
	f->cur_len = f->pend.len;
	f->cur_done = 0;
	f->pend.len = 0;
	memcpy(f->slot[f->cur].buf, f->pend.data, f->cur_len);
	if (f->bus.intact(f->bus.arg, f->pend.position))
		return 0;
	return outfile_torn(f, f->cur_off, f->end);
}

int outfile_rest(struct outfile *f)
{
	int r = outfile_end_pend(f);

	return r < 0 ? r : outfile_settle(f);
}

static int span_copy(struct outfile *f, const struct outfile_span *s)
{
	int r = outfile_end_pend(f);

	if (r == 0)
		r = outfile_copy_in(f, s->data, s->len);
	if (r < 0)
		return r;
	if (!f->bus.intact(f->bus.arg, s->position)) {
		outfile_copy_undo(f, s->len);
		return 0;
	}
	return 1;
}

/* Extend what waits in the ring, after the page that is being filled was filled up. */
static int span_straight(struct outfile *f, const struct outfile_span *s)
{
	size_t head = 0;
	int r;

	if (f->pend.len == 0) {
		head = (size_t)(-f->end & (f->align - 1));
		r = outfile_copy_in(f, s->data, head);
		if (r < 0)
			return r;
		if (head && !f->bus.intact(f->bus.arg, s->position)) {
			outfile_copy_undo(f, head);
			return 0;
		}
		if (f->cur_len == 0)
			f->cur = -1;
		r = outfile_send_cur(f);
		if (r < 0)
			return r;
		if (f->cur >= 0) { /* something is torn */
			outfile_copy_undo(f, head);
			return span_copy(f, s);
		}
		f->pend.data = s->data + head;
		f->pend.position = s->position + head;
		f->pend.off = f->end;
	} else {
		/* The same bytes in the first of the two mappings, that it stays inside them. */
		uint64_t mask = f->bus.ring_size - 1;

		f->pend.data = s->data - f->pend.len;
		if ((f->pend.position & mask) > (s->position & mask))
			f->pend.data += f->bus.ring_size;
	}
	f->pend.len += s->len - head;
	f->end += s->len - head;
	return 1;
}

static bool can_straight(const struct outfile *f, const struct outfile_span *s)
{
	if (f->pend_max == 0 || (f->end ^ s->position) & (f->align - 1) ||
	    is_near(f, s->position))
		return false;
	if (f->pend.len)
		return f->pend.position + f->pend.len == s->position;
	return s->len >= 2 * (size_t)PAGE;
}

int outfile_span(struct outfile *f, const struct outfile_span *s)
{
	int r = f->error;

	if (r < 0)
		return r;
	if (s->len > PCAPNG_BLOCK_MAX || s->len % 4)
		return -EBADMSG;
	r = can_straight(f, s) ? span_straight(f, s) : span_copy(f, s);
	if (r == 1) {
		f->frames += s->next_seq - s->first_seq;
		r = outfile_mark(f, s->position + s->len, s->next_seq);
		if (r == 0 && f->pend.len >= f->pend_max)
			r = send_pend(f, f->pend.len & ~(size_t)(f->align - 1));
		if (r == 0 && f->cur >= 0 && f->cur_len >= f->iobuf)
			r = outfile_send_cur(f);
		if (r == 0)
			r = outfile_poll(f);
		if (r == 0)
			r = 1;
	}
	return outfile_settled(f, r);
}
