/* SPDX-License-Identifier: BSD-2-Clause */
/* limits.h - how much a series may have: -b files:, --quota, --keep-free; the oldest files go for it. */
#ifndef LIMITS_H
#define LIMITS_H

/*
 * The file being written grows as far as limits_grant() lets it.  That counts what is there, what is
 * being closed, what it itself and others that write were granted before, and asks the file system
 * what is free.  Where that is not enough, old files have to go first (limits_enforce()), which takes
 * as long as it takes; so some more of them go than must, before the next grant needs it.
 *
 * limits_grant() is for the thread that writes, limits_enforce() and limits_closed() for one that may
 * be another.
 */

#include <stdbool.h>
#include <stdint.h>

#include "naming.h"
#include "options.h"

struct limits;

/*
 * limits_open - before the first file.
 *
 *   n, bus, dir  whose files the series has, what they are called and where; stay the caller's
 *   number       raised beyond those of the files found, if they are looked for (--quota, --keep-free,
 *                and -b files: with --resume)
 *
 * With o->series (a recording of --trigger) others write files of the same series, whose names are not n,
 * and number is left alone.
 * Returns 0, -ENOMEM, -errno (the directory).
 */
int limits_open(struct limits **l, const struct dump_options *o, const struct naming *n,
		const char *bus, const char *dir, uint64_t *number)
	__attribute__((warn_unused_result));

/*
 * limits_grant - let the present file grow.
 *
 *   fd  the file; < 0: it will be made now
 *   to  it is to have so many bytes
 *   granted  out: it may have so many; UINT64_MAX: there is no limit
 *
 * Returns 0; 1: granted, but the next one will be short without limits_enforce(); -EAGAIN: not as long
 * as old files are not deleted.
 */
int limits_grant(struct limits *l, int fd, uint64_t to, uint64_t *granted)
	__attribute__((warn_unused_result));

/*
 * limits_enforce - delete old files, for what was granted or refused last and some more.
 *
 *   n_present  files being written: 0 or 1
 *
 * Returns 0; -ENOSPC: less is free than --keep-free wants, and there is nothing to delete.
 */
int limits_enforce(struct limits *l, uint32_t n_present) __attribute__((warn_unused_result));

/* limits_short - the option that limits_grant() refused for, as messages name it. */
const char *limits_short(const struct limits *l);

/* limits_closing - the present file has got all its bytes; all of them are written. */
void limits_closing(struct limits *l, uint64_t bytes);

/* limits_closed - one that was closing is closed, and bears this name; NULL: it is not there, or not of
 * a series.  Returns 0, -ENOMEM. */
int limits_closed(struct limits *l, uint64_t bytes, const char *path, uint64_t created_ns)
	__attribute__((warn_unused_result));

/* limits_forget - what has that name will be overwritten. */
void limits_forget(struct limits *l, const char *path);

/* limits_close - NULL is fine. */
void limits_close(struct limits *l);

#endif
