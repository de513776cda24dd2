/* SPDX-License-Identifier: BSD-2-Clause */
/* progress.h - the status line on a terminal while a file is written. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a capture is at a moment. */
struct progress_sample {
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	uint64_t frames, bytes, lost; /* so far; bytes of the files */
	uint64_t queued;   /* bytes read and not yet in the file */
	uint64_t head;	   /* of the bus, */
	uint64_t position; /* and up to where it is read */
	uint64_t ring_size;
};

struct progress {
	bool on;
	uint64_t due_ns; /* of the next line */
	struct progress_sample last;
};

#define PROGRESS_CAP 256

/*
 * progress_line - what is known, as far as it fits.
 *
 *   width  characters; what has no room is left out, from the end, in whole parts
 *
 * 1234567 frames, 1.23 GB, 103 MB/s, 0 lost, 2.1 MB to the disk, 0.03 s behind, overrun in 12 s
 *
 * Rates are those between the samples.  Behind: how long the bus took for what is not read yet;
 * overrun: until frames would be lost if nothing were read from now on; both only while frames
 * come.  Pure.
 */
void progress_line(char out[PROGRESS_CAP], const struct progress_sample *before,
		   const struct progress_sample *now, size_t width);

/* progress_open - is stderr a terminal that can show one? */
void progress_open(struct progress *p);

/* progress_show - the line now, and the next one half a second later. */
void progress_show(struct progress *p, const struct progress_sample *now);

#endif
