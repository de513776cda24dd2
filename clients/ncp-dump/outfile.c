/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile.c - one file being written: spans straight from the ring, other bytes through buffers. */
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outfile_impl.h"
#include "util/file.h"
#include "util/pcapng.h"

#define PAGE OUTFILE_PAGE
/* Marks of one run stand at least so far apart: they bound how much a gap takes beside what is torn,
 * and their number bounds the memory. */
#define MARK_EVERY (32u << 10)

/* --- marks ------------------------------------------------------------------------------------ */

int outfile_fail(struct outfile *f, int error, uint64_t off)
{
	if (!f->error)
		f->error = error;
	if (off < f->fail_off)
		f->fail_off = off;
	return f->error;
}

/* Everything below the result is in the file, and was whole when it was read. */
static uint64_t complete_below(const struct outfile *f)
{
	uint64_t off = f->end;

	if (f->pend.len && f->pend.off < off)
		off = f->pend.off;
	if (f->cur >= 0 && f->cur_done < f->cur_len && f->cur_off + f->cur_done < off)
		off = f->cur_off + f->cur_done;
	for (uint32_t i = 0; i < f->depth; i++)
		if (f->slot[i].busy && f->slot[i].off < off)
			off = f->slot[i].off;
	for (size_t i = 0; i < f->n_torn; i++)
		if (f->torn[i].from < off)
			off = f->torn[i].from;
	return f->fail_off < off ? f->fail_off : off;
}

static void marks_advance(struct outfile *f)
{
	uint64_t off = complete_below(f);

	while (f->first_mark + 1 < f->n_marks && f->mark[f->first_mark + 1].off <= off)
		f->first_mark++;
}

int outfile_mark(struct outfile *f, uint64_t position, uint64_t seq)
{
	struct outfile_mark m = { f->end, position, seq, f->frames };
	struct outfile_mark *last = &f->mark[f->n_marks - 1];

	if (f->n_marks - f->first_mark >= 3 && position != OUTFILE_NOWHERE &&
	    last->position != OUTFILE_NOWHERE && last[-1].position != OUTFILE_NOWHERE &&
	    m.off - last[-1].off < MARK_EVERY) {
		*last = m;
		return 0;
	}
	if (f->n_marks == f->cap_marks && f->first_mark > f->cap_marks / 2) {
		f->n_marks -= f->first_mark;
		memmove(f->mark, f->mark + f->first_mark, f->n_marks * sizeof(*f->mark));
		f->first_mark = 0;
	}
	if (f->n_marks == f->cap_marks) {
		void *more = realloc(f->mark, 2 * f->cap_marks * sizeof(*f->mark));

		if (!more)
			return outfile_fail(f, -ENOMEM, f->end);
		f->mark = more;
		f->cap_marks *= 2;
	}
	f->mark[f->n_marks++] = m;
	return 0;
}

/* --- writes ----------------------------------------------------------------------------------- */

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

/* Take note of one write that is over.  1, 0 (none), < 0: the error, remembered. */
static int reap(struct outfile *f, bool wait)
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
		return r < 0 ? outfile_fail(f, r, s->off) : wait ? reap(f, true) : 0;
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

