/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile.h - one file being written: spans straight from the ring, other bytes through buffers. */
#ifndef OUTFILE_H
#define OUTFILE_H

/*
 * Bytes reach the file in one of two ways.
 *
 *   straight  whole pages of a span are written from the mapping itself, by O_DIRECT where the
 *	       file system has it.  For that the file's offset is kept congruent to the ring
 *	       position, modulo `align`, by padding blocks
 *   copied    into a buffer that is written when it is full: file heads, frames that were taken
 *	       one by one, the part of a page before and after a straight run, and every span that
 *	       the producer may soon overwrite (nearer to tail than a quarter of the ring plus what
 *	       is under way).  A copied span is checked before it counts, and taken back if it was
 *	       overrun
 *
 * A straight write is checked when it is done.  If it was overrun meanwhile, the file is brought
 * to rest and the blocks that are not whole in it are overlaid by a gap block of the same length:
 * from the first block with a torn byte (it may begin in the page before) to the first boundary
 * that was known intact.  Such frames go to bus->lost().
 *
 * No room is asked for ahead (FALLOC_FL_KEEP_SIZE): on ext4 that made such writes neither faster nor
 * cheaper, and what a kill leaves would hold room that no size shows.
 *
 * A pipe is a file whose spans are all copied and whose align is 4: nothing is rewritten.
 *
 * A raw file holds another format, or compressed bytes: it takes no span, and one write at a time, so
 * that whatever a kill leaves is a prefix.  Whole pages of it are written by O_DIRECT, too, and part of
 * one, which cannot be filled up here, through the page cache.  (A GB through the page cache cost 1.9 to
 * 3.4 s of CPU time, by O_DIRECT 0.2 s, each with fsync, on ext4.)  What is to be compressed
 * waits until it is half a MiB, or is flushed or synced: each time a block of the compression ends, and
 * a mark stands there.
 *
 * Marks are the boundaries between blocks whose frame number is known.  "Verified" is the last mark
 * below which every byte is written and whole.
 *
 * One thread.  After an error every call returns it, until outfile_abandon().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "capfile.h"
#include "coder.h"
#include "out.h"

struct outfile;

/* What the file needs to know of the bus. */
struct outfile_bus {
	void *arg;
	/* intact - is everything from this position on still as it was published?  (ncp_intact) */
	int (*intact)(void *arg, uint64_t position);
	/* lost - the frames [first, next) were given as part of a span and are not in the file. */
	void (*lost)(void *arg, uint64_t first, uint64_t next);
	uint64_t ring_size;
	bool held; /* the producer waits until bytes are released: none is near */
	uint64_t incarnation, epoch; /* for gap blocks */
};

enum outfile_writer { OUTFILE_AUTO, OUTFILE_URING, OUTFILE_PWRITE };

struct outfile_options {
	const char *path;	/* "-": stdout */
	bool exclusive;		/* the name must be new */
	bool unnamed;		/* path is a directory: a file in it, for outfile_name() */
	uint32_t depth;		/* writes under way, 2..OUT_DEPTH_MAX */
	size_t iobuf;		/* bytes of a write, a multiple of 4096 */
	enum outfile_writer writer;
	bool raw;		/* not pcapng as it is */
	const struct coder_ops *coder; /* NULL: none; else raw */
	int level;
};

/* A boundary. */
struct outfile_mark {
	uint64_t off;	   /* in the file */
	uint64_t position; /* in the ring; OUTFILE_NOWHERE: what stands before is no span */
	uint64_t seq;	   /* number of the next frame */
	uint64_t frames;   /* in the file before it */
};
#define OUTFILE_NOWHERE UINT64_MAX

/* What became of the options. */
struct outfile_state {
	const char *writer; /* the name of its out_ops */
	int forbidden;	    /* -errno of io_uring, where pwrite stands in for it; else 0 */
	bool direct;	    /* O_DIRECT */
	bool stream;	    /* a pipe, a terminal, a device: no offset */
	uint32_t align;
	uint64_t end;	    /* bytes so far */
	uint64_t frames;    /* so far */
	uint64_t written;   /* bytes handed to the kernel, rewritten ones again */
	uint64_t straight;  /* of these, from the mapping */
	uint64_t fixed;	    /* of these, from buffers that the kernel was told beforehand */
	uint64_t queued;    /* bytes so far that are not in the file yet */
	uint32_t gaps;	    /* runs of blocks overlaid because a write was overrun */
};

/*
 * outfile_open - open (make, truncate) a file of mode 0640.
 *
 * bus is copied; outfile_bus() changes it.  May block: a FIFO without a reader.
 * Returns 0; -EISDIR, -EEXIST (exclusive) and other -errno of open; -errno of the writer asked for.
 */
int outfile_open(struct outfile **f, const struct outfile_options *o,
		 const struct outfile_bus *bus) __attribute__((warn_unused_result));

