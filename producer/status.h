/* SPDX-License-Identifier: BSD-2-Clause */
/* status.h - what a running producer says: a line at the start, JSON every second, a summary. */
#ifndef STATUS_H
#define STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "libncpbus/writer.h"
#include "producer/privs.h"
#include "producer/sources.h"

/*
 * No call blocks for more than a second: what a reader that sleeps leaves no room for is not said.
 */
struct status {
	FILE *json; /* NULL: lines for people, on stderr */
	const char *source; /* all of them, as one text */
	const char *worker_source[NCPI_WORKERS];
	const struct ncpi_bus *bus;
	const struct sources *sources;
	const struct ncpi_writer *writer;
	uint32_t n_workers;
	uint64_t filter_reloads, filter_refused; /* times the filter's file was read again */
	bool full_told; /* that the ring has begun to forget */
	struct ncpi_worker_line at_start; /* the bus's counters before this start */
};

/*
 * status_begin - remember the counters and say that the bus can be attached.
 *
 * One line for people (source, ring, who may read and how to change that), or the first object.
 */
void status_begin(struct status *s, const struct privs_who *who);

/* status_note - say something that is no error. */
void status_note(struct status *s, const char *what, const char *why);

/* status_tick - with JSON: one object of how it stands; else, once, how far back the ring remembers when
 * it is full. */
void status_tick(struct status *s);

/*
 * status_read, status_end - the last word, which is said when the writer is gone already: read
 * before, printed after, with the state it ended in.
 *
 *   removed  the names were removed
 *
 * JSON: one object.  For people: one line, what this run did.
 */
struct status_last {
	struct ncpi_totals totals;
	struct ncpi_worker_line worker[NCPI_WORKERS];
};
void status_read(const struct status *s, struct status_last *last);
void status_end(struct status *s, const struct status_last *last, uint32_t state, bool removed);

#endif
