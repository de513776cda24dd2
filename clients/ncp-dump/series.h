/* SPDX-License-Identifier: BSD-2-Clause */
/* series.h - the files that a capture writes one after the other: their names, beginnings and ends. */
#ifndef SERIES_H
#define SERIES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

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
	bool resumed;	     /* goes on where another run ended: nothing is overwritten */
	char path[PATH_MAX]; /* of the present file, or of the last one */

	/* Of the files that were closed. */
	uint64_t files, bytes, frames;
};

/*
 * series_begin - before the first file.
 *
 *   last  the file that the last run ended in; NULL: there was none to go on from
 */
void series_begin(struct series *s, const struct dump_options *o, const struct state *last);

/*
 * series_open - open the file whose turn it is.
 *
 * A name that exists is overwritten where tcpdump does so, and passed over for the next number where
 * nothing may be overwritten (--resume, --no-clobber but for the first file, and a capture that
 * was not told to rotate).
 * Returns 0, -EEXIST (--no-clobber, the first file), -EINVAL (the name's form gives none), and as
 * outfile_open().
 */
int series_open(struct series *s, const struct outfile_bus *bus, struct outfile **f)
	__attribute__((warn_unused_result));

/*
 * series_close - finish a file (exact length, "complete", durable as --sync wants) and close it.
 *
 * On an error it stays open, for outfile_abandon().
 */
int series_close(struct series *s, struct outfile *f) __attribute__((warn_unused_result));

/* series_abandoned - close a file that outfile_abandon() kept so much of, and count that.  One that was
 * cut to nothing is removed if there was another before. */
void series_abandoned(struct series *s, struct outfile *f, const struct outfile_mark *kept,
		      bool cut);

#endif
