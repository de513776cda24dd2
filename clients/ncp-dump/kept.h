/* SPDX-License-Identifier: BSD-2-Clause */
/* kept.h - the closed files of a series, oldest first, and the deleting of the oldest. */
#ifndef KEPT_H
#define KEPT_H

/*
 * Files get onto the list in two ways: this run wrote them, or kept_scan() found them.  It takes a
 * file only if all of this holds, so that nothing else is ever deleted:
 *
 *	- it is a regular file in the series' directory, and no symbolic link
 *	- it begins with ncp-dump's file block, which names the same bus
 *	- the file block tells when the file began, and the series would give a file that began then
 *	  just that name (naming.h)
 *
 * And one on the list is deleted only while its name still leads to the same file (inode).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "naming.h"

struct kept_file {
	char *path;
	uint64_t size;
	uint64_t created_ns, number; /* their order */
	dev_t dev;
	ino_t ino;
};

struct kept {
	struct kept_file *file;
	size_t n, cap;
	uint64_t bytes; /* sum of their sizes */
};

/*
 * kept_scan - put the series' files onto an empty list.
 *
 *   dir    where they are
 *   part   also those whose name ends in ".part": a run that was killed left them
 *
 * Returns 0 or -errno.
 */
int kept_scan(struct kept *k, const struct naming *n, const char *dir, const char *bus,
	      bool part) __attribute__((warn_unused_result));

/* kept_add - a file was closed: it is the newest.  What was there under its name is no longer.
 * Returns 0, -ENOMEM, -errno of stat. */
int kept_add(struct kept *k, const char *path, uint64_t created_ns)
	__attribute__((warn_unused_result));

/* kept_forget - take it off the list. */
void kept_forget(struct kept *k, const char *path);

/* kept_remove - take number i off the list. */
void kept_remove(struct kept *k, size_t i);

/* kept_take - take the oldest off the list.  Returns 1: *f is the caller's, for kept_delete(); 0: there is
 * none. */
int kept_take(struct kept *k, struct kept_file *f) __attribute__((warn_unused_result));

/* kept_delete - delete it, if its name still leads to it, and free f->path.  Returns 0 or -errno. */
int kept_delete(struct kept_file *f) __attribute__((warn_unused_result));

void kept_free(struct kept *k);

#endif
