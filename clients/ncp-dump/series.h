/* SPDX-License-Identifier: BSD-2-Clause */
/* series.h - the files that a capture writes one after the other: their names, beginnings and ends. */
#ifndef SERIES_H
#define SERIES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "closer.h"
#include "naming.h"
#include "options.h"
#include "outfile.h"
#include "rotation.h"
#include "state.h"

/* Writes under way: as many as an SSD needs to be busy. */
#define SERIES_DEPTH 8u

struct series {
	const struct dump_options *o;
	struct naming naming;
	struct rotation rotation;
	char bus[64];
	struct closer *closer;
	char path[PATH_MAX];  /* of the present file, or of the last one */
	char final[PATH_MAX]; /* as it will be called when it is complete */
	bool must_be_new;     /* it is not to replace anything */
	uint64_t begun_ns;    /* the time in its name, and in its file block */
	uint64_t granted;     /* it gets no longer than this without series_room() */
	uint64_t slack;	      /* bytes that a file's head and end take at most, the caller's to say */

	/* Of the files that were closed. */
	uint64_t files, bytes, frames;
};

/*
 * series_begin - before the first file.
 *
 *   bus   whose files they are
 *   last  the file that the last run ended in; NULL: there was none to go on from
 */
void series_begin(struct series *s, const struct dump_options *o, const char *bus,
		  const struct state *last);

/*
 * series_open - open the file whose turn it is.
 *
 * A name that exists is overwritten where tcpdump and dumpcap do so.  It is passed over for the next
 * number where nothing may be overwritten: with --resume, --quota and --keep-free, with --no-clobber
 * but for the first file, and in a capture that was not told to rotate.
 * Returns 0, -EEXIST (--no-clobber, the first file), -EINVAL (the name's form gives none), and as
 * outfile_open() and closer_open().
 */
int series_open(struct series *s, const struct outfile_bus *bus, struct outfile **f)
	__attribute__((warn_unused_result));

/*
 * series_close - give a file away to be finished and closed (closer.h).
 *
 *   f  flushed, with its statistics; not the caller's any more
 *
 * With --resume, and where files do not follow each other, it is done on return.
 * Returns 0, or the -errno of this or an earlier one's end.
 */
int series_close(struct series *s, struct outfile *f) __attribute__((warn_unused_result));

/*
 * series_room - before a file that has `end` bytes gets more of them, beyond s->granted.
 *
 * May wait for old files to be deleted.  Returns as closer_room().
 */
int series_room(struct series *s, const struct outfile *f, uint64_t end, uint64_t more)
	__attribute__((warn_unused_result));

/* series_check - as closer_check(). */
int series_check(struct series *s) __attribute__((warn_unused_result));

/* series_wait - as closer_wait(): all files are closed. */
int series_wait(struct series *s) __attribute__((warn_unused_result));

/* series_failed - the name that an error belongs to. */
const char *series_failed(const struct series *s);

/* series_end - after the last file.  Waits for the commands of -z. */
void series_end(struct series *s);

/* series_abandoned - close a file that outfile_abandon() kept so much of, and count that.  One that was
 * cut to nothing is removed if there was another before. */
void series_abandoned(struct series *s, struct outfile *f, const struct outfile_mark *kept,
		      bool cut);

#endif
