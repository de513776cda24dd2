/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile_end.c - what of a file is durable, what its file block says; its end, a good one or not. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outfile_impl.h"
#include "util/file.h"

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
		if (v.off > f->durable.off)
			f->proven = f->durable;
		f->durable = f->told = v;
	}
	if (m)
		*m = v;
	return 0;
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
 *
 * Of a disk that stops working the last sync is no witness.  While ext4 gives its journal up (an error,
 * errors=remount-ro) and before it turns read-only, an fdatasync() finds that its transaction is over,
 * not that it failed, and returns 0.  What is written there next, and needs the journal, fails: so the
 * sync before the last one, after which more was written, is true.
 */
static void uncut(struct outfile *f, struct outfile_mark *m, int why)
{
	bool full = why == -ENOSPC || why == -EDQUOT;

	if (full && f->head && fsync(f->fd) == 0 && head_update(f, m->off, m->off, false) == 0 &&
	    fsync(f->fd) == 0)
		return;
	*m = full ? f->told : f->proven;
}

int outfile_abandon(struct outfile *f, struct outfile_mark *m)
{
	int r = 0;

	while (f->under_way && outfile_reap(f, true) == 1)
		;
	outfile_marks_advance(f);
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
		*m = f->proven;
	}
	return r;
}

void outfile_close(struct outfile *f)
{
	if (!f)
		return;
	while (f->under_way && outfile_reap(f, true) == 1)
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
