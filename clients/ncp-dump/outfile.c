/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile.c - what a file is made of: heads of sections, single blocks, what waits to be written. */
#include "outfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "outfile_impl.h"
#include "util/file.h"
#include "util/pcapng.h"

#define PAGE OUTFILE_PAGE

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
	r = len < 0 ? outfile_fail(f, (int)len, f->end) : outfile_end_pend(f);
	if (r == 0 && f->raw) {
		r = outfile_head(f, head, (size_t)len, s->first_seq);
		free(head);
		return r < 0 ? r : outfile_flush(f);
	}
	if (r == 0)
		r = outfile_copy_in(f, head, (size_t)len);
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
		r = outfile_end_pend(f);
	if (r == 0)
		r = outfile_copy_in(f, bytes, len);
	if (r == 0)
		r = outfile_mark(f, OUTFILE_NOWHERE, f->mark[f->n_marks - 1].seq);
	return outfile_settled(f, r);
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

uint8_t *outfile_room(struct outfile *f)
{
	int r = f->error;

	if (r == 0)
		r = outfile_end_pend(f);
	if (r == 0 && f->cur_len >= f->iobuf)
		r = outfile_drain_cur(f);
	if (r == 0)
		r = outfile_copy_in(f, NULL, 0);
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
		r = outfile_send_cur(f);
	return r < 0 ? r : outfile_poll(f);
}

int outfile_settled(struct outfile *f, int r)
{
	if (r >= 0 && f->n_torn) {
		int e = outfile_repair(f);

		if (e < 0)
			return e;
	}
	return r < 0 ? r : f->error ? f->error : r;
}

int outfile_poll(struct outfile *f)
{
	int r;

	while ((r = outfile_reap(f, false)) == 1)
		;
	r = outfile_settled(f, r);
	outfile_marks_advance(f);
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
	r = outfile_submit(f, i, f->slot[i].buf, used + n, f->cur_off, OUTFILE_NOWHERE);
	if (r == 0)
		r = outfile_wait_slot(f, i);
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
	r = outfile_settled(f, r);
	if (r == 0)
		r = outfile_drain_cur(f);
	if (r == 0)
		r = outfile_settle(f);
	if (r == 0 && f->cur >= 0 && f->cur_len == 0)
		f->cur = -1;
	if (r == 0 && f->cur >= 0 && f->cur_done < f->cur_len)
		r = send_tail(f);
	outfile_marks_advance(f);
	return r;
}

bool outfile_dirty(const struct outfile *f)
{
	return f->stage.len || f->under_way || f->pend.len || (f->cur >= 0 && f->cur_done < f->cur_len);
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
