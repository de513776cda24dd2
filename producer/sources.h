/* SPDX-License-Identifier: BSD-2-Clause */
/* sources.h - all the sources of a producer, and for each as many members as there are workers. */
#ifndef SOURCES_H
#define SOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "libncpbus/layout.h"
#include "producer/packet_socket.h"
#include "producer/source.h"

#define SOURCES_SYSCALLS 64u

/* One SOURCE of the command line. */
struct source_arg {
	const char *text; /* "eth0", "file:x", ... */
	const struct source_ops *ops;
	const char *spec;
};

/* A member: what one worker takes frames from. */
struct sources_member {
	struct source *src;
	const char *text; /* of its SOURCE */
	uint32_t group;	  /* which SOURCE: 0, 1, ... */
	uint32_t number;  /* which of its members */
};

struct sources {
	struct sources_member member[NCPI_WORKERS];
	uint32_t n;
	struct packet_list packets;
	struct bus_list busses;
	int syscalls[SOURCES_SYSCALLS]; /* what they need beyond the common list, -1 at the end */
};

/*
 * sources_open - open n_args sources, with o->workers members each.
 *
 *   args  n_args * o->workers <= NCPI_WORKERS; those with more than one member are of a kind that
 *         has such.  args and o must outlive s
 *   o     o->packets and o->busses are set to s's
 *   why   SOURCE_WHY_CAP bytes, on error
 *
 * Returns 0, or as source_ops.open(); undo with sources_close() in any case.
 */
int sources_open(struct sources *s, const struct source_arg *args, uint32_t n_args,
		 struct source_options *o, char *why) __attribute__((warn_unused_result));

/* sources_largest - the longest frame that can come, as far as they know; else snaplen. */
uint32_t sources_largest(const struct sources *s, uint32_t snaplen);

/* sources_live - does one of them go on after a stop? */
bool sources_live(const struct sources *s);

/* sources_start - start all.  Returns 0, -errno with *failed->why set. */
int sources_start(struct sources *s, struct source **failed) __attribute__((warn_unused_result));

void sources_close(struct sources *s);

#endif
