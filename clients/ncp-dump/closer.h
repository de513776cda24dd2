/* SPDX-License-Identifier: BSD-2-Clause */
/* closer.h - what need not hold up the frames: finishing a file, opening the next, deleting old ones. */
#ifndef CLOSER_H
#define CLOSER_H

/*
 * A thread of its own, where files are to follow each other; else closer_give() does it all itself.
 * For each file in turn it
 *
 *	- gives it its exact length, calls it complete, makes it durable as --sync wants, closes it
 *	- gives it its final name (--atomic)
 *	- deletes the oldest files of the series (-b files:, --quota, --keep-free)
 *	- prints its name (-b printname:) and starts the command of -z
 *
 * Then it opens the next file, without a name yet.
 */

#include <stdbool.h>
#include <stdint.h>

#include "naming.h"
#include "options.h"
#include "outfile.h"

/* What closer_failed() says when that cannot be had. */
#define CLOSER_KEEP_FREE "--keep-free"
#define CLOSER_QUOTA "--quota"

struct closer;

/* A file that is full. */
struct closer_file {
	struct outfile *f; /* flushed: nothing in it depends on the bus any more */
	uint64_t bytes;
	const char *path;  /* as it was opened */
	const char *final; /* as it is to be called; == path but for --atomic */
	bool must_be_new;  /* ... which is not to replace anything */
	uint64_t created_ns;
};

/*
 * closer_open - begin; before the first file.
 *
 *   bus    whose files the series has; stays the caller's
 *   first  path of the first file: its directory is the series'
 *   number  as limits_open() has it
 *
 * Returns 0, -ENOMEM, -errno (the directory; the file of printname:; pthread_create).
 */
int closer_open(struct closer **c, const struct dump_options *o, const struct naming *n,
		const char *bus, const char *first, uint64_t *number)
	__attribute__((warn_unused_result));

/* closer_give - take over a file, and close it.  The frames in it count as saved: what can fail now is
 * only to make them durable. */
void closer_give(struct closer *c, const struct closer_file *file);

/* closer_forget - a file of that name will be overwritten: it is no old file any more.  Waits until it is
 * closed, if it was given. */
void closer_forget(struct closer *c, const char *path);

/* closer_prepare - open a file for later, like this one. */
void closer_prepare(struct closer *c, const struct outfile_options *o,
		    const struct outfile_bus *bus);

/* closer_spare - what became of that: a file for outfile_name(), or NULL. */
struct outfile *closer_spare(struct closer *c);

/*
 * closer_room - let the file that is being written grow: see limits_grant(), whose arguments these are.
 *
 * Waits until what is being closed is closed and old files are deleted, where that is needed.
 * Returns as closer_check(); -ENOSPC also if --quota cannot be had.
 */
int closer_room(struct closer *c, int fd, uint64_t to, uint64_t *granted)
	__attribute__((warn_unused_result));

/*
 * closer_check - how are things?  Does not wait.
 *
 * Returns 0; the first -errno of a file given; -ENOSPC (--keep-free cannot be had).
 */
int closer_check(struct closer *c) __attribute__((warn_unused_result));

/* closer_wait - until every file given is closed.  Returns as closer_check(). */
int closer_wait(struct closer *c) __attribute__((warn_unused_result));

/* closer_failed - the file that closer_check()'s error belongs to; NULL: it is no file's. */
const char *closer_failed(struct closer *c);

/* closer_close - the end: waits for the files given, and for the commands of -z.  NULL is fine. */
void closer_close(struct closer *c);

#endif
