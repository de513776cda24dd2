/* SPDX-License-Identifier: BSD-2-Clause */
/* frame_filter.h - the filter of frames that no kernel filters, by link type; replaced while it judges. */
#ifndef FRAME_FILTER_H
#define FRAME_FILTER_H

#include <stdint.h>

#include "libncpbus/layout.h"
#include "producer/compile.h"

/* Each interface of a bus could have its own, and some more may be foreseen. */
#define FRAME_FILTER_TYPES (NCPI_INTERFACES + 16u)

struct frame_programs;

/*
 * One thread judges frames, another one can replace the programs meanwhile: it hands over a whole new
 * set, which the first takes up before the next frame.  Zeroed: nothing to close.
 */
struct frame_filter {
	struct frame_filter_type {
		uint32_t linktype;
		int dlt;	/* libpcap's number for it */
		uint32_t there; /* there are such frames: relaxed, it only decides what is refused */
	} type[FRAME_FILTER_TYPES];
	uint32_t n_types;	     /* fixed once it is open */
	struct frame_programs *now;  /* the judging thread's */
	struct frame_programs *next; /* handed over; NULL: none.  Exchanged, by either thread */
};

/*
 * Compile a filter's text, as compile_offline() does.  p without instructions: every frame matches.
 * Returns 0; -EINVAL: it means nothing for such frames, why tells; other errors are fatal.
 */
typedef int frame_filter_compile(void *arg, int dlt, struct compile_program *p, char *why);

/*
 * frame_filter_open - say what link types there are and what may come, and compile for each.
 *
 *   there, n_there    LINKTYPE_ numbers, in which the same can stand twice
 *   likely, n_likely  more of them; together FRAME_FILTER_TYPES at most
 *   why               SOURCE_WHY_CAP bytes, on error
 *
 * A type for which the text means nothing has no matching frame; but there must be one for which it does,
 * of those there are, or, without any, of the likely ones.
 * Returns 0; -EINVAL; -ENOMEM.  Undone by frame_filter_close(), whatever came back.
 */
int frame_filter_open(struct frame_filter *f, const char *text, const uint32_t *there,
		      uint32_t n_there, const uint32_t *likely, uint32_t n_likely, char *why)
	__attribute__((warn_unused_result));

/*
 * frame_filter_renew - the same with another text, while frames are judged.
 *
 * Each frame is judged by the old programs or by the new ones; what comes to frame_filter_match() after the
 * return, by the new.  Any thread, one at a time; blocks as compile does.
 * Returns as above; on an error the old ones stay.
 */
int frame_filter_renew(struct frame_filter *f, frame_filter_compile *compile, void *arg, char *why)
	__attribute__((warn_unused_result));

/* frame_filter_there - frames of a type have come that was only likely.  The judging thread's. */
void frame_filter_there(struct frame_filter *f, uint32_t linktype);

/*
 * frame_filter_match - does a frame match?  The judging thread's; makes no system call but to free.
 *
 * Returns 1, 0; -ENOTSUP: there is a filter, and it was not compiled for that link type.
 */
int frame_filter_match(struct frame_filter *f, uint32_t linktype, const uint8_t *data,
		       uint32_t caplen, uint32_t len);

/* frame_filter_close - free all.  When no other thread uses it. */
void frame_filter_close(struct frame_filter *f);

#endif
