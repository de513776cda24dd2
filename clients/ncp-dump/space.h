/* SPDX-License-Identifier: BSD-2-Clause */
/* space.h - a table of the files that grow at the same time, and how far each was let. */
#ifndef SPACE_H
#define SPACE_H

/*
 * --quota and --keep-free hold at every moment, not only when somebody looks: a file grows only as
 * far as it was granted.  What others were granted and have not taken yet is not there to be granted
 * again, so all who write at once share a table: the series of --split-interfaces, in one process,
 * and the recordings of --trigger, in processes of their own.
 *
 * A process that dies with the lock leaves it to the next one: an entry is one file's, and its
 * words are each as good old as new, for whoever is dead writes no more.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SPACE_WRITERS 256u

struct space;

struct space_file {
	dev_t dev;
	ino_t ino;
	uint64_t granted; /* bytes: it gets no longer without asking; 0: nobody writes it */
	uint64_t taken;	  /* bytes that it has on the disk, at least */
};

/* space_make - an empty table, shared with processes that are forked later.  NULL: no memory. */
struct space *space_make(void);

/* space_free - NULL is fine. */
void space_free(struct space *s);

void space_lock(struct space *s);
void space_unlock(struct space *s);

/* --- with the lock held ------------------------------------------------------------------------ */

/* space_set - what writer number me has; its file need not have a name yet (dev and ino 0). */
void space_set(struct space *s, uint32_t me, const struct space_file *f);

/* space_others - of all writers but me: the bytes granted, and those of them not taken yet. */
void space_others(const struct space *s, uint32_t me, uint64_t *granted, uint64_t *untaken);

/* space_grows - is this a file that is being written? */
bool space_grows(const struct space *s, dev_t dev, ino_t ino);

#endif