/* A slot that is neither under way nor being filled. */
static int take_slot(struct outfile *f)
{
	for (;;) {
		for (uint32_t i = 0; i < f->depth; i++)
			if (!f->slot[i].busy && (int)i != f->cur)
				return (int)i;
		int r = reap(f, true);
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

static int submit(struct outfile *f, int i, const uint8_t *buf, size_t len, uint64_t off,
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
		r = reap(f, true);
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

static int wait_slot(struct outfile *f, int i)
{
	while (f->slot[i].busy) {
		int r = reap(f, true);

		if (r < 0)
			return r;
	}
	return f->error;
}

/*
 * Wait until a write that ends at `end` leaves no more than the window behind the first byte that is
 * not in the file: what a kill can leave unfinished, however late one of several writes is.
 * Returns 1; 0: bytes are torn, which is for outfile_repair() before the file gets longer; < 0.
 */
static int may_reach(struct outfile *f, uint64_t end)
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
		int r = reap(f, true);
		if (r < 0)
			return r;
		if (f->error)
			return f->error;
	}
}

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
		int i = take_slot(f), r = i < 0 ? i : may_reach(f, f->pend.off + k);

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
		r = submit(f, i, from, k, f->pend.off, position);
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

/*
 * Hand the whole pages of the buffer to the writer; what is left begins the next one.  If something is
 * torn the buffer stays as it is.
 */
static int send_cur(struct outfile *f)
{
	size_t n = f->cur < 0 ? 0 : f->cur_len & ~(size_t)(f->align - 1), left = f->cur_len - n;
	int i = f->cur, next = -1, r = 0;

	if (n == 0)
		return 0;
	/* More than one write's worth is written in turn, with nothing beside it that could turn out
	 * torn half way. */
	while (n > f->iobuf && f->under_way && r >= 0)
		r = reap(f, true);
	if (r >= 0)
		r = left ? next = take_slot(f) : 0;
	if (r >= 0)
		r = may_reach(f, f->cur_off + (n < f->iobuf ? n : f->iobuf));
	if (r <= 0)
		return r;
	for (size_t done = 0; done < n;) {
		size_t k = n - done < f->iobuf ? n - done : f->iobuf;

		r = wait_slot(f, i);
		if (r == 0)
			r = submit(f, i, f->slot[i].buf + done, k, f->cur_off + done,
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

/* Empty the buffer but for part of a page.  pend is empty and the last mark at the end. */
static int drain_cur(struct outfile *f)
{
	int r = send_cur(f);

	if (r == 0 && f->n_torn) {
		r = outfile_repair(f); /* nothing straight is under way after that */
		if (r == 0)
			r = send_cur(f);
	}
	return r;
}

/* Append to the buffer.  pend is empty, the last mark at the end; the caller counts. */
static int copy_in(struct outfile *f, const uint8_t *bytes, size_t len)
{
	int r;

	if (f->cur_len + len > f->iobuf) {
		r = drain_cur(f);
		if (r < 0)
			return r;
	}
	if (f->cur < 0) {
		r = take_slot(f);
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

/* Take back the last len bytes of the buffer. */
static void copy_undo(struct outfile *f, size_t len)
{
	f->cur_len -= len;
	f->end -= len;
	if (f->cur_len == 0)
		f->cur = -1;
}

/* What waits in the ring goes to the writer; the rest of a page into the buffer, or all of it where
 * something is torn. */
static int end_pend(struct outfile *f)
{
	int r;

	if (f->pend.len == 0)
		return 0;
	r = send_pend(f, f->pend.len & ~(size_t)(f->align - 1));
	if (r < 0 || f->pend.len == 0)
		return r;
	r = take_slot(f);
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

/* Wait for what is under way. */
static int settle(struct outfile *f)
{
	while (f->under_way) {
		int r = reap(f, true);

		if (r < 0)
			return r;
	}
	return f->error;
}

int outfile_rest(struct outfile *f)
{
	int r = end_pend(f);

	return r < 0 ? r : settle(f);
}

/* What every public call ends with. */
static int settled(struct outfile *f, int r)
{
	if (r >= 0 && f->n_torn) {
		int e = outfile_repair(f);

		if (e < 0)
			return e;
	}
	return r < 0 ? r : f->error ? f->error : r;
}

/* --- content ---------------------------------------------------------------------------------- */

/* Remember what is rewritten in place, and find out whether O_DIRECT holds what it promised. */
static int begin(struct outfile *f, size_t file_off)
{
	uint8_t *buf = f->slot[f->cur].buf;
	int r = capfile_identify(buf + file_off, f->cur_len - file_off, f->fd);

	if (r < 0)
		return outfile_fail(f, r, 0);
	f->head_at = f->align > 4 ? 0 : file_off;
	f->head_len = f->align > 4 ? f->align : PCAPNG_FILE_LEN;
	f->head_file = file_off - f->head_at;
	if (posix_memalign((void **)&f->head, PAGE, f->head_len))
		return outfile_fail(f, -ENOMEM, 0);
	memcpy(f->head, buf + f->head_at, f->head_len);
	r = file_pwrite_all(f->fd, f->head, f->head_len, f->head_at);
	if (r == -EINVAL && f->direct) {
		f->direct = false;
		outfile_direct(f, false);
		r = file_pwrite_all(f->fd, f->head, f->head_len, f->head_at);
	}
	return r < 0 ? outfile_fail(f, r, 0) : 0;
}

int outfile_section(struct outfile *f, const struct capfile_section *s, uint64_t position)
{
	bool first = f->end == 0;
	size_t file_off;
	uint8_t *head;
	long len;
	int r = f->error;

	if (r < 0)
		return r;
	head = malloc(capfile_section_max(s->prologue_len, f->align));
	if (!head)
		return outfile_fail(f, -ENOMEM, f->end);
	if (f->raw)
		len = capfile_section(head, s, 0, 0, 4, &file_off);
	else
		len = capfile_section(head, s, f->end, position, f->align, &file_off);
	r = len < 0 ? outfile_fail(f, (int)len, f->end) : end_pend(f);
	if (r == 0 && f->raw) {
		r = outfile_head(f, head, (size_t)len, s->first_seq);
		free(head);
		return r < 0 ? r : outfile_flush(f);
	}
	if (r == 0)
		r = copy_in(f, head, (size_t)len);
	free(head);
	if (r == 0 && first) {
		f->mark[f->n_marks++] = (struct outfile_mark){ 0, OUTFILE_NOWHERE, s->first_seq, 0 };
		if (!f->stream)
			r = begin(f, file_off);
	}
	if (r == 0)
		r = outfile_mark(f, OUTFILE_NOWHERE, s->first_seq);
	return r < 0 ? r : outfile_flush(f);
}

int outfile_head(struct outfile *f, const void *head, size_t len, uint64_t seq)
{
	if (f->n_marks == 0)
		f->mark[f->n_marks++] = (struct outfile_mark){ 0, OUTFILE_NOWHERE, seq, 0 };
	if (f->error || len == 0)
		return f->error;
	return f->stage.coder ? outfile_stage_put(f, head, len, seq) : outfile_put(f, head, len);
}

int outfile_put(struct outfile *f, const void *bytes, size_t len)
{
	int r = f->error;

	if (r == 0 && f->stage.coder)
		return outfile_stage_put(f, bytes, len,
					 f->stage.len ? f->stage.seq : f->mark[f->n_marks - 1].seq);
	if (r == 0)
		r = end_pend(f);
	if (r == 0)
		r = copy_in(f, bytes, len);
	if (r == 0)
		r = outfile_mark(f, OUTFILE_NOWHERE, f->mark[f->n_marks - 1].seq);
	return settled(f, r);
}

int outfile_align(struct outfile *f, uint64_t position)
{
	uint8_t padding[PAGE + PCAPNG_PADDING_MIN];
	uint32_t n = f->raw ? 0 : pcapng_padding_len(f->end, position, f->align);

	if (n == 0)
		return f->error;
	return outfile_put(f, padding, pcapng_padding(padding, n));
}

int outfile_gap(struct outfile *f, uint64_t incarnation, uint64_t first, uint64_t next)
{
	struct pcapng_local l = { .kind = PCAPNG_GAP, .epoch = f->bus.epoch,
				  .incarnation = incarnation, .next_seq = next };
	struct pcapng_gap gap = { .first_seq = first };
	uint8_t block[PCAPNG_GAP_LEN];
	int r;

	pcapng_local(block, &l, &gap, sizeof(gap), PCAPNG_GAP_LEN);
	r = outfile_put(f, block, sizeof(block));
	if (r == 0 && incarnation == f->bus.incarnation && next != UINT64_MAX)
		*(f->stage.len ? &f->stage.seq : &f->mark[f->n_marks - 1].seq) = next;
	return r;
}

static int span_copy(struct outfile *f, const struct outfile_span *s)
{
	int r = end_pend(f);

	if (r == 0)
		r = copy_in(f, s->data, s->len);
	if (r < 0)
		return r;
	if (!f->bus.intact(f->bus.arg, s->position)) {
		copy_undo(f, s->len);
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
		r = copy_in(f, s->data, head);
		if (r < 0)
			return r;
		if (head && !f->bus.intact(f->bus.arg, s->position)) {
			copy_undo(f, head);
			return 0;
		}
		if (f->cur_len == 0)
			f->cur = -1;
		r = send_cur(f);
		if (r < 0)
			return r;
		if (f->cur >= 0) { /* something is torn */
			copy_undo(f, head);
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
			r = send_cur(f);
		if (r == 0)
			r = outfile_poll(f);
		if (r == 0)
			r = 1;
	}
	return settled(f, r);
}

uint8_t *outfile_room(struct outfile *f)
{
	int r = f->error;

	if (r == 0)
		r = end_pend(f);
	if (r == 0 && f->cur_len >= f->iobuf)
		r = drain_cur(f);
	if (r == 0)
		r = copy_in(f, NULL, 0);
	return r < 0 ? NULL : f->slot[f->cur].buf + f->cur_len;
}

void outfile_filled(struct outfile *f, size_t len)
{
	f->cur_len += len;
	f->end += len;
}

uint8_t *outfile_reserve(struct outfile *f)
{
	if (f->stage.coder)
		return f->error ? NULL : f->stage.buf + f->stage.len;
	return outfile_room(f);
}

int outfile_commit(struct outfile *f, size_t len, uint64_t frames, uint64_t position,
		   uint64_t next_seq)
{
	int r;

	f->frames += frames;
	if (f->stage.coder) {
		r = outfile_stage_commit(f, len, position, next_seq);
	} else {
		outfile_filled(f, len);
		r = outfile_mark(f, position, next_seq);
	}
	if (r == 0 && f->cur >= 0 && f->cur_len >= f->iobuf)
		r = send_cur(f);
	return r < 0 ? r : outfile_poll(f);
}

/* --- rest, durability, the end ---------------------------------------------------------------- */

int outfile_poll(struct outfile *f)
{
	int r;

	while ((r = reap(f, false)) == 1)
		;
	r = settled(f, r);
	marks_advance(f);
	return r;
}

/* The last page, filled up with a padding block: it is written again when there is more. */
static int send_tail(struct outfile *f)
{
	size_t used = f->cur_len, n;
	int i = f->cur, r;

	if (f->raw && f->direct) {
		/* Nothing is under way, and what is written here is part of a page. */
		outfile_direct(f, false);
		r = file_pwrite_all(f->fd, f->slot[i].buf, used, f->cur_off);
		outfile_direct(f, true);
		if (r < 0)
			return outfile_fail(f, r, f->cur_off);
		f->written += used;
		f->cur_done = used;
		if (f->cur_off + used > f->physical)
			f->physical = f->cur_off + used;
		return 0;
	}
	n = f->raw ? 0 : pcapng_padding_len(used, 0, f->align);
	if (n)
		pcapng_padding(f->slot[i].buf + used, (uint32_t)n);
	r = submit(f, i, f->slot[i].buf, used + n, f->cur_off, OUTFILE_NOWHERE);
	if (r == 0)
		r = wait_slot(f, i);
	if (r == 0)
		f->cur_done = used;
	return r;
}

int outfile_flush(struct outfile *f)
{
	int r = f->error;

	if (r == 0 && f->stage.len)
		r = outfile_stage_encode(f);
	if (r == 0)
		r = outfile_rest(f);
	r = settled(f, r);
	if (r == 0)
		r = drain_cur(f);
	if (r == 0)
		r = settle(f);
	if (r == 0 && f->cur >= 0 && f->cur_len == 0)
		f->cur = -1;
	if (r == 0 && f->cur >= 0 && f->cur_done < f->cur_len)
		r = send_tail(f);
	marks_advance(f);
	return r;
}

bool outfile_dirty(const struct outfile *f)
{
	return f->stage.len || f->under_way || f->pend.len || (f->cur >= 0 && f->cur_done < f->cur_len);
}

static int head_update(struct outfile *f, uint64_t verified, uint64_t written, bool complete)
{
	int r = capfile_update(f->head + f->head_file, f->head_len - f->head_file, verified,
			       written, complete);

	return r < 0 ? r : file_pwrite_all(f->fd, f->head, f->head_len, f->head_at);
}

/* Is it still to be found by somebody? */
static int is_there(struct outfile *f)
{
	struct stat st;

	if (f->named && fstat(f->fd, &st) == 0 && st.st_nlink == 0)
		return outfile_fail(f, -ESTALE, 0);
	return 0;
}

int outfile_tell(struct outfile *f)
{
	int r = outfile_poll(f);

	if (r < 0 || f->stream)
		return r;
	r = is_there(f);
	if (r < 0 || f->mark[f->first_mark].off <= f->told.off)
		return r;
	r = f->raw ? 0 : head_update(f, f->durable.off, f->mark[f->first_mark].off, false);
	if (r < 0)
		return outfile_fail(f, r, 0);
	f->told = f->mark[f->first_mark];
	return 0;
}

int outfile_sync(struct outfile *f, struct outfile_mark *m)
{
	struct outfile_mark v;
	int r = f->raw ? outfile_flush(f) : outfile_poll(f);

	if (r < 0)
		return r;
	v = f->mark[f->first_mark];
	if (!f->stream) {
		r = fdatasync(f->fd) < 0 ? -errno :
		    f->raw		   ? 0 :
					     head_update(f, v.off, v.off, false);
		if (r < 0)
			return outfile_fail(f, r, 0);
		f->durable = f->told = v;
	}
	if (m)
		*m = v;
	return 0;
}

struct outfile_mark outfile_verified(struct outfile *f)
{
	marks_advance(f);
	return f->mark[f->first_mark];
}

void outfile_state(const struct outfile *f, struct outfile_state *s)
{
	*s = (struct outfile_state){ .writer = f->ops->name,
				     .forbidden = f->forbidden,
				     .direct = f->direct,
				     .stream = f->stream,
				     .align = f->align,
				     .end = f->end,
				     .frames = f->frames,
				     .written = f->written,
				     .straight = f->straight,
				     .fixed = f->fixed,
				     .queued = f->under_way + f->pend.len +
					       (f->cur_len - f->cur_done),
				     .gaps = f->gaps };
}

int outfile_finish(struct outfile *f, bool sync)
{
	int r = f->stage.coder ? outfile_stage_end(f) : f->error;

	if (r == 0)
		r = outfile_flush(f);

	if (r == 0 && !f->stream)
		r = is_there(f);
	if (r < 0 || f->stream)
		return r;
	if (f->physical > f->end && ftruncate(f->fd, (off_t)f->end) < 0)
		r = -errno;
	if (r == 0 && !f->raw)
		r = head_update(f, f->end, f->end, true);
	if (r == 0 && sync && fsync(f->fd) < 0)
		r = -errno;
	return r < 0 ? outfile_fail(f, r, f->end) : 0;
}

/*
 * The rest could not be cut off.  On a disk that is so full that not even this can be done (one that
 * writes everything to a new place) what a kill would leave is left; on one that does not work any
 * more, what a power cut would leave.
 */
static void uncut(struct outfile *f, struct outfile_mark *m, int why)
{
	if (f->head && fsync(f->fd) == 0 && head_update(f, m->off, m->off, false) == 0 &&
	    fsync(f->fd) == 0)
		return;
	*m = why == -ENOSPC || why == -EDQUOT ? f->told : f->durable;
}

int outfile_abandon(struct outfile *f, struct outfile_mark *m)
{
	int r = 0;

	while (f->under_way && reap(f, true) == 1)
		;
	marks_advance(f);
	*m = f->n_marks ? f->mark[f->first_mark] : (struct outfile_mark){ 0 };
	if (f->stream)
		return 0;
	if (f->error == -ESTALE) { /* nobody will find it */
		*m = (struct outfile_mark){ .position = OUTFILE_NOWHERE };
		return f->error;
	}
	if (ftruncate(f->fd, (off_t)m->off) < 0) {
		r = -errno;
		uncut(f, m, r);
		return r;
	}
	if (f->raw && f->direct)
		outfile_direct(f, false);
	/* Where the disk is full it may have no end; all of it can be read all the same. */
	if (m->off && f->stage.coder &&
	    file_pwrite_all(f->fd, f->stage.coder->end, f->stage.coder->end_len, m->off) < 0)
		r = 0;
	if (m->off && f->head)
		r = head_update(f, m->off, m->off, true);
	if (fsync(f->fd) < 0) {
		r = r < 0 ? r : -errno;
		*m = f->durable;
	}
	return r;
}

void outfile_close(struct outfile *f)
{
	if (!f)
		return;
	while (f->under_way && reap(f, true) == 1)
		;
	if (f->ops && f->out)
		f->ops->close(f->out);
	outfile_stage_close(f);
	if (f->arena)
		munmap(f->arena, f->arena_len);
	if (f->fd >= 0)
		close(f->fd);
	free(f->mark);
	free(f->torn);
	free(f->head);
	free(f);
}
