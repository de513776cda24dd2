/* SPDX-License-Identifier: BSD-2-Clause */
/* out.h - how bytes get into a file: several writes under way, one struct of operations per way. */
#ifndef OUT_H
#define OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct out;

/* A write.  The bytes must stay until it is done. */
struct out_write {
	const void *buf;
	size_t len;
	uint64_t off;	/* in the file; OUT_NEXT: behind the last write (a pipe) */
	uint32_t tag;	/* < depth, not under way: which one is done */
	int buffer;	/* all of it is in that one of those that fix() was told; < 0: in none */
};
#define OUT_NEXT UINT64_MAX

/* A write that is over: all of its bytes are in the file, or it failed. */
struct out_done {
	uint32_t tag;
	int result; /* 0 or -errno */
};

struct out_ops {
	const char *name; /* as --writer and --json have it */

	/*
	 * open - make ready to write to fd.
	 *
	 *   fd     stays the caller's
	 *   depth  at most so many writes are under way, 1..OUT_DEPTH_MAX
	 *   align  what offset and length of every write are multiples of, and so those of
	 *          the rest of one that ended early
	 *
	 * Returns 0 or -errno: here is where a way that is forbidden or missing shows.
	 */
	int (*open)(struct out **o, int fd, uint32_t depth, uint32_t align);

	/*
	 * fix - writes will come from these buffers, again and again: what can be prepared once is.
	 *
	 * Asked once at most.  NULL: there is nothing to prepare.  Returns how many of the first ones
	 * may be named in out_write.buffer: less than n where the kernel or RLIMIT_MEMLOCK does not let
	 * so much memory be pinned.
	 */
	uint32_t (*fix)(struct out *o, const struct iovec *v, uint32_t n);

	/* submit - begin a write.  May do all of it.  Returns 0; -errno (not begun). */
	int (*submit)(struct out *o, const struct out_write *w);

	/* reap - a write that is over, waiting for one if so wished.  Returns 1; 0 (none yet, or
	 * none under way); -errno. */
	int (*reap)(struct out *o, bool wait, struct out_done *d);

	/* close - free.  Nothing is under way.  NULL is fine. */
	void (*close)(struct out *o);
};

#define OUT_DEPTH_MAX 64u

extern const struct out_ops out_uring, out_pwrite;

#endif
