/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile_impl.h - what the files outfile*.c share. */
#ifndef OUTFILE_IMPL_H
#define OUTFILE_IMPL_H

#include "coder.h"
#include "outfile.h"

#define OUTFILE_PAGE 4096u

/* A write under way, or the buffer that is being filled. */
struct outfile_slot {
	uint8_t *buf; /* page-aligned, slot_cap bytes */
	uint64_t off;
	size_t len;
	uint64_t position; /* of its first byte in the ring; OUTFILE_NOWHERE: it was copied */
	bool busy;
};

/* Bytes of the file that are not what was published: overrun before they were read. */
struct outfile_torn {
	uint64_t from, to; /* offsets */
};

struct outfile {
	const struct out_ops *ops;
	struct out *out;
	struct outfile_bus bus;
	int fd;
	int forbidden;
	bool stream, direct;
	bool named; /* it had a name when it was opened */
	bool raw; /* bytes of another format: nothing is padded, aligned, rewritten */
	uint32_t align; /* OUTFILE_PAGE, or 4: any offset can be written; raw, and not direct: 1 */
	size_t iobuf, pend_max; /* pend_max 0: the ring is too small, always copy */
	uint64_t window; /* the file ends no further than this behind its first byte that is not
			  * whole */

	uint32_t depth;
	struct outfile_slot slot[OUT_DEPTH_MAX];
	uint8_t *arena;
	size_t arena_len, slot_cap;
	uint64_t under_way; /* bytes of busy slots */
	uint32_t n_copied;  /* writes from them, until they are fixed */
	uint32_t n_fixed;   /* the first so many of them are: see out_ops */

	/* Copied bytes that end the file; cur < 0: none.  cur_off is aligned; the first cur_done
	 * bytes are in the file too (a flush wrote them), and the page is written again. */
	int cur;
	uint64_t cur_off;
	size_t cur_len, cur_done;

	/* Bytes in the ring that end the file, not yet handed to a writer; len 0: none.  off is
	 * aligned.  Never both: when pend is not empty, cur < 0. */
	struct {
		const uint8_t *data;
		uint64_t position, off;
		size_t len;
	} pend;

	uint64_t end;	   /* == cur_off + cur_len or pend.off + pend.len */
	uint64_t physical; /* the file is so long on disk, filler included */
	uint64_t frames;

	/* mark[first_mark] is the verified one; the last one is at end. */
	struct outfile_mark *mark;
	size_t first_mark, n_marks, cap_marks;

	struct outfile_torn *torn;
	size_t n_torn, cap_torn;

	/* What is not compressed yet: position and seq as in a mark, when it will be. */
	struct {
		const struct coder_ops *coder; /* NULL: nothing is */
		struct coder *state;
		uint8_t *buf;
		size_t len;
		uint64_t position, seq;
	} stage;

	/* What is rewritten in place: the first page, or the file block alone where no page has to
	 * be written whole. */
	uint8_t *head;
	size_t head_len, head_file; /* head_file: of the file block in head */
	uint64_t head_at;
	struct outfile_mark durable; /* of the last sync */
	struct outfile_mark proven;  /* of the last one after which more was written, and synced */
	struct outfile_mark told;    /* of the last time it was told in the file block */

	int error;
	uint64_t fail_off; /* lowest offset of a write that failed */

	uint64_t written, straight, fixed;
	uint32_t gaps;
};

/* Calls return 0 or -errno, unless another result is named; an error is remembered: f->error. */

/* --- outfile_marks.c: boundaries -------------------------------------------------------------- */

/* outfile_fail - remember an error, and that nothing from off on can be relied on.  Returns it. */
int outfile_fail(struct outfile *f, int error, uint64_t off);

/* outfile_mark - a boundary at the end of the file. */
int outfile_mark(struct outfile *f, uint64_t position, uint64_t seq);

/* outfile_marks_advance - the verified mark is the last one below which all is written and whole. */
void outfile_marks_advance(struct outfile *f);

/* --- outfile_write.c: buffers, and what is under way ------------------------------------------ */

/* outfile_direct - O_DIRECT from now on, or no longer.  Nothing is under way. */
void outfile_direct(struct outfile *f, bool on);

