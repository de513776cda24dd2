/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile_marks.c - the boundaries between blocks of a file, and up to which one all of it is whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "outfile_impl.h"

/* Marks of one run stand at least so far apart: they bound how much a gap takes beside what is torn,
 * and their number bounds the memory. */
#define MARK_EVERY (32u << 10)

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

void outfile_marks_advance(struct outfile *f)
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

struct outfile_mark outfile_verified(struct outfile *f)
{
	outfile_marks_advance(f);
	return f->mark[f->first_mark];
}
