/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile_write.c - a file's buffers, and the writes that are under way. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "outfile_impl.h"

void outfile_direct(struct outfile *f, bool on)
{
	int flags = fcntl(f->fd, F_GETFL);

	(void)fcntl(f->fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
}

/* O_DIRECT was taken and does not work: the same write again. */
static int without_direct(struct outfile *f, uint32_t i)
{
	const struct outfile_slot *s = &f->slot[i];
	struct out_write w = { .buf = s->buf, .len = s->len, .off = s->off, .tag = i, .buffer = -1 };

	f->direct = false;
	outfile_direct(f, false);
	return f->ops->submit(f->out, &w);
}

int outfile_reap(struct outfile *f, bool wait)
{
	struct out_done d;
	int r = f->ops->reap(f->out, wait, &d);

	if (r < 0)
		return outfile_fail(f, r, 0);
	if (r == 0)
		return 0;
	struct outfile_slot *s = &f->slot[d.tag];
	if (d.result == -EINVAL && f->raw && f->direct) {
		r = without_direct(f, d.tag);
		return r < 0 ? outfile_fail(f, r, s->off) : wait ? outfile_reap(f, true) : 0;
	}
	s->busy = false;
	f->under_way -= s->len;
	if (d.result < 0) {
		outfile_fail(f, d.result, s->off);
		return 1;
	}
	f->written += s->len;
	if (s->position != OUTFILE_NOWHERE) {
		f->straight += s->len;
		/* The second net: the kernel has read these bytes by now. */
		if (!f->bus.intact(f->bus.arg, s->position)) {
			r = outfile_torn(f, s->off, s->off + s->len);
			if (r < 0)
				return r;
		}
	}
	return 1;
}

int outfile_take_slot(struct outfile *f)
{
	for (;;) {
		for (uint32_t i = 0; i < f->depth; i++)
			if (!f->slot[i].busy && (int)i != f->cur)
				return (int)i;
		int r = outfile_reap(f, true);
		if (r < 0)
			return r;
		if (f->error)
			return f->error;
	}
}

/*
 * After as many copied writes as there are buffers, copies are what the file is made of, not the ends of
 * straight runs: the kernel is told the buffers, so that it need not find and pin their pages for every
 * write.  Through the page cache it does not do that anyway.
 */
static void fix(struct outfile *f, size_t len)
{
	struct iovec v[OUT_DEPTH_MAX];

	if (!f->direct || !f->ops->fix || len < f->iobuf / 2 || ++f->n_copied != f->depth)
		return;
	for (uint32_t i = 0; i < f->depth; i++)
		v[i] = (struct iovec){ f->slot[i].buf, f->iobuf };
	f->n_fixed = f->ops->fix(f->out, v, f->depth);
}

int outfile_submit(struct outfile *f, int i, const uint8_t *buf, size_t len, uint64_t off,
		  uint64_t position)
{
	struct outfile_slot *s = &f->slot[i];
	struct out_write w = { .buf = buf, .len = len, .off = f->stream ? OUT_NEXT : off,
			       .tag = (uint32_t)i, .buffer = -1 };
	int r = 0;

	if (position == OUTFILE_NOWHERE) {
		fix(f, len);
		if ((uint32_t)i < f->n_fixed && buf >= s->buf && buf + len <= s->buf + f->iobuf) {
			w.buffer = i;
			f->fixed += len;
		}
	}
	/* One behind the other: there is never a hole before what is there. */
	while (f->raw && f->under_way && r >= 0)
		r = outfile_reap(f, true);
	if (r >= 0)
		r = f->error ? f->error : f->ops->submit(f->out, &w);
	if (r < 0)
		return outfile_fail(f, r, off);
	*s = (struct outfile_slot){ s->buf, off, len, position, true };
	f->under_way += len;
	if (off + len > f->physical)
		f->physical = off + len;
	return 0;
}

int outfile_wait_slot(struct outfile *f, int i)
{
	while (f->slot[i].busy) {
		int r = outfile_reap(f, true);

		if (r < 0)
			return r;
	}
	return f->error;
}

int outfile_may_reach(struct outfile *f, uint64_t end)
{
	for (;;) {
		uint64_t lowest = end;

		if (f->n_torn)
			return 0;
		for (uint32_t i = 0; i < f->depth; i++)
			if (f->slot[i].busy && f->slot[i].off < lowest)
				lowest = f->slot[i].off;
		if (end - lowest <= f->window)
			return 1;
		int r = outfile_reap(f, true);
		if (r < 0)
			return r;
		if (f->error)
			return f->error;
	}
}

int outfile_send_cur(struct outfile *f)
{
	size_t n = f->cur < 0 ? 0 : f->cur_len & ~(size_t)(f->align - 1), left = f->cur_len - n;
	int i = f->cur, next = -1, r = 0;

	if (n == 0)
		return 0;
	/* More than one write's worth is written in turn, with nothing beside it that could turn out
	 * torn half way. */
	while (n > f->iobuf && f->under_way && r >= 0)
		r = outfile_reap(f, true);
	if (r >= 0)
		r = left ? next = outfile_take_slot(f) : 0;
	if (r >= 0)
		r = outfile_may_reach(f, f->cur_off + (n < f->iobuf ? n : f->iobuf));
	if (r <= 0)
		return r;
	for (size_t done = 0; done < n;) {
		size_t k = n - done < f->iobuf ? n - done : f->iobuf;

		r = outfile_wait_slot(f, i);
		if (r == 0)
			r = outfile_submit(f, i, f->slot[i].buf + done, k, f->cur_off + done,
				   OUTFILE_NOWHERE);
		if (r < 0)
			return r;
		done += k;
	}
	if (left)
		memcpy(f->slot[next].buf, f->slot[i].buf + n, left);
	f->cur = next;
	f->cur_off += n;
	f->cur_len = left;
	f->cur_done = f->cur_done > n ? f->cur_done - n : 0;
	return 0;
}

int outfile_drain_cur(struct outfile *f)
{
	int r = outfile_send_cur(f);

	if (r == 0 && f->n_torn) {
		r = outfile_repair(f); /* nothing straight is under way after that */
		if (r == 0)
			r = outfile_send_cur(f);
	}
	return r;
}

int outfile_copy_in(struct outfile *f, const uint8_t *bytes, size_t len)
{
	int r;

	if (f->cur_len + len > f->iobuf) {
		r = outfile_drain_cur(f);
		if (r < 0)
			return r;
	}
	if (f->cur < 0) {
		r = outfile_take_slot(f);
		if (r < 0)
			return r;
		f->cur = r;
		f->cur_off = f->end;
		f->cur_len = f->cur_done = 0;
	}
	if (len)
		memcpy(f->slot[f->cur].buf + f->cur_len, bytes, len);
	f->cur_len += len;
	f->end += len;
	return 0;
}

void outfile_copy_undo(struct outfile *f, size_t len)
{
	f->cur_len -= len;
	f->end -= len;
	if (f->cur_len == 0)
		f->cur = -1;
}

int outfile_settle(struct outfile *f)
{
	while (f->under_way) {
		int r = outfile_reap(f, true);

		if (r < 0)
			return r;
	}
	return f->error;
}