/* outfile_reap - take note of one write that is over.  Returns 1, 0 (none), < 0. */
int outfile_reap(struct outfile *f, bool wait);

/* outfile_take_slot - a slot that is neither under way nor being filled; waits for one.  Returns its
 * number, < 0. */
int outfile_take_slot(struct outfile *f);

/* outfile_wait_slot - until the write of slot i is over. */
int outfile_wait_slot(struct outfile *f, int i);

/* outfile_submit - begin the write of slot i, which is len bytes at buf, to off.  position: of the first
 * in the ring; OUTFILE_NOWHERE: they are copied. */
int outfile_submit(struct outfile *f, int i, const uint8_t *buf, size_t len, uint64_t off,
		   uint64_t position);

/*
 * outfile_may_reach - wait until a write that ends at `end` leaves no more than the window behind the
 * first byte that is not in the file: what a kill can leave unfinished, however late one of several
 * writes is.
 *
 * Returns 1; 0: bytes are torn, which is for outfile_repair() before the file gets longer; < 0.
 */
int outfile_may_reach(struct outfile *f, uint64_t end);

/* outfile_settle - wait for what is under way. */
int outfile_settle(struct outfile *f);

/* outfile_copy_in - append to the buffer; bytes may be NULL if len is 0.  pend is empty, the last mark
 * at the end; the caller counts.  outfile_copy_undo() takes the last len bytes back. */
int outfile_copy_in(struct outfile *f, const uint8_t *bytes, size_t len);
void outfile_copy_undo(struct outfile *f, size_t len);

/* outfile_send_cur - hand the whole pages of the buffer to the writer; what is left begins the next one.
 * If something is torn the buffer stays as it is. */
int outfile_send_cur(struct outfile *f);

/* outfile_drain_cur - the same, after a repair of what is torn.  pend is empty and the last mark at the
 * end. */
int outfile_drain_cur(struct outfile *f);

/* --- outfile_span.c: straight from the ring --------------------------------------------------- */

/* outfile_end_pend - what waits in the ring goes to the writer; the rest of a page into the buffer, or
 * all of it where something is torn. */
int outfile_end_pend(struct outfile *f);

/*
 * outfile_rest - nothing is under way and nothing waits in the ring: the file and the buffer hold all.
 *
 * Where something is torn the file gets no longer by that.
 */
int outfile_rest(struct outfile *f);

/* --- outfile_repair.c: what was overrun ------------------------------------------------------- */

/* outfile_torn - bytes [from, to), which end or begin with a span's, were overrun: find how far.
 * Looks at the marks between. */
int outfile_torn(struct outfile *f, uint64_t from, uint64_t to);

/* outfile_repair - bring the file to rest and overlay what is torn with gap blocks. */
int outfile_repair(struct outfile *f);

/* --- outfile.c: what a file is made of -------------------------------------------------------- */

/* outfile_settled - what every public call ends with: repair what is torn.  Returns r; < 0. */
int outfile_settled(struct outfile *f, int r);

/* outfile_room - PCAPNG_BLOCK_MAX bytes behind the end, NULL: f->error.  outfile_filled() makes the
 * first len of them part of the file. */
uint8_t *outfile_room(struct outfile *f);
void outfile_filled(struct outfile *f, size_t len);

/* --- outfile_stage.c: bytes that wait to be compressed --------------------------------------- */

int outfile_stage_open(struct outfile *f, const struct coder_ops *coder, int level);
void outfile_stage_close(struct outfile *f);

/* outfile_stage_put - append bytes: no more than a block, or a prologue. */
int outfile_stage_put(struct outfile *f, const void *bytes, size_t len, uint64_t seq);

/* outfile_stage_commit - len bytes were appended at stage.buf + stage.len. */
int outfile_stage_commit(struct outfile *f, size_t len, uint64_t position, uint64_t seq);

/* outfile_stage_encode - compress what waits, and mark where it ends. */
int outfile_stage_encode(struct outfile *f);

/* outfile_stage_end - that, and the end of the compression's frame. */
int outfile_stage_end(struct outfile *f);

#endif