/*
 * outfile_name - give a file that was opened unnamed its name.
 *
 *   exclusive  the name must be new; else it replaces a regular file
 *
 * Returns 0; -EEXIST (exclusive, or what is there is no regular file); -EXDEV (another file system);
 * -errno of linkat.
 */
int outfile_name(struct outfile *f, const char *path, bool exclusive)
	__attribute__((warn_unused_result));

/* outfile_fd - the file's descriptor, for who changes its owner. */
int outfile_fd(const struct outfile *f);

/* outfile_bus - the bus was replaced.  The file is flushed. */
void outfile_bus(struct outfile *f, const struct outfile_bus *bus);

/*
 * outfile_section - write the head of a section, the file's first or a further one, and flush it.
 *
 *   position  ring position of what follows
 */
int outfile_section(struct outfile *f, const struct capfile_section *s, uint64_t position)
	__attribute__((warn_unused_result));

/* outfile_head - what a raw file begins with, len bytes; the first frame is number seq. */
int outfile_head(struct outfile *f, const void *head, size_t len, uint64_t seq)
	__attribute__((warn_unused_result));

/* outfile_put - append bytes that are the caller's own: whole blocks. */
int outfile_put(struct outfile *f, const void *bytes, size_t len) __attribute__((warn_unused_result));

/* outfile_align - a padding block, if needed, so that the end is congruent to position. */
int outfile_align(struct outfile *f, uint64_t position) __attribute__((warn_unused_result));

/* outfile_gap - a gap block: the frames [first, next) are missing here.  next UINT64_MAX: nobody knows
 * how many. */
int outfile_gap(struct outfile *f, uint64_t incarnation, uint64_t first, uint64_t next)
	__attribute__((warn_unused_result));

/* A run of whole blocks in the ring, as in struct ncp_span. */
struct outfile_span {
	const uint8_t *data;
	size_t len;
	uint64_t position;
	uint64_t first_seq, next_seq;
};

/*
 * outfile_span - append a span.
 *
 * Returns 1 (in the file, or on the way there), 0 (it was overrun before it could be read: nothing
 * was appended, its frames are lost), -EBADMSG (it does not consist of blocks), -errno.
 */
int outfile_span(struct outfile *f, const struct outfile_span *s) __attribute__((warn_unused_result));

/*
 * outfile_reserve - room for blocks that the caller makes in place.
 *
 * Of PCAPNG_BLOCK_MAX bytes at least; NULL: outfile_error() tells.  outfile_commit() makes the
 * first len of them, with frames frames in them, part of the file; next_seq: number of the frame
 * behind, position: where it stands or will stand in the ring, or OUTFILE_NOWHERE.  Without it
 * nothing has happened.
 */
uint8_t *outfile_reserve(struct outfile *f);
int outfile_commit(struct outfile *f, size_t len, uint64_t frames, uint64_t position,
		   uint64_t next_seq) __attribute__((warn_unused_result));

/* outfile_poll - take note of writes that are done.  Never blocks, except to repair. */
int outfile_poll(struct outfile *f) __attribute__((warn_unused_result));

/* outfile_flush - write everything, the last page too, and wait until it is in the file. */
int outfile_flush(struct outfile *f) __attribute__((warn_unused_result));

/* outfile_dirty - is there something outfile_flush() would do? */
bool outfile_dirty(const struct outfile *f);

/*
 * outfile_sync - make what is verified durable (fdatasync), then say so in the file block.
 *
 *   m  out: what is durable now; may be NULL
 */
int outfile_sync(struct outfile *f, struct outfile_mark *m) __attribute__((warn_unused_result));

/*
 * outfile_tell - say in the file block how much is whole now: for a kill, not for a power cut.
 *
 * Returns 0; -ESTALE: the file was removed, and this is an error like others; -errno.
 */
int outfile_tell(struct outfile *f) __attribute__((warn_unused_result));

/* outfile_verified - the last mark below which the file is whole. */
struct outfile_mark outfile_verified(struct outfile *f);

void outfile_state(const struct outfile *f, struct outfile_state *s);

/*
 * outfile_finish - flush, cut to the exact length, say "complete", sync if so wished.
 *
 * The file is closed by outfile_close().
 */
int outfile_finish(struct outfile *f, bool sync) __attribute__((warn_unused_result));

/*
 * outfile_abandon - after an error: keep what is verified, cut off the rest, say "complete".
 *
 *   m  out: what was kept; if it could not be cut off, what was durable one sync before the last;
 *	nothing of a file that was removed
 *
 * Does what can be done, and returns the first further error (0: all of it could); -ESTALE if the
 * file was removed.
 */
int outfile_abandon(struct outfile *f, struct outfile_mark *m);

/* outfile_close - wait for what is under way, close, free.  NULL is fine. */
void outfile_close(struct outfile *f);

#endif
