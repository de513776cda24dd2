/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile_stage.c - what waits to be compressed, before it goes into a file's buffers. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "outfile_impl.h"
#include "util/pcapng.h"

/* Longer pieces hardly get smaller, shorter ones do not use what frames have in common. */
#define PIECE (512u << 10)
#define SLICE (2 * PIECE)
/* One more block fits behind a piece that is not full yet. */
#define STAGE_CAP (PIECE + (size_t)PCAPNG_BLOCK_MAX)

int outfile_stage_open(struct outfile *f, const struct coder_ops *coder, int level)
{
	int r = coder->open(&f->stage.state, level);

	if (r < 0)
		return r;
	f->stage.coder = coder;
	f->stage.buf = mmap(NULL, STAGE_CAP, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->stage.buf == MAP_FAILED) {
		f->stage.buf = NULL;
		return -errno;
	}
	return 0;
}

void outfile_stage_close(struct outfile *f)
{
	if (f->stage.coder)
		f->stage.coder->close(f->stage.state);
	if (f->stage.buf)
		munmap(f->stage.buf, STAGE_CAP);
}

int outfile_stage_encode(struct outfile *f)
{
	const struct coder_ops *coder = f->stage.coder;
	int r = f->error;

	/* One slice, but for blocks as no bus has them. */
	for (size_t done = 0; r == 0 && done < f->stage.len;) {
		size_t k = f->stage.len - done < SLICE ? f->stage.len - done : SLICE, n;
		uint8_t *out = outfile_room(f);

		if (!out)
			return f->error;
		n = coder->encode(f->stage.state, out, coder->bound(k), f->stage.buf + done, k);
		if (n == 0)
			return outfile_fail(f, -EIO, f->end);
		outfile_filled(f, n);
		done += k;
	}
	if (r == 0 && f->stage.len) {
		f->stage.len = 0;
		r = outfile_mark(f, f->stage.position, f->stage.seq);
	}
	return r;
}

int outfile_stage_end(struct outfile *f)
{
	const struct coder_ops *coder = f->stage.coder;
	int r = outfile_stage_encode(f);
	uint8_t *out = r == 0 ? outfile_room(f) : NULL;

	if (!out)
		return f->error;
	memcpy(out, coder->end, coder->end_len);
	outfile_filled(f, coder->end_len);
	return outfile_mark(f, OUTFILE_NOWHERE, f->mark[f->n_marks - 1].seq);
}

int outfile_stage_commit(struct outfile *f, size_t len, uint64_t position, uint64_t seq)
{
	f->stage.len += len;
	f->stage.position = position;
	f->stage.seq = seq;
	return f->stage.len >= PIECE ? outfile_stage_encode(f) : 0;
}

int outfile_stage_put(struct outfile *f, const void *bytes, size_t len, uint64_t seq)
{
	memcpy(f->stage.buf + f->stage.len, bytes, len);
	return outfile_stage_commit(f, len, OUTFILE_NOWHERE, seq);
}
